import type { VerifiedAssertion } from '../../identity/index.ts';
import { canonicalJson, digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import { applyWorkspace } from '../apply-workspace.ts';
import { type Deciders, decidersOf } from './deciders.ts';
import {
  keyOfChange,
  type ProposalRow,
  proposalChallenge,
  proposalDigest,
  readProposal,
  recordProposal,
  shownChanges,
  shownOf,
  stateOf,
  withoutValues,
  workOf,
} from './proposal-rows.ts';
import type { PolicyChanges, PolicyChangesDependencies } from './types.ts';
import { agreedBefore, isAlone, isFirstOfTwo, notOpen, whyNotShip } from './who-ships.ts';

/** The yes and the no to a proposal. Law 4: a yes is a person's who has not written it, by a passkey that nobody else can have. */
export function createShipping(deps: PolicyChangesDependencies): Pick<PolicyChanges, 'options' | 'ship' | 'reject'> {
  const { registry, storage, people, recordChange, clock } = deps;

  /** All that must hold for a yes but the passkey. Asked before the passkey is, and again in the transaction. */
  async function examine(db: Database | DatabaseTransaction, number: number, person: string, digest: string) {
    const row = await readProposal(db, number);
    const deciders = await decidersOf(db, clock.now());
    const why = whyNotShip(row, await stateOf(db, row, clock.now()), person, deciders);
    if (why) throw why;
    if (digest !== row.digest || proposalDigest(row) !== row.digest)
      throw new GatehouseError(
        'conflict',
        'proposal.changed',
        'This is not what was shown to you. Look at it again, then answer.',
      );
    return { row, deciders };
  }

  /** Law 4, for the passkey that answered. */
  async function use(
    transaction: DatabaseTransaction,
    { row, deciders }: { row: ProposalRow; deciders: Deciders },
    verified: VerifiedAssertion,
  ): Promise<void> {
    const { person, passkey } = verified;
    await requireOlderPasskey(transaction, passkey, row);
    const agreed = agreedBefore(row, deciders);
    const wants = (email: string) => row.author === `person:${email}` || agreed === email;
    await people.requireSecondPerson(transaction, { person, passkey, wants });
    await people.useAssertion(transaction, verified);
  }

  async function agree(number: number, person: string, digest: string, verified: VerifiedAssertion): Promise<void> {
    const evidence = evidenceOf(number, digest, verified);
    await storage.transaction(async (transaction) => {
      const examined = await examine(transaction, number, person, digest);
      await use(transaction, examined, verified);
      const kept = await transaction
        .updateTable('policy_proposals')
        .set({ agreed_by: `person:${person}`, agreed_assertion: canonicalJson(evidence) })
        .where('number', '=', number)
        .where('state', '=', 'open')
        .where('digest', '=', digest)
        .where((where) =>
          where.or([where('agreed_by', 'is', null), where('agreed_by', '=', examined.row.agreed_by ?? '')]),
        )
        .returning('number')
        .executeTakeFirst();
      if (!kept) throw notOpen(number, 'decided');
      await recordProposal(recordChange, transaction, examined.row, 'agree', `person:${person}`, [
        `assertion ${digestJson(evidence)}`,
        `passkey ${verified.passkey.slice(0, 12)}`,
        "the first of two: the host's token says nothing about who wrote it",
      ]);
    });
  }

  return {
    async options(number, person, digest) {
      await examine(storage.db, number, person, digest);
      return people.assertionOptions(person, proposalChallenge(number, digest));
    },

    async ship(number, person, { digest, assertion }, describe) {
      const { row, deciders } = await examine(storage.db, number, person, digest);
      const verified = await people.verifyAssertion(person, proposalChallenge(number, digest), assertion);
      if (isFirstOfTwo(row, person, deciders)) return agree(number, person, digest, verified);
      const { manifests, prune, remove, rollbackTo } = workOf(row);
      const expected = new Set(shownOf(row).changes.map(keyOfChange));
      const evidence = evidenceOf(number, digest, verified);
      await applyWorkspace({ registry, describe }, manifests, {
        prune,
        remove,
        by: row.author,
        version: {
          approvedBy: `person:${person}`,
          proposal: number,
          ...(row.note && { note: row.note }),
          ...(rollbackTo !== null && { rollbackTo }),
        },
        async first(transaction) {
          const examined = await examine(transaction, number, person, digest);
          if (isFirstOfTwo(examined.row, person, examined.deciders)) throw notOpen(number, 'decided');
          await use(transaction, examined, verified);
          await move(transaction, examined.row, {
            state: 'shipped',
            decided_by: `person:${person}`,
            assertion: canonicalJson(evidence),
          });
          const agreed = agreedBefore(examined.row, examined.deciders);
          await recordProposal(recordChange, transaction, examined.row, 'ship', `person:${person}`, [
            `assertion ${digestJson(evidence)}`,
            `passkey ${verified.passkey.slice(0, 12)}`,
            ...(agreed === null ? [] : [`${agreed} said yes before`]),
            ...(isAlone(examined.row, person, examined.deciders)
              ? ['alone: nobody else has or lately had the role and a passkey']
              : []),
          ]);
        },
        async consider(steps) {
          const changes = shownChanges(steps).map(keyOfChange);
          if (changes.length !== expected.size || changes.some((key) => !expected.has(key)))
            throw new GatehouseError(
              'conflict',
              'proposal.stale',
              'The workspace has changed since, so that this would do something else than was shown. Apply it again, for a new proposal.',
            );
        },
      });
    },

    async reject(number, by, reason) {
      await storage.transaction(async (transaction) => {
        const row = await readProposal(transaction, number);
        if (row.state !== 'open') throw notOpen(number, row.state);
        await move(transaction, row, { state: 'rejected', decided_by: by, reason: reason || null });
        const what = row.author === by ? 'withdraw' : 'reject';
        await recordProposal(recordChange, transaction, row, what, by, reason ? [reason] : []);
      });
    },
  };

  async function move(
    transaction: DatabaseTransaction,
    row: ProposalRow,
    to: { state: string; decided_by: string; reason?: string | null; assertion?: string },
  ): Promise<void> {
    const { manifests, ...work } = workOf(row);
    const moved = await transaction
      .updateTable('policy_proposals')
      .set({
        ...to,
        decided_at: clock.now(),
        change: canonicalJson({ ...work, manifests: withoutValues(manifests) } as unknown as Json),
      })
      .where('number', '=', row.number)
      .where('state', '=', 'open')
      .where('digest', '=', row.digest)
      .returning('number')
      .executeTakeFirst();
    if (!moved) throw notOpen(row.number, 'decided');
  }
}

const evidenceOf = (number: number, digest: string, verified: VerifiedAssertion): Json =>
  ({
    v: 1,
    proposal: number,
    digest,
    person: verified.person,
    passkey: verified.passkey,
    publicKey: verified.publicKey,
    rpId: verified.rpId,
    origin: verified.origin,
    response: verified.response,
  }) satisfies Json;

/** Somebody who was given a passkey for the occasion is no second person. */
async function requireOlderPasskey(transaction: DatabaseTransaction, id: string, row: ProposalRow): Promise<void> {
  const passkey = await transaction.selectFrom('passkeys').select('created_at').where('id', '=', id).executeTakeFirst();
  if (passkey && passkey.created_at < row.created_at) return;
  throw new GatehouseError(
    'forbidden',
    'proposal.new-passkey',
    'This passkey was enrolled after the change was proposed, so it does not ship it. Use one that is older, or have the change proposed again.',
  );
}
