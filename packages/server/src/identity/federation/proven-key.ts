import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CredentialError } from '../tokens/credential-error.ts';
import {
  jwkThumbprint,
  MalformedJws,
  type PublicKeyMembers,
  parseCompactJws,
  publicKeyMembers,
} from '../tokens/jws.ts';
import type { Proofs } from '../tokens/proof.ts';

/**
 * Proof of possession: a DPoP proof (RFC 9449) by the key that is to be enrolled or bound, whose `ath` is the digest of the credential beside
 * it. So neither can be taken from one request and used with another key.
 */
export function provenKey(
  { proofs, publicUrl }: { proofs: Proofs; publicUrl: string },
  request: IncomingMessage,
  path: string,
  credential: string,
): { members: PublicKeyMembers; thumbprint: string } {
  const proof = request.headers.dpop;
  if (typeof proof !== 'string')
    throw new CredentialError(
      'invalid_dpop_proof',
      'proof.missing',
      'Send a DPoP proof (RFC 9449) by the key that is to be enrolled.',
    );
  let members: PublicKeyMembers | string;
  try {
    members = publicKeyMembers(parseCompactJws(proof, 4_096).header.jwk);
  } catch (cause) {
    if (!(cause instanceof MalformedJws)) throw cause;
    members = cause.message;
  }
  if (typeof members === 'string')
    throw new CredentialError('invalid_dpop_proof', 'proof.invalid', `The DPoP proof is refused: ${members}.`);
  const thumbprint = jwkThumbprint(members);
  const token = { hash: hash('sha256', credential, 'base64url'), boundTo: thumbprint };
  proofs.check({ proof, method: 'POST', url: publicUrl + path, token });
  return { members, thumbprint };
}
