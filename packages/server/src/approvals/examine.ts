import { GatehouseError } from '../platform/index.ts';
import type { Database, DatabaseTransaction } from '../storage/index.ts';
import { type Asked, inconsistent, notOpen, read, requireState } from './asked.ts';
import { readDeputies } from './deputyship.ts';
import { subjectOf } from './rows.ts';
import type { Circle } from './rule/circle.ts';
import type { ApprovalsDependencies } from './types.ts';
import { ANSWERS_PER_APPROVAL, rowProblem } from './votes.ts';
import { inPlaceOf, requireApprover } from './who-may.ts';

export type Examination = ReturnType<typeof createExamination>;

/** What must hold for an answer, read from the database. */
export function createExamination({
  registry,
  people,
  sealer,
  clock,
  publicUrl,
}: Pick<ApprovalsDependencies, 'registry' | 'people' | 'sealer' | 'clock' | 'publicUrl'>) {
  const { origin } = new URL(publicUrl);
  const circleIn = async (database: Database | DatabaseTransaction): Promise<Circle> => ({
    snapshot: registry.snapshot(),
    deputies: await readDeputies(database, clock.now(), sealer),
  });

  /** Everything that must hold for a yes but the passkey. Asked before the passkey is, and again in the transaction. */
  async function examine(
    database: Database | DatabaseTransaction,
    id: string,
    person: string,
    through?: { channel: string; who: string },
  ): Promise<Asked> {
    const asked = await read(database, id);
    const { row, votes, approval, agent, question } = asked;
    const circle = await circleIn(database);
    if (question.wants(person) || row.state === 'pending')
      requireApprover(person, approval, question, circle, clock.now(), through);
    requireState(row, ['pending'], clock);
    const subject = subjectOf(row);
    if (!subject || (await rowProblem(row, votes, { origin, sealer, people })) !== null) throw inconsistent();
    if (agent?.state !== 'active' || agent.epoch !== subject.agentEpoch) {
      throw new GatehouseError(
        'conflict',
        'approval.agent-changed',
        `The agent ${row.agent} has been stopped or changed since it asked. If it is still wanted, let it ask again.`,
      );
    }
    const task = await database
      .selectFrom('tasks')
      .select(['state', 'suspended'])
      .where('id', '=', row.task)
      .executeTakeFirst();
    if (task?.state !== 'active') {
      throw new GatehouseError('conflict', 'approval.task-ended', 'The task that asked for this has ended.');
    }
    if (task.suspended !== null)
      throw new GatehouseError(
        'conflict',
        'approval.task-suspended',
        'The task that asked for this is suspended. Look at it first, and let it go on if it should.',
      );
    return asked;
  }

  /** The number of the next answer. The row is held to the end of the transaction, so that answers on two replicas come one after the other. */
  async function nextAnswer(transaction: DatabaseTransaction, id: string, states: string[]): Promise<number> {
    const held = await transaction
      .updateTable('approvals')
      .set(({ eb }) => ({ answers: eb('answers', '+', 1) }))
      .where('id', '=', id)
      .where('state', 'in', states)
      .where('expires_at', '>', clock.now())
      .returning('answers')
      .executeTakeFirst();
    if (!held) throw notOpen((await read(transaction, id)).row, clock);
    if (held.answers > ANSWERS_PER_APPROVAL)
      throw new GatehouseError(
        'too-many',
        'approval.too-many-answers',
        `There are ${ANSWERS_PER_APPROVAL} answers to this already. Let the agent ask again.`,
      );
    return held.answers;
  }

  /**
   * Also not by the passkey of somebody whose yes there is already: two yeses are two people's. Nor, in another's place, by one of whoever
   * has put them there.
   */
  async function requireOwnHand(
    transaction: DatabaseTransaction,
    { approval, question }: Pick<Asked, 'approval' | 'question'>,
    { through, ...of }: { person: string; passkey?: string; through?: { channel: string; who: string } },
  ): Promise<void> {
    const hands = new Set(approval.votes.filter(({ answer }) => answer === 'yes').map((vote) => vote.person));
    const circle = await circleIn(transaction);
    for (const { madeBy } of inPlaceOf(of.person, approval, question, circle, clock.now(), through)) hands.add(madeBy);
    hands.delete(of.person);
    await people.requireSecondPerson(transaction, {
      ...of,
      wants: (email) => question.wants(email) || hands.has(email),
    });
  }

  return { circleIn, examine, nextAnswer, requireOwnHand };
}
