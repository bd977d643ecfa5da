import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { approve } from '../../approvals/testing/desk.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import type { ServedDefinition } from '../../registry/index.ts';
import type { Enforcement } from '../index.ts';
import { openRoom, type Room } from '../testing/room.ts';
import { createHeldResults } from './held.ts';

const OWNER = 'owner@example.test';
const EMAIL = 'anna@example.com';
const SECRET = ['ghp_', 'a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8'].join('');

let room: Room;
let passkey: SoftwarePasskey;

const definition = (name: string, properties: JsonObject): ServedDefinition => ({
  kind: 'tool',
  name,
  body: { name, inputSchema: { type: 'object', properties } },
});
const served = [
  definition('export_customers', { city: { type: 'string' } }),
  definition('list_customers', { page_size: { type: 'integer' }, city: { type: 'string' } }),
  definition('read_salary', {}),
];
const customers = (count: number) => ({
  content: [{ type: 'text', text: 'done' }],
  structuredContent: { rows: Array.from({ length: count }, (_, id) => ({ id, email: EMAIL, key: SECRET })) },
});

before(async () => {
  room = await openRoom();
  await room.apply(
    [
      { kind: 'Environment', name: 'prod', production: true },
      {
        kind: 'ToolServer',
        name: 'shop',
        environments: ['prod'],
        transport: { type: 'stdio', command: 'node' },
        tools: {
          export_customers: { tier: 1, effects: ['read'], hold: { items: 100 }, returns: { sensitive: ['personal'] } },
          list_customers: { tier: 1, effects: ['read'], limitArgument: 'page_size' },
          read_salary: {
            tier: 1,
            effects: ['read'],
            returns: {
              fields: {
                'people.*.salary': { sensitive: ['financial'] },
                'people.*.name': { sensitive: ['financial'] },
              },
            },
          },
        },
      },
      {
        kind: 'Template',
        name: 'all',
        allow: [
          { tools: ['shop/export_customers'], mask: ['personal'] },
          { tools: ['shop/list_customers'], limit: 50 },
          { tools: ['shop/read_salary'], mask: ['financial'] },
        ],
      },
    ],
    served,
  );
  ({ passkey } = await room.house.enrol(OWNER));
});
after(() => room.close());

const rows = () => room.storage.db.selectFrom('held_results').selectAll().execute();
const call = (city: string, count = 412) =>
  room.call('export_customers', { city }, {}, async () => ({ result: 'success', body: customers(count) }));

async function held(city: string) {
  const outcome = await call(city);
  assert.equal(outcome.kind, 'pending');
  if (outcome.kind !== 'pending') throw new Error('not held');
  return outcome;
}

/** @proves result.held */
test('a result above the threshold is sealed until a person releases it, and then given once without running again', async () => {
  const sends = room.sends.length;
  const first = await held('Berlin');
  assert.equal(first.approval.operation, 'results/release');
  assert.match(first.approval.decision.reason, /412 items \(at most 100\).*held until a person releases it/);
  const [row] = await rows();
  const seen = JSON.stringify([row, first.approval, await room.recordsOf(first.actionId)]);
  assert.ok(!seen.includes(EMAIL) && !Buffer.from(row?.sealed ?? []).includes(EMAIL), 'nothing that waits is readable');
  assert.ok(!seen.includes('"email"'));
  const labels = (await room.recordsOf(first.actionId)).flatMap((record) => record.labels);
  assert.ok(labels.includes('held') && !labels.includes('untrusted'), 'what was not given out was not seen');

  const again = await held('Berlin');
  assert.equal(again.approval.id, first.approval.id);
  await approve(room.approvals, first.approval, OWNER, passkey);
  const given = await call('Berlin');
  assert.ok(given.kind === 'done');
  assert.equal(room.sends.length, sends + 1, 'the tool was reached once');
  assert.equal(given.actionId, first.actionId);
  const text = JSON.stringify(given.sent.body);
  assert.match(text, /"id":411,"email":"\[email #\w{7}\]","key":"\[secret #\w{7}\]"/);
  const records = await room.recordsOf(first.actionId);
  assert.equal((await rows()).length, 0, 'nothing of it is kept');
  const next = await held('Berlin');
  assert.notEqual(next.actionId, first.actionId, 'a yes is for one delivery');
  assert.ok(
    records.some(
      ({ labels: all, approval }) =>
        all.includes('released') && all.includes('untrusted') && approval === first.approval.id,
    ),
  );
});

