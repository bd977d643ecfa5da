import type { EnvironmentManifest, Relaxation, ToolServerManifest } from '@gatehouse/protocol';
import { decidersIn, type Step } from '../../registry/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import { secondPersonLimits as limits } from './limits.ts';
import { reachesTheSame } from './same-system.ts';
import { wantsSecondPerson } from './verdicts/index.ts';

/** Who could ship a proposal: those with a role for it and a passkey to say so with. */
export interface Deciders {
  now: ReadonlySet<string>;
  /** With those who were until lately, and since when not: whoever has got rid of them is not alone yet. */
  lately: ReadonlyMap<string, number | null>;
}

export async function decidersOf(db: Database | DatabaseTransaction, at: number): Promise<Deciders> {
  const now = await decidersIn(db);
  const former = await db
    .selectFrom('former_deciders')
    .selectAll()
    .where('until', '>', at - limits.formerDecidersMs)
    .execute();
  const lately = new Map<string, number | null>(former.map(({ person, until }) => [person, until]));
  for (const person of now) lately.set(person, null);
  return { now, lately };
}

/**
 * Whether an environment that a change concerns asks for a second person. What is said of a server concerns where it is offered, and what
 * reaches the same system as a server that is offered there: by another name, in another environment, it is the same system.
 */
export function asksForSecondPerson(
  { environments, servers }: { environments: readonly EnvironmentManifest[]; servers: readonly ToolServerManifest[] },
  relaxes: readonly Relaxation[],
  steps: readonly Pick<Step, 'change' | 'before' | 'after'>[],
): boolean {
  const asking = new Set(environments.filter(wantsSecondPerson).map(({ name }) => name));
  if (asking.size === 0) return false;
  const changed = steps.flatMap(({ before, after }) => [before, after].filter((each) => each?.kind === 'ToolServer'));
  const guarded = [...servers, ...changed].filter((server) =>
    server.environments.some((environment) => asking.has(environment)),
  );
  return relaxes.some(({ kind, name }) => {
    if (kind !== 'ToolServer') return true;
    return changed
      .filter((server) => server.name === name)
      .some((server) => guarded.some((other) => other.name === server.name || reachesTheSame(server, other)));
  });
}
