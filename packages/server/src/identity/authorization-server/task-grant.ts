import { TASK_DETAILS_TYPE, type Task, type TaskDetails } from '@gatehouse/protocol';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { GatehouseError } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { whyStopped } from '../tokens/authenticate.ts';
import { CredentialError } from '../tokens/credential-error.ts';
import { type IssueDependencies, issueAccessToken } from '../tokens/issue-access-token.ts';
import type { Proofs } from '../tokens/proof.ts';
import { MCP_PATH, resourcePath } from '../tokens/resources.ts';
import { oauthError, oauthErrorOf } from './oauth-error.ts';
import { endpoints } from './server-metadata.ts';
import { InvalidTaskRequest, parseTaskRequest } from './task-request.ts';

/**
 * `grant_type=client_credentials`: an agent that has proven itself starts a task, or continues one, and gets its token. The agent's authentication is the library's and has happened before.
 */
export interface TaskGrantDependencies extends IssueDependencies {
  registry: Registry;
  proofs: Proofs;
  /** Called when a token was issued. */
  housekeeping(): void;
}

export const taskGrantParameters = ['authorization_details', 'resource', 'scope'] as const;

export function createTaskGrant(dependencies: TaskGrantDependencies) {
  const { registry, clock, proofs, publicUrl } = dependencies;

  const keyOf = (ctx: TokenEndpointGrantContext, agent: Agent): string | undefined => {
    const proof = ctx.get('dpop');
    if (proof) {
      const { thumbprint } = proofs.check({ proof, method: 'POST', url: publicUrl + endpoints.token });
      return thumbprint;
    }
    if (agent.manifest.bearerOnly) return undefined;
    throw new CredentialError(
      'invalid_dpop_proof',
      'proof.missing',
      'This agent must use DPoP: send a DPoP proof (RFC 9449) for this request in the DPoP header.',
    );
  };

  const taskOf = async (details: TaskDetails, agent: Agent): Promise<Task> => {
    if (!('task' in details)) return registry.startTask(agent.name, details);
    const task = await registry.task(details.task);
    // Another agent's task is as unknown as none.
    if (!task || task.agent !== agent.name)
      throw new GatehouseError(
        'not-found',
        'task.unknown',
        `Agent ${agent.name} has no task ${details.task}: start one.`,
      );
    if (task.state !== 'active') throw over(task);
    return task;
  };

  const answer = async (ctx: TokenEndpointGrantContext) => {
    const { client, params } = ctx.oidc;
    const agent = activeAgent(dependencies, client.clientId);
    if (params.scope !== undefined)
      throw oauthError(
        'invalid_scope',
        'There are no scopes here: what a token is for stands in authorization_details.',
      );
    if (params.authorization_details === undefined)
      throw oauthError(
        'invalid_request',
        `authorization_details is missing: it starts a task, or names a running one (type ${TASK_DETAILS_TYPE}).`,
      );
    const details = parseTaskRequest(params.authorization_details);
    const audience = audienceOf(params.resource, publicUrl);
    const jkt = keyOf(ctx, agent);
    const task = await taskOf(details, agent);
    const issued = await issueAccessToken(dependencies, {
      agent,
      task,
      audience,
      binding: jkt === undefined ? {} : { jkt },
      via: 'private_key_jwt',
    });
    if (!issued.ok) {
      if (issued.changed === 'task') throw over(task);
      throw oauthError('unauthorized_client', `Agent ${agent.name} was changed or stopped just now. Try again.`);
    }
    const { token, claims } = issued;
    ctx.body = {
      access_token: token,
      token_type: jkt ? 'DPoP' : 'Bearer',
      expires_in: claims.exp - Math.floor(clock.now() / 1000),
      authorization_details: [describeTask(task)],
    };
    dependencies.housekeeping();
  };

  return async (ctx: TokenEndpointGrantContext): Promise<void> => {
    try {
      await answer(ctx);
    } catch (error) {
      if (error instanceof CredentialError && error.kind === 'use_dpop_nonce') ctx.set('DPoP-Nonce', proofs.nonce());
      if (error instanceof InvalidTaskRequest) throw oauthError('invalid_authorization_details', error.message);
      const isAboutAgent = error instanceof GatehouseError && error.code.startsWith('agent.');
      throw oauthErrorOf(error, isAboutAgent ? 'unauthorized_client' : 'invalid_authorization_details') ?? error;
    }
  };
}

/** The agent as it is now; throws when it may not have tokens, or when that cannot be known. */
export function activeAgent({ storage, registry }: { storage: Storage; registry: Registry }, name: string): Agent {
  if (!storage.feed.fresh())
    throw oauthError(
      'temporarily_unavailable',
      'This replica has lost touch with the workspace and lets nobody in. Try again, or another replica.',
      503,
    );
  const agent = registry.snapshot().agents.get(name);
  if (!agent) throw oauthError('invalid_client', `There is no agent ${name} any more.`, 401);
  const stopped = whyStopped(agent);
  if (stopped) throw oauthError('unauthorized_client', stopped.message);
  return agent;
}

function audienceOf(resource: string | string[] | undefined, publicUrl: string): string {
  const asked = new Set(resource === undefined ? [publicUrl + MCP_PATH] : [resource].flat());
  const [only] = asked;
  const path = asked.size === 1 && only?.startsWith(publicUrl) ? resourcePath(only.slice(publicUrl.length)) : undefined;
  if (!path)
    throw oauthError(
      'invalid_target',
      `resource must be one of ${publicUrl}${MCP_PATH} and ${publicUrl}${MCP_PATH}/SERVER.`,
    );
  return publicUrl + path;
}

const over = (task: Task) => new GatehouseError('gone', 'task.over', `Task ${task.id} is over: start a new one.`);

/** The task as the token response gives it back (RFC 9396 §7), enriched with its id. */
function describeTask(task: Task): Record<string, unknown> {
  return {
    type: TASK_DETAILS_TYPE,
    task: task.id,
    template: task.template,
    parameters: task.parameters,
    intent: task.intent,
    on_behalf_of: task.onBehalfOf ?? undefined,
    requested_by: task.requestedBy ?? undefined,
    ticket: task.ticket ?? undefined,
    change_request: task.changeRequest ?? undefined,
    model_provider: task.modelProvider ?? undefined,
    model: task.model ?? undefined,
  };
}
