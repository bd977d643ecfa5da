import type { Peer } from '../client-certificate/peers.ts';
import type { LiveToken } from './authenticate.ts';
import { CredentialError } from './credential-error.ts';
import { checkCertificate, checkPeer } from './peer-check.ts';
import type { Proofs } from './proof.ts';

/** How a token was presented. */
export interface Presentation {
  /** In lower case. */
  scheme: string;
  dpop?: string | undefined;
  method: string;
  /** Where the client sent it. */
  url: string;
  peer: Peer;
}

/** Throws CredentialError unless whoever presents the token holds what it is bound to: a key, a certificate, or both. */
export function checkBinding(
  { claims, agent, task, hash }: LiveToken,
  { scheme, dpop, method, url, peer }: Presentation,
  proofs: Proofs,
): void {
  const { jkt, 'x5t#S256': thumbprint } = claims.cnf ?? {};
  if (scheme !== (jkt === undefined ? 'bearer' : 'dpop'))
    throw new CredentialError('invalid_token', 'token.scheme', schemeOf(jkt, thumbprint));
  if (thumbprint !== undefined) checkCertificate(thumbprint, peer);
  checkPeer(peer, agent, task);
  if (jkt === undefined) return;
  if (!dpop) throw new CredentialError('invalid_dpop_proof', 'proof.missing', 'Every request needs a new DPoP proof.');
  proofs.check({ proof: dpop, method, url, token: { hash, boundTo: jkt } });
}

const schemeOf = (jkt: string | undefined, certificate: string | undefined): string =>
  jkt !== undefined
    ? 'This access token is bound to a key: present it as DPoP, with a DPoP proof.'
    : `This access token ${certificate === undefined ? 'has no key' : 'is bound to a certificate'}: present it as Bearer.`;
