import { generateKeyPairSync, type KeyObject, randomUUID, sign, X509Certificate } from 'node:crypto';
import type { JwtSvidAnswer, SvidBundles, X509SvidAnswer } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import { importJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import type { AgentKey } from './agent-key.ts';
import type { OutsideTokenSource } from './credentials/outside-token.ts';
import { GatehouseRequestError } from './errors.ts';
import { isLoopback, unreachable } from './operator.ts';
import { createProver, type Prover } from './proofs.ts';
import { createServerClock, type ServerClock } from './server-clock.ts';
import { type ServerTrust, serverFetch } from './server-fetch.ts';
import type { AgentTask } from './task.ts';

/** SVIDs of an agent or a workload, replaced in time; every process has its own key, which never leaves it. */
export interface SvidSource {
  /** The current one; fetched when there is none that lives. Throws GatehouseRequestError. */
  x509(): Promise<X509Svid>;
  /** A new JWT-SVID for these audiences. */
  jwt(audience: string[], ttlSeconds?: number): Promise<JwtSvidAnswer>;
  /** Bundles of our own trust domain and those it federates with, at most `BUNDLE_POLL_MS` old. */
  bundles(): Promise<SvidBundles>;
  /**
   * Keeps SVID and bundles fresh and tells of each change, until it is closed. The first listener starts it. An SVID whose authorities have
   * left the bundle is replaced at once.
   */
  follow(listener: SvidListener): () => void;
  close(): void;
}

export interface SvidListener {
  svid?(svid: X509Svid): void;
  bundles?(bundles: SvidBundles): void;
  /** The server says no: the agent may not have one, now. What was given before must not be used any more. */
  refused?(error: GatehouseRequestError): void;
  /** Nothing could be fetched just now, by a fault here or of the network; it is tried again. */
  failed?(error: Error): void;
}

export interface X509Svid extends X509SvidAnswer {
  privateKey: KeyObject;
}

export type SvidOptions = SvidProof &
  ServerTrust & {
    url: string;
    clock?: { now(): number };
    /** 0 to 1, as Math.random. */
    random?: () => number;
  };

export type SvidProof =
  | {
      agent: string;
      key: AgentKey;
      /** SVIDs of this task. Without one: of the agent itself, which proves itself with its key. */
      task?: AgentTask;
    }
  /** Of the workload that a trust rule has these tokens stand for; one is asked for with every request. */
  | { workload: OutsideTokenSource };

/** A bundle changes at most a few times in its refresh hint, and a root is published long before it signs. */
export const BUNDLE_POLL_MS = 60_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const ASSERTION_SECONDS = 60;
const TIMEOUT_MS = 10_000;

/**
 * When to replace what was issued at `issuedAt`: at half of its life, a tenth of that earlier or later, so that agents which started
 * together do not come back together. All in milliseconds since the epoch.
 */
export function rotateAt(issuedAt: number, expiresAt: number, random: number): number {
  const half = (expiresAt - issuedAt) / 2;
  return issuedAt + half * (0.9 + random * 0.2);
}

export function createSvidSource(options: SvidOptions): SvidSource {
  const url = options.url.replace(/\/+$/, '');
  const { clock = { now: () => Date.now() }, random = Math.random } = options;
  const serverClock = createServerClock(clock);
  const connection: Connection = { url, clock: serverClock, prove: proverOf(options, url, serverClock) };
  if (URL.parse(url)?.protocol !== 'https:' && !isLoopback(URL.parse(url)?.hostname ?? ''))
    throw new GatehouseRequestError(0, 'server.insecure', `${url} is not protected: use https, or a loopback address.`);
  const listeners = new Set<SvidListener>();
  let svid: X509Svid | undefined;
  let svidDueAt = 0;
  let known: { bundles: SvidBundles; at: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let closed = false;

  const learn = ({ trustDomain, bundles }: SvidBundles) => {
    const next = { trustDomain, bundles };
    const isNew = JSON.stringify(known?.bundles) !== JSON.stringify(next);
    known = { bundles: next, at: clock.now() };
    if (isNew) for (const listener of listeners) listener.bundles?.(next);
  };

  const fetchX509 = async (): Promise<X509Svid> => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const at = clock.now();
    const answer = await post<X509SvidAnswer>(connection, '/svid/x509', {
      csr: createCsr(privateKey, publicKey),
    });
    svid = { ...answer, privateKey };
    svidDueAt = rotateAt(at, answer.expiresAt, random());
    learn(answer);
    for (const listener of listeners) listener.svid?.(svid);
    return svid;
  };
  let fetching: Promise<X509Svid> | undefined;
  const renew = () => {
    fetching ??= fetchX509().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
  const fetchBundles = async () => {
    const answer = await post<SvidBundles>(connection, '/svid/bundles', {});
    // Authorities that were withdrawn take what they signed with them: from now on nobody accepts it.
    if (svid && !isRooted(svid, answer)) await renew();
    else learn(answer);
  };

  const turn = async () => {
    try {
      if (!svid || clock.now() >= svidDueAt) await renew();
      else if (clock.now() - (known?.at ?? 0) >= BUNDLE_POLL_MS) await fetchBundles();
      failures = 0;
    } catch (error) {
      failures++;
      if (error instanceof GatehouseRequestError && isRefusal(error)) {
        svid = undefined;
        for (const listener of listeners) listener.refused?.(error);
      } else if (error instanceof Error) {
        for (const listener of listeners) listener.failed?.(error);
      }
    }
    schedule();
  };
  const schedule = () => {
    clearTimeout(timer);
    if (closed || listeners.size === 0) return;
    const retry = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (failures - 1)) * (0.5 + random());
    const wait = failures > 0 ? retry : Math.min(svidDueAt - clock.now(), BUNDLE_POLL_MS * (0.9 + random() * 0.2));
    timer = setTimeout(() => void turn(), Math.max(0, wait));
    timer.unref();
  };

  return {
    async x509() {
      if (svid && clock.now() < svidDueAt) return svid;
      return renew().catch((error: unknown) => {
        // A server that is away for a moment stops nobody: what lives is used until it ends.
        const isNo = error instanceof GatehouseRequestError && isRefusal(error);
        if (isNo || !svid || svid.expiresAt <= clock.now()) throw error;
        return svid;
      });
    },
    jwt: (audience, ttlSeconds) =>
      post<JwtSvidAnswer>(connection, '/svid/jwt', {
        audience,
        ...(ttlSeconds !== undefined && { ttlSeconds }),
      }),
    async bundles() {
      if (!known || clock.now() - known.at >= BUNDLE_POLL_MS) await fetchBundles();
      return (known as NonNullable<typeof known>).bundles;
    },
    follow(listener) {
      listeners.add(listener);
      if (listeners.size === 1) void turn();
      return () => {
        listeners.delete(listener);
      };
    },
    close() {
      closed = true;
      clearTimeout(timer);
      listeners.clear();
    },
  };
}

/** Whether an X.509 authority of its own trust domain has signed the end of its chain. */
function isRooted({ certificates }: X509Svid, { trustDomain, bundles }: SvidBundles): boolean {
  const last = new X509Certificate(Buffer.from(certificates.at(-1) ?? '', 'base64'));
  const keys = (bundles[trustDomain]?.keys ?? []) as { use?: string; x5c?: string[] }[];
  return keys
    .filter(({ use }) => use === 'x509-svid')
    .flatMap(({ x5c = [] }) => x5c)
    .some((root) => last.verify(new X509Certificate(Buffer.from(root, 'base64')).publicKey));
}

/** 401 and 403, and 410 for a task that is over: repeating changes nothing. */
export const isRefusal = ({ status }: GatehouseRequestError): boolean =>
  status === 401 || status === 403 || status === 410;

interface Connection {
  url: string;
  clock: ServerClock;
  prove: Prove;
}

/** What one request proves who asks with, and what sends it. */
type Prove = (path: string) => Promise<{
  send: typeof fetch;
  body: object;
  headers: Record<string, string>;
  /** True when the answer has told what a second try would get right. */
  learn(response: Response): boolean;
}>;

function proverOf(options: SvidOptions, url: string, clock: ServerClock): Prove {
  const send = serverFetch(options);
  const plain = { send, headers: {}, learn: () => false };
  if ('workload' in options) {
    // The key of this process: some rules take a token again, with the key of its first use.
    let prover: Promise<Prover> | undefined;
    return async (path) => {
      prover ??= dpop.generateKeyPair('ES256').then((keys) => createProver(keys, clock.nowSeconds));
      const [proofs, token] = [await prover, await options.workload(url)];
      return {
        send,
        body: { proof: { token } },
        headers: { dpop: await proofs.proof(url + path, 'POST', token) },
        learn: (response) => [clock.learn(response), proofs.learn(url, response)].includes(true),
      };
    };
  }
  const { task, agent, key } = options;
  // The task's own fetch carries its token, and knows how to try again.
  if (task) return async () => ({ ...plain, send: task.fetch, body: {} });
  return async () => ({
    ...plain,
    body: { clientAssertion: await createAssertion(agent, key, url, clock.nowSeconds()) },
    learn: (response) => clock.learn(response),
  });
}

async function post<T>(connection: Connection, path: string, body: object, isRepeated = false): Promise<T> {
  const { url, prove } = connection;
  const proven = await prove(path);
  const response = await proven
    .send(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...proven.headers },
      body: JSON.stringify({ ...body, ...proven.body }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    .catch((cause: unknown) => {
      throw unreachable(url, cause);
    });
  const answer = (await response.json().catch(() => ({}))) as T & { title?: string; detail?: string };
  if (response.ok) return answer;
  if (proven.learn(response) && !isRepeated) return post(connection, path, body, true);
  throw new GatehouseRequestError(
    response.status,
    answer.title ?? 'invalid_response',
    answer.detail ?? `The server answered ${response.status}.`,
  );
}

/** RFC 7523 §2.2; the issuer is its one audience. */
function createAssertion(agent: string, key: AgentKey, audience: string, now: number): Promise<string> {
  return new SignJWT({
    iss: agent,
    sub: agent,
    aud: audience,
    jti: randomUUID(),
    iat: now,
    exp: now + ASSERTION_SECONDS,
  })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(key.privateKey);
}

/** PKCS #10 (RFC 2986) without names: the server says whose it is. DER, base64. */
export function createCsr(privateKey: KeyObject, publicKey: KeyObject): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  // version 0, empty subject, the key, no attributes.
  const info = element(0x30, Buffer.from('0201003000', 'hex'), spki, Buffer.from('a000', 'hex'));
  const signature = element(0x03, Buffer.of(0), sign('sha256', info, privateKey));
  return element(0x30, info, Buffer.from('300a06082a8648ce3d040302', 'hex'), signature).toString('base64');
}

/** A DER element; what a request consists of is shorter than 256 bytes. */
function element(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** JWT-SVID §2.1. */
const JWT_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
const JWT_HEADER = new Set(['alg', 'kid', 'typ']);

/**
 * JWT-SVID §5: verified with the JWT keys of the trust domain that `sub` names, and of no other; throws an Error that says what is
 * wrong.
 */
export async function validateJwtSvid(
  { bundles }: SvidBundles,
  token: string,
  audience: string,
): Promise<{ spiffeId: string; claims: Record<string, unknown> }> {
  const { payload } = await jwtVerify(
    token,
    async (header, { payload: encoded }) => {
      const unknown = Object.keys(header).find((member) => !JWT_HEADER.has(member));
      if (unknown) throw new Error(`The JWT-SVID has the header member ${unknown}.`);
      if (header.typ !== undefined && header.typ !== 'JWT' && header.typ !== 'JOSE')
        throw new Error('The typ of the JWT-SVID is neither JWT nor JOSE.');
      const { sub } = JSON.parse(Buffer.from(encoded as string, 'base64url').toString()) as { sub?: unknown };
      const [, trustDomain] = /^spiffe:\/\/([a-z0-9._-]+)\/./.exec(String(sub)) ?? [];
      const bundle = trustDomain && Object.hasOwn(bundles, trustDomain) ? bundles[trustDomain] : undefined;
      if (!bundle) throw new Error('The sub of the JWT-SVID is of no trust domain that is known here.');
      const keys = bundle.keys as (JWK & { use?: string })[];
      const jwk = keys.find(({ use, kid }) => use === 'jwt-svid' && kid !== undefined && kid === header.kid);
      if (!jwk) throw new Error('The kid of the JWT-SVID names no key of its trust domain.');
      return importJWK({ ...jwk, use: 'sig' }, header.alg);
    },
    { audience, algorithms: JWT_ALGORITHMS, requiredClaims: ['sub', 'aud', 'exp'] },
  );
  return { spiffeId: payload.sub as string, claims: payload };
}
