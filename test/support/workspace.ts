import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { Api, EndorsedValue, Manifest, ManifestInput, SecondYesAct } from '@gatehouse/protocol';
import { manifest } from '@gatehouse/protocol';
import { type AgentClient, type AgentKey, agentKeyFromJwk, createAgent } from '@gatehouse/sdk';
import { createSoftwarePasskey, type SoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { type RunningServer, startServer } from '@gatehouse/server';
import { exportJWK, generateKeyPair } from 'jose';
import { createWatch } from './canary.ts';
import { freePort } from './free-port.ts';

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
  /** What agrees, with the passkey, to what somebody else has asked for, as the console does. */
  secondYes(act: SecondYesAct, id: string): Promise<{ nonce: string; assertion: Record<string, unknown> }>;
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
        log: quietLog(watch),
        ...(options.clock && { clock: options.clock }),
        ...(options.clientMetadata && { clientMetadata: options.clientMetadata }),
        ...(options.streamRestMs !== undefined && { streamRestMs: options.streamRestMs }),
        ...(options.consoleDir !== undefined && { consoleDir: options.consoleDir }),
      },
    );
  const watch = createWatch();
  let server = await start();
  const operatorToken = readFileSync(join(dataDir, 'keys', 'operator.token'), 'utf8').trim();

  const operator: Workspace['operator'] = (route, call) => {
    // What goes in as a secret never comes out again.
    if (route === 'PUT /secrets/:name' && call)
      watch.add((call.body as { value: string }).value, `the secret ${call.params?.name}`);
    return request({ url, watch }, route, call, { authorization: `Operator ${operatorToken}` });
  };

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
      const person = signedIn({ url, watch }, email, passkey);
      await person.api('POST /signin/link', { body: { token } });
      const { options: creation } = await person.api('POST /passkeys/options');
      await person.api('POST /passkeys', {
        body: { name: 'software', attestation: passkey.register(creation as never, url) },
      });
      return person;
    },
    async signInAgain({ email, passkey }) {
      const person = signedIn({ url, watch }, email, passkey);
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
      assert.deepEqual(watch.foundBelow(dataDir), [], 'no secret of the tests stands in what a server leaves behind');
      if (options.dataDir === undefined)
        rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** Somebody in front of a browser: what is answered sets their cookie. */
function signedIn(at: At, email: string, passkey: SoftwarePasskey): SignedInPerson {
  const { url } = at;
  let cookie = '';
  const api: SignedInPerson['api'] = async (route, call) =>
    request(at, route, call, { cookie, origin: url }, (set) => {
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
    async secondYes(act, id) {
      const { nonce, options } = await api('POST /second-yes/options', { body: { act, id } });
      return { nonce, assertion: { ...passkey.assert(options as never, url) } };
    },
  };
}

type Watch = ReturnType<typeof createWatch>;
type At = { url: string; watch: Watch };

async function request<Name extends keyof Api>(
  { url, watch }: At,
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
  const text = await response.text();
  assert.equal(watch.found(text), undefined, `a secret of the tests stands in the answer to ${route}`);
  const body = JSON.parse(text) as Api[Name];
  if (!response.ok) throw new ApiError(response.status, body as { title?: string; detail?: string });
  for (const cookie of response.headers.getSetCookie()) onCookie?.(cookie);
  return body;
}

/** Errors are shown; everything is searched for secrets. */
function quietLog(watch: Watch) {
  const hear = (isShown: boolean) => (message: string, fields?: Record<string, unknown>) => {
    const text = `${message} ${inspect(fields, { depth: 8 })}`;
    if (watch.found(text) !== undefined) {
      process.exitCode = 1;
      throw new Error('a secret of the tests stands in a log line');
    }
    if (isShown) console.error(message, fields);
  };
  const isWordy = process.env.GATEHOUSE_TEST_LOG !== undefined;
  return { debug: hear(false), info: hear(false), warn: hear(isWordy), error: hear(true) };
}
