import type { IdentityProviderManifest, PersonManifest } from '@gatehouse/protocol';
import type { Json, Secret } from '../../platform/index.ts';
import type { KnownPerson } from '../../registry/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import type { PersonCaller } from '../types.ts';
import type { SecondYeses } from './second-yes.ts';

/** The part of the registry that sign-in needs: who is declared, with which roles. */
export interface PeopleDirectory {
  snapshot(): {
    readonly people: ReadonlyMap<string, PersonManifest>;
    readonly directory: ReadonlyMap<string, Pick<KnownPerson, 'source'>>;
    readonly identityProviders: ReadonlyMap<string, IdentityProviderManifest>;
  };
}

/** A person at a route, and how the session came to be. */
export interface SignedInPerson extends PersonCaller {
  /** False while the session was opened by a link and no passkey has been enrolled in it: good for enrolment only. */
  enrolled: boolean;
  /** How the session came to be. */
  via: SessionOrigin;
  /** A session of a terminal: it never approves and never enrols a passkey. */
  restricted: boolean;
  since: number;
  until: number;
  /** Name of the identity provider that vouched; null where a passkey did. */
  provider: string | null;
  /** Of `mail`: all that it may look at, and the channel of the mail. */
  byMail: { approval: string; channel: string } | null;
}

/**
 * Throws unless whoever presents this token holds the key that it is bound to (RFC 9449 §7). `hash`: SHA-256 of the token, base64url;
 * `boundTo`: thumbprint of the key.
 */
export type ProveKey = (token: { hash: string; boundTo: string }) => Promise<void>;

/** A session just made. The token is in the cookie and nowhere else. */
export interface NewSession {
  /** Value of the `Set-Cookie` header. */
  setCookie: string;
  person: SignedInPerson;
  /** Milliseconds since the epoch, as all times here. */
  expiresAt: number;
}

/**
 * `passkey`: full. `oidc`: the company's provider vouched; what a passkey has to sign still needs one. `device`: a terminal, restricted.
 * `link` and `recovery`: good for enrolling a passkey only. `mail`: by the link of a mail, good for looking at its approval and answering it.
 */
export type SessionOrigin = 'passkey' | 'oidc' | 'device' | 'link' | 'recovery' | 'mail';

export interface SessionSummary {
  /** Handle for `revokeSession`; not the token. */
  id: string;
  createdAt: number;
  expiresAt: number;
  lastSeenAt: number;
  userAgent: string;
  via: SessionOrigin;
  restricted: boolean;
  /** Name of the identity provider, where one vouched. */
  provider: string | null;
}

export interface Passkey {
  id: string;
  name: string;
  createdAt: number;
  lastUsedAt: number | null;
}

/** How a person gets in. */
export interface PersonFooting {
  passkeys: number;
  sessions: number;
  identities: { provider: string; issuer: string; linkedAt: number; lastUsedAt: number }[];
  /** A passkey by a link of somebody else that is no second person beside them until then. */
  unconfirmed: { madeBy: string; until: number } | null;
}

/** An assertion whose signature, challenge, origin, relying party and user verification have been checked. */
export interface VerifiedAssertion {
  person: string;
  passkey: string;
  counter: number;
  /** Public key as JWK, so that whoever keeps the assertion can verify it without us. */
  publicKey: Json;
  rpId: string;
  origin: string;
  /** The signed parts, as given: id, clientDataJSON, authenticatorData, signature. */
  response: { id: string; clientDataJSON: string; authenticatorData: string; signature: string };
}

