import type { LeaseView } from './leases.ts';

/** What an agent can prove itself with now, and how it came by it. Times are milliseconds since the epoch. */

/** A credential that was issued, has not run out, and rests on an agent and a task that have not changed since. */
export interface LiveCredential {
  kind: 'access-token' | 'x509-svid' | 'jwt-svid';
  /** `jti` of a token; SHA-256 of a certificate, base64url. */
  id: string;
  /** Null: the agent's own, for no single task. */
  task: string | null;
  /** Whom it is for; empty for a certificate, which is shown to anybody. */
  audience: string[];
  /** `key THUMBPRINT`, `certificate THUMBPRINT`; null where whoever holds it can use it. */
  boundTo: string | null;
  /** How the agent had proven itself. */
  via: string;
  /** The OAuth client that it was given to, where that is not the agent. */
  client: string | null;
  issuedAt: number;
  expiresAt: number;
  /** The record of its issue. */
  actionId: string;
}

/** A credential of another system that the agent itself was handed, and that may still work. */
export type HandedOut = Pick<
  LeaseView,
  'id' | 'provider' | 'task' | 'scope' | 'state' | 'expiresAt' | 'worksUntil' | 'handedBy'
>;

/** What tasks of the agent may ask to be handed: provider and template say so, and policies and a person may still say no. */
export interface MayBeHanded {
  provider: string;
  type: string;
  template: string;
  /** At 3 a person has to approve each. */
  tier: 1 | 2 | 3;
  maxSeconds: number;
}

/** A key that came or went, as recorded. */
export interface KeyEvent {
  actionId: string;
  at: number;
  operation: string;
  by: string;
  changes: string[];
}

export interface AgentIdentityView {
  /** Newest first. */
  credentials: LiveCredential[];
  /** True: there are more than are listed. */
  more: boolean;
  /** Newest first; null for whoever may not see the leases of this agent. */
  handedOut: HandedOut[] | null;
  mayBeHanded: MayBeHanded[];
  /** Newest first. */
  keyEvents: KeyEvent[];
  /** That it may start tasks under. */
  templates: string[];
  /** Agents that it may hand its tasks on to, and those that may hand theirs on to it. */
  handsOnTo: string[];
  takesOverFrom: string[];
}

export interface AgentIdentityApi {
  'GET /agents/:name/identity': AgentIdentityView;
}
