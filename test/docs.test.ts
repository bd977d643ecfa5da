import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { referencePages } from '../scripts/reference.ts';

const root = join(import.meta.dirname, '..');
const pages = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md', 'packages/*/*.md'], {
  cwd: root,
  exclude: ['**/node_modules/**'],
});

test('the generated reference is that of the code: run `node scripts/reference.ts` when this fails', async () => {
  for (const [path, text] of await referencePages()) assert.equal(readFileSync(join(root, path), 'utf8'), text, path);
});

test('every link between pages, and every file that a page names as a link, exists', () => {
  for (const page of pages) {
    for (const [, target = ''] of readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      assert.ok(existsSync(join(root, dirname(page), target)), `${page} links to ${target}`);
    }
  }
});

test('every npm command in the docs is one that package.json has', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const page of pages) {
    for (const [, script = ''] of readFileSync(join(root, page), 'utf8').matchAll(/npm run ([a-z:-]+)/g))
      assert.ok(scripts[script], `${page}: npm run ${script}`);
  }
});
