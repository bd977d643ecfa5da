import type { Agent, Snapshot } from './types.ts';

/** Whether `from` may hand its tasks on to `to`: named by the agent or its blueprint, in the same environment, and not itself. */
export function mayHandOn({ blueprints }: Pick<Snapshot, 'blueprints'>, from: Agent, to: Agent): boolean {
  if (from.name === to.name || from.manifest.environment !== to.manifest.environment) return false;
  return [from.manifest.delegatesTo, blueprints.get(from.manifest.blueprint)?.delegatesTo].some(
    (named) => named?.agents.includes(to.name) || named?.blueprints.includes(to.manifest.blueprint),
  );
}
