import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentTask, createAgent, createMcpTransport } from '@gatehouse/sdk';
import { backUp, type RestoreOptions, restore, Secret } from '@gatehouse/server/backup';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './fixtures.ts';
import { giveOut } from './given-out.ts';
import { startWorkspace, type Workspace } from './workspace.ts';

export const PASSPHRASE = 'canary passphrase of a backup';
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const refund = { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' };

async function call(task: AgentTask, name: string, args: Record<string, unknown>) {
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  try {
    return await client.callTool({ name, arguments: args });
  } finally {
    await client.close();
  }
}

async function recordsOf(workspace: Workspace): Promise<string[]> {
  const all: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const query: Record<string, string> = { limit: '200', ...(cursor && { cursor }) };
    const page = await workspace.operator('GET /records', { query });
    for (const { log, sequence, leafHash } of page.items) all.push(`${log} ${sequence} ${leafHash}`);
    cursor = page.cursor;
  }
  return all;
}

/** A workspace with something of everything that gives access, backed up under load; then things happened, and it was lost. */
export async function openScene(database: string) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-backup-test-'));
  const dataDir = join(directory, 'lost');
  const workspace = await startWorkspace({ database, dataDir });
  await workspace.apply(manifests());
  const owner = await workspace.person('owner@example.test');
  const [a, b] = [await workspace.agent('agent-a'), await workspace.agent('agent-b')];
  const bearer = await workspace.agent('agent-bearer', { bearerOnly: true });
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'before it' } });
  const bound = await a.startTask({ template: 'all', intent: 'test' });
  const task = await bearer.startTask({ template: 'all', intent: 'test' });
  const waiting = (await call(task, 'shop__refund_order', refund))._meta?.['gatehouse/approval'] as { id: string };
  await owner.approve(waiting.id);
  const givenOut = await giveOut(workspace, owner, bearer.key);
  const directoryToken = await workspace.operator('POST /scim/tokens', { body: { name: 'directory' } });

  let isOver = false;
  let calls = 0;
  const failures: unknown[] = [];
  const load = Array.from({ length: 3 }, async () => {
    const client = new Client({ name: 'load', version: '1' });
    await client.connect(createMcpTransport(bound));
    while (!isOver) {
      const answer = await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
      if (answer.isError) failures.push(answer);
      calls++;
    }
    await client.close();
  });
  const until = async (goal: number) => {
    while (calls < goal) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until(20);
  await workspace.operator('POST /backup');
  const file = join(directory, 'workspace.backup');
  const { digest, manifest } = await backUp({
    ...{ file, database, dataDir, version: '0', trustDomain: 'example.test', now: Date.now() },
    passphrase: new Secret(PASSPHRASE),
  });
  await until(calls + 20);
  isOver = true;
  await Promise.all(load);
  assert.deepEqual(failures, [], 'no call failed over the backup');

  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'after it' } });
  await workspace.restart();
  const laterCheckpoint = (await workspace.operator('GET /logs')).items[0]?.checkpoint ?? '';
  const records = await recordsOf(workspace);
  const decided = await call(await bearer.startTask({ template: 'all', intent: 'test' }), 'shop__get_order', {
    order: 1042,
  });
  await workspace.close();
  return {
    ...{ directory, dataDir, file, digest, manifest, laterCheckpoint, records, decided, owner, directoryToken },
    ...{ bound, task, waiting, givenOut, keys: { a: a.key, b: b.key, bearer: bearer.key } },
    url: workspace.url,
    port: Number(new URL(workspace.url).port),
    restoreTo: (name: string, options: Partial<RestoreOptions> = {}) =>
      restore({
        ...{ file, database: 'sqlite', dataDir: join(directory, name), keyEncryption: [], environment: {} },
        ...{ passphrase: new Secret(PASSPHRASE), by: 'operator', clock: { now: () => Date.now() }, log: quiet },
        ...options,
      }),
  };
}
export type Scene = Awaited<ReturnType<typeof openScene>>;

