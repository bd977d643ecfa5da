import { setTimeout as sleep } from 'node:timers/promises';
import type { Approval } from '@gatehouse/protocol';
import type { Approvals } from '../../../approvals/index.ts';
import type { Enforcement } from '../../../enforcement/index.ts';
import type { Ledger } from '../../../ledger/index.ts';
import { type Clock, GatehouseError, isJsonObject, type JsonObject, type Log, newId } from '../../../platform/index.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { type Act, gone, superseded } from '../act.ts';
import type { AgentSide, Call } from '../agent-side.ts';
import { asObject, elicitationModes } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { notApprovedAnswer, unknownAnswer, waitingMeta } from '../replies.ts';
import { codes, errorAnswer } from '../rpc.ts';
import {
  cancelled,
  lostAnswer,
  neverRan,
  refusalIn,
  refusedAsError,
  sameWaits,
  stillWaiting,
  thrownAnswer,
  tooLarge,
} from './answers.ts';
import type { WaitingRows, WaitingTask, Whose } from './types.ts';
import { detailed, isTerminal, relatedTaskKey, type Shown, shownAs } from './wire.ts';

/**
 * Calls of clients that take an MCP task for an answer, while people decide and while they run. A task goes on where anybody looks: at the
 * replica that answered, as long as its client is there, and at whichever replica its agent asks. INVARIANT: a task that waits runs only under
 * the approval that it waits for, which the dispatch uses up, so that it runs once whoever carries it on, and wherever they die; and only while
 * its row waits, which the dispatch is guarded by, so that nothing runs of which it was said that it has ended.
 */
export interface WaitingCalls {
  /** A person has to decide: the client gets a task. Undefined: there is no room for one, and it waits as clients do that take none. */
  open(agent: AgentSide, call: Call, approval: Approval, actionId: string): Promise<UpstreamAnswer | undefined>;
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
/** Longer than a call may wait before it is sent (for another replica that sends the same, for the database). */
const NEVER_SENT_AFTER_MS = 30_000;
/** Whoever waits for people hears of it; this is for what nobody tells. */
const WAIT_MS = 60_000;

export function createWaitingCalls(deps: WaitingCallsDependencies): WaitingCalls {
  const { rows, act, approvals, enforcement, clock, log, publicUrl } = deps;
  /** By task, who runs it here. */
  const running = new Map<string, { work: Promise<void>; stop: AbortController }>();
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
    if (task.state === 'cancelled') stopHere(task.id);
    if (task.state !== 'waiting' || running.has(task.id)) return;
    const approval = task.approval === null ? undefined : await approvals.get(task.approval);
    if (approval?.state === 'pending' || running.has(task.id)) return;
    if (approval?.state === 'approved') {
      const stop = new AbortController();
      run(task.id, stop, () => carryOn(agent, task, stop.signal));
      return;
    }
    const refusal = approval && notApprovedAnswer('tasks/create', approval, task.actionId);
    if (refusal) await rows.end(task.id, approval.state === 'cancelled' ? 'cancelled' : 'done', refusal);
    else await endByRecord(task);
  }

  function run(id: string, stop: AbortController, work: () => Promise<void>): Promise<void> {
    const done = work()
      .catch((error: unknown) => log.error('a task could not be carried on', { task: id, error }))
      .finally(() => running.delete(id));
    running.set(id, { work: done, stop });
    return done;
  }

  /** Its client is not told of it. */
  async function forget(id: string, work: Promise<void>): Promise<void> {
    await work;
    await rows
      .forget(id)
      .catch((error: unknown) => log.warn('a task that nobody was told of stays', { task: id, error }));
  }

  const stopHere = (id: string) => running.get(id)?.stop.abort(new Error('The agent cancelled the task.'));

  /** A person is asked for it. Undefined: it has ended, so that nobody needs to answer. */
  async function ask(agent: AgentSide, id: string, approval: Approval): Promise<WaitingTask | undefined> {
    const waits = await rows.waitFor(id, approval);
    if (!waits) await approvals.withdraw(approval.id, byOf(agent));
    return waits;
  }

