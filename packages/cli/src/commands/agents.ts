import type { AgentView, KillResult, Lifecycle } from '@gatehouse/protocol';
import { secondsWords } from '@gatehouse/protocol/residual';
import { takeUpTo } from '../items.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface Listing extends ServerOptions {
  limit: string;
}

interface WithReason extends ServerOptions {
  reason: string;
}

export const agents: Run<Listing> = async ({ options, out }) => {
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /agents'), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are no agents yet. `gatehouse apply -f DIR` adds them.');
  out.table(
    ['AGENT', 'STATE', 'ENVIRONMENT', 'OWNER', 'KEYS', 'TASKS', 'WAITING'],
    items.map((agent) => [
      agent.name,
      stateOf(agent),
      agent.manifest.environment,
      agent.manifest.owner,
      String(agent.manifest.keys.length),
      String(agent.activeTasks),
      String(agent.pendingApprovals),
    ]),
  );
};

export const showAgent: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const agent = await operatorOf(options).call('GET /agents/:name', { params: { name } });
  if (out.json) return out.printJson(agent);
  const { manifest } = agent;
  out.facts([
    ['Agent', agent.name],
    ['SPIFFE ID', agent.spiffeId],
    ['State', stateOf(agent)],
    ['Killed', timeOf(agent.killedAt)],
    ['Purpose', manifest.purpose],
    ['Owner', manifest.owner],
    ['Environment', manifest.environment],
    ['Blueprint', manifest.blueprint],
    ['Risk', manifest.risk],
    [
      'Credentials',
      manifest.credentialSeconds === undefined ? undefined : `live ${manifest.credentialSeconds} s at most`,
    ],
    ['Tokens', manifest.bearerOnly ? 'bearer-only: whoever has one can use it' : 'bound to a key (DPoP)'],
    ['Keys', manifest.keys.length === 0 ? `none: gatehouse agent enroll ${agent.name}` : manifest.keys.length],
    ['Running tasks', agent.activeTasks],
    ['Waiting approvals', agent.pendingApprovals],
  ]);
};

const setState =
  (state: Lifecycle): Run<WithReason> =>
  async ({ args: [name = ''], options, out }) => {
    const body = { state, reason: options.reason };
    const agent = await operatorOf(options).call('POST /agents/:name/state', { params: { name }, body });
    if (out.json) out.printJson(agent);
    else out.print(`${agent.name} is ${stateOf(agent)}.`);
  };

export const suspend = setState('suspended');
export const activate = setState('active');

export const kill: Run<WithReason> = async ({ args: [name = ''], options, out }) => {
  const body = { reason: options.reason };
  const result = await operatorOf(options).call('POST /agents/:name/kill', { params: { name }, body });
  if (out.json) return out.printJson(result);
  out.print(`${out.style('red', 'Killed')} ${result.agent} in ${result.tookMs} ms.`);
  out.facts([
    ['Confirmed by', result.acknowledged.join(', ') || 'no replica'],
    ['Lease ran out', result.expired.join(', ')],
    ['Tasks ended', result.endedTasks],
    ['Approvals cancelled', result.cancelledApprovals],
    ['Credentials ended', credentialsOf(result)],
    [
      'Still usable',
      result.residualSeconds === 0
        ? 'nothing'
        : result.residualSeconds === null
          ? 'what is open with its credentials, until their provider, once it is back, or who it was opened at ends it'
          : `credentials already handed out, for ${secondsWords(result.residualSeconds)} at most`,
    ],
  ]);
};

function credentialsOf({ endedLeases, openLeases }: KillResult): string {
  return openLeases === 0
    ? String(endedLeases)
    : `${endedLeases}; ${openLeases} not verified to be gone yet: gatehouse leases --open`;
}

function stateOf({ state, killedAt }: AgentView): string {
  return killedAt === null ? state : `${state} (killed)`;
}
