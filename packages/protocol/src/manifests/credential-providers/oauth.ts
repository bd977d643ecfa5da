import { z } from 'zod';
import { secretName } from '../../names.ts';
import { destinations } from './destinations.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

/** Systems whose authorization servers have ways of their own; `other` is any that keeps to the standards. */
export const oauthSystems = ['slack', 'google', 'microsoft', 'salesforce', 'jira', 'other'] as const;
export type OAuthSystem = (typeof oauthSystems)[number];

const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'is one OAuth scope');
const scopes = z.array(scope).min(1).max(50);
const address = z.url().max(1_000);

export const oauthSource = z
  .strictObject({
    type: z.literal('oauth'),
    system: z.enum(oauthSystems).default('other'),
    /**
     * How a task's person is known there. `consent`: they have let the agent use their account. `id_jag` and `token_exchange`: that server trusts
     * Gatehouse (issuer: its public URL, keys at `/oauth/jwks`) to say who they are, by an identity assertion
     * (draft-ietf-oauth-identity-assertion-authz-grant) or a JWT that is exchanged (RFC 8693). Of `other` with an `issuer`.
     */
    grant: z.enum(['consent', 'id_jag', 'token_exchange']).default('consent'),
    /** Of the system's authorization server where it is not the usual one: `https://acme.my.salesforce.com`. */
    url: address.optional(),
    /** Of `other`: the issuer, whose metadata says where its endpoints are (RFC 8414, OpenID Connect Discovery). */
    issuer: address.optional(),
    /** Of `other` without metadata. */
    endpoints: z.strictObject({ authorization: address, token: address, revocation: address.optional() }).optional(),
    /** Of Microsoft: the tenant's id. */
    tenant: z.guid().optional(),
    clientId: z.string().min(1).max(500),
    /** Name of the stored secret with the client's secret, for the token endpoint's address. Without it: a public client. */
    secret: secretName.optional(),
    /** What people may be asked to grant, and any token may have at most. */
    scopes,
    /** The only tool servers that tokens are sent to: a person's consent is for these and no others. */
    for: destinations,
    /** The resource indicator (RFC 8707) that tokens are asked for. */
    resource: address.optional(),
    /** Of `other`. True: revoking an access token ends that token alone, and not what the person has granted. */
    endsTokens: z.boolean().default(false),
    /** Where it is not on the public internet. Link-local addresses never. */
    allowPrivateAddress: z.boolean().default(false),
    /** PEM certificates to trust for it instead of the system's. */
    ca: z.string().max(100_000).optional(),
  })
  .superRefine(({ system, grant, issuer, endpoints, tenant, secret, endsTokens }, context) => {
    const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (system === 'other' && (issuer === undefined) === (endpoints === undefined))
      wrong('issuer', 'is given, or `endpoints`, and not both');
    if (system !== 'other' && (issuer ?? endpoints) !== undefined)
      wrong('system', 'has its own endpoints: give `url` where they are elsewhere');
    if (grant !== 'consent' && (system !== 'other' || issuer === undefined))
      wrong('grant', 'needs an `issuer`: what is asserted is for that authorization server alone');
    if (system !== 'other' && endsTokens) wrong('endsTokens', 'is known of this system, and not to be given');
    if ((system === 'microsoft') !== (tenant !== undefined))
      wrong('tenant', system === 'microsoft' ? 'is needed: the id of your tenant' : 'is of Microsoft only');
    if (system !== 'other' && secret === undefined) wrong('secret', 'is needed: this system takes no public client');
  });
export type OAuthSource = z.infer<typeof oauthSource>;

const oauthScope = z.strictObject({ scopes: scopes.optional() });
export type OAuthScope = z.infer<typeof oauthScope>;

export const oauthKind: CredentialKind<OAuthSource, OAuthScope> = {
  from: oauthSource,
  scope: oauthScope,
  parts: ({ system }) => (system === 'salesforce' ? ['token', 'instanceUrl'] : ['token']),
  // One that an earlier version has stored says nothing of it: then nowhere.
  destinations: ({ for: only }: { for?: string[] }) => only ?? [],
  narrow({ scopes: allowed }, { scopes: asked = allowed }) {
    const foreign = asked.find((each) => !allowed.includes(each));
    if (foreign === undefined) return { scope: { scopes: [...new Set(asked)].sort() } };
    return { problem: `This provider issues no scope ${foreign}. Ask for less, or have it added to the provider.` };
  },
  meet(a, b) {
    const both = a.scopes && b.scopes ? meetOf(a.scopes, b.scopes) : (a.scopes ?? b.scopes);
    return both?.length === 0 ? nothingLeft('scope') : { scope: both ? { scopes: both } : {} };
  },
};
