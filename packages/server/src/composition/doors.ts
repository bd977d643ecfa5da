import { injectionOf } from '../enforcement/index.ts';
import {
  createAuthzenDoor,
  createCredentialDoor,
  createExtAuthzDoor,
  createMcpDoor,
  createUpstreamAuthorizations,
  createUpstreams,
  createWaitingRows,
  describedIn,
  type Lend,
  lendSeldom,
  refreshDefinitions,
} from '../gate/index.ts';
import type { Json } from '../platform/index.ts';
import { destinationOf } from '../registry/index.ts';
import type { ChokePoint } from './choke-point.ts';
import type { Foundation } from './foundation.ts';
import type { Identities } from './identity.ts';
import type { StartOptions } from './types.ts';
import type { Workspace } from './workspace.ts';

export type Doors = ReturnType<typeof openDoors>;

/** The ways in for agents and for other gateways, and the way out to tool servers. */
export function openDoors(
  { config, storage, ledger, sealer, recordChange, outbound, clock, log }: Foundation,
  { registry }: Workspace,
  { people, identity, mutualTlsUrl }: Identities,
  { approvals, credentials, enforcement, secrets, stateKey }: ChokePoint,
  options: StartOptions,
  opened: AsyncDisposableStack,
) {
  const authorizations = createUpstreamAuthorizations({
    storage,
    registry,
    recordChange,
    sealer,
    secrets,
    accounts: credentials.accounts,
    outbound,
    ownKey: identity.keys.signer,
    clock,
    log,
    publicUrl: config.publicUrl,
    trustDomain: config.trustDomain,
    personAt: async ({ cookie }) => {
      const email = await people.signedInAt(cookie);
      return email && `person:${email}`;
    },
    onConnected(server, by) {
      upstreams.forgive(server);
      askWhatIsServed(server, by).catch((error) =>
        log.warn('a connected server could not be asked what it serves', { server, error }),
      );
    },
  });
  const isProduction = (environment: string) => registry.snapshot().environments.get(environment)?.production ?? true;
  const lend: Lend = async (server) => {
    const { credential } = server.transport;
    if (!credential) return undefined;
    const held = await credentials.lend(
      credential.provider,
      describedIn(server, isProduction),
      credential.scope as Json,
      destinationOf(server),
    );
    await credentials.leases.activate(held);
    return {
      credential: injectionOf(credential, held),
      done: () =>
        void credentials.leases
          .end(held.lease.id, 'gatehouse', `${server.name} has said what it serves`)
          .catch((error) => log.warn('a lent credential could not be ended yet', { lease: held.lease.id, error })),
    };
  };
  const upstreams = createUpstreams({
    authorizations,
    dataDir: config.dataDir,
    clock,
    log,
    isProduction,
  });
  opened.defer(() => upstreams.close());
  const lendNowAndThen = lendSeldom(lend, clock);
  const askWhatIsServed = (server: string, by: string) => refreshDefinitions({ registry, upstreams, lend }, server, by);
  const door = createMcpDoor({
    tokens: identity.tokens,
    peers: identity.peers,
    registry,
    enforcement,
    txnTokens: identity.txnTokens,
    approvals,
    upstreams,
    waitingRows: createWaitingRows({ storage, sealer, clock }),
    ledger,
    clock,
    log,
    publicUrl: config.publicUrl,
    mutualTlsUrl,
    stateKey,
    ...(options.streamRestMs !== undefined && { streamRestMs: options.streamRestMs }),
    resourceMetadata: identity.resourceMetadata,
    onDefinitions: (server: string) =>
      refreshDefinitions({ registry, upstreams, lend: lendNowAndThen }, server, 'gatehouse'),
  });

  const decisions = {
    proveGateway: identity.proveGateway,
    tokens: identity.tokens,
    registry,
    enforcement,
    log,
    publicUrl: config.publicUrl,
  };
  const authzenDoor = createAuthzenDoor({ ...decisions, approvals, ledger, clock, mutualTlsUrl });
  const extAuthzDoor = createExtAuthzDoor(decisions);
  const credentialDoor = createCredentialDoor({
    ...decisions,
    peers: identity.peers,
    leases: credentials.leases,
    mutualTlsUrl,
  });
  return { credentialDoor, authorizations, upstreams, askWhatIsServed, door, authzenDoor, extAuthzDoor, decisions };
}
