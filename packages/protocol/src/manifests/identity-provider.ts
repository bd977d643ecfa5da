import { z } from 'zod';
import { name, secretName, toolPattern } from '../names.ts';
import { role } from './person.ts';

/** The company's OpenID provider: people sign in with it. */
export const identityProviderManifest = z.strictObject({
  kind: z.literal('IdentityProvider'),
  name,
  /** On the button of the sign-in page. */
  displayName: z.string().min(1).max(60),
  issuer: z.url().max(500),
  clientId: z.string().min(1).max(500),
  /** `private_key_jwt`: with a key of Gatehouse's own, published at `/oidc/jwks`. The others need `secret`. */
  clientAuthentication: z
    .enum(['private_key_jwt', 'client_secret_basic', 'client_secret_post'])
    .default('private_key_jwt'),
  /** Name of the stored secret (`gatehouse secrets set`), which is sent to the provider's token endpoint and nowhere else. */
  secret: secretName.optional(),
  scopes: z.array(z.string().max(100)).min(1).max(20).default(['openid', 'email', 'profile']),
  /** The claim that holds the address by which a person is known here. */
  emailClaim: z.string().min(1).max(100).default('email'),
  /** True: its addresses count without `email_verified`. Only where the provider's own administrators set every address. */
  emailTrusted: z.boolean().default(false),
  /** Domains of addresses that it may speak for; empty: any. */
  domains: z.array(z.string().max(253)).max(100).default([]),
  /** The claim that lists a person's groups, for `roles`. */
  groupsClaim: z.string().min(1).max(100).optional(),
  /** Roles by group, for people who are made at sign-in (`provision`). Those who are declared keep the roles of their manifest. */
  roles: z.record(z.string().max(200), z.array(role).min(1)).default({}),
  /** Makes a person at their first sign-in if a group of theirs has roles here. */
  provision: z.boolean().default(false),
  /**
   * Hours after which who is known only from this provider (`provision`) signs in there again: until then their passkey is enough, and no
   * session of theirs lasts longer.
   */
  signInAgainHours: z.int().min(1).max(720).default(24),
  /** False: its people need an admin's link for their first passkey. */
  enrolsPasskeys: z.boolean().default(true),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
  /**
   * Its ID tokens stand for their person where an agent presents them (token exchange, RFC 8693), under a standing delegation of that
   * person to that agent. Without this they count for nothing.
   */
  tokenExchange: z
    .strictObject({
      /** Client ids of applications whose sign-ins count, beside `clientId`. */
      audiences: z.array(z.string().min(1).max(500)).max(50).default([]),
    })
    .optional(),
  /** Its ID-JAGs are taken (draft-ietf-oauth-identity-assertion-authz-grant): it decides which agent may act here for whom. */
  idJag: z
    .strictObject({
      /** Agents that may present them. */
      agents: z.array(name).min(1).max(1_000),
      /** Template of the tasks of people who have delegated nothing; without it only standing delegations count. */
      template: name.optional(),
      /** Tools that a scope of an ID-JAG stands for; a scope that is a tool pattern stands for itself, any other one for nothing. */
      scopes: z.record(z.string().min(1).max(200), z.array(toolPattern).min(1).max(50)).default({}),
    })
    .optional(),
});

export type IdentityProviderManifest = z.infer<typeof identityProviderManifest>;
