import type { Log } from '../../platform/index.ts';
import {
  type Database,
  type DatabaseTransaction,
  type RecordChange,
  rowSealProblem,
  type Sealer,
  type Storage,
  sealOnce,
  sealRow,
  type Tables,
} from '../../storage/index.ts';

export type LabelRow = Tables['flow_labels'];

/** The labels of one holder as the database has them, and what is wrong with that. */
export interface Kept {
  holder: string;
  rows: LabelRow[];
  /** How often they were changed. */
  counter: number;
  problem: string | null;
}

/**
 * One seal over all labels of a holder, with the key that the database does not hold: who can write to it takes none away, adds none and gives
 * none another source. What is put back as a whole, seal and counter with it, fits: whoever knows a newer counter (`atLeast`) sees it.
 */
export async function readKept(
  sealer: Sealer,
  database: Database | DatabaseTransaction,
  holders: readonly string[],
  atLeast: (holder: string) => number | undefined,
): Promise<Kept[]> {
  // In one statement, so that nobody changes anything between rows and head.
  const found = await database
    .selectFrom('flow_labels')
    .select((expression) => [
      ...(['holder', 'label', 'tool', 'action_id', 'task', 'at'] as const),
      expression.val<Uint8Array | null>(null).as('seal'),
    ])
    .where('holder', 'in', holders)
    .unionAll(
      database
        .selectFrom('flow_heads')
        .select((expression) => [
          'holder',
          expression.val('').as('label'),
          expression.val('').as('tool'),
          expression.val('').as('action_id'),
          expression.val('').as('task'),
          'counter as at',
          'seal',
        ])
        .where('holder', 'in', holders),
    )
    .execute();
  const all = Map.groupBy(found, ({ holder }) => holder);
  return holders.map((holder) => {
    const of = all.get(holder) ?? [];
    const head = of.find(({ seal }) => seal !== null);
    const rows = of.flatMap(({ seal, ...row }) => (seal === null ? row : []));
    const counter = head?.at ?? 0;
    const newest = atLeast(holder) ?? 0;
    if (!head && rows.length === 0)
      return { holder, rows, counter: newest, problem: newest > 0 ? 'all of it was removed' : null };
    const problem =
      rowSealProblem(sealer, 'flow_heads', holder, toSeal(counter, rows), head?.seal ?? null) ??
      (counter < newest ? 'it was put back to what it was before' : null);
    return { holder, rows, counter: Math.max(counter, newest), problem };
  });
}

/** With the new labels, and before anybody else can read them. */
export async function writeHeads(
  sealer: Sealer,
  transaction: DatabaseTransaction,
  all: readonly { holder: string; rows: readonly LabelRow[]; counter: number }[],
): Promise<void> {
  await transaction
    .insertInto('flow_heads')
    .values(
      all.map(({ holder, rows, counter }) => ({
        holder,
        counter,
        seal: sealRow(sealer, 'flow_heads', holder, toSeal(counter, rows)),
      })),
    )
    .onConflict((conflict) =>
      conflict
        .column('holder')
        .doUpdateSet((set) => ({ counter: set.ref('excluded.counter'), seal: set.ref('excluded.seal') })),
    )
    .execute();
}

/** What was added replaces what stood there. */
export async function writeRows(
  transaction: DatabaseTransaction,
  written: readonly { kept: Kept; added: readonly LabelRow[]; gone: readonly LabelRow[] }[],
): Promise<void> {
  for (const { kept, gone } of written)
    if (gone.length > 0)
      await transaction
        .deleteFrom('flow_labels')
        .where('holder', '=', kept.holder)
        .where(
          'label',
          'in',
          gone.map(({ label }) => label),
        )
        .execute();
  const added = written.flatMap((each) => each.added);
  if (added.length === 0) return;
  await transaction
    .insertInto('flow_labels')
    .values(added)
    .onConflict((conflict) =>
      conflict.columns(['holder', 'label']).doUpdateSet((set) => ({
        tool: set.ref('excluded.tool'),
        action_id: set.ref('excluded.action_id'),
        task: set.ref('excluded.task'),
        at: set.ref('excluded.at'),
      })),
    )
    .execute();
}

const toSeal = (counter: number, rows: readonly LabelRow[]) => ({
  v: 1,
  counter,
  labels: rows
    .map(({ label, tool, action_id, task, at }) => [label, tool, action_id, task, at])
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
});

const HEADS_AT_ONCE = 500;

/** Labels of before there were heads. */
export async function sealLabelsOfBefore({
  sealer,
  ...house
}: {
  storage: Pick<Storage, 'db' | 'transaction'>;
  sealer: Sealer;
  recordChange: RecordChange;
  log: Log;
}): Promise<void> {
  await sealOnce(house, {
    what: 'flow-labels',
    operation: 'flow.seal',
    async seal(transaction) {
      const rows = await transaction.selectFrom('flow_labels').selectAll().execute();
      const all = [...Map.groupBy(rows, ({ holder }) => holder)].map(([holder, own]) => ({
        holder,
        rows: own,
        counter: 1,
      }));
      for (let at = 0; at < all.length; at += HEADS_AT_ONCE)
        await writeHeads(sealer, transaction, all.slice(at, at + HEADS_AT_ONCE));
      const count = (kind: string) => all.filter(({ holder }) => holder.startsWith(`${kind}/`)).length;
      return ['agent', 'task', 'store'].map((kind) => `what was read of ${count(kind)} ${kind}s sealed`);
    },
  });
}
