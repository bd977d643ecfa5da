import type { Asking } from '@gatehouse/protocol';
import { type Clock, GatehouseError, limits, newId, newSalt } from '../platform/index.ts';
import type { DatabaseTransaction, Sealer } from '../storage/index.ts';
import { requireQuestion } from './fatigue/questions.ts';
import { policyAuthorsOf } from './policy-authors.ts';
import { type ApprovalRow, newRow, subjectOf } from './rows.ts';
import { sameAction } from './subject.ts';
import type { ApprovalRequest } from './types.ts';
import { sealApproval } from './votes.ts';

/** What one approver can read through, with room to spare; larger things are to be passed by reference. */
const REVIEWABLE_BYTES = 256 * 1024;

/** The approval that this request waits for: the one there is already (`isNew` false), or a new one, not yet recorded. */
export async function openWithin(
  transaction: DatabaseTransaction,
  { clock, sealer }: { clock: Clock; sealer: Sealer },
  given: ApprovalRequest,
  asking: readonly (Asking | undefined)[] = [],
): Promise<{ row: ApprovalRow; isNew: boolean }> {
  const request = { ...given, subject: { argumentsSalt: newSalt(), ...given.subject } };
  const { subject } = request;
  const now = clock.now();
  const agent = await transaction
    .selectFrom('agents')
    .select(['state', 'epoch'])
    .where('name', '=', subject.agent)
    .executeTakeFirst();
  if (agent?.state !== 'active' || agent.epoch !== subject.agentEpoch) {
    throw new GatehouseError(
      'conflict',
      'approval.agent-changed',
      `The agent ${subject.agent} has been stopped or changed since this call was made; nobody can approve it.`,
    );
  }
  const unexpired = transaction
    .selectFrom('approvals')
    .where('agent', '=', subject.agent)
    .where('expires_at', '>', now);
  // No digest that has no salt is kept to find them by.
  const alike = await unexpired
    .selectAll()
    .where('task', '=', subject.task)
    .where('tool', '=', subject.tool)
    .where('state', 'in', ['approved', 'pending'])
    // Those from before rows were sealed are never used: they are asked for again.
    .where('seal', 'is not', null)
    // `approved` sorts first: a yes that another replica has just been given is used before anybody is asked again.
    .orderBy('state')
    .execute();
  const action = sameAction(subject);
  const same = alike.find((row) => {
    const other = subjectOf(row);
    return other !== null && sameAction(other) === action;
  });
  if (same) return { row: same, isNew: false };

  const user = subject.delegated?.user ?? null;
  const requireRoom = async (limit: number, whose: string, query = unexpired) => {
    const pending = await query.select('id').where('state', '=', 'pending').limit(limit).execute();
    if (pending.length >= limit) {
      throw new GatehouseError(
        'too-many',
        'approval.too-many',
        `${limit} actions of ${whose} wait for approval already. Wait until some are decided, or end the task.`,
      );
    }
  };
  await requireRoom(limits.pendingApprovalsPerAgent, subject.agent);
  if (user !== null)
    await requireRoom(
      limits.pendingApprovalsPerUser,
      `${subject.agent} for ${user}`,
      unexpired.where('asked_for', '=', user),
    );
  await requireQuestion(transaction, now, subject, asking);
  const ttls = (subject.rules ?? []).flatMap(({ expiresAfterSeconds }) => expiresAfterSeconds ?? []);
  const expiresAt = now + Math.min(...(ttls.length > 0 ? ttls : [limits.approvalTtlSeconds])) * 1_000;
  const policyAuthors = await policyAuthorsOf(transaction, request);
  const asked = newRow(newId('apr', now), request, { policyAuthors, createdAt: now, expiresAt });
  const row = { ...asked, seal: sealApproval(sealer, asked, []) };
  if (Buffer.byteLength(row.body) > REVIEWABLE_BYTES) {
    throw new GatehouseError(
      'too-large',
      'approval.too-large',
      `Nobody can review arguments of this size (at most ${REVIEWABLE_BYTES} bytes). Pass a reference to the content, or split the action.`,
    );
  }
  await transaction.insertInto('approvals').values(row).execute();
  return { row, isNew: true };
}
