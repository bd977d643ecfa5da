import { hash, randomBytes } from 'node:crypto';
import type { PersonManifest } from '@gatehouse/protocol';
import { type Clock, GatehouseError, Secret, sha256Hex } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Sealer, Storage, Tables } from '../../storage/index.ts';
import { sessionLimits as limits } from './limits.ts';
import { endPush } from './push-subscriptions.ts';
import type { RelyingParty } from './relying-party.ts';
import { requireSession, sealedSession } from './seals.ts';
import { readSessionCookie, sessionCookie } from './session-cookie.ts';
import type { NewSession, PeopleDirectory, ProveKey, SessionOrigin, SessionSummary, SignedInPerson } from './types.ts';
import { vouchedUntil } from './vouching.ts';

/** Sessions that open more than enrolment. */
const ENTERED: readonly SessionOrigin[] = ['passkey', 'oidc', 'device'];
const isEntered = (via: string): boolean => (ENTERED as readonly string[]).includes(via);

/** What is kept of the identity provider that vouched, so that its logout can end the session. */
export interface ProviderSession {
  name: string;
  subject: string;
  /** `sid` of the ID token. */
  session: string | null;
}

export interface SessionDependencies {
  storage: Pick<Storage, 'db' | 'transaction' | 'announce'>;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  clock: Clock;
  party: RelyingParty;
  sealer: Sealer;
}

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions({ storage, registry, recordChange, clock, party, sealer }: SessionDependencies) {
  const declared = (email: string): PersonManifest => {
    const person = registry.snapshot().people.get(email);
    if (person) return person;
    throw new GatehouseError(
      'not-found',
      'person.not-found',
      `No person ${email.slice(0, 254)} is declared in this workspace. Declare one (kind: Person) and apply it.`,
    );
  };

  const live = (database: Database | DatabaseTransaction) => {
    const now = clock.now();
    return database
      .selectFrom('people_sessions')
      .where('expires_at', '>', now)
      .where((where) =>
        where.or([
          where('last_seen_at', '>', now - limits.idleTtlMs),
          where('via', '=', 'device' satisfies SessionOrigin),
        ]),
      );
  };

  async function end(
    transaction: DatabaseTransaction,
    person: string,
    by: string,
    ids: string[],
    more: string[] = [],
  ): Promise<void> {
    const changes = [...ids.map((id) => `session ${id.slice(0, 12)} of ${person} ended`), ...more];
    await recordChange(transaction, { operation: 'session.revoke', by, changes });
    await endPush(transaction, recordChange, by, { person, sessions: ids });
    await storage.announce(transaction, 'session', person, clock.now());
  }

  return {
    declared,
    live,
    ended: end,

    async open(
      transaction: DatabaseTransaction,
      email: string,
      via: SessionOrigin,
      userAgent: string | undefined,
      more: {
        provider?: ProviderSession;
        dpopJkt?: string;
        madeBy?: string;
        byMail?: { approval: string; channel: string };
      } = {},
    ): Promise<NewSession & { token: Secret }> {
      const person = declared(email);
      const token = randomBytes(32).toString('base64url');
      const now = clock.now();
      const longestMs = isEntered(via)
        ? limits.sessionTtlMs
        : via === 'mail'
          ? limits.mailTtlMs
          : limits.enrolmentTtlMs;
      const expiresAt = Math.min(now + longestMs, await vouchedUntil({ registry, clock }, transaction, email));
      const restricted = via === 'device';
      const session = sha256Hex(token);
      const provider = more.provider?.name ?? null;
      await transaction
        .insertInto('people_sessions')
        .values(
          sealedSession(sealer, {
            id_digest: session,
            person: email,
            created_at: now,
            expires_at: expiresAt,
            last_seen_at: now,
            user_agent: (userAgent ?? '').slice(0, limits.userAgentChars),
            via,
            restricted: restricted ? 1 : 0,
            dpop_jkt: more.dpopJkt ?? null,
            provider,
            provider_subject: more.provider?.subject ?? null,
            provider_session: more.provider?.session ?? null,
            made_by: more.madeBy ?? null,
            approval: more.byMail?.approval ?? null,
            channel: more.byMail?.channel ?? null,
          }),
        )
        .execute();
      return {
        setCookie: sessionCookie(party, token, Math.ceil((expiresAt - now) / 1_000)),
        token: new Secret(token),
        person: signedIn(person, {
          id_digest: session,
          via,
          restricted: Number(restricted),
          created_at: now,
          expires_at: expiresAt,
          provider,
          approval: more.byMail?.approval ?? null,
          channel: more.byMail?.channel ?? null,
        }),
        expiresAt,
      };
    },

    async authenticate(
      headers: { cookie?: string; authorization?: string },
      {
        enrolling = false,
        passive = false,
        prove,
        isOpenByMail = () => false,
      }: {
        enrolling?: boolean;
        passive?: boolean;
        prove?: ProveKey;
        isOpenByMail?: (approval: string) => boolean;
      } = {},
    ): Promise<SignedInPerson> {
      const terminal = /^Session ([A-Za-z0-9_-]{43})$/.exec(headers.authorization ?? '')?.[1];
      if (headers.authorization !== undefined && (terminal === undefined || headers.cookie !== undefined)) {
        throw new GatehouseError(
          'forbidden',
          'person.token-refused',
          'This route is for people, signed in with a passkey in the console. Tokens are not accepted here; send no Authorization header.',
        );
      }
      const token = terminal ?? readSessionCookie(party, headers.cookie);
      const id = token === undefined ? undefined : sha256Hex(token);
      const row =
        id === undefined
          ? undefined
          : await live(storage.db).selectAll().where('id_digest', '=', id).executeTakeFirst();
      const person = row && registry.snapshot().people.get(row.person);
      // A terminal's token is no cookie and a cookie no terminal's token: each is good only where it was meant to be kept.
      const isPlaced = row?.restricted === (terminal === undefined ? 0 : 1);
      if (!row || !person || !isPlaced) {
        throw new GatehouseError(
          'unauthenticated',
          'session.none',
          terminal === undefined
            ? 'Sign in with your passkey, then try again.'
            : 'This session of the command line has ended. Sign in again: gatehouse login',
        );
      }
      requireSession(sealer, row);
      if (terminal !== undefined) await proveKey(terminal, row.dpop_jkt, prove);
      const isByMail = row.via === ('mail' satisfies SessionOrigin);
      // INVARIANT: a mail's link opens its approval and nothing else, least of all the enrolment of a passkey.
      if (isByMail && !isOpenByMail(row.approval ?? '')) {
        throw new GatehouseError(
          'forbidden',
          'session.by-mail',
          'The link of a mail opens one approval and nothing else. Sign in with your passkey for the rest.',
        );
      }
      if (!isByMail && !isEntered(row.via) && !enrolling) {
        throw new GatehouseError(
          'forbidden',
          'session.enrol-first',
          'Enrol a passkey first; until then this session is good for nothing else.',
        );
      }
      const now = clock.now();
      if (!passive && now - row.last_seen_at >= limits.seenEveryMs) {
        await storage.transaction((transaction) =>
          transaction
            .updateTable('people_sessions')
            .set({ last_seen_at: now })
            .where('id_digest', '=', row.id_digest)
            .where('last_seen_at', '<', now)
            .execute(),
        );
      }
      return signedIn(person, row);
    },

    /** The live session of this caller, read again where it matters. Throws when it has ended meanwhile. */
    async current(transaction: DatabaseTransaction, person: Pick<SignedInPerson, 'email' | 'session'>) {
      const row = await live(transaction)
        .selectAll()
        .where('id_digest', '=', person.session)
        .where('person', '=', person.email)
        .executeTakeFirst();
      if (!row) throw new GatehouseError('unauthenticated', 'session.none', 'Your session has ended. Sign in again.');
      requireSession(sealer, row);
      return row;
    },

    isFresh: (session: { created_at: number }) => clock.now() - session.created_at < limits.freshMs,

    /** Ends one session inside a transaction of the caller's; false when it was gone already. */
    async remove(transaction: DatabaseTransaction, id: string): Promise<boolean> {
      const gone = await transaction
        .deleteFrom('people_sessions')
        .where('id_digest', '=', id)
        .returning('person')
        .executeTakeFirst();
      if (gone) await storage.announce(transaction, 'session', gone.person, clock.now());
      return gone !== undefined;
    },

    /** Ends the session that a cookie carries, if it is one. */
    async removeByCookie(transaction: DatabaseTransaction, header: string | undefined): Promise<void> {
      const token = readSessionCookie(party, header);
      if (token !== undefined) await this.remove(transaction, sha256Hex(token));
    },

    /** Ends every session of the person but `keep`, and what a mail to them still opens; or only those that can enrol. Says how many sessions. */
    async removeAll(
      transaction: DatabaseTransaction,
      email: string,
      by: string,
      options: { keep?: string; enrolmentOnly?: boolean } = {},
    ): Promise<number> {
      let query = transaction.deleteFrom('people_sessions').where('person', '=', email);
      if (options.keep !== undefined) query = query.where('id_digest', '!=', options.keep);
      if (options.enrolmentOnly) query = query.where('via', 'in', ['link', 'recovery']);
      const gone = await query.returning('id_digest').execute();
      // A browser that is told outlives its session; it does not outlive that all of them are ended.
      if (!options.enrolmentOnly) await endPush(transaction, recordChange, by, { person: email, ...keepOf(options) });
      const links = options.enrolmentOnly ? [] : await endMailLinks(transaction, email);
      if (gone.length + links.length > 0) {
        const ids = gone.map((row) => row.id_digest);
        await end(transaction, email, by, ids, links);
      }
      return gone.length;
    },

    async endOldestTerminals(transaction: DatabaseTransaction, email: string): Promise<void> {
      const surplus = await live(transaction)
        .select('id_digest')
        .where('person', '=', email)
        .where('via', '=', 'device' satisfies SessionOrigin)
        .orderBy('created_at', 'desc')
        .orderBy('id_digest')
        .offset(limits.commandLines)
        .limit(limits.listed)
        .execute();
      const ids = surplus.map(({ id_digest }) => id_digest);
      if (ids.length === 0) return;
      await transaction.deleteFrom('people_sessions').where('id_digest', 'in', ids).execute();
      await end(transaction, email, 'gatehouse', ids);
    },

    async list(email: string): Promise<SessionSummary[]> {
      const rows = await live(storage.db)
        .selectAll()
        .where('person', '=', email)
        .orderBy('created_at', 'desc')
        .limit(limits.listed)
        .execute();
      return rows.map(summaryOf);
    },

    async listAll({
      via,
      before,
      limit,
    }: {
      via?: string;
      before?: string;
      limit: number;
    }): Promise<(SessionSummary & { person: string })[]> {
      let query = live(storage.db).selectAll();
      if (via !== undefined) query = query.where('via', '=', via);
      if (before !== undefined) {
        const last = await storage.db
          .selectFrom('people_sessions')
          .select(['created_at', 'id_digest'])
          .where('id_digest', '=', before)
          .executeTakeFirst();
        if (!last) return [];
        query = query.where((where) =>
          where.or([
            where('created_at', '<', last.created_at),
            where.and([where('created_at', '=', last.created_at), where('id_digest', '<', last.id_digest)]),
          ]),
        );
      }
      const rows = await query.orderBy('created_at', 'desc').orderBy('id_digest', 'desc').limit(limit).execute();
      return rows.map((row) => ({ ...summaryOf(row), person: row.person }));
    },

    async revoke(email: string, id: string, by: string): Promise<void> {
      await storage.transaction(async (transaction) => {
        const gone = await transaction
          .deleteFrom('people_sessions')
          .where('person', '=', email)
          .where('id_digest', '=', id)
          .returning('id_digest')
          .executeTakeFirst();
        if (!gone) throw new GatehouseError('not-found', 'session.not-found', 'This session has ended already.');
        await end(transaction, email, by, [gone.id_digest]);
      });
    },

    async sweep(transaction: DatabaseTransaction): Promise<void> {
      const now = clock.now();
      await transaction
        .deleteFrom('people_sessions')
        .where((where) =>
          where.or([
            where('expires_at', '<=', now),
            where.and([where('last_seen_at', '<=', now - limits.idleTtlMs), where('via', '!=', 'device')]),
          ]),
        )
        .execute();
    },
  };
}

