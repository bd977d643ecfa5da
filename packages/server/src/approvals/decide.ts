import type { EndorsedValue, GrantRequest, GrantTerms } from '@gatehouse/protocol';
import { digestJson, GatehouseError, type Json } from '../platform/index.ts';
import { notOpen, read, requireState, rowOf } from './asked.ts';
import { sealYes } from './channel-yes.ts';
import type { UseUp } from './channels/answers.ts';
import { wasShown } from './channels/told.ts';
import type { Answer } from './channels/types.ts';
import { requireHeld } from './endorse.ts';
import { createExamination } from './examine.ts';
import type { StandingGrants } from './grants/index.ts';
import { actor, createMoves, OPERATOR } from './moves.ts';
import type { VoteRow } from './rows.ts';
import { approvalChallenge } from './subject.ts';
import type { ApprovalsDependencies } from './types.ts';
import { rowProblem } from './votes.ts';
import { noesToEnd, requireDenier } from './who-may.ts';
import { createYes, grantableOf } from './yes.ts';

const REASON_CHARS = 500;

/** The moves that people make: yes and no. */
export function createDecisions(
  dependencies: ApprovalsDependencies & { grants: Pick<StandingGrants, 'termsFor' | 'give'> },
) {
  const { grants, storage, people, clock, publicUrl, sealer } = dependencies;
  const { origin } = new URL(publicUrl);
  const { recordMove, recorded, recordRefusal } = createMoves(dependencies);
  const examination = createExamination(dependencies);
  const { circleIn, examine, nextAnswer, requireOwnHand } = examination;
  const { yesWithin, give, seal } = createYes({ ...dependencies, ...examination, recordMove });

  return {
    recordMove,
    examine,
    yesWithin,
    recordRefusal,

    async approvalOptions(id: string, person: string, endorse: readonly EndorsedValue[] = []): Promise<Json> {
      const { row, approval } = await examine(storage.db, id, person);
      requireHeld(approval.origins, endorse);
      return people.assertionOptions(person, approvalChallenge(row.id, row.digest, { endorse }));
    },

    async grantOptions(id: string, person: string, request: GrantRequest, endorse: readonly EndorsedValue[] = []) {
      const { row, approval } = await examine(storage.db, id, person);
      requireHeld(approval.origins, endorse);
      const grant = grants.termsFor({ ...(await grantableOf(storage.db, row)), person }, request);
      const challenge = approvalChallenge(row.id, row.digest, { endorse, grant });
      return { options: await people.assertionOptions(person, challenge), terms: grant };
    },

    approve: (
      id: string,
      person: string,
      assertion: Json,
      endorse: readonly EndorsedValue[] = [],
      grant: GrantTerms | undefined = undefined,
    ) =>
      recorded('approval.approve', id, person, async () => {
        const shown = await examine(storage.db, id, person);
        requireHeld(shown.approval.origins, endorse);
        const challenge = approvalChallenge(id, shown.row.digest, { endorse, grant });
        const verified = await people.verifyAssertion(person, challenge, assertion);
        return storage.transaction(async (transaction) => {
          await people.useAssertion(transaction, verified);
          return yesWithin(transaction, { id, digest: shown.row.digest, person, verified, endorse, grant });
        });
      }),

    approveThrough: (
      id: string,
      person: string,
      channel: string,
      { digest, who, evidence, at: saidAt }: Answer,
      useUp?: UseUp,
    ) =>
      recorded('approval.approve', id, person, () =>
        storage.transaction(async (transaction) => {
          await useUp?.(transaction);
          const number = await nextAnswer(transaction, id, ['pending']);
          const asked = await examine(transaction, id, person, { channel, who });
          await requireOwnHand(transaction, asked, { person, through: { channel, who } });
          if (!(await wasShown(transaction, { approval: id, digest: asked.row.digest, channel, person }, sealer)))
            throw new GatehouseError(
              'forbidden',
              'approval.not-seen',
              `${channel} did not show all of this action before (it is long, holds a credential, or shows a code alone). Open its page and approve it with a passkey.`,
            );
          if (digest !== undefined && digest !== asked.row.digest)
            throw new GatehouseError(
              'conflict',
              'approval.other-digest',
              'What was seen in the channel is another action than the one that waits here.',
            );
          // A yes lasts from when it was said. Nothing is said before it is asked, or in time to come.
          const now = clock.now();
          const at = Math.min(now, Math.max(asked.approval.createdAt, saidAt ?? now));
          const said = { approval: id, digest: asked.row.digest, person, channel, who, at };
          const assertion = sealYes({ ...said, verified: evidence }, sealer);
          const changes = [`said in channel ${channel} by ${who.slice(0, 100)}`, `evidence ${digestJson(evidence)}`];
          return give(transaction, { asked, number, person, assertion, at, changes });
        }),
      ),

    deny: (id: string, person: string, reason: string, channel?: string, useUp?: UseUp) =>
      recorded('approval.deny', id, person, () =>
        storage.transaction(async (transaction) => {
          await useUp?.(transaction);
          const { row, approval, question } = await read(transaction, id);
          const circle = await circleIn(transaction);
          const { endsAlone } =
            person === OPERATOR
              ? { endsAlone: true }
              : requireDenier(circle.snapshot.people.get(person), approval, question, circle, clock.now());
          requireState(row, ['pending', 'approved'], clock);
          const number = await nextAnswer(transaction, id, ['pending', 'approved']);
          const now = clock.now();
          const words = reason.slice(0, REASON_CHARS) || null;
          const through = channel === undefined ? [] : [`through channel ${channel}`];
          const vote: VoteRow = { approval: id, number, person, answer: 'no', at: now, assertion: null, reason: words };
          const held = await read(transaction, id);
          await transaction.insertInto('approval_votes').values(vote).execute();
          const all = [...held.votes, vote];
          const noes = new Set(all.filter(({ answer }) => answer === 'no').map((each) => each.person));
          // What is approved already ends with one: the call could be made at any moment.
          if (!endsAlone && held.row.state === 'pending' && noes.size < noesToEnd(approval)) {
            // What was changed by hand is not made good by a no.
            const problem = await rowProblem(held.row, held.votes, { origin, sealer, people });
            if (problem === null) await seal(transaction, held.row, all);
            await recordMove(transaction, row, 'approval.vote', actor(person), {
              changes: ['no', ...through],
              ...(words !== null && { detail: words }),
            });
            return { row: (await rowOf(transaction, id)) ?? row, votes: all };
          }
          const denied = await transaction
            .updateTable('approvals')
            .set({ state: 'denied', decided_at: now, decided_by: person, reason: words, seal: null })
            .where('id', '=', id)
            .where('state', 'in', ['pending', 'approved'])
            .returningAll()
            .executeTakeFirst();
          if (!denied) throw notOpen(row, clock);
          await recordMove(transaction, denied, 'approval.deny', actor(person), {
            ...(denied.reason !== null && { detail: denied.reason }),
            changes: through,
          });
          return { row: denied, votes: all };
        }),
      ),
  };
}
