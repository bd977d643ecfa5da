import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Formatter, linter, types and the direction of imports; everything that can be said without running the product. */
const root = join(import.meta.dirname, '..');
const steps: [string, string[]][] = [
  ['format and lint', ['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', '.']],
  ['types', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit']],
  ['imports', ['scripts/imports.ts']],
];
for (const [name, command] of steps) {
  console.error(`— ${name}`);
  const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
