import { z } from 'zod';
import type { Role } from './manifests/index.ts';
import { type Effect, name, type Tier } from './names.ts';
import { type TaskParameters, taskParameters } from './tasks.ts';

/**
 * A person's consent: which agent a client may drive, for which task, narrowed to what. It is asked for in the browser that the
 * client has opened (`browser`), by a code that the person types in (`device`, RFC 8628), or by an agent out of band (`backchannel`,
 * OpenID CIBA).
 */
export type ConsentKind = 'browser' | 'device' | 'backchannel';

export interface ConsentClient {
  id: string;
  /** As it calls itself: nobody has checked that, unless it is registered here. */
  name: string;
  /** `agent`: the client is the agent itself. */
  known: 'registered' | 'metadata-document' | 'dynamic' | 'agent' | 'command-line';
  /** Where its metadata document is; null for the others. */
  host: string | null;
  /** Where the answer goes; null where the client fetches it. */
  redirectHost: string | null;
  /** True: the answer goes to whatever program listens on the person's own machine. */
  loopback: boolean;
}

/** One thing that the agent may use in such a task. */
export interface ConsentTool {
  /** `server/tool`, `server#resources` or `server#prompts`. */
  ref: string;
  description: string | null;
  tier: Tier;
  effects: Effect[];
  /** False: no group of the person allows it to them, so that the agent could not use it for them either. */
  yours: boolean;
  /** Arguments that the template fixes: `{order: "$order"}`. */
  when: Record<string, string | number | boolean>[];
}

export interface ConsentChoice {
  agent: string;
  purpose: string;
  environment: string;
  production: boolean;
  owner: string;
  /** True: the token is not bound to a key, so that whoever gets hold of it can use it while it lives. */
  bearerOnly: boolean;
  template: string;
  description: string | null;
  parameters: Record<
    string,
    { type: 'string' | 'integer' | 'boolean'; required: boolean; description?: string | undefined }
  >;
  ttlSeconds: number;
  tools: ConsentTool[];
  /** Of all that this choice shows, the client included: a yes is for exactly this. */
  digest: string;
}

/** What the client has asked for: it fills the page in, and nothing but the tools that it names is offered (RFC 9396 section 7: never more than was asked). */
export interface ConsentWish {
  template: string;
  parameters: TaskParameters;
  intent: string;
  /** Names and patterns of tools; null where all are wanted. */
  tools: string[] | null;
}

/**
 * What a person says yes to when the command line signs in: a session of theirs for whoever holds one key. It reads and stops as
 * their roles allow, has them confirm the rest in a browser, and can never approve, consent, change passkeys or let anybody in (law 4).
 */
export interface SignInRequest {
  /** As the computer calls itself, which nobody has checked; null where it gave no name. */
  host: string | null;
  /** Where the request came from; null where that is not known. */
  address: string | null;
  /** True: from where the person's browser is. */
  sameAddress: boolean;
  person: { email: string; displayName: string; roles: Role[] };
  /** How the person proves that it is them: their passkey signs it; who has none signs in with the company's provider just before. */
  proof: { by: 'passkey' } | { by: 'provider'; provider: string; fresh: boolean };
  /** Life of the session. */
  ttlSeconds: number;
  /** Of all that is shown: a yes is for exactly this. */
  digest: string;
}

export interface ConsentView {
  id: string;
  kind: ConsentKind;
  client: ConsentClient;
  /** Absolute URLs that the token is for. */
  resources: string[];
  /** CIBA: what the agent says this is about. */
  bindingMessage: string | null;
  /** Device flow: the code, as it has to stand on the device. */
  userCode: string | null;
  wish: ConsentWish | null;
  /** Of the command line: what it asks for in place of a choice. */
  signIn: SignInRequest | null;
  choices: ConsentChoice[];
  /** The person may leave a standing delegation with their yes; null where the policies do not let them. Nobody can ask for one. */
  standing: { mostDays: number } | null;
  /** Why there is nothing to choose from; null where there is. */
  obstacle: string | null;
  createdAt: number;
  expiresAt: number;
}

/** One that waits for the signed-in person, asked for out of band. */
export interface ConsentSummary {
  id: string;
  client: ConsentClient;
  bindingMessage: string | null;
  wish: ConsentWish | null;
  createdAt: number;
  expiresAt: number;
}

const ref = z
  .string()
  .max(200)
  .regex(/^[a-z][a-z0-9-]*(\/[A-Za-z0-9_.-]+|#(resources|prompts))$/);

/**
 * Also lets the agent act for the person without them, so many days long: with exactly these parameters, these tools and this time for each
 * task.
 */
const standing = z.strictObject({ days: z.number().int().min(1).max(90) }).optional();

/** What a person says yes to: a choice as it was shown, and what they have filled in and kept of it. */
const answer = z.strictObject({
  agent: name,
  template: name,
  /** Of the choice that was shown. */
  digest: z.string().max(100),
  parameters: taskParameters,
  intent: z.string().min(1).max(2_000),
  /** What is left of the choice's tools. */
  tools: z.array(ref).min(1).max(5_000),
  /** At most that of the choice. */
  ttlSeconds: z.number().int().min(60).max(86_400),
  standing,
});

export const consentBodies = {
  /** What the passkey is to sign: the whole answer, or of the command line the digest of what was shown. */
  options: answer.partial().required({ digest: true }),
  approve: answer.extend({
    parameters: taskParameters.default({}),
    /** Where `POST /consents/:id/options` asked for one: over the same answer. */
    assertion: z.record(z.string(), z.unknown()).optional(),
  }),
  signIn: z.strictObject({
    /** Of the request that was shown. */
    digest: z.string().max(100),
    /** Where the proof is a passkey: over the challenge of `POST /consents/:id/options`. */
    assertion: z.record(z.string(), z.unknown()).optional(),
  }),
} as const;
export type ConsentAnswer = z.infer<typeof consentBodies.approve>;
export type SignedConsent = z.infer<typeof consentBodies.options>;
export type SignInAnswer = z.infer<typeof consentBodies.signIn>;

/** Part of `Api`. `:id` is `browser-…`, `device-…` or `backchannel-…`. */
export interface ConsentRoutes {
  'GET /consents': { items: ConsentSummary[] };
  'GET /consents/:id': ConsentView;
  /**
   * For `backchannel` and the command line. The challenge is the SHA-256 of `{v: 1, consent: id, …body}` in canonical JSON (RFC 8785), so that the
   * page can tell what it is over.
   */
  'POST /consents/:id/options': { options: unknown };
  /** `redirect` takes the browser back to the client; null where the client fetches the answer. */
  'POST /consents/:id/approve': { redirect: string | null };
  /** Of the command line only: a session of the person in place of an agent's token. */
  'POST /consents/:id/sign-in': { ok: true };
  'POST /consents/:id/deny': { redirect: string | null };
}
