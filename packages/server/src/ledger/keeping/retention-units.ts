import type { ActionRecord, KeepingScope } from '@gatehouse/protocol';
import { leafHash, sameBytes } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import type { Database, DatabaseTransaction, Tables } from '../../storage/index.ts';
import type { RetentionRules } from './retention-rules.ts';
import { scopeFits } from './scope.ts';
import { type Unsent, unsentOf } from './unsent.ts';
import { recordOf } from './walk.ts';

const DAY_MS = 86_400_000;
/** Approvals that may still let something run. */
const OPEN_APPROVALS = ['pending', 'approved'];
/** Actions that ask again and again are one, with the one that ran. */
const LINKS_FOLLOWED = 5;

type Row = Pick<Tables['records'], 'log' | 'sequence' | 'leaf_hash' | 'at' | 'action_id' | 'entry'>;

/** An action with what was asked for it and what it ran with: it goes whole, or stays whole, so that what stays can be proven. */
export interface Unit {
  actions: Set<string>;
  approvals: string[];
  rows: (Row & { record: ActionRecord | null })[];
  /**
   * `goes`; `young`: not all of it is old enough; `held` by a hold; `needed` by something that is not over or is kept for ever; `unsent`: a
   * receiver has not all of it yet.
   */
  verdict: 'goes' | 'young' | 'held' | 'needed' | 'unsent';
  /** By which it goes. */
  days: number;
  classes: string[];
  /** Copies that are published stay as they are. */
  leavesPublished: boolean;
}

type On = Database | DatabaseTransaction;

export async function unitsOf(
  on: On,
  rules: RetentionRules,
  actionIds: readonly string[],
  now: number,
): Promise<Unit[]> {
  if (actionIds.length === 0) return [];
  const { actions, approvals } = await linked(on, actionIds);
  const rows = await on
    .selectFrom('records')
    .select(['log', 'sequence', 'leaf_hash', 'at', 'action_id', 'entry'])
    .where('action_id', 'in', [...actions.keys()])
    .orderBy('log')
    .orderBy('sequence')
    .execute();
  const units = new Map<number, Unit>();
  const unitOf = (action: string): Unit => {
    const number = actions.get(action) ?? -1;
    const unit = units.get(number) ?? {
      ...{ actions: new Set<string>(), approvals: [], rows: [], verdict: 'goes' as const, days: 0, classes: [] },
      leavesPublished: false,
    };
    units.set(number, unit);
    unit.actions.add(action);
    return unit;
  };
  // Text that is not what was hashed could say anything of its age: it stays for the verification of the log to find.
  const recordIn = (row: Row) =>
    sameBytes(leafHash(Buffer.from(row.entry), nodeSha256), row.leaf_hash) ? recordOf(row.entry) : null;
  for (const row of rows) unitOf(row.action_id).rows.push({ ...row, record: recordIn(row) });
  for (const { id, action_id } of approvals) unitOf(action_id).approvals.push(id);
  const holds = [...rules.holds, ...(await openScopes(on))];
  const needed = await neededOf(on, [...actions.keys()], approvals);
  const unsent = await unsentOf(on);
  for (const unit of units.values()) unit.verdict = judge(unit, { rules, holds, needed, unsent, now });
  return [...units.values()];
}

interface Around {
  rules: RetentionRules;
  holds: KeepingScope[];
  needed: Set<string>;
  unsent: Unsent;
  now: number;
}

function judge(unit: Unit, { rules, holds, needed, unsent, now }: Around): Unit['verdict'] {
  const classes = new Set<string>();
  let counted = 0;
  for (const { record } of unit.rows) {
    if (!record) return 'needed';
    const kept = rules.recordKept(record);
    if (!kept) continue;
    counted++;
    if (kept.days === Number.POSITIVE_INFINITY) return 'needed';
    // The time that was signed, and not the column beside it.
    if (!(Date.parse(record.time) < now - kept.days * DAY_MS)) return 'young';
    unit.days = Math.max(unit.days, kept.days);
    for (const { name, published } of kept.by) {
      classes.add(name);
      unit.leavesPublished ||= published === 'leave';
    }
  }
  unit.classes = [...classes].sort();
  if (counted === 0 || [...unit.actions, ...unit.approvals].some((id) => needed.has(id))) return 'needed';
  const isHeld = unit.rows.some(({ record }) => record && holds.some((scope) => scopeFits(scope, record)));
  if (isHeld) return 'held';
  const isUnsent = unit.rows.some(({ log, sequence, record }) => {
    const at = Date.parse(record?.time ?? '');
    return unsent(log, sequence, at).length > 0;
  });
  return isUnsent ? 'unsent' : 'goes';
}

const openScopes = async (on: On): Promise<KeepingScope[]> =>
  (await on.selectFrom('holds').select('scope').where('ended_at', 'is', null).execute()).map(
    ({ scope }) => JSON.parse(scope) as KeepingScope,
  );

interface Asked {
  id: string;
  action_id: string;
  consumed_by: string | null;
  state: string;
}

/** Which actions belong together, each with the number of what it belongs to: one was asked for, the other ran with that yes. */
async function linked(
  on: On,
  actionIds: readonly string[],
): Promise<{ actions: Map<string, number>; approvals: Asked[] }> {
  const actions = new Map([...new Set(actionIds)].map((id, at) => [id, at]));
  const approvals = new Map<string, Asked>();
  let fresh = [...actions.keys()];
  for (let round = 0; fresh.length > 0 && round < LINKS_FOLLOWED; round++) {
    const asked = await on
      .selectFrom('approvals')
      .select(['id', 'action_id', 'consumed_by', 'state'])
      .where(({ or, eb }) => or([eb('action_id', 'in', fresh), eb('consumed_by', 'in', fresh)]))
      .execute();
    fresh = [];
    for (const each of asked) {
      approvals.set(each.id, each);
      const ids = each.consumed_by === null ? [each.action_id] : [each.action_id, each.consumed_by];
      const numbers = ids.map((id) => actions.get(id)).filter((number) => number !== undefined);
      const number = Math.min(...numbers);
      for (const id of ids) if (!actions.has(id)) fresh.push(id);
      for (const id of ids) actions.set(id, number);
      for (const [id, other] of actions) if (numbers.includes(other)) actions.set(id, number);
    }
  }
  return { actions, approvals: [...approvals.values()] };
}

/** What is not over: calls of which nobody knows what came of them, approvals that are open, and those that a standing grant rests on. */
async function neededOf(on: On, actionIds: string[], approvals: Asked[]): Promise<Set<string>> {
  const unknown = await on
    .selectFrom('open_calls')
    .select('action_id')
    .where('action_id', 'in', actionIds)
    .where('resolution', 'is', null)
    .execute();
  const ids = approvals.map(({ id }) => id);
  const grants =
    ids.length === 0
      ? []
      : await on.selectFrom('standing_grants').select('approval').where('approval', 'in', ids).execute();
  return new Set([
    ...unknown.map(({ action_id }) => action_id),
    ...grants.map(({ approval }) => approval),
    ...approvals.filter(({ state }) => OPEN_APPROVALS.includes(state)).map(({ id }) => id),
  ]);
}
