import { setTimeout as sleep } from 'node:timers/promises';
import type { Approval } from '@gatehouse/protocol';
import type { Approvals } from '../../../approvals/index.ts';
import type { Enforcement } from '../../../enforcement/index.ts';
import type { Ledger } from '../../../ledger/index.ts';
import { type Clock, GatehouseError, isJsonObject, type JsonObject, type Log, newId } from '../../../platform/index.ts';
import { JsonRpcFailure, type UpstreamAnswer } from '../../upstream/types.ts';
import { type Act, gone, superseded } from '../act.ts';
import type { AgentSide, Call } from '../agent-side.ts';
import { asObject, elicitationModes } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { notApprovedAnswer, unknownAnswer, waitingMeta } from '../replies.ts';
import { codes, errorAnswer } from '../rpc.ts';
import type { WaitingRows, WaitingTask, Whose } from './rows.ts';
import { detailed, isTerminal, relatedTaskKey, type Shown, shownAs } from './wire.ts';

/**
 * Calls of clients that take an MCP task for an answer, while people decide and while they run. A task goes on where anybody looks: at the
 * replica that answered, as long as its client is there, and at whichever replica its agent asks. INVARIANT: a task that waits runs only under
 * the approval that it waits for, which the dispatch uses up, so that it runs once whoever carries it on, and wherever they die.
 */
export interface WaitingCalls {
  /** A person has to decide: the client gets a task. */
  open(agent: AgentSide, call: Call, approval: Approval, actionId: string): Promise<UpstreamAnswer>;
  /** Runs as a task what is to be one, but not at its server. */
  start(agent: AgentSide, call: Call): Promise<UpstreamAnswer>;
  /** `tasks/get`, `tasks/result`, `tasks/update`, `tasks/cancel` of one of these; undefined: it is none of them. */
  answer(agent: AgentSide, method: string, params: JsonObject): Promise<UpstreamAnswer | undefined>;
  /** `tasks/list`. */
  list(agent: AgentSide): Promise<JsonObject[]>;
  /** Tells how the task stands, now and whenever that changes, until it ends. False: there is no such task. */
  watch(agent: AgentSide, id: string, signal: AbortSignal, tell: (task: JsonObject) => void): Promise<boolean>;
  close(): void;
}

export interface WaitingCallsDependencies {
  rows: WaitingRows;
  act: Act;
  approvals: Approvals;
  enforcement: Pick<Enforcement, 'attach' | 'whyRefused'>;
  ledger: Pick<Ledger, 'action'>;
  clock: Clock;
  log: Log;
  publicUrl: string;
}

const isOurs = /^mcp_[0-9a-z]{10,40}$/;

/** What a task that may not go on now is refused with, though it may a moment later. */
const passing = new Set(['replica.stale', 'action.running', 'task.suspended']);

/** What came of a call is given out by whoever ran it, unless that is gone. */
const LOST_AFTER_MS = 10_000;
/** Whoever waits for people hears of it; this is for what nobody tells. */
const WAIT_MS = 60_000;

