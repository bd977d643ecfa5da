import type { HandedOut, MayBeHanded } from '@gatehouse/protocol';
import { keyEvents, liveCredentials } from '../../identity/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import { type Agent, mayHandOn, type Snapshot } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';
import { seesLeasesOf } from './leases.ts';

const MOST_HANDED_OUT = 200;

export function agentIdentityRoutes(deps: ApiDependencies): Route[] {
  return [
    route(
      'GET /agents/:name/identity',
      everyone,
      'What an agent can prove itself with now, and how its keys came',
      {},
      async ({ param, caller }) => {
        const snapshot = deps.registry.snapshot();
        const agent = snapshot.agents.get(param('name'));
        if (!agent)
          throw new GatehouseError(
            'not-found',
            'agent.unknown',
            `There is no agent "${param('name')}". \`gatehouse agents\` lists them.`,
          );
        const others = [...snapshot.agents.values()].filter(({ state }) => state !== 'retired');
        return {
          ...(await liveCredentials(deps, agent)),
          handedOut: seesLeasesOf(caller, agent.manifest.owner) ? await handedOutTo(agent.name, deps) : null,
          mayBeHanded: mayBeHanded(snapshot, agent),
          keyEvents: await keyEvents(deps, agent.name),
          templates: snapshot.blueprints.get(agent.manifest.blueprint)?.templates ?? [],
          handsOnTo: others.filter((other) => mayHandOn(snapshot, agent, other)).map(({ name }) => name),
          takesOverFrom: others.filter((other) => mayHandOn(snapshot, other, agent)).map(({ name }) => name),
        };
      },
    ),
  ];
}

/** Nothing here is known to have ended: what is being ended may work on until it has. */
async function handedOutTo(agent: string, { credentials }: ApiDependencies): Promise<HandedOut[]> {
  const { leases } = await credentials.leases.list({ agent, open: true, ungated: true, limit: MOST_HANDED_OUT });
  return leases.map(({ id, provider, task, scope, state, expiresAt, worksUntil, handedBy }) => ({
    ...{ id, provider, task, scope, state, expiresAt, worksUntil, handedBy },
  }));
}

function mayBeHanded({ blueprints, templates, credentialProviders }: Snapshot, { manifest }: Agent): MayBeHanded[] {
  const names = blueprints.get(manifest.blueprint)?.templates ?? [];
  return names.flatMap((template) =>
    (templates.get(template)?.credentials ?? []).flatMap(({ provider, direct }): MayBeHanded[] => {
      const declared = direct ? credentialProviders.get(provider) : undefined;
      if (!declared?.direct || !declared.environments.includes(manifest.environment)) return [];
      const { tier, maxSeconds } = declared.direct;
      return [{ provider, template, type: declared.from.type, tier, maxSeconds }];
    }),
  );
}
