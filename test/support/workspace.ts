import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Api, EndorsedValue, Manifest, ManifestInput } from '@gatehouse/protocol';
import { manifest } from '@gatehouse/protocol';
import { type AgentClient, type AgentKey, agentKeyFromJwk, createAgent } from '@gatehouse/sdk';
import { createSoftwarePasskey, type SoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { type RunningServer, startServer } from '@gatehouse/server';
import { exportJWK, generateKeyPair } from 'jose';

/** A whole running server with an empty workspace, for tests, the demo and benches. Everything in it is real. */
export interface Workspace {
  server: RunningServer;
  url: string;
  /** Where it answers over mutual TLS, if that was asked for. */
  mutualTlsUrl: string | undefined;
  dataDir: string;
  /** The control API as the operator of this host. */
  operator<Name extends keyof Api>(route: Name, options?: ApiCall): Promise<Api[Name]>;
  apply(manifests: ManifestInput[]): Promise<Api['POST /apply']>;
  /** Signs a person in with a software authenticator; in recovery, who has one already. `by`: an admin makes the link, not the host. */
  person(email: string, options?: { recovery?: boolean; by?: SignedInPerson }): Promise<SignedInPerson>;
  /** With their passkey, as after a night. */
  signInAgain(person: SignedInPerson): Promise<SignedInPerson>;
  /** Gives the agent a new key and an SDK client that holds it. */
  agent(name: string, options?: { bearerOnly?: boolean }): Promise<AgentClient & { key: AgentKey }>;
  /** Stops and starts the server again on the same data, or kills nothing of it: `close` only at the end. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface ApiCall {
  params?: Record<string, string>;
  query?: Record<string, string>;
  body?: unknown;
}

export interface SignedInPerson {
  email: string;
  cookie: string;
  api<Name extends keyof Api>(route: Name, options?: ApiCall): Promise<Api[Name]>;
  /** Approves with the passkey, as the console does. */
  /** `endorse`: values of it that count for the rest of the task as well. */
  approve(approval: string, endorse?: EndorsedValue[]): Promise<Api['POST /approvals/:id/approve']>;
  passkey: SoftwarePasskey;
}

export class ApiError extends Error {
  readonly status: number;
  readonly problem: { title?: string; detail?: string };

  constructor(status: number, problem: { title?: string; detail?: string }) {
    super(`${status} ${problem.title ?? ''}: ${problem.detail ?? ''}`);
    this.status = status;
    this.problem = problem;
  }
}

export async function startWorkspace(
  options: {
    database?: string;
    dataDir?: string;
    consoleDir?: string;
    replica?: string;
    port?: number;
    streamRestMs?: number;
    clients?: { dynamic?: boolean; hosts?: string[] };
    scimAgents?: boolean;
    clientMetadata?: { allowPrivateAddress: boolean; ca: string };
    requireProofNonce?: boolean;
    /** A port for mutual TLS, too. */
    mutualTls?: boolean;
    trustDomain?: string;
    /** A port for Envoy's external authorization, too. */
    extAuthz?: boolean;
    trustedProxies?: string[];
    openTelemetry?: Record<string, string>;
    clock?: { now(): number };
    witnesses?: { policyFile: string; failClosedAfterSeconds?: number };
    publishLogTo?: string;
    publicLog?: boolean;
  } = {},
): Promise<Workspace> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'gatehouse-'));
  const port = options.port ?? (await freePort());
  const url = `http://localhost:${port}`;
  const extAuthz = options.extAuthz ? { port: await freePort() } : undefined;
  const mutualTlsPort = options.mutualTls ? await freePort() : undefined;
  const mutualTls =
    mutualTlsPort === undefined ? undefined : { port: mutualTlsPort, url: `https://localhost:${mutualTlsPort}` };
  const start = () =>
    startServer(
      {
        dataDir,
        database: options.database ?? 'sqlite',
        host: '127.0.0.1',
        port,
        publicUrl: url,
        mutualTls,
        extAuthz,
        trustDomain: options.trustDomain ?? 'example.test',
        replica: options.replica ?? 'one',
        ...(options.clients && { clients: options.clients }),
        ...(options.requireProofNonce && { requireProofNonce: true }),
        ...(options.scimAgents && { scimAgents: true }),
        ...(options.openTelemetry && { openTelemetry: options.openTelemetry }),
        ...(options.trustedProxies && { trustedProxies: options.trustedProxies }),
        ...(options.witnesses && { witnesses: options.witnesses }),
        ...(options.publishLogTo !== undefined && { publishLogTo: options.publishLogTo }),
        ...(options.publicLog && { publicLog: true }),
      },
      {
        log: quietLog,
        ...(options.clock && { clock: options.clock }),
        ...(options.clientMetadata && { clientMetadata: options.clientMetadata }),
        ...(options.streamRestMs !== undefined && { streamRestMs: options.streamRestMs }),
        ...(options.consoleDir !== undefined && { consoleDir: options.consoleDir }),
      },
    );
  let server = await start();
  const operatorToken = readFileSync(join(dataDir, 'keys', 'operator.token'), 'utf8').trim();

  const operator: Workspace['operator'] = (route, call) =>
    request(url, route, call, { authorization: `Operator ${operatorToken}` });

  return {
    get server() {
      return server;
    },
    url,
    mutualTlsUrl: mutualTls?.url,
    dataDir,
    operator,
    apply: (manifests) =>
      operator('POST /apply', { body: { manifests: manifests.map((each): Manifest => manifest.parse(each)) } }),
    async person(email, { recovery = false, by } = {}) {
      const passkey = createSoftwarePasskey();
      const make = by?.api ?? operator;
      const { url: link } = await make('POST /people/signin-links', { body: { email, recovery } });
      const [token = ''] = /(signin|recover)_[\w-]+/.exec(link) ?? [];
      const person = signedIn(url, email, passkey);
      await person.api('POST /signin/link', { body: { token } });
      const { options: creation } = await person.api('POST /passkeys/options');
      await person.api('POST /passkeys', {
        body: { name: 'software', attestation: passkey.register(creation as never, url) },
      });
      return person;
    },
    async signInAgain({ email, passkey }) {
      const person = signedIn(url, email, passkey);
      const { options: challenge } = await person.api('POST /signin/passkey/options');
      await person.api('POST /signin/passkey', { body: { assertion: passkey.assert(challenge as never, url) } });
      return person;
    },
    async agent(name, how = {}) {
      const pair = await generateKeyPair('ES256', { extractable: true });
      const key = await agentKeyFromJwk(await exportJWK(pair.privateKey));
      await operator('POST /agents/:name/keys', { params: { name }, body: { key: key.publicJwk } });
      return { ...(await createAgent({ url, agent: name, key, ...how })), key };
    },
    async restart() {
      await server.close();
      server = await start();
    },
    async close() {
      await server.close();
      if (options.dataDir === undefined)
        rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** Somebody in front of a browser: what is answered sets their cookie. */
function signedIn(url: string, email: string, passkey: SoftwarePasskey): SignedInPerson {
  let cookie = '';
  const api: SignedInPerson['api'] = async (route, call) =>
    request(url, route, call, { cookie, origin: url }, (set) => {
      cookie = set.split(';')[0] ?? '';
    });
  return {
    email,
    get cookie() {
      return cookie;
    },
    api,
    passkey,
    async approve(approval, endorse = []) {
      const params = { id: approval };
      const { options: challenge } = await api('POST /approvals/:id/options', { params, body: { endorse } });
      return api('POST /approvals/:id/approve', {
        params,
        body: { assertion: passkey.assert(challenge as never, url), endorse },
      });
    },
  };
}

async function request<Name extends keyof Api>(
  url: string,
  route: Name,
  call: ApiCall = {},
  headers: Record<string, string>,
  onCookie?: (value: string) => void,
): Promise<Api[Name]> {
  const [method = 'GET', template = ''] = route.split(' ');
  const path = template.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(call.params?.[name] ?? ''));
  const target = new URL(`${url}/api/v1${path}`);
  for (const [name, value] of Object.entries(call.query ?? {})) target.searchParams.set(name, value);
  const response = await fetch(target, {
    method,
    headers: { ...headers, ...(method !== 'GET' && { 'content-type': 'application/json' }) },
    ...(method !== 'GET' && { body: JSON.stringify(call.body ?? {}) }),
  });
  const body = (await response.json()) as Api[Name];
  if (!response.ok) throw new ApiError(response.status, body as { title?: string; detail?: string });
  for (const cookie of response.headers.getSetCookie()) onCookie?.(cookie);
  return body;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const silent = () => undefined;
const print = (message: string, fields?: Record<string, unknown>) => {
  if (process.env.GATEHOUSE_TEST_LOG) console.error(message, fields);
};
const quietLog = {
  debug: silent,
  info: silent,
  warn: print,
  error: (message: string, fields?: Record<string, unknown>) => console.error(message, fields),
};
