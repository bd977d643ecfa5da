import type { Relaxation } from '@gatehouse/protocol';
import type { Snapshot, Step } from '../../registry/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import { decidingRoles, wantsSecondPerson } from './relaxations.ts';

/** Who could ship a proposal now: those with a role for it, and a passkey to say so with. */
export async function decidersOf(
  db: Database | DatabaseTransaction,
  { people }: Pick<Snapshot, 'people'>,
): Promise<Set<string>> {
  const enrolled = await db.selectFrom('passkeys').select('person').distinct().execute();
  return new Set(enrolled.map(({ person }) => person).filter((email) => mayDecide(people, email)));
}

export const mayDecide = (people: Snapshot['people'], email: string): boolean =>
  people.get(email)?.roles.some((role) => decidingRoles.includes(role)) ?? false;

/** Whether an environment that a change concerns asks for a second person. What is said of a server's tools concerns where it is offered. */
export function asksForSecondPerson(
  { environments }: Pick<Snapshot, 'environments'>,
  relaxes: readonly Relaxation[],
  steps: readonly Pick<Step, 'change' | 'before' | 'after'>[],
): boolean {
  const asking = [...environments.values()].filter(wantsSecondPerson).map(({ name }) => name);
  return relaxes.some(({ kind, name }) => {
    if (kind !== 'ToolServer') return asking.length > 0;
    const step = steps.find(({ change }) => change.kind === kind && change.name === name);
    const offered = [step?.before, step?.after].flatMap((server) =>
      server?.kind === 'ToolServer' ? server.environments : [],
    );
    return offered.some((environment) => asking.includes(environment));
  });
}
