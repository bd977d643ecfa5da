import { setTimeout as sleep } from 'node:timers/promises';
import type { Approval } from '@gatehouse/protocol';
import type { Approvals } from '../../../approvals/index.ts';
import type { Enforcement } from '../../../enforcement/index.ts';
import type { Ledger } from '../../../ledger/index.ts';
import type { Clock, Log } from '../../../platform/index.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import { type Act, gone, superseded } from '../act.ts';
import type { AgentSide } from '../agent-side.ts';
import { elicitationModes } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { notApprovedAnswer, unknownAnswer } from '../replies.ts';
import { lostAnswer, neverRan, refusalIn, sameWaits, stillWaiting, tooLarge } from './answers.ts';
import { behind, byOf } from './clients.ts';
import type { WaitingRows, WaitingTask, Whose } from './types.ts';
import { isTerminal, type Shown, shownAs } from './wire.ts';

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

/** What a task that may not go on now is refused with, though it may a moment later. */
const passing = new Set(['replica.stale', 'action.running', 'task.suspended']);

/** What came of a call is given out by whoever ran it, unless that is gone. */
const LOST_AFTER_MS = 10_000;
/** Longer than a call may wait before it is sent (for another replica that sends the same, for the database). */
const NEVER_SENT_AFTER_MS = 30_000;
/** Whoever waits for people hears of it; this is for what nobody tells. */
const WAIT_MS = 60_000;

/** Carries tasks on, from whichever replica somebody looks at them, until they have ended. */
export function createCarrying(deps: WaitingCallsDependencies) {
  const { rows, act, approvals, enforcement, clock, log, publicUrl } = deps;
  /** By task, who runs it here. */
  const running = new Map<string, { work: Promise<void>; stop: AbortController }>();
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

  return { shown, advance, run, stopHere, ask, end, follow, closing };
}