/** @proves result.held */
test('one release is one delivery, also for calls that race for it', async () => {
  const first = await held('Lisbon');
  await approve(room.approvals, first.approval, OWNER, passkey);
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => call('Lisbon')));
  assert.equal(outcomes.filter(({ kind }) => kind === 'done').length, 1);
  const released = (await room.recordsOf(first.actionId)).filter(({ labels }) => labels.includes('released'));
  assert.equal(released.length, 1);
});

test('another call, another task and another agent get nothing of it', async () => {
  const first = await held('Rome');
  await approve(room.approvals, first.approval, OWNER, passkey);
  const other = await held('Paris');
  assert.notEqual(other.approval.id, first.approval.id);
  const sends = room.sends.length;
  const elsewhere = { ...room.caller, task: { ...room.caller.task, id: 'tsk_other' } };
  await room.call('export_customers', { city: 'Rome' }, { caller: elsewhere }, async () => ({
    result: 'success',
    body: customers(1),
  }));
  assert.ok(room.sends.length >= sends);
  assert.equal((await call('Rome')).kind, 'done');
});

test('one that is denied, or ends with its task, is deleted in the same moment', async () => {
  const first = await held('Oslo');
  const isThere = async () => (await rows()).some(({ approval }) => approval === first.approval.id);
  assert.ok(await isThere());
  await room.approvals.deny(first.approval.id, OWNER, 'too much');
  assert.ok(!(await isThere()));
  const second = await held('Oslo');
  assert.notEqual(second.approval.id, first.approval.id);
  await room.storage.transaction(async (transaction) => {
    await room.approvals.cancelAll(transaction, { task: room.caller.task.id }, 'gatehouse');
  });
  assert.equal((await rows()).length, 0);
});

test('what was changed in the database, or moved to another row, is not given out', async () => {
  const first = await held('Riga');
  const second = await held('Bern');
  const [a, b] = (await rows()).sort((x, y) => (x.id < y.id ? -1 : 1));
  await room.storage.transaction(async (transaction) => {
    await transaction
      .updateTable('held_results')
      .set({ sealed: b?.sealed as Uint8Array })
      .where('id', '=', a?.id ?? '')
      .execute();
  });
  await approve(room.approvals, first.approval, OWNER, passkey);
  await assert.rejects(call('Riga'), /cannot be opened/);
  await room.approvals.deny(first.approval.id, OWNER, '');
  await room.approvals.deny(second.approval.id, OWNER, '');
});

/** @proves result.limited */
test('a tool is asked for no more than the limit, before anything is recorded, and what still has more is held', async () => {
  const asked: unknown[] = [];
  const list = (args: JsonObject, count = 3) =>
    room.enforcement.enforce(
      { caller: room.caller, operation: 'tools/call', server: 'shop', name: 'list_customers', arguments: args },
      async (dispatch) => {
        asked.push(dispatch.arguments);
        return { result: 'success', body: customers(count) };
      },
    );
  const outcome = await list({ city: 'Ulm' });
  await list({ page_size: 5_000 });
  await list({ page_size: 20 });
  assert.deepEqual(asked, [{ city: 'Ulm', page_size: 50 }, { page_size: 50 }, { page_size: 20 }]);
  assert.ok(outcome.kind === 'done' && isJsonObject(outcome.sent.body));
  assert.match(JSON.stringify(outcome.sent.body), /asked the tool for no more than page_size = 50/);
  const action = await room.ledger.action(outcome.actionId);
  assert.deepEqual(action?.arguments, { city: 'Ulm', page_size: 50 });
  assert.deepEqual(action?.summary.decision?.obligations, { mask: [], limit: 50 });
  assert.equal((await list({ page_size: 30 }, 51)).kind, 'pending');
});

