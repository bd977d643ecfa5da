import { generateAuthenticationOptions } from '@simplewebauthn/server';
import { type Clock, GatehouseError, type Json, type Log } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, Sealer, Storage } from '../../storage/index.ts';
import { createEnrolledKeys } from './enrolled-keys.ts';
import { requireSecondPerson } from './independence.ts';
import type { RelyingParty } from './relying-party.ts';
import { requirePasskey, sealedPasskey } from './seals.ts';
import type { PasskeyVerification } from './types.ts';
import { notVerified, parseAssertion, verifyAssertionOf } from './webauthn.ts';

export const CEREMONY_TIMEOUT_MS = 5 * 60_000;

export interface VerificationDependencies {
  storage: Pick<Storage, 'db'>;
  clock: Clock;
  log: Log;
  party: RelyingParty;
  sealer: Sealer;
}

/** Proof by passkey of something that a known person wants, over a challenge that the caller names. */
export function createPasskeyVerification({
  storage,
  clock,
  log,
  party,
  sealer,
}: VerificationDependencies): PasskeyVerification {
  return {
    ...createEnrolledKeys({ storage, sealer }),
    async assertionOptions(person, challenge) {
      const passkeys = await passkeysOf(storage.db, person);
      if (passkeys.length === 0) {
        throw new GatehouseError('conflict', 'passkey.none', 'You have no passkey yet. Enrol one, then try again.');
      }
      return asJson(
        await generateAuthenticationOptions({
          rpID: party.id,
          challenge: Uint8Array.from(challenge),
          timeout: CEREMONY_TIMEOUT_MS,
          userVerification: 'required',
          allowCredentials: passkeys.map(({ id }) => ({ id })),
        }),
      );
    },
    async verifyAssertion(person, challenge, assertion) {
      const response = parseAssertion(assertion);
      const expected = Buffer.from(challenge).toString('base64url');
      const row = await storage.db
        .selectFrom('passkeys')
        .selectAll()
        .where('id', '=', response.id)
        .where('person', '=', person)
        .executeTakeFirst();
      if (!row) throw notVerified('forbidden', new Error(`No passkey ${response.id} of ${person}`));
      requirePasskey(sealer, row);
      const passkey = { id: row.id, person: row.person, publicKey: row.public_key, counter: row.counter };
      return verifyAssertionOf(party, passkey, expected, response, 'forbidden');
    },
    requireSecondPerson: (transaction, of) => requireSecondPerson(transaction, { clock, sealer }, of),
    async useAssertion(transaction, verified) {
      const { counter } = verified;
      const row = await transaction
        .selectFrom('passkeys')
        .selectAll()
        .where('id', '=', verified.passkey)
        .where('person', '=', verified.person)
        .executeTakeFirst();
      if (row) requirePasskey(sealer, row);
      const movesOn = row && (row.counter < counter || (row.counter === 0 && counter === 0));
      const used =
        movesOn &&
        (await transaction
          .updateTable('passkeys')
          .set({
            last_used_at: clock.now(),
            ...(counter !== row.counter && { counter, seal: sealedPasskey(sealer, { ...row, counter }).seal }),
          })
          .where('id', '=', row.id)
          // Sealed as it was read: what has changed meanwhile is not sealed over.
          .where('counter', '=', row.counter)
          .where('confirmed_by', row.confirmed_by === null ? 'is' : '=', row.confirmed_by)
          .returning('id')
          .executeTakeFirst());
      if (used) return;
      log.warn('a passkey answered with a counter that does not move on: copied, or replayed', {
        person: verified.person,
        passkey: verified.passkey,
        counter,
      });
      throw new GatehouseError(
        'forbidden',
        'passkey.replayed',
        'This answer was used before, or the passkey was copied or removed. Start again; if it happens twice, remove that passkey and tell your security team.',
      );
    },
  };
}

export async function hasPasskeys(database: Database | DatabaseTransaction, person: string): Promise<boolean> {
  const row = await database.selectFrom('passkeys').select('id').where('person', '=', person).executeTakeFirst();
  return row !== undefined;
}

export function passkeysOf(database: Database | DatabaseTransaction, person: string) {
  return database
    .selectFrom('passkeys')
    .selectAll()
    .where('person', '=', person)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

/** Options as plain JSON: members that are undefined go. */
export const asJson = (value: object) => JSON.parse(JSON.stringify(value)) as Json;
