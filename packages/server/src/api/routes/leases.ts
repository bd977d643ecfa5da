import { type LeaseView, leaseBodies, type ShownLease, secondYesBodies } from '@gatehouse/protocol';
import { unknownLease } from '../../credentials/index.ts';
import { aboutFormerAgent } from '../about-agent.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, everyone, type ResourceOf, type Route, route } from '../route.ts';
import { secondYesOf } from './second-yes.ts';

const MOST_AGENTS = 1_000;

/** Who may see everybody's, because it is their work to ask. Others see those of the agents that they own. */
const overseers = new Set(['admin', 'security', 'auditor']);
const seesAll = ({ via, roles }: ApiCaller): boolean => via === 'operator' || roles.some((role) => overseers.has(role));

/** Whoever may not see everybody's sees those of the agents that they own. */
export const seesLeasesOf = (caller: ApiCaller, owner: string | undefined): boolean =>
  seesAll(caller) || (owner !== undefined && owner === caller.email);

export function leaseRoutes(deps: ApiDependencies): Route[] {
  const { credentials, registry } = deps;
  const ownedBy = ({ email }: ApiCaller): string[] =>
    [...registry.snapshot().agents.values()]
      .filter(({ manifest }) => manifest.owner === email)
      .map(({ name }) => name)
      .slice(0, MOST_AGENTS);
  const shown = (lease: LeaseView): ShownLease => ({
    ...lease,
    kind: credentials.kindOf(lease.provider),
    agentOwner: registry.snapshot().agents.get(lease.agent)?.manifest.owner ?? null,
  });
  /** Whoever may stop an agent may end a credential of it. One that is of no agent, or of one that is declared no more, is nobody's own. */
  const onAgentOf: ResourceOf = async (param) => {
    const { leases } = await credentials.leases.list({ ids: [param('id')], limit: 1 });
    const [lease] = leases;
    if (!lease) return undefined;
    return aboutFormerAgent(registry, lease.agent);
  };
  return [
    route(
      'GET /leases',
      everyone,
      'Just-in-time credentials that were issued, newest first: for whom, for what, how far their end has come',
      { query: leaseBodies.leaseQuery },
      async ({ caller, query: { cursor, open, limit, agent, task, provider, state } }) => {
        const filter = {
          limit,
          ...(agent !== undefined && { agent }),
          ...(task !== undefined && { task }),
          ...(provider !== undefined && { provider }),
          ...(state !== undefined && { state }),
          ...(open === 'true' && { open: true }),
          ...(!seesAll(caller) && { agents: ownedBy(caller) }),
          ...(cursor !== undefined && { before: cursor }),
        };
        const { leases: items, next } = await credentials.leases.list(filter);
        return { items: items.map(shown), cursor: next };
      },
    ),
    route('GET /leases/:id', everyone, 'One of them', {}, async ({ caller, param }) => {
      const lease = await credentials.leases.get(param('id'));
      // Whatever is not theirs to see is as good as not there.
      if (!seesLeasesOf(caller, registry.snapshot().agents.get(lease.agent)?.manifest.owner))
        throw unknownLease(lease.id);
      return shown(lease);
    }),
    route(
      'POST /leases/:id/revoke',
      'kill',
      'End a credential now; what was opened with it ends as far as its provider can',
      { body: leaseBodies.revokeLease, on: onAgentOf },
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
      'POST /leases/take-over',
      'administer',
      'In a restored workspace: the one that it was restored from is gone for good, so that its credentials are ended from here',
      {},
      ({ caller }) => credentials.leases.takeOver(caller.by),
    ),
    route(
      'POST /leases/:id/drop',
      'hold',
      'Ask for a stuck credential to be given up, with the reason; somebody else has to agree',
      { body: leaseBodies.dropLease },
      ({ caller, param, body }) => credentials.leases.askDrop(param('id'), caller.by, body.reason),
    ),
    route(
      'POST /leases/:id/drop/agree',
      'erase',
      'Agree, with a passkey, that a stuck credential is given up, which somebody else has asked for: nobody tries to end it any more',
      { body: secondYesBodies.agree },
      async (context) => {
        const id = context.param('id');
        return credentials.leases.agreeDrop(id, await secondYesOf(deps, context, { act: 'lease.drop', id }));
      },
    ),
    route(
      'GET /providers',
      everyone,
      'Who issues credentials, what they can do, and whether they would now',
      {},
      async ({ caller }) => {
        const items = await credentials.providers();
        // In what a system says of itself are addresses and names of its own.
        return { items: seesAll(caller) ? items : items.map((each) => ({ ...each, problem: null })) };
      },
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