export function createWaitingCalls(deps: WaitingCallsDependencies): WaitingCalls {
  const { rows, act, approvals, enforcement, clock, log, publicUrl } = deps;
  const running = new Map<string, Promise<void>>();
  /** By task, whoever carries it on in the background: the client that has asked last. */
  const following = new Map<string, AbortController>();
  const closing = new AbortController();

  async function shown(agent: AgentSide, task: WaitingTask): Promise<{ as: Shown; approval: Approval | undefined }> {
    const approval =
      task.state === 'waiting' && task.approval !== null ? await approvals.get(task.approval) : undefined;
    const asks = agent.era === '2026-07-28' && elicitationModes(agent.capabilities).url;
    return { as: shownAs(agent.era, task, approval, { publicUrl, asks }), approval };
  }

  /** Brings it as far as it gets now: what may run begins to. */
  async function advance(agent: AgentSide, task: WaitingTask): Promise<void> {
    if (task.state !== 'waiting' || running.has(task.id)) return;
    const approval = task.approval === null ? undefined : await approvals.get(task.approval);
    if (approval?.state === 'pending') return;
    if (approval?.state === 'approved') return run(agent, task);
    const refusal = approval && notApprovedAnswer('tasks/create', approval, task.actionId);
    if (refusal) await rows.end(task.id, approval.state === 'cancelled' ? 'cancelled' : 'done', refusal);
    else await endByRecord(task);
  }

  function run(agent: AgentSide, task: WaitingTask): void {
    if (running.has(task.id)) return;
    const work = carryOn(agent, task)
      .catch((error: unknown) => log.error('a task that waited could not be carried on', { task: task.id, error }))
      .finally(() => running.delete(task.id));
    running.set(task.id, work);
  }

  async function carryOn(agent: AgentSide, task: WaitingTask): Promise<void> {
    let waitsFor: Approval | undefined;
    const under = task.approval === null ? {} : { under: task.approval };
    const side = behind(agent, async (approval) => {
      waitsFor = approval;
      return stillWaiting;
    });
    const answer = await act(side, { ...task.call, actionId: task.actionId, ...under, settles: true });
    if (waitsFor) {
      // Of a result that is held: it has run, and a person releases it.
      if (waitsFor.id !== task.approval) await rows.waitFor(task.id, waitsFor);
      return;
    }
    if (answer === gone || passing.has(refusalIn(answer) ?? '')) return;
    await end(task, answer);
    if (answer === superseded && task.approval !== null) await approvals.withdraw(task.approval, byOf(agent));
  }

  async function end(task: Pick<WaitingTask, 'id'>, answer: UpstreamAnswer): Promise<void> {
    const isKept = Buffer.byteLength(JSON.stringify(answer)) <= doorLimits.taskResultBytes;
    await rows.end(task.id, 'done', isKept ? answer : tooLarge);
  }

  /** Nobody here runs it, and it is not to be run any more: what came of it is on record, or will be. */
  async function endByRecord(task: WaitingTask): Promise<void> {
    const action = await deps.ledger.action(task.actionId);
    const outcome = action?.records.findLast(({ record }) => record.kind === 'outcome')?.record;
    const since = clock.now() - (outcome ? Date.parse(outcome.time) : task.updatedAt);
    if (since < LOST_AFTER_MS || (action && !outcome)) return;
    if (outcome?.result === 'unknown')
      await end(task, unknownAnswer('tasks/create', outcome.detail ?? '', task.actionId, publicUrl));
    else await end(task, outcome ? lostAnswer(outcome.result ?? '', task.actionId, publicUrl) : neverRan);
  }

  /** Looks until it has ended, and carries it on meanwhile. `agent` gives the client as it is now; undefined: it is gone. */
  async function follow(
    agent: () => AgentSide | undefined,
    whose: Whose,
    id: string,
    signal: AbortSignal,
    tell: (as: Shown, approval: Approval | undefined) => void = () => undefined,
  ): Promise<void> {
    let said = '';
    for (;;) {
      const now = agent();
      if (signal.aborted || !now || now.caller.expiresAt <= clock.now()) return;
      if (enforcement.whyRefused(now.caller)) return;
      const before = await rows.find(whose, id);
      if (before) await advance(now, before);
      const task = before && (await rows.find(whose, id));
      if (!task) return;
      const { as, approval } = await shown(now, task);
      const word = JSON.stringify([as.status, as.body.statusMessage ?? null]);
      if (word !== said) tell(as, approval);
      said = word;
      if (isTerminal(as.status)) return;
      await turn(task, approval, signal);
    }
  }

  /** Until something may have happened to it. */
  async function turn({ id }: WaitingTask, approval: Approval | undefined, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const until = AbortSignal.any([signal, closing.signal, enough.signal]);
    const waits = approval?.state === 'pending';
    const pause = sleep(waits ? WAIT_MS : 500, undefined, { signal: until, ref: false }).catch(() => undefined);
    const decided = waits ? approvals.settled(approval.id, until).catch(() => undefined) : undefined;
    await Promise.race([pause, ...(decided ? [decided] : []), ...(running.has(id) ? [running.get(id)] : [])]);
    enough.abort();
  }

  /** Goes on when the request that made it has been answered, for as long as its client is there. */
  function goOn(agent: AgentSide, task: WaitingTask): void {
    const { later } = agent;
    if (!later) return;
    const stopped = new AbortController();
    following.get(task.id)?.abort();
    following.set(task.id, stopped);
    const release = enforcement.attach(agent.caller, (reason) => stopped.abort(new Error(reason)));
    const signal = AbortSignal.any([stopped.signal, closing.signal]);
    const tell = ({ body }: Shown) => later()?.notify('notifications/tasks/status', body);
    follow(later, whoseOf(agent), task.id, signal, agent.era === '2025-11-25' ? tell : undefined)
      .catch((error: unknown) => log.error('a task that waits is not followed any more', { task: task.id, error }))
      .finally(() => {
        release();
        if (following.get(task.id) === stopped) following.delete(task.id);
      });
  }

  async function create(
    agent: AgentSide,
    call: Call,
    approval: Approval | null,
    actionId: string,
  ): Promise<{ task: WaitingTask; answer: UpstreamAnswer }> {
    const ttlMs = Math.min(Math.max(agent.takesTask?.ttlMs ?? 0, doorLimits.taskTtlMs), doorLimits.taskTtlMostMs);
    const { task: _, _meta, ...params } = call.params;
    const task = await rows.open(whoseOf(agent), { call: { ...call, params }, approval, actionId, ttlMs });
    const { body } = shownAs(agent.era, task, approval ?? undefined, { publicUrl, asks: false });
    // A task begins as one that works (2025-11-25 tasks, Task Status Lifecycle), also where it has ended already.
    const working = { ...body, status: 'working' };
    const meta = approval ? waitingMeta(publicUrl, approval) : {};
    const words = typeof body.statusMessage === 'string' ? body.statusMessage : undefined;
    if (agent.era === '2026-07-28')
      return { task, answer: { result: { ...working, resultType: 'task', _meta: meta } } };
    const immediate: JsonObject =
      words === undefined ? {} : { 'io.modelcontextprotocol/model-immediate-response': words };
    const { _meta: __, ...plain } = working as JsonObject;
    return { task, answer: { result: { task: plain, _meta: { ...meta, ...immediate } } } };
  }

  async function cancel(agent: AgentSide, task: WaitingTask): Promise<UpstreamAnswer> {
    const isOver = task.state !== 'waiting';
    if (!isOver && (await rows.end(task.id, 'cancelled', cancelled)) && task.approval !== null)
      await approvals.withdraw(task.approval, byOf(agent));
    if (agent.era === '2026-07-28') return { result: {} };
    if (isOver) return errorAnswer(codes.invalidParams, 'The task has ended already.');
    const after = (await rows.find(whoseOf(agent), task.id)) ?? task;
    return { result: (await shown(agent, after)).as.body };
  }

  /** Holds the request until the task has ended (2025-11-25 tasks, Result Retrieval). */
  async function result(agent: AgentSide, { id }: WaitingTask): Promise<UpstreamAnswer> {
    const side = behind(agent, agent.awaitApproval);
    await follow(() => side, whoseOf(agent), id, agent.signal);
    const task = await rows.find(whoseOf(agent), id);
    if (!task?.answer) return errorAnswer(codes.ended, 'The request has ended, and the task has not. Ask again.');
    if ('error' in task.answer) return task.answer;
    const { result: given } = task.answer;
    return { result: { ...given, _meta: { ...asObject(given._meta), [relatedTaskKey]: { taskId: id } } } };
  }

  return {
    async open(agent, call, approval, actionId) {
      const { task, answer } = await create(agent, call, approval, actionId);
      goOn(agent, task);
      return answer;
    },

    async start(agent, call) {
      const actionId = newId('act', clock.now());
      await rows.requireRoom(whoseOf(agent));
      const { task: _, ...params } = call.params;
      const plain = { ...call, params, actionId, settles: true };
      let made: Promise<{ task: WaitingTask; answer: UpstreamAnswer }> | undefined;
      let asked: UpstreamAnswer | undefined;
      const side = behind(agent, async (approval, id, waiting) => {
        if (made) {
          await rows.waitFor((await made).task.id, approval);
          return stillWaiting;
        }
        made = create(agent, waiting, approval, id);
        const { task, answer } = await made;
        goOn(agent, task);
        asked = answer;
        return answer;
      });
      const work = act(side, plain);
      const soon = await Promise.race([work, sleep(doorLimits.taskAtOnceMs, undefined, { ref: false })]);
      if (soon && (soon === asked || 'error' in soon)) return soon;
      if (soon && refusalIn(soon) !== undefined) return refusedAsError(soon.result);
      made ??= create(agent, plain, null, actionId);
      const { task, answer } = await made;
      const keep = async () => {
        const done = await work.catch((error: unknown) =>
          error instanceof JsonRpcFailure
            ? { error: error.error }
            : errorAnswer(codes.internal, 'Something failed inside Gatehouse; the server log has the cause.'),
        );
        if (done !== stillWaiting && done !== asked) await end(task, done);
      };
      const kept = keep()
        .catch((error: unknown) => log.error('what a task came to is not kept', { task: task.id, error }))
        .finally(() => running.delete(task.id));
      running.set(task.id, kept);
      if (soon) await kept;
      else goOn(agent, task);
      return answer;
    },

    async answer(agent, method, params) {
      const { taskId } = params;
      if (typeof taskId !== 'string' || !isOurs.test(taskId)) return undefined;
      const whose = whoseOf(agent);
      const found = await rows.find(whose, taskId);
      if (!found) return undefined;
      const refused = enforcement.whyRefused(agent.caller);
      if (refused) return errorAnswer(codes.refused, `Refused by Gatehouse (${refused.code}): ${refused.reason}`);
      switch (method) {
        case 'tasks/get': {
          await advance(behind(agent, agent.awaitApproval), found);
          const { as, approval } = await shown(agent, (await rows.find(whose, taskId)) ?? found);
          return { result: agent.era === '2025-11-25' ? as.body : detailed(as, approval, publicUrl) };
        }
        case 'tasks/result':
          return result(agent, found);
        case 'tasks/update':
          if (isJsonObject(params.inputResponses) && 'gatehouse_approval' in params.inputResponses)
            await rows.show(taskId);
          return { result: {} };
        case 'tasks/cancel':
          return cancel(agent, found);
        default:
          return undefined;
      }
    },

    async list(agent) {
      const tasks = await rows.list(whoseOf(agent));
      const all = await Promise.all(tasks.map((task) => shown(agent, task)));
      return all.map(({ as }) => as.body);
    },

    async watch(agent, id, signal, tell) {
      if (!isOurs.test(id) || !(await rows.find(whoseOf(agent), id))) return false;
      const side = behind(agent, agent.awaitApproval);
      const until = AbortSignal.any([signal, closing.signal]);
      follow(
        () => side,
        whoseOf(agent),
        id,
        until,
        (as, approval) => tell(detailed(as, approval, publicUrl)),
      ).catch((error: unknown) => log.error('a task is not watched any more', { task: id, error }));
      return true;
    },

    close: () => closing.abort(new GatehouseError('unavailable', 'gate.closing', 'The gate shuts down.')),
  };
}

