import { type Breaker, breaker as breakerSchema, type Decision, type Effect, type Task } from '@gatehouse/protocol';
import type { Clock, Log } from '../platform/index.ts';
import type { RegisteredTool, Registry, Snapshot } from '../registry/index.ts';

/**
 * Suspends a task that is refused again and again, tries what is grave again and again, or acts in a burst; and an agent that this
 * happens to again and again. Counted on this replica; what comes of it holds on all, and until a person has looked at it.
 */
export interface CircuitBreaker {
  refused(snapshot: Pick<Snapshot, 'environments'>, task: Task, decision: Decision, tool: RegisteredTool | null): void;
  dispatched(snapshot: Pick<Snapshot, 'environments'>, task: Task): void;
  /** It has been tripped here, and the suspension may not be stored yet. */
  isTripped(task: Task): boolean;
}

interface BreakerDependencies {
  registry: Pick<Registry, 'suspendTask'>;
  clock: Clock;
  log: Log;
}

type Rate = Exclude<Breaker['burst'], 'off'>;
interface Watched {
  refusals: Count;
  grave: Count;
  burst: Count;
  /** Fence of the task when it was tripped. */
  trippedAt: number | null;
}

/** Tasks that are counted at once; the one that was idle longest goes. */
const MAX_WATCHED = 50_000;
const graveEffects: ReadonlySet<Effect> = new Set(['delete', 'pay', 'export', 'deploy', 'administer']);
const defaults = breakerSchema.parse({});
/** Refusals that say nothing of what the agent tries: its standing, ours, or that a budget is used up, which has stopped it already. */
const isOurs = ({ code }: Decision) => /^(agent|token|task|replica|ledger|delegation|budget)\./.test(code);

export function createBreaker({ registry, clock, log }: BreakerDependencies): CircuitBreaker {
  const watched = new Map<string, Watched>();

  function watch(id: string): Watched {
    let found = watched.get(id);
    if (found) watched.delete(id);
    else if (watched.size >= MAX_WATCHED) watched.delete(watched.keys().next().value as string);
    found ??= { refusals: newCount(), grave: newCount(), burst: newCount(), trippedAt: null };
    watched.set(id, found);
    return found;
  }

  function trip(task: Task, of: Watched, { count, seconds }: Rate, what: string, settings: Breaker): void {
    if (of.trippedAt === (task.fence ?? 0)) return;
    of.trippedAt = task.fence ?? 0;
    const reason = `the circuit breaker counted more than ${count} ${what} within ${seconds} s.`;
    const limit =
      settings.tasks === 'off' ? undefined : { count: settings.tasks.count, withinMs: settings.tasks.seconds * 1_000 };
    registry.suspendTask(task.id, 'gatehouse', reason, limit).then(
      ({ agentSuspended }) =>
        log.warn(`a task was suspended${agentSuspended ? ', and its agent' : ''}: ${reason}`, {
          task: task.id,
          agent: task.agent,
        }),
      (error) => {
        log.error('a task could not be suspended; this replica refuses it all the same', { task: task.id, error });
      },
    );
  }

  const settingsOf = ({ environments }: Pick<Snapshot, 'environments'>, { environment }: Task): Breaker =>
    environments.get(environment)?.breaker ?? defaults;

  function count(task: Task, settings: Breaker, name: 'refusals' | 'grave' | 'burst', what: string): void {
    const rate = settings[name];
    if (rate === 'off') return;
    const of = watch(task.id);
    if (add(of[name], clock.now(), rate.seconds * 1_000) > rate.count) trip(task, of, rate, what, settings);
  }

  return {
    refused(snapshot, task, decision, tool) {
      if (isOurs(decision)) return;
      const settings = settingsOf(snapshot, task);
      const isGrave = decision.tier === 4 || (tool?.effects.some((effect) => graveEffects.has(effect)) ?? false);
      if (tool && isGrave) count(task, settings, 'grave', 'refused attempts at what is grave');
      count(task, settings, 'refusals', 'refused actions');
    },
    dispatched: (snapshot, task) => count(task, settingsOf(snapshot, task), 'burst', 'actions'),
    isTripped: (task) => watched.get(task.id)?.trippedAt === (task.fence ?? 0),
  };
}

/** Events in the last stretch of time, from two counters: the share of the earlier one that is still in it counts. */
interface Count {
  start: number;
  current: number;
  before: number;
}

const newCount = (): Count => ({ start: 0, current: 0, before: 0 });

function add(count: Count, now: number, lengthMs: number): number {
  const passed = Math.floor((now - count.start) / lengthMs);
  if (passed !== 0) {
    count.before = passed === 1 ? count.current : 0;
    count.current = 0;
    count.start = passed === 1 ? count.start + lengthMs : now;
  }
  count.current++;
  return count.current + count.before * (1 - (now - count.start) / lengthMs);
}
