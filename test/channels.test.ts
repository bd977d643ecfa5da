import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { Webhook } from 'standardwebhooks';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Channels, with receivers that speak the real protocol: Standard Webhooks is verified and signed by its authors' library.
 */
const OUT = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const BACK = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

interface Received {
  path: string;
  headers: Record<string, string>;
  body: string;
}

let workspace: Workspace;
let approver: SignedInPerson;
const received: Received[] = [];
/** What the receiver at a path answers; `hang` never does. */
const behaviour = new Map<string, number | 'hang'>();
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const path = request.url ?? '';
  received.push({ path, headers: request.headers as Record<string, string>, body });
  const status = behaviour.get(path) ?? 204;
  if (status !== 'hang') response.writeHead(status).end();
});

before(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  workspace = await startWorkspace();
  const secret = (name: string, value: string, to: string) =>
    workspace.operator('PUT /secrets/:name', { params: { name }, body: { value, origins: [to] } });
  await secret('out', OUT, origin);
  await secret('back', BACK, workspace.url);
  const hook = (name: string, more: object = {}) => ({
    kind: 'Channel' as const,
    name,
    allowPrivateAddress: true,
    people: {
      'u-approver': 'approver@example.test',
      'u-auditor': 'auditor@example.test',
      'u-asker': 'owner@example.test',
    },
    webhook: { url: `${origin}/${name}`, secret: 'out', answerSecret: 'back' },
    ...more,
  });
  await workspace.apply([
    ...(manifests().map((each) =>
      each.kind === 'ToolServer'
        ? {
            ...each,
            tools: { ...each.tools, export_customers: { tier: 3, effects: ['export'], approvers: 'by-hook' } },
          }
        : each,
    ) as ReturnType<typeof manifests>),
    { kind: 'ApprovalRule', name: 'by-hook', steps: [{ from: ['role:approver'] }], accept: ['channel:good'] },
    hook('good', { show: 'arguments' }),
    hook('bad'),
    hook('hanging', { show: 'nothing' }),
    hook('other', { agents: ['agent-b'] }),
  ]);
  behaviour.set('/bad', 500).set('/hanging', 'hang');
  approver = await workspace.person('approver@example.test');
});
after(async () => {
  await workspace?.close();
  receiver.closeAllConnections();
  receiver.close();
});

async function ask(more: { reason?: string; requestedBy?: string; tool?: 'export_customers' } = {}) {
  const { requestedBy, reason = 'test', tool = 'refund_order' } = more;
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test', ...(requestedBy && { requestedBy }) });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const refund = { order: 1042, amount_cents: 1 + Math.floor(Math.random() * 1e6), currency: 'EUR', reason };
  const args = tool === 'refund_order' ? refund : { destination: `https://${crypto.randomUUID()}.example.test` };
  const call = () => client.callTool({ name: `shop__${tool}`, arguments: args });
  const waiting = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.ok(waiting);
  return { id: waiting.id, call, task };
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  for (let tries = 0; tries < 1_200; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error(`never: ${what}`);
}

const events = (path: string, approval: string) =>
  received
    .filter((each) => each.path === path)
    .map((each) => ({ ...each, event: JSON.parse(each.body) as { type: string; data: Record<string, unknown> } }))
    .filter(({ event }) => event.data.approval === approval);

const told = (path: string, approval: string, type: string) =>
  until(() => events(path, approval).find(({ event }) => event.type === type), `${type} at ${path}`);

function say(
  body: object,
  { id = `msg_${Math.random()}`, secret = BACK, at = new Date(), more = {} as Record<string, string> } = {},
) {
  const text = JSON.stringify(body);
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, at, text),
    'content-type': 'application/json',
    ...more,
  };
  return async (channel = 'good') => {
    const response = await fetch(`${workspace.url}/channels/${channel}`, { method: 'POST', headers, body: text });
    const answer = (await response.json()) as { state?: string; title?: string; detail?: string };
    return { status: response.status, ...answer };
  };
}

