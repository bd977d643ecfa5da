import {
  type Manifest,
  name,
  type SecretView,
  secretsNamedIn,
  type ToolServerManifest,
  upstreamAuthorizationBodies,
} from '@gatehouse/protocol';
import { GatehouseError, Secret } from '../../platform/index.ts';
import { nameOf, type Snapshot } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { secretViews } from './secret-views.ts';

const bodies = upstreamAuthorizationBodies;

/** Connecting tool servers that want a person's consent, and the secrets that Gatehouse authenticates itself with. */
export function upstreamAuthorizationRoutes(deps: ApiDependencies): Route[] {
  const { registry, authorizations, secrets } = deps;

  const serverOf = (server: string): ToolServerManifest => {
    const registered = registry.snapshot().servers.get(server);
    if (registered) return registered.manifest;
    throw new GatehouseError('not-found', 'server.unknown', `There is no tool server "${server}".`);
  };
  const usersOf = (secret: string): string[] => [...(usersIn(registry.snapshot()).get(secret) ?? [])];

  return [
    route(
      'POST /servers/:name/connect',
      'administer',
      'Begin to connect a tool server that wants a person’s consent; gives the address to open',
      { body: bodies.connect },
      async ({ caller, body, param }) => authorizations.connect(serverOf(param('name')), body.environment, caller.by),
    ),
    route(
      'POST /servers/:name/disconnect',
      'secure',
      'Forget the access that was granted, and revoke it where the authorization server can',
      { body: bodies.disconnect },
      async ({ caller, body, param }) => {
        const server = serverOf(param('name'));
        const done = await authorizations.disconnect(server, body.environment, caller.by);
        await deps.storage.feed.waitForAll(await deps.storage.feed.head());
        await deps.upstreams.end({ server: server.name });
        return done;
      },
    ),
    route('GET /secrets', 'oversee', 'Names of the secrets that Gatehouse holds', {}, () => secretViews(deps, usersOf)),
    route(
      'PUT /secrets/:name',
      'administer',
      'Set a secret, for the origins it may be sent to; it is never shown again',
      { body: bodies.setSecret, conceals: ['value'] },
      async ({ caller, body, param }) => {
        const parsed = name.safeParse(param('name'));
        if (!parsed.success)
          throw new GatehouseError(
            'bad-request',
            'secret.name',
            `A secret's name is ${parsed.error.issues[0]?.message}.`,
          );
        const { value, origins, ...care } = body;
        await secrets.set(parsed.data, new Secret(value), origins, caller.by, care);
        const { items } = await secretViews(deps, usersOf);
        return items.find((each) => each.name === parsed.data) as SecretView;
      },
    ),
    route(
      'POST /secrets/:name/rotate',
      'administer',
      'Give the user of a provider of the kind postgres, mariadb or redis a new random password, and keep that in place of the stored one',
      {},
      async ({ caller, param }) => {
        const named = param('name');
        await deps.credentials.rotateSecret({ name: named, usedBy: usersOf(named), by: caller.by });
        const { items } = await secretViews(deps, usersOf);
        return items.find((each) => each.name === named) as SecretView;
      },
    ),
    route('DELETE /secrets/:name', 'administer', 'Delete a secret', {}, async ({ caller, param }) => {
      const users = usersOf(param('name'));
      if (users.length > 0)
        throw new GatehouseError(
          'conflict',
          'secret.in-use',
          `The secret "${param('name')}" is named by the manifests of ${users.join(', ')}. Take it out there first, or set another value.`,
        );
      await secrets.delete(param('name'), caller.by);
      return { ok: true };
    }),
  ];
}

const users = new WeakMap<Snapshot, Map<string, Set<string>>>();

/** By secret, the names of all whose manifests name it; looked for once in each version of the workspace. */
function usersIn(snapshot: Snapshot): Map<string, Set<string>> {
  let known = users.get(snapshot);
  if (known) return known;
  known = new Map();
  for (const manifest of declaredIn(snapshot))
    for (const { secret } of secretsNamedIn(manifest))
      known.set(secret, (known.get(secret) ?? new Set()).add(nameOf(manifest)));
  users.set(snapshot, known);
  return known;
}

/** Of every kind, as it is declared now. Agents name none, and may be many. */
function declaredIn({ agents: _, ...snapshot }: Snapshot): Manifest[] {
  const kinds = Object.values(snapshot) as ReadonlyMap<string, unknown>[];
  const objects = kinds.flatMap((objects) => [...objects.values()]) as ({ manifest?: Manifest } | Manifest)[];
  return objects.flatMap((each) => {
    if (typeof each !== 'object' || each === null) return [];
    if ('manifest' in each && each.manifest) return [each.manifest];
    return 'kind' in each ? [each as Manifest] : [];
  });
}
