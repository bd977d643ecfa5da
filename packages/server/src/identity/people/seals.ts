import { GatehouseError, type Json, type Log } from '../../platform/index.ts';
import {
  type RecordChange,
  rowSealProblem,
  type Sealer,
  type Storage,
  sealOnce,
  sealRow,
  type Tables,
} from '../../storage/index.ts';

/**
 * What lets people in is sealed row by row with the key that the database does not hold: who can write to it makes nobody an approver with a
 * passkey of their own, and opens no session or link in anybody's name.
 */
type Passkey = Omit<Tables['passkeys'], 'seal'>;
type Session = Omit<Tables['people_sessions'], 'seal'>;
type Link = Omit<Tables['signin_links'], 'seal'>;
type MailLink = Omit<Tables['mail_links'], 'seal'>;

/** Not what its person calls it, nor when it was used last. */
const ofPasskey = (row: Passkey): Json => ({
  v: 1,
  person: row.person,
  publicKey: Buffer.from(row.public_key).toString('base64url'),
  counter: row.counter,
  createdAt: row.created_at,
  madeBy: row.made_by,
  confirmedBy: row.confirmed_by,
});

/** Not when it was seen last, nor in which browser. */
const ofSession = (row: Session): Json => ({
  v: 1,
  person: row.person,
  via: row.via,
  restricted: row.restricted,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  key: row.dpop_jkt,
  provider: row.provider,
  providerSubject: row.provider_subject,
  providerSession: row.provider_session,
  madeBy: row.made_by,
  approval: row.approval,
  channel: row.channel,
});

const ofLink = (row: Link): Json => ({
  v: 1,
  person: row.person,
  expiresAt: row.expires_at,
  madeBy: row.made_by,
});

const ofMailLink = (row: MailLink): Json => ({
  v: 1,
  person: row.person,
  approval: row.approval,
  channel: row.channel,
  mail: row.mail,
  expiresAt: row.expires_at,
});

export const sealedPasskey = (sealer: Sealer, row: Passkey): Tables['passkeys'] => ({
  ...row,
  seal: sealRow(sealer, 'passkeys', row.id, ofPasskey(row)),
});
export const sealedSession = (sealer: Sealer, row: Session): Tables['people_sessions'] => ({
  ...row,
  seal: sealRow(sealer, 'people_sessions', row.id_digest, ofSession(row)),
});
export const sealedLink = (sealer: Sealer, row: Link): Tables['signin_links'] => ({
  ...row,
  seal: sealRow(sealer, 'signin_links', row.token_digest, ofLink(row)),
});

export const sealedMailLink = (sealer: Sealer, row: MailLink): Tables['mail_links'] => ({
  ...row,
  seal: sealRow(sealer, 'mail_links', row.token_digest, ofMailLink(row)),
});

export const isPasskeyIntact = (sealer: Sealer, row: Tables['passkeys']): boolean =>
  rowSealProblem(sealer, 'passkeys', row.id, ofPasskey(row), row.seal) === null;

export function requirePasskey(sealer: Sealer, row: Tables['passkeys']): void {
  if (!isPasskeyIntact(sealer, row)) throw changed('passkey', `passkey ${row.id.slice(0, 12)} of ${row.person}`);
}

export function requireSession(sealer: Sealer, row: Tables['people_sessions']): void {
  // Those of before there were seals have ended: their people sign in again.
  if (row.seal === null) throw new GatehouseError('unauthenticated', 'session.none', 'Sign in again, then try again.');
  if (rowSealProblem(sealer, 'people_sessions', row.id_digest, ofSession(row), row.seal) !== null)
    throw changed('session', `session ${row.id_digest.slice(0, 12)} of ${row.person}`);
}

export function requireLink(sealer: Sealer, row: Tables['signin_links']): void {
  if (rowSealProblem(sealer, 'signin_links', row.token_digest, ofLink(row), row.seal) !== null)
    throw changed('signin-link', `link for ${row.person}`);
}

export function requireMailLink(sealer: Sealer, row: Tables['mail_links']): void {
  if (rowSealProblem(sealer, 'mail_links', row.token_digest, ofMailLink(row), row.seal) !== null)
    throw changed('mail-link', `link in a mail to ${row.person}`);
}

const changed = (kind: string, what: string) =>
  new GatehouseError(
    'internal',
    `${kind}.changed`,
    `This ${kind.replace('signin-link', 'sign-in link').replace('mail-link', 'link of a mail')} was changed in the database, or written into it by hand. It lets nobody in; tell your security team.`,
    { cause: new Error(`the seal of ${what} does not fit`) },
  );

/** By name in the record, so that each is seen that somebody put there before the update. */
export async function sealPasskeysOfBefore({
  sealer,
  ...house
}: {
  storage: Pick<Storage, 'db' | 'transaction'>;
  sealer: Sealer;
  recordChange: RecordChange;
  log: Log;
}): Promise<void> {
  await sealOnce(house, {
    what: 'passkeys',
    operation: 'passkey.seal',
    async seal(transaction) {
      const rows = await transaction.selectFrom('passkeys').selectAll().where('seal', 'is', null).execute();
      for (const row of rows) {
        const { seal } = sealedPasskey(sealer, row);
        await transaction.updateTable('passkeys').set({ seal }).where('id', '=', row.id).execute();
      }
      return rows.map(({ id, person }) => `passkey ${id.slice(0, 12)} of ${person} sealed`);
    },
  });
}