/** @proves channel.told, channel.signed */
test('what waits is told, signed, once the approval is there; and told again when somebody has decided', async () => {
  const { id } = await ask();
  const { headers, body, event } = await told('/good', id, 'approval.asked');
  new Webhook(OUT).verify(body, headers);
  const { data } = event;
  assert.equal(data.agent, 'agent-a');
  assert.equal(data.tool, 'shop/refund_order');
  assert.equal(data.url, `${workspace.url}/approvals/${id}`);
  assert.equal((data.arguments as { order: number }).order, 1042);
  await approver.approve(id);
  const closed = await told('/good', id, 'approval.closed');
  assert.equal(closed.event.data.state, 'approved');
  assert.equal(closed.event.data.decidedBy, 'approver@example.test');
  assert.notEqual(closed.headers['webhook-id'], headers['webhook-id']);
});

/** @proves channel.lanes */
test('a channel that fails or hangs delays no other, is tried again with the same id, and says so', async () => {
  const first = await ask();
  await told('/good', first.id, 'approval.asked');
  const second = await ask();
  await told('/good', second.id, 'approval.asked');
  const tries = await until(() => {
    const all = events('/bad', first.id);
    return all.length > 1 ? all : undefined;
  }, 'a second try');
  assert.equal(new Set(tries.map(({ headers }) => headers['webhook-id'])).size, 1);
  const bad = await workspace.operator('GET /channels/:name', { params: { name: 'bad' } });
  assert.ok(bad.waiting > 0);
  assert.match(bad.lastError?.error ?? '', /500/);
  behaviour.set('/bad', 204);
  await told('/bad', second.id, 'approval.asked');
  assert.deepEqual(events('/hanging', first.id)[0]?.event.data.tool, undefined, 'it shows nothing');
  assert.equal(events('/other', first.id).length, 0, 'it is for another agent');
});

/** @proves channel.deny */
test('somebody who may says no in a channel, and it is on record through which', async () => {
  const { id, call } = await ask();
  const answer = await say({ approval: id, decision: 'deny', person: 'u-approver', reason: 'not this one' })();
  assert.deepEqual([answer.status, answer.state], [200, 'denied']);
  const again = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.notEqual(again?.id, id);
  const { items } = await workspace.operator('GET /records', { query: { approval: id } });
  const record = items.find((each) => each.record.operation === 'approval.deny');
  assert.match(JSON.stringify(record), /through channel good/);
  assert.match(JSON.stringify(record), /person:approver@example.test/);
});

/** @proves channel.accepted */
test('a signed yes of a receiver counts where a rule accepts the channel, for exactly what it was told of, and the call runs', async () => {
  const { id, call } = await ask({ tool: 'export_customers' });
  const { event } = await told('/good', id, 'approval.asked');
  assert.deepEqual(
    [event.data.requestedBy, event.data.handedOnBy, event.data.undo],
    [null, [], { possible: 'no', how: null, withinSeconds: null }],
  );
  assert.match(String(event.data.why), /tier 3/);
  const yes = { approval: id, decision: 'approve', person: 'u-approver', digest: event.data.digest };
  assert.notEqual((await say({ ...yes, digest: `sha256-${'0'.repeat(64)}` })()).status, 200);
  assert.equal((await say(yes)('bad')).status, 403, 'no rule accepts that one');
  assert.deepEqual([(await say(yes)()).state, (await call()).isError ?? false], ['approved', false]);
  const { state, votes } = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual([state, votes[0]?.person, votes[0]?.channel], ['consumed', 'approver@example.test', 'good']);
});

