import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ActionRecord, AgentManifest, Manifest, PublicJwk } from '@gatehouse/protocol';
import { exportJWK, generateKeyPair } from 'jose';
import { openLedger } from '../../ledger/index.ts';
import { createLog, createOutbound, GatehouseError, openListener } from '../../platform/index.ts';
import { compilePolicies } from '../../policy/index.ts';
import { createRegistry } from '../../registry/index.ts';
import { createSealer, openStorage, type RecordGuarded } from '../../storage/index.ts';
import { type Authority, createAuthority, stolenAuthority } from '../client-certificate/testing/authority.ts';
import { createIdentity } from '../create-identity.ts';
import { createPeople } from '../people/index.ts';

export interface HouseOptions {
  database?: string;
  dataDir?: string;
  requireProofNonce?: boolean;
  keyMaxAgeMs?: number;
  /** Of another replica, which this one stands beside. */
  publicUrl?: string;
  /** A second port for mutual TLS, with a certificate of `mutualTlsCa`. */
  mutualTls?: boolean;
  /** Without the change feed the house is deaf, and lets nobody in. */
  feed?: boolean;
}

const TRUST_DOMAIN = 'example.test';
const OWNER = 'owner@example.test';

/** The rooms that tokens need, real ones, on a free port of the loopback interface. */
export async function openHouse(options: HouseOptions = {}) {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'gatehouse-identity-'));
  let aheadMs = 0;
  const clock = { now: () => Date.now() + aheadMs };
  const lines: string[] = [];
  const log = createLog('debug', (line) => lines.push(line));
  const sealer = createSealer(Buffer.alloc(32, 7));
  const storage = await openStorage({ database: options.database ?? 'sqlite', dataDir, log, clock });
  const replica = `replica-${randomBytes(4).toString('hex')}`;
  const ledger = await openLedger({ storage, sealer, clock, log, replica, origin: 'localhost' });
  /** Set by a test to make recording fail. */
  let recordingFails: Error | undefined;
  const { recordChange } = ledger;
  const recordGuarded: RecordGuarded = async (change, guards) => {
    if (recordingFails && ['token.issue', 'svid.issue'].includes(change.operation)) throw recordingFails;
    return ledger.recordGuarded(change, guards);
  };
  const outbound = createOutbound();
  const registry = await createRegistry({
    storage,
    clock,
    trustDomain: TRUST_DOMAIN,
    recordChange,
    log,
    validate: compilePolicies,
  });

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    identity.trustDomain
      .handle(request, response)
      .then(async (answered) => answered || identity.authorizationServer.handle(request, response))
      .then(async (handled) => {
        const [, resource] = /^\/\.well-known\/oauth-protected-resource(.*)$/.exec(request.url ?? '') ?? [];
        if (resource !== undefined) response.end(JSON.stringify(identity.resourceMetadata(resource)));
        else if (!handled) await protectedResource(request.url ?? '', request, response);
      })
      .catch((error) => {
        lines.push(String(error?.stack));
        response.writeHead(500).end();
      });
  };
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const publicUrl = options.publicUrl ?? address;
  const front = options.mutualTls ? await createAuthority('front.test') : undefined;
  const own = await front?.issue({ dns: ['localhost'] });
  const mutualTls =
    own &&
    (await openListener(
      {
        host: '127.0.0.1',
        port: 0,
        tls: {
          identity: { current: { certificate: own.cert, key: own.key }, refresh: async () => false },
          clientCertificates: true,
        },
      },
      handle,
    ));
  const mutualTlsUrl = mutualTls && `https://localhost:${mutualTls.address.port}`;
  const identity = await createIdentity({
    storage,
    registry,
    recordChange,
    recordGuarded,
    sealer,
    clock,
    log,
    outbound,
    people: createPeople({ storage, sealer, registry, recordChange, clock, log, publicUrl: 'http://localhost' }),
    trustDomain: TRUST_DOMAIN,
    publicUrl,
    mutualTlsUrl,
    keyMaxAgeMs: options.keyMaxAgeMs,
    ...(options.requireProofNonce !== undefined && { requireProofNonce: options.requireProofNonce }),
  });

  const authority = options.mutualTls
    ? await identity.trustDomain.rootsPem().then(() => stolenAuthority(storage, sealer))
    : undefined;

  /** A door that says who called. */
  const protectedResource: (
    url: string,
    ...http: Parameters<Parameters<typeof createServer>[1] & object>
  ) => Promise<void> = async (url, request, response) => {
    try {
      const caller = await identity.tokens.authenticate({
        authorization: request.headers.authorization,
        dpop: request.headers.dpop as string | undefined,
        method: request.method ?? '',
        url: request.headers.host === new URL(publicUrl).host ? url : `${mutualTlsUrl}${url}`,
        peer: await identity.peers.of(request),
      });
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(caller));
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error;
      const { challenge, dpopNonce } = error.extra as { challenge?: string; dpopNonce?: string };
      if (challenge) response.setHeader('WWW-Authenticate', challenge);
      if (dpopNonce) response.setHeader('DPoP-Nonce', dpopNonce);
      response.writeHead(error.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ code: error.code, detail: error.message }));
    }
  };

  const stopFeed = () => storage.feed.stop();
  if (options.feed !== false)
    await storage.feed.start(replica, async (changes) => {
      await registry.refresh(changes);
      await identity.refresh(changes);
    });
  /** Resolves when this replica has seen everything that was changed so far. */
  const settled = async () => {
    await storage.feed.waitForAll(await storage.feed.head());
    while (!storage.feed.fresh()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const apply = async (...manifests: Manifest[]) => {
    await registry.apply(manifests, { prune: false, by: 'gatehouse' });
    await settled();
  };

  return {
    dataDir,
    publicUrl,
    /** Where this replica listens, whatever the public URL says. */
    address,
    resource: `${publicUrl}/mcp`,
    mutualTlsUrl,
    /** PEM of the authority that the port for mutual TLS is verified with. */
    mutualTlsCa: front?.root,
    /** Signs with the key that the trust domain itself signs with, also what that never would. Only with `mutualTls`. */
    authority: authority as Authority,
    clock,
    lines,
    log,
    outbound,
    sealer,
    recordChange,
    recordGuarded,
    storage,
    registry,
    ledger,
    identity,
    settled,
    apply,
    stopFeed,
    pass(ms: number) {
      aheadMs += ms;
    },
    failRecording(error: Error | undefined) {
      recordingFails = error;
    },
    async records(operation: string): Promise<ActionRecord[]> {
      const rows = await storage.db
        .selectFrom('records')
        .select('entry')
        .where('operation', '=', operation)
        .orderBy('sequence')
        .execute();
      return rows.map(({ entry }) => JSON.parse(entry) as ActionRecord);
    },
    /** The smallest workspace in which an agent can start a task. */
    async furnish() {
      await apply(
        { kind: 'Environment', name: 'prod', production: true },
        { kind: 'Person', email: OWNER, displayName: 'Owner', roles: ['owner'] },
        {
          kind: 'Template',
          name: 'support',
          parameters: { customer: { type: 'string', required: true } },
          allow: [],
          ttlSeconds: 3_600,
        },
        { kind: 'Template', name: 'short', parameters: {}, allow: [], ttlSeconds: 60 },
        { kind: 'Template', name: 'administration', parameters: {}, allow: [], ttlSeconds: 3_600 },
        { kind: 'Blueprint', name: 'support', templates: ['support', 'short'] },
      );
    },
    /** Registers an agent with a new key of its own. */
    async enrol(
      name: string,
      options: { bearerOnly?: boolean; algorithm?: 'ES256' | 'Ed25519'; state?: AgentManifest['state'] } = {},
    ) {
      const { algorithm, ...manifest } = options;
      const key = await createKey(algorithm);
      await apply(agentManifest(name, { keys: [key.publicJwk], ...manifest }));
      return { name, ...key };
    },
    async close() {
      await stopFeed();
      mutualTls?.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await outbound.close();
      await ledger.close();
      await storage.close();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export async function createKey(algorithm: 'ES256' | 'Ed25519' = 'ES256') {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  return { ...pair, publicJwk: (await exportJWK(pair.publicKey)) as PublicJwk };
}

export type House = Awaited<ReturnType<typeof openHouse>>;
export type EnrolledAgent = Awaited<ReturnType<House['enrol']>>;

export function agentManifest(name: string, change: Partial<AgentManifest> = {}): AgentManifest {
  return {
    kind: 'Agent',
    name,
    owner: OWNER,
    purpose: 'tests',
    environment: 'prod',
    blueprint: 'support',
    state: 'active',
    risk: 'low',
    keys: [],
    bearerOnly: false,
    ...change,
  };
}
