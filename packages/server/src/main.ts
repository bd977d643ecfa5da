import { hkdfSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { Api, Manifest } from '@gatehouse/protocol';
import { createApi, createFrontDoor } from './api/index.ts';
import { VERSION } from './api/version.ts';
import { createApprovals, createChannels } from './approvals/index.ts';
import { createSecrets } from './credentials/index.ts';
import {
  checkBudgets,
  createBreaker,
  createBudgets,
  createEnforcement,
  createHeldResults,
  createOpenCalls,
  createOutsideDetectors,
  createTickets,
  maskCredentials,
} from './enforcement/index.ts';
import {
  createAuthzenDoor,
  createExtAuthzDoor,
  createMcpDoor,
  createUpstreamAuthorizations,
  createUpstreams,
  listenExtAuthz,
  refreshDefinitions,
} from './gate/index.ts';
import {
  applyWorkspace,
  createAbandonedLogs,
  createDepartures,
  createFollower,
  createPolicyChanges,
  createRehearsals,
  createReplayThreads,
  keepHouse,
  type Offboarding,
  offboard,
  replayProposal,
} from './governance/index.ts';
import {
  createAgentDirectory,
  createCompanySignIn,
  createCompanySignInDoor,
  createConfirmations,
  createConsents,
  createDirectory,
  createIdentity,
  createPeople,
  createScimDoor,
  createScimTokens,
  relyingPartyOf,
} from './identity/index.ts';
import {
  createExport,
  createKeeping,
  createReads,
  openLedger,
  openPublishingPlace,
  readWitnessPolicy,
} from './ledger/index.ts';
import {
  type Clock,
  type Config,
  createLog,
  createOutbound,
  keyFile,
  type Listener,
  type ListenOptions,
  type Log,
  openIdentityFiles,
  openListener,
  openOwnIdentity,
  openTracing,
  Secret,
  systemClock,
  trustedProxies,
} from './platform/index.ts';
import { compilePolicies, createBaseline, createFlow, perVersion, prepareToCompile } from './policy/index.ts';
import { createRegistry } from './registry/index.ts';
import {
  createRewrapper,
  createSealer,
  defaultKeyFile,
  historyPlace,
  openKeyRing,
  openStorage,
  type RecordChange,
  recordAddedKeys,
} from './storage/index.ts';

export { createLog, type LogLevel } from './platform/index.ts';

export type { Config };

/** Long enough to rehearse a change of policies on what was done, and no longer. */
const KEEP_ARGUMENTS_DAYS = 90;

export interface RunningServer {
  config: Config;
  /** Where it listens, which is not always what the public URL says. */
  address: { host: string; port: number };
  /** Of the port for mutual TLS, where there is one. */
  mutualTlsAddress?: { host: string; port: number } | undefined;
  /** Of the port for Envoy's external authorization, where there is one. */
  extAuthzAddress?: { host: string; port: number } | undefined;
  /** Looks for new TLS certificates now. */
  refreshCertificates(): Promise<void>;
  /** For an operator on this host: signs a person in once. */
  createSignInLink(email: string): Promise<{ url: string; expiresAt: number }>;
  /** What `POST /apply` does: all or nothing, then each new or changed server is asked what it serves. */
  apply(manifests: Manifest[], by: string): Promise<Api['POST /apply']>;
  /** True until a workspace has been applied. */
  isEmpty(): boolean;
  /** People who have no passkey yet. */
  unenrolled(): Promise<string[]>;
  /** `METHOD /path` of every route at which an agent gets something to act with: what law 6 is tried on. */
  issuancePaths(): string[];
  close(): Promise<void>;
}

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

interface StartOptions {
  log?: Log;
  clock?: Clock;
  consoleDir?: string;
  streamRestMs?: number;
  clientMetadata?: { allowPrivateAddress: boolean; ca: string };
}

/** What is opened is closed in the opposite order, also when a later part of the start fails. */
async function openServer(
  config: Config,
  options: StartOptions,
  opened: AsyncDisposableStack,
): Promise<Omit<RunningServer, 'close'>> {
  const log = options.log ?? createLog('info');
  const clock = options.clock ?? systemClock;
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const tracing = await openTracing(config, log);
  opened.defer(() => tracing.close());
  const operatorToken = new Secret(keyFile(config.dataDir, 'operator.token').toString('base64url'));

  const storage = await openStorage({ database: config.database, dataDir: config.dataDir, log, clock });
  opened.defer(() => storage.close());
  const keyRing = await openKeyRing({
    storage,
    clock,
    dataDir: config.dataDir,
    environment: process.env,
    specs: config.keyEncryption ?? [`file:${defaultKeyFile(config.dataDir)}`],
  });
  const sealer = createSealer(keyRing);
  const origin = new URL(config.publicUrl).host;
  const outbound = createOutbound();
  opened.defer(() => outbound.close());
  const { witnesses } = config;
  const ledger = await openLedger({
    ...{ storage, sealer, clock, log, replica: config.replica, origin },
    ...(witnesses && {
      witnesses: {
        policy: readWitnessPolicy(witnesses.policyFile),
        failClosedAfterMs:
          witnesses.failClosedAfterSeconds === undefined ? null : witnesses.failClosedAfterSeconds * 1_000,
        outbound,
      },
    }),
    ...(config.publishLogTo !== undefined && { publishTo: openPublishingPlace(config.publishLogTo, process.env) }),
  });
  opened.defer(() => ledger.close());
  const reads = createReads({ recordGuarded: ledger.recordGuarded, clock, log });
  opened.defer(() =>
    reads.flush(true).catch((error) => log.warn('not all looks at the record are counted', { error })),
  );
  const recordChange: RecordChange = ledger.recordChange;
  const argumentsDays = config.keepArgumentsDays ?? KEEP_ARGUMENTS_DAYS;
  const keeping = createKeeping({
    storage,
    recordChange,
    clock,
    argumentsDays: argumentsDays === 0 ? null : argumentsDays,
  });
  await recordAddedKeys(keyRing, { storage, recordChange });
  const flow = createFlow({ storage, clock, sealer });
  const registry = await createRegistry({
    handedOn: flow.handedOn,
    storage,
    clock,
    trustDomain: config.trustDomain,
    recordChange,
    log,
    prepare: prepareToCompile,
    validate: (snapshot) => {
      const compiled = compilePolicies(snapshot);
      checkBudgets(snapshot);
      api.checkPolicies(snapshot);
      return compiled;
    },
  });
  const policies = perVersion((snapshot) =>
    compilePolicies(snapshot, {
      validated: true,
      enginesDiffer: (difference) =>
        log.error('ALARM: the policy engines differ, and the call was refused', difference),
    }),
  );
  await registry.keepVersion(policies(registry.snapshot()).version);

  const people = createPeople({ storage, registry, recordChange, clock, log, publicUrl: config.publicUrl });
  const mutualTlsUrl = config.mutualTls?.url ?? (config.tls?.clientCertificates ? config.publicUrl : undefined);
  const identity = await createIdentity({
    storage,
    registry,
    recordChange,
    recordGuarded: ledger.recordGuarded,
    sealer,
    clock,
    log,
    outbound,
    people,
    trustDomain: config.trustDomain,
    ...(config.rotateKeysAfterDays !== undefined && { keyMaxAgeMs: config.rotateKeysAfterDays * 24 * 3_600_000 }),
    publicUrl: config.publicUrl,
    mutualTlsUrl,
    clientMetadata: { hosts: config.clients?.hosts ?? null, ...options.clientMetadata },
    dynamicClients: config.clients?.dynamic ?? false,
    requireProofNonce: config.requireProofNonce ?? false,
  });
  const consents = createConsents({
    storage,
    registry,
    people,
    delegations: identity.delegations,
    recordChange,
    clock,
    publicUrl: config.publicUrl,
    describeClient: identity.authorizationServer.describeClient,
  });
  const confirmations = createConfirmations({ storage, people, recordChange, clock, publicUrl: config.publicUrl });
  const rewrapper = createRewrapper({ storage, ring: keyRing, recordChange, clock, log });
  const held = createHeldResults({ storage, sealer, clock });
  const secrets = createSecrets({ storage, sealer, recordChange, clock });
  const channels = createChannels({
    storage,
    registry,
    recordChange,
    outbound,
    openSecret: secrets.open,
    mask: maskCredentials,
    clock,
    log,
    publicUrl: config.publicUrl,
  });
  const approvals = await createApprovals({
    endorse: flow.endorse,
    onEnded: held.forget,
    tell: channels.tell,
    sealer,
    storage,
    registry,
    people,
    recordChange,
    clock,
    log,
    publicUrl: config.publicUrl,
  });
  const sinks = createExport({
    storage,
    registry,
    recordChange,
    outbound,
    openSecret: secrets.open,
    dataDir: config.dataDir,
    replica: config.replica,
    origin,
    version: VERSION,
    clock,
    log,
  });
  const breaker = createBreaker({ registry, clock, log });
  const tickets = createTickets({ outbound, openSecret: secrets.open, clock, log });
  const detectors = createOutsideDetectors({ outbound, openSecret: secrets.open, log });
  const budgets = createBudgets({ storage, registry, clock });
  const stateKey = keyFile(config.dataDir, 'request-state.key');
  const keyFor = (purpose: string) => new Uint8Array(hkdfSync('sha256', stateKey, '', `gatehouse ${purpose}`, 32));
  const baseline = createBaseline({ storage, registry, recordChange, key: keyFor('baselines'), clock, log });
  opened.defer(() => baseline.write());
  const openCalls = createOpenCalls({ storage, ledger, recordChange, key: keyFor('open calls'), clock });
  const enforcement = createEnforcement({
    held,
    openCalls,
    detectors,
    placeholderKey: keyFor('placeholders'),
    tracing,
    registry,
    budgets,
    policies,
    tickets,
    breaker,
    approvals,
    ledger,
    flow,
    baseline,
    feed: storage.feed,
    clock,
    log,
  });
  const authorizations = createUpstreamAuthorizations({
    storage,
    registry,
    recordChange,
    sealer,
    secrets,
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
  const upstreams = createUpstreams({
    authorizations,
    dataDir: config.dataDir,
    clock,
    log,
    isProduction: (environment) => registry.snapshot().environments.get(environment)?.production ?? true,
  });
  opened.defer(() => upstreams.close());
  const askWhatIsServed = (server: string, by: string) => refreshDefinitions({ registry, upstreams }, server, by);
  const door = createMcpDoor({
    tokens: identity.tokens,
    peers: identity.peers,
    registry,
    enforcement,
    txnTokens: identity.txnTokens,
    approvals,
    upstreams,
    clock,
    log,
    publicUrl: config.publicUrl,
    mutualTlsUrl,
    stateKey,
    ...(options.streamRestMs !== undefined && { streamRestMs: options.streamRestMs }),
    resourceMetadata: identity.resourceMetadata,
    onDefinitions: (server: string) => askWhatIsServed(server, 'gatehouse'),
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

  const listeners: Listener[] = [];
  opened.defer(() => {
    for (const listener of listeners) listener.close();
  });
  opened.defer(() => door.close());

  const companySignIn = createCompanySignIn({
    storage,
    registry,
    recordChange,
    sealer,
    outbound,
    openSecret: secrets.open,
    clock,
    log,
    publicUrl: config.publicUrl,
    people,
    clientKeys: identity.clientKeys,
  });
  const companySignInDoor = createCompanySignInDoor(companySignIn, relyingPartyOf(config.publicUrl), log);
  const leaving = { storage, registry, approvals, recordChange, people, delegations: identity.delegations };
  const scimTokens = createScimTokens({ storage, recordChange, clock });
  const directory = createDirectory({
    storage,
    registry,
    recordChange,
    clock,
    publicUrl: config.publicUrl,
    offboard: (email, how) => offboard(leaving, email, how),
  });
  const scimDoor = createScimDoor({
    directory,
    agents: config.scimAgents
      ? createAgentDirectory({ storage, registry, recordChange, clock, publicUrl: config.publicUrl })
      : undefined,
    tokens: scimTokens,
    log,
    publicUrl: config.publicUrl,
  });
  const departures = createDepartures({
    ...leaving,
    onFailure: (error, person) => log.error('a departure could not be completed and is tried again', { person, error }),
  });
  opened.defer(() => storage.feed.stop());
  const follow = createFollower({
    registry,
    keyRing,
    identity,
    approvals,
    channels,
    baseline,
    authorizations,
    enforcement,
    departures,
    upstreams,
    door,
    log,
  });
  await storage.feed.start(config.replica, follow);
  // What changed between the rooms' opening and the feed's start was told by nobody.
  await registry.refresh([]);
  await approvals.load();
  await departures.lookAtAll();
  await ledger.closeUnknown();
  opened.defer(() => sinks.close());
  const closeAbandoned = createAbandonedLogs({ storage, ledger, replica: config.replica, clock });
  opened.defer(channels.start(approvals));
  const caredFor = {
    keeping,
    reads,
    ...leaving,
    channels,
    departures,
    identity,
    companySignIn,
    held,
    flow,
    budgets,
    baseline,
    openCalls,
    closeAbandoned,
    sinks,
  };
  opened.defer(keepHouse({ ...caredFor, clock, log }));

  const replayThreads = createReplayThreads({
    place: historyPlace(config.database, config.dataDir),
    trustDomain: config.trustDomain,
    log,
  });
  opened.defer(() => replayThreads.close());
  const rehearsals = createRehearsals({
    registry,
    threads: replayThreads,
    observing: () => policies(registry.snapshot()).observed ?? [],
  });
  const policyChanges = createPolicyChanges({
    registry,
    storage,
    people,
    recordChange,
    clock,
    publicUrl: config.publicUrl,
    onProposed: (number) =>
      void replayProposal({ policyChanges, rehearsals, describe: upstreams.describe, clock }, number).catch((error) =>
        log.warn('a proposed change could not be replayed; who looks at it can ask for it', { error }),
      ),
  });

  const api = createApi({
    keeping,
    reads,
    config,
    policyChanges,
    rehearsals,
    policies,
    storage,
    registry,
    people,
    trustDomain: identity.trustDomain,
    sessionProof: identity.sessionProof,
    consents,
    confirmations,
    companySignIn,
    scimTokens,
    delegations: identity.delegations,
    federation: identity.federation,
    approvals,
    channels,
    flow,
    baseline,
    ledger,
    openCalls,
    enforcement,
    vouching: identity.tokens,
    budgets,
    sinks,
    held,
    upstreams,
    authorizations,
    secrets,
    recordChange,
    offboard: (email: string, how: Offboarding) => offboard(leaving, email, how),
    keys: identity.keyInventory,
    keyRing,
    rewrapper,
    operatorToken,
    refreshDefinitions: askWhatIsServed,
    clock,
    log,
    startedAt: clock.now(),
    ...(options.consoleDir !== undefined && { consoleDir: options.consoleDir }),
  });

  const serve = createFrontDoor(
    { proxies: trustedProxies(config.trustedProxies ?? []), log },
    [
      door.handle,
      authzenDoor,
      extAuthzDoor,
      identity.trustDomain.handle,
      identity.taskDoor,
      authorizations.handle,
      identity.authorizationServer.handle,
      companySignInDoor.handle,
      scimDoor.handle,
      channels.handle,
    ],
    api.handle,
  );
  const { host, port, tls, mutualTls, extAuthz } = config;
  const listen = async (port: number, tls?: ListenOptions['tls']): Promise<Listener> => {
    const listener = await openListener({ host, port, ...(tls && { tls }) }, serve);
    listeners.push(listener);
    return listener;
  };
  const publicListener = await listen(
    port,
    tls && { identity: openIdentityFiles(tls, log), clientCertificates: tls.clientCertificates ?? false },
  );
  const urls = [...(mutualTls ? [mutualTls.url] : []), config.publicUrl];
  const ownIdentity = () => openOwnIdentity(() => identity.serverIdentity(urls), { log });
  const mutualListener =
    mutualTls && (await listen(mutualTls.port, { identity: await ownIdentity(), clientCertificates: true }));
  const extAuthzListener =
    extAuthz && (await listenExtAuthz({ ...decisions, identity: await ownIdentity(), host, port: extAuthz.port }));
  if (extAuthzListener) listeners.push(extAuthzListener);
  identity.authorizationServer
    .warm()
    .catch((error) => log.error('the authorization server could not be loaded', { error }));

  return {
    config,
    address: publicListener.address,
    mutualTlsAddress: mutualListener?.address,
    extAuthzAddress: extAuthzListener?.address,
    async refreshCertificates() {
      await Promise.all(listeners.map((listener) => listener.refresh()));
    },
    createSignInLink: (email) => people.createSigninLink(email, { by: 'gatehouse' }),
    apply: (manifests, by) =>
      applyWorkspace({ registry, describe: (server) => upstreams.describe(server) }, manifests, { prune: false, by }),
    issuancePaths: () => [...identity.authorizationServer.issuancePaths(), ...identity.trustDomain.issuancePaths()],
    isEmpty: () => registry.snapshot().environments.size === 0,
    unenrolled: async () => {
      const everyone = [...registry.snapshot().people.keys()];
      const passkeys = await Promise.all(everyone.map((email) => people.listPasskeys(email)));
      return everyone.filter((_, at) => passkeys[at]?.length === 0);
    },
  };
}
