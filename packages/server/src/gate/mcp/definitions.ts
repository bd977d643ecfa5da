import { type Clock, GatehouseError, type Log } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Change } from '../../storage/index.ts';
import type { Catalogue, Fingerprint } from './catalogue.ts';
import type { ChangedList } from './connections.ts';
import { doorLimits } from './limits.ts';

/**
 * Keeps an eye on what servers serve: when they say that it changed, when they are connected to, and now and then while they are
 * used. Comparing and holding back is the registry's; here it is found out when to look, and who is told of a changed list.
 */
export interface Definitions {
  /** A request for this server came in: look again if the last look is too long ago. Never waits. */
  used(server: string): void;
  connected(server: string): void;
  /** The server says that a list changed. Clients hear of it once the change was looked at. */
  changed(server: string, list: ChangedList): void;
  /** A list is wanted of servers that nobody has looked at yet: waits for that, but not long. */
  firstLook(servers: string[]): Promise<void>;
  /** The feed brought changes: clients are told of lists that now differ. */
  refresh(changes: Change[]): void;
  close(): void;
}

interface Watched {
  lookedAt: number;
  looking: Promise<void> | null;
  again: NodeJS.Timeout | null;
  announced: Set<ChangedList>;
  seen: Fingerprint;
}

export function createDefinitions(deps: {
  registry: Registry;
  catalogue: Catalogue;
  onDefinitions(server: string): Promise<unknown>;
  announce(server: string, list: ChangedList): void;
  clock: Clock;
  log: Log;
}): Definitions {
  const watched = new Map<string, Watched>();
  let closed = false;

  /** Names come from agents, too: what is not registered is not remembered. */
  const isKnown = (server: string) => deps.registry.snapshot().servers.has(server);

  function stateOf(server: string): Watched {
    let state = watched.get(server);
    if (!state) {
      const seen = deps.catalogue.fingerprint(server);
      state = { lookedAt: Number.NEGATIVE_INFINITY, looking: null, again: null, announced: new Set(), seen };
      watched.set(server, state);
    }
    return state;
  }

  function look(server: string): Promise<void> {
    const state = stateOf(server);
    if (closed) return Promise.resolve();
    if (state.looking) return state.looking;
    state.lookedAt = deps.clock.now();
    const looking = Promise.resolve(deps.onDefinitions(server)).then(
      () => undefined,
      (error: unknown) => {
        const expected = error instanceof GatehouseError || (error as Error).name === 'UpstreamFailure';
        deps.log[expected ? 'info' : 'warn']('the definitions of a server could not be compared', { server, error });
      },
    );
    state.looking = looking.then(() => {
      state.looking = null;
      tell(server, state);
    });
    return state.looking;
  }

  /** Tells of the lists that differ from what clients were last told of, and of those that the server itself named. */
  function tell(server: string, state: Watched): void {
    const now = deps.catalogue.fingerprint(server);
    const lists = new Set(state.announced);
    for (const list of ['tools', 'prompts', 'resources'] as const) if (now[list] !== state.seen[list]) lists.add(list);
    state.announced.clear();
    state.seen = now;
    for (const list of lists) deps.announce(server, list);
  }

  return {
    used(server) {
      if (!isKnown(server)) return;
      if (deps.clock.now() - stateOf(server).lookedAt >= doorLimits.definitionsMaxAgeMs) void look(server);
    },
    connected(server) {
      if (deps.clock.now() - stateOf(server).lookedAt >= doorLimits.definitionsMinIntervalMs) void look(server);
    },
    changed(server, list) {
      if (!isKnown(server)) return;
      const state = stateOf(server);
      state.announced.add(list);
      if (state.again) return;
      // What changes while a look is under way may have been missed by it, so there is another one after it.
      const waitMs = Math.max(0, state.lookedAt + doorLimits.definitionsMinIntervalMs - deps.clock.now());
      const busy = state.looking ?? Promise.resolve();
      state.again = setTimeout(
        () => {
          state.again = null;
          void busy.then(() => look(server));
        },
        Math.min(waitMs, doorLimits.definitionsMinIntervalMs),
      );
      state.again.unref();
    },
    async firstLook(servers) {
      const unseen = servers.filter((server) => {
        const known = deps.registry.snapshot().servers.get(server);
        return (
          known && known.definitions.length === 0 && ![...known.tools.values()].some(({ digest }) => digest !== null)
        );
      });
      if (unseen.length === 0) return;
      const looks = unseen.map((server) => {
        const state = stateOf(server);
        return state.looking ?? (state.lookedAt === Number.NEGATIVE_INFINITY ? look(server) : undefined);
      });
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, doorLimits.definitionsFirstWaitMs);
      });
      await Promise.race([Promise.all(looks), patience]);
      clearTimeout(timer);
    },
    refresh(changes) {
      const topics = new Set(changes.map(({ topic }) => topic));
      if (!topics.has('definition') && !topics.has('object') && !topics.has('policy')) return;
      for (const [server, state] of watched) {
        // Which tools a task may use is policy's to say, and is in no fingerprint.
        if (topics.has('policy')) state.announced.add('tools');
        if (!state.looking) tell(server, state);
      }
    },
    close() {
      closed = true;
      for (const { again } of watched.values()) if (again) clearTimeout(again);
    },
  };
}
