import { type Clock, GatehouseError, type Log } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { everythingRead } from './changed.ts';
import { endorsementsOf } from './endorsements.ts';
import { type Kept, type LabelRow, readKept, writeHeads, writeRows } from './heads.ts';
import {
  AGENT_MS,
  type HeldLabels,
  holderOfTask,
  isOfAgent,
  isRecent,
  type LabelSource,
  taskOfHolder,
} from './held.ts';
import { flowLimits } from './limits.ts';
import { createLogged, mayBeSwept, RecordBehind, type SearchRecords } from './logged.ts';

export interface Change {
  holder: string;
  labels: readonly string[];
}

type Brought = Omit<LabelSource, 'label' | 'at'>;

export interface Labels {
  /** From memory; undefined when it has to be loaded. */
  known(holder: string): HeldLabels | undefined;
  load(holders: readonly string[]): Promise<void>;
  /**
   * Durable when it resolves. Those of `changes` that are known already cost nothing: then there is nothing to wait for. `more`: what goes with
   * them, if anything is to be written.
   */
  add(
    changes: readonly Change[],
    source: Brought,
    more?: (transaction: DatabaseTransaction) => Promise<Change[]>,
  ): Promise<void> | undefined;
  /** As part of what happens to its holders. */
  write(transaction: DatabaseTransaction, changes: readonly Change[], source: Brought): Promise<void>;
  /** As they are in the database. */
  read(transaction: DatabaseTransaction, holders: readonly string[]): Promise<(LabelSource & { holder: string })[]>;
  /** A dispatch has found that somebody else has added to it. */
  forget(holder: string): void;
}

export interface LabelDependencies {
  storage: Storage;
  clock: Clock;
  sealer: Sealer;
  recordChange: RecordChange;
  log: Log;
  /** Every kind of sensitive data that a result could bring. */
  kinds(): readonly string[];
  ledger: SearchRecords;
}

/**
 * Labels in memory, the most recently used last, over those in the database. INVARIANTS: a version in memory is never newer than the labels
 * that stand beside it, so that a dispatch which finds it unchanged was decided with all that had been seen. Labels in the database that do not
 * fit their seal, or are older than this process has known, are neither believed nor sealed anew: their holder has read everything. So has one
 * whose labels lack what the record says was read; that is looked at behind the first call that a process decides for it.
 */
