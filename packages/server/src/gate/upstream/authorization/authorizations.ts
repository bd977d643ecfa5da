import type { IncomingHttpHeaders } from 'node:http';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { type Accounts, createPendingConsents, type PendingAccount } from '../../../credentials/index.ts';
import { canonicalJson, GatehouseError } from '../../../platform/index.ts';
import type { Registry } from '../../../registry/index.ts';
import { type UpstreamLimits, upstreamLimits } from '../limits.ts';
import { createAuthorizer } from './authorizer.ts';
import { type ConnectDependencies, createConnect, type PendingServer } from './connect.ts';
import { createGrantStore } from './grant-store.ts';
import { createPages } from './pages.ts';
import { revokeToken } from './revoke-token.ts';
import type { AuthorizedPlace } from './token-source.ts';
import type { AuthorizedTransport, Authorizer, UpstreamAuthorizations } from './types.ts';

export interface UpstreamAuthorizationsOptions extends Omit<ConnectDependencies, 'grants' | 'limits'> {
  registry: Pick<Registry, 'snapshot'>;
  limits?: Partial<UpstreamLimits>;
  /** Who is signed in in the browser that sends these headers, as records name them. */
  personAt(headers: IncomingHttpHeaders): Promise<string | undefined>;
  /** Accounts of people go the same way, and come back to the same address. */
  accounts: Pick<Accounts, 'finish'>;
  /** A person has connected a server. */
  onConnected(server: string, by: string): void;
}

/** How the gate authorizes itself at tool servers that want OAuth: one authorizer for each server and environment. */
export function createUpstreamAuthorizations(options: UpstreamAuthorizationsOptions): UpstreamAuthorizations {
  const { registry, storage, recordChange, log } = options;
  const limits: UpstreamLimits = { ...upstreamLimits, ...options.limits };
  const grants = createGrantStore({ ...options, limits });
  const deps: ConnectDependencies = { ...options, limits, grants };
  const connect = createConnect(deps);
  const consents = createPendingConsents<PendingServer | PendingAccount>(deps);
  const authorizers = new Map<string, { transport: string; authorizer: Authorizer }>();

  const of = (server: ToolServerManifest, environment: string): Authorizer | undefined => {
    const transport = authorizedTransport(server);
    if (transport === undefined) return undefined;
    const key = `${environment}/${server.name}`;
    // Applied and read again, the same manifest may have its members in another order.
    const text = canonicalJson(transport);
    const existing = authorizers.get(key);
    if (existing?.transport === text) return existing.authorizer;
    const authorizer = createAuthorizer(deps, { server: server.name, environment, transport });
    authorizers.set(key, { transport: text, authorizer });
    return authorizer;
  };

  const pages = createPages({
    ...options,
    cookieMaxAgeSeconds: Math.ceil(limits.connectTtlMs / 1000),
    opened: consents.opened,
    async finish(path, query, cookies) {
      const pending = await consents.take(query.get('state') ?? '', path);
      if (pending.what === 'account') {
        const { provider, agent } = await options.accounts.finish(pending, query, cookies);
        return `${agent} may now use your account (${provider}) in tasks that are yours. You can close this page.`;
      }
      const done = await connect.finish(pending, query, cookies, (server, environment) => {
        const registered = registry.snapshot().servers.get(server);
        return registered?.manifest.environments.includes(environment)
          ? authorizedTransport(registered.manifest)
          : undefined;
      });
      authorizers.get(`${done.environment}/${done.server}`)?.authorizer.forget();
      options.onConnected(done.server, done.by);
      return `Gatehouse may now use ${done.server} in ${done.environment}. You can close this page.`;
    },
  });

  return {
    of,

    async connect(server, environment, by) {
      return connect.begin(personalPlace(server, environment), by);
    },

    disconnect,

    views: (server) => Promise.all(server.environments.flatMap((environment) => of(server, environment)?.view() ?? [])),

    handle: pages,

    refresh(changes) {
      for (const { topic, key } of changes) {
        if (topic === 'upstream') authorizers.get(key)?.authorizer.forget();
        if (topic === 'secret') for (const { authorizer } of authorizers.values()) authorizer.forget();
        if (topic !== 'object' || !key.startsWith('ToolServer/')) continue;
        const server = key.slice('ToolServer/'.length);
        if (!registry.snapshot().servers.has(server))
          forgetServer(server).catch((error) => log.warn('a removed server left its access behind', { server, error }));
      }
    },
  };

  async function disconnect(
    server: ToolServerManifest,
    environment: string | undefined,
    by: string,
  ): Promise<{ revoked: boolean }> {
    const place = personalPlace(server, environment);
    const grant = await grants.read(place);
    const revoked = grant !== undefined && (await revokeToken(deps, place, grant));
    const isRemoved = await storage.transaction(async (transaction) => {
      if (!(await grants.remove(transaction, place, grant))) return false;
      if (grant === undefined) return true;
      await recordChange(transaction, {
        operation: 'server.disconnect',
        by,
        environment: place.environment,
        changes: [
          `tool server ${server.name} disconnected; ${revoked ? 'its access was revoked at the authorization server' : 'its access could not be revoked at the authorization server'}`,
        ],
      });
      return true;
    });
    // Renewed meanwhile, or connected anew: that is to be revoked as well.
    if (!isRemoved) return disconnect(server, environment, by);
    authorizers.get(`${place.environment}/${server.name}`)?.authorizer.forget();
    return { revoked };
  }

  /** A server of the same name that comes later is another one. */
  async function forgetServer(name: string): Promise<void> {
    for (const key of authorizers.keys()) if (key.endsWith(`/${name}`)) authorizers.delete(key);
    await storage.transaction(async (transaction) => {
      for (const table of ['upstream_grants', 'upstream_demands', 'upstream_clients'] as const)
        await transaction.deleteFrom(table).where('server', '=', name).execute();
    });
  }
}

function authorizedTransport({ transport }: ToolServerManifest): AuthorizedTransport | undefined {
  return transport.type === 'http' && transport.authorization !== undefined
    ? (transport as AuthorizedTransport)
    : undefined;
}

function personalPlace(server: ToolServerManifest, given: string | undefined): AuthorizedPlace {
  const transport = authorizedTransport(server);
  if (transport?.authorization.grant !== 'authorization_code')
    throw new GatehouseError(
      'conflict',
      'server.not-connectable',
      `${server.name} is not connected by a person: its manifest does not say \`authorization: {grant: authorization_code}\`.`,
    );
  const [only, ...others] = server.environments;
  const environment = given ?? (others.length === 0 ? only : undefined);
  if (environment !== undefined && server.environments.includes(environment))
    return { server: server.name, environment, transport };
  throw new GatehouseError(
    'bad-request',
    'server.environment',
    `Say in which environment: ${server.name} is in ${server.environments.join(', ')}.`,
  );
}
