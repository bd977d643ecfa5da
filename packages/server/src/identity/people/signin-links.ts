import { randomBytes } from 'node:crypto';
import { type Clock, GatehouseError, sha256Hex } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { hasPasskeys } from './passkey-verification.ts';
import { requireLink, sealedLink } from './seals.ts';
import type { Sessions } from './sessions.ts';
import type { NewSession, PeopleDirectory } from './types.ts';

const LINK_TTL_MS = 15 * 60_000;

/**
 * What a link may do stands in its token, and the stored digest covers the whole token: a link can't be turned into the other kind.
 * A recovery link is the stronger one, as it makes a passkey for somebody who has one.
 */
const SIGN_IN_PREFIX = 'signin_';
const RECOVERY_PREFIX = 'recover_';

/** Whoever works on the server's host has its data anyway; that he made the link is recorded. */
const ON_THE_HOST = ['gatehouse', 'operator'];

export interface SigninLinkDependencies {
  storage: Pick<Storage, 'transaction'>;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
  sessions: Sessions;
  sealer: Sealer;
}

export function createSigninLinks(dependencies: SigninLinkDependencies) {
  const { storage, registry, recordChange, clock, publicUrl, sessions, sealer } = dependencies;

  const mayMake = (by: string, email: string, recovery: boolean) => {
    if (ON_THE_HOST.includes(by)) return;
    const maker = by.startsWith('person:') ? registry.snapshot().people.get(by.slice('person:'.length)) : undefined;
    if (!maker?.roles.includes('admin')) {
      throw new GatehouseError('forbidden', 'signin-link.not-admin', 'Only an admin makes sign-in links. Ask one.');
    }
    if (recovery && maker.email === email) {
      throw new GatehouseError(
        'forbidden',
        'signin-link.own-recovery',
        'Nobody makes a recovery link for themselves. Add a passkey in your own session, or ask another admin.',
      );
    }
  };

  return {
    async create(
      email: string,
      { by, recovery = false }: { by: string; recovery?: boolean },
    ): Promise<{ url: string; token: string; expiresAt: number }> {
      const person = sessions.declared(email);
      mayMake(by, person.email, recovery);
      const token = `${recovery ? RECOVERY_PREFIX : SIGN_IN_PREFIX}${randomBytes(32).toString('base64url')}`;
      const now = clock.now();
      const expiresAt = now + LINK_TTL_MS;
      await storage.transaction(async (transaction) => {
        await transaction
          .updateTable('signin_links')
          .set({ used_at: now })
          .where('person', '=', person.email)
          .where('used_at', 'is', null)
          .execute();
        await transaction
          .insertInto('signin_links')
          .values(
            sealedLink(sealer, {
              token_digest: sha256Hex(token),
              person: person.email,
              expires_at: expiresAt,
              used_at: null,
              made_by: by,
            }),
          )
          .execute();
        await recordChange(transaction, {
          operation: 'person.signin-link',
          by,
          changes: [`one ${recovery ? 'recovery' : 'sign-in'} link for ${person.email}`],
        });
      });
      // In the fragment, so that it reaches no server's log and no Referer header; the console posts it.
      return { url: `${publicUrl}/sign-in#${token}`, token, expiresAt };
    },

    async redeem(
      token: string,
      { userAgent, cookie }: { userAgent?: string; cookie?: string },
    ): Promise<{ next: 'enrol'; session: NewSession } | { next: 'passkey'; person: string }> {
      const recovery = token.startsWith(RECOVERY_PREFIX);
      return storage.transaction(async (transaction) => {
        const now = clock.now();
        const link = await transaction
          .updateTable('signin_links')
          .set({ used_at: now })
          .where('token_digest', '=', sha256Hex(token))
          .where('used_at', 'is', null)
          .where('expires_at', '>', now)
          .returningAll()
          .executeTakeFirst();
        if (!link || !registry.snapshot().people.has(link.person)) {
          throw new GatehouseError(
            'unauthenticated',
            'signin-link.invalid',
            'This link does not work: it was used, has run out, or a newer one replaced it. Sign in with your passkey, or ask an admin for a new link.',
          );
        }
        requireLink(sealer, link);
        const opens = recovery || !(await hasPasskeys(transaction, link.person));
        const to = opens ? `a session to enrol a passkey${recovery ? ', in recovery' : ''}` : 'passkey sign-in';
        await recordChange(transaction, {
          operation: 'person.signin-link.redeem',
          by: `person:${link.person}`,
          changes: [`link used; it led to ${to}`],
        });
        if (!opens) return { next: 'passkey', person: link.person };
        const via = recovery ? 'recovery' : 'link';
        await sessions.removeByCookie(transaction, cookie);
        return {
          next: 'enrol',
          session: await sessions.open(transaction, link.person, via, userAgent, {
            madeBy: link.made_by ?? 'operator',
          }),
        };
      });
    },
  };
}
