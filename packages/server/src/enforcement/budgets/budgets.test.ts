import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type AgentManifest,
  type Approval,
  type ManifestInput,
  manifest,
  TASK_DETAILS_TYPE,
} from '@gatehouse/protocol';
import type { SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { approve as giveApproval } from '../../approvals/testing/desk.ts';
import type { JsonObject } from '../../platform/index.ts';
import { NotSent, type Outcome } from '../index.ts';
import { AGENT, openRoom, type Room } from '../testing/room.ts';
import { createBudgets } from './budgets.ts';

let room: Room;
let passkey: SoftwarePasskey;

before(async () => {
  room = await openRoom({ follow: false });
  await room.apply(
    [
      // Many refusals are what is tested here.
      { kind: 'Environment', name: 'prod', production: true, breaker: { refusals: 'off', grave: 'off' } },
      {
        kind: 'ToolServer',
        name: 'shop',
        environments: ['prod'],
        transport: { type: 'stdio', command: 'node' },
        tools: {
          pay: {
            tier: 1,
            effects: ['write'],
            arguments: { amount: { role: 'amount' }, customer: { role: 'account' } },
          },
          remove: { tier: 1, effects: ['delete'] },
          look: { tier: 1, effects: ['read'] },
          ask_first: { tier: 3, effects: ['write'], arguments: { amount: { role: 'amount' } } },
        },
      },
    ],
    definitions,
  );
  passkey = (await room.house.enrol('owner@example.test')).passkey;
});
after(() => room.close());

const string = { type: 'string' };
const tool = (name: string, properties: JsonObject, required = Object.keys(properties)) => ({
  kind: 'tool' as const,
  name,
  body: { name, inputSchema: { type: 'object', properties, required } },
});
const definitions = [
  tool(
    'pay',
    { customer: { type: ['string', 'integer'] }, amount: { type: ['number', 'string'] }, currency: string },
    [],
  ),
  tool('remove', { files: { type: 'array', items: string } }),
  tool('look', {}),
  tool('ask_first', { amount: { type: 'number' } }),
];

/** Each test has a budget of its own, and no other is in force. */
let round = 0;
async function budget(fields: Omit<Extract<ManifestInput, { kind: 'Budget' }>, 'kind' | 'name'>) {
  const name = `budget-${++round}`;
  const others = (await room.registry.exportManifests()).filter(({ kind }) => kind !== 'Budget');
  await room.registry.apply([...others, manifest.parse({ kind: 'Budget', name, ...fields })], {
    prune: true,
    by: 'gatehouse',
  });
  return name;
}

/** What ran has its outcome written. */
const settled = () => room.storage.append({ guards: [], records: [], bodies: [] });

async function approve(approval: Approval) {
  await giveApproval(room.approvals, approval, 'owner@example.test', passkey);
}

async function helper(parent?: string): Promise<Room['caller']> {
  const manifestOf = room.registry.snapshot().agents.get(AGENT)?.manifest as AgentManifest;
  const blueprint = {
    kind: 'Blueprint',
    name: 'support',
    templates: ['all'],
    delegatesTo: { agents: ['agent-helper-prod'] },
  };
  await room.registry.apply([manifest.parse(blueprint), { ...manifestOf, name: 'agent-helper-prod' }], {
    prune: false,
    by: 'gatehouse',
  });
  const details = { type: TASK_DETAILS_TYPE, template: 'all', parameters: {}, intent: 'helps' } as const;
  const task = await room.registry.startTask('agent-helper-prod', details, parent === undefined ? {} : { parent });
  return { ...room.caller, agent: 'agent-helper-prod', agentEpoch: 1, task, tokenId: 'token-2' };
}

const done = (outcomes: Outcome[]) => outcomes.filter(({ kind }) => kind === 'done').length;
const pay = (customer: unknown, amount: unknown, more: JsonObject = {}) =>
  room.call('pay', { customer, amount, ...more } as JsonObject);
async function reason(call: Promise<Outcome>, code = 'budget.exceeded'): Promise<string> {
  const outcome = await call;
  assert.equal(outcome.kind, 'refused');
  if (outcome.kind !== 'refused') return '';
  assert.equal(outcome.decision.code, code);
  assert.ok(!room.sends.includes(outcome.actionId), 'nothing was sent');
  const [record] = await room.recordsOf(outcome.actionId);
  assert.equal(record?.decision?.code, code, 'the refusal is on record');
  return outcome.decision.reason;
}

/** @proves budget.sum */
test('a sum per customer and day is kept to the cent, and the refusal says how much is left of what, for whom, until when', async () => {
  const name = await budget({
    tools: ['shop/pay'],
    per: [{ argument: 'customer' }],
    window: 'day',
    zone: 'Europe/Berlin',
    limit: { sum: { argument: 'amount', max: '500.00', currency: { argument: 'currency', is: 'EUR' } } },
  });
  const euro = { currency: 'EUR' };
  assert.equal((await pay(17, '479.90', euro)).kind, 'done');
  assert.equal((await pay('17', 0.1, euro)).kind, 'done');
  const words = await reason(pay(17, 40, euro));
  assert.match(
    words,
    new RegExp(
      `^Budget ${name}: 480\\.00 of 500\\.00 EUR used today for customer 17; this call needs 40\\.00\\. It starts again at \\d{4}-\\d\\d-\\d\\d 00:00 Europe/Berlin\\.$`,
    ),
  );
  assert.equal((await pay(18, 40, euro)).kind, 'done', 'another customer has a budget of their own');
  assert.match(await reason(pay(18, 500.01, euro)), /more than the whole budget/);
  const last = await pay(17, 20, euro);
  assert.equal(last.kind, 'done', 'what is left can be used');
  const [dispatch] = await room.recordsOf(last.actionId);
  assert.ok(dispatch?.decision?.policies.includes(`budget:${name}`), 'the record names the budget');
});

/** @proves budget.unreadable */
test('an amount that could be read in two ways, another currency or a missing customer is refused, and counts nothing', async () => {
  const limit = { sum: { argument: 'amount', max: 100, currency: { argument: 'currency', is: 'EUR' } } };
  await budget({ tools: ['shop/pay'], per: [{ argument: 'customer' }], window: 'day', limit });
  const euro = { currency: 'EUR' };
  for (const amount of [
    -1,
    -0.01,
    '1e1',
    '0x10',
    '+5',
    ' 5',
    '5 ',
    '5,00',
    '1_0',
    '٥',
    '',
    'NaN',
    1e21,
    '9000000001',
    true,
    null,
    [5],
    {},
  ])
    await reason(
      pay('x', amount, euro),
      typeof amount === 'number' || typeof amount === 'string' ? 'budget.unreadable' : 'arguments.invalid',
    );
  await reason(room.call('pay', { customer: 'x', currency: 'EUR' }), 'budget.unreadable');
  await reason(room.call('pay', { amount: 5, currency: 'EUR' }), 'budget.unreadable');
  for (const currency of ['USD', 'EUR USD', '']) await reason(pay('x', 5, { currency }), 'budget.unreadable');
  await reason(pay('x', 5), 'budget.unreadable');
  assert.equal((await pay('x', 100, { currency: ' eur' })).kind, 'done', 'nothing of it was counted');
});

/** @proves budget.keys */
test('an agent gets no second budget by writing a customer in another way', async () => {
  await budget({ tools: ['shop/pay'], per: [{ role: 'account' }], window: 'day', limit: { count: 1 } });
  assert.equal((await pay('Customer-17', 1)).kind, 'done');
  for (const same of [
    'customer-17',
    ' Customer-17 ',
    'CUSTOMER-17',
    'Ｃustomer-17',
    'Cus\u200btomer-17',
    'Customer-17\n',
  ])
    await reason(pay(same, 1));
  await budget({
    tools: ['shop/pay'],
    per: [{ argument: 'customer', compare: 'exact' }],
    window: 'day',
    limit: { count: 1 },
  });
  assert.equal((await pay('a', 1)).kind, 'done');
  assert.equal((await pay('A', 1)).kind, 'done', 'exact: the tool tells them apart');
});

test('calls that race are let through exactly as far as the budget goes', async () => {
  await budget({
    tools: ['shop/pay'],
    effects: ['write', 'pay'],
    per: ['agent'],
    window: { seconds: 3_600 },
    limit: { count: 20 },
  });
  const outcomes = await Promise.all(Array.from({ length: 64 }, (_, n) => pay(`c${n}`, 1)));
  assert.equal(done(outcomes), 20);
  assert.match(await reason(pay('z', 1)), /20 of 20 calls used in the last 3600 s for agent .*There is room from/);
});

/** @proves budget.items */
test('one call that deletes many counts as many, and a list cannot hide', async () => {
  await budget({ tools: ['shop/remove'], window: 'task', limit: { items: { argument: 'files', max: 10 } } });
  const remove = (count: number) => room.call('remove', { files: Array.from({ length: count }, (_, n) => `f${n}`) });
  assert.equal((await remove(8)).kind, 'done');
  assert.match(await reason(remove(3)), /8 of 10 items used in this task.*needs 3/);
  assert.equal((await remove(2)).kind, 'done');
  await reason(remove(1));
});

/** @proves budget.chain */
test('handing a task on makes no new budget: who handed it on is counted for', async () => {
  await budget({ tools: ['shop/look'], per: ['agent'], window: 'day', limit: { count: 3 } });
  const { caller } = room;
  assert.equal((await room.call('look', {})).kind, 'done');
  assert.equal((await room.call('look', {})).kind, 'done');
  assert.equal((await room.call('look', {})).kind, 'done');
  const other = await helper();
  const link = { agent: AGENT, agentEpoch: caller.agentEpoch, task: caller.task };
  assert.equal(
    (await room.call('look', {}, { caller: other })).kind,
    'done',
    'the helper by itself has its own budget',
  );
  await reason(room.call('look', {}, { caller: { ...(await helper(caller.task.id)), chain: [link] } }));
});

/** @proves budget.give-back */
test('what was surely not sent is given back, on record; what failed only where the operator says so; what is unknown never', async () => {
  const once = { tools: ['shop/look'], window: 'day' as const, limit: { count: 1 } };
  const name = await budget({ ...once });
  const fails = async () => ({ result: 'failure' as const, body: {} });
  const notSent = await room.call('look', {}, {}, async () => {
    throw new NotSent('there is no connection');
  });
  await settled();
  const [, outcome] = await room.recordsOf(notSent.actionId);
  assert.deepEqual(outcome?.changes, [`counts no more on budget ${name}`]);
  assert.equal((await room.call('look', {}, {}, fails)).kind, 'done');
  await settled();
  await reason(room.call('look', {}));

  await budget({ ...once, giveBackOnFailure: true });
  await room.call('look', {}, {}, fails);
  await settled();
  const lost = await room.call('look', {}, {}, async () => {
    throw new Error('the connection broke');
  });
  assert.equal(lost.kind, 'unknown');
  await settled();
  await reason(room.call('look', {}));
});

/** @proves budget.concurrent */
test('no more calls run at once than the budget says, and an ended one makes room', async () => {
  await budget({ tools: ['shop/look'], per: ['agent'], limit: { concurrent: 2 } });
  let end = () => {};
  const open = new Promise<void>((resolve) => {
    end = resolve;
  });
  let running = 0;
  let most = 0;
  const started = Array.from({ length: 10 }, () =>
    room.call('look', {}, {}, async () => {
      running++;
      most = Math.max(most, running);
      await open;
      running--;
      return { result: 'success', body: {} };
    }),
  );
  const refused = await Promise.race(started);
  assert.match(
    await reason(Promise.resolve(refused)),
    /2 of 2 calls at once used now.*when one of those that run has ended/,
  );
  end();
  assert.equal(done(await Promise.all(started)), 2);
  assert.equal(most, 2);
  await settled();
  assert.equal((await room.call('look', {})).kind, 'done');
});

/** @proves budget.approval */
test('beyond a budget that asks a person decides, and what they approve still counts', async () => {
  const name = await budget({ tools: ['shop/look'], window: 'day', limit: { count: 1 }, over: 'approval' });
  assert.equal((await room.call('look', {})).kind, 'done');
  const waiting = await room.call('look', {});
  assert.equal(waiting.kind, 'pending');
  if (waiting.kind !== 'pending') return;
  assert.match(waiting.approval.decision.reason, /1 of 1 call used today; this call needs 1\..*A person is asked/);
  assert.deepEqual(waiting.approval.decision.policies.at(-1), `budget:${name}`);
  assert.equal(waiting.approval.decision.tier, 3);
  await approve(waiting.approval);
  assert.equal((await room.call('look', {})).kind, 'done');
  assert.equal((await room.call('look', {})).kind, 'pending', 'one yes is for one call');
  const { items } = await createBudgets(room.house).show(name, { limit: 10 });
  assert.deepEqual(items[0]?.used, [{ limit: 'count', used: '2', of: '1', unit: 'calls' }]);
});

test('nobody is asked about a call that its budget will refuse, and an approved one that is over keeps its approval', async () => {
  await budget({ tools: ['shop/ask_first'], window: 'day', limit: { sum: { role: 'amount', max: 100 } } });
  const first = await room.call('ask_first', { amount: 60 });
  const second = await room.call('ask_first', { amount: 70 });
  assert.ok(first.kind === 'pending' && second.kind === 'pending');
  if (first.kind !== 'pending' || second.kind !== 'pending') return;
  await approve(first.approval);
  await approve(second.approval);
  assert.equal((await room.call('ask_first', { amount: 60 })).kind, 'done');
  assert.match(await reason(room.call('ask_first', { amount: 70 })), /60 of 100 used today; this call needs 70/);
  assert.equal((await room.approvals.get(second.approval.id))?.state, 'approved');
  await reason(room.call('ask_first', { amount: 41 }));
  const waiting = await room.storage.db
    .selectFrom('approvals')
    .selectAll()
    .where('body', 'like', '%ask_first%')
    .execute();
  assert.equal(waiting.length, 2, 'nobody was asked');
});

/** @proves budget.manifest */
test('a budget that could not count is refused with its path and what to do', async () => {
  const refusals: [Parameters<typeof budget>[0], RegExp][] = [
    [{ window: 'day', limit: { count: 1 } }, /tools: It covers nothing/],
    [{ tools: ['shop/pay'], limit: { count: 1 } }, /window: `limit.count` needs a window/],
    [{ tools: ['shop/pay'], window: 'day', limit: { concurrent: 1 } }, /window: .*Take the window out/],
    [
      { tools: ['shop/pay'], window: 'day', zone: 'Europe/Berlim', limit: { count: 1 } },
      /zone: "Europe\/Berlim" is no IANA time zone/,
    ],
    [{ tools: ['shop/nothing'], window: 'day', limit: { count: 1 } }, /tools\[0\]: .*does not name this tool/],
    [
      { tools: ['shop/pay'], window: 'day', limit: { sum: { argument: 'sum', max: 1 } } },
      /limit\.sum\.argument: shop\/pay has no argument "sum"; it has: amount, currency, customer/,
    ],
    [{ effects: ['delete'], window: 'day', limit: { sum: { argument: 'files', max: 1 } } }, /shop\/remove/],
    [
      { tools: ['shop/*'], window: 'day', limit: { sum: { role: 'amount', max: 1 } } },
      /limit\.sum\.role: No argument of shop\/look has the role "amount"/,
    ],
    [
      { tools: ['shop/pay'], per: [{ argument: 'who' }], window: 'day', limit: { count: 1 } },
      /per\[0\]\.argument: shop\/pay has no argument "who"/,
    ],
    [
      { tools: ['shop/pay'], templates: ['nothing'], window: 'day', limit: { count: 1 } },
      /templates\[0\]: There is no Template "nothing"/,
    ],
  ];
  for (const [fields, expected] of refusals) await assert.rejects(budget(fields), expected);
});
