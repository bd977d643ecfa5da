import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { loadManifests, ManifestFileError } from './load-manifests.ts';

const kinds = manifest.options.map(({ shape }) => shape.kind.value);

const root = mkdtempSync(join(tmpdir(), 'manifests-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;

function directoryOf(files: Record<string, string>): string {
  const directory = join(root, String(++count));
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return directory;
}

function problemsOf(files: Record<string, string>): string[] {
  try {
    loadManifests(directoryOf(files));
  } catch (error) {
    assert.ok(error instanceof ManifestFileError, String(error));
    return error.problems.map(({ file, line, path, message }) => `${file}:${line} ${path} ${message}`);
  }
  return assert.fail('was accepted');
}

const server = (transport: string, name = 'files') =>
  `kind: ToolServer\nname: ${name}\nenvironments: [dev]\ntransport: ${transport}\n`;

test('one file by itself; what it may not be in a directory it may not be alone', () => {
  const directory = directoryOf({
    'a.yaml': 'kind: Environment\nname: dev\n',
    'b.yaml': 'kind: Environment\nname: prod\n',
    'c.txt': 'kind: Environment\nname: other\n',
    'files/mine.yaml': `${server('{ type: stdio, command: node, directories: [{ path: ., access: rw }] }')}`,
  });
  assert.deepEqual(
    loadManifests(join(directory, 'b.yaml')).map((each) => 'name' in each && each.name),
    ['prod'],
  );
  assert.throws(() => loadManifests(join(directory, 'c.txt')), /c\.txt:1:1: Manifests are in files called \*\.yaml/);
  assert.throws(() => loadManifests(join(directory, 'files', 'mine.yaml')), /mine\.yaml:1:1: .*reach/);
});

test('documents of YAML files and policies of Cedar files, also from subdirectories; hidden ones and links are left', () => {
  const directory = directoryOf({
    'a.yaml': 'kind: Environment\nname: dev\n---\nkind: Environment\nname: prod\n---\n',
    'policies/caps.cedar': 'forbid(principal, action, resource);',
    'more/deep/people.yml': 'kind: Person\nemail: a@example.test\ndisplayName: A\nroles: [admin]\n',
    '.hidden/b.yaml': 'kind: nonsense',
    'node_modules/c.yaml': 'kind: nonsense',
    'notes.txt': 'kind: nonsense',
  });
  symlinkSync(join(directory, '.hidden'), join(directory, 'link'));
  const loaded = loadManifests(directory);
  assert.deepEqual(
    loaded.map(({ kind }) => kind),
    ['Environment', 'Environment', 'Policy', 'Person'],
  );
});

test('what is wrong is said with file, line and path, all at once', () => {
  assert.deepEqual(
    problemsOf({
      'a.yaml': 'kind: Environment\nname: Dev\n---\nkind: Environment\nname: dev\nprodution: true\n',
      'b.yaml': 'kind: Enviroment\nname: x\n',
      'c.yaml': 'kind: Agent\nname: agent-x\nowner: a@example.test\npurpose: x\nenvironment: dev\nrisk: huge\n',
    }),
    [
      'a.yaml:2 name lower-case letters, digits and single hyphens, beginning with a letter',
      'a.yaml:6 prodution Unrecognized key: "prodution"',
      `b.yaml:1 kind "Enviroment" is no kind of manifest. There are ${kinds.join(', ')}.`,
      'c.yaml:1 blueprint Invalid input: expected string, received undefined',
      'c.yaml:6 risk Invalid option: expected one of "low"|"medium"|"high"',
    ],
  );
});

test('text that is no YAML, repeated keys, and documents that grow without bound are refused with their line', () => {
  assert.match(problemsOf({ 'a.yaml': 'kind: Environment\nname: [dev\n' })[0] ?? '', /^a\.yaml:\d+ /);
  assert.match(problemsOf({ 'a.yaml': 'kind: Environment\nname: dev\nname: prod\n' })[0] ?? '', /^a\.yaml:3 .*unique/);
  const bomb = ['kind: Environment', 'a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let level = 0; level < 9; level++) {
    const [from, to] = ['abcdefghij'[level], 'abcdefghij'[level + 1]];
    bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(', ')}]`);
  }
  assert.match(problemsOf({ 'a.yaml': bomb.join('\n') })[0] ?? '', /alias/);
  assert.match(problemsOf({ 'Bad Name.cedar': '' })[0] ?? '', /^Bad Name\.cedar:1 .*file's name is the policy's name/);
  assert.throws(() => loadManifests(join(root, 'nowhere')), /There is no file or directory/);
});

test('one object in two files is refused with both places', () => {
  const text = 'kind: Environment\nname: dev\n';
  assert.deepEqual(problemsOf({ 'a.yaml': text, 'b.yaml': `# again\n${text}` }), [
    'b.yaml:2  Environment dev is also in a.yaml:1. Keep one.',
  ]);
});

