import type { Enforcement } from '../../../enforcement/index.ts';
import type { Caller } from '../../../identity/index.ts';
import { type Clock, type JsonObject, type Log, limits } from '../../../platform/index.ts';
import type { Upstreams } from '../../upstream/types.ts';
import type { Connections } from '../connections.ts';
import { doorLimits } from '../limits.ts';
import type { OwnedTasks } from '../owned-tasks.ts';
import type { View } from '../view.ts';
import { createSession, type Session, type Version } from './session.ts';

/** The sessions of this replica: bounded per task, forgotten when idle, ended with their agent or task. */
export interface Sessions {
  /** Undefined when the task has as many as it may, and all of them are busy. */
  open(caller: Caller, view: View, version: Version, capabilities: JsonObject): Session | undefined;
  /** Only for the agent and task that opened it, at the address where it was opened. */
  find(id: string, caller: Caller, view: View): Session | undefined;
  touch(session: Session): void;
  all(): Iterable<Session>;
  /** Ends what was idle for too long; returns how many. */
  expire(): number;
  count(): number;
  close(): void;
}

export function createSessions(deps: {
  enforcement: Enforcement;
  upstreams: Upstreams;
  connections: Connections;
  tasks: Pick<OwnedTasks, 'startedBy'>;
  clock: Clock;
  log: Log;
  restAfterMs: number;
}): Sessions {
  const { clock, log } = deps;
  const byId = new Map<string, Session>();
  const byTask = new Map<string, Set<Session>>();

  function forget(session: Session): void {
    byId.delete(session.id);
    const task = session.caller.task.id;
    const siblings = byTask.get(task);
    siblings?.delete(session);
    if (siblings?.size === 0) byTask.delete(task);
    deps.connections.forget(session.audience);
    for (const { release } of session.watches.values()) note('a watch was not released', release());
    note('the connections of a session were not closed', deps.upstreams.end({ session: session.id }));
  }

  function note(what: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => log.info(what, { error }));
  }

  /** A server came and went: what was watched there is watched again. */
  function restore(session: Session, server: string): void {
    for (const [key, watch] of session.watches) {
      if (watch.server !== server) continue;
      session.watches.delete(key);
      note('a watch was not restored', rewatch(session, key, watch));
    }
  }

  async function rewatch(
    session: Session,
    key: string,
    { server, uri }: { server: string; uri: string },
  ): Promise<void> {
    const { caller, capabilities, audience } = session;
    const connection = await deps.connections.get({ caller, capabilities, session: session.id, audience }, server);
    if (!byId.has(session.id)) return;
    const release = await deps.connections.watch(connection, uri, audience);
    session.watches.set(key, { server, uri, release });
  }

  return {
    open(caller, view, version, capabilities) {
      const siblings = byTask.get(caller.task.id) ?? new Set<Session>();
      if (siblings.size >= limits.sessionsPerTask) {
        const oldest = [...siblings].filter(({ idle }) => idle).sort((a, b) => a.lastUsedAt - b.lastUsedAt)[0];
        if (!oldest) return undefined;
        oldest.end('A newer session of the task took its place.');
      }
      let release: (() => void) | undefined;
      const session = createSession({
        caller,
        view,
        version,
        capabilities,
        now: clock.now(),
        restAfterMs: deps.restAfterMs,
        onEnd(ended) {
          release?.();
          forget(ended);
        },
        onLost: restore,
        hear: (server, { method, params }) => {
          const isTask = method === 'notifications/tasks/status';
          const of = isTask ? deps.tasks.startedBy(server, String(params.taskId)) : undefined;
          return deps.enforcement.hear(caller, server, params, of);
        },
        log,
      });
      byId.set(session.id, session);
      byTask.set(caller.task.id, (byTask.get(caller.task.id) ?? new Set()).add(session));
      release = deps.enforcement.attach(caller, (reason) => session.end(reason));
      return session;
    },

    find(id, caller, view) {
      const session = byId.get(id);
      if (!session || session.caller.agent !== caller.agent || session.caller.task.id !== caller.task.id)
        return undefined;
      if (session.view.server !== view.server) return undefined;
      session.lastUsedAt = clock.now();
      return session;
    },

    touch(session) {
      session.lastUsedAt = clock.now();
    },

    all: () => byId.values(),

    expire() {
      const before = clock.now() - doorLimits.sessionIdleMs;
      const idle = [...byId.values()].filter((session) => session.idle && session.lastUsedAt < before);
      for (const session of idle) session.end('It was idle for too long.');
      return idle.length;
    },

    count: () => byId.size,

    close() {
      for (const session of [...byId.values()]) session.end('The gate shuts down.');
    },
  };
}
