import { createHash } from 'node:crypto';
import type { ArgumentRole, EndorsedValue } from '@gatehouse/protocol';
import { type Clock, GatehouseError, newId } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import {
  type DatabaseTransaction,
  type OverBudget,
  parseState,
  rowSealProblem,
  type Sealer,
  type Spend,
  type Storage,
  sealRow,
  usedOf,
} from '../../storage/index.ts';
import { canonical } from './canonical.ts';
import { type Endorsement, holderOfTask } from './held.ts';
import { flowLimits } from './limits.ts';
import { graveEffects } from './roles.ts';

/**
 * The calls that a value is endorsed for with a call of this tool: those of the same server, of tools of the same domain that do the same. Whom
 * mail may be sent to is not thereby whom may be paid, or who may be given access.
 */
export function coveredBy({ server, labels, effects }: RegisteredTool): string {
  const grave = effects.filter((effect) => graveEffects.includes(effect)).sort();
  return `${server}: ${grave.join(', ') || 'read or write'}${labels.domain === null ? '' : ` (${labels.domain})`}`;
}

const COUNTED_AS = 'gatehouse/endorsed';

/** Part of the yes that endorses them: bounded, listed, and known to every replica before the next dispatch of the task. */
export async function keepEndorsed(
  { storage, clock, sealer }: { storage: Storage; clock: Clock; sealer: Sealer },
  transaction: DatabaseTransaction,
  {
    approval,
    task,
    person,
    values,
  }: { approval: string; task: string; person: string; values: readonly EndorsedValue[] },
): Promise<string[]> {
  const now = clock.now();
  const before = await transaction.selectFrom('flow_endorsements').select('id').where('task', '=', task).execute();
  if (before.length + values.length > flowLimits.endorsementsPerTask)
    throw new GatehouseError(
      'too-many',
      'flow.too-many-endorsements',
      `A task has at most ${flowLimits.endorsementsPerTask} endorsed values. Approve this call alone, and let the agent start another task.`,
    );
  const rows = values.map(({ role, value, for: covers = '' }) => {
    const writing = canonical(value, role);
    if (writing === null)
      throw new GatehouseError('bad-request', 'flow.unreadable', `"${value.slice(0, 100)}" can't be read as ${role}.`);
    return { id: newId('edm', now), task, role, value: writing, shown: value, covers, approval, person, at: now };
  });
  const sealed = rows.map((row) => ({ ...row, seal: sealRow(sealer, 'flow_endorsements', row.id, { v: 1, ...row }) }));
  await transaction.insertInto('flow_endorsements').values(sealed).execute();
  await storage.bumpFences(transaction, [`flow:${holderOfTask(task)}`]);
  return rows.map(
    ({ id, role, shown, covers }) => `endorsed ${id} for this task: ${role} ${JSON.stringify(shown)}, for ${covers}`,
  );
}

/** Of these tasks, the oldest first. Nobody endorsed what was written into the database. */
export async function endorsementsOf(
  { storage, sealer }: { storage: Pick<Storage, 'db'>; sealer: Sealer },
  tasks: readonly string[],
): Promise<(Endorsement & { task: string })[]> {
  if (tasks.length === 0) return [];
  const rows = await storage.db
    .selectFrom('flow_endorsements')
    .selectAll()
    .where('task', 'in', tasks)
    .orderBy('id')
    .execute();
  return rows.flatMap(({ seal, ...row }) =>
    rowSealProblem(sealer, 'flow_endorsements', row.id, { v: 1, ...row }, seal) === null
      ? { ...row, role: row.role as ArgumentRole }
      : [],
  );
}

/** Each call that an endorsement covers counts, in the write that dispatches the call. */
export function endorsedSpend(
  used: readonly Endorsement[],
  task: { id: string; startedAt: number; expiresAt: number },
  now: number,
): Spend['counters'] {
  return used.map(({ id, role, shown }) => ({
    counter: counterOf(id),
    budget: COUNTED_AS,
    label: `${role} ${shown}`.slice(0, 200),
    window: { start: task.startedAt, end: task.expiresAt },
    amounts: { count: 1, items: 0, sum: 0 },
    limits: { count: flowLimits.callsPerEndorsement, items: null, sum: null, concurrent: null },
    evenOver: false,
    leaseUntil: now,
  }));
}

/** Calls that each has covered. */
export async function usesOf(
  { db }: Pick<Storage, 'db'>,
  endorsements: readonly Endorsement[],
): Promise<Map<string, number>> {
  if (endorsements.length === 0) return new Map();
  const counters = new Map(endorsements.map(({ id }) => [counterOf(id), id]));
  const rows = await db
    .selectFrom('budget_counters')
    .select(['id', 'state'])
    .where('id', 'in', [...counters.keys()])
    .execute();
  return new Map(rows.map(({ id, state }) => [counters.get(id) as string, usedOf(parseState(state), 'count')]));
}

export const counterOf = (endorsement: string) => createHash('sha256').update(`endorsed ${endorsement}`).digest('hex');

/** The endorsement that has been used as often as it may be. */
export const usedUp = (over: OverBudget, used: readonly Endorsement[]): Endorsement | undefined =>
  over.budget === COUNTED_AS ? used.find(({ id }) => counterOf(id) === over.counter) : undefined;
