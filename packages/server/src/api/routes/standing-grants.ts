import { bodies, paging } from '@gatehouse/protocol';
import { z } from 'zod';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, route } from '../route.ts';

const grantQuery = paging.extend({
  agent: z.string().max(200).optional(),
  task: z.string().max(200).optional(),
  /** Only those that could cover something now. */
  inForce: z.enum(['true', 'false']).default('false'),
});

export function standingGrantRoutes({ approvals, registry }: ApiDependencies): Route[] {
  const on: ResourceOf = async (param) => {
    const grant = await approvals.grants.get(param('id'));
    if (!grant) return undefined;
    const owner = registry.snapshot().agents.get(grant.agent)?.manifest.owner ?? '';
    return { type: 'Approval', id: grant.id, owner, environment: grant.environment, tool: grant.tool };
  };

  return [
    route('GET /grants', everyone, 'Standing grants, newest first', { query: grantQuery }, async ({ query }) => {
      const { agent, task, inForce, cursor: before, limit } = query;
      const items = await approvals.grants.list({ agent, task, inForce: inForce === 'true', before, limit });
      return { items, cursor: items.length === limit ? (items.at(-1)?.id ?? null) : null };
    }),
    route('GET /grants/:id', everyone, 'One standing grant, with what is used of it', {}, async ({ param }) => {
      const grant = await approvals.grants.get(param('id'));
      if (!grant)
        throw new GatehouseError('not-found', 'grant.unknown', `There is no standing grant "${param('id')}".`);
      return grant;
    }),
    route(
      'POST /grants/:id/revoke',
      'deny',
      'Let a standing grant cover nothing any more',
      { body: bodies.revokeGrant, on },
      async ({ caller, param, body }) =>
        approvals.grants.revoke(param('id'), caller.person?.email ?? caller.by, body.reason),
    ),
  ];
}