/** @proves channel.inbound */
test('what is not signed by the channel, is old, is heard twice, or comes from somebody who may not, decides nothing', async () => {
  const { id, task } = await ask({ requestedBy: 'owner@example.test' });
  const deny = { approval: id, decision: 'deny', person: 'u-approver' };
  const token = await task.token();
  const refused = async (answer: Promise<{ status: number; title?: string }>, status: number, code: string) => {
    const { status: was, title } = await answer;
    assert.deepEqual([was, title], [status, code]);
  };
  await refused(say(deny, { secret: OUT })(), 401, 'webhook.signature');
  await refused(say(deny, { at: new Date(Date.now() - 301_000) })(), 401, 'webhook.timestamp');
  await refused(say(deny, { at: new Date(Date.now() + 310_000) })(), 401, 'webhook.timestamp');
  await refused(say(deny, { more: { authorization: `DPoP ${token}` } })(), 401, 'channel.token');
  await refused(say(deny, { more: { authorization: `Bearer ${token}` } })(), 401, 'channel.token');
  await refused(say(deny)('nowhere'), 404, 'channel.unknown');
  await refused(say({ ...deny, person: 'u-stranger' })(), 403, 'channel.person-unknown');
  await refused(say({ ...deny, person: 'constructor' })(), 403, 'channel.person-unknown');
  await refused(say({ ...deny, person: 'u-auditor' })(), 403, 'approval.not-approver');
  await refused(say(deny)('other'), 403, 'channel.not-asked');
  await refused(say({ ...deny, decision: 'allow' })(), 400, 'channel.message');
  await refused(say({ ...deny, decision: 'approve' })(), 400, 'channel.message');
  // The asker, too, may say no, and not yes.
  await refused(say({ ...deny, decision: 'approve', person: 'u-asker', digest: 'x' })(), 403, 'approval.requester');
  await refused(say({ ...deny, decision: 'approve', digest: 'x' })(), 403, 'approval.passkey-needed');
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.equal(approval.state, 'pending');
  const { items } = await workspace.operator('GET /records', { query: { approval: id, limit: '200' } });
  const text = JSON.stringify(items);
  for (const code of [
    'channel.person-unknown',
    'approval.not-approver',
    'channel.not-asked',
    'approval.passkey-needed',
  ])
    assert.match(text, new RegExp(code.replace('.', '\\.')), code);
  const once = say(deny);
  assert.equal((await once()).status, 200);
  await refused(once(), 409, 'channel.replayed');
});

/** @proves channel.minimal */
test('credentials that an agent gives as arguments are named and not shown', async () => {
  const key = `sk_live_${'a1B2c3D4'.repeat(4)}`;
  const { id } = await ask({ reason: `use ${key}` });
  const { body } = await told('/good', id, 'approval.asked');
  assert.ok(!body.includes(key));
  assert.match(body, /\[stripe-key\]/);
});

/** @proves channel.test */
test('a channel is tried by command, and says what is wrong', async () => {
  const good = await workspace.operator('POST /channels/:name/test', { params: { name: 'good' } });
  assert.deepEqual([good.ok, good.error], [true, null]);
  behaviour.set('/bad', 404);
  const bad = await workspace.operator('POST /channels/:name/test', { params: { name: 'bad' } });
  assert.deepEqual([bad.ok, bad.error], [false, 'it answered 404']);
  behaviour.set('/bad', 204);
});

/** @proves channel.resumed */
test('what waits when a server stops is delivered after its start', async () => {
  behaviour.set('/bad', 503);
  const { id } = await ask();
  await until(() => events('/bad', id)[0], 'a first try');
  await workspace.restart();
  behaviour.set('/bad', 204);
  const count = events('/bad', id).length;
  await until(() => (events('/bad', id).length > count ? true : undefined), 'a try after the restart');
  const sent = async () =>
    (await workspace.operator('GET /channels/:name/deliveries', { params: { name: 'bad' } })).items.find(
      (each) => each.approval === id && each.event === 'asked' && each.state === 'sent',
    );
  assert.ok(await until(sent, 'noted as sent'));
});
