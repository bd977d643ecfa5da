import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type TicketSystemManifest, ticketSystemManifest } from '@gatehouse/protocol';
import { createLog, createOutbound, Secret } from '../platform/index.ts';
import { createTickets } from './tickets.ts';

const answers = new Map<string, unknown>();
const asked: { path: string; authorization: string | undefined }[] = [];
const server = createServer((request, response) => {
  asked.push({ path: request.url ?? '', authorization: request.headers.authorization });
  const answer = answers.get(request.url ?? '');
  response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer ?? {}));
});
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
const outbound = createOutbound();
after(async () => {
  server.close();
  await outbound.close();
});

function open(more: Partial<TicketSystemManifest> = {}) {
  asked.length = 0;
  answers.clear();
  const { port } = server.address() as AddressInfo;
  const system = ticketSystemManifest.parse({
    kind: 'TicketSystem',
    name: 'changes',
    prefixes: ['CHG-'],
    url: `http://127.0.0.1:${port}/changes/{id}`,
    secret: 'changes-token',
    state: 'fields.status.name',
    agents: 'agents',
    allowPrivateAddress: true,
    ...more,
  });
  const time = { now: 0 };
  const tickets = createTickets({
    outbound,
    openSecret: async () => new Secret('s3cret'),
    clock: { now: () => time.now },
    log: createLog('error'),
  });
  const workspace = { ticketSystems: new Map([['changes', system]]) };
  return { time, look: (id: string, agent = 'agent-a') => tickets.look(workspace, id, agent) };
}
const ticket = (state: unknown, agents?: unknown) => ({ fields: { status: { name: state } }, agents });

/** @proves policy.tickets */
test('the state of a ticket is asked for once in its time, with the secret, and again after it', async () => {
  const { look, time } = open();
  answers.set('/changes/CHG-1', ticket('approved', ['agent-a']));
  assert.deepEqual(await look('CHG-1'), { id: 'CHG-1', state: 'approved' });
  answers.set('/changes/CHG-1', ticket('closed', 'spiffe://gatehouse.local/env/prod/agent/agent-a'));
  time.now = 59_999;
  assert.deepEqual(look('CHG-1'), { id: 'CHG-1', state: 'approved' });
  time.now = 60_000;
  assert.deepEqual(await look('CHG-1'), { id: 'CHG-1', state: 'closed' });
  assert.deepEqual(asked, [
    { path: '/changes/CHG-1', authorization: 'Bearer s3cret' },
    { path: '/changes/CHG-1', authorization: 'Bearer s3cret' },
  ]);
});

test('an agent that names the ticket of another one has none', async () => {
  const { look } = open();
  answers.set('/changes/CHG-1', ticket('approved', ['agent-b', 'xagent-a', 'agent-a-2']));
  assert.equal(await look('CHG-1'), null);
  answers.set('/changes/CHG-2', ticket('approved'));
  assert.equal(await look('CHG-2'), null);
  const anybody = open({ agents: undefined });
  answers.set('/changes/CHG-2', ticket('approved'));
  assert.deepEqual(await anybody.look('CHG-2'), { id: 'CHG-2', state: 'approved' });
});

test('what can not be asked about is as none: unknown systems, missing tickets, odd states, ids that are paths', async () => {
  const { look } = open();
  assert.equal(await look('INC-1'), null);
  assert.equal(await look('CHG-404'), null);
  answers.set('/changes/CHG-3', ticket({ name: 'approved' }, ['agent-a']));
  assert.equal(await look('CHG-3'), null);
  answers.set('/changes/CHG-4', ticket('x'.repeat(201), ['agent-a']));
  assert.equal(await look('CHG-4'), null);
  const before = asked.length;
  for (const id of [
    'CHG-/../../admin',
    'CHG-..',
    'CHG-1?x=1',
    'CHG-1#x',
    'CHG-%2e%2e',
    `CHG-${'1'.repeat(200)}`,
    'CHG-\u0000',
  ])
    assert.equal(await look(id), null, id);
  assert.equal(asked.length, before);
});

test('a system that is away makes no ticket, and many who ask at once ask once', async () => {
  const { look } = open();
  answers.set('/changes/CHG-5', ticket('approved', ['agent-a']));
  const found = await Promise.all(Array.from({ length: 20 }, () => look('CHG-5')));
  assert.ok(found.every((each) => each?.state === 'approved'));
  assert.equal(asked.length, 1);
  const away = open({ url: 'http://127.0.0.1:9/changes/{id}' });
  assert.equal(await away.look('CHG-5'), null);
});

test('a user signs in with the secret as password; of a list the one that is in it counts, and only if it is the one that was asked for', async () => {
  const table = open({ user: 'gatehouse', state: 'result.approval', id: 'result.number', agents: undefined });
  const answer = (...result: object[]) => answers.set('/changes/CHG-6', { result });
  answer({ number: 'CHG-6', approval: 'approved' });
  assert.deepEqual(await table.look('CHG-6'), { id: 'CHG-6', state: 'approved' });
  assert.equal(asked[0]?.authorization, `Basic ${Buffer.from('gatehouse:s3cret').toString('base64')}`);
  for (const result of [
    [],
    [{ number: 'CHG-7', approval: 'approved' }],
    [{ approval: 'approved' }],
    [
      { number: 'CHG-6', approval: 'approved' },
      { number: 'CHG-6', approval: 'approved' },
    ],
  ]) {
    table.time.now += 60_000;
    answer(...result);
    assert.equal(await table.look('CHG-6'), null, JSON.stringify(result));
  }
});
