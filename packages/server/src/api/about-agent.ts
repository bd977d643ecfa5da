import type { Registry } from '../registry/index.ts';
import type { ControlResource } from './authorization/index.ts';

/** An agent as policies of the control API see it; undefined where there is none of this name. */
export function aboutAgent(registry: Pick<Registry, 'snapshot'>, name: string): ControlResource | undefined {
  const { agents, environments } = registry.snapshot();
  const agent = agents.get(name);
  if (!agent) return undefined;
  const { owner, environment, risk } = agent.manifest;
  const production = environments.get(environment)?.production ?? true;
  return { type: 'Agent', name, owner, environment, production, risk };
}

/** The same for what an agent has left behind: of one that is declared no more, it is nobody's own. */
export const aboutFormerAgent = (registry: Pick<Registry, 'snapshot'>, name: string): ControlResource =>
  aboutAgent(registry, name) ?? { type: 'Agent', name, owner: '', environment: '', production: true, risk: 'high' };
