import { bodies, joinTokenBody, outsideProof, type WorkloadView } from '@gatehouse/protocol';
import { z } from 'zod';
import { killWorkload } from '../../governance/index.ts';
import { createJoinToken, listJoinTokens, listTrustRules, revokeJoinToken } from '../../identity/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { Workload } from '../../registry/index.ts';
import type { ControlResource } from '../authorization/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, route } from '../route.ts';

const workloadState = z.strictObject({
  state: z.enum(['active', 'suspended', 'retired']),
  reason: z.string().max(500).default(''),
});

export function federationRoutes(deps: ApiDependencies): Route[] {
  const { registry, federation } = deps;
  /** To policies a workload is an agent under a name that no agent can have. */
  const aboutOwned = (name: string, owner: string, environment: string, risk: string): ControlResource => ({
    type: 'Agent',
    name,
    owner,
    environment,
    production: registry.snapshot().environments.get(environment)?.production ?? true,
    risk,
  });
  const onAgent: ResourceOf = async (param) => {
    const agent = registry.snapshot().agents.get(param('name'))?.manifest;
    return agent && aboutOwned(agent.name, agent.owner, agent.environment, agent.risk);
  };
  const onWorkload: ResourceOf = async (param) => {
    const workload = registry.snapshot().workloads.get(param('name'));
    return workload && aboutOwned(`workload/${workload.name}`, workload.owner, workload.environment, 'medium');
  };
  const agentName = (name: string): string => {
    if (registry.snapshot().agents.has(name)) return name;
    throw new GatehouseError(
      'not-found',
      'agent.unknown',
      `There is no agent "${name}". \`gatehouse agents\` lists them.`,
    );
  };

  return [
    route('GET /trust-rules', 'inspect', 'Trust rules, what is unwise in each, and its last use', {}, async () => ({
      items: await listTrustRules(deps),
    })),
    route(
      'POST /trust-rules/test',
      'inspect',
      'Whom an outside token would stand for, and why; the token is not kept',
      { body: outsideProof },
      async ({ body }) => federation.explain(body),
    ),
    route(
      'GET /agents/:name/join-tokens',
      'operate',
      'Join tokens of an agent',
      { on: onAgent },
      async ({ param }) => ({
        items: await listJoinTokens(deps, agentName(param('name'))),
      }),
    ),
    route(
      'POST /agents/:name/join-tokens',
      'operate',
      'A one-time token with which the agent enrols a key',
      { body: joinTokenBody, on: onAgent },
      async ({ caller, param, body }) =>
        createJoinToken(deps, { agent: agentName(param('name')), ...body, by: caller.by }),
    ),
    route(
      'DELETE /agents/:name/join-tokens/:id',
      'operate',
      'Revoke a join token that was not used',
      { on: onAgent },
      async ({ caller, param }) => {
        await revokeJoinToken(deps, agentName(param('name')), param('id'), caller.by);
        return { ok: true };
      },
    ),
    route('GET /workloads', everyone, 'Services that are not agents', {}, async () => ({
      items: (await registry.workloads()).map(viewOf),
    })),
    route(
      'POST /workloads/:name/state',
      'lifecycle',
      'Suspend, activate or retire a workload',
      { body: workloadState, on: onWorkload },
      async ({ caller, param, body: { state, reason } }) =>
        viewOf(await registry.setWorkloadState(param('name'), state, caller.by, { reason })),
    ),
    route(
      'POST /workloads/:name/kill',
      'kill',
      'Stop a workload and the tasks that it vouches for, now',
      { body: bodies.kill, on: onWorkload },
      async ({ caller, param, body: { reason } }) => viewOf(await killWorkload(deps, param('name'), caller.by, reason)),
    ),
  ];
}

const viewOf = ({ name, spiffeId, state, killedAt, epoch, manifest }: Workload): WorkloadView => ({
  name,
  spiffeId,
  state,
  killedAt,
  epoch,
  manifest,
});
