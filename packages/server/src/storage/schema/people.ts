/** What is known of people. */
export interface PeopleTables {
  passkeys: {
    id: string;
    person: string;
    public_key: Uint8Array;
    counter: number;
    transports: string;
    name: string;
    created_at: number;
    last_used_at: number | null;
    /** Who made the link that it was enrolled by, where that matters: `person:EMAIL`, or `operator` on the server's host. */
    made_by: string | null;
    /** `person:EMAIL` who has seen whose it is. */
    confirmed_by: string | null;
    /** Over what decides in it; null: it lets nobody in. */
    seal: Uint8Array | null;
  };

  /** Every key of a passkey that was ever a person's (`key`: digest of its JWK), also of passkeys that are gone. Never deleted. */
  enrolled_keys: { id: string; person: string; key: string; at: number; seal: Uint8Array };

  /** Who decided about proposals and was about to lose that. Never deleted: one row a person. */
  former_deciders: { person: string; until: number };

  people_sessions: {
    id_digest: string;
    person: string;
    created_at: number;
    expires_at: number;
    last_seen_at: number;
    user_agent: string;
    via: string;
    /** 1: of a terminal. */
    restricted: number;
    dpop_jkt: string | null;
    /** Name of the identity provider that vouched, its subject and its own session. */
    provider: string | null;
    provider_subject: string | null;
    provider_session: string | null;
    /** Of `link` and `recovery`: who made the link. */
    made_by: string | null;
    /** Of `mail`: the approval that it may look at, and the channel that the mail was sent through. */
    approval: string | null;
    channel: string | null;
    seal: Uint8Array | null;
  };

  /** Browsers that tell their person what waits, by Web Push. `sealed`: address and keys. `session`: that in which it was last turned on or seen. */
  push_subscriptions: {
    id: string;
    person: string;
    session: string;
    endpoint_digest: string;
    /** Host of the push service. */
    service: string;
    sealed: Uint8Array;
    user_agent: string;
    /** 1: signing out leaves it. */
    stays: number;
    created_at: number;
    seen_at: number;
    sent_at: number | null;
  };

  /** Who somebody is at an identity provider: once linked, an address that changes there links nobody else. */
  person_identities: {
    issuer: string;
    subject: string;
    person: string;
    provider: string;
    linked_at: number;
    last_used_at: number;
    /** The last sign-in there; null: it has logged them out since, or takes them for nobody now. */
    signed_in_at: number | null;
    /** `sid` of that sign-in. */
    provider_session: string | null;
  };

  /** Sign-ins under way at an identity provider; each is used once. */
  provider_sign_ins: {
    state_digest: string;
    provider: string;
    /** Of the cookie that binds it to one browser. */
    browser_digest: string;
    nonce: string;
    /** PKCE verifier, sealed. */
    sealed_verifier: Uint8Array;
    next: string;
    expires_at: number;
  };

  /** Bearers of directories; the token itself is nowhere. */
  scim_tokens: {
    id: string;
    name: string;
    token_digest: string;
    created_at: number;
    created_by: string;
    last_used_at: number | null;
    expires_at: number | null;
  };

  /** What a directory says of a person; `objects` has what follows from it. */
  scim_users: {
    id: string;
    /** Lower-case; the `userName` as given stands in the body. */
    user_name: string;
    email: string;
    external_id: string | null;
    active: number;
    body: string;
    version: number;
    created_at: number;
    updated_at: number;
  };

  scim_groups: {
    id: string;
    display_name: string;
    external_id: string | null;
    version: number;
    created_at: number;
    updated_at: number;
  };

  scim_members: { group_id: string; user_id: string };

  scim_agents: {
    id: string;
    name: string;
    external_id: string | null;
    /** 1: the directory has deactivated it, and may bring it back. */
    suspended: number;
    body: string;
    version: number;
    created_at: number;
    updated_at: number;
  };

  signin_links: {
    token_digest: string;
    person: string;
    expires_at: number;
    used_at: number | null;
    made_by: string | null;
    seal: Uint8Array | null;
  };

  /** Links in mails: each for one person, one mail and one approval. They go when the approval is decided. */
  mail_links: {
    token_digest: string;
    person: string;
    approval: string;
    channel: string;
    /** Id of the delivery. */
    mail: string;
    expires_at: number;
    used_at: number | null;
    /** When a use of it was first refused; more are not recorded. */
    refused_at: number | null;
    seal: Uint8Array | null;
  };

  /** Requests of sessions of the command line that wait for their person, or for being repeated. `state`: `open`, `confirmed`, `refused`, `used`. */
  confirmations: {
    id: string;
    /** Goes with the row, so that the digest, which is on record, tells nothing of a body that could be guessed. */
    salt: string;
    session: string;
    person: string;
    digest: string;
    /** ConfirmationShown. */
    shown: string;
    state: string;
    created_at: number;
    expires_at: number;
  };

  webauthn_challenges: {
    id: string;
    person: string;
    purpose: string;
    challenge: string;
    expires_at: number;
    /** Network that asked for a sign-in; empty for other purposes. */
    source: string;
  };
}