/** @proves result.held */
test('what is held is not fetched again once nothing would hold it any more, at no replica', async () => {
  const template = (limit?: number): ManifestInput => ({
    kind: 'Template',
    name: 'all',
    allow: [
      { tools: ['shop/export_customers'], mask: ['personal'] },
      { tools: ['shop/list_customers'], ...(limit !== undefined && { limit }) },
      { tools: ['shop/read_salary'], mask: ['financial'] },
    ],
  });
  const early = await room.openReplica();
  let runs = 0;
  const list = (gate: Enforcement) =>
    gate.enforce(
      {
        caller: room.caller,
        operation: 'tools/call',
        server: 'shop',
        name: 'list_customers',
        arguments: { page_size: 20, city: 'Kyiv' },
      },
      async () => {
        runs++;
        return { result: 'success', body: customers(51) };
      },
    );
  const first = await list(room.enforcement);
  assert.equal(first.kind, 'pending');
  await room.apply([template()], served);
  await room.storage.feed.waitForAll(await room.storage.feed.head());
  for (const gate of [room.enforcement, early, await room.openReplica()]) {
    const again = await list(gate);
    assert.deepEqual([again.kind, again.actionId], ['pending', first.actionId]);
  }
  assert.equal(runs, 1);
  const again = await list(early);
  if (again.kind === 'pending') await approve(room.approvals, again.approval, OWNER, passkey);
  const given = await list(room.enforcement);
  assert.ok(given.kind === 'done' && given.actionId === first.actionId && runs === 1);
  assert.deepEqual(given.call?.arguments, { page_size: 20, city: 'Kyiv' }, 'whoever gets it knows which call left it');
  await room.apply([template(50)], served);
});

/** @proves result.fields */
test('a part that an operator calls sensitive is masked whole, and wherever the result says it again', async () => {
  const structuredContent = { people: [{ name: 'Anna Example', salary: 123456, team: 'A' }] };
  const text = JSON.stringify(structuredContent, null, 2);
  const outcome = await room.call('read_salary', {}, {}, async () => ({
    result: 'success',
    body: {
      content: [
        { type: 'text', text },
        { type: 'text', text: 'Anna Example earns 123456.' },
      ],
      structuredContent,
    },
  }));
  assert.ok(outcome.kind === 'done' && isJsonObject(outcome.sent.body));
  const shown = JSON.stringify(outcome.sent.body);
  assert.ok(!/Anna|123456/.test(shown), shown);
  assert.match(shown, /"people":\[\{"name":"\[financial #\w{7}\]","salary":null,"team":"A"\}\]/);
});

test('an agent holds so many and no more', async () => {
  const store = createHeldResults({ ...room.house, key: new Uint8Array(32) });
  const one = {
    call: 'x',
    agent: 'agent-full',
    task: 'tsk_1',
    actionId: 'act_1',
    tool: 'shop/x',
    reason: '',
    labels: [],
    body: {},
  };
  for (let count = 0; count < 20; count++) await store.keep({ ...one, size: { items: 1, bytes: 1 } });
  await assert.rejects(store.keep({ ...one, size: { items: 1, bytes: 1 } }), { code: 'result.too-many-held' });
  await assert.rejects(store.keep({ ...one, agent: 'agent-big', size: { items: 1, bytes: 65 * 1024 * 1024 } }), {
    code: 'result.too-many-held',
  });
});

/** @proves result.held */
test('a result that comes as that of a running task is held, and as sensitive, like one that comes at once', async () => {
  const send = async () => ({
    result: 'success' as const,
    body: { taskId: 'upstream-1', status: 'completed', result: customers(101) },
  });
  const poll = { operation: 'tasks/get', arguments: { taskId: 'upstream-1' } };
  const outcome = await room.call('upstream-1', {}, poll, send);
  assert.equal(outcome.kind, 'pending');
  const few = { ...poll, arguments: { taskId: 'upstream-2' } };
  const done = await room.call('upstream-2', {}, few, async () => ({ result: 'success', body: customers(3) }));
  assert.equal(done.kind, 'done');
  const labelsOf = async (): Promise<string[]> => {
    const records = (await room.house.records()).filter(({ action_id }) => action_id === done.actionId);
    return records.some(({ kind }) => kind === 'outcome') ? records.flatMap((record) => record.labels) : labelsOf();
  };
  const labels = await labelsOf();
  assert.ok(labels.includes('sensitive:personal') && labels.includes('sensitive:financial'), labels.join());
});