test('paths are resolved against the file that says them, packages as Node finds them', () => {
  const transport =
    "{type: stdio, command: node, args: ['npm:tool', 'npm:two#second', 'file:./data', plain], env: {F: 'file:../x', G: g}, directories: [{path: ./data, access: rw}]}";
  const directory = directoryOf({
    'servers/files.yaml': server(transport),
    'node_modules/tool/package.json': '{"name": "tool", "bin": "cli.js"}',
    'node_modules/two/package.json': '{"name": "two", "bin": {"first": "1.js", "second": "2.js"}}',
  });
  const [loaded] = loadManifests(directory);
  assert.ok(loaded?.kind === 'ToolServer' && loaded.transport.type === 'stdio');
  assert.deepEqual(loaded.transport.args, [
    join(directory, 'node_modules/tool/cli.js'),
    join(directory, 'node_modules/two/2.js'),
    join(directory, 'servers/data'),
    'plain',
  ]);
  assert.deepEqual(loaded.transport.env, { F: join(directory, 'x'), G: 'g' });
  assert.deepEqual(loaded.transport.directories, [{ path: join(directory, 'servers/data'), access: 'rw' }]);
});

test('a package that is not there, has no program or several, is refused at its line', () => {
  const at = (reference: string) =>
    problemsOf({
      'a.yaml': server(`\n  type: stdio\n  command: node\n  args:\n    - '${reference}'`),
      'node_modules/none/package.json': '{"name": "none"}',
      'node_modules/two/package.json': '{"name": "two", "bin": {"first": "1.js", "second": "2.js"}}',
    })[0] ?? '';
  assert.match(at('npm:not-installed-anywhere'), /^a\.yaml:8 transport\.args\.0 .*npm install not-installed-anywhere/);
  assert.match(at('npm:none'), /has no program/);
  assert.match(at('npm:two'), /npm:two#first or npm:two#second/);
  assert.match(at('npm:two#third'), /npm:two#first/);
  assert.match(at('npm:../two'), /is not the name of a package/);
});

const granting = (path: string) => server(`{type: stdio, command: node, directories: [{path: ${path}, access: rw}]}`);

test('what an agent can write does not become policy: a granted directory is not read for manifests, and that is said', () => {
  const directory = directoryOf({
    'a.yaml': granting('./work'),
    'work/evil.cedar': 'permit(principal, action, resource);',
    'work/deep/evil.yaml': 'kind: Environment\nname: evil\n',
    'worker/fine.yaml': 'kind: Environment\nname: fine\n',
  });
  const skipped: unknown[] = [];
  const loaded = loadManifests(directory, (each) => skipped.push(each));
  assert.deepEqual(
    loaded.map(({ kind }) => kind),
    ['ToolServer', 'Environment'],
  );
  assert.deepEqual(skipped, [{ directory: join(directory, 'work'), server: 'files' }]);
});

test('a grant over manifests that were read is refused', () => {
  assert.match(problemsOf({ 'a.yaml': granting('.') })[0] ?? '', /holds the manifest a\.yaml/);
  assert.match(problemsOf({ 'a.yaml': granting('..') })[0] ?? '', /holds the manifest/);
  const files = { 'one/caps.cedar': '', 'two/a.yaml': granting('../one') };
  assert.match(problemsOf(files)[0] ?? '', /^two\/a\.yaml:1 .*holds the manifest one\/caps\.cedar/);
});
