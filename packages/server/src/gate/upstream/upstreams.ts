import { randomUUID } from 'node:crypto';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { GatehouseError, type JsonObject, limits as platformLimits } from '../../platform/index.ts';
import type { Connected } from './connect.ts';
import { createDeaths } from './deaths.ts';
import { readDefinitions } from './describe.ts';
import { createDialer, type DialerOptions, transportOf } from './dial.ts';
import { type UpstreamLimits, upstreamLimits } from './limits.ts';
import { removeTaskDirectories, removeWorkingDirectory } from './stdio/directories.ts';
import {
  type UpstreamClient,
  type UpstreamConnection,
  UpstreamFailure,
  type UpstreamScope,
  type Upstreams,
} from './types.ts';

export interface UpstreamsOptions extends DialerOptions {
  limits?: Partial<UpstreamLimits>;
}

interface Entry {
  server: ToolServerManifest;
  scope: UpstreamScope;
  shared: boolean;
  lease: string | undefined;
  /** When that ends, and what ends this with it. */
  endsAt: number;
  ending: NodeJS.Timeout | undefined;
  /** The transport as the connection was made with it. */
  transport: string;
  /** Absent while it is being made. */
  connected: Connected | undefined;
  promise: Promise<UpstreamConnection>;
  usedAt: number;
}

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  const { dataDir, clock } = options;
  const limits: UpstreamLimits = { ...upstreamLimits, ...options.limits };
  const entries = new Map<string, Entry>();
  const deaths = createDeaths(clock, limits);
  const counters = { requests: 0, strayAnswers: 0, violations: 0 };
  const dialer = createDialer(options, limits, counters);
  let restarts = 0;
  let closed = false;

  return {
    connect(server, scope, client) {
      const { credential } = client;
      // What is injected is one task's.
      const shared = server.stateless && credential === undefined;
      const key = shared
        ? JSON.stringify([server.name, scope.environment])
        : JSON.stringify([
            server.name,
            scope.environment,
            scope.task,
            scope.session ?? null,
            client.capabilities,
            credential?.lease ?? null,
          ]);
      const entry = entries.get(key);
      if (entry !== undefined && entry.transport === transportOf(server) && isAlive(entry)) {
        entry.usedAt = clock.now();
        // It was renewed.
        if (credential && credential.expiresAt > entry.endsAt) endInTime(key, entry, credential.expiresAt);
        return entry.promise;
      }
      return open(key, server, scope, shared, client, entry);
    },

    async describe(server, credential) {
      const environment = describedIn(server, options.isProduction);
      const task = `describe-${randomUUID()}`;
      const granted = server.clientRequests;
      // Some servers serve more to a client that can do more.
      const capabilities: JsonObject = {
        ...(granted.sampling && { sampling: {} }),
        ...(granted.roots && { roots: {} }),
        ...((granted.elicitation || granted.urlElicitation) && {
          elicitation: { ...(granted.elicitation && { form: {} }), ...(granted.urlElicitation && { url: {} }) },
        }),
      };
      try {
        const { connection } = await dialer.dial(server, { environment, task }, false, {
          capabilities,
          ...(credential && { credential }),
        });
        try {
          return await readDefinitions(connection, {
            limits,
            log: options.log,
            overHttp: server.transport.type === 'http',
          });
        } finally {
          await connection.close('Described.');
        }
      } finally {
        if (server.transport.type === 'stdio') removeWorkingDirectory(dataDir, server.name, task);
      }
    },

    async end(of) {
      if ('lease' in of) {
        for (const [key, entry] of entries) if (entry.lease === of.lease) await endEntry(key, entry);
        return;
      }
      const ended = [...entries].filter(([, entry]) => matches(entry, of));
      for (const [key] of ended) entries.delete(key);
      await Promise.all(ended.map(([, entry]) => closeEntry(entry, 'The task, session or server ended.')));
      if (of.server !== undefined && of.task === undefined && of.session === undefined) await dialer.drop(of.server);
      if (of.task === undefined || of.session !== undefined) return;
      deaths.forget(of.task);
      if (of.server === undefined) removeTaskDirectories(dataDir, of.task);
      else removeWorkingDirectory(dataDir, of.server, of.task);
    },

    forgive: deaths.forgive,

    async close() {
      closed = true;
      const all = [...entries.values()];
      entries.clear();
      await Promise.all(all.map((entry) => closeEntry(entry, 'Gatehouse is shutting down.')));
      await dialer.close();
    },

    stats: () => ({
      connections: [...entries.values()].filter((entry) => entry.connected !== undefined && isAlive(entry)).length,
      processes: dialer.processes(),
      requestsInFlight: [...entries.values()].reduce((sum, { connected }) => sum + (connected?.inFlight() ?? 0), 0),
      restarts,
      ...counters,
    }),
  };

  function open(
    key: string,
    server: ToolServerManifest,
    scope: UpstreamScope,
    shared: boolean,
    client: UpstreamClient,
    previous: Entry | undefined,
  ): Promise<UpstreamConnection> {
    if (closed) return Promise.reject(new UpstreamFailure('unreachable', 'Gatehouse is shutting down.'));
    const soon = deaths.tooSoon(key, transportOf(server));
    if (soon) return Promise.reject(soon);
    if (previous !== undefined) {
      entries.delete(key);
      if (previous.transport === transportOf(server)) restarts++;
      else void closeEntry(previous, 'The manifest changed.');
    }
    try {
      if (!shared) makeRoom(server.name, scope.task);
    } catch (failure) {
      return Promise.reject(failure);
    }
    const { credential } = client;
    if (credential && credential.expiresAt <= clock.now())
      return Promise.reject(new UpstreamFailure('unreachable', 'The credential for it has run out.'));
    const entry: Entry = {
      server,
      scope,
      shared,
      lease: credential?.lease,
      endsAt: Number.POSITIVE_INFINITY,
      ending: undefined,
      transport: transportOf(server),
      connected: undefined,
      usedAt: clock.now(),
      promise: dialer.dial(server, scope, shared, client).then(
        (connected) => {
          if (entries.get(key) !== entry) {
            void connected.connection.close('Nobody waits any more.');
            throw new UpstreamFailure('unreachable', 'The task, session or server ended meanwhile.');
          }
          entry.connected = connected;
          watchOver(key, entry, connected);
          return connected.connection;
        },
        (failure: unknown) => {
          if (entries.get(key) === entry) entries.delete(key);
          if (failure instanceof UpstreamFailure) countDeath(key, entry, failure);
          throw failure;
        },
      ),
    };
    entries.set(key, entry);
    if (credential) endInTime(key, entry, credential.expiresAt);
    return entry.promise;
  }

  /** A process or connection ends with what was injected into it; the next call gets another with the next. */
  function endInTime(key: string, entry: Entry, expiresAt: number): void {
    clearTimeout(entry.ending);
    entry.endsAt = expiresAt;
    const timer = setTimeout(() => {
      endEntry(key, entry).catch((error) =>
        options.log.warn('upstream.not-ended', { server: entry.server.name, error }),
      );
    }, expiresAt - clock.now());
    timer.unref();
    entry.ending = timer;
    const isOver = () => clearTimeout(timer);
    entry.promise.then(({ closed }) => closed.addEventListener('abort', isOver), isOver);
  }

  async function endEntry(key: string, entry: Entry): Promise<void> {
    if (entries.get(key) === entry) entries.delete(key);
    await closeEntry(entry, 'The credential for it has ended.');
  }

  /** A connection that dies young counts against the next start; one that has served clears the count. */
  function watchOver(key: string, entry: Entry, { connection, answers }: Connected): void {
    const born = clock.now();
    const before = answers();
    connection.closed.addEventListener('abort', () => {
      // Closed by us, or followed by another already.
      if (entries.get(key) !== entry) return;
      if (answers() > before || clock.now() - born > limits.backoffMaxMs) deaths.clear(key);
      else countDeath(key, entry, connection.closed.reason as UpstreamFailure);
    });
  }

  function countDeath(key: string, { server, scope, transport }: Entry, { message }: UpstreamFailure): void {
    deaths.count(key, { server: server.name, task: scope.task, transport }, message);
  }

  /** A task may hold so many connections to one server; the longest unused one that nobody listens to gives way. */
  function makeRoom(server: string, task: string): void {
    const own = [...entries].filter(
      ([, entry]) => entry.server.name === server && entry.scope.task === task && !entry.shared && isAlive(entry),
    );
    if (own.length < platformLimits.sessionsPerTask) return;
    const idle = own
      .filter(([, { connected }]) => connected !== undefined && connected.inFlight() === 0 && !connected.isWatched())
      .sort(([, a], [, b]) => a.usedAt - b.usedAt)[0];
    if (idle === undefined)
      throw new GatehouseError(
        'too-many',
        'upstream.too-many-connections',
        `This task already has ${own.length} open connections to ${server}. End a session first.`,
      );
    entries.delete(idle[0]);
    void closeEntry(idle[1], 'Another session needed the room.');
  }

  async function closeEntry(entry: Entry, reason: string): Promise<void> {
    if (entry.connected !== undefined) return entry.connected.connection.close(reason);
    // Being made: `open` closes it when it finds itself forgotten.
    await entry.promise.catch((failure: unknown) => options.log.debug('upstream.never-connected', { failure }));
  }
}

/** Where nothing is at stake, if there is such a place. */
export const describedIn = (server: ToolServerManifest, isProduction: (environment: string) => boolean): string =>
  server.environments.find((name) => !isProduction(name)) ?? (server.environments[0] as string);

const isAlive = ({ connected }: Entry): boolean => connected === undefined || !connected.connection.closed.aborted;

function matches({ server, scope, shared }: Entry, of: { server?: string; task?: string; session?: string }): boolean {
  if (of.server !== undefined && of.server !== server.name) return false;
  if (of.task === undefined && of.session === undefined) return of.server !== undefined;
  return !shared && (of.task ?? scope.task) === scope.task && (of.session ?? scope.session) === scope.session;
}