  async function carryOn(agent: AgentSide, task: WaitingTask, stop: AbortSignal): Promise<void> {
    let waitsFor: Approval | undefined;
    const under = task.approval === null ? {} : { under: task.approval };
    const side = behind(
      agent,
      async (approval) => {
        waitsFor = approval;
        return stillWaiting;
      },
      stop,
    );
    const stands = (actionId: string) => rows.stands(task.id, actionId);
    const answer = await act(side, { ...task.call, actionId: task.actionId, ...under, settles: true, stands });
    if (waitsFor) {
      // Of a result that is held: it has run, and a person releases it.
      const waits = waitsFor.id === task.approval ? task : await ask(agent, task.id, waitsFor);
      if (waits && waits.id !== task.id) await rows.end(task.id, 'done', sameWaits(waits.id));
      return;
    }
    const refusal = answer === superseded ? 'approval.superseded' : refusalIn(answer);
    if (answer === gone || passing.has(refusal ?? '')) return;
    if (refusal !== undefined && !(await isLeft(task))) return;
    if (answer === superseded && task.approval !== null) await approvals.withdraw(task.approval, byOf(agent));
    await end(task, answer);
  }

  /** It is refused here, and was let through nowhere: another replica may have had what it takes, and used up what is missing here. */
  async function isLeft(task: WaitingTask): Promise<boolean> {
    const isUsed = async () => task.approval !== null && (await approvals.get(task.approval))?.state === 'consumed';
    return !(await isUsed()) && (await rows.stop(task)) && !(await isUsed());
  }

  async function end(task: Pick<WaitingTask, 'id'>, answer: UpstreamAnswer): Promise<void> {
    const isKept = Buffer.byteLength(JSON.stringify(answer)) <= doorLimits.taskResultBytes;
    await rows.end(task.id, 'done', isKept ? answer : tooLarge);
  }

  /** Nobody here runs it, and it is not to be run any more: what came of it is on record, or will be. */
  async function endByRecord(task: WaitingTask): Promise<void> {
    const { isSent, outcome } = await recordOf(task);
    if (isSent && !outcome) return;
    const since = clock.now() - (outcome ? Date.parse(outcome.time) : task.updatedAt);
    if (since < (outcome ? LOST_AFTER_MS : NEVER_SENT_AFTER_MS)) return;
    if (outcome?.result === 'unknown')
      await end(task, unknownAnswer('tasks/create', outcome.detail ?? '', task.actionId, publicUrl));
    else if (outcome) await end(task, lostAnswer(outcome.result ?? '', task.actionId, publicUrl));
    // Whoever runs it may be about to send it: only of what can't be sent any more the record has the last word.
    else if ((await rows.stop(task)) && !(await recordOf(task)).isSent) await end(task, neverRan);
  }

