import { type Clock, GatehouseError, type JsonObject, limits, newId, Secret } from '../../platform/index.ts';
import { spiffeId } from '../../registry/index.ts';
import { type KeyDependencies, type KeysOnDemand, keysOnDemand } from '../keys/keys-on-demand.ts';
import type { KeyPurpose, PublishedKey } from '../keys/signing-keys.ts';
import { signCompactJws } from './jws.ts';

/**
 * Who an agent is and in which task, told to a system outside. INVARIANT: there are two issuers, and no key signs for both. Identity tokens are for
 * systems that give credentials (AWS, Azure, Google Cloud, OpenBao): the gate presents them, and no agent gets one. Signed tokens are themselves the
 * credential (`signed-jwt`): tools present them, and an agent may hold one where a provider is handed out, for whatever audience the provider names.
 * Whoever trusts the first issuer trusts nothing that an agent can have, and no door of ours takes anything that either signs.
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

interface TokenIssuer {
  /** Of the issuer, below the public URL. */
  path: string;
  key: KeyPurpose;
  signs: string;
}

const keyOf = (name: KeyPurpose['name']): KeyPurpose => ({
  name,
  label: `${name.replace('-', ' ')} key`,
  // The one algorithm that all of them take. Azure documents no other.
  algorithm: 'RS256',
  // Clouds keep what they fetched for hours.
  publishLeadMs: 24 * 3_600_000,
  overlapMs: limits.identityTokenTtlSeconds * 1_000 + 60_000,
});

export const identityIssuer: TokenIssuer = {
  path: '/identity',
  key: keyOf('identity-token'),
  signs: 'who agents are, for systems outside that give credentials',
};

export const signedTokenIssuer: TokenIssuer = {
  path: '/signed',
  key: keyOf('signed-token'),
  signs: 'who agents are, for services that tools show it to (`signed-jwt`)',
};

export const discoveryPaths = ({ path }: TokenIssuer) => ({
  metadata: `${path}/.well-known/openid-configuration`,
  jwks: `${path}/jwks`,
});

export function createIdentityTokens(
  from: TokenIssuer,
  deps: KeyDependencies & { publicUrl: string; trustDomain: string; clock: Clock },
): IdentityTokens & { keys: KeysOnDemand } {
  const { publicUrl, trustDomain, clock } = deps;
  const issuer = publicUrl + from.path;
  const keys = keysOnDemand(deps, from.key, from.signs);

  return {
    keys,
    async sign({ audience, environment, agent, task, lease, claims }) {
      if (URL.parse(audience)?.origin === publicUrl)
        throw new GatehouseError(
          'forbidden',
          'identity-token.audience',
          'Gatehouse makes no such token for itself: it is for a system outside.',
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
      jwks_uri: publicUrl + discoveryPaths(from).jwks,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      claims_supported: ['sub', 'aud', 'exp', 'iat', 'nbf', 'iss', 'jti', 'environment', 'agent', 'task', 'lease'],
    }),
    jwks: keys.jwks,
  };
}
