import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../packages/cli/src/program.ts';
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

test('every page of the documentation stands in its index', () => {
  const index = readFileSync(join(root, 'docs/README.md'), 'utf8');
  for (const page of pages.filter((each) => each.startsWith('docs/') && each !== 'docs/README.md'))
    assert.ok(index.includes(`](${page.slice('docs/'.length)})`), `docs/README.md does not link to ${page}`);
});

test('every test that SECURITY.md names is there, and every row names one', () => {
  const table =
    readFileSync(join(root, 'SECURITY.md'), 'utf8').split('### Published attacks')[1]?.split('\n## ')[0] ?? '';
  const rows = table.split('\n').filter((line) => /^\| (?!attack|---)/.test(line));
  assert.ok(rows.length > 20);
  for (const row of rows) {
    const [, file = '', name = ''] = /`([^`]+\.test\.ts)`: "([^"]+)" \|$/.exec(row) ?? [];
    assert.ok(name !== '' && existsSync(join(root, file)), row);
    assert.ok(readFileSync(join(root, file), 'utf8').includes(name), `${file} has no test "${name}"`);
  }
  const threats = readFileSync(join(root, 'SECURITY.md'), 'utf8');
  for (const [, path = ''] of threats.matchAll(/`((?:test|packages)\/[^`\s]+)`/g))
    assert.ok(existsSync(join(root, path)), `SECURITY.md names ${path}`);
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

/** Command lines in blocks and in running text, as far as a shell would give them to `gatehouse`. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^ *```[a-z]*\n(.*?)^ *```$/gms)].map(([, block = '']) =>
    block.replaceAll(/\\\n/g, ' '),
  );
  const inline = [...text.replaceAll(/^ *```.*?^ *```$/gms, '').matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  return [...blocks.flatMap((block) => block.split('\n')), ...inline].flatMap((line) =>
    [...line.matchAll(/(?:^|[\s(])gatehouse (?:-- )?([a-z][^|;)>#]*)/g)].map(([, command = '']) => command.trim()),
  );
}

/** What is wrong with a command line of `gatehouse`; undefined where it has each verb and option of it. */
function problemOf(line: string): string | undefined {
  const words: string[] = line.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  let command: Command = createProgram();
  let names = 0;
  for (; command.commands.length > 0; names++) {
    const child = command.commands.find((each) => each.name() === words[names]);
    if (!child) break;
    command = child;
  }
  if (names === 0) return 'there is no such verb';
  // A group alone stands for its default verb, or for the group in running text.
  const isGroup = command.commands.length > 0;
  if (isGroup && words[names] !== undefined && !words[names]?.startsWith('-')) return `it has no verb ${words[names]}`;
  const known = [command, ...command.commands].flatMap(({ options }) => options.map(({ long }) => long));
  const own = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined);
  const flag = own.find((word) => word.startsWith('--') && ![...known, '--help'].includes(word.split('=')[0]));
  return flag && `it has no option ${flag}`;
}

test('every gatehouse command in the docs is one that the command line has, with options that it has', () => {
  for (const page of pages.filter((each) => each !== 'CHANGELOG.md'))
    for (const line of commandLines(readFileSync(join(root, page), 'utf8')))
      assert.equal(problemOf(line), undefined, `${page}: gatehouse ${line}`);
});

test('so is every command that a message tells somebody to give', () => {
  const sources = globSync('packages/*/src/**/*.{ts,tsx}', { cwd: root, exclude: ['**/*.test.ts', '**/testing/**'] });
  const found = sources.flatMap((source) => {
    const text = readFileSync(join(root, source), 'utf8')
      .replaceAll('\\`', '`')
      .replaceAll(/\$\{[^{}]*\}/g, 'NAME');
    // What is no message (a label of a key, say) has another first word.
    const all = text.matchAll(
      /(?<!update\()`gatehouse ([a-z][^`\n:|…]*)`|'gatehouse ((?:[a-z]+s|status|kill) [^'\n:|…]+)'/g,
    );
    return [...all].map(([, inText, alone]) => ({ source, line: inText ?? alone ?? '' }));
  });
  assert.ok(found.length > 60, `${found.length} commands were found`);
  const wrong = found.flatMap(({ source, line }) => {
    const problem = problemOf(line);
    return problem === undefined ? [] : [`${source}: gatehouse ${line}: ${problem}`];
  });
  assert.deepEqual(wrong, []);
});
