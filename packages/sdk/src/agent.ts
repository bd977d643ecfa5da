import { TASK_DETAILS_TYPE, type TaskParameters } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import * as oauth from 'oauth4webapi';
import { type AgentKey, readAgentKey } from './agent-key.ts';
import { GatehouseRequestError } from './errors.ts';
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

/** An agent with a key of its own. There is no shared secret anywhere. */
export async function createAgent(options: AgentOptions): Promise<AgentClient> {
  const url = options.url.replace(/\/+$/, '');
  const key = typeof options.key === 'string' ? await readAgentKey(options.key) : options.key;
  const issuer = new URL(url);
  // Plain HTTP only where nobody else can listen.
  const loopback = issuer.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(issuer.hostname);
  const request = { [oauth.allowInsecureRequests]: loopback };
  const discovered = await oauth
    .discoveryRequest(issuer, { algorithm: 'oauth2', ...request })
    .catch((cause: unknown) => {
      throw new GatehouseRequestError(
        0,
        'server.unreachable',
        `No Gatehouse server answers at ${url}. Start it, or correct the address.`,
        { cause },
      );
    });
  const server = await oauth.processDiscoveryResponse(issuer, discovered);
  const client: oauth.Client = { client_id: options.agent };
  const clock: { skewSeconds: number } = { skewSeconds: clockSkewSeconds(discovered) };
  const proofKeys = options.bearerOnly ? null : await dpop.generateKeyPair('ES256');
  const prover = proofKeys && createProver(proofKeys);

  async function tokenRequest(details: object): Promise<TokenAnswer> {
    const handle = proofKeys && oauth.DPoP({ ...client, [oauth.clockSkew]: clock.skewSeconds }, proofKeys);
    const attempt = async (): Promise<TokenAnswer> => {
      const skewed = { ...client, [oauth.clockSkew]: clock.skewSeconds };
      const response = await oauth.clientCredentialsGrantRequest(
        server,
        skewed,
        oauth.PrivateKeyJwt(key.privateKey),
        { authorization_details: JSON.stringify([details]), resource: `${url}/mcp` },
        { ...(handle && { DPoP: handle }), ...request },
      );
      clock.skewSeconds = clockSkewSeconds(response);
      const answer = await oauth.processClientCredentialsResponse(server, skewed, response);
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
      if (error instanceof oauth.ResponseBodyError) {
        throw new GatehouseRequestError(error.status, error.error, error.error_description ?? error.error, {
          cause: error,
        });
      }
      throw error;
    }
  }

  const taskOf = (answer: TokenAnswer) =>
    createTask({
      url,
      server,
      client,
      key,
      prover,
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

/** How far the server's clock is ahead of ours, from its Date header; small differences are network. */
function clockSkewSeconds(response: Response): number {
  const date = Date.parse(response.headers.get('date') ?? '');
  const seconds = Number.isNaN(date) ? 0 : Math.round((date - Date.now()) / 1000);
  return Math.abs(seconds) > 2 ? seconds : 0;
}
