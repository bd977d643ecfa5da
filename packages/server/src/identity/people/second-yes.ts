import { createHash } from 'node:crypto';
import { SECOND_YES, type SecondYesEvidence, type SecondYesStatement, secondYesSigned } from '@gatehouse/protocol';
import { type Clock, canonicalJson, digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import { type DatabaseTransaction, rowSealProblem, type Sealer, type Storage, sealRow } from '../../storage/index.ts';
import { issueChallenge, takeChallenge } from './challenges.ts';
import type { PasskeyVerification } from './types.ts';

const asJson = (of: object) => of as unknown as Json;

export interface SecondYesAnswer {
  nonce: string;
  assertion: Json;
}

/**
 * What one person asks for and another agrees to with a passkey, which signs exactly what is agreed to. One place for all acts: whoever does one
 * says what it is, and counts the yes in the transaction that does it.
 */
export interface SecondYeses {
  /** WebAuthn request options over this statement, once. Throws `second-yes.own` for whoever asked, `passkey.none`. */
  options(person: string, statement: SecondYesStatement): Promise<{ nonce: string; options: Json }>;
  /** Throws `passkey.not-verified` where the passkey has signed anything else. */
  said(person: string, statement: SecondYesStatement, answer: SecondYesAnswer): Promise<SecondYes>;
}

export interface SecondYes {
  /** `person:EMAIL` */
  by: string;
  /**
   * Uses it up for what is about to be done. Gives the line for its record. Throws where it was said to something else (`second-yes.changed`), was
   * used (`second-yes.used`), or is no second person's (`second-yes.own`, `passkey.no-second-person`). `agreedBy`: who has agreed to it before,
   * where it takes more than one: they want it as whoever asked does.
   */
  to(transaction: DatabaseTransaction, statement: SecondYesStatement, agreedBy?: readonly string[]): Promise<string>;
}

export function createSecondYeses({
  storage,
  clock,
  people,
}: {
  storage: Pick<Storage, 'transaction'>;
  clock: Clock;
  people: PasskeyVerification;
}): SecondYeses {
  return {
    async options(person, statement) {
      requireOther(statement, person);
      const purpose = purposeOf(statement);
      const nonce = await storage.transaction(async (transaction) => {
        // The newest one only: whoever asks again and again has one.
        await transaction
          .deleteFrom('webauthn_challenges')
          .where('purpose', '=', purpose)
          .where('person', '=', person)
          .execute();
        return issueChallenge(transaction, clock, { purpose, person });
      });
      const text = Buffer.from(nonce).toString('base64url');
      return { nonce: text, options: await people.assertionOptions(person, challengeOf(statement, text)) };
    },

    async said(person, statement, { nonce, assertion }) {
      requireOther(statement, person);
      const verified = await people.verifyAssertion(person, challengeOf(statement, nonce), assertion);
      const { passkey, publicKey, rpId, origin, response } = verified;
      const signed = digestJson(asJson(statement));
      return {
        by: `person:${person}`,
        async to(transaction, now, agreedBy = []) {
          if (digestJson(asJson(now)) !== signed)
            throw new GatehouseError(
              'conflict',
              'second-yes.changed',
              'This is not what was shown to you. Look at it again, then answer.',
            );
          const challenge = { challenge: nonce, purpose: purposeOf(statement), person };
          if ((await takeChallenge(transaction, clock, challenge)) === undefined)
            throw new GatehouseError(
              'conflict',
              'second-yes.used',
              'This answer was used before, or is older than five minutes. Start again.',
            );
          await people.useAssertion(transaction, verified);
          const wants = (email: string) => [statement.askedBy, ...agreedBy].includes(`person:${email}`);
          await people.requireSecondPerson(transaction, { person, passkey, wants });
          const evidence = { v: 1, statement, nonce, person, passkey, publicKey, rpId, origin, response };
          return `${SECOND_YES}${canonicalJson(asJson(evidence satisfies Record<keyof SecondYesEvidence, unknown>))}`;
        },
      };
    },
  };
}

const purposeOf = ({ act, id }: SecondYesStatement) => `second-yes:${act}:${id}`;

const challengeOf = (statement: SecondYesStatement, nonce: string): Uint8Array =>
  createHash('sha256')
    .update(canonicalJson(asJson(secondYesSigned(statement, nonce))))
    .digest();

export function requireOther({ askedBy }: SecondYesStatement, person: string): void {
  if (askedBy !== `person:${person}`) return;
  throw new GatehouseError('forbidden', 'second-yes.own', 'Whoever asked can’t agree: somebody else has to.');
}

/** Over all that is asked for, and by whom: who writes to the database asks in nobody's name. */
export const sealAsked = (sealer: Sealer, statement: SecondYesStatement): Uint8Array =>
  sealRow(sealer, statement.act, statement.id, asJson(statement));

export function requireAsAsked(sealer: Sealer, statement: SecondYesStatement, seal: Uint8Array | null): void {
  if (rowSealProblem(sealer, statement.act, statement.id, asJson(statement), seal) === null) return;
  throw new GatehouseError(
    'conflict',
    'second-yes.not-as-asked',
    'This is not as it was asked for: it has changed since, or somebody has changed it in the database. Ask for it again.',
  );
}