/** Whoever has somebody's mail could go on where their sessions have ended. */
async function endMailLinks(transaction: DatabaseTransaction, person: string): Promise<string[]> {
  const gone = await transaction
    .deleteFrom('mail_links')
    .where('person', '=', person)
    .where('used_at', 'is', null)
    .returning('mail')
    .execute();
  return gone.map(({ mail }) => `link for ${person} in mail ${mail} ended`);
}

const keepOf = ({ keep }: { keep?: string }) => (keep === undefined ? {} : { keep });

function summaryOf(row: Tables['people_sessions']): SessionSummary {
  return {
    id: row.id_digest,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastSeenAt: row.last_seen_at,
    userAgent: row.user_agent,
    via: row.via as SessionOrigin,
    restricted: row.restricted === 1,
    provider: row.provider,
  };
}

/** INVARIANT: a terminal's session is of no use without its key, whatever was stored for it. */
async function proveKey(token: string, boundTo: string | null, prove: ProveKey | undefined): Promise<void> {
  if (boundTo === null || !prove)
    throw new GatehouseError(
      'unauthenticated',
      'session.unbound',
      'A session of the command line is good only with a proof by its key. Sign in again: gatehouse login',
    );
  await prove({ hash: hash('sha256', token, 'base64url'), boundTo });
}

type SessionRow = Tables['people_sessions'];
function signedIn(
  { email, displayName, roles }: PersonManifest,
  row: Pick<
    SessionRow,
    'id_digest' | 'via' | 'restricted' | 'created_at' | 'expires_at' | 'provider' | 'approval' | 'channel'
  >,
): SignedInPerson {
  const via = row.via as SessionOrigin;
  return {
    email,
    displayName,
    roles,
    session: row.id_digest,
    enrolled: isEntered(via),
    via,
    restricted: row.restricted === 1,
    since: row.created_at,
    until: row.expires_at,
    provider: row.provider,
    byMail: via === 'mail' ? { approval: row.approval ?? '', channel: row.channel ?? '' } : null,
  };
}
