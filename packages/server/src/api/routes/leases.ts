import { type LeaseView, leaseBodies, type ShownLease } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function leaseRoutes({ credentials }: ApiDependencies): Route[] {
  const shown = (lease: LeaseView): ShownLease => ({ ...lease, kind: credentials.kindOf(lease.provider) });
  return [
    route(
      'GET /leases',
      everyone,
      'Just-in-time credentials that were issued, newest first: for whom, for what, how far their end has come',
      { query: leaseBodies.leaseQuery },
      async ({ query: { cursor, open, limit, agent, task, provider, state } }) => {
        const filter = {
          limit,
          ...(agent !== undefined && { agent }),
          ...(task !== undefined && { task }),
          ...(provider !== undefined && { provider }),
          ...(state !== undefined && { state }),
          ...(open === 'true' && { open: true }),
          ...(cursor !== undefined && { before: cursor }),
        };
        const { leases: items, next } = await credentials.leases.list(filter);
        return { items: items.map(shown), cursor: next };
      },
    ),
    route('GET /leases/:id', everyone, 'One of them', {}, async ({ param }) =>
      shown(await credentials.leases.get(param('id'))),
    ),
    route(
      'POST /leases/:id/revoke',
      'secure',
      'End a credential now; what was opened with it ends as far as its provider can',
      { body: leaseBodies.revokeLease },
      ({ caller, param, body }) => credentials.leases.end(param('id'), caller.by, body.reason || 'revoked'),
    ),
    route(
      'POST /leases/:id/renew',
      'secure',
      'Have a credential live so long from now, within the bounds that it was issued with; `clamped` says which of them kept it shorter',
      { body: leaseBodies.renewLease },
      ({ caller, param, body }) => credentials.leases.renew(param('id'), caller.by, body.ttlSeconds),
    ),
    route(
      'GET /providers',
      everyone,
      'Who issues credentials, what they can do, and whether they would now',
      {},
      async () => ({
        items: await credentials.providers(),
      }),
    ),
    route(
      'POST /providers/:name/test',
      'administer',
      'Have a credential issued for nobody and ended, and say how long that took',
      {},
      ({ caller, param }) => credentials.test(param('name'), caller.by),
    ),
  ];
}
