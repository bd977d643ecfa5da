import { hkdfSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Api, Manifest } from '@gatehouse/protocol';
import { createApi } from './api/index.ts';
import { createApprovals } from './approvals/index.ts';
import { createSecrets } from './credentials/index.ts';
import {
  checkBudgets,
  createBreaker,
  createBudgets,
  createEnforcement,
  createHeldResults,
  createOutsideDetectors,
  createTickets,
} from './enforcement/index.ts';
import {
  createAuthzenDoor,
  createExtAuthzDoor,
  createMcpDoor,
  createUpstreamAuthorizations,
  createUpstreams,
  listenExtAuthz,
  UpstreamFailure,
} from './gate/index.ts';
import {
  applyWorkspace,
  createDepartures,
  createPolicyChanges,
  createRehearsals,
  createReplayThreads,
  endExpiredTasks,
  type Offboarding,
  offboard,
  secondPersonLimits,
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
import { openLedger } from './ledger/index.ts';
import {
  type Clock,
  type Config,
  createLog,
  createOutbound,
  GatehouseError,
  keyFile,
  type Listener,
  type ListenOptions,
  type Log,
  noteClientAddress,
  openIdentityFiles,
  openListener,
  openOwnIdentity,
  Secret,
  systemClock,
  trustedProxies,
} from './platform/index.ts';
import {
  baselineLimits,
  compilePolicies,
  createBaseline,
  createFlow,
  type PolicySet,
  prepareToCompile,
} from './policy/index.ts';
import { createRegistry, type Snapshot } from './registry/index.ts';
import {
  type Change,
  createRewrapper,
  createSealer,
  defaultKeyFile,
  historyPlace,
  openKeyRing,
  openStorage,
  type RecordChange,
} from './storage/index.ts';

export { createLog, type LogLevel } from './platform/index.ts';

export type { Config };

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
  const ledger = await openLedger({ storage, sealer, clock, log, replica: config.replica, origin });
  opened.defer(() => ledger.close());
  const recordChange: RecordChange = ledger.recordChange;
  if (keyRing.added.length > 0)
    await storage.transaction((transaction) =>
      recordChange(transaction, {
        operation: 'key-encryption.add',
        by: 'gatehouse',
        changes: keyRing.added.map(({ id, source }) => `key-encryption key ${id} from ${source}`),
      }),
    );
  const flow = createFlow({ storage, clock });
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
  const policies = policiesOf((snapshot) =>
    compilePolicies(snapshot, {
      validated: true,
      enginesDiffer: (difference) =>
        log.error('ALARM: the policy engines differ, and the call was refused', difference),
    }),
  );
  await registry.keepVersion(policies(registry.snapshot()).version);

  const people = createPeople({ storage, registry, recordChange, clock, log, publicUrl: config.publicUrl });
  const mutualTlsUrl = config.mutualTls?.url ?? (config.tls?.clientCertificates ? config.publicUrl : undefined);
  const outbound = createOutbound();
  opened.defer(() => outbound.close());
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
  const approvals = await createApprovals({
    endorse: flow.endorse,
    onEnded: held.forget,
    storage,
    registry,
    people,
    recordChange,
    clock,
    log,
    publicUrl: config.publicUrl,
  });
  const secrets = createSecrets({ storage, sealer, recordChange, clock });
  const breaker = createBreaker({ registry, clock, log });
  const tickets = createTickets({ outbound, openSecret: secrets.open, clock, log });
  const detectors = createOutsideDetectors({ outbound, openSecret: secrets.open, log });
  const budgets = createBudgets({ storage, registry, clock });
  const stateKey = keyFile(config.dataDir, 'request-state.key');
  const keyFor = (purpose: string) => new Uint8Array(hkdfSync('sha256', stateKey, '', `gatehouse ${purpose}`, 32));
  const baseline = createBaseline({ storage, registry, recordChange, key: keyFor('baselines'), clock, log });
  opened.defer(() => baseline.write());
  const enforcement = createEnforcement({
    held,
    detectors,
    placeholderKey: keyFor('placeholders'),
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

    async personAt({ cookie }) {
      if (cookie === undefined) return undefined;
      try {
        return `person:${(await people.authenticatePerson({ cookie }, { passive: true })).email}`;
      } catch (error) {
        if (error instanceof GatehouseError) return undefined;
        throw error;
      }
    },
    onConnected(server, by) {
      upstreams.forgive(server);
      refreshDefinitions(server, by).catch((error) =>
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
  const refreshDefinitions = async (server: string, by: string) => {
    const registered = registry.snapshot().servers.get(server);
    if (!registered) return [];
    const served = await upstreams.describe(registered.manifest).catch((cause: unknown) => {
      if (!(cause instanceof UpstreamFailure)) throw cause;
      throw new GatehouseError(
        'upstream',
        'server.unreadable',
        `The tool server "${server}" could not be asked what it serves: ${cause.message}`,
        { cause },
      );
    });
    return registry.observeDefinitions(server, served, by);
  };
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
    onDefinitions: (server: string) => refreshDefinitions(server, 'gatehouse'),
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
  await storage.feed.start(config.replica, async (changes: Change[]) => {
    await registry.refresh(changes);
    if (changes.some(({ topic }) => topic === 'key')) await keyRing.refresh();
    await identity.refresh(changes);
    await approvals.refresh(changes);
    baseline.refresh(changes);
    authorizations.refresh(changes);
    for (const { topic, key } of changes) {
      if (topic === 'token') enforcement.stop({ token: key }, 'its token was revoked');
      if (topic === 'object' && key.startsWith('Person/')) departures.look([key.slice('Person/'.length)]);
      if (topic !== 'agent') continue;
      const agent = registry.snapshot().agents.get(key);
      if (agent?.state === 'active') {
        // Killed and activated again before this replica heard of either: what began before the kill ends all the same.
        enforcement.stop({ agent: key, beforeEpoch: agent.epoch }, `the agent ${key} has changed`);
      } else {
        identity.peers.end(key);
        enforcement.stop(
          { agent: key },
          agent?.killedAt ? `the agent ${key} was killed` : `the agent ${key} is ${agent?.state ?? 'gone'}`,
        );
      }
    }
    for (const { topic, key } of changes) {
      if (
        topic === 'object' &&
        key.startsWith('ToolServer/') &&
        !registry.snapshot().servers.has(key.slice('ToolServer/'.length))
      ) {
        upstreams
          .end({ server: key.slice('ToolServer/'.length) })
          .catch((error) => log.warn('a removed server left something behind', { server: key, error }));
      }
      if (topic !== 'task') continue;
      const task = await registry.task(key);
      if (task?.state === 'active' && !task.suspended) continue;
      enforcement.stop({ task: key }, `the task ${key} ${task?.suspended ? 'is suspended' : 'has ended'}`);
      if (task?.state === 'active') continue;
      // Not waited for: a server that is slow to end must not keep the next kill from being applied.
      upstreams.end({ task: key }).catch((error) => log.warn('a task left something behind', { task: key, error }));
    }
    door.refresh(changes);
  });
  // What changed between the rooms' opening and the feed's start was told by nobody.
  await registry.refresh([]);
  await approvals.load();
  await departures.lookAtAll();
  await ledger.closeUnknown();
  const every = (ms: number, failed: string, work: () => Promise<unknown>) => {
    const timer = setInterval(() => work().catch((error) => log.error(failed, { error })), ms);
    timer.unref();
    opened.defer(() => clearInterval(timer));
  };
  every(5_000, 'expired tasks could not be ended', () => endExpiredTasks({ storage, registry, clock }));
  every(5_000, 'departures could not be completed', () => departures.settle());
  every(5_000, 'expired approvals could not be closed', () => approvals.expire());
  every(10_000, 'the trust domain could not be looked after', () => identity.trustDomain.tick());
  every(60_000, 'sign-ins under way could not be removed', () => companySignIn.sweep());
  every(60_000, 'held results that have run out could not be removed', () => held.sweep());
  every(60_000, 'what tasks have seen could not be removed', () => flow.sweep());
  every(60_000, 'what no budget counts any more could not be removed', () => budgets.sweep());
  every(baselineLimits.writeSeconds * 1_000, 'what agents usually do could not be written', () => baseline.write());
  every(3_600_000, 'baselines of agents that are gone could not be removed', () => baseline.sweep());
  every(60_000, 'signing keys could not be looked after', () => identity.keyInventory.rotateDue(clock.now()));
  every(60_000, 'codes and requests that have run out could not be removed', () => identity.sweep());
  every(60_000, 'sessions and links that have run out could not be removed', () => people.sweep());

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
    onProposed(number) {
      const until = clock.now();
      const range = { since: until - secondPersonLimits.replayedMs, until, limit: 20 };
      const how = {
        describe: upstreams.describe,
        onProgress: () => undefined,
        signal: AbortSignal.timeout(secondPersonLimits.replayedWithinMs),
      };
      policyChanges
        .work(number)
        .then((work) => rehearsals.replay(work, range, how))
        .then((result) => policyChanges.keepReplay(number, result))
        .catch((error) =>
          log.warn('a proposed change could not be replayed; who looks at it can ask for it', { error }),
        );
    },
  });

  const api = createApi({
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
    flow,
    baseline,
    ledger,
    enforcement,
    vouching: identity.tokens,
    budgets,
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
    refreshDefinitions,
    clock,
    log,
    startedAt: clock.now(),
    ...(options.consoleDir !== undefined && { consoleDir: options.consoleDir }),
  });

  const proxies = trustedProxies(config.trustedProxies ?? []);
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    noteClientAddress(request, proxies);
    route(request, response).catch((error) => {
      log.error('a request failed', { method: request.method, path: request.url?.split('?')[0], error });
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({
          type: 'urn:gatehouse:error:internal',
          title: 'internal',
          status: 500,
          detail: 'Something failed inside Gatehouse; the server log has the cause.',
        }),
      );
    });
  };
  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await door.handle(request, response)) return;
    if (await authzenDoor(request, response)) return;
    if (await extAuthzDoor(request, response)) return;
    if (await identity.trustDomain.handle(request, response)) return;
    if (await identity.taskDoor(request, response)) return;
    if (await authorizations.handle(request, response)) return;
    if (await identity.authorizationServer.handle(request, response)) return;
    if (await companySignInDoor.handle(request, response)) return;
    if (await scimDoor.handle(request, response)) return;
    await api.handle(request, response);
  }
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

/** Compiles a snapshot's policies once per version of them; decisions and their fence can then never be of two versions. */
function policiesOf(compile: (snapshot: Snapshot) => PolicySet): (snapshot: Snapshot) => PolicySet {
  let compiled: { version: number; set: PolicySet } | undefined;
  return (snapshot) => {
    const version = snapshot.fences.get('policy') ?? 0;
    if (compiled?.version !== version) compiled = { version, set: compile(snapshot) };
    return compiled.set;
  };
}
