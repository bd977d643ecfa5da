import type { Clock, Log } from '../../platform/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import { createPasskeyVerification } from './passkey-verification.ts';
import { createPasskeys } from './passkeys.ts';
import { relyingPartyOf } from './relying-party.ts';
import { sessionCookie } from './session-cookie.ts';
import { createSessions } from './sessions.ts';
import { createSigninLinks } from './signin-links.ts';
import type { People, PeopleDirectory } from './types.ts';

export interface PeopleDependencies {
  storage: Storage;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
  /** Its host is the relying party that passkeys belong to; `people.public-url` is thrown where that can't be. */
  publicUrl: string;
}

/** Sign-in of people: links to begin with, passkeys from then on. Agents' tokens have no place here. */
export function createPeople(dependencies: PeopleDependencies): People {
  const { storage, recordChange, clock, log, publicUrl } = dependencies;
  const party = relyingPartyOf(publicUrl);
  const sessions = createSessions({ ...dependencies, party });
  const verification = createPasskeyVerification({ storage, clock, log, party });
  const passkeys = createPasskeys({ storage, recordChange, clock, party, sessions, verification });
  const links = createSigninLinks({ ...dependencies, publicUrl: publicUrl.replace(/\/+$/, ''), sessions });

  return {
    createSigninLink: links.create,
    redeemSigninLink: (token, { userAgent }) => links.redeem(token, userAgent),
    enrolmentOptions: passkeys.enrolmentOptions,
    enrol: passkeys.enrol,
    signInOptions: passkeys.signInOptions,
    signIn: passkeys.signIn,
    ...verification,
    authenticatePerson: (headers, options) => sessions.authenticate(headers, options),

    async signOut(person) {
      await storage.transaction(async (transaction) => {
        if (!(await sessions.remove(transaction, person.session))) return;
        await recordChange(transaction, { operation: 'person.sign-out', by: `person:${person.email}`, changes: [] });
      });
      return sessionCookie(party, '', 0);
    },

    listSessions: sessions.list,
    revokeSession: sessions.revoke,
    revokeAllSessions: (person, by) =>
      storage.transaction((transaction) => sessions.removeAll(transaction, person, by)),

    listPasskeys: passkeys.list,
    renamePasskey: passkeys.rename,
    removePasskey: passkeys.remove,

    async sweep() {
      await storage.transaction(async (transaction) => {
        const now = clock.now();
        await transaction.deleteFrom('signin_links').where('expires_at', '<=', now).execute();
        await transaction.deleteFrom('webauthn_challenges').where('expires_at', '<=', now).execute();
        await sessions.sweep(transaction);
      });
    },
  };
}
