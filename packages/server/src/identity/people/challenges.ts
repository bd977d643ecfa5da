import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { type Clock, sha256Hex } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { sessionLimits as limits } from './limits.ts';

const CHALLENGE_TTL_MS = 5 * 60_000;
const SWEPT_AT_ONCE = 100;

export const SIGN_IN = 'sign-in';
/** An enrolment belongs to the session that asked for it. */
export const enrolmentIn = (session: string) => `enrol:${session}`;

/** A challenge good for one answer, of one purpose, by one person, within 5 minutes. */
export async function issueChallenge(
  transaction: DatabaseTransaction,
  clock: Clock,
  of: { purpose: string; person: string; source?: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Uint8Array.from(randomBytes(32));
  const challenge = Buffer.from(bytes).toString('base64url');
  const now = clock.now();
  if (of.purpose === SIGN_IN) await makeRoom(transaction);
  await transaction
    .insertInto('webauthn_challenges')
    .values({ id: idOf(challenge), source: '', ...of, challenge, expires_at: now + CHALLENGE_TTL_MS })
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
  const sources = await transaction
    .selectFrom('webauthn_challenges')
    .select(['source', ({ fn }) => fn.countAll<number>().as('open')])
    .where('purpose', '=', SIGN_IN)
    .groupBy('source')
    .orderBy('open', 'desc')
    .orderBy('source')
    .execute();
  const open = sources.reduce((sum, each) => sum + Number(each.open), 0);
  const [most] = sources;
  if (most === undefined || open < limits.openChallenges) return;
  const surplus = await transaction
    .selectFrom('webauthn_challenges')
    .select('id')
    .where('purpose', '=', SIGN_IN)
    .where('source', '=', most.source)
    .orderBy('expires_at')
    .limit(Math.min(SWEPT_AT_ONCE, open - limits.openChallenges + 1))
    .execute();
  const ids = surplus.map(({ id }) => id);
  await transaction.deleteFrom('webauthn_challenges').where('id', 'in', ids).execute();
}

/** What one asker has of addresses: one of IPv4, a /64 of IPv6 (RFC 4291 §2.5.4). */
export function networkOf(address: string | null): string {
  const plain = (address ?? '').replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '');
  if (isIP(plain) !== 6) return plain;
  const [head = '', tail] = plain.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return `${[...first, ...Array<string>(Math.max(0, zeros)).fill('0'), ...last].slice(0, 4).join(':')}::/64`;
}

/** A look-up by the digest takes a time that tells nothing about the challenges that are out. */
const idOf = (challenge: string) => sha256Hex(challenge);
