import { randomBytes } from 'node:crypto';
import { type Clock, sha256Hex } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';

const CHALLENGE_TTL_MS = 5 * 60_000;
/** Asking for a sign-in challenge needs no session, so that many at most wait to be answered; the oldest give way. */
const OPEN_SIGN_IN_CHALLENGES = 2_000;
const SWEPT_AT_ONCE = 100;

export const SIGN_IN = 'sign-in';
/** An enrolment belongs to the session that asked for it. */
export const enrolmentIn = (session: string) => `enrol:${session}`;

/** A challenge good for one answer, of one purpose, by one person, within 5 minutes. */
export async function issueChallenge(
  transaction: DatabaseTransaction,
  clock: Clock,
  of: { purpose: string; person: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Uint8Array.from(randomBytes(32));
  const challenge = Buffer.from(bytes).toString('base64url');
  const now = clock.now();
  if (of.purpose === SIGN_IN) await makeRoom(transaction);
  await transaction
    .insertInto('webauthn_challenges')
    .values({ id: idOf(challenge), ...of, challenge, expires_at: now + CHALLENGE_TTL_MS })
    .execute();
  return bytes;
}

/** Uses the challenge up, whatever comes of its answer. Undefined when there is none for this purpose and person. */
export async function takeChallenge(
  transaction: DatabaseTransaction,
  clock: Clock,
  of: { challenge: string; purpose: string; person: string },
): Promise<string | undefined> {
  const taken = await transaction
    .deleteFrom('webauthn_challenges')
    .where('id', '=', idOf(of.challenge))
    .where('purpose', '=', of.purpose)
    .where('person', '=', of.person)
    .where('expires_at', '>', clock.now())
    .returning('challenge')
    .executeTakeFirst();
  return taken?.challenge;
}

async function makeRoom(transaction: DatabaseTransaction): Promise<void> {
  const surplus = await transaction
    .selectFrom('webauthn_challenges')
    .select('id')
    .where('purpose', '=', SIGN_IN)
    .orderBy('expires_at', 'desc')
    .limit(SWEPT_AT_ONCE)
    .offset(OPEN_SIGN_IN_CHALLENGES - 1)
    .execute();
  if (surplus.length === 0) return;
  const ids = surplus.map(({ id }) => id);
  await transaction.deleteFrom('webauthn_challenges').where('id', 'in', ids).execute();
}

/** A look-up by the digest takes a time that tells nothing about the challenges that are out. */
const idOf = (challenge: string) => sha256Hex(challenge);
