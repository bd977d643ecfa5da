import type { Change, Database } from '../../storage/index.ts';
import { leaseLimits } from './limits.ts';
import type { LeaseRow } from './rows.ts';
import { liveStates } from './types.ts';

/** What has changed, as far as it decides what is issued; `leases`: those that are to be judged once more. */
export interface Moved {
  all: boolean;
  agents: Set<string>;
  people: Set<string>;
  servers: Set<string>;
  leases: Set<string>;
}

export const MAY_BE_USED = ['intended', ...liveStates] as const;

export const nothing = (): Moved => ({
  ...{ all: false, agents: new Set(), people: new Set(), servers: new Set(), leases: new Set() },
});

const namesIn = ({ agents, people, servers, leases }: Moved) => agents.size + people.size + servers.size + leases.size;

export const isMoved = (moved: Moved): boolean => moved.all || namesIn(moved) > 0;

export function note(moved: Moved, changes: readonly Change[]): void {
  const more = nothing();
  for (const { topic, key } of changes) {
    if (topic === 'policy' || (topic === 'object' && key.startsWith('Blueprint/'))) more.all = true;
    if (topic === 'agent') more.agents.add(key);
    if (topic === 'definition') more.servers.add(key);
    if (topic === 'object' && key.startsWith('Person/')) more.people.add(key.slice('Person/'.length));
  }
  add(moved, more);
}

export function add(moved: Moved, more: Moved): void {
  for (const kind of ['agents', 'people', 'servers', 'leases'] as const)
    for (const name of more[kind]) moved[kind].add(name);
  // More names than one question takes: then all are looked at.
  moved.all ||= more.all || namesIn(moved) > MOST_NAMES;
}

const MOST_NAMES = 200;

/** Of what may be used, in the order of ids, what that concerns. */
export function concerned(db: Database, moved: Moved, after: string): Promise<LeaseRow[]> {
  const { all, agents, people, servers, leases } = moved;
  let query = db
    .selectFrom('leases')
    .selectAll()
    .where('state', 'in', MAY_BE_USED)
    .where('id', '>', after)
    .orderBy('id')
    .limit(leaseLimits.judgedAtOnce);
  if (!all)
    query = query.where((where) => {
      const either = [];
      if (leases.size > 0) either.push(where('id', 'in', [...leases]));
      if (servers.size > 0)
        either.push(
          where(
            'purpose',
            'in',
            [...servers].map((name) => `server:${name}`),
          ),
        );
      if (agents.size > 0) {
        const actors = where
          .selectFrom('task_actors')
          .select('task_actors.task')
          .where('agent', 'in', [...agents]);
        either.push(where('agent', 'in', [...agents]), where('task', 'in', actors));
      }
      if (people.size > 0) {
        const theirs = where
          .selectFrom('tasks')
          .select('tasks.id')
          .where('user_email', 'in', [...people]);
        either.push(where('task', 'in', theirs));
      }
      return where.or(either);
    });
  return query.execute();
}
