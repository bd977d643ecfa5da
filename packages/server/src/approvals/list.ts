import { type Approval, columnsOf, kindOf } from '@gatehouse/protocol';
import { GatehouseError, type Json, limits } from '../platform/index.ts';
import { undoOf } from '../registry/index.ts';
import type { Database, DatabaseTransaction } from '../storage/index.ts';
import type { createDecisions } from './decide.ts';
import { whyAlone } from './risk.ts';
import type { ApprovalRow, VoteRow } from './rows.ts';
import { type ListedApproval, listChallenge } from './subject.ts';
import type { ApprovalsDependencies } from './types.ts';

/** One gesture over a list of the same kind that its person has looked through: each stays an action of its own, and all or none are approved. */
export function createLists(
  { storage, registry, people }: ApprovalsDependencies,
  decisions: Pick<ReturnType<typeof createDecisions>, 'examine' | 'yesWithin' | 'recordRefusal'>,
) {
  /** Everything that must hold for each of them, and for them together, but the passkey. */
  async function examine(
    database: Database | DatabaseTransaction,
    list: readonly ListedApproval[],
    person: string,
  ): Promise<void> {
    const asked: Approval[] = [];
    for (const { approval: id, digest } of list) {
      const { row, approval } = await decisions.examine(database, id, person);
      if (row.digest !== digest)
        throw new GatehouseError(
          'conflict',
          'approval.changed',
          `${id} is not what was shown. Nothing was approved; load the list again.`,
        );
      requireListable(approval);
      asked.push(approval);
    }
    const columns = columnsOf(asked);
    if (new Set(asked.map(kindOf)).size !== 1 || columns === null || columns.length > limits.approvalListColumns)
      throw new GatehouseError(
        'bad-request',
        'approval.list-mixed',
        `One list holds calls of one tool by one agent under one template, for the same people and intent and by the same rules, which differ in at most ${limits.approvalListColumns} arguments. Approve the others apart.`,
      );
  }

  function requireListable(approval: Approval): void {
    const now = undoOf(registry.snapshot(), approval.tool);
    const why = whyAlone(approval) ?? whyAlone({ ...approval, undo: now });
    if (why !== null)
      throw new GatehouseError('forbidden', 'approval.alone', `${approval.id} is approved alone. ${why}`);
  }

  return {
    async listOptions(list: readonly ListedApproval[], person: string): Promise<Json> {
      const challenge = listChallenge(list);
      await examine(storage.db, list, person);
      return people.assertionOptions(person, challenge);
    },

    async approveList(
      list: readonly ListedApproval[],
      person: string,
      assertion: Json,
    ): Promise<{ row: ApprovalRow; votes: readonly VoteRow[] }[]> {
      const challenge = listChallenge(list);
      try {
        await examine(storage.db, list, person);
        const verified = await people.verifyAssertion(person, challenge, assertion);
        return await storage.transaction(async (transaction) => {
          await people.useAssertion(transaction, verified);
          await examine(transaction, list, person);
          const given = [];
          for (const { approval: id, digest } of list)
            given.push(await decisions.yesWithin(transaction, { id, digest, person, verified, list }));
          return given;
        });
      } catch (error) {
        // Once, with the first of them: the list is refused as a whole.
        await decisions.recordRefusal('approval.approve', list[0]?.approval ?? '', person, error);
        throw error;
      }
    },
  };
}