/** The client of a task, which hears of the call by the task alone, and does not end it by leaving. */
function behind(agent: AgentSide, awaitApproval: AgentSide['awaitApproval']): AgentSide {
  const { endRound: _, takesTask: __, ...side } = agent.later?.() ?? agent;
  return {
    ...side,
    progressToken: undefined,
    logLevel: null,
    signal: new AbortController().signal,
    notify: () => undefined,
    awaitApproval,
  };
}

const whoseOf = ({ caller, view, era }: AgentSide): Whose => ({ caller, view: view.server, era });

const byOf = ({ caller }: AgentSide): string => caller.actorChain[0]?.sub ?? `agent:${caller.agent}`;

const stillWaiting = errorAnswer(codes.waiting, 'It waits.');
const cancelled = errorAnswer(
  codes.ended,
  'The agent cancelled the task. What was sent before that runs on, and what comes of it is on record.',
);
const neverRan = errorAnswer(codes.upstream, 'The gate was stopped before this was sent. Nothing ran; call again.');
const tooLarge = errorAnswer(
  codes.limit,
  'It has run, and its result is too large to be kept for a task. Ask for less, for example with a filter or a page.',
);

const lostAnswer = (result: string, actionId: string, publicUrl: string) =>
  errorAnswer(
    codes.unknown,
    `It has run (${result}), and its result is not here: another request of this agent had it, or the replica that ran it was stopped. Do not repeat it blindly.`,
    { state: result, action_id: actionId, url: `${publicUrl}/actions/${actionId}` },
  );

/** A request for a task is answered with one or with an error. */
const refusedAsError = ({ content, _meta }: JsonObject) =>
  errorAnswer(
    codes.refused,
    String(asObject(Array.isArray(content) ? content[0] : {}).text),
    asObject(asObject(_meta)['gatehouse/decision']),
  );

/** The code of a refusal, where that is what became of the call. */
function refusalIn(answer: UpstreamAnswer): string | undefined {
  const decision = 'error' in answer ? answer.error.data : asObject(answer.result._meta)['gatehouse/decision'];
  const { code } = asObject(decision);
  return typeof code === 'string' ? code : undefined;
}
