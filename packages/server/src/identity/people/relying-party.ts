import { isIP } from 'node:net';
import { GatehouseError } from '../../platform/index.ts';

/** Who we are to an authenticator (WebAuthn Level 3, section 5.1.2): the host that passkeys belong to and the one origin they sign for. */
export interface RelyingParty {
  id: string;
  origin: string;
  /** False only on `http://localhost`, where cookies can't be `Secure`. */
  https: boolean;
}

/** Throws `people.public-url` for an address on which no browser would use a passkey. */
export function relyingPartyOf(publicUrl: string): RelyingParty {
  const url = new URL(publicUrl);
  const host = url.hostname;
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) {
    throw new GatehouseError(
      'bad-request',
      'people.public-url',
      `Passkeys belong to a host name, and ${host} is an address. Use a name in the public URL: http://localhost:PORT on this machine.`,
    );
  }
  const https = url.protocol === 'https:';
  if (!https && host !== 'localhost' && !host.endsWith('.localhost')) {
    throw new GatehouseError(
      'bad-request',
      'people.public-url',
      `Browsers give passkeys to https only (or to localhost). Serve ${host} over https and use that as the public URL.`,
    );
  }
  return { id: host, origin: url.origin, https };
}
