import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import type { SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { approve } from '../../approvals/testing/desk.ts';
import type { Json, JsonObject } from '../../platform/index.ts';
import type { ServedDefinition } from '../../registry/index.ts';
import type { Action, Dispatch, EarlierCall, Sent } from '../index.ts';
import { AGENT, openRoom, type Room } from '../testing/room.ts';

const OWNER = 'owner@example.test';
const EMAIL = 'anna@example.com';

let room: Room;
let passkey: SoftwarePasskey;

const definition = (name: string): ServedDefinition => ({
  kind: 'tool',
  name,
  body: { name, inputSchema: { type: 'object', properties: { call: { type: 'integer' } } } },
});
const definitions: ServedDefinition[] = [
  ...['export', 'salaries', 'plain'].map(definition),
  { kind: 'prompt', name: 'ask', body: { name: 'ask' } },
];
const apply = (manifests: Parameters<Room['apply']>[0]) => room.apply(manifests, definitions);
const workspace = (mask: string[] = ['personal'], more: JsonObject = {}) => [
  {
    kind: 'Template' as const,
    name: 'all',
    allow: [
      { tools: ['shop/export'], ...(mask.length > 0 && { mask }), ...more },
      { tools: ['shop/salaries'], mask: ['payroll'] },
      { tools: ['shop/plain', 'shop#resources', 'shop#prompts'] },
    ],
  },
];

before(async () => {
  room = await openRoom();
  // The prompt is seen before it is granted: what begins to be served later waits for a review.
  await room.apply([], definitions);
  await room.apply(
    [
      {
        kind: 'ToolServer',
        name: 'shop',
        environments: ['prod'],
        transport: { type: 'stdio', command: 'node' },
        resources: { tier: 1 },
        prompts: { tier: 1 },
        clientRequests: { sampling: true, elicitation: true },
        tools: {
          export: {
            tier: 1,
            effects: ['read'],
            hold: { items: 10, bytes: 4_000 },
            returns: { trust: 'trusted', sensitive: ['personal'] },
          },
          salaries: {
            tier: 1,
            effects: ['read'],
            returns: { trust: 'trusted', fields: { 'people.*.salary': { sensitive: ['payroll'] } } },
          },
          plain: { tier: 1, effects: ['read'], returns: { trust: 'trusted' } },
        },
      },
      ...workspace(),
    ],
    definitions,
  );
  ({ passkey } = await room.house.enrol(OWNER));
});
after(() => room.close());

let calls = 0;
/** A call like no other, so that none gets what an earlier one left. */
const fresh = () => ({ call: ++calls });
const text = (said: string) => ({ content: [{ type: 'text', text: said }] });
const rows = (count: number) => ({
  content: [{ type: 'text', text: 'done' }],
  structuredContent: { rows: Array.from({ length: count }, (_, id) => ({ id, email: EMAIL })) },
});

/** A tool that starts an MCP task: what its dispatch gives to be kept with the task. */
async function start(name: string): Promise<EarlierCall> {
  let call: EarlierCall | undefined;
  const action: Action = { caller: room.caller, operation: 'tools/call', server: 'shop', name, arguments: fresh() };
  const outcome = await room.enforcement.enforce(action, async (dispatch) => {
    call = dispatch.call;
    return { result: 'success', body: { task: { taskId: 't', status: 'working' } } };
  });
  assert.equal(outcome.kind, 'done');
  return call as EarlierCall;
}

const bring = (operation: string, of: EarlierCall | undefined, body: Json, change: Partial<Action> = {}) =>
  room.enforcement.enforce(
    { caller: room.caller, operation, server: 'shop', name: 't', arguments: { taskId: 't' }, of, ...change },
    async () => ({ result: 'success', body }),
  );

async function labelsOf(actionId: string): Promise<string[]> {
  for (;;) {
    const outcome = (await room.recordsOf(actionId)).find(({ kind }) => kind === 'outcome');
    if (outcome) return [...outcome.labels];
  }
}

/** @proves law-9.task-results */
test('the result of an MCP task is masked, labelled and held as that of the tool that made it', async () => {
  const of = await start('export');
  for (const [operation, wrap] of [
    ['tasks/result', (body: Json) => body],
    ['tasks/get', (body: Json) => ({ taskId: 't', status: 'completed', result: body })],
  ] as const) {
    const few = await bring(operation, of, wrap(rows(3)));
    assert.ok(few.kind === 'done');
    assert.ok(!JSON.stringify(few.sent.body).includes(EMAIL), operation);
    const labels = await labelsOf(few.actionId);
    assert.ok(labels.includes('sensitive:personal') && labels.includes('masked:email'), String(labels));
    const many = await bring(operation, of, wrap(rows(400)));
    assert.ok(many.kind === 'pending', operation);
    assert.match(many.approval.decision.reason, /result of shop\/export has 400 items \(at most 10\)/);
    await approve(room.approvals, many.approval, OWNER, passkey);
    const given = await bring(operation, of, 'not asked again');
    assert.ok(given.kind === 'done' && given.actionId === many.actionId);
    assert.match(JSON.stringify(given.sent.body), /"id":399,"email":"\[email #/);
  }
});

/** @proves law-9.task-results */
test('fields of the tool are masked in the result of its task, also where the task says it in its state', async () => {
  const of = await start('salaries');
  const result = { structuredContent: { people: [{ name: 'Ann', salary: 123_456 }] } };
  const task = { taskId: 't', status: 'completed', statusMessage: 'Ann has 123456', result };
  const outcome = await bring('tasks/get', of, task);
  assert.ok(outcome.kind === 'done');
  const shown = JSON.stringify(outcome.sent.body);
  assert.ok(!shown.includes('123456'), shown);
  assert.match(shown, /"status":"completed"/);
  assert.match(shown, /"people":\[\{"name":"Ann","salary":null\}\]/);
  assert.ok((await labelsOf(outcome.actionId)).includes('sensitive:payroll'));
});

/** @proves law-9.task-results */
test('a mask that came after the task was started counts, and a result of a call that nothing permits any more is refused', async () => {
  const of = await start('export');
  await apply(workspace(['financial']));
  const both = await bring('tasks/result', of, text(`${EMAIL} DE89370400440532013000`));
  assert.ok(both.kind === 'done');
  assert.match(JSON.stringify(both.sent.body), /\[email #\w+\] \[iban #\w+\]/);
  await apply([{ kind: 'Template', name: 'all', allow: [{ tools: ['shop/plain'] }] }]);
  const sent = room.sends.length;
  const refused = await bring('tasks/result', of, rows(1));
  assert.ok(refused.kind === 'refused' && refused.decision.code === 'policy.no-permit');
  assert.equal(room.sends.length, sent);
  const cancelled = await bring('tasks/cancel', of, { taskId: 't', status: 'cancelled', statusMessage: EMAIL });
  assert.ok(cancelled.kind === 'done', 'what stops a task is not stopped');
  assert.ok(!JSON.stringify(cancelled.sent.body).includes(EMAIL));
  await apply(workspace());
});

/** @proves result.other-roads */
test('a resource that a result links to, and a prompt, are masked and held as the strictest tool of their server', async () => {
  const uri = { name: 'shop://export/1', arguments: { uri: 'shop://export/1' } };
  const said = (value: string) => ({ contents: [{ uri: 'shop://export/1', text: value }] });
  const read = await bring('resources/read', undefined, said(`mail ${EMAIL}`), uri);
  assert.ok(read.kind === 'done');
  assert.ok((await labelsOf(read.actionId)).includes('sensitive:personal'));
  // Of a kind that nothing finds, so that all of it is named: a tool here has it.
  assert.match(JSON.stringify(read.sent.body), /"text":"\[payroll #\w{7}\]"/);
  const contents = Array.from({ length: 50 }, (_, at) => ({ uri: `shop://export/${at}`, text: EMAIL }));
  const many = await bring('resources/read', undefined, { contents }, uri);
  assert.equal(many.kind, 'pending');
  const prompt = { name: 'ask', arguments: { name: 'ask' } };
  const messages = Array.from({ length: 50 }, () => ({ role: 'user', content: { type: 'text', text: EMAIL } }));
  const few = await bring('prompts/get', undefined, { messages: messages.slice(0, 2) }, prompt);
  assert.ok(few.kind === 'done' && !JSON.stringify(few.sent.body).includes(EMAIL));
  assert.equal((await bring('prompts/get', undefined, { messages }, prompt)).kind, 'pending');
});

/** A call during which the server does something; what came of that. */
async function during<T>(
  name: string,
  work: (dispatch: Dispatch) => Promise<T>,
  sent: Sent = { result: 'success', body: text('ok') },
) {
  let made: T | undefined;
  const action: Action = { caller: room.caller, operation: 'tools/call', server: 'shop', name, arguments: fresh() };
  const outcome = await room.enforcement.enforce(action, async (dispatch) => {
    made = await work(dispatch);
    return sent;
  });
  return { made: made as T, outcome };
}

/** @proves result.other-roads */
test('what a server asks in the middle of a call is masked and labelled as its result, and untrusted besides', async () => {
  for (const operation of ['elicitation/create', 'sampling/createMessage']) {
    const params: JsonObject = {
      message: `Write to ${EMAIL}?`,
      mode: 'form',
      requestedSchema: { type: 'object', properties: { answer: { type: 'string', enum: ['yes', 'no'] } } },
    };
    const asked = (of: EarlierCall | undefined, arguments_ = params) => {
      let shown: JsonObject | undefined;
      const action: Action = { caller: room.caller, operation, server: 'shop', name: 'x', arguments: arguments_, of };
      return room.enforcement
        .enforce(action, async ({ clean }) => {
          shown = clean(arguments_);
          return { result: 'success', body: {} };
        })
        .then((outcome) => ({ outcome, shown }));
    };
    const { made } = await during('export', ({ call }) => asked(call));
    assert.match(String(made.shown?.message), /^Write to \[email #\w{7}\]\?$/);
    assert.deepEqual(made.shown?.requestedSchema, params.requestedSchema);
    const labels = await labelsOf(made.outcome.actionId);
    assert.ok(labels.includes('sensitive:personal') && labels.includes('untrusted'), String(labels));
    const field = await during('salaries', ({ call }) => asked(call));
    assert.match(String(field.made.shown?.message), /^\[payroll #\w{7}\]$/, 'no field can be told from the rest');
    assert.deepEqual(field.made.shown?.requestedSchema, params.requestedSchema);
    const bulk = await during('export', ({ call }) => asked(call, { message: 'x'.repeat(5_000) }));
    assert.ok(bulk.made.outcome.kind === 'refused' && bulk.made.outcome.decision.code === 'result.too-large');
    assert.equal(bulk.made.shown, undefined);
  }
});

/** @proves result.other-roads */
test('what a server says ahead of its answer is no way around what is held, nor is an error', async () => {
  const { made } = await during('export', async ({ heard, clean }) => {
    await heard(clean({ message: `half done: ${EMAIL}` }));
    const said: string[] = [];
    for (let page = 0; page < 10; page++) {
      try {
        await heard({ message: 'x'.repeat(1_000) });
        said.push('heard');
      } catch (error) {
        said.push((error as { code: string }).code);
      }
    }
    return said;
  });
  assert.equal(made.filter((each) => each === 'heard').length, 3);
  assert.ok(made.slice(3).every((each) => each === 'result.too-large'));
  const data = rows(400).structuredContent;
  const failed = await during('export', async () => null, {
    result: 'failure',
    body: { code: -32000, message: 'no', data },
  });
  assert.ok(failed.outcome.kind === 'done');
  assert.deepEqual(failed.outcome.sent.body, { code: -32000, message: 'no' });
  const few = await during('export', async () => null, {
    result: 'failure',
    body: { code: 1, message: 'no', data: [1] },
  });
  assert.deepEqual(few.outcome.kind === 'done' && few.outcome.sent.body, { code: 1, message: 'no', data: [1] });
  const disguised = await during('export', async () => null, {
    result: 'success',
    body: { ...rows(400), resultType: 'input_required' },
  });
  assert.equal(disguised.outcome.kind, 'pending');
});

/** @proves result.other-roads */
test('what a server says outside of any call is masked for everything that the task could call there, and labelled before it is heard', async () => {
  const details = { type: TASK_DETAILS_TYPE, template: 'all', parameters: {}, intent: 'read' } as const;
  const task = await room.registry.startTask(AGENT, details);
  const caller = { ...room.caller, task };
  const labelled = async () => {
    const rows = await room.storage.db
      .selectFrom('flow_labels')
      .selectAll()
      .where('holder', '=', `task/${task.id}`)
      .execute();
    return rows.map(({ label }) => label);
  };
  const heard = await room.enforcement.hear(caller, 'shop', { level: 'info', data: `seen ${EMAIL}` });
  assert.match(JSON.stringify(heard), /^\{"level":"info","data":"\[payroll #\w{7}\]"\}$/);
  const now = await labelled();
  for (const label of ['untrusted', 'sensitive:personal', 'sensitive:payroll']) assert.ok(now.includes(label), label);
  const of = await start('export');
  const status = { taskId: 't', status: 'working', statusMessage: `row of ${EMAIL}` };
  const told = await room.enforcement.hear(room.caller, 'shop', status, of);
  assert.match(JSON.stringify(told), /"status":"working","statusMessage":"row of \[email #\w{7}\]"/);
});

/** @proves result.unmatched */
test('a text in which masked fields can not be told from the rest is named whole', async () => {
  const call = async (body: Json) => {
    const { outcome } = await during('salaries', async () => null, { result: 'success', body });
    assert.ok(outcome.kind === 'done');
    return JSON.stringify(outcome.sent.body);
  };
  const structuredContent = { people: [{ name: 'Ann', salary: 4_000 }] };
  const bodies: Json[] = [
    text('Ann earns 4,000 a month'),
    text(JSON.stringify({ staff: [{ name: 'Ann', pay: 4_000 }] })),
    { ...text('Ann earns 4,000 a month'), structuredContent },
    { ...text('Ann earns 4,000 a month'), structuredContent: {} },
    { content: [], structuredContent, note: 'Ann earns 4,000' },
    { content: [{ type: 'resource', resource: { uri: 'x:1', text: 'Ann earns 4,000' } }] },
  ];
  for (const body of bodies) assert.ok(!/4,?000/.test(await call(body)), JSON.stringify(body));
  const json = await call({ ...text(JSON.stringify(structuredContent)), structuredContent });
  assert.equal(json.match(/salary\\?":null/g)?.length, 2, json);
  const list = await call({ structuredContent: { result: structuredContent } });
  assert.match(list, /"salary":null/);
});

/** @proves result.masked-on-release */
test('what is masked since a result was held is masked in it when it is given out', async () => {
  const body = { ...rows(50), note: 'DE89370400440532013000' };
  const action: Action = {
    caller: room.caller,
    operation: 'tools/call',
    server: 'shop',
    name: 'export',
    arguments: {},
  };
  const call = () => room.enforcement.enforce(action, async () => ({ result: 'success', body }));
  await apply(workspace([], { limit: 20 }));
  const held = await call();
  assert.ok(held.kind === 'pending');
  await apply(workspace(['personal'], { limit: 20 }));
  const asked = await call();
  assert.ok(asked.kind === 'pending' && asked.actionId === held.actionId);
  await approve(room.approvals, asked.approval, OWNER, passkey);
  const given = await call();
  assert.ok(given.kind === 'done' && given.actionId === held.actionId);
  assert.ok(!/anna@|DE8937/.test(JSON.stringify(given.sent.body)));
  const labels = (await room.recordsOf(held.actionId)).find(({ labels: all }) => all.includes('released'))?.labels;
  assert.ok(labels?.includes('masked:email') && labels.includes('masked:iban'), String(labels));
  await apply(workspace());
});
