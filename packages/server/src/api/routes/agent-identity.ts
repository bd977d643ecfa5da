import { keyEvents, liveCredentials } from '../../identity/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import { mayHandOn } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function agentIdentityRoutes(deps: ApiDependencies): Route[] {
  return [
    route(
      'GET /agents/:name/identity',
      everyone,
      'What an agent can prove itself with now, and how its keys came',
      {},
      async ({ param }) => {
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
          keyEvents: await keyEvents(deps, agent.name),
          templates: snapshot.blueprints.get(agent.manifest.blueprint)?.templates ?? [],
          handsOnTo: others.filter((other) => mayHandOn(snapshot, agent, other)).map(({ name }) => name),
          takesOverFrom: others.filter((other) => mayHandOn(snapshot, other, agent)).map(({ name }) => name),
        };
      },
    ),
  ];
}