export function createLabels(deps: LabelDependencies): Labels {
  const { storage, clock, sealer, log } = deps;
  const held = new Map<string, HeldLabels>();
  /** The newest counter of each holder that this process knows. */
  const newest = new Map<string, number>();
  const logged = createLogged(deps);
  /** Those that were compared with the record. */
  const compared = new Map<string, true>();
  /** Those that could not be, as they were loaded, and when they are looked at again. */
  const waiting = new Map<string, { kept: Kept; from: number }>();
  let behindUntil = 0;
  let checking: Promise<void> = Promise.resolve();

  const newestOf = (holder: string) => (mayBeSwept(holder, clock.now()) ? undefined : newest.get(holder));

  async function load(holders: readonly string[], isAgain = false): Promise<void> {
    // Before the labels: what another call of this process adds meanwhile is not in it.
    const known = new Map(holders.map((holder) => [holder, newestOf(holder)]));
    const fences = await storage.db.selectFrom('fences').selectAll().where('key', 'in', holders.map(keyOf)).execute();
    const [kept, endorsed] = await Promise.all([
      readKept(sealer, storage.db, holders, (holder) => known.get(holder)),
      endorsementsOf(
        { storage, sealer },
        holders.flatMap((holder) => taskOfHolder(holder) ?? []),
      ),
    ]);
    if (kept.some(({ problem }) => problem !== null)) {
      if (isAgain) throw changedAgain();
      await storage.transaction((transaction) => write(transaction, nothingMore(holders), NOBODY));
      return load(holders, true);
    }
    know(kept);
    for (const each of kept) if (!compared.has(each.holder)) check(each);
    const versions = new Map(fences.map(({ key, version }) => [key, version]));
    for (const { holder, rows } of kept) {
      const own = rows.map(toSource).filter((label) => isRecent(holder, label, clock.now()));
      keep(held, holder, {
        holder,
        version: versions.get(keyOf(holder)) ?? 0,
        labels: new Map(own.map((each) => [each.label, each])),
        endorsements: endorsed.flatMap(({ task, ...each }) => (holder === holderOfTask(task) ? each : [])),
      });
    }
  }

  /** One after the other, so that those that are looked at after a start hold up nobody. */
  function check(kept: Kept): void {
    keep(compared, kept.holder, true);
    waiting.delete(kept.holder);
    checking = checking
      .then(async () => {
        if (clock.now() < behindUntil) throw new RecordBehind();
        const missing = await logged.missing(kept);
        if (missing.length > 0)
          await storage.transaction((transaction) => write(transaction, nothingMore([kept.holder]), NOBODY, missing));
      })
      .catch((error) => {
        const from = clock.now() + AGAIN_MS;
        compared.delete(kept.holder);
        keep(waiting, kept.holder, { kept, from });
        if (!(error instanceof RecordBehind))
          log.warn('what was read could not be compared with the record', { holder: kept.holder, error });
        // Nor any other until then: it would be looked for in vain.
        else if (clock.now() >= behindUntil) behindUntil = from;
      });
  }

  function know(kept: readonly Kept[]): void {
    for (const { holder, counter } of kept) keep(newest, holder, Math.max(counter, newest.get(holder) ?? 0));
  }

  /**
   * Adds to what is there. Gives what is there then. Where that is not as it was left, everything is added, and that is recorded; with nothing
   * else to add, nothing else is written.
   */
  async function write(
    transaction: DatabaseTransaction,
    changes: readonly Change[],
    source: Brought,
    /** By all of these, as the record says. */
    read: readonly string[] = [],
  ): Promise<Kept[]> {
    const wanted = new Map<string, Set<string>>();
    for (const { holder, labels } of changes) wanted.set(holder, new Set([...(wanted.get(holder) ?? []), ...labels]));
    if (wanted.size === 0) return [];
    const now = clock.now();
    const before = (await readKept(sealer, transaction, [...wanted.keys()], newestOf)).map((each) =>
      logged.doubt(each, read),
    );
    const everything = await everythingRead(
      deps,
      transaction,
      before.filter(({ problem }) => problem !== null),
    );
    const after = before.map((kept) => {
      const { holder } = kept;
      const brought = [...(wanted.get(holder) ?? []), ...(kept.problem === null ? [] : read)];
      const rows = [
        ...brought.map((label): LabelRow => rowOf(holder, label, source, now)),
        ...everything.filter((row) => row.holder === holder),
      ];
      return rows.length === 0 ? { kept, added: [], gone: [] } : withMore(kept, rows, now);
    });
    const written = after.filter(({ added, gone }) => added.length + gone.length > 0);
    if (written.length > 0) {
      await writeRows(transaction, written);
      await writeHeads(
        sealer,
        transaction,
        written.map(({ kept }) => kept),
      );
      const holders = written.map(({ kept }) => kept.holder);
      await storage.bumpFences(transaction, holders.map(keyOf));
      // Read again when it is next asked for: another replica may have added something between.
      for (const holder of holders) held.delete(holder);
    }
    return after.map(({ kept }) => kept);
  }

  return {
    known(holder) {
      const found = held.get(holder);
      const later = waiting.get(holder);
      if (later && clock.now() >= later.from) check(later.kept);
      if (found) {
        held.delete(holder);
        held.set(holder, found);
      }
      return found;
    },

    load: (holders) => load(holders),

    async read(transaction, holders) {
      const kept = await write(transaction, nothingMore(holders), NOBODY);
      return kept.flatMap(({ holder, rows }) =>
        rows.map((row) => ({ holder, ...toSource(row) })).filter((label) => isRecent(holder, label, clock.now())),
      );
    },

    add(changes, source, more) {
      const missing = changes.flatMap(({ holder, labels }) => {
        const own = labels.filter((label) => {
          const known = held.get(holder)?.labels.get(label);
          return !known || !isRecent(holder, known, clock.now(), AGENT_MS / 2);
        });
        return own.length === 0 ? [] : [{ holder, labels: own }];
      });
      if (missing.length === 0) return undefined;
      return (
        storage
          .transaction(async (transaction) =>
            write(transaction, [...missing, ...((await more?.(transaction)) ?? [])], source),
          )
          // Not before: what was undone has never been there.
          .then(know)
      );
    },

    async write(transaction, changes, source) {
      await write(transaction, changes, source);
    },

    forget(holder) {
      held.delete(holder);
    },
  };
}

/** What could not be compared with the record is looked at again by the first call after this. */
const AGAIN_MS = 10_000;
const NOBODY: Brought = { tool: 'gatehouse', actionId: '', task: '' };
const keyOf = (holder: string) => `flow:${holder}`;
const nothingMore = (holders: readonly string[]): Change[] => holders.map((holder) => ({ holder, labels: [] }));

function keep<V>(into: Map<string, V>, holder: string, value: V): void {
  into.delete(holder);
  into.set(holder, value);
  if (into.size <= flowLimits.tasks) return;
  for (const oldest of into.keys()) {
    into.delete(oldest);
    break;
  }
}

const toSource = ({ label, tool, action_id, task, at }: LabelRow): LabelSource => ({
  ...{ label, tool, actionId: action_id, task, at },
});

const rowOf = (holder: string, label: string, { tool, actionId, task }: Brought, at: number): LabelRow => ({
  ...{ holder, label, tool, action_id: actionId, task, at },
});

/** Of a task or a store the first result that brought a label stays; of an agent the last one does, and what counts no more goes. */
function withMore(kept: Kept, more: readonly LabelRow[], now: number) {
  const { holder } = kept;
  const rows = new Map(kept.rows.map((row) => [row.label, row]));
  const gone = kept.rows.filter((row) => !isRecent(holder, row, now));
  for (const { label } of gone) rows.delete(label);
  const added = new Map<string, LabelRow>();
  for (const row of more) {
    if (rows.has(row.label) && !isOfAgent(holder)) continue;
    rows.set(row.label, row);
    added.set(row.label, row);
  }
  // What another call has added already changes nothing, and is no newer state that somebody could have put back.
  if (added.size + gone.length === 0) return { kept, added: [], gone };
  return { kept: { ...kept, rows: [...rows.values()], counter: kept.counter + 1 }, added: [...added.values()], gone };
}

const changedAgain = () =>
  new GatehouseError(
    'unavailable',
    'flow.changed',
    'What this task has read is being changed in the database. Nothing runs for it; tell your security team.',
  );
