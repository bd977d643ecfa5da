import { type PersonView, peopleBodies, peopleQuery, sessionsQuery } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { KnownPerson } from '../../registry/index.ts';
import { controlPoliciesOf, describeRoles, guardedRoutes } from '../authorization/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, route } from '../route.ts';
import { personOf } from './session.ts';

/** The people of the workspace: who they are, what they may do, how they got in, and their leaving. */
export function peopleRoutes(deps: ApiDependencies, allRoutes: () => Route[]): Route[] {
  const { people, registry, storage } = deps;

  const onPerson: ResourceOf = async (param) => {
    const email = param('email');
    return registry.snapshot().directory.has(email) ? { type: 'Person', email } : undefined;
  };

  function find(email: string): KnownPerson {
    const person = registry.snapshot().directory.get(email);
    if (person) return person;
    throw new GatehouseError('not-found', 'person.not-found', `There is no person ${email.slice(0, 254)}.`);
  }

  async function views(known: KnownPerson[]): Promise<PersonView[]> {
    if (known.length === 0) return [];
    const emails = known.map(({ email }) => email);
    const footing = await people.footing(emails);
    const owned = await storage.db
      .selectFrom('agents')
      .select(['name', 'owner'])
      .where('state', '!=', 'retired')
      .where('owner', 'in', emails)
      .orderBy('name')
      .execute();
    const agents = Map.groupBy(owned, ({ owner }) => owner);
    return known.map((person) => ({
      kind: 'Person',
      ...person,
      ...(footing.get(person.email) ?? { passkeys: 0, sessions: 0, identities: [], unconfirmed: null }),
      agents: (agents.get(person.email) ?? []).map(({ name }) => name),
    }));
  }

  const one = async (email: string): Promise<PersonView> => (await views([find(email)]))[0] as PersonView;

  let policies: ReturnType<typeof controlPoliciesOf> | undefined;

  return [
    route(
      'GET /people',
      everyone,
      'People by address: roles, where they come from, what they own',
      { query: peopleQuery },
      async ({ query: { search, limit, cursor = '' } }) => {
        const words = search.toLowerCase().split(/\s+/);
        const fits = ({ email, displayName, roles, source, groups }: KnownPerson) => {
          const all = [email, displayName, ...roles, source, ...groups].join(' ').toLowerCase();
          return words.every((word) => all.includes(word));
        };
        const after = [...registry.snapshot().directory.values()]
          .filter((person) => person.email > cursor && fits(person))
          .sort((a, b) => (a.email < b.email ? -1 : 1));
        const page = after.slice(0, limit);
        return { items: await views(page), cursor: after.length > limit ? (page.at(-1)?.email ?? null) : null };
      },
    ),
    route('GET /people/:email', everyone, 'One person', {}, async ({ param }) => one(param('email'))),
    route('GET /scim/tokens', 'oversee', 'Tokens of directories', {}, async () => ({
      items: await deps.scimTokens.list(),
    })),
    route(
      'POST /scim/tokens',
      'admit',
      'Make a token for a directory (SCIM); it is shown once',
      { body: peopleBodies.createScimToken },
      async ({ caller, body }) => {
        const { name, expiresInDays } = body;
        const { token, view } = await deps.scimTokens.create({
          name,
          by: caller.by,
          ...(expiresInDays !== undefined && { expiresInDays }),
        });
        return { ...view, token: token.reveal(), url: `${deps.config.publicUrl}/scim/v2` };
      },
    ),
    route('DELETE /scim/tokens/:id', 'administer', 'Revoke a token of a directory', {}, async ({ caller, param }) => {
      await deps.scimTokens.revoke(param('id'), caller.by);
      return { ok: true };
    }),
    route('GET /roles', everyone, 'What each role may do, by the policies in force', {}, async () => {
      const guarded = guardedRoutes(allRoutes());
      policies ??= controlPoliciesOf(registry, guarded);
      return { items: describeRoles(policies(), guarded) };
    }),
    route(
      'POST /people/:email/offboard',
      'people',
      'Have somebody leave: sessions, passkeys, delegations and join tokens end; agents go to a successor or are suspended, keys dropped',
      { body: peopleBodies.offboard, on: onPerson },
      async ({ caller, param, body }) => {
        const { email } = find(param('email'));
        if (email === caller.email)
          throw new GatehouseError('forbidden', 'offboard.oneself', 'Nobody offboards themselves. Ask somebody else.');
        return deps.offboard(email, {
          by: caller.by,
          keepKeys: body.keepKeys,
          ...(body.successor !== undefined && { successor: body.successor }),
          ...(body.reason !== '' && { reason: body.reason }),
        });
      },
    ),
    route(
      'POST /people/:email/reinstate',
      'admit',
      'Bring somebody back who has left; passkeys and agents stay as they were left',
      { body: peopleBodies.reinstate },
      async ({ caller, param }) => {
        const { email } = find(param('email'));
        await storage.transaction((transaction) => registry.reinstatePerson(transaction, email, caller.by));
        await registry.refresh([]);
        return one(email);
      },
    ),
    route(
      'POST /people/:email/passkeys/confirm',
      'admit',
      'Say that a passkey which a link of another admin or of the host has led to is its person’s own',
      {},
      async ({ caller, param }) => {
        const { email } = find(param('email'));
        await people.confirmPasskeys(email, personOf(caller).email);
        return one(email);
      },
    ),
    route(
      'GET /people/:email/sessions',
      'people',
      'Sessions of a person',
      { on: onPerson },
      async ({ caller, param }) => {
        const { email } = find(param('email'));
        const sessions = await people.listSessions(email);
        return {
          items: sessions.map((session) => ({
            ...session,
            person: email,
            current: session.id === caller.person?.session,
          })),
        };
      },
    ),
    route(
      'DELETE /people/:email/sessions',
      'people',
      'End all sessions of a person',
      { on: onPerson },
      async ({ caller, param }) => ({ ended: await people.revokeAllSessions(find(param('email')).email, caller.by) }),
    ),
    route(
      'DELETE /people/:email/sessions/:id',
      'people',
      'End one session of a person',
      { on: onPerson },
      async ({ caller, param }) => {
        await people.revokeSession(find(param('email')).email, param('id'), caller.by);
        return { ok: true };
      },
    ),
    route(
      'GET /sessions/everyone',
      'oversee',
      'Sessions of everybody, newest first',
      { query: sessionsQuery },
      async ({ caller, query }) => {
        const { limit, via, cursor } = query;
        const items = await people.listAllSessions({
          limit,
          ...(via !== undefined && { via }),
          ...(cursor !== undefined && { before: cursor }),
        });
        return {
          items: items.map((session) => ({ ...session, current: session.id === caller.person?.session })),
          cursor: items.length === limit ? (items.at(-1)?.id ?? null) : null,
        };
      },
    ),
  ];
}
