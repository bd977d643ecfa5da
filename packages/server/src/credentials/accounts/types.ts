import type { AccountBegun, AccountView, OAuthSource } from '@gatehouse/protocol';
import type { Secret } from '../../platform/index.ts';
import type { PendingConsent } from '../oauth/index.ts';

/** Whose access, by which provider, for which agent. */
export interface Whose {
  provider: string;
  agent: string;
  user: string;
}

/** A consent between its beginning and the browser's return. */
export interface PendingAccount extends PendingConsent, Whose {
  what: 'account';
  scopes: string[];
  binding: string;
  verifier: string;
}

/** An access token for one task. */
export interface AccountToken {
  token: Secret;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  parts: Record<string, string>;
  account: string;
  /** Where it was issued, as the manifest was then. */
  source: OAuthSource;
}

export interface Accounts {
  /** Begins to connect a person's own account. Throws GatehouseError. */
  begin(user: string, asked: { provider: string; agent: string; scopes?: string[] | undefined }): Promise<AccountBegun>;
  /** What the browser brought back. */
  finish(pending: PendingAccount, query: URLSearchParams, cookies: string | undefined): Promise<Whose>;
  list(filter: {
    user?: string;
    agent?: string;
    visibleTo?: { user: string; agents: string[] };
  }): Promise<AccountView[]>;
  get(id: string): Promise<AccountView | undefined>;
  /** Nothing is given of it any more, and it is revoked at the other system as far as that takes it. */
  disconnect(id: string, by: string): Promise<{ id: string; revoked: boolean; problem: string | null }>;
  /** Throws `NotMade` where nothing was issued, with where the person consents. */
  token(whose: Whose, scopes: readonly string[], needsUntil: number): Promise<AccountToken>;
  /** For how long a token of this provider lives at most, as far as is known. */
  lifeSeconds(provider: string): Promise<number>;
  /** Those that are to end, and could not be revoked at the other system yet, by provider. */
  unrevoked(): Promise<{ provider: string; count: number }[]>;
  /** Ends what nobody may use any more: its person has left, its agent is retired, its provider is gone. Called by a timer. */
  sweep(): Promise<void>;
  /** People, agents or providers have changed. */
  changed(): void;
}
