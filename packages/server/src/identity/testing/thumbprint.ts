import type { PublicJwk } from '@gatehouse/protocol';
import { jwkThumbprint, publicKeyMembers } from '../tokens/jws.ts';

/** RFC 7638 thumbprint of a registered key. */
export function thumbprint(jwk: PublicJwk): string {
  const members = publicKeyMembers(jwk);
  if (typeof members === 'string') throw new Error(members);
  return jwkThumbprint(members);
}
