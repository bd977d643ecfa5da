import { TASK_DETAILS_TYPE, type TaskParameters } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import * as oauth from 'oauth4webapi';
import { type AgentKey, publicKeyOf, readAgentKey } from './agent-key.ts';
import { GatehouseRequestError } from './errors.ts';
import { isLoopback, isProtected, unreachable } from './operator.ts';
import { createProver } from './proofs.ts';
import { type AgentTask, createTask, type TokenAnswer } from './task.ts';

export interface AgentOptions {
  /** Base address of the server, as it was printed at its start. */
  url: string;
  /** Registered name of the agent. */
  agent: string;
  /** The agent's key, or the file that it is in. */
  key: AgentKey | string;
  /** True only for an agent that is registered as bearer-only. */
  bearerOnly?: boolean;
  /** The key that tokens are bound to. Without one there is a new one, which lives as long as this process. */
  proofKey?: AgentKey;
  /** When tokens are refreshed; the system's clock unless given. */
  clock?: AgentClock;
}

/** What a task is started with; all of it is declared by the agent, recorded, and grants nothing by itself. */
export interface TaskRequest {
  template: string;
  parameters?: TaskParameters;
  intent: string;
  onBehalfOf?: string;
  requestedBy?: string;
  ticket?: string;
  changeRequest?: string;
  model?: { provider: string; name: string };
}

export interface AgentClient {
  /** Starts a task: one token request (RFC 6749 §4.4 with private_key_jwt, RFC 9396, DPoP). Throws GatehouseRequestError. */
  startTask(request: TaskRequest): Promise<AgentTask>;
  /** Goes on with a task that this agent has started, e.g. in another process. */
  resumeTask(id: string): Promise<AgentTask>;
}

/** Where the time comes from: milliseconds since the epoch. */
export interface AgentClock {
  now(): number;
}

/** An agent with a key of its own. There is no shared secret anywhere. Throws GatehouseRequestError. */
export async function createAgent(options: AgentOptions): Promise<AgentClient> {
  const url = options.url.replace(/\/+$/, '');
  const clock = options.clock ?? { now: () => Date.now() };
  const key = typeof options.key === 'string' ? await readAgentKey(options.key) : options.key;
  const { server, response, request } = await discover(url);
  const client: oauth.Client = { client_id: options.agent };
  let skewSeconds = clockSkewSeconds(response);
  const proofKeys = options.bearerOnly ? null : await proofKeysOf(options.proofKey);
  const prover = proofKeys && (await createProver(proofKeys, () => Math.floor(Date.now() / 1000) + skewSeconds));

  async function tokenRequest(details: object): Promise<TokenAnswer> {
    const skewed = () => ({ ...client, [oauth.clockSkew]: skewSeconds });
    let handle = proofKeys && oauth.DPoP(skewed(), proofKeys);
    const attempt = async (): Promise<TokenAnswer> => {
      const answered = await oauth
        .clientCredentialsGrantRequest(
          server,
          skewed(),
          oauth.PrivateKeyJwt(key.privateKey),
          { authorization_details: JSON.stringify([details]), resource: `${url}/mcp` },
          { ...(handle && { DPoP: handle }), ...request },
        )
        .catch((cause: unknown) => {
          throw unreachable(url, cause);
        });
      const before = skewSeconds;
      skewSeconds = clockSkewSeconds(answered);
      if (before !== skewSeconds && proofKeys) handle = oauth.DPoP(skewed(), proofKeys);
      const answer = await oauth.processClientCredentialsResponse(server, skewed(), answered);
      const [granted] = (answer.authorization_details ?? []) as { task?: string }[];
      if (typeof granted?.task !== 'string')
        throw new GatehouseRequestError(200, 'invalid_response', 'The server granted a token without naming its task.');
      return {
        token: answer.access_token,
        tokenType: answer.token_type,
        task: granted.task,
        expiresInSeconds: answer.expires_in ?? 0,
      };
    };
    try {
      return await attempt().catch((error: unknown) => {
        if (oauth.isDPoPNonceError(error)) return attempt();
        throw error;
      });
    } catch (error) {
      throw requestError(error);
    }
  }

  const taskOf = (answer: TokenAnswer) =>
    createTask({
      url,
      server,
      client: () => ({ ...client, [oauth.clockSkew]: skewSeconds }),
      key,
      prover,
      clock,
      request,
      first: answer,
      refresh: (id) => tokenRequest({ type: TASK_DETAILS_TYPE, task: id }),
    });

  return {
    async startTask(task) {
      const details = {
        type: TASK_DETAILS_TYPE,
        template: task.template,
        parameters: task.parameters ?? {},
        intent: task.intent,
        on_behalf_of: task.onBehalfOf,
        requested_by: task.requestedBy,
        ticket: task.ticket,
        change_request: task.changeRequest,
        model_provider: task.model?.provider,
        model: task.model?.name,
      };
      return taskOf(await tokenRequest(details));
    },
    resumeTask: async (id) => taskOf(await tokenRequest({ type: TASK_DETAILS_TYPE, task: id })),
  };
}

async function proofKeysOf(key: AgentKey | undefined): Promise<dpop.KeyPair> {
  if (!key) return dpop.generateKeyPair('ES256');
  return { privateKey: key.privateKey, publicKey: await publicKeyOf(key) };
}

async function discover(url: string) {
  const issuer = new URL(url);
  const loopback = issuer.protocol === 'http:' && isLoopback(issuer.hostname);
  if (!isProtected(url))
    throw new GatehouseRequestError(0, 'server.insecure', `${url} is not protected: use https, or a loopback address.`);
  const request = { [oauth.allowInsecureRequests]: loopback };
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

/** How far the server's clock is ahead of ours, from its Date header; small differences are network. */
function clockSkewSeconds(response: Response): number {
  const date = Date.parse(response.headers.get('date') ?? '');
  const seconds = Number.isNaN(date) ? 0 : Math.round((date - Date.now()) / 1000);
  return Math.abs(seconds) > 2 ? seconds : 0;
}