/** Links in mails: each opens a short session in which its person looks at one approval. A yes there needs their passkey as everywhere. */
export interface MailLinks {
  /** Of a mail that is sent again, the last one counts. Null for who is not here any more, or has too many that are open, and for what does not wait any more. */
  make(of: {
    person: string;
    approval: string;
    channel: string;
    mail: string;
    expiresAt: number;
  }): Promise<{ url: string; token: Secret } | null>;
  /**
   * Single use. Throws `mail-link.invalid` for one that is unknown, used, run out, or of another approval, without saying which. What it
   * opens takes the place of the session that `cookie` carries.
   */
  redeem(token: string, of: { approval: string; userAgent?: string; cookie?: string }): Promise<NewSession>;
  /** Nothing waits there any more: its links are worth nothing, and the sessions that they opened end. */
  end(transaction: DatabaseTransaction, approval: string): Promise<void>;
}

/** What approvals need of passkeys. */
export interface PasskeyVerification {
  /** PublicKeyCredentialRequestOptionsJSON over this challenge, for this person's passkeys. Throws `passkey.none`. */
  assertionOptions(person: string, challenge: Uint8Array): Promise<Json>;
  /** Throws `passkey.not-verified` (another challenge, origin, person, key, no user verification) or `passkey.malformed`. */
  verifyAssertion(person: string, challenge: Uint8Array, assertion: Json): Promise<VerifiedAssertion>;
  /** Whether this key (a JWK) was ever enrolled for this person, whatever has become of the passkey. */
  wasEnrolled(person: string, publicKey: Json): Promise<boolean>;
  /** Counts the use. Throws `passkey.replayed` when the counter does not move on, or the passkey is gone. */
  useAssertion(transaction: DatabaseTransaction, verified: VerifiedAssertion): Promise<void>;
  /**
   * Throws `passkey.no-second-person` where one of those who want it has made this passkey's link within the last 7 days, or this person
   * that of one of theirs, or the server's host did, and no other admin has confirmed it since.
   */
  requireSecondPerson(
    transaction: DatabaseTransaction,
    of: { person: string; passkey?: string; wants(email: string): boolean },
  ): Promise<void>;
}

export interface People extends PasskeyVerification {
  /**
   * A one-time link, 15 minutes, the newest one only. For a person without passkeys it opens a session that can enrol the first
   * one. For a person who has passkeys it leads to passkey sign-in and opens nothing, unless `recovery` is set: then its session
   * can enrol a passkey that *replaces all earlier ones* and ends every other session, so that a takeover can't go unnoticed.
   * `by` is `gatehouse` or `operator` (made on the server's host) or `person:EMAIL` of an admin; nobody makes a recovery link for themselves.
   */
  createSigninLink(
    email: string,
    options: { by: string; recovery?: boolean },
  ): Promise<{ url: string; token: string; expiresAt: number }>;
  /**
   * Single use: one that leads to passkey sign-in is used up as well. Throws `signin-link.invalid` for one that is unknown, used
   * or run out, without saying which. What it opens takes the place of the session that `cookie` carries.
   */
  redeemSigninLink(
    token: string,
    request: { userAgent?: string; cookie?: string },
  ): Promise<{ next: 'enrol'; session: NewSession } | { next: 'passkey'; person: string }>;

  readonly mailLinks: MailLinks;

  readonly secondYes: SecondYeses;

  /** PublicKeyCredentialCreationOptionsJSON. Needs a link session, or one that began within the last 5 minutes (`session.stale`). */
  enrolmentOptions(person: SignedInPerson): Promise<Json>;
  /** Stores the passkey and rotates the session: the old cookie is dead, the new one is enrolled. */
  enrol(
    person: SignedInPerson,
    response: Json,
    options: { name?: string; userAgent?: string },
  ): Promise<{ passkey: Passkey; session: NewSession }>;

  /**
   * PublicKeyCredentialRequestOptionsJSON for discoverable credentials: the authenticator says who it is. `address`: of the connection that
   * asks; of too many challenges those of the busiest network give way.
   */
  signInOptions(address?: string | null): Promise<Json>;
  /** Any session that `cookie` carries ends: a new privilege is a new session. */
  signIn(response: Json, request: { userAgent?: string; cookie?: string }): Promise<NewSession>;
  /** Value of the `Set-Cookie` header that clears the cookie. */
  signOut(person: SignedInPerson): Promise<string>;

