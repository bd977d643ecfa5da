import assert from 'node:assert/strict';
import { GatehouseError } from '../../platform/index.ts';
import type { Caller } from '../types.ts';
import type { House } from './house.ts';

/** A call at a door; by default a POST to the one address where every tool is. */
export interface Presented {
  authorization?: string | undefined;
  dpop?: string | undefined;
  method?: string;
  url?: string;
}

export const authenticate = (house: House, presented: Presented): Promise<Caller> =>
  house.identity.tokens.authenticate({
    authorization: undefined,
    dpop: undefined,
    method: 'POST',
    url: house.resource,
    ...presented,
  });

/** The refusal of a call, with its challenge in the form of RFC 6750, RFC 9449 and RFC 9728. */
export async function refusalOf(
  house: House,
  presented: Presented,
): Promise<{ code: string; challenge: string; message: string }> {
  const error = await authenticate(house, presented).then(
    () => assert.fail('the call was let in'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof GatehouseError, String(error));
  assert.equal(error.status, 401);
  const challenge = error.extra.challenge as string;
  assert.match(challenge, /^(Bearer|DPoP) /);
  assert.ok(challenge.includes(`resource_metadata="${house.publicUrl}/.well-known/oauth-protected-resource/mcp`));
  assert.match(challenge, /DPoP [^,]*(, error_description="[^"]*", )?algs="ES256 EdDSA Ed25519"/);
  return { code: error.code, challenge, message: error.message };
}

/** What a token says of itself. */
export const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
