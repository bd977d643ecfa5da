import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { type RawServer, startRawServer } from '../packages/server/src/gate/mcp/testing/raw-server.ts';
import { manifests } from './support/fixtures.ts';
import { ApiError, type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
let server: RawServer;
let owner: SignedInPerson;
let call: (name: string, args: Record<string, unknown>) => Promise<Record<string, unknown>>;
let close: () => Promise<void>;
let ran = 0;

before(async () => {
  server = await startRawServer({
    era: '2025-11-25',
    tools: [{ name: 'wire', inputSchema: { type: 'object', properties: { to: { type: 'string' } } } }],
    answer: ({ params }) => {
      ran++;
      const { to } = (params as { arguments: { to: string } }).arguments;
      if (to.startsWith('lost')) return null;
      return { result: { content: [{ type: 'text', text: 'done' }] } };
    },
  });
  workspace = await startWorkspace();
  await workspace.apply([
    ...manifests().filter(({ kind }) => kind !== 'Template'),
    {
      kind: 'ToolServer',
      name: 'bank',
      environments: ['production'],
      transport: { type: 'http', url: server.url, allowPrivateAddress: true },
      tools: { wire: { tier: 2, effects: ['pay'] } },
    },
    { kind: 'Template', name: 'all', allow: [{ tools: ['bank/*'] }] },
    { kind: 'Template', name: 'refund-order', allow: [{ tools: ['bank/wire'] }] },
  ]);
  owner = await workspace.person('owner@example.test');
  const task = await (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'wire' });
  const client = new Client({ name: 't', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
  await client.connect(createMcpTransport(task));
  call = async (name, args) => client.callTool({ name, arguments: args }) as Promise<Record<string, unknown>>;
  close = () => client.close();
});
after(async () => {
  await close?.();
  await workspace?.close();
  await server?.close();
});

const cli = join(import.meta.dirname, '..', 'packages', 'cli', 'src', 'main.ts');
const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [cli, ...args, '--url', workspace.url, '--data-dir', workspace.dataDir], {
    env: { ...process.env, NO_COLOR: '1' },
  }).catch((error: { code: number; stdout: string; stderr: string }) => error);

async function lose(to: string): Promise<string> {
  const { _meta } = (await call('bank__wire', { to })) as { _meta?: { 'gatehouse/outcome'?: { action_id: string } } };
  const id = _meta?.['gatehouse/outcome']?.action_id;
  assert.ok(id);
  return id;
}

/** @proves unknown.not-repeated */
test('an agent that repeats a call whose answer was lost is told to wait for a person; the tool sees it once', async () => {
  ran = 0;
  const id = await lose('lost-1');
  const again = await call('bank__wire', { to: 'lost-1' });
  assert.equal(ran, 1);
  const { 'gatehouse/approval': waits } = (again._meta ?? {}) as Record<string, { id: string }>;
  assert.ok(waits);
  const approval = await workspace.operator('GET /approvals/:id', { params: { id: waits.id } });
  assert.equal(approval.repeats, id);
});

/** @proves unknown.resolved */
test('its owner and security may say what came of it; approvers of others, auditors and whoever made it up may not', async () => {
  const id = await lose('lost-2');
  const body = { what: 'happened', note: 'It is in the account.' } as const;
  const refusals = async (who: SignedInPerson) =>
    who.api('POST /actions/:id/resolve', { params: { id }, body }).then(
      () => null,
      (error: unknown) => (error instanceof ApiError ? error.status : error),
    );
  assert.equal(await refusals(await workspace.person('auditor@example.test')), 403);
  const said = await owner.api('POST /actions/:id/resolve', { params: { id }, body });
  assert.equal(said.resolution?.by, 'person:owner@example.test');
  assert.equal(await refusals(owner), 409);
  const verified = await workspace.operator('POST /logs/verify', { body: {} });
  assert.equal(verified.problem, null);
});

/** @proves unknown.resolved */
test('the command line lists what is unknown and resolves it', async () => {
  const id = await lose('lost-3');
  assert.match((await run('actions')).stdout, new RegExp(`${id} +agent-a +bank/wire`));
  const vague = await run('actions', 'resolve', id, '--note', 'x');
  assert.equal('code' in vague && vague.code, 64);
  const said = await run(
    'actions',
    'resolve',
    id,
    '--not-happened',
    '--note',
    'nothing there',
    '--reference',
    'T-1',
    '--json',
  );
  assert.deepEqual(
    { ...JSON.parse(said.stdout).resolution, at: '' },
    { what: 'not-happened', note: 'nothing there', reference: 'T-1', by: 'operator', at: '' },
  );
  const { items } = JSON.parse((await run('actions', 'unknown', '--json')).stdout);
  assert.ok(!items.some(({ actionId }: { actionId: string }) => actionId === id));
  assert.match((await run('log', 'show', id)).stdout, /Resolved +not-happened, says operator: nothing there \(T-1\)/);
});
