import type { Approval } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../identity/index.ts';
import type { Clock } from '../platform/index.ts';
import type { DatabaseTransaction, Sealer, Storage } from '../storage/index.ts';
import { read } from './asked.ts';
import { type ApprovalRow, toApproval } from './rows.ts';
import type { Tell } from './types.ts';
import { rowProblem, sealApproval } from './votes.ts';

/** Approvals that end in one transaction, which everything else that writes waits for. */
const ENDED_AT_ONCE = 100;

export interface SweepDependencies {
  storage: Storage;
  clock: Clock;
  sealer: Sealer;
  people: Pick<PasskeyVerification, 'wasEnrolled'>;
  origin: string;
  recordMove(
    transaction: DatabaseTransaction,
    row: ApprovalRow,
    operation: string,
    by: string,
    more?: { changes: string[] },
  ): Promise<void>;
  tell: Tell | undefined;
  whoMayApprove(approval: Approval): string[];
  /** Approved by people who could not approve it any more. From memory, as all replicas have it. */
  lapsed(): Approval[];
  pending(): Approval[];
}

/**
 * Ends what can no longer be used: what has run out, and what was asked by an agent that does not work any more or in a task that
 * has ended. Any replica may do it; each approval ends once.
 */
export function createSweep({
  storage,
  clock,
  sealer,
  people,
  origin,
  recordMove,
  tell,
  whoMayApprove,
  lapsed,
  pending,
}: SweepDependencies) {
  const open = () =>
    storage.db
      .selectFrom('approvals')
      .select('approvals.id')
      .where('approvals.state', 'in', ['pending', 'approved'])
      .limit(ENDED_AT_ONCE);

  const runOut = () => open().where('approvals.expires_at', '<=', clock.now()).execute();

  const orphaned = () =>
    open()
      .leftJoin('tasks', 'tasks.id', 'approvals.task')
      .leftJoin('agents', 'agents.name', 'approvals.agent')
      .where((where) =>
        where.or([
          where('tasks.state', 'is', null),
          where('tasks.state', '!=', 'active'),
          where('agents.state', 'is', null),
          where('agents.state', '!=', 'active'),
        ]),
      )
      .execute();

  /** From before rows were sealed: nobody can use them, and what still wants to run asks again. */
  const unsealed = () => open().where('approvals.seal', 'is', null).execute();

  async function end(
    due: () => Promise<{ id: string }[]>,
    change: { state: string; decided_at?: number; decided_by?: string },
    operation: string,
  ): Promise<ApprovalRow[]> {
    const all: ApprovalRow[] = [];
    for (let rows = await due(); rows.length > 0; rows = await due()) {
      const ids = rows.map(({ id }) => id);
      const ended = await storage.transaction(async (transaction) => {
        const changed = await transaction
          .updateTable('approvals')
          .set({ ...change, seal: null })
          .where('id', 'in', ids)
          .where('state', 'in', ['pending', 'approved'])
          .returningAll()
          .execute();
        for (const row of changed) await recordMove(transaction, row, operation, 'gatehouse');
        return changed;
      });
      all.push(...ended);
    }
    return all;
  }

  /** The agent asks again, and somebody who may now says yes or no. */
  async function endLapsed(): Promise<ApprovalRow[]> {
    const ids = lapsed().map(({ id }) => id);
    if (ids.length === 0) return [];
    return storage.transaction(async (transaction) => {
      const changed = await transaction
        .updateTable('approvals')
        .set({ state: 'cancelled', decided_at: clock.now(), decided_by: 'gatehouse', seal: null })
        .where('id', 'in', ids.slice(0, ENDED_AT_ONCE))
        .where('state', '=', 'approved')
        .returningAll()
        .execute();
      for (const row of changed) await recordMove(transaction, row, 'approval.lapse', 'gatehouse');
      return changed;
    });
  }

  /** Once for each time that a rule names, by whichever replica comes first. */
  async function escalate(): Promise<ApprovalRow[]> {
    const all: ApprovalRow[] = [];
    for (const approval of pending()) {
      const due = dueSeconds(approval, clock.now());
      if (due <= approval.escalatedSeconds) continue;
      const escalated = await storage.transaction(async (transaction) => {
        const { row: found, votes } = await read(transaction, approval.id);
        if (found.escalated_seconds >= due) return undefined;
        if ((await rowProblem(found, votes, { origin, sealer, people })) !== null) return undefined;
        const row = await transaction
          .updateTable('approvals')
          .set({ escalated_seconds: due, seal: sealApproval(sealer, { ...found, escalated_seconds: due }, votes) })
          .where('id', '=', approval.id)
          .where('state', '=', 'pending')
          .where('escalated_seconds', '=', found.escalated_seconds)
          // Nobody has answered since it was read: an answer seals it too.
          .where('answers', '=', found.answers)
          .where('expires_at', '>', clock.now())
          .returningAll()
          .executeTakeFirst();
        if (!row) return undefined;
        const now = toApproval(row, votes, clock.now());
        const before = whoMayApprove({ ...now, escalatedSeconds: approval.escalatedSeconds });
        const others = whoMayApprove(now).filter((each) => !before.includes(each));
        await recordMove(transaction, row, 'approval.escalate', 'gatehouse', {
          changes: [`after ${due} s`, `to ${others.slice(0, 20).join(', ') || 'nobody more'}`],
        });
        await tell?.onEscalated?.(transaction, now, others);
        return row;
      });
      if (escalated) all.push(escalated);
    }
    return all;
  }

  return async (): Promise<{ expired: ApprovalRow[]; others: ApprovalRow[] }> => {
    const expired = await end(runOut, { state: 'expired' }, 'approval.expire');
    const gone = { state: 'cancelled', decided_at: clock.now(), decided_by: 'gatehouse' };
    const cancelled = await end(orphaned, gone, 'approval.cancel');
    const before = await end(unsealed, gone, 'approval.lapse');
    return { expired, others: [...cancelled, ...before, ...(await endLapsed()), ...(await escalate())] };
  };
}

/** The longest time of escalation that has passed. */
function dueSeconds({ rules, createdAt }: Approval, now: number): number {
  const times = rules.flatMap(({ escalate }) => escalate.map(({ afterSeconds }) => afterSeconds));
  return Math.max(0, ...times.filter((seconds) => createdAt + seconds * 1_000 <= now));
}
