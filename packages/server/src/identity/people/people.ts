import { type Clock, GatehouseError, type Log } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { confirmPasskeys, unconfirmedPasskeys } from './independence.ts';
import { passkeyLimits } from './limits.ts';
import { createMailLinks } from './mail-links.ts';
import { createPasskeyVerification, hasPasskeys } from './passkey-verification.ts';
import { createPasskeys } from './passkeys.ts';
import { endPush } from './push-subscriptions.ts';
import { relyingPartyOf } from './relying-party.ts';
import { createSecondYeses } from './second-yes.ts';
import { sessionCookie } from './session-cookie.ts';
import { createSessions } from './sessions.ts';
import { createSigninLinks } from './signin-links.ts';
import type { People, PeopleDirectory, PersonFooting } from './types.ts';

export interface PeopleDependencies {
  storage: Storage;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
  /** Seals what lets people in. */
  sealer: Sealer;
  /** Its host is the relying party that passkeys belong to; `people.public-url` is thrown where that can't be. */
  publicUrl: string;
}

/** Sign-in of people: links to begin with, passkeys from then on. Agents' tokens have no place here. */
export function createPeople(dependencies: PeopleDependencies): People {
  const { storage, registry, recordChange, clock, log, publicUrl, sealer } = dependencies;
  const party = relyingPartyOf(publicUrl);
  const sessions = createSessions({ ...dependencies, party });
  const verification = createPasskeyVerification({ storage, clock, log, party, sealer });
  const passkeys = createPasskeys({ ...dependencies, party, sessions, verification });
  const address = publicUrl.replace(/\/+$/, '');
  const links = createSigninLinks({ ...dependencies, publicUrl: address, sessions });

  return {
    createSigninLink: links.create,
    redeemSigninLink: links.redeem,
    mailLinks: createMailLinks({ ...dependencies, publicUrl: address, sessions }),
    enrolmentOptions: passkeys.enrolmentOptions,
    enrol: passkeys.enrol,
    signInOptions: passkeys.signInOptions,
    signIn: passkeys.signIn,
    ...verification,
    secondYes: createSecondYeses({ storage, clock, people: verification }),
    authenticatePerson: (headers, options) => sessions.authenticate(headers, options),
    async signedInAt(cookie) {
      if (cookie === undefined) return undefined;
      try {
        return (await sessions.authenticate({ cookie }, { passive: true })).email;
      } catch (error) {
        if (error instanceof GatehouseError) return undefined;
        throw error;
      }
    },

    async signOut(person) {
      await storage.transaction(async (transaction) => {
        if (!(await sessions.remove(transaction, person.session))) return;
        const by = `person:${person.email}`;
        await recordChange(transaction, { operation: 'person.sign-out', by, changes: [] });
        const mine = { person: person.email, sessions: [person.session], signedOut: true } as const;
        await endPush(transaction, recordChange, by, mine);
      });
      return sessionCookie(party, '', 0);
    },

    async presence(person) {
      if (person.provider === null || (await hasPasskeys(storage.db, person.email))) return { by: 'passkey' };
      return { by: 'provider', provider: person.provider, fresh: sessions.isFresh({ created_at: person.since }) };
    },

    openTerminalSession: ({ person, grantedIn, userAgent, dpopJkt }) =>
      storage.transaction(async (transaction) => {
        const granting = await sessions.current(transaction, { email: person, session: grantedIn });
        await recordChange(transaction, {
          operation: 'person.sign-in',
          by: `person:${person}`,
          changes: [`by a terminal, restricted: never to approve`, userAgent, `key ${dpopJkt}`],
        });
        const provider = granting.provider !== null && {
          provider: {
            name: granting.provider,
            subject: granting.provider_subject ?? '',
            session: granting.provider_session,
          },
        };
        const opened = await sessions.open(transaction, person, 'device', userAgent, { dpopJkt, ...provider });
        await sessions.endOldestTerminals(transaction, person);
        return { session: opened.person.session, token: opened.token, expiresAt: opened.expiresAt };
      }),

    async forget(transaction, person, by) {
      const ended = await sessions.removeAll(transaction, person, by);
      const gone = await transaction.deleteFrom('passkeys').where('person', '=', person).returning('id').execute();
      const links = await transaction
        .deleteFrom('person_identities')
        .where('person', '=', person)
        .returning('provider')
        .execute();
      await transaction.deleteFrom('signin_links').where('person', '=', person).execute();
      await transaction.deleteFrom('mail_links').where('person', '=', person).execute();
      await transaction.deleteFrom('webauthn_challenges').where('person', '=', person).execute();
      const changes = [
        ...gone.map(({ id }) => `passkey ${id.slice(0, 12)} of ${person} removed`),
        ...links.map(({ provider }) => `link of ${person} to ${provider} removed`),
      ];
      if (changes.length > 0) await recordChange(transaction, { operation: 'person.forget', by, changes });
      return { sessions: ended, passkeys: gone.length };
    },

    async footing(people) {
      const of = new Map<string, PersonFooting>();
      const at = (person: string) => {
        const known = of.get(person) ?? { passkeys: 0, sessions: 0, identities: [], unconfirmed: null };
        of.set(person, known);
        return known;
      };
      if (people?.length === 0) return of;
      let passkeys = storage.db
        .selectFrom('passkeys')
        .select(['person', ({ fn }) => fn.countAll<number>().as('count')]);
      let live = sessions.live(storage.db).select(['person', ({ fn }) => fn.countAll<number>().as('count')]);
      let identities = storage.db.selectFrom('person_identities').selectAll();
      if (people) {
        passkeys = passkeys.where('person', 'in', people);
        live = live.where('person', 'in', people);
        identities = identities.where('person', 'in', people);
      }
      for (const { person, count } of await passkeys.groupBy('person').execute()) at(person).passkeys = Number(count);
      for (const { person, count } of await live.groupBy('person').execute()) at(person).sessions = Number(count);
      for (const { person, made_by, created_at } of await unconfirmedPasskeys(storage.db, clock.now()))
        if (!people || people.includes(person))
          at(person).unconfirmed = { madeBy: made_by ?? '', until: created_at + passkeyLimits.quarantineMs };
      for (const row of await identities.execute())
        at(row.person).identities.push({
          provider: row.provider,
          issuer: row.issuer,
          linkedAt: row.linked_at,
          lastUsedAt: row.last_used_at,
        });
      return of;
    },

    async openProviderSession(transaction, person, { provider, userAgent, cookie }) {
      await sessions.removeByCookie(transaction, cookie);
      await recordChange(transaction, {
        operation: 'person.sign-in',
        by: `person:${person}`,
        changes: [`by ${provider.name}, subject ${provider.subject.slice(0, 100)}`],
      });
      return sessions.open(transaction, person, 'oidc', userAgent, { provider });
    },

    async endProviderSessions(transaction, { provider, subject, session }) {
      let query = transaction.deleteFrom('people_sessions').where('provider', '=', provider);
      if (subject !== undefined) query = query.where('provider_subject', '=', subject);
      if (session !== undefined) query = query.where('provider_session', '=', session);
      const gone = await query.returning(['id_digest', 'person']).execute();
      for (const { id_digest, person } of gone) await sessions.ended(transaction, person, provider, [id_digest]);
      let more = 0;
      for (const person of await withdraw(transaction, { provider, subject, session }))
        if (registry.snapshot().directory.get(person)?.source === `oidc/${provider}`)
          more += await sessions.removeAll(transaction, person, provider);
      return gone.length + more;
    },

    listAllSessions: sessions.listAll,
    listSessions: sessions.list,
    revokeSession: sessions.revoke,
    revokeAllSessions: (person, by) =>
      storage.transaction((transaction) => sessions.removeAll(transaction, person, by)),

    listPasskeys: passkeys.list,
    renamePasskey: passkeys.rename,
    removePasskey: passkeys.remove,

    async confirmPasskeys(person, by) {
      await storage.transaction(async (transaction) => {
        const ids = await confirmPasskeys(transaction, person, by, clock.now(), sealer);
        await recordChange(transaction, {
          operation: 'passkey.confirm',
          by: `person:${by}`,
          changes: ids.map((id) => `passkey ${id.slice(0, 12)} of ${person} confirmed`),
        });
      });
    },

    async sweep() {
      await storage.transaction(async (transaction) => {
        const now = clock.now();
        await transaction.deleteFrom('signin_links').where('expires_at', '<=', now).execute();
        await transaction.deleteFrom('mail_links').where('expires_at', '<=', now).execute();
        await transaction.deleteFrom('webauthn_challenges').where('expires_at', '<=', now).execute();
        await sessions.sweep(transaction);
      });
    },
  };
}

/** The provider takes back its word on who signed in last. Gives whom it was about. */
async function withdraw(
  transaction: DatabaseTransaction,
  { provider, subject, session }: { provider: string; subject: string | undefined; session: string | undefined },
): Promise<string[]> {
  let query = transaction.updateTable('person_identities').set({ signed_in_at: null }).where('provider', '=', provider);
  if (subject !== undefined) query = query.where('subject', '=', subject);
  // A later sign-in than the one that ends stands.
  if (session !== undefined)
    query = query.where((where) =>
      subject === undefined
        ? where('provider_session', '=', session)
        : where.or([where('provider_session', '=', session), where('provider_session', 'is', null)]),
    );
  return (await query.returning('person').execute()).map(({ person }) => person);
}
