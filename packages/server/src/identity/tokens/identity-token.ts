import { type Clock, GatehouseError, type JsonObject, limits, newId, Secret } from '../../platform/index.ts';
import { spiffeId } from '../../registry/index.ts';
import { type KeyDependencies, type KeysOnDemand, keysOnDemand } from '../keys/keys-on-demand.ts';
import type { KeyPurpose, PublishedKey } from '../keys/signing-keys.ts';
import { signCompactJws } from './jws.ts';

/**
 * Identity tokens: who an agent is and in which task, told to a system that gives credentials for it (AWS, Azure, Google Cloud, OpenBao). The
 * gate presents them; no agent gets one. INVARIANT: their issuer and keys are theirs alone. Whoever trusts this issuer trusts nothing that an agent can
 * ask of us, and no door of ours takes anything that these keys sign.
 */
export interface IdentityTokens {
  sign(of: IdentityTokenRequest): Promise<Secret>;
  /** OpenID Connect discovery: what a relying party is configured with. */
  metadata(): JsonObject;
  jwks(): Promise<{ keys: PublishedKey[] }>;
}

export interface IdentityTokenRequest {
  audience: string;
  environment: string;
  /** Both empty: a test of a provider, which is for nobody. */
  agent: string;
  task: string;
  /** Of the credential that it is to bring. */
  lease: string;
  /** What this audience understands beside. Nothing of ours is replaced by it. */
  claims?: JsonObject;
}

/** RS256: the one algorithm that all of them take. Azure documents no other. */
const IDENTITY_KEY: KeyPurpose = {
  name: 'identity-token',
  label: 'identity token key',
  algorithm: 'RS256',
  // Clouds keep what they fetched for hours.
  publishLeadMs: 24 * 3_600_000,
  overlapMs: limits.identityTokenTtlSeconds * 1_000 + 60_000,
};

export const identityPaths = {
  metadata: '/identity/.well-known/openid-configuration',
  jwks: '/identity/jwks',
} as const;

export function createIdentityTokens(
  deps: KeyDependencies & { publicUrl: string; trustDomain: string; clock: Clock },
): IdentityTokens & { keys: KeysOnDemand } {
  const { publicUrl, trustDomain, clock } = deps;
  const issuer = `${publicUrl}/identity`;
  const keys = keysOnDemand(deps, IDENTITY_KEY, 'who agents are, for systems outside that give credentials');

  return {
    keys,
    async sign({ audience, environment, agent, task, lease, claims }) {
      if (URL.parse(audience)?.origin === publicUrl)
        throw new GatehouseError(
          'forbidden',
          'identity-token.audience',
          'Gatehouse makes no identity token for itself: it is for the system that gives the credential.',
        );
      const { kid, key } = await keys.signer();
      const now = Math.floor(clock.now() / 1_000);
      return new Secret(
        signCompactJws(
          { alg: 'RS256', typ: 'JWT', kid },
          {
            ...claims,
            iss: issuer,
            sub:
              agent === ''
                ? `spiffe://${trustDomain}/env/${environment}/gatehouse/test`
                : spiffeId(trustDomain, environment, agent),
            aud: audience,
            iat: now,
            nbf: now,
            exp: now + limits.identityTokenTtlSeconds,
            jti: newId('idt', clock.now()),
            environment,
            lease,
            ...(agent !== '' && { agent, task }),
          },
          key,
        ),
      );
    },
    metadata: () => ({
      issuer,
      jwks_uri: publicUrl + identityPaths.jwks,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      claims_supported: ['sub', 'aud', 'exp', 'iat', 'nbf', 'iss', 'jti', 'environment', 'agent', 'task', 'lease'],
    }),
    jwks: keys.jwks,
  };
}
