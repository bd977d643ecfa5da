import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Approval } from '@gatehouse/protocol';
import { onEachDatabase } from '../../../identity/people/testing/databases.ts';
import { type House, openHouse } from '../../../identity/people/testing/house.ts';
import type { JsonObject } from '../../../platform/index.ts';
import { type Act, gone } from '../act.ts';
import type { AgentSide, Call } from '../agent-side.ts';
import { doorLimits } from '../limits.ts';
import { taskOf } from '../testing/world.ts';
import { createWaitingRows } from './rows.ts';
import { createWaitingCalls, type WaitingCalls } from './waiting-calls.ts';

const blank = {
  agent: null,
  task: null,
  tool: null,
  resource: null,
  ticket: null,
  on_behalf_of: null,
  requested_by: null,
  actor_chain: [],
  approval: null,
  result: null,
  labels: [],
  changes: [],
  credentials: [],
};

/** Two replicas on one database, of which one runs a call and the other is asked what came of it, at each moment between. */
onEachDatabase('MCP tasks at two replicas', (database) => {
  let house: House;
  const replicas: WaitingCalls[] = [];
  let count = 0;
  let ran = 0;
  let refusals = 0;
  let withdrawn: string[] = [];
  const approvals = new Map<string, Approval>();
  before(async () => {
    house = await openHouse({ database: await database() });
  });
  after(async () => {
    for (const replica of replicas) replica.close();
    await house.close();
  });

  const agentOf = (task = `tsk_${++count}`): AgentSide => ({
    caller: {
      agent: 'agent',
      agentEpoch: 1,
      task: taskOf('agent', task),
      actorChain: [],
      chain: [],
      tokenId: 'token',
      proofKey: null,
      expiresAt: Number.MAX_SAFE_INTEGER,
    },
    view: { server: 'shop' } as AgentSide['view'],
    era: '2025-11-25',
    capabilities: {},
    session: undefined,
    progressToken: undefined,
    logLevel: null,
    signal: new AbortController().signal,
    takesTask: { ttlMs: null },
    notify: () => undefined,
    ask: () => assert.fail('nobody is asked'),
    awaitApproval: () => assert.fail('nobody is asked'),
  });
  const call: Call = { method: 'tools/call', server: 'shop', name: 'pay', arguments: {}, params: { task: {} } };
  const asked = (): Approval =>
    ({
      id: `apr_${++count}`,
      actionId: `act_${count}`,
      state: 'pending',
      expiresAt: house.clock.now() + 600_000,
      decision: { reason: 'It is grave.' },
    }) as Approval;
  const refused = () => {
    refusals++;
    return gone;
  };
  const paid = { result: { content: [{ type: 'text', text: 'paid' }] } };

  function openReplica(act: Act): WaitingCalls {
    ran = 0;
    refusals = 0;
    withdrawn = [];
    const replica = createWaitingCalls({
      ...house,
      rows: createWaitingRows(house),
      act,
      approvals: {
        get: async (id: string) => approvals.get(id),
        settled: () => new Promise<never>(() => undefined),
        withdraw: async (id: string) => void withdrawn.push(id),
      } as never,
      enforcement: { attach: () => () => undefined, whyRefused: () => undefined },
    });
    replicas.push(replica);
    return replica;
  }
  const idle = () => openReplica(() => assert.fail('it runs elsewhere'));

  /** Stops at each step until the test says how it goes on. */
  function stepping() {
    const waits = new Map<string, { arrived(): void; here: Promise<void>; go(): void; gate: Promise<void> }>();
    const at = (step: string) => {
      const known = waits.get(step);
      if (known) return known;
      const { promise: here, resolve: arrived } = Promise.withResolvers<void>();
      const { promise: gate, resolve: go } = Promise.withResolvers<void>();
      const made = { arrived, here, go, gate };
      waits.set(step, made);
      return made;
    };
    return {
      at,
      async pass(step: string) {
        at(step).arrived();
        await at(step).gate;
      },
      open(...steps: string[]) {
        for (const step of steps) at(step).go();
      },
    };
  }

  /** Lets a call through as enforcement does: what must stand is asked first, and the dispatch fails where it does not. */
  const sending =
    ({ pass }: ReturnType<typeof stepping>, actionId?: string): Act =>
    async (side, { stands, ...given }) => {
      const id = actionId ?? given.actionId ?? '';
      await pass('begun');
      const guards = stands ? await stands(id) : [];
      if (!guards) return refused();
      await pass('decided');
      const record = { ...blank, kind: 'dispatch', action_id: id, operation: given.method };
      const written = await house.ledger.append({ record: record as never }, { guards: [...guards] });
      if (!written.ok) return refused();
      ran++;
      await pass('sent');
      return side.signal.aborted ? { error: { code: 1, message: 'stopped' } } : paid;
    };

  const taskIdIn = (answer: unknown) => String((answer as { result: { task: JsonObject } }).result.task.taskId);
  /** Its task as its agent sees it in the list, before the call for it is answered. */
  async function begun(at: WaitingCalls, agent: AgentSide, reached: Promise<void>): Promise<string> {
    at.start(agent, call).catch(() => undefined);
    await reached;
    return String((await at.list(agent))[0]?.taskId);
  }
  const state = async (at: WaitingCalls, agent: AgentSide, taskId: string) => {
    const answer = (await at.answer(agent, 'tasks/get', { taskId })) as { result: JsonObject };
    return [answer.result.status, answer.result.statusMessage].join(': ');
  };

  /** @proves waiting.mcp-task-fenced */
  for (const step of ['begun', 'decided'])
    test(`what one replica has ${step} and another gives up is not sent any more`, async () => {
      const steps = stepping();
      const here = openReplica(sending(steps));
      const other = idle();
      const agent = agentOf();
      if (step === 'decided') steps.open('begun');
      const taskId = await begun(here, agent, steps.at(step).here);
      assert.match(await state(other, agent, taskId), /^working/);
      house.pass(31_000);
      assert.match(await state(other, agent, taskId), /^failed: .*Nothing ran; call again/);
      steps.open('begun', 'decided', 'sent');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual([ran, refusals], [0, 1]);
      assert.match(await state(here, agent, taskId), /^failed: .*Nothing ran; call again/);
    });

  for (const under of [undefined, 'of its own', 'of an earlier yes'])
    test(`what is sent is not said never to have been: under an id ${under ?? 'as before'}`, async () => {
      const steps = stepping();
      const here = openReplica(sending(steps, under && `act_${++count}`));
      const other = idle();
      const agent = agentOf();
      steps.open('begun', 'decided');
      const taskId = await begun(here, agent, steps.at('sent').here);
      house.pass(31_000);
      assert.match(await state(other, agent, taskId), /^working/);
      steps.open('sent');
      while (/^working/.test(await state(other, agent, taskId)))
        await new Promise((resolve) => setTimeout(resolve, 10));
      assert.deepEqual([ran, await state(other, agent, taskId)], [1, 'completed: ']);
    });

  /** @proves waiting.mcp-task-fenced */
  for (const [where, step] of [
    ['here', 'begun'],
    ['here', 'decided'],
    ['elsewhere', 'begun'],
    ['elsewhere', 'decided'],
  ] as const)
    test(`a task that is cancelled ${where} when its call has ${step} is not sent`, async () => {
      const steps = stepping();
      const here = openReplica(sending(steps));
      const agent = agentOf();
      if (step === 'decided') steps.open('begun');
      const taskId = await begun(here, agent, steps.at(step).here);
      const cancelled = await (where === 'here' ? here : idle()).answer(agent, 'tasks/cancel', { taskId });
      assert.match(JSON.stringify(cancelled), /"status":"cancelled"/);
      steps.open('begun', 'decided', 'sent');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual([ran, refusals], [0, 1]);
    });

  test('a call that is under way is stopped at its server when its task is cancelled, here or elsewhere', async () => {
    for (const where of ['here', 'elsewhere']) {
      let stopped: AbortSignal | undefined;
      const steps = stepping();
      const here = openReplica(async (side) => {
        stopped = side.signal;
        await steps.pass('sent');
        return paid;
      });
      const agent = agentOf();
      const taskId = await begun(here, agent, steps.at('sent').here);
      await (where === 'here' ? here : idle()).answer(agent, 'tasks/cancel', { taskId });
      // As its follower here looks, or its agent.
      await state(here, agent, taskId);
      assert.equal(stopped?.aborted, true, where);
      steps.open('sent');
    }
  });

  test('nobody is left asked for a task that was cancelled before they were', async () => {
    const approval = asked();
    const steps = stepping();
    const here = openReplica(async (side, given) => {
      await steps.pass('begun');
      return (await side.awaitApproval(approval, approval.actionId, given)) ?? paid;
    });
    const agent = agentOf();
    const taskId = await begun(here, agent, steps.at('begun').here);
    await here.answer(agent, 'tasks/cancel', { taskId });
    steps.open('begun');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(withdrawn, [approval.id]);
  });

  test('the question that a task turns out to have is withdrawn with it, also by who saw it before', async () => {
    const approval = asked();
    const agent = agentOf();
    const steps = stepping();
    const here = openReplica(async (side, given) => {
      await steps.pass('begun');
      return (await side.awaitApproval(approval, approval.actionId, given)) ?? paid;
    });
    const taskId = await begun(here, agent, steps.at('begun').here);
    const other = idle();
    const cancelling = other.answer(agent, 'tasks/cancel', { taskId });
    steps.open('begun');
    await cancelling;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(withdrawn, [approval.id]);
  });

  test('the same call as two tasks is one question, and the later task says which waits', async () => {
    const approval = asked();
    const steps = stepping();
    const act: Act = async (side, given) => {
      if (given.name === 'slow') await steps.pass('begun');
      return (await side.awaitApproval(approval, approval.actionId, given)) ?? paid;
    };
    const here = openReplica(act);
    const agent = agentOf();
    const late = taskIdIn(await here.start(agent, { ...call, name: 'slow' }));
    const first = taskIdIn(await here.start(agent, call));
    assert.equal(taskIdIn(await openReplica(act).start(agent, call)), first);
    steps.open('begun');
    while ((await state(here, agent, late)).startsWith('working'))
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(
      await state(here, agent, late),
      `failed: The same call waits as the task ${first} already. Ask for that one.`,
    );
    assert.deepEqual((await here.list(agent)).map(({ taskId }) => taskId).sort(), [first, late].sort());
    assert.deepEqual(withdrawn, []);
  });

  test('what is refused at one replica because another runs it does not end as refused; what an error says of itself ends it', async () => {
    const approval = { ...asked(), state: 'approved' as const };
    approvals.set(approval.id, approval);
    const agent = agentOf();
    const steps = stepping();
    const here = openReplica(async () => {
      ran++;
      approvals.set(approval.id, { ...approval, state: 'consumed' });
      await steps.pass('sent');
      return { error: { code: -32000, message: 'no stock', data: { code: 'replica.stale' } } };
    });
    const made = await here.open(agent, call, approval, approval.actionId);
    const taskId = taskIdIn(made);
    const overBudget = { content: [], isError: true, _meta: { 'gatehouse/decision': { code: 'budget.exceeded' } } };
    const other = openReplica(async () => {
      // It decides before the other has sent, and dispatches after.
      state(here, agent, taskId).catch(() => undefined);
      await steps.at('sent').here;
      return { result: overBudget };
    });
    await state(other, agent, taskId);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.match(await state(other, agent, taskId), /^working/);
    steps.open('sent');
    while (/^working/.test(await state(here, agent, taskId))) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await state(other, agent, taskId), 'failed: no stock');
    assert.equal(ran, 1);
  });

  test('what is refused and was let through nowhere ends as refused', async () => {
    const approval = { ...asked(), state: 'approved' as const };
    approvals.set(approval.id, approval);
    const agent = agentOf();
    const overBudget = { content: [], isError: true, _meta: { 'gatehouse/decision': { code: 'budget.exceeded' } } };
    const here = openReplica(async () => ({ result: overBudget }));
    const taskId = taskIdIn(await here.open(agent, call, approval, approval.actionId));
    while (/^working/.test(await state(here, agent, taskId))) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.match(await state(here, agent, taskId), /^failed/);
  });

  test('a question is withdrawn before its task ends, so that nobody is left asked', async () => {
    const approval = asked();
    approvals.set(approval.id, approval);
    const agent = agentOf();
    const here = idle();
    const taskId = taskIdIn(await here.open(agent, call, approval, approval.actionId));
    const seen: string[] = [];
    const breaking = createWaitingCalls({
      ...house,
      rows: createWaitingRows(house),
      act: () => assert.fail('it is cancelled'),
      approvals: {
        async withdraw() {
          seen.push(await state(here, agent, taskId));
          throw new Error('the process ends here');
        },
      } as never,
      enforcement: { attach: () => () => undefined, whyRefused: () => undefined },
    });
    await assert.rejects(breaking.answer(agent, 'tasks/cancel', { taskId }), /ends here/);
    assert.match(String(seen), /^working/);
    approvals.set(approval.id, { ...approval, state: 'cancelled' });
    assert.match(await state(here, agent, taskId), /^cancelled/);
  });

  test('a call for whose task there is no room does not run; one that came to an error leaves its room', async () => {
    const here = openReplica(async (_, { name }) => {
      ran++;
      return name === 'broken' ? { error: { code: 1, message: 'broken' } } : paid;
    });
    const agent = agentOf();
    for (let at = 1; at < doorLimits.waitingTasksPerTask; at++) await here.start(agent, call);
    assert.match(JSON.stringify(await here.start(agent, { ...call, name: 'broken' })), /"message":"broken"/);
    ran = 0;
    const all = await Promise.allSettled(Array.from({ length: 6 }, () => here.start(agent, call)));
    const refused = all.flatMap((each) => (each.status === 'rejected' ? each.reason.code : []));
    assert.deepEqual([ran, refused], [1, Array(5).fill('task.too-many-waiting')]);
    assert.equal(await here.open({ ...agent, era: '2026-07-28' }, call, asked(), 'act_1'), undefined);
  });
});