  /**
   * Who calls a people's route. Any `Authorization` header is refused outright: agents' tokens never work here (law 4).
   * A session without a passkey is refused with `session.enrol-first` unless the route is one of enrolment and says so. `passive` asks without counting as use: for
   * streams that look again whether their reader is still signed in, which would keep a forgotten tab signed in for ever.
   * One that a mail's link opened is refused unless `isOpenByMail` says yes to its approval.
   * The one exception is `Authorization: Session TOKEN` of a terminal, which needs `prove`: such a session is bound to a key.
   */
  authenticatePerson(
    headers: { cookie?: string; authorization?: string },
    options?: {
      enrolling?: boolean;
      passive?: boolean;
      prove?: ProveKey;
      isOpenByMail?: (approval: string) => boolean;
    },
  ): Promise<SignedInPerson>;
  /** Email of whose session a cookie is, if anybody's; does not count as use. */
  signedInAt(cookie: string | undefined): Promise<string | undefined>;

  /** How this person can show, in this session and now, that it is them. */
  presence(person: SignedInPerson): Promise<{ by: 'passkey' } | { by: 'provider'; provider: string; fresh: boolean }>;

  /**
   * A session of a terminal, which the person has let in from another one of theirs (`grantedIn`, still live: who has left or signed out
   * meanwhile lets nobody in). Recorded. What a provider vouched for ends with that provider's logout. The token is good only
   * beside a proof by the key with this thumbprint.
   */
  openTerminalSession(of: {
    person: string;
    grantedIn: string;
    userAgent: string;
    dpopJkt: string;
  }): Promise<{ session: string; token: Secret; expiresAt: number }>;

  listSessions(person: string): Promise<SessionSummary[]>;
  revokeSession(person: string, id: string, by: string): Promise<void>;
  revokeAllSessions(person: string, by: string): Promise<number>;

  /** The session of somebody for whom an identity provider vouched; any session that `cookie` carries ends. Recorded. */
  openProviderSession(
    transaction: DatabaseTransaction,
    person: string,
    how: {
      provider: { name: string; subject: string; session: string | null };
      userAgent: string;
      cookie?: string;
    },
  ): Promise<NewSession>;
  /**
   * Ends what a provider vouched for: one session of its own, or all of a subject; for whom only it knows, what a passkey or a terminal
   * opened as well, and they sign in there again. Says how many sessions.
   */
  endProviderSessions(
    transaction: DatabaseTransaction,
    of: { provider: string; subject?: string; session?: string },
  ): Promise<number>;

  /** Sessions of everybody, newest first; `before` is the id of the last one of the page before. */
  listAllSessions(filter: {
    via?: string;
    before?: string;
    limit: number;
  }): Promise<(SessionSummary & { person: string })[]>;

  /** Part of a departure: every session, passkey, link and identity of a person ends; an address can be given to somebody else. */
  forget(transaction: DatabaseTransaction, person: string, by: string): Promise<{ sessions: number; passkeys: number }>;
  /** Passkeys, live sessions and identities of each of these people, or of all. */
  footing(people?: string[]): Promise<Map<string, PersonFooting>>;

  listPasskeys(person: string): Promise<Passkey[]>;
  renamePasskey(person: SignedInPerson, id: string, name: string): Promise<Passkey>;
  /** Ends all other sessions of the person. Refused for the last one (`passkey.last`) and in an old session (`session.stale`). */
  removePasskey(person: SignedInPerson, id: string): Promise<void>;
  /** An admin has seen whose passkeys these are (`passkey.not-yours-to-confirm` for the maker of the link and the person). */
  confirmPasskeys(person: string, by: string): Promise<void>;

  /** Forgets links, challenges and sessions that have run out; called by a timer. */
  sweep(): Promise<void>;
}
