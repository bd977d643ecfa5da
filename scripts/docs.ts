import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cliReference } from '../packages/cli/src/reference.ts';

/** `scripts/docs.ts [--check]`: writes the reference pages that are made from the code, or says which are out of date. */
const root = join(import.meta.dirname, '..');
const pages: Record<string, string> = { 'docs/reference/cli.md': cliReference() };

let isStale = false;
for (const [path, text] of Object.entries(pages)) {
  const target = join(root, path);
  if (process.argv.includes('--check')) {
    if (readFileSync(target, 'utf8') === text) continue;
    console.error(`${path} is out of date: run node_modules/.bin/node scripts/docs.ts`);
    isStale = true;
  } else {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    console.error(`wrote ${path}`);
  }
}
process.exitCode = isStale ? 1 : 0;
