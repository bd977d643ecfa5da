import { createHash, createPublicKey } from 'node:crypto';
import { type PublicJwk, publicJwk } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';

/** RFC 7638 thumbprint (SHA-256, base64url): the name of a key wherever a key is named. */
export function thumbprint(key: PublicJwk): string {
  const members =
    key.kty === 'EC' ? { crv: key.crv, kty: key.kty, x: key.x, y: key.y } : { crv: key.crv, kty: key.kty, x: key.x };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/** Says what is wrong with a public key: not a point of its curve, or not in the one base64url form that its thumbprint stands for. */
export function keyProblem(key: PublicJwk): string | undefined {
  const coordinates = key.kty === 'EC' ? [key.x, key.y] : [key.x];
  if (coordinates.some((text) => Buffer.from(text, 'base64url').toString('base64url') !== text))
    return 'a coordinate is not in plain base64url (RFC 7518, section 6.2.1)';
  if (coordinates.some((text) => Buffer.from(text, 'base64url').byteLength !== 32))
    return 'a coordinate does not have 32 bytes (RFC 7518, section 6.2.1; RFC 8037, section 2)';
  try {
    createPublicKey({ key: { ...key }, format: 'jwk' });
  } catch (error) {
    return `it is not a public key: ${(error as Error).message}`;
  }
  return undefined;
}

export function parseKey(key: unknown): PublicJwk {
  const parsed = publicJwk.safeParse(key);
  const problem = parsed.success ? keyProblem(parsed.data) : 'it is not a public JWK of P-256 or Ed25519';
  if (!parsed.success || problem) {
    throw new GatehouseError(
      'bad-request',
      'agent.key-invalid',
      `The key is refused: ${problem}. Give the public JWK alone; a private member ("d") never leaves the agent.`,
    );
  }
  return parsed.data;
}
