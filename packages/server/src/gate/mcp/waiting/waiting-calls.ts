import { setTimeout as sleep } from 'node:timers/promises';
import type { Approval } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type JsonObject, newId } from '../../../platform/index.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { gone } from '../act.ts';
import type { AgentSide, Call } from '../agent-side.ts';
import { asObject } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { waitingMeta } from '../replies.ts';
import { codes, errorAnswer } from '../rpc.ts';
import { cancelled, refusalIn, refusedAsError, sameWaits, stillWaiting, thrownAnswer } from './answers.ts';
import { createCarrying, type WaitingCallsDependencies } from './carrying.ts';
import { behind, byOf, whoseOf } from './clients.ts';
import type { WaitingTask } from './types.ts';
import { detailed, relatedTaskKey, type Shown, shownAs } from './wire.ts';

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

const isOurs = /^mcp_[0-9a-z]{10,40}$/;

export function createWaitingCalls(deps: WaitingCallsDependencies): WaitingCalls {
  const { rows, act, approvals, enforcement, clock, log, publicUrl } = deps;
  const { shown, advance, run, stopHere, ask, end, follow, closing } = createCarrying(deps);
  /** By task, whoever carries it on in the background: the client that has asked last. */
  const following = new Map<string, AbortController>();

  /** Its client is not told of it. */
  async function forget(id: string, work: Promise<void>): Promise<void> {
    await work;
    await rows
      .forget(id)
      .catch((error: unknown) => log.warn('a task that nobody was told of stays', { task: id, error }));
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
