import { TASK_DETAILS_TYPE, type TaskParameters } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import * as oauth from 'oauth4webapi';
import { type AgentKey, publicKeyOf, readAgentKey } from './agent-key.ts';
import { type AgentSvid, createCertifiedFetch } from './client-certificate.ts';
import { GatehouseRequestError } from './errors.ts';
import { isLoopback, isProtected, unreachable } from './operator.ts';
import { createProver } from './proofs.ts';
import { type AgentTask, createTask, type TokenAnswer } from './task.ts';

export type { AgentSvid };

export interface AgentOptions {
  /** Base address of the server, as it was printed at its start. */
  url: string;
  /** Registered name of the agent. */
  agent: string;
  /** The agent's key, or the file that it is in. Not needed with an SVID. */
  key?: AgentKey | string;
  /** The agent's X.509-SVID: it proves the agent over mutual TLS, and its tokens are bound to it, besides `proofKey` if one is given. */
  svid?: AgentSvid;
  /** True only for an agent that is registered as bearer-only. */
  bearerOnly?: boolean;
  /** The key that tokens are bound to. Without one, and without an SVID, there is a new one, which lives as long as this process. */
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
  /** The standing delegation of the person for whom it acts. The one member that is verified, and counts. */
  delegation?: string;
  /** Narrows the task to these tools (`server/tool`, `server/*`) of what its template allows. */
  tools?: string[];
  model?: { provider: string; name: string };
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
}

/** Where the time comes from: milliseconds since the epoch. */
export interface AgentClock {
  now(): number;
}

/** An agent with a key or an SVID of its own. There is no shared secret anywhere. Throws GatehouseRequestError. */
export async function createAgent(options: AgentOptions): Promise<AgentClient> {
  const url = options.url.replace(/\/+$/, '');
  const clock = options.clock ?? { now: () => Date.now() };
  const { server, response, request } = await discover(url);
  const authentication = await authenticationOf(options);
  const certified = options.svid && createCertifiedFetch(options.svid);
  const client: oauth.Client = { client_id: options.agent, use_mtls_endpoint_aliases: certified !== undefined };
  const base = certified ? mutualTlsBase(server, url) : url;
  let skewSeconds = clockSkewSeconds(response);
  const hasNoProof = options.bearerOnly || (certified && !options.proofKey);
  const proofKeys = hasNoProof ? null : await proofKeysOf(options.proofKey);
  const prover = proofKeys && (await createProver(proofKeys, () => Math.floor(Date.now() / 1000) + skewSeconds));

  async function tokenRequest(details: object, subject?: string): Promise<TokenAnswer> {
    const skewed = () => ({ ...client, [oauth.clockSkew]: skewSeconds });
    const connection = await certified?.();
    let handle = proofKeys && oauth.DPoP(skewed(), proofKeys);
    const attempt = async (): Promise<TokenAnswer> => {
      const answered = await oauth
        .genericTokenEndpointRequest(
          server,
          skewed(),
          authentication,
          subject === undefined ? 'client_credentials' : TOKEN_EXCHANGE,
          {
            authorization_details: JSON.stringify([details]),
            ...(subject === undefined
              ? { resource: `${url}/mcp` }
              : { subject_token: subject, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
          },
          { ...(handle && { DPoP: handle }), ...request, ...(connection && { [oauth.customFetch]: connection.fetch }) },
        )
        .catch((cause: unknown) => {
          throw unreachable(url, cause);
        });
      const before = skewSeconds;
      skewSeconds = clockSkewSeconds(answered);
      if (before !== skewSeconds && proofKeys) handle = oauth.DPoP(skewed(), proofKeys);
      const answer = await oauth.processGenericTokenEndpointResponse(server, skewed(), answered);
      const [granted] = (answer.authorization_details ?? []) as { task?: string }[];
      if (typeof granted?.task !== 'string')
        throw new GatehouseRequestError(200, 'invalid_response', 'The server granted a token without naming its task.');
      return {
        token: answer.access_token,
        tokenType: answer.token_type,
        task: granted.task,
        expiresInSeconds: answer.expires_in ?? 0,
        fetch: connection?.fetch ?? ((...call) => fetch(...call)),
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
      url: base,
      server,
      client: () => ({ ...client, [oauth.clockSkew]: skewSeconds }),
      authentication,
      prover,
      clock,
      request,
      first: answer,
      refresh: (id) => tokenRequest({ type: TASK_DETAILS_TYPE, task: id }),
    });

  return {
    startTask: async (task) => taskOf(await tokenRequest(detailsOf(task))),
    takeOver: async (token, task) => taskOf(await tokenRequest(detailsOf(task), token)),
    resumeTask: async (id) => taskOf(await tokenRequest({ type: TASK_DETAILS_TYPE, task: id })),
  };
}

async function authenticationOf({ key, svid, agent }: AgentOptions): Promise<oauth.ClientAuth> {
  if (svid) return oauth.TlsClientAuth();
  if (key === undefined)
    throw new GatehouseRequestError(0, 'agent.no-proof', `${agent} needs a key or an SVID to prove that it is itself.`);
  return oauth.PrivateKeyJwt((typeof key === 'string' ? await readAgentKey(key) : key).privateKey);
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

/** RFC 8693 §2.1. */
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const detailsOf = (task: TaskRequest) => ({
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
  delegation: task.delegation,
  tools: task.tools,
});

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