/** What must hold of a restored workspace that runs where the lost one did. */
export async function checkRestored(scene: Scene, workspace: Workspace): Promise<void> {
  const { manifest, task, bound, keys, url } = scene;
  const verify = (body: object) => workspace.operator('POST /logs/verify', { body });
  assert.deepEqual((await verify({})).problem, null);
  const recorded = manifest.logs.flatMap(({ checkpoint }) => checkpoint ?? []);
  assert.ok(recorded.length > 0);
  assert.equal((await verify({ checkpoints: recorded })).problem, null, 'up to the checkpoint of the backup');
  const rolledBack = await verify({ checkpoints: [scene.laterCheckpoint] });
  assert.match(rolledBack.problem ?? '', /truncated/, 'an auditor who has a later checkpoint sees the rollback');

  const lost = scene.records.filter((each) => each.startsWith(manifest.logs[0]?.id ?? '-'));
  const restored = await recordsOf(workspace);
  const old = restored.filter((each) => each.startsWith(`${manifest.logs[0]?.id} `));
  assert.equal(old.length, manifest.logs[0]?.size);
  for (const each of old) assert.ok(lost.includes(each), 'each record is the one that was');

  const { items: logs } = await workspace.operator('GET /logs');
  const opened = logs.filter(({ id }) => !manifest.logs.some((each) => each.id === id));
  assert.equal(opened.length, 2, 'that of the restore, and that of the replica');
  const { items: first } = await workspace.operator('GET /records', { query: { operation: 'workspace.restore' } });
  assert.equal(first[0]?.sequence, 0);
  const changes = first[0]?.record.changes?.join() ?? '';
  for (const { id } of manifest.logs) assert.match(changes, new RegExp(`log ${id} closed at \\d+ records, root `));
  assert.match(changes, new RegExp(scene.digest));

  const { items: agents } = await workspace.operator('GET /agents');
  assert.deepEqual(
    agents.map(({ name, state }) => [name, state]),
    [
      ['agent-a', 'suspended'],
      ['agent-b', 'suspended'],
      ['agent-bearer', 'suspended'],
    ],
  );
  const clientOf = (name: string, key: (typeof keys)['a']) => createAgent({ url, agent: name, key });
  for (const [name, key] of [
    ['agent-a', keys.a],
    ['agent-b', keys.b],
  ] as const)
    await assert.rejects(
      (await clientOf(name, key)).startTask({ template: 'all', intent: 'again' }),
      /suspended|killed/,
    );

  await scene.givenOut.checkWorthless(workspace);
  await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-a' }, body: { state: 'active' } });
  const mcp = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
  assert.equal((await task.fetch(`${url}/mcp`, mcp)).status, 401, 'a token of before');
  assert.equal((await bound.fetch(`${url}/mcp`, mcp)).status, 401, 'a bound token of before');
  assert.equal((await fetch(`${url}/api/v1/session`, { headers: { cookie: scene.owner.cookie } })).status, 401);
  const scim = { headers: { authorization: `Bearer ${scene.directoryToken.token}` } };
  assert.equal((await fetch(`${url}/scim/v2/Users`, scim)).status, 401, "the directory's token");

  const bearer = await createAgent({ url, agent: 'agent-bearer', key: keys.bearer, bearerOnly: true });
  await assert.rejects(bearer.resumeTask(task.id), 'a task of before');
  const anew = await bearer.startTask({ template: 'all', intent: 'test' });
  assert.deepEqual((await call(anew, 'shop__get_order', { order: 1042 })).isError, scene.decided.isError);
  const held = (await call(anew, 'shop__refund_order', refund))._meta?.['gatehouse/approval'] as { id: string };
  assert.ok(held.id && held.id !== scene.waiting.id, 'policies decide the same');
  const { state } = await workspace.operator('GET /approvals/:id', { params: { id: scene.waiting.id } });
  assert.equal(state, 'cancelled', 'a yes that may have been used since is not used again');
  assert.equal((await verify({})).problem, null);
}
