import { setTimeout as sleep } from 'node:timers/promises';
import * as dpop from 'dpop';
import { exportJWK, type JWK } from 'jose';
import * as oauth from 'oauth4webapi';
import { type AgentKey, agentKeyFromJwk, publicKeyOf } from './agent-key.ts';
import type { AgentSvid, CertifiedFetch } from './client-certificate.ts';
import { isConfirmed } from './confirm.ts';
import { type AgentCredential, keyCredential, svidCredential } from './credentials/index.ts';
import { GatehouseRequestError } from './errors.ts';
import { isLoopback, isProtected, unreachable } from './operator.ts';
import { isBusy, retryAfterMs, retryDelayMs } from './patience.ts';
import { createProver } from './proofs.ts';
import { type AgentClock, createServerClock, systemClock } from './server-clock.ts';
import { type ServerTrust, serverFetch } from './server-fetch.ts';
import { type AgentTask, createTask, refreshTime, type TokenAnswer } from './task.ts';
import { TASK_DETAILS_TYPE, type TaskRequest, taskDetailsOf, taskKey } from './task-request.ts';
import { type CachedToken, cacheKey, type TokenCache } from './token-cache.ts';

export type { AgentClock, AgentSvid, TaskRequest };

export interface AgentOptions extends ServerTrust {
  /** Base address of the server, as it was printed at its start. */
  url: string;
  /** Registered name of the agent. */
  agent: string;
  /** How the agent proves itself; `key` and `svid` are short for the two most used. */
  credential?: AgentCredential;
  /** The agent's key, or the file that it is in. */
  key?: AgentKey | string;
  /** The agent's X.509-SVID: it proves the agent over mutual TLS, and its tokens are bound to it, besides `proofKey` if one is given. */
  svid?: AgentSvid;
  /** True only for an agent that is registered as bearer-only. */
  bearerOnly?: boolean;
  /** The key that tokens are bound to. Without one, and without an SVID, there is a new one, which lives as long as this process. */
  proofKey?: AgentKey;
  /** Shares tokens, and the key that they are bound to, with other processes of this user: the same task request is the same task. */
  cache?: TokenCache;
  /**
   * A token from the cache that the server has not vouched for in this time is asked about before it is used. Without it none is: the gate
   * refuses one that no longer counts, and `fetch` then gets another or says why there is none. For those who hand tokens to other programs.
   */
  confirmAfterMs?: number;
  /** The system's clock unless given. */
  clock?: AgentClock;
}

export interface AgentClient {
  /** Starts a task: one token request (RFC 6749 §4.4, RFC 9396) with the agent's proof. Throws GatehouseRequestError. */
  startTask(request: TaskRequest): Promise<AgentTask>;
  /** Goes on with a task that this agent has started, e.g. in another process. */
  resumeTask(id: string): Promise<AgentTask>;
  /**
   * Takes over a task that another agent hands on, by the token that it gave (RFC 8693): a new task of this agent, which may do what
   * both may, for the same person. The other agent has to name this one under `delegatesTo`. Throws GatehouseRequestError.
   */
  takeOver(token: string, request: TaskRequest): Promise<AgentTask>;
  /**
   * Starts a task for the person whom this ID token of the company's provider names (RFC 8693), under a delegation of theirs that fits:
   * the newest, or the one in the request. Throws GatehouseRequestError.
   */
  startTaskFor(idToken: string, request: TaskRequest): Promise<AgentTask>;
}

/** What is exchanged: the token of another agent's task, which this agent takes over, or a person's ID token. */
interface Subject {
  token: string;
  type: 'access_token' | 'id_token';
}

/** RFC 7523 §2.1. */
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** RFC 8693 §§2.1, 3. */
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:';
/** A token request that takes longer gets no answer any more. */
const TIMEOUT_MS = 10_000;

