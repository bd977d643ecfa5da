import { bodies, type HeldResult, paging } from '@gatehouse/protocol';
import { z } from 'zod';
import type { Kept } from '../../enforcement/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, route } from '../route.ts';

const resultQuery = paging.extend({ agent: z.string().optional() });

export function heldResultRoutes({ approvals, held, registry }: ApiDependencies): Route[] {
  async function find(id: string): Promise<Kept> {
    const kept = await held.get(id);
    if (kept) return kept;
    throw new GatehouseError(
      'not-found',
      'result.unknown',
      `There is no held result "${id}". It was fetched, discarded, or has run out; \`gatehouse results list\` shows what waits.`,
    );
  }

  async function approvalOf({ approval }: Pick<Kept, 'approval'>) {
    return approval === null ? undefined : approvals.get(approval);
  }

  async function view(kept: Kept): Promise<HeldResult> {
    const { id, agent, task, tool, reason, bytes, items, labels, approval, createdAt, expiresAt } = kept;
    const state = (await approvalOf(kept))?.state ?? null;
    return {
      id,
      agent,
      task,
      tool,
      action: kept.actionId,
      reason,
      bytes,
      items,
      labels,
      approval,
      state,
      createdAt,
      expiresAt,
    };
  }

  /** Whoever may deny its release may discard it. */
  const on: ResourceOf = async (param) => {
    const kept = await held.get(param('id'));
    const approval = kept && (await approvalOf(kept));
    if (!approval) return undefined;
    const owner = registry.snapshot().agents.get(approval.agent)?.manifest.owner ?? '';
    const { id, environment, tool } = approval;
    const named = approval.rules.length > 0 ? approvals.namedFor(approval) : [];
    return { type: 'Approval', id, owner, environment, tool, named };
  };

  return [
    route(
      'GET /results',
      everyone,
      'Results that wait for a person, newest first',
      { query: resultQuery },
      async ({ query }) => {
        const { agent, cursor, limit } = query;
        const kept = await held.list({
          limit,
          ...(agent !== undefined && { agent }),
          ...(cursor !== undefined && { before: cursor }),
        });
        const items = await Promise.all(kept.map(view));
        return { items, cursor: items.length === limit ? (items.at(-1)?.id ?? null) : null };
      },
    ),
    route('GET /results/:id', everyone, 'One of them, by what is known of it', {}, async ({ param }) =>
      view(await find(param('id'))),
    ),
    route(
      'POST /results/:id/discard',
      'deny',
      'Delete it, and tell the agent why',
      { body: bodies.deny, on },
      async ({ caller, param, body }) => {
        const { approval } = await find(param('id'));
        if (approval === null)
          throw new GatehouseError(
            'conflict',
            'result.not-asked',
            'Nobody was asked about it yet. Try again in a moment.',
          );
        return approvals.deny(approval, caller.person?.email ?? caller.by, body.reason);
      },
    ),
  ];
}
