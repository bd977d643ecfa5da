import { GatehouseError } from '../../platform/index.ts';
import { type CredentialError, descriptionText } from './credential-error.ts';
import { AGENT_ALGORITHMS } from './jws.ts';
import { resourceMetadataUrl } from './resources.ts';

/**
 * WWW-Authenticate (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1). Bearer stands first although DPoP is what most agents must use:
 * the official MCP clients look for `resource_metadata` in a header that begins with Bearer and nowhere else.
 */
export function challenge(publicUrl: string, url: string, error?: { kind: string; message: string }): string {
  const metadata = `resource_metadata="${resourceMetadataUrl(publicUrl, url)}"`;
  const reason = error ? `error="${error.kind}", error_description="${descriptionText(error.message)}", ` : '';
  const dpop = `DPoP ${reason}algs="${AGENT_ALGORITHMS.join(' ')}"`;
  // What is wrong with a proof is no answer to a client that would use Bearer.
  if (error && error.kind !== 'invalid_token') return `${dpop}, ${metadata}`;
  return `Bearer ${reason}${metadata}, ${dpop}`;
}

/** The 401 that a door gives out: `extra.challenge` is the WWW-Authenticate value, `extra.dpopNonce` (if any) the DPoP-Nonce. */
export function unauthenticated(
  publicUrl: string,
  url: string,
  code: string,
  message: string,
  error?: CredentialError,
  dpopNonce?: string,
): GatehouseError {
  return new GatehouseError('unauthenticated', code, message, {
    cause: error?.cause,
    extra: { challenge: challenge(publicUrl, url, error), ...(dpopNonce === undefined ? {} : { dpopNonce }) },
  });
}
