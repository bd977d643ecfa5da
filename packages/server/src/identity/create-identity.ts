import { type Clock, GatehouseError, type Log } from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Change, RecordChange, Sealer, Storage } from '../storage/index.ts';
import { createAuthorizationServer } from './authorization-server/authorization-server.ts';
import { createHousekeeping } from './authorization-server/housekeeping.ts';
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
}

export interface Identity {
  tokens: Tokens;
  authorizationServer: AuthorizationServer;
  keys: SigningKeys;
  /** RFC 9728 document for `/mcp` or `/mcp/SERVER`; undefined when there is no such resource. */
  resourceMetadata(path: string): Record<string, unknown> | undefined;
  /** For the change feed's listener. */
  refresh(changes: Change[]): Promise<void>;
}

/** Who agents are and how they prove it: tokens, the server that issues them, and the keys that sign them. */
export async function createIdentity(dependencies: IdentityDependencies): Promise<Identity> {
  const { registry, clock, publicUrl, requireProofNonce = false } = dependencies;
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
  return {
    tokens: reader,
    authorizationServer: createAuthorizationServer({
      ...dependencies,
      keys,
      proofs,
      reader,
      housekeeping: createHousekeeping({ ...dependencies, keys }),
    }),
    keys,
    resourceMetadata: (path) => protectedResourceMetadata(publicUrl, path, registry.snapshot()),
    async refresh(changes) {
      if (changes.some(({ topic }) => topic === 'key')) await keys.refresh();
    },
  };
}
