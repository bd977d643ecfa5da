import { generateAuthenticationOptions, generateRegistrationOptions } from '@simplewebauthn/server';
import { type Clock, digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { enrolmentIn, issueChallenge, networkOf, SIGN_IN, takeChallenge } from './challenges.ts';
import { noteKey } from './enrolled-keys.ts';
import { inherited, makerToKeep } from './independence.ts';
import { asJson, CEREMONY_TIMEOUT_MS, passkeysOf } from './passkey-verification.ts';
import type { RelyingParty } from './relying-party.ts';
import { requirePasskey, sealedPasskey } from './seals.ts';
import type { Sessions } from './sessions.ts';
import type {
  NewSession,
  Passkey,
  PasskeyVerification,
  PeopleDirectory,
  SignedInPerson,
  VerifiedAssertion,
} from './types.ts';
import { userHandle } from './user-handle.ts';
import {
  ALGORITHMS,
  claimedChallenge,
  notVerified,
  parseAssertion,
  parseRegistration,
  publicKeyJwk,
  verifyAssertionOf,
  verifyRegistration,
} from './webauthn.ts';

/** More than anyone carries; bounds the list of credentials that options name. */
const PASSKEYS_PER_PERSON = 20;
const NAME_CHARS = 100;

export interface PasskeyDependencies {
  storage: Pick<Storage, 'db' | 'transaction' | 'announce'>;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  clock: Clock;
  party: RelyingParty;
  sessions: Sessions;
  verification: PasskeyVerification;
  sealer: Sealer;
}

export function createPasskeys(dependencies: PasskeyDependencies) {
  const { storage, registry, recordChange, clock, party, sessions, verification, sealer } = dependencies;

  /** Whether this session may add or remove passkeys now. */
  const requireFresh = (session: { created_at: number; via: string; restricted: number }) => {
    if (session.restricted === 1 || session.via === 'mail')
      throw new GatehouseError(
        'forbidden',
        'session.restricted',
        'A session of a terminal or by the link of a mail changes no passkeys. Sign in to the console in a browser.',
      );
    if (isByLink(session.via) || sessions.isFresh(session)) return;
    throw new GatehouseError(
      'forbidden',
      'session.stale',
      'Sign in with your passkey again, then repeat this within 5 minutes: a session that is older may not change passkeys.',
    );
  };

  const refuseByProvider = (provider: string | null, hasOne: boolean) => {
    if (hasOne) throw needsPasskey();
    if (registry.snapshot().identityProviders.get(provider ?? '')?.enrolsPasskeys) return;
    throw new GatehouseError(
      'forbidden',
      'session.enrol-by-link',
      'Here the first passkey needs a sign-in link. Ask an admin for one.',
    );
  };

  return {
    async enrolmentOptions(person: SignedInPerson): Promise<Json> {
      const { challenge, userID, passkeys } = await storage.transaction(async (transaction) => {
        requireFresh(await sessions.current(transaction, person));
        return {
          challenge: await issueChallenge(transaction, clock, {
            purpose: enrolmentIn(person.session),
            person: person.email,
          }),
          userID: await userHandle(transaction, person.email),
          passkeys: await passkeysOf(transaction, person.email),
        };
      });
      return asJson(
        await generateRegistrationOptions({
          rpName: 'Gatehouse',
          rpID: party.id,
          userName: person.email,
          userDisplayName: person.displayName,
          userID: Uint8Array.from(userID),
          challenge: challenge,
          timeout: CEREMONY_TIMEOUT_MS,
          attestationType: 'none',
          supportedAlgorithmIDs: ALGORITHMS,
          excludeCredentials: passkeys.map(({ id }) => ({ id })),
          authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
        }),
      );
    },

    async enrol(
      person: SignedInPerson,
      answer: Json,
      options: { name?: string; userAgent?: string },
    ): Promise<{ passkey: Passkey; session: NewSession }> {
      const response = parseRegistration(answer);
      const challenge = await storage.transaction((transaction) =>
        takeChallenge(transaction, clock, {
          challenge: claimedChallenge(response),
          purpose: enrolmentIn(person.session),
          person: person.email,
        }),
      );
      if (challenge === undefined) throw notVerified('forbidden', new Error('No such challenge in this session'));
      const verified = await verifyRegistration(party, challenge, response);

      return storage.transaction(async (transaction) => {
        const session = await sessions.current(transaction, person);
        requireFresh(session);
        await sessions.removeAll(transaction, person.email, 'gatehouse', {
          keep: session.id_digest,
          enrolmentOnly: session.via !== 'recovery',
        });
        await sessions.remove(transaction, session.id_digest);
        const now = clock.now();
        const earlier = await passkeysOf(transaction, person.email);
        const made = isByLink(session.via)
          ? {
              made_by: await makerToKeep(transaction, session.made_by ?? 'operator', person.email, now),
              confirmed_by: null,
            }
          : inherited(earlier, now, sealer);
        const changes = [
          `passkey ${shortId(verified.id)} enrolled by ${session.via}${made.made_by === null ? '' : ` that ${made.made_by} made`}`,
        ];
        // INVARIANT: a link never adds a passkey to somebody who has one. (The first enrolment has ended the other link sessions.)
        if (session.via === 'link' && earlier.length > 0) throw superseded();
        // INVARIANT: nor does the company's provider: whoever rules it must not get a yes in the name of somebody who signs with a key.
        if (session.via === 'oidc') refuseByProvider(session.provider, earlier.length > 0);
        // Who deletes them from the database would have the next one inherit no doubt.
        if (session.via === 'passkey' && earlier.length === 0) throw gone();
        if (session.via === 'recovery') {
          await transaction.deleteFrom('passkeys').where('person', '=', person.email).execute();
          changes.push(...earlier.map(({ id }) => `passkey ${shortId(id)} removed`));
        } else if (earlier.length >= PASSKEYS_PER_PERSON) {
          throw new GatehouseError(
            'conflict',
            'passkey.too-many',
            `A person has ${PASSKEYS_PER_PERSON} passkeys at most. Remove one first.`,
          );
        }
        await refuseKnown(transaction, verified.id);
        const passkey = { id: verified.id, name: passkeyName(options.name), createdAt: now, lastUsedAt: null };
        await transaction
          .insertInto('passkeys')
          .values(
            sealedPasskey(sealer, {
              id: verified.id,
              person: person.email,
              public_key: verified.publicKey,
              counter: verified.counter,
              transports: JSON.stringify(verified.transports),
              name: passkey.name,
              created_at: now,
              last_used_at: null,
              ...made,
            }),
          )
          .execute();
        // A link still open could otherwise bring up sign-in in the name of somebody who is through with it.
        await transaction
          .updateTable('signin_links')
          .set({ used_at: now })
          .where('person', '=', person.email)
          .where('used_at', 'is', null)
          .execute();
        // Whoever verifies a yes years later learns from the log alone whose key it was.
        const key = digestJson(publicKeyJwk(verified.publicKey));
        changes.push(`key ${key}`);
        await noteKey(transaction, sealer, { person: person.email, key, at: now });
        await recordChange(transaction, { operation: 'passkey.enrol', by: `person:${person.email}`, changes });
        return { passkey, session: await sessions.open(transaction, person.email, 'passkey', options.userAgent) };
      });
    },

    async signInOptions(address: string | null = null): Promise<Json> {
      const challenge = await storage.transaction((transaction) =>
        issueChallenge(transaction, clock, { purpose: SIGN_IN, person: '', source: networkOf(address) }),
      );
      return asJson(
        await generateAuthenticationOptions({
          rpID: party.id,
          challenge: challenge,
          timeout: CEREMONY_TIMEOUT_MS,
          userVerification: 'required',
        }),
      );
    },

    async signIn(answer: Json, request: { userAgent?: string; cookie?: string }): Promise<NewSession> {
      const response = parseAssertion(answer);
      const challenge = await storage.transaction((transaction) =>
        takeChallenge(transaction, clock, { challenge: claimedChallenge(response), purpose: SIGN_IN, person: '' }),
      );
      if (challenge === undefined) throw notVerified('unauthenticated', new Error('No such challenge'));
      const row = await storage.db.selectFrom('passkeys').selectAll().where('id', '=', response.id).executeTakeFirst();
      if (!row) throw notVerified('unauthenticated', new Error(`Unknown passkey ${response.id}`));
      requirePasskey(sealer, row);
      const passkey = { id: row.id, person: row.person, publicKey: row.public_key, counter: row.counter };
      const verified: VerifiedAssertion = await verifyAssertionOf(
        party,
        passkey,
        challenge,
        response,
        'unauthenticated',
      );

      return storage.transaction(async (transaction) => {
        const { userHandle: handle } = response.response;
        if (handle != null && handle !== (await userHandle(transaction, row.person)).toString('base64url')) {
          throw notVerified('unauthenticated', new Error('The user handle is of somebody else'));
        }
        await verification.useAssertion(transaction, verified);
        await sessions.removeByCookie(transaction, request.cookie);
        await recordChange(transaction, {
          operation: 'person.sign-in',
          by: `person:${row.person}`,
          changes: [`by passkey ${shortId(row.id)}`],
        });
        return sessions.open(transaction, row.person, 'passkey', request.userAgent);
      });
    },

    async list(person: string): Promise<Passkey[]> {
      return (await passkeysOf(storage.db, person)).map(summary);
    },

    async rename(person: SignedInPerson, id: string, name: string): Promise<Passkey> {
      return storage.transaction(async (transaction) => {
        await sessions.current(transaction, person);
        const row = await transaction
          .updateTable('passkeys')
          .set({ name: passkeyName(name) })
          .where('id', '=', id)
          .where('person', '=', person.email)
          .returningAll()
          .executeTakeFirst();
        if (!row) throw unknownPasskey();
        await recordChange(transaction, {
          operation: 'passkey.rename',
          by: `person:${person.email}`,
          changes: [`passkey ${shortId(id)} is now called "${row.name}"`],
        });
        return summary(row);
      });
    },

    async remove(person: SignedInPerson, id: string): Promise<void> {
      await storage.transaction(async (transaction) => {
        const session = await sessions.current(transaction, person);
        requireFresh(session);
        if (session.via !== 'passkey') throw needsPasskey();
        const all = await passkeysOf(transaction, person.email);
        if (!all.some((passkey) => passkey.id === id)) throw unknownPasskey();
        if (all.length === 1) {
          throw new GatehouseError(
            'conflict',
            'passkey.last',
            'This is your only passkey. Enrol another one first, then remove this one.',
          );
        }
        await transaction.deleteFrom('passkeys').where('id', '=', id).where('person', '=', person.email).execute();
        await sessions.removeAll(transaction, person.email, `person:${person.email}`, { keep: person.session });
        await recordChange(transaction, {
          operation: 'passkey.remove',
          by: `person:${person.email}`,
          changes: [`passkey ${shortId(id)} removed`],
        });
      });
    },
  };
}

async function refuseKnown(transaction: DatabaseTransaction, id: string): Promise<void> {
  const known = await transaction.selectFrom('passkeys').select('id').where('id', '=', id).executeTakeFirst();
  if (known)
    throw new GatehouseError('conflict', 'passkey.known', 'This passkey is enrolled already. Use another one.');
}

function passkeyName(name: string | undefined): string {
  const text = (name ?? 'Passkey').trim();
  if (text.length >= 1 && text.length <= NAME_CHARS && !/\p{Cc}/u.test(text)) return text;
  throw new GatehouseError(
    'bad-request',
    'passkey.name',
    `The name of a passkey has 1 to ${NAME_CHARS} characters, none of them a control character.`,
  );
}

function summary(row: { id: string; name: string; created_at: number; last_used_at: number | null }): Passkey {
  return { id: row.id, name: row.name, createdAt: row.created_at, lastUsedAt: row.last_used_at };
}

const isByLink = (via: string) => via === 'link' || via === 'recovery';
const shortId = (id: string) => id.slice(0, 12);
const superseded = () =>
  new GatehouseError(
    'conflict',
    'session.superseded',
    'A passkey has been enrolled for you meanwhile, and this session has ended. Sign in with that passkey; if it was not you, tell your security team.',
  );
const needsPasskey = () =>
  new GatehouseError(
    'forbidden',
    'session.passkey-needed',
    'Sign in with a passkey to do this: your company sign-in alone does not add to passkeys that you have, or take one away.',
  );
const gone = () =>
  new GatehouseError(
    'forbidden',
    'passkey.gone',
    'The passkey that you signed in with is no longer there. Ask an admin for a recovery link, and tell your security team.',
  );
const unknownPasskey = () => new GatehouseError('not-found', 'passkey.not-found', 'You have no such passkey.');
