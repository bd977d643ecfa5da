import { type Clock, GatehouseError, type Log, type RenewedIdentity } from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Change, RecordChange, Sealer, Storage } from '../storage/index.ts';
import { createAuthorizationServer } from './authorization-server/authorization-server.ts';
import { createHousekeeping } from './authorization-server/housekeeping.ts';
import { createPeers, type Peers } from './client-certificate/peers.ts';
import type { SvidVerifier } from './client-certificate/svid-verifier.ts';
import { openSigningKeys, type SigningKeys } from './keys/signing-keys.ts';
import { createTokenReader } from './tokens/authenticate.ts';
import { createProofs } from './tokens/proof.ts';
import { protectedResourceMetadata } from './tokens/resources.ts';
import type { AuthorizationServer, Tokens } from './types.ts';

export interface IdentityDependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  /** Issuer, and base of every address, without a trailing slash. */
  publicUrl: string;
  /** True: every DPoP proof needs a nonce of this replica (RFC 9449 §8). Default false: a nonce is offered to bad clocks only. */
  requireProofNonce?: boolean;
  /** Where client certificates are asked for: the public URL itself, or that of a port of its own. Without it: nowhere. */
  mutualTlsUrl?: string | undefined;
  svids?: SvidVerifier;
}

export interface Identity {
  tokens: Tokens;
  /** Who is at the other end of a request's connection. */
  peers: Peers;
  authorizationServer: AuthorizationServer;
  keys: SigningKeys;
  /** Gatehouse's own X.509-SVID, as the certificate of a server that is reached under these URLs. */
  serverIdentity(urls: string[]): Promise<RenewedIdentity>;
  /** RFC 9728 document for `/mcp` or `/mcp/SERVER`; undefined when there is no such resource. */
  resourceMetadata(path: string): Record<string, unknown> | undefined;
  /** For the change feed's listener. */
  refresh(changes: Change[]): Promise<void>;
}

/** Who agents are and how they prove it: tokens, the server that issues them, and the keys that sign them. */
export async function createIdentity(dependencies: IdentityDependencies): Promise<Identity> {
  const { registry, clock, publicUrl, requireProofNonce = false, mutualTlsUrl } = dependencies;
  const { svids = noSvids } = dependencies;
  // Tokens, metadata and audiences compare this text; a second way to write it would be a second issuer.
  if (URL.parse(publicUrl)?.origin !== publicUrl)
    throw new GatehouseError(
      'bad-request',
      'config.public-url',
      `The public URL ${publicUrl} is not an origin. Give it as https://HOST or https://HOST:PORT, in lower case and without a path.`,
    );
  const keys = await openSigningKeys(dependencies);
  const proofs = createProofs({ clock, requireNonce: requireProofNonce });
  const reader = createTokenReader({ ...dependencies, keys, proofs });
  const peers = createPeers({ svids, clock });
  return {
    tokens: reader,
    peers,
    authorizationServer: createAuthorizationServer({
      ...dependencies,
      keys,
      proofs,
      reader,
      peers,
      svids,
      mutualTlsUrl,
      housekeeping: createHousekeeping({ ...dependencies, keys }),
    }),
    keys,
    serverIdentity: noTrustDomain,
    resourceMetadata: (path) => protectedResourceMetadata(publicUrl, path, registry.snapshot(), mutualTlsUrl),
    async refresh(changes) {
      if (!changes.some(({ topic }) => topic === 'key')) return;
      peers.forget();
      await keys.refresh();
    },
  };
}

const noTrustDomain = async (): Promise<never> => {
  throw new GatehouseError('unauthenticated', 'svid.unknown-trust-domain', 'No trust domain is known here.');
};
const noSvids: SvidVerifier = {
  verifySvid: noTrustDomain,
  verifyJwtSvid: noTrustDomain,
  principalOf: () => undefined,
  whyRefused: noTrustDomain,
};
