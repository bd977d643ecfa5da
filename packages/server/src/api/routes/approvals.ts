import { type Approval, bodies, paging } from '@gatehouse/protocol';
import { z } from 'zod';
import { GatehouseError, type Json } from '../../platform/index.ts';
import type { ControlResource } from '../authorization/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, everyone, type ResourceOf, type Route, route } from '../route.ts';
import { inWords } from '../search-query.ts';
import { personOf } from './session.ts';

const approvalQuery = paging.extend({
  state: z.enum(['pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed']).optional(),
  agent: z.string().optional(),
  task: z.string().optional(),
});

/** Its page shows what it is about: a look at the arguments of its action. */
export async function sawArguments({ reads }: Pick<ApiDependencies, 'reads'>, by: string, approval: Approval) {
  const { id, actionId } = approval;
  if (approval.arguments === null) return;
  await reads.saw({ by, what: `${id} with its arguments`, items: 1, subject: id, action: actionId });
}

/** As policies see it. */
export function resourceOf(
  approval: Approval,
  { approvals, registry }: Pick<ApiDependencies, 'approvals' | 'registry'>,
): ControlResource {
  const { id, agent, environment, tool } = approval;
  const owner = registry.snapshot().agents.get(agent)?.manifest.owner ?? '';
  const named = approval.rules.length > 0 ? approvals.namedFor(approval) : [];
  return { type: 'Approval', id, owner, environment, tool, named };
}

export function approvalRoutes({ approvals, registry, channels, reads }: ApiDependencies): Route[] {
  const on: ResourceOf = async (param) => {
    const approval = await approvals.get(param('id'));
    return approval && resourceOf(approval, { approvals, registry });
  };
  async function found(id: string): Promise<Approval> {
    const approval = await approvals.get(id);
    if (approval) return approval;
    throw new GatehouseError('not-found', 'approval.unknown', `There is no approval "${id}".`);
  }

  const ownerOf = (agent: string) => registry.snapshot().agents.get(agent)?.manifest.owner ?? '';

  async function stopAsking({ id, agent, task }: Approval, what: 'task' | 'agent', by: string, reason: string) {
    const why = `${by} denied ${id}${reason && `: ${reason}`}`.slice(0, 500);
    if (what === 'agent') await registry.setAgentState(agent, 'suspended', by);
    else await registry.suspendTask(task, by, why);
  }

  return [
    route(
      'GET /approvals',
      everyone,
      'Approvals, newest first',
      { query: approvalQuery },
      async ({ caller, query }) => {
        const { cursor, ...filter } = query;
        const items = await approvals.list({ ...filter, ...(cursor !== undefined && { before: cursor }) } as Parameters<
          typeof approvals.list
        >[0]);
        await reads.searched({ by: caller.by, what: inWords('approvals', query), items: items.length });
        return { items, cursor: items.length === query.limit ? (items.at(-1)?.id ?? null) : null };
      },
    ),
    route('GET /approvals/:id', everyone, 'One approval', {}, async ({ caller, param }) => {
      const approval = await found(param('id'));
      await sawArguments({ reads }, caller.by, approval);
      return approval;
    }),
    route(
      'GET /approvals/:id/progress',
      everyone,
      'How far it is: who has said yes, who can now, what is missing, when it escalates',
      {},
      async ({ caller, param }) => {
        const approval = await found(param('id'));
        return { ...approvals.progress(approval), byDevice: channels.device.channelFor(approval, caller.email) };
      },
    ),
    route(
      'POST /approvals/:id/look',
      'approve',
      'Say that you have read this action, to confirm it on your own device: the answer is the code that the device shows too',
      { body: bodies.look, on },
      ({ caller, param, body }) => channels.device.look(param('id'), personOf(caller).email, body.digest),
    ),
    route(
      'POST /approvals/:id/options',
      'approve',
      'Begin to approve: the passkey signs the digest of the action',
      { body: bodies.approvalOptions, on },
      async ({ caller, param, body: { endorse, grant } }) => {
        const { email, byMail } = personOf(caller);
        if (byMail && (grant || endorse.length > 0)) throw tooMuchByMail();
        if (!grant) return { options: await approvals.approvalOptions(param('id'), email, endorse), grant: null };
        const { options, terms } = await approvals.grantOptions(param('id'), email, grant, endorse);
        return { options, grant: terms };
      },
    ),
    route(
      'POST /approvals/:id/approve',
      'approve',
      'Approve exactly this action, and as many more like it as are signed with it',
      { body: bodies.approve, on },
      async ({ caller, param, body }) => {
        const { email, byMail } = personOf(caller);
        if (byMail && (body.grant || body.endorse.length > 0)) throw tooMuchByMail();
        return approvals.approve(param('id'), email, body.assertion as Json, body.endorse, body.grant);
      },
    ),
    route(
      'POST /approvals/:id/deny',
      'deny',
      'Deny it; with `suspend` also stop the task or the agent that asked',
      { body: bodies.deny, on },
      async ({ caller, param, body: { reason, suspend } }) => {
        const id = param('id');
        const byMail = caller.person?.byMail ?? null;
        if (byMail && suspend) throw tooMuchByMail();
        const asked = await approvals.get(id);
        if (asked && suspend) requireMaySuspend(caller, suspend, ownerOf(asked.agent));
        const denied = await approvals.deny(id, caller.person?.email ?? caller.by, reason, byMail?.channel);
        if (suspend) await stopAsking(denied, suspend, caller.by, reason);
        return denied;
      },
    ),
  ];
}

const tooMuchByMail = () =>
  new GatehouseError(
    'forbidden',
    'session.by-mail',
    'The link of a mail answers one action. Sign in with your passkey to suspend what asked, to allow more calls, or to vouch for values.',
  );

/** Whoever may deny may stop the task that asked. An agent is stopped by those who may stop it anyway. */
function requireMaySuspend(caller: ApiCaller, what: 'task' | 'agent', owner: string): void {
  const may =
    caller.person === null ||
    caller.email === owner ||
    caller.roles.some((role) => role === 'security' || role === 'admin');
  if (what === 'task' || may) return;
  throw new GatehouseError(
    'forbidden',
    'approval.suspend-agent',
    "Only the agent's owner, security and admins suspend an agent. Suspend its task instead, or ask one of them.",
  );
}
