import { randomBytes } from 'node:crypto';
import { type Clock, GatehouseError, Secret, sha256Hex } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { sessionLimits as limits } from './limits.ts';
import { requireMailLink, sealedMailLink } from './seals.ts';
import type { Sessions } from './sessions.ts';
import type { MailLinks, PeopleDirectory } from './types.ts';

const TOKEN = /^mail_[A-Za-z0-9_-]{43}$/;

interface MailLinkDependencies {
  storage: Pick<Storage, 'db' | 'transaction'>;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
  sessions: Sessions;
  sealer: Sealer;
}

export function createMailLinks(dependencies: MailLinkDependencies): MailLinks {
  const { storage, registry, recordChange, clock, publicUrl, sessions, sealer } = dependencies;
  const isHere = (person: string) => registry.snapshot().people.has(person);

  /** A link that somebody has and that does not work tells that a mail was read twice, or by somebody else. The first time is on record. */
  async function noteRefusal(digest: string, to: string): Promise<void> {
    await storage.transaction(async (transaction) => {
      const link = await transaction
        .updateTable('mail_links')
        .set({ refused_at: clock.now() })
        .where('token_digest', '=', digest)
        .where('refused_at', 'is', null)
        .returning(['person', 'approval', 'mail', 'used_at'])
        .executeTakeFirst();
      if (!link) return;
      await recordChange(transaction, {
        operation: 'person.mail-link.refuse',
        by: 'gatehouse',
        approval: link.approval,
        changes: [
          `the link for ${link.person} in mail ${link.mail}, ${link.used_at === null ? 'not used' : 'used before'}`,
          `tried for ${to.slice(0, 100)}`,
        ],
      });
    });
  }

  return {
    make: ({ person, approval, channel, mail, expiresAt }) =>
      storage.transaction(async (transaction) => {
        const now = clock.now();
        if (!isHere(person) || expiresAt <= now || !(await waits(transaction, approval, now))) return null;
        await transaction.deleteFrom('mail_links').where('mail', '=', mail).where('used_at', 'is', null).execute();
        const { open } = await transaction
          .selectFrom('mail_links')
          .select(({ fn }) => fn.countAll<number>().as('open'))
          .where('person', '=', person)
          .where('used_at', 'is', null)
          .where('expires_at', '>', now)
          .executeTakeFirstOrThrow();
        if (Number(open) >= limits.mailLinks) return null;
        const token = `mail_${randomBytes(32).toString('base64url')}`;
        await transaction
          .insertInto('mail_links')
          .values(
            sealedMailLink(sealer, {
              token_digest: sha256Hex(token),
              person,
              approval,
              channel,
              mail,
              expires_at: expiresAt,
              used_at: null,
              refused_at: null,
            }),
          )
          .execute();
        await recordChange(transaction, {
          operation: 'person.mail-link',
          by: 'gatehouse',
          approval,
          changes: [`a link for ${person} in mail ${mail} of channel ${channel}`],
        });
        // In the fragment, so that it reaches no server's log and no Referer header; the console posts it.
        return { url: `${publicUrl}/mail/${encodeURIComponent(approval)}#${token}`, token: new Secret(token) };
      }),

    async redeem(token, { approval, userAgent, cookie }) {
      const digest = sha256Hex(token);
      // What nobody was ever sent costs no write, and what was used one at the most.
      const sent = TOKEN.test(token)
        ? await storage.db
            .selectFrom('mail_links')
            .select(['approval', 'used_at', 'refused_at', 'expires_at'])
            .where('token_digest', '=', digest)
            .executeTakeFirst()
        : undefined;
      if (!sent) throw invalid();
      if (sent.approval !== approval || sent.used_at !== null || sent.expires_at <= clock.now()) {
        if (sent.refused_at === null) await noteRefusal(digest, approval);
        throw invalid();
      }
      try {
        return await storage.transaction(async (transaction) => {
          const now = clock.now();
          const link = await transaction
            .updateTable('mail_links')
            .set({ used_at: now })
            .where('token_digest', '=', digest)
            .where('approval', '=', approval)
            .where('used_at', 'is', null)
            .where('expires_at', '>', now)
            .returningAll()
            .executeTakeFirst();
          if (!link || !isHere(link.person)) throw invalid();
          requireMailLink(sealer, link);
          if (!(await waits(transaction, approval, now))) throw invalid();
          const { person, channel, mail } = link;
          await recordChange(transaction, {
            operation: 'person.sign-in',
            by: `person:${person}`,
            approval,
            changes: [`by the link of mail ${mail} of channel ${channel}, for ${approval} alone`],
          });
          await sessions.removeByCookie(transaction, cookie);
          return sessions.open(transaction, person, 'mail', userAgent, { byMail: { approval, channel } });
        });
      } catch (error) {
        if (error instanceof GatehouseError && error.code === 'mail-link.invalid') await noteRefusal(digest, approval);
        throw error;
      }
    },

    async end(transaction, approval) {
      await transaction.deleteFrom('mail_links').where('approval', '=', approval).execute();
      const gone = await transaction
        .deleteFrom('people_sessions')
        .where('approval', '=', approval)
        .returning(['id_digest', 'person'])
        .execute();
      for (const { id_digest, person } of gone) await sessions.ended(transaction, person, 'gatehouse', [id_digest]);
    },
  };
}

/** A mail that is late, or sent again, is about what is decided: its link would open what nobody ends any more. */
const waits = async (transaction: DatabaseTransaction, approval: string, now: number): Promise<boolean> =>
  (await transaction
    .selectFrom('approvals')
    .select('id')
    .where('id', '=', approval)
    .where('state', '=', 'pending')
    .where('expires_at', '>', now)
    .executeTakeFirst()) !== undefined;

const invalid = () =>
  new GatehouseError(
    'unauthenticated',
    'mail-link.invalid',
    'This link does not work: it was used, has run out, or nothing waits there any more. Sign in with your passkey to look.',
  );