  async function recordOf({ actionId }: WaitingTask) {
    const records = (await deps.ledger.action(actionId))?.records.map(({ record }) => record) ?? [];
    return {
      isSent: records.some(({ kind }) => kind === 'dispatch'),
      outcome: records.findLast(({ kind }) => kind === 'outcome'),
    };
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
    await Promise.race([pause, ...(decided ? [decided] : []), ...(running.has(id) ? [running.get(id)?.work] : [])]);
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

  function create(agent: AgentSide, call: Call, approval: Approval | null, actionId: string): Promise<WaitingTask> {
    const ttlMs = Math.min(Math.max(agent.takesTask?.ttlMs ?? 0, doorLimits.taskTtlMs), doorLimits.taskTtlMostMs);
    const { task: _, _meta, ...params } = call.params;
    return rows.open(whoseOf(agent), { call: { ...call, params }, approval, actionId, ttlMs });
  }

  function asTask(agent: AgentSide, task: WaitingTask, approval?: Approval): UpstreamAnswer {
    const { body } = shownAs(agent.era, task, approval, { publicUrl, asks: false });
    // A task begins as one that works (2025-11-25 tasks, Task Status Lifecycle), also where it has ended already.
    const working = { ...body, status: 'working' };
    const meta = approval ? waitingMeta(publicUrl, approval) : {};
    const words = typeof body.statusMessage === 'string' ? body.statusMessage : undefined;
    if (agent.era === '2026-07-28') return { result: { ...working, resultType: 'task', _meta: meta } };
    const immediate: JsonObject =
      words === undefined ? {} : { 'io.modelcontextprotocol/model-immediate-response': words };
    const { _meta: __, ...plain } = working as JsonObject;
    return { result: { task: plain, _meta: { ...meta, ...immediate } } };
  }

  async function cancel(agent: AgentSide, task: WaitingTask): Promise<UpstreamAnswer> {
    const isOver = task.state !== 'waiting';
    // Before it ends, so that nobody is left asked where this breaks off: a task whose question is withdrawn ends as cancelled.
    if (!isOver && task.approval !== null) await approvals.withdraw(task.approval, byOf(agent));
    const ended = isOver ? undefined : await rows.end(task.id, 'cancelled', cancelled);
    if (ended) stopHere(task.id);
    if (ended && ended.approval !== null && ended.approval !== task.approval)
      await approvals.withdraw(ended.approval, byOf(agent));
    if (agent.era === '2026-07-28') return { result: {} };
    // Whoever looks at it meanwhile ends it, too.
    const after = ended ?? (await rows.find(whoseOf(agent), task.id));
    if (isOver || after?.state !== 'cancelled') return errorAnswer(codes.invalidParams, 'The task has ended already.');
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
      try {
        const task = await create(agent, call, approval, actionId);
        goOn(agent, task);
        return asTask(agent, task, approval);
      } catch (error) {
        if (error instanceof GatehouseError && error.code === 'task.too-many-waiting') return undefined;
        throw error;
      }
    },

    async start(agent, call) {
      const { task: _, ...params } = call.params;
      const plain = { ...call, params, actionId: newId('act', clock.now()), settles: true };
      // Before anything runs whose result would have no place.
      const task = await create(agent, plain, null, plain.actionId);
      let asked: { by: WaitingTask; approval: Approval } | undefined;
      const stop = new AbortController();
      const side = behind(
        agent,
        async (approval) => {
          const by = await ask(agent, task.id, approval);
          asked = by && { by, approval };
          return stillWaiting;
        },
        stop.signal,
      );
      const acted = act(side, { ...plain, stands: (actionId) => rows.stands(task.id, actionId) });
      const kept = run(task.id, stop, async () => {
        const came = await acted.catch((error: unknown) => {
          log.error('a call that runs as a task has failed', { task: task.id, error });
          return thrownAnswer(error);
        });
        if (came === gone) return;
        if (came !== stillWaiting) await end(task, came);
        else if (asked && asked.by.id !== task.id) await rows.end(task.id, 'done', sameWaits(asked.by.id));
      });
      const soon = await Promise.race([acted, sleep(doorLimits.taskAtOnceMs, undefined, { ref: false })]).catch(
        async (error: unknown) => {
          await forget(task.id, kept);
          throw error;
        },
      );
      if (soon === undefined) {
        goOn(agent, task);
        return asTask(agent, task);
      }
      if (soon === stillWaiting && asked) {
        const { by, approval } = asked;
        if (by.id !== task.id) await forget(task.id, kept);
        goOn(agent, by);
        return asTask(agent, by, approval);
      }
      // Whoever lists the tasks of the agent may have cancelled it by now.
      const isOver = soon === stillWaiting || soon === gone;
      if (!isOver && ('error' in soon || refusalIn(soon) !== undefined)) {
        await forget(task.id, kept);
        return 'error' in soon ? soon : refusedAsError(soon.result);
      }
      await kept;
      return asTask(agent, task);
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
function behind(
  agent: AgentSide,
  awaitApproval: AgentSide['awaitApproval'],
  signal = new AbortController().signal,
): AgentSide {
  const { endRound: _, takesTask: __, ...side } = agent.later?.() ?? agent;
  return {
    ...side,
    progressToken: undefined,
    logLevel: null,
    signal,
    notify: () => undefined,
    awaitApproval,
  };
}

const whoseOf = ({ caller, view, era }: AgentSide): Whose => ({ caller, view: view.server, era });

const byOf = ({ caller }: AgentSide): string => caller.actorChain[0]?.sub ?? `agent:${caller.agent}`;
