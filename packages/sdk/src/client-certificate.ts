import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GatehouseRequestError } from './errors.ts';

/**
 * An agent's X.509-SVID, as whatever renews it leaves it: PEM, or files with PEM that are read again for every new token. With it
 * an agent needs no key that is registered, and its tokens are bound to the certificate (RFC 8705).
 */
export interface AgentSvid {
  /** The certificate with its chain, leaf first. */
  cert: string;
  key: string;
  /** What the server's certificate is verified with; the system's authorities without it. */
  ca?: string;
}

/** Connections that are made with one certificate. */
export interface CertifiedFetch {
  fetch: typeof fetch;
  /** `x5t#S256` of the certificate: a token that is bound to it is good over these connections only. */
  thumbprint: string;
}

/** Gives connections with the SVID as it is now: the same ones until there is another. */
export function createCertifiedFetch(svid: AgentSvid): () => Promise<CertifiedFetch> {
  let current: { made: CertifiedFetch; pem: string } | undefined;
  return async () => {
    const [cert, key, ca] = await Promise.all([
      pemOf(svid.cert, 'certificate'),
      pemOf(svid.key, 'key'),
      svid.ca === undefined ? undefined : pemOf(svid.ca, 'authorities'),
    ]);
    const pem = [cert, key, ca].join('\n');
    if (current?.pem === pem) return current.made;
    // Node's own fetch takes no client certificate.
    const { Agent, fetch: undiciFetch } = await import('./undici.ts');
    const dispatcher = new Agent({ connect: { cert, key, ...(ca !== undefined && { ca }) } });
    const certified = ((input: string | URL, init: object) =>
      undiciFetch(input, { ...init, dispatcher })) as unknown as typeof fetch;
    current = { made: { fetch: certified, thumbprint: thumbprintOf(cert) }, pem };
    return current.made;
  };
}

async function pemOf(given: string, what: string): Promise<string> {
  if (given.includes('-----BEGIN ')) return given;
  try {
    return await readFile(given, 'utf8');
  } catch (cause) {
    throw new GatehouseRequestError(0, 'svid.unreadable', `The ${what} file ${given} of the SVID cannot be read.`, {
      cause,
    });
  }
}

function thumbprintOf(cert: string): string {
  try {
    return createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
  } catch (cause) {
    throw new GatehouseRequestError(0, 'svid.unreadable', 'The certificate of the SVID is no PEM.', { cause });
  }
}
