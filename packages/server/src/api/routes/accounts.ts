import { accountBodies } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, type Route, route } from '../route.ts';
import { personOf } from './session.ts';

/** Who may see everybody's, because it is their work to ask. */
const overseers = new Set(['admin', 'security', 'auditor']);

/** Accounts at other systems that people let agents use. */
export function accountRoutes({ credentials, registry }: ApiDependencies): Route[] {
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
      'GET /accounts',
      'self',
      'Accounts at other systems that people let agents use: one’s own, and those that one’s agents use',
      { query: accountBodies.list },
      async ({ caller, query: { user, agent } }) => ({
        items: await credentials.accounts.list({
          ...visibleTo(caller),
          ...(user !== undefined && { user }),
          ...(agent !== undefined && { agent }),
        }),
      }),
    ),
    route(
      'POST /accounts',
      'consent',
      'Begin to let an agent use one’s own account at another system; gives the address to open. A signed-in person, never in another’s name',
      { body: accountBodies.connect },
      async ({ caller, body }) => {
        const { email } = personOf(caller);
        if (!caller.restricted) return credentials.accounts.begin(email, body);
        throw new GatehouseError(
          'forbidden',
          'account.terminal',
          'A session of a terminal lets no agent use your accounts. Sign in to the console in a browser.',
        );
      },
    ),
    route(
      'DELETE /accounts/:id',
      'self',
      'Take one back: nothing is issued of it any more, and it is revoked at the other system where that can. Its person, security or an admin',
      {},
      async ({ caller, param }) => {
        const found = await credentials.accounts.get(param('id'));
        const mayEnd = caller.roles.includes('admin') || caller.roles.includes('security');
        // Of what is neither theirs nor for them to oversee, people hear what they hear of none.
        if (!found || (found.user !== caller.email && !mayEnd))
          throw new GatehouseError(
            'not-found',
            'account.unknown',
            `You have no account "${param('id').slice(0, 64)}" connected. Its person, security or an admin can disconnect one.`,
          );
        return credentials.accounts.disconnect(found.id, caller.by);
      },
    ),
  ];
}
