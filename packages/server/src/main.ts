import { createApi, VERSION } from './api/index.ts';
import {
  openChokePoint,
  openDirectory,
  openDoors,
  openFoundation,
  openIdentity,
  openListeners,
  openProposals,
  openWorkspace,
  type RunningServer,
  type StartOptions,
} from './composition/index.ts';
import {
  applyWorkspace,
  askWithCredentials,
  createAbandonedLogs,
  createFollower,
  keepHouse,
  type Offboarding,
  offboard,
} from './governance/index.ts';
import { createExport } from './ledger/index.ts';
import type { Config, Listener } from './platform/index.ts';

export { createLog, type LogLevel } from './platform/index.ts';

export type { Config, RunningServer };

/**
 * The composition root: builds every room, plugs the ports together, and knows everything. Nothing else does.
 * A request is for one of four: the MCP door, the authorization server, the control API, the console.
 */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  await using opened = new AsyncDisposableStack();
  const server = await openServer(config, options, opened);
  const running = opened.move();
  return { ...server, close: () => running.disposeAsync() };
}

/** What is opened is closed in the opposite order, also when a later part of the start fails. */
async function openServer(
  config: Config,
  options: StartOptions,
  opened: AsyncDisposableStack,
): Promise<Omit<RunningServer, 'close'>> {
  const foundation = await openFoundation(config, options, opened);
  const workspace = await openWorkspace(foundation, (snapshot) => api.checkPolicies(snapshot));
  const identities = await openIdentity(foundation, workspace, options);
  const chokePoint = await openChokePoint(foundation, workspace, identities, opened);
  const doors = openDoors(foundation, workspace, identities, chokePoint, options, opened);
  const listeners: Listener[] = [];
  opened.defer(() => {
    for (const listener of listeners) listener.close();
  });
  opened.defer(() => doors.door.close());
  const directory = openDirectory(foundation, workspace, identities, chokePoint);

  const { storage, clock, log, recordChange } = foundation;
  const { registry } = workspace;
  const { people, identity } = identities;
  const { approvals, channels } = chokePoint;
  const { upstreams } = doors;
  const { leaving, departures } = directory;
  const sinks = createExport({
    ...{ storage, registry, recordChange, clock, log },
    outbound: foundation.outbound,
    openSecret: chokePoint.secrets.open,
    dataDir: config.dataDir,
    replica: config.replica,
    origin: foundation.origin,
    version: VERSION,
  });

  opened.defer(() => storage.feed.stop());
  const floors = { ...foundation, ...workspace, ...identities, ...chokePoint, ...doors, ...directory, sinks };
  await storage.feed.start(config.replica, createFollower(floors), foundation.openedAt);
  await departures.lookAtAll();
  await foundation.ledger.closeUnknown();
  opened.defer(() => sinks.close());
  opened.defer(channels.start(approvals));
  const closeAbandoned = createAbandonedLogs({ storage, ledger: foundation.ledger, replica: config.replica, clock });
  opened.defer(keepHouse({ ...floors, closeAbandoned }));

  const api = createApi({
    ...floors,
    ...openProposals(foundation, workspace, identities, doors, opened),
    trustDomain: identity.trustDomain,
    sessionProof: identity.sessionProof,
    delegations: identity.delegations,
    federation: identity.federation,
    vouching: identity.tokens,
    keys: identity.keyInventory,
    offboard: (email: string, how: Offboarding) => offboard(leaving, email, how),
    refreshDefinitions: doors.askWhatIsServed,
    startedAt: clock.now(),
    ...(options.consoleDir !== undefined && { consoleDir: options.consoleDir }),
  });
  const addresses = await openListeners(
    foundation,
    identities,
    doors,
    {
      doors: [
        doors.door.handle,
        doors.authzenDoor,
        doors.extAuthzDoor,
        doors.credentialDoor,
        identity.trustDomain.handle,
        identity.taskDoor,
        doors.authorizations.handle,
        identity.authorizationServer.handle,
        directory.companySignInDoor.handle,
        directory.scimDoor.handle,
        channels.handle,
      ],
      otherwise: api.handle,
    },
    listeners,
  );
  identity.authorizationServer
    .warm()
    .catch((error) => log.error('the authorization server could not be loaded', { error }));

  return {
    config,
    ...addresses,
    async refreshCertificates() {
      await Promise.all(listeners.map((listener) => listener.refresh()));
    },
    createSignInLink: (email) => people.createSigninLink(email, { by: 'gatehouse' }),
    async apply(manifests, by) {
      const describe: typeof upstreams.describe = (server) => upstreams.describe(server);
      const applied = await applyWorkspace({ registry, describe }, manifests, { prune: false, by });
      const problems = await askWithCredentials(registry, doors.askWhatIsServed, applied.problems, by);
      return { ...applied, problems };
    },
    issuancePaths: () => [
      ...identity.authorizationServer.issuancePaths(),
      ...identity.trustDomain.issuancePaths(),
      'POST /task/credentials',
    ],
    isEmpty: () => registry.snapshot().environments.size === 0,
    unenrolled: async () => {
      const everyone = [...registry.snapshot().people.keys()];
      const passkeys = await Promise.all(everyone.map((email) => people.listPasskeys(email)));
      return everyone.filter((_, at) => passkeys[at]?.length === 0);
    },
  };
}