/** An agent that can prove itself. There is no shared secret anywhere. Throws GatehouseRequestError. */
export async function createAgent(options: AgentOptions): Promise<AgentClient> {
  const url = options.url.replace(/\/+$/, '');
  const { clock = systemClock, cache, agent } = options;
  const credential = credentialOf(options);
  const isCertified = credential.connect !== undefined;
  const web = serverFetch(options);
  const { server, response, request } = await discover(url, web);
  const base = isCertified ? mutualTlsBase(server, url) : url;
  const serverClock = createServerClock(clock);
  serverClock.learn(response);
  const client = (): oauth.Client => ({
    client_id: agent,
    use_mtls_endpoint_aliases: isCertified,
    // The library takes the machine's clock; what the agent was given as its clock may be another.
    [oauth.clockSkew]: serverClock.nowSeconds() - Math.floor(Date.now() / 1000),
  });
  const hasNoProof = options.bearerOnly || (isCertified && !options.proofKey);
  const proofKey = options.proofKey ?? (cache && !hasNoProof ? await cachedProofKey(cache, url, agent) : undefined);
  const proofKeys = hasNoProof ? null : await proofKeysOf(proofKey);
  const prover = proofKeys && (await createProver(proofKeys, serverClock.nowSeconds));

  async function send(
    details: object,
    subject: Subject | undefined,
    connection: CertifiedFetch | undefined,
    proof: oauth.DPoPHandle | null,
  ) {
    const [authentication, assertion] = await Promise.all([credential.authentication(), credential.assertion?.(url)]);
    if (subject !== undefined && assertion !== undefined)
      throw new GatehouseRequestError(
        0,
        'agent.no-client-proof',
        'Tokens are exchanged by an agent that proves itself as a client: with a key or an SVID, not with an outside token.',
      );
    const [grant, parameters] =
      subject !== undefined
        ? [TOKEN_EXCHANGE, { subject_token: subject.token, subject_token_type: TOKEN_TYPE + subject.type }]
        : assertion !== undefined
          ? [JWT_BEARER, { assertion, resource: `${url}/mcp` }]
          : ['client_credentials', { resource: `${url}/mcp` }];
    const sent = oauth.genericTokenEndpointRequest(
      server,
      client(),
      authentication,
      grant,
      { ...parameters, authorization_details: JSON.stringify([details]) },
      {
        ...(proof && { DPoP: proof }),
        ...request,
        ...(connection && { [oauth.customFetch]: connection.fetch }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      },
    );
    return sent.catch((cause: unknown) => {
      throw unreachable(url, cause);
    });
  }

  async function tokenRequest(details: object, subject?: Subject): Promise<TokenAnswer> {
    const connection = await credential.connect?.();
    let handle = proofKeys && oauth.DPoP(client(), proofKeys);
    const attempt = async (retries = 0): Promise<TokenAnswer> => {
      const answered = await send(details, subject, connection, handle);
      if (serverClock.learn(answered) && proofKeys) handle = oauth.DPoP(client(), proofKeys);
      const delayMs = retryDelayMs(answered, retries, Math.random());
      if (delayMs !== undefined) {
        await answered.body?.cancel();
        await sleep(delayMs);
        return attempt(retries + 1);
      }
      if (isBusy(answered)) throw await busy(answered);
      const answer = await oauth.processGenericTokenEndpointResponse(server, client(), answered);
      const [granted] = (answer.authorization_details ?? []) as { task?: string }[];
      if (typeof granted?.task !== 'string')
        throw new GatehouseRequestError(200, 'invalid_response', 'The server granted a token without naming its task.');
      return {
        token: answer.access_token,
        tokenType: answer.token_type,
        task: granted.task,
        expiresInSeconds: answer.expires_in ?? 0,
        fetch: connection?.fetch ?? web,
      };
    };
    try {
      const before = serverClock.skewSeconds();
      return await attempt().catch((error: unknown) => {
        // Once more with the nonce that was asked for, or with the time that the refusal has told.
        const isLate = error instanceof oauth.ResponseBodyError && serverClock.skewSeconds() !== before;
        if (oauth.isDPoPNonceError(error) || isLate) return attempt();
        throw error;
      });
    } catch (error) {
      throw requestError(error);
    }
  }

  const binding = async () => ({
    bearerOnly: hasNoProof && !isCertified,
    proofKey: options.proofKey?.thumbprint ?? null,
    certificate: (await credential.connect?.())?.thumbprint ?? null,
  });
  const toCache = (answer: TokenAnswer): CachedToken => ({
    task: answer.task,
    token: answer.token,
    tokenType: prover ? 'DPoP' : 'Bearer',
    mcpUrl: `${base}/mcp`,
    refreshAt: refreshTime(clock.now(), answer.expiresInSeconds),
    expiresAt: clock.now() + answer.expiresInSeconds * 1000,
    skewSeconds: serverClock.skewSeconds(),
    checkedAt: clock.now(),
  });
  const fromCache = async (entry: CachedToken): Promise<TokenAnswer> => ({
    token: entry.token,
    tokenType: entry.tokenType,
    task: entry.task,
    expiresInSeconds: (entry.expiresAt - clock.now()) / 1000,
    refreshAt: entry.refreshAt,
    fetch: (await credential.connect?.())?.fetch ?? web,
  });

  /**
   * `renewing`: the token that the server has refused or that is too old, of a task that goes on; anything newer of that task, which
   * another process got, will do.
   */
  async function shared(
    key: string,
    shelf: TokenCache,
    details: object,
    renewing?: { task: string; token: string },
  ): Promise<TokenAnswer> {
    const isFresh = ({ token, refreshAt }: CachedToken) => token !== renewing?.token && clock.now() < refreshAt;
    const isVouchedFor = ({ checkedAt }: CachedToken) =>
      options.confirmAfterMs === undefined || clock.now() - checkedAt < options.confirmAfterMs;
    const isOther = (entry: CachedToken) => renewing !== undefined && entry.task !== renewing.task;
    const known = await shelf.read(key);
    if (known && isFresh(known) && isVouchedFor(known) && !isOther(known)) return fromCache(known);
    return shelf.alone(key, async () => {
      const entry = await shelf.read(key);
      // Another process has gone on to another task; ours has an end of its own.
      if (entry && isOther(entry)) return tokenRequest(details);
      if (entry && isFresh(entry)) {
        if (isVouchedFor(entry)) return fromCache(entry);
        const answer = await fromCache(entry);
        if (await isConfirmed(base, entry.token, { prover, fetch: answer.fetch })) {
          await shelf.write(key, { ...entry, checkedAt: clock.now() });
          return answer;
        }
      }
      try {
        const answer = await (entry ? continued(entry.task, details) : tokenRequest(details));
        await shelf.write(key, toCache(answer));
        return answer;
      } catch (error) {
        // A no is a no for every process: what they still have is refused as well, or soon will be.
        if (error instanceof GatehouseRequestError && isNo(error)) await shelf.forget(key);
        throw error;
      }
    });
  }

  /** The same task again while it runs; another one where it is over and one was asked for. */
  async function continued(task: string, details: object): Promise<TokenAnswer> {
    const same = { type: TASK_DETAILS_TYPE, task };
    if (Object.hasOwn(details, 'task')) return tokenRequest(same);
    return tokenRequest(same).catch((error: unknown) => {
      if (error instanceof GatehouseRequestError && error.code === 'invalid_authorization_details')
        return tokenRequest(details);
      throw error;
    });
  }

  async function begin(details: object, subject?: Subject): Promise<AgentTask> {
    // What is taken over is somebody else's to hand on again: it is not kept.
    const key = cache && subject === undefined && taskKey({ url, agent, ...(await binding()), details });
    const first = cache && key ? await shared(key, cache, details) : await tokenRequest(details, subject);
    const same = { type: TASK_DETAILS_TYPE, task: first.task };
    return createTask({
      url: base,
      server,
      client,
      authentication: () => credential.authentication(),
      prover,
      clock,
      serverClock,
      request,
      first,
      refresh: (token) => (cache && key ? shared(key, cache, same, { task: first.task, token }) : tokenRequest(same)),
    });
  }

  return {
    startTask: (task) => begin(taskDetailsOf(task)),
    takeOver: (token, task) => begin(taskDetailsOf(task), { token, type: 'access_token' }),
    startTaskFor: (token, task) => begin(taskDetailsOf(task), { token, type: 'id_token' }),
    resumeTask: (id) => begin({ type: TASK_DETAILS_TYPE, task: id }),
  };
}

/** The server has answered, and would say the same again: the agent, the task or the proof is not accepted. */
const isNo = ({ status, code }: GatehouseRequestError): boolean =>
  status >= 400 && status < 500 && status !== 429 && code !== 'use_dpop_nonce';

async function cachedProofKey(cache: TokenCache, url: string, agent: string): Promise<AgentKey> {
  const made = await cache.proofKey(cacheKey({ url, agent }), async () => {
    const { privateKey } = await dpop.generateKeyPair('ES256', { extractable: true });
    return JSON.stringify(await exportJWK(privateKey));
  });
  return agentKeyFromJwk(JSON.parse(made) as JWK);
}

async function busy(response: Response): Promise<GatehouseRequestError> {
  const waitMs = retryAfterMs(response);
  const text = await response.text().catch(() => '');
  const hint = waitMs === undefined ? 'Try again later.' : `Try again in ${Math.ceil(waitMs / 1000)} seconds.`;
  let said = `The server is busy (HTTP ${response.status}).`;
  try {
    const { error_description: description } = JSON.parse(text) as { error_description?: unknown };
    if (typeof description === 'string') said = description;
  } catch {
    // A proxy's page says nothing that helps.
  }
  return new GatehouseRequestError(response.status, 'temporarily_unavailable', `${said} ${hint}`);
}

function credentialOf({ credential, key, svid, agent, ca }: AgentOptions): AgentCredential {
  if (credential) return credential;
  if (svid) return svidCredential({ ...(ca !== undefined && { ca }), ...svid });
  if (key !== undefined) return keyCredential(key);
  throw new GatehouseRequestError(
    0,
    'agent.no-proof',
    `${agent} needs a credential to prove that it is itself: a key, an SVID, or a token of its platform.`,
  );
}

/** Where client certificates are asked for (RFC 8705 §5); every door of Gatehouse answers there. */
function mutualTlsBase(server: oauth.AuthorizationServer, url: string): string {
  if (!server.tls_client_certificate_bound_access_tokens)
    throw new GatehouseRequestError(
      0,
      'server.no-mutual-tls',
      `${url} asks for no client certificates: start it with a port for mutual TLS, or use a key.`,
    );
  const endpoint = server.mtls_endpoint_aliases?.token_endpoint;
  return endpoint === undefined ? url : new URL(endpoint).origin;
}

async function proofKeysOf(key: AgentKey | undefined): Promise<dpop.KeyPair> {
  if (!key) return dpop.generateKeyPair('ES256');
  return { privateKey: key.privateKey, publicKey: await publicKeyOf(key) };
}

async function discover(url: string, web: typeof fetch) {
  const issuer = new URL(url);
  const loopback = issuer.protocol === 'http:' && isLoopback(issuer.hostname);
  if (!isProtected(url))
    throw new GatehouseRequestError(0, 'server.insecure', `${url} is not protected: use https, or a loopback address.`);
  const request = { [oauth.allowInsecureRequests]: loopback, [oauth.customFetch]: web };
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...request }).catch((cause: unknown) => {
    throw unreachable(url, cause);
  });
  const server = await oauth.processDiscoveryResponse(issuer, response).catch((cause: unknown) => {
    throw new GatehouseRequestError(
      response.status,
      'server.not-gatehouse',
      `What answers at ${url} does not call itself that. Give the address exactly as the server printed it at its start.`,
      { cause },
    );
  });
  return { server, response, request };
}

function requestError(error: unknown): unknown {
  if (error instanceof oauth.ResponseBodyError) {
    const { status, error: code, error_description: description } = error;
    return new GatehouseRequestError(status, code, description ?? code, { cause: error });
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    const { parameters } = error.cause[0] ?? {};
    const code = parameters?.error ?? 'unauthenticated';
    return new GatehouseRequestError(error.status, code, parameters?.error_description ?? code, { cause: error });
  }
  if (error instanceof oauth.OperationProcessingError)
    return new GatehouseRequestError(0, 'invalid_response', `The server's answer makes no sense: ${error.message}`, {
      cause: error,
    });
  return error;
}
