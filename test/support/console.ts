import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const built = join(root, 'dist', 'console');

/** The console as it is in the sources: what was built last, or, when that is older or missing, a build of its own. */
export function builtConsole(): { directory: string; remove(): void } {
  if (!isStale()) return { directory: built, remove: () => undefined };
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-console-'));
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const build = [
    'build',
    join(root, 'packages', 'console'),
    '--outDir',
    directory,
    '--emptyOutDir',
    '--logLevel',
    'error',
  ];
  execFileSync(process.execPath, [vite, ...build], { stdio: 'inherit' });
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

function isStale(): boolean {
  const page = join(built, 'index.html');
  if (!existsSync(page)) return true;
  const builtAt = statSync(page).mtimeMs;
  return globSync('packages/console/{index.html,vite.config.ts,public/**,src/**}', { cwd: root }).some(
    (file) => statSync(join(root, file)).mtimeMs > builtAt,
  );
}
