import type { AgentManifest } from '@gatehouse/protocol';
import type { Clock } from '../platform/index.ts';
import type { Change, Database, DatabaseTransaction } from '../storage/index.ts';
import { thumbprint } from './keys.ts';
import { skeleton } from './look-alikes.ts';
import { createNameIndex } from './name-index.ts';
import { loadSnapshot, nextSnapshot } from './snapshot.ts';
import { nothingTouched, touch } from './touched.ts';
import type { Agent, Snapshot } from './types.ts';
import type { Workload } from './workloads.ts';

/** Holds the snapshot in force and swaps it for the next one. */
export interface Keeper {
  snapshot(): Snapshot;
  /** Resolves when the snapshot shows everything that was committed before the call. */
  catchUp(): Promise<void>;
  /** As `catchUp`, but only if these changes are not shown yet. */
  follow(changes: Change[]): Promise<void>;
  /** The snapshot as it will be if this transaction commits now. */
  candidate(transaction: DatabaseTransaction, changes: Iterable<Pick<Change, 'topic' | 'key'>>): Promise<Snapshot>;
  /** The agent whose name looks like this one, itself left out. */
  lookAlikeAgent(name: string): string | undefined;
  keyHolder(keyThumbprint: string): string | undefined;
  workload(name: string): Workload | undefined;
  /** Agents of the snapshot by name: the first ones after this name, or of all. */
  agentNames(after: string | undefined, limit: number): string[];
}

/**
 * INVARIANT: no fence of the snapshot is newer than what it guards. The fence `policy` guards many objects at once, so it is read
 * before the feed's tail, and all that the tail names is read after both: whoever raised the fence before it was read stands in the
 * tail. To read only what one change names would show the fence that another change has raised beside what that change replaced.
 */
export async function createKeeper(deps: {
  db: Database;
  clock: Clock;
  trustDomain: string;
  /** Hears of each change before the snapshot shows it. */
  onChanges(changes: readonly Change[]): void;
}): Promise<Keeper> {
  const { db, trustDomain, clock } = deps;
  let applied = await newestChange(db);
  let current = await loadSnapshot(db, trustDomain, clock.now());
  const names = new Map<string, string>();
  const keyHolders = new Map<string, string>();
  const order = createNameIndex();
  for (const agent of current.agents.values()) index(undefined, agent);

  function index(before: Agent | undefined, after: Agent): void {
    for (const key of before?.manifest.keys ?? []) keyHolders.delete(thumbprint(key));
    for (const key of after.manifest.keys) keyHolders.set(thumbprint(key), after.name);
    names.set(skeleton(after.name), after.name);
    if (!before) order.add(after.name);
  }

  async function step(): Promise<void> {
    const policyFence = await readPolicyFence(db);
    const changes = await readTail(db, applied);
    if (changes.length === 0 && current.fences.get('policy') === policyFence) return;
    deps.onChanges(changes);
    const touched = touch(nothingTouched(), changes);
    const next = await nextSnapshot(db, current, touched, { policyFence, trustDomain, now: clock.now() });
    for (const name of touched.agents) {
      const agent = next.agents.get(name);
      if (agent) index(current.agents.get(name), agent);
    }
    current = next;
    applied = changes.at(-1)?.sequence ?? applied;
    // Raised between the two reads, it stands in a tail that has been read: no later change may come and bring it.
    if ((await readPolicyFence(db)) !== policyFence) await step();
  }

  // One step at a time, so that an older read never replaces a newer one; those who come meanwhile share the next.
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  function catchUp(): Promise<void> {
    waiting ??= running.then(() => {
      waiting = undefined;
      const done = step();
      running = done.catch(() => undefined);
      return done;
    });
    return waiting;
  }

  return {
    snapshot: () => current,
    catchUp,
    async follow(changes) {
      const last = changes.at(-1);
      if (last === undefined || last.sequence > applied) await catchUp();
    },
    async candidate(transaction, changes) {
      // Other replicas' changes that this one has not applied yet count as well.
      const policyFence = await readPolicyFence(transaction);
      const others = await readTail(transaction, applied);
      const touched = touch(nothingTouched(), [...others, ...changes]);
      return nextSnapshot(transaction, current, touched, { policyFence, trustDomain, now: clock.now() });
    },
    lookAlikeAgent(name) {
      const other = names.get(skeleton(name));
      return other === name ? undefined : other;
    },
    keyHolder: (keyThumbprint) => keyHolders.get(keyThumbprint),
    workload: (name) => current.workloadLives.get(name),
    agentNames: order.after,
  };
}

async function newestChange(db: Database): Promise<number> {
  const row = await db
    .selectFrom('changes')
    .select(({ fn }) => fn.max('sequence').as('sequence'))
    .executeTakeFirst();
  return Number(row?.sequence ?? 0);
}

async function readPolicyFence(db: Database): Promise<number> {
  const row = await db.selectFrom('fences').select('version').where('key', '=', 'policy').executeTakeFirst();
  return row?.version ?? 0;
}

async function readTail(db: Database, after: number): Promise<Change[]> {
  const rows = await db.selectFrom('changes').selectAll().where('sequence', '>', after).orderBy('sequence').execute();
  return rows as Change[];
}

/** The keys that the second list adds to the first, by thumbprint. */
export function newKeys(before: AgentManifest['keys'], after: AgentManifest['keys']): AgentManifest['keys'] {
  const known = new Set(before.map(thumbprint));
  return after.filter((key) => {
    const print = thumbprint(key);
    return !known.has(print) && known.add(print);
  });
}
