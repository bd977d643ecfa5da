import type { AgentManifest } from '@gatehouse/protocol';
import type { Clock } from '../platform/index.ts';
import type { Change, Database, DatabaseTransaction } from '../storage/index.ts';
import { thumbprint } from './keys.ts';
import { skeleton } from './look-alikes.ts';
import { type BuiltSnapshot, loadSnapshot, nextSnapshot } from './snapshot.ts';
import { nothingTouched, type Touched, touch } from './touched.ts';
import type { Agent, Snapshot } from './types.ts';

/** Holds the snapshot in force and swaps it for the next one. */
export interface Keeper {
  snapshot(): Snapshot;
  /** Resolves when the snapshot shows at least these changes. */
  refresh(changes: Iterable<Pick<Change, 'topic' | 'key'>>): Promise<void>;
  /** As the feed gives them. What was missed between loading and the feed's start is fetched as well; no changes at all ask for just that. */
  follow(changes: Change[]): Promise<void>;
  /** The snapshot as it will be if this transaction commits now. */
  candidate(transaction: DatabaseTransaction, changes: Iterable<Pick<Change, 'topic' | 'key'>>): Promise<Snapshot>;
  /** The agent whose name looks like this one, itself left out. */
  lookAlikeAgent(name: string): string | undefined;
  keyHolder(keyThumbprint: string): string | undefined;
}

export async function createKeeper(deps: { db: Database; clock: Clock; trustDomain: string }): Promise<Keeper> {
  const { db, trustDomain } = deps;
  let lastSeen = await newestChange(db);
  let current = await loadSnapshot(db, trustDomain, deps.clock.now());
  const names = new Map<string, string>();
  const keyHolders = new Map<string, string>();
  for (const agent of current.agents.values()) index(undefined, agent);

  function index(before: Agent | undefined, after: Agent): void {
    for (const key of before?.manifest.keys ?? []) keyHolders.delete(thumbprint(key));
    for (const key of after.manifest.keys) keyHolders.set(thumbprint(key), after.name);
    names.set(skeleton(after.name), after.name);
  }

  function swap(next: BuiltSnapshot, touched: Touched): void {
    for (const name of touched.agents) {
      const agent = next.agents.get(name);
      if (agent) index(current.agents.get(name), agent);
    }
    current = next;
  }

  // One refresh reads at a time, so that an older read never replaces a newer one; those that come meanwhile share the next.
  let running: Promise<void> = Promise.resolve();
  let waiting: { touched: Touched; done: Promise<void> } | undefined;

  function refresh(changes: Iterable<Pick<Change, 'topic' | 'key'>>): Promise<void> {
    if (!waiting) {
      const touched = nothingTouched();
      const done = running.then(async () => {
        waiting = undefined;
        swap(await nextSnapshot(db, current, touched, trustDomain), touched);
      });
      waiting = { touched, done };
      running = done.catch(() => undefined);
    }
    touch(waiting.touched, changes);
    return waiting.done;
  }

  async function changesBetween(after: number, before: number): Promise<Change[]> {
    let query = db.selectFrom('changes').selectAll().where('sequence', '>', after).orderBy('sequence');
    if (Number.isFinite(before)) query = query.where('sequence', '<', before);
    return (await query.execute()) as Change[];
  }

  return {
    snapshot: () => current,
    refresh,
    async follow(changes) {
      const first = changes[0]?.sequence ?? Number.POSITIVE_INFINITY;
      const missed = first > lastSeen + 1 ? await changesBetween(lastSeen, first) : [];
      await refresh([...missed, ...changes]);
      lastSeen = Math.max(lastSeen, ...[changes.at(-1), missed.at(-1)].map((change) => change?.sequence ?? 0));
    },
    async candidate(transaction, changes) {
      // Other replicas' changes that the feed has not brought yet count as well.
      const others = await transaction
        .selectFrom('changes')
        .select(['topic', 'key'])
        .where('sequence', '>', lastSeen)
        .where('topic', 'in', ['object', 'definition'])
        .execute();
      const touched = touch(nothingTouched(), [...(others as Pick<Change, 'topic' | 'key'>[]), ...changes]);
      return nextSnapshot(transaction, current, touched, trustDomain);
    },
    lookAlikeAgent(name) {
      const other = names.get(skeleton(name));
      return other === name ? undefined : other;
    },
    keyHolder: (keyThumbprint) => keyHolders.get(keyThumbprint),
  };
}

async function newestChange(db: Database): Promise<number> {
  const row = await db
    .selectFrom('changes')
    .select(({ fn }) => fn.max('sequence').as('sequence'))
    .executeTakeFirst();
  return Number(row?.sequence ?? 0);
}

/** The keys that the second list adds to the first, by thumbprint. */
export function newKeys(before: AgentManifest['keys'], after: AgentManifest['keys']): AgentManifest['keys'] {
  const known = new Set(before.map(thumbprint));
  return after.filter((key) => {
    const print = thumbprint(key);
    return !known.has(print) && known.add(print);
  });
}
