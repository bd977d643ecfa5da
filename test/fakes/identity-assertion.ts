import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose';

/** As clouds check a token of an outside issuer: its discovery, its keys, `RS256`, issuer and audience. Throws what is wrong. */
export async function verifyAssertion(token: string, issuer: string, audience: string): Promise<JWTPayload> {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  const discovered = (await answer.json()) as { issuer: string; jwks_uri: string };
  if (discovered.issuer !== issuer) throw new Error(`the issuer says that it is ${discovered.issuer}`);
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(discovered.jwks_uri)), {
    ...{ issuer, audience, algorithms: ['RS256'], requiredClaims: ['iat', 'exp', 'sub'] },
  });
  return payload;
}
