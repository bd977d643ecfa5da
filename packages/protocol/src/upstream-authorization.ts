import { z } from 'zod';
import { name, secretName } from './names.ts';

/**
 * How Gatehouse authorizes itself at a tool server that wants OAuth (MCP authorization, 2026-07-28), and what the control API says of
 * it. Agents have no part in it: the token is the gate's own, for that one server in that one environment (law 3).
 */

/** RFC 6749 §3.3. */
const scope = z
  .string()
  .max(200)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/);

const common = {
  /** The only authorization server that is used; without it the one that the tool server names in its metadata. */
  issuer: z.url().max(2_000).optional(),
  /** As the authorization server knows Gatehouse. Without it: the address of our client metadata document, or a registration. */
  clientId: z.string().min(1).max(2_000).optional(),
  /** Secret with the client's password. Without it Gatehouse signs with a key (private_key_jwt), or is a public client. */
  clientSecret: secretName.optional(),
  /** Secret with a private key (PKCS #8 PEM, P-256) to sign with instead of the gate's own, which are at /oauth/jwks. */
  clientKey: secretName.optional(),
  /** All that may ever be asked for. Without it Gatehouse asks for whatever the tool server says it needs. */
  scopes: z.array(scope).min(1).max(64).optional(),
  /** Tokens bound to a key (RFC 9449): where the authorization server offers it, always (else refused), or never. */
  dpop: z.enum(['offered', 'required', 'off']).default('offered'),
};

export const upstreamAuthorization = z.discriminatedUnion('grant', [
  /** Gatehouse in its own name. */
  z.strictObject({ grant: z.literal('client_credentials'), ...common }),
  /** Workload identity federation (RFC 7523 §4): a JWT says who Gatehouse is, and no secret is shared. */
  z.strictObject({
    grant: z.literal('jwt_bearer'),
    ...common,
    /** Secret with the JWT. Without it Gatehouse signs one: `iss` its public URL, `sub` its SPIFFE ID, `aud` the issuer. */
    assertion: secretName.optional(),
  }),
  /** Enterprise-managed authorization: the company's identity provider gives an ID-JAG, which the tool server's accepts. */
  z.strictObject({
    grant: z.literal('enterprise_managed'),
    ...common,
    identityProvider: z.strictObject({
      issuer: z.url().max(2_000),
      clientId: z.string().min(1).max(2_000),
      /** Secret with the client's password there; without it Gatehouse is a public client. */
      clientSecret: secretName.optional(),
      /** Secret with the token of whom Gatehouse acts for. */
      subjectToken: secretName,
      subjectTokenType: z.enum(['id_token', 'refresh_token']).default('id_token'),
    }),
  }),
  /** An operator connects the server once, in a browser: `gatehouse servers connect NAME`. */
  z.strictObject({
    grant: z.literal('authorization_code'),
    ...common,
    /** Where our client metadata document is published, if not at /oauth/client-metadata/ISSUER of the public URL. */
    clientMetadataUrl: z.url().max(2_000).optional(),
    /** Register with the authorization server where there is no other way to be known to it (RFC 7591). */
    allowRegistration: z.boolean().default(false),
    /** Servers of the 2025-03-26 revision have no metadata of their own: their origin is taken for the authorization server. */
    allowLegacyDiscovery: z.boolean().default(false),
  }),
]);
export type UpstreamAuthorization = z.infer<typeof upstreamAuthorization>;

/**
 * - `idle`: nothing was needed yet.
 * - `authorized`: there is a token, or the means to get one without a person.
 * - `not-connected`: an operator has to connect it, for the first time or again; `lastError` says why.
 * - `failing`: the last attempt to get a token failed; it is tried again.
 */
export type UpstreamAuthorizationState = 'idle' | 'authorized' | 'not-connected' | 'failing';

export interface UpstreamAuthorizationView {
  environment: string;
  grant: UpstreamAuthorization['grant'];
  state: UpstreamAuthorizationState;
  issuer: string | null;
  /** Audience of the token (RFC 8707). */
  resource: string | null;
  clientId: string | null;
  scopes: string[];
  /** Bound to a key (DPoP). */
  bound: boolean;
  /** Of the token, in milliseconds since the epoch. */
  expiresAt: number | null;
  /** True: it is renewed without a person. */
  renewable: boolean;
  connectedBy: string | null;
  connectedAt: number | null;
  lastError: string | null;
  lastErrorAt: number | null;
}

export interface SecretView {
  name: string;
  /** Origins that it may be sent to. */
  origins: string[];
  updatedAt: number;
  /** Who looks after it. */
  owner: string | null;
  /** Days after which a new one is due. */
  rotateDays: number | null;
  /** When a new one is due; null where nobody has said. */
  rotationDueAt: number | null;
  /** To within a minute; null: not since that is noted. */
  lastUsedAt: number | null;
  /** Tool servers and credential providers whose manifests name it. */
  usedBy: string[];
  /** Whether `gatehouse secrets rotate` puts a new one in its place. */
  canRotate: boolean;
}

/** A long-lived secret that somebody else keeps, for a provider of the kind `static`. */
export interface KeptElsewhere {
  provider: string;
  part: string;
  /** Where it is kept, and what it is called there. */
  kept: string;
  named: string;
  origins: string[];
  owner: string | null;
  rotateDays: number | null;
  /** As whoever keeps it said when it was read last; null where nobody says. */
  changedAt: number | null;
  rotationDueAt: number | null;
  lastUsedAt: number | null;
}

/** Scheme, host and port of an address; of a database, too, which has no origin for a browser. */
export function originOf(address: string): string {
  const { origin, protocol, host } = new URL(address);
  return origin === 'null' ? `${protocol}//${host}` : origin;
}

const origin = z
  .url()
  .max(500)
  .refine(
    (url) => originOf(url) === url,
    'where it is sent: SCHEME://HOST or SCHEME://HOST:PORT without a path, such as https://HOST or postgres://HOST:5432, or stdio://NAME of a tool server',
  );

export const upstreamAuthorizationBodies = {
  /** Without an environment: the server's only one. */
  connect: z.strictObject({ environment: name.optional() }),
  disconnect: z.strictObject({ environment: name.optional() }),
  setSecret: z.strictObject({
    value: z.string().min(1).max(20_000),
    origins: z.array(origin).min(1).max(10),
    /** Left out, these two stay what they are; null takes them away. */
    owner: z.email().max(254).nullish(),
    rotateDays: z.int().min(1).max(3_650).nullish(),
  }),
} as const;

export interface UpstreamAuthorizationApi {
  /** `url` is to be opened in a browser, by the person who shall grant the access. */
  'POST /servers/:name/connect': { url: string; issuer: string; scopes: string[]; expiresAt: number };
  'POST /servers/:name/disconnect': { revoked: boolean };
  'GET /secrets': { items: SecretView[]; elsewhere: KeptElsewhere[] };
  'PUT /secrets/:name': SecretView;
  'POST /secrets/:name/rotate': SecretView;
  'DELETE /secrets/:name': { ok: true };
}
