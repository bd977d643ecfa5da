import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { leafHash } from '@gatehouse/verifier';
import { Client } from '@modelcontextprotocol/client';
import { createCli } from '../packages/cli/test/support.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
let auditor: SignedInPerson;
let actionId: string;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  auditor = await workspace.person('auditor@example.test');
  const task = await (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'look at an order' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
  await client.close();
  const { items } = await workspace.operator('GET /actions', { query: { operation: 'tools/call' } });
  actionId = items[0]?.actionId ?? '';
});
after(() => workspace.close());

const looks = async (person: string) => {
  const { items } = await workspace.operator('GET /records', { query: { operation: 'log.read', person } });
  return items.flatMap(({ record }) => record.changes).toReversed();
};

/** @proves record.reads */
test('who looks at the record is in the record: searches together, each body and each proof; lists leave that out', async () => {
  for (let each = 0; each < 5; each++) await auditor.api('GET /actions', { query: { agent: 'agent-a' } });
  await auditor.api('GET /records', { query: { text: 'order', from: '-1h' } });
  const seen = await looks('auditor@example.test');
  assert.equal(seen.length, 1, 'the first of many');
  assert.match(seen[0] ?? '', /^actions where agent is agent-a: \d+ shown$/);
  const view = await auditor.api('GET /actions/:id', { params: { id: actionId } });
  assert.ok(view.arguments);
  await auditor.api('GET /actions/:id', { params: { id: actionId } });
  const [first] = view.records;
  const params = { log: first?.log ?? '', sequence: String(first?.sequence) };
  await auditor.api('GET /records/:log/:sequence/receipt', { params });
  assert.deepEqual((await looks('auditor@example.test')).slice(1), [
    `${actionId} with its arguments: ${view.records.length} shown`,
    `receipt of record ${first?.sequence} of ${first?.log}: 1 shown`,
  ]);
  // Each action's are a kind of their own: with those of another the first looks would be hidden in a count.
  const { items: others } = await workspace.operator('GET /records', { query: { operation: 'manifest.apply' } });
  const [other] = others;
  const elsewhere = { log: other?.log ?? '', sequence: String(other?.sequence) };
  await auditor.api('GET /records/:log/:sequence/receipt', { params: elsewhere });
  for (const tile of ['tile/0/000.p/1', 'tile/entries/000.p/1']) {
    const path = `${workspace.url}/log/${elsewhere.log.split('/').at(-1)}/${tile}`;
    const answer = await fetch(path, { headers: { cookie: auditor.cookie } });
    assert.equal(answer.status, 200);
    const kept = answer.headers.get('cache-control') !== 'no-store';
    assert.equal(kept, !tile.includes('entries'), 'what is recorded when it is read is read from us each time');
  }
  assert.deepEqual((await looks('auditor@example.test')).slice(3), [
    `receipt of record ${other?.sequence} of ${other?.log}: 1 shown`,
    `entries of ${other?.log}: tile/entries/000.p/1: 1 shown`,
  ]);
  const { items } = await workspace.operator('GET /actions', { query: { person: 'auditor@example.test' } });
  assert.ok(items.every(({ operation }) => operation !== 'log.read'));
  // What was not counted yet is when the server ends.
  await workspace.restart();
  const counted = (await looks('auditor@example.test')).filter((line) => line.includes('more times'));
  assert.ok(
    counted.some((line) => /^5 more times in 5 minutes, \d+ shown: actions/.test(line)),
    counted.join('\n'),
  );
});

/** @proves record.search */
test('times name their zone, and what cannot be searched for is said', async () => {
  const search = (query: Record<string, string>) => workspace.operator('GET /actions', { query });
  const hour = new Date(Date.now() - 3_600_000).toISOString().slice(0, 16);
  assert.ok((await search({ from: hour, zone: 'UTC', agent: 'agent-a' })).items.length > 0);
  assert.equal((await search({ from: hour, zone: 'Pacific/Kiritimati', to: hour.concat('Z') })).items.length, 0);
  for (const [query, code] of [
    [{ from: hour }, 'query.time'],
    [{ from: '2026-13-45', zone: 'UTC' }, 'query.time'],
    [{ from: hour, zone: 'Mars/Olympus' }, 'query.zone'],
    [{ text: '***' }, 'query.text'],
    [{ text: 'ab*' }, 'query.text'],
    [{ text: 'a b c d e f g h i j k' }, 'query.text'],
    [{ label: 'a,b,c,d,e,f' }, 'query.label'],
  ] as [Record<string, string>, string][])
    await assert.rejects(search(query), (error: { status: number; problem: { title?: string } }) => {
      assert.equal(error.status, 400);
      assert.equal(error.problem.title, code);
      return true;
    });
});

/** Of the record on a line of an export. */
const leafOf = (line: string) =>
  Buffer.from(leafHash(Buffer.from((JSON.parse(line) as { entry: string }).entry))).toString('base64');

/** @proves record.export */
test('an export is proven offline; cut off it is found and gone on with, and edited it is found', async () => {
  const file = join(workspace.dataDir, 'export.jsonl');
  const { run: cli } = createCli(workspace.dataDir, {
    GATEHOUSE_URL: workspace.url,
    GATEHOUSE_DATA_DIR: workspace.dataDir,
  });
  const exported = await cli('log', 'export', '-o', file, '--json');
  assert.equal(exported.code, 0, exported.stderr);
  assert.equal((await cli('log', 'verify', file)).code, 0);
  const whole = readFileSync(file, 'utf8');
  const lines = whole.trimEnd().split('\n');

  truncateSync(file, Math.floor(whole.length / 2));
  assert.equal((await cli('log', 'verify', file)).code, 1);
  assert.equal((await cli('log', 'export', '-o', file)).code, 64, 'an existing file is not written over');
  assert.equal((await cli('log', 'export', '-o', file, '--resume')).code, 0);
  const resumed = await cli('log', 'verify', file, '--json');
  assert.equal(resumed.code, 0, resumed.stdout);

  const records = lines.findIndex((line) => line.includes('get_order'));
  const edits: [string, string[]][] = [
    ['edited', lines.with(records, (lines[records] ?? '').replace('get_order', 'get_odrer'))],
    ['removed', lines.toSpliced(records, 1)],
    [
      'left out of what says that it has all',
      lines.with(
        records,
        JSON.stringify({ at: JSON.parse(lines[records] ?? '').at, hash: leafOf(lines[records] ?? '') }),
      ),
    ],
    ['without its end', lines.slice(0, -1)],
    ['without its proof', lines.slice(0, -2)],
  ];
  for (const [what, edited] of edits) {
    writeFileSync(file, `${edited.join('\n')}\n`);
    assert.equal((await cli('log', 'verify', file)).code, 1, what);
  }
  const filtered = join(workspace.dataDir, 'filtered.jsonl');
  assert.equal((await cli('log', 'export', '-o', filtered, '--tool', 'shop/get_order')).code, 0);
  const part = readFileSync(filtered, 'utf8');
  assert.ok(part.includes('shop/get_order') && !part.includes('manifest.apply'));
  assert.equal((await cli('log', 'verify', filtered)).code, 0);
  assert.match((await looks('operator')).join('\n'), /^export of .*, records 0 to \d+: 0 shown$/m);
});
