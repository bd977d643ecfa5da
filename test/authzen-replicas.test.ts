import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type RunningServer, startServer } from '@gatehouse/server';
import { request } from 'undici';
import { manifests } from './support/fixtures.ts';
import { freePort } from './support/free-port.ts';
import { createPlatform, type GatewayClient, openGateway } from './support/gateway.ts';
import { startPostgres } from './support/postgres.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Another gateway asks two replicas on one PostgreSQL database: what one was asked, told or made to forget holds at the other. */
const postgres = await startPostgres();
const missing = postgres ? false : 'PostgreSQL is missing: see above';
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-authzen-'));
const MCP = 'https://edge.example/mcp';
let first: Workspace;
let second: RunningServer;
let gateway: GatewayClient;
let bearer: string;
const ports: number[] = [];

before(async () => {
  if (!postgres) return;
  const { url: database } = await postgres.createDatabase();
  const dataDir = (name: string) => {
    mkdirSync(join(directory, name), { mode: 0o700 });
    return join(directory, name);
  };
  first = await startWorkspace({ database, mutualTls: true, dataDir: dataDir('one'), replica: 'one' });
  const port = await freePort();
  ports.push(Number(new URL(first.url).port), port);
  cpSync(join(directory, 'one', 'keys'), join(dataDir('two'), 'keys'), { recursive: true });
  const config = {
    database,
    host: '127.0.0.1',
    port,
    publicUrl: first.url,
    trustDomain: 'example.test',
    replica: 'two',
  };
  second = await startServer({ ...config, dataDir: join(directory, 'two') });
  const platform = await createPlatform();
  await first.apply([
    ...manifests(),
    ...platform.manifests({
      name: 'edge',
      environment: 'production',
      starts: ['agent-b'],
      gateway: {
        servers: ['shop'],
        urls: [new URL(MCP).origin],
        subjects: [{ type: 'user', id: 'bea', agent: 'agent-b', template: 'all' }],
      },
    }),
  ]);
  gateway = await openGateway(first, platform, 'edge');
  bearer = await gateway.jwtSvid();
});
after(async () => {
  gateway?.close();
  await second?.close();
  await first?.close();
  await postgres?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** `replica`: 0 or 1, both under the public name. */
async function ask(replica: number, tool: string, args: object) {
  for (;;) {
    const { statusCode, body } = await request(`http://127.0.0.1:${ports[replica]}/access/v1/evaluation`, {
      method: 'POST',
      headers: {
        host: new URL(first.url).host,
        'content-type': 'application/json',
        authorization: `Bearer ${bearer}`,
      },
      body: JSON.stringify({
        subject: { type: 'user', id: 'bea' },
        action: { name: 'tools/call' },
        resource: { type: 'tool', id: tool },
        context: { arguments: args },
      }),
    });
    const answer = (await body.json()) as { decision?: boolean; context?: Record<string, unknown>; title?: string };
    // A busy machine may lose touch with its database; nothing is used up by what is answered so.
    if (statusCode !== 503) return { status: statusCode, ...answer };
  }
}
const refund = (replica: number) =>
  ask(replica, 'refund_order', { order: 1042, amount_cents: 40, currency: 'EUR', reason: 'broken' });

/** @proves authzen.replicas */
test('both decide alike, and one yes is taken once', { skip: missing }, async () => {
  for (const replica of [0, 1]) {
    assert.equal((await ask(replica, 'get_order', { order: 1042 })).decision, true);
    const { decision, context } = await ask(replica, 'drop_table', { table: 'orders' });
    assert.deepEqual([decision, context?.reason], [false, 'tier.prohibited']);
  }
  const [asked] = [await refund(0)];
  assert.equal(asked.context?.reason, 'approval_required');
  const { items } = await first.operator('GET /approvals', { query: { state: 'pending' } });
  const approver = await first.person('approver@example.test');
  for (const { id } of items) await approver.approve(id);
  const both = await Promise.all([refund(0), refund(1)]);
  const yes = both.filter(({ decision }) => decision === true).length;
  assert.ok(yes <= 1, 'one yes was taken twice');
  if (yes === 0) {
    // Each replica starts a task of its own for a subject: the question was the first one's.
    assert.equal((await refund(0)).decision, true);
  }
  assert.equal((await refund(0)).decision, false);
});

test('when a kill at one returns, the other tells that agent, and that gateway, no', { skip: missing }, async () => {
  assert.equal((await ask(1, 'get_order', { order: 1042 })).decision, true);
  await first.operator('POST /agents/:name/kill', { params: { name: 'agent-b' } });
  const told = await ask(1, 'get_order', { order: 1042 });
  assert.deepEqual([told.decision, told.context?.reason], [false, 'agent.killed']);
  await first.operator('POST /workloads/:name/kill', { params: { name: 'edge' }, body: { reason: 'test' } });
  for (const replica of [1, 0]) {
    const { status } = await ask(replica, 'get_order', { order: 1042 });
    assert.ok(status === 401 || status === 403, String(status));
  }
});
