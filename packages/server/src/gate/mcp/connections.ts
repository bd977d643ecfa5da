import { NotSent } from '../../enforcement/index.ts';
import { GatehouseError, type Log } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import {
  type ServerMessage,
  type ServerRequestHandler,
  type UpstreamConnection,
  type UpstreamCredential,
  UpstreamFailure,
  type Upstreams,
  type Watch,
} from '../upstream/types.ts';
import type { AgentSide } from './agent-side.ts';
import { grantedCapabilities } from './grants.ts';

/** Who hears what servers say of themselves: a session (2025-11-25) or a subscription stream (2026-07-28). */
export interface Audience {
  resourceUpdated(server: string, uri: string): void;
  /** Log messages, task states and the like, of a connection that is this audience's alone. */
  message(server: string, message: ServerMessage): void;
  /** The connection is gone for good, and with it what it watched. */
  lost(server: string): void;
}

export type ChangedList = 'tools' | 'prompts' | 'resources';

export interface Connections {
  /** Throws NotSent when the server cannot be had: then nothing was sent. */
  get(
    agent: ConnectingSide,
    server: string,
    onServerRequest?: ServerRequestHandler,
    credential?: UpstreamCredential,
  ): Promise<UpstreamConnection>;
  /** A notification that a server sent outside of a request, or along with one it does not belong to. */
  unsolicited(connection: UpstreamConnection, server: string, message: ServerMessage): void;
  /** Watches one resource; the audience is told of updates until the release is called. Throws JsonRpcFailure. */
  watch(connection: UpstreamConnection, uri: string, audience: Audience): Promise<() => Promise<void>>;
  /** Settles when the server was asked to announce changes of its lists, whether it does or not. */
  announces(connection: UpstreamConnection): Promise<void>;
  /** The audience has ended. Its watches are released by whoever holds them. */
  forget(audience: Audience): void;
  /** The living connections that are this audience's alone. */
  of(audience: Audience): UpstreamConnection[];
  /** The capabilities that a server had when it was last connected to. */
  lastCapabilities(server: string): UpstreamConnection['capabilities'] | undefined;
}

export type ConnectingSide = Pick<AgentSide, 'caller' | 'capabilities' | 'session'> & { audience?: Audience };

interface Known {
  connection: UpstreamConnection;
  server: string;
  /** One connection may serve several tasks: then nothing but what was watched is passed on. */
  shared: boolean;
  audiences: Set<Audience>;
  watchers: Map<string, Set<Audience>>;
  announces: Promise<void>;
}

const listChanges = new Map<string, ChangedList>([
  ['notifications/tools/list_changed', 'tools'],
  ['notifications/prompts/list_changed', 'prompts'],
  ['notifications/resources/list_changed', 'resources'],
]);

export function createConnections(deps: {
  upstreams: Upstreams;
  registry: Registry;
  log: Log;
  onListChanged(server: string, list: ChangedList): void;
  onConnected(server: string): void;
}): Connections {
  const known = new WeakMap<UpstreamConnection, Known>();
  const joined = new WeakMap<Audience, Set<Known>>();
  const capabilities = new Map<string, UpstreamConnection['capabilities']>();

  function adopt(connection: UpstreamConnection, server: string, shared: boolean): Known {
    const state: Known = {
      connection,
      server,
      shared,
      audiences: new Set(),
      watchers: new Map(),
      announces: watchLists(connection, server),
    };
    known.set(connection, state);
    capabilities.set(server, connection.capabilities);
    connection.onUnsolicited((message) => unsolicited(connection, server, message));
    connection.closed.addEventListener('abort', () => {
      for (const audience of new Set([...state.audiences, ...[...state.watchers.values()].flatMap((set) => [...set])]))
        audience.lost(server);
    });
    deps.onConnected(server);
    return state;
  }

  async function watchLists(connection: UpstreamConnection, server: string): Promise<void> {
    const lists = announcedLists(connection);
    if (Object.keys(lists).length === 0) return;
    try {
      await connection.watch(lists);
    } catch (error) {
      deps.log.info('a server announces no changes', { server, error });
    }
  }

  function unsolicited(connection: UpstreamConnection, server: string, message: ServerMessage): void {
    const list = listChanges.get(message.method);
    if (list) {
      deps.onListChanged(server, list);
      return;
    }
    const state = known.get(connection);
    if (!state) return;
    const { uri } = message.params;
    if (message.method === 'notifications/resources/updated' && typeof uri === 'string') {
      // A server may announce a part of what is watched (2025-11-25, resources/updated).
      for (const [watched, audiences] of state.watchers) {
        if (!uri.startsWith(watched)) continue;
        for (const audience of audiences) audience.resourceUpdated(server, uri);
      }
      return;
    }
    if (!state.shared) for (const audience of state.audiences) audience.message(server, message);
  }

  function join(audience: Audience, state: Known): void {
    state.audiences.add(audience);
    joined.set(audience, (joined.get(audience) ?? new Set()).add(state));
  }

  return {
    async get(side, name, onServerRequest, credential) {
      const server = deps.registry.snapshot().servers.get(name);
      if (!server) throw new NotSent(`There is no tool server "${name}".`);
      const { caller, session } = side;
      try {
        const connection = await deps.upstreams.connect(
          server.manifest,
          { environment: caller.task.environment, task: caller.task.id, ...(session !== undefined && { session }) },
          {
            capabilities: grantedCapabilities(side.capabilities, server.manifest),
            ...(onServerRequest && { onServerRequest }),
            ...(credential && { credential }),
          },
        );
        const state =
          known.get(connection) ?? adopt(connection, name, server.manifest.stateless && credential === undefined);
        if (side.audience && !state.shared) join(side.audience, state);
        return connection;
      } catch (error) {
        if (error instanceof UpstreamFailure || error instanceof GatehouseError) {
          deps.log.info('a tool server cannot be had', { server: name, error });
          throw new NotSent(`${name}: ${error.message}`);
        }
        throw error;
      }
    },

    unsolicited,

    async watch(connection, uri, audience) {
      const state = known.get(connection);
      const watchers = state?.watchers.get(uri) ?? new Set<Audience>();
      state?.watchers.set(uri, watchers.add(audience));
      const forget = () => {
        watchers.delete(audience);
        if (watchers.size === 0) state?.watchers.delete(uri);
      };
      try {
        const release = await connection.watch({ resourceSubscriptions: [uri] });
        return async () => {
          forget();
          await release();
        };
      } catch (error) {
        forget();
        throw error;
      }
    },

    announces: (connection) => known.get(connection)?.announces ?? Promise.resolve(),

    forget(audience) {
      for (const state of joined.get(audience) ?? []) state.audiences.delete(audience);
    },

    of: (audience) =>
      [...(joined.get(audience) ?? [])].map(({ connection }) => connection).filter(({ closed }) => !closed.aborted),

    lastCapabilities: (server) => capabilities.get(server),
  };
}

/** In 2025-11-25 list changes need no asking. */
function announcedLists({ era, capabilities }: UpstreamConnection): Watch {
  if (era === '2025-11-25') return {};
  const announces = (list: ChangedList) => {
    const capability = capabilities[list];
    return typeof capability === 'object' && capability !== null && 'listChanged' in capability;
  };
  return {
    ...(announces('tools') && { toolsListChanged: true }),
    ...(announces('prompts') && { promptsListChanged: true }),
    ...(announces('resources') && { resourcesListChanged: true }),
  };
}
