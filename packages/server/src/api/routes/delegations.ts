import { delegationBodies, delegationFilter, paging } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, type Route, route } from '../route.ts';
import { personOf } from './session.ts';

/** Who may see everybody's, because it is their work to ask. */
const overseers = new Set(['admin', 'security', 'auditor']);

/** A person at the console. A session of a terminal consents to nothing: a shell can be shared with an agent (law 4). */
function consenting(caller: ApiCaller): string {
  const { email } = personOf(caller);
  if (!caller.restricted) return email;
  throw new GatehouseError(
    'forbidden',
    'delegation.terminal',
    'A session of a terminal lets no agent act for you. Sign in to the console in a browser.',
  );
}

export function delegationRoutes({ delegations, registry }: ApiDependencies): Route[] {
  /** The person themselves, whoever owns the agent, and overseers. */
  const visibleTo = ({ roles, email }: ApiCaller) =>
    roles.some((role) => overseers.has(role))
      ? {}
      : {
          visibleTo: {
            user: email,
            agents: [...registry.snapshot().agents.values()]
              .filter(({ manifest }) => manifest.owner === email)
              .map(({ name }) => name)
              .slice(0, 1_000),
          },
        };

  return [
    route(
      'GET /delegations',
      'self',
      'Standing delegations, newest first: one’s own, and those to one’s agents',
      { query: paging.extend(delegationFilter) },
      async ({ caller, query: { limit, cursor, user, agent } }) => {
        const items = await delegations.list({
          ...visibleTo(caller),
          limit,
          ...(user !== undefined && { user }),
          ...(agent !== undefined && { agent }),
          ...(cursor !== undefined && { before: cursor }),
        });
        return { items, cursor: items.length === limit ? (items.at(-1)?.id ?? null) : null };
      },
    ),
    route(
      'POST /delegations',
      'consent',
      'Let an agent act for oneself: a signed-in person, never in another’s name',
      { body: delegationBodies.create },
      async ({ caller, body }) => delegations.create(consenting(caller), body, 'console'),
    ),
    route(
      'DELETE /delegations/:id',
      'self',
      'Revoke one, and end all tasks that rest on it: its person, security or an admin',
      {},
      async ({ caller, param }) => {
        const found = await delegations.get(param('id'));
        const mayRevoke = caller.roles.includes('admin') || caller.roles.includes('security');
        // Of what is neither theirs nor for them to oversee, people hear what they hear of none.
        if (!found || (found.user !== caller.email && !mayRevoke))
          throw new GatehouseError(
            'not-found',
            'delegation.unknown',
            `You have no delegation "${param('id').slice(0, 64)}". Its person, security or an admin can revoke one.`,
          );
        return delegations.revoke(found.id, caller.by);
      },
    ),
    route('POST /delegations/:id/review', 'consent', 'Let one stand: its person', {}, async ({ caller, param }) =>
      delegations.review(param('id'), consenting(caller)),
    ),
  ];
}
