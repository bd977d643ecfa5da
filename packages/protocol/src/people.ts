import { z } from 'zod';
import type { Role } from './manifests/index.ts';
import { email } from './names.ts';

/** Somebody known to the workspace, with where they come from and what hangs on them. */
export interface PersonView {
  kind: 'Person';
  email: string;
  displayName: string;
  /** Those that count now; none for who has left. */
  roles: Role[];
  /** Of the directory (SCIM). */
  groups: string[];
  /** `manifest`, `scim`, or `oidc/NAME` for somebody made at sign-in. */
  source: string;
  /** Also in the company's directory, which says when they leave. */
  provisioned: boolean;
  successor: string | null;
  /** `keepKeys`: whether their agents were to keep their keys. */
  departed: { at: number; by: string; successor: string | null; keepKeys?: boolean } | null;
  passkeys: number;
  sessions: number;
  /** Names of the agents that they own, the retired left out. */
  agents: string[];
  /** Identity providers that they have signed in with. */
  identities: { provider: string; issuer: string; linkedAt: number; lastUsedAt: number }[];
  /** A passkey by a link that `madeBy` (`person:EMAIL`, or the server's host) made: until then no second person beside them. */
  unconfirmed: { madeBy: string; until: number } | null;
}

/** What a role may do, as the policies in force have it. */
export interface RoleView {
  name: Role | 'operator';
  may: { action: string; words: string /** Only with the agents that the person owns. */; onOwn: boolean }[];
}

export interface SessionSummaryView {
  id: string;
  person: string;
  createdAt: number;
  lastSeenAt: number;
  expiresAt: number;
  userAgent: string;
  current: boolean;
  /** `passkey`, `oidc`, `device`, `link`, `recovery` or `mail`. */
  via: string;
  /** Of a terminal: it can never approve or enrol. */
  restricted: boolean;
  provider: string | null;
}

/** What somebody's departure did. */
export interface OffboardResult {
  person: string;
  successor: string | null;
  endedSessions: number;
  removedPasskeys: number;
  /** Agents that went to the successor. */
  handedOver: string[];
  /** Agents that were suspended for want of one. */
  suspended: string[];
  revokedDelegations: number;
  /** Of these agents, and those that the person made for any other. */
  revokedJoinTokens: number;
  /** Whether the agents kept their keys and tokens. Without, they enrol again. */
  keepKeys: boolean;
  droppedKeys: number;
  /** Asked with the keys that were dropped. */
  cancelledApprovals: number;
  /** Names of rules that go on vouching for agents which were handed over: whoever rules what they trust gets in. */
  trustRules: string[];
}

export interface SignInProviderView {
  name: string;
  displayName: string;
}

export interface ScimTokenView {
  id: string;
  name: string;
  createdAt: number;
  createdBy: string;
  lastUsedAt: number | null;
  expiresAt: number | null;
}

export const peopleBodies = {
  offboard: z.strictObject({
    successor: email.optional(),
    /** Leaves the agents the keys and tokens that they have, of which the person may have copies. */
    keepKeys: z.boolean().default(false),
    reason: z.string().max(500).default(''),
  }),
  reinstate: z.strictObject({}),
  providerSignIn: z.strictObject({ provider: z.string().max(64), next: z.string().max(2_000).default('/') }),
  createScimToken: z.strictObject({
    name: z.string().min(1).max(100),
    expiresInDays: z.number().int().min(1).max(3_650).optional(),
  }),
} as const;

export const sessionsQuery = z.strictObject({
  via: z.enum(['passkey', 'oidc', 'device', 'link', 'recovery', 'mail']).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});

export const peopleQuery = z.strictObject({
  /** Words that all are in the name, address, roles, source or groups. */
  search: z.string().max(200).default(''),
  limit: z.coerce.number().int().min(1).max(200).default(200),
  /** Address of the last one of the page before. */
  cursor: z.string().max(254).optional(),
});

/** Routes about people, their sign-in and their directory. */
export interface PeopleApi {
  'GET /people': { items: PersonView[]; cursor: string | null };
  'GET /people/:email': PersonView;
  /** Ends everything that somebody has here: sessions, passkeys, delegations; their agents go to a successor or are suspended, without their keys unless `keepKeys`. */
  'POST /people/:email/offboard': OffboardResult;
  'POST /people/:email/reinstate': PersonView;
  /** An admin has seen whose passkey it is that a link of somebody else has led to. */
  'POST /people/:email/passkeys/confirm': PersonView;
  'GET /people/:email/sessions': { items: SessionSummaryView[] };
  'DELETE /people/:email/sessions': { ended: number };
  'DELETE /people/:email/sessions/:id': { ok: true };
  /** Sessions of everybody, newest first. */
  'GET /sessions/everyone': { items: SessionSummaryView[]; cursor: string | null };
  'GET /roles': { items: RoleView[] };
  'GET /scim/tokens': { items: ScimTokenView[] };
  /** The token is in this answer and never again. */
  'POST /scim/tokens': ScimTokenView & { token: string; url: string };
  'DELETE /scim/tokens/:id': { ok: true };
  'GET /signin/providers': { items: SignInProviderView[] };
  /** Where the browser goes to sign in with the company's provider. */
  'POST /signin/provider': { url: string };
}
