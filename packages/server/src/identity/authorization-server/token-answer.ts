import { TASK_DETAILS_TYPE, type Task, type TaskDetails } from '@gatehouse/protocol';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { GatehouseError } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import type { Peer } from '../client-certificate/peers.ts';
import type { SvidVerifier } from '../client-certificate/svid-verifier.ts';
import type { CompanyTokens } from '../delegation/company-tokens.ts';
import type { Delegations } from '../delegation/delegations.ts';
import type { Federation } from '../federation/index.ts';
import type { People } from '../people/index.ts';
import { whyStopped } from '../tokens/authenticate.ts';
import { checkChain } from '../tokens/chain.ts';
import { CredentialError } from '../tokens/credential-error.ts';
import { type Binding, type Issue, type IssueDependencies, issueAccessToken } from '../tokens/issue-access-token.ts';
import type { Proofs } from '../tokens/proof.ts';
import { MCP_PATH, resourcePath } from '../tokens/resources.ts';
import { arrivalOf } from './arrival.ts';
import { authenticationOf, onlyTaskOf } from './client-authentication.ts';
import { oauthError, oauthErrorOf } from './oauth-error.ts';
import { InvalidTaskRequest, parseTaskRequest } from './task-request.ts';

/** What every grant at the token endpoint needs: who may have a token, for which task and resource, bound to what, and the answer. */
export interface GrantDependencies extends IssueDependencies {
  storage: Storage;
  recordChange: RecordChange;
  registry: Registry;
  proofs: Proofs;
  delegations: Delegations;
  companyTokens: CompanyTokens;
  svids: SvidVerifier;
  federation: Federation;
  /** Where the command line gets its session. */
  people: Pick<People, 'openTerminalSession'>;
}

type GrantContext = TokenEndpointGrantContext;
export type GrantHandler = (ctx: GrantContext) => Promise<void>;

/** Every error of the house in its OAuth form (RFC 6749 §5.2, RFC 9396 §5, RFC 9449 §8). */
export function grantHandler({ proofs }: Pick<GrantDependencies, 'proofs'>, answer: GrantHandler): GrantHandler {
  return async (ctx) => {
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

/** For what somebody else has signed: one that is not taken is the error that the grant's RFC has for it. */
export const refusedAs =
  (error: 'invalid_grant' | 'invalid_request') =>
  (cause: unknown): never => {
    if (cause instanceof GatehouseError && cause.kind === 'forbidden')
      throw oauthError(error, cause.message, 400, cause);
    throw cause;
  };

/** Issues the token and answers the request with it. */
export async function answerWithToken(
  dependencies: GrantDependencies,
  ctx: GrantContext,
  issue: Issue,
  more: Record<string, unknown> = {},
): Promise<void> {
  await checkTaskOf(ctx, issue.task.id);
  const { rule } = await authenticationOf(ctx);
  checkChain(issue.task, dependencies.registry.snapshot());
  const issued = await issueAccessToken(dependencies, { ...issue, ...(rule !== undefined && { rule }) });
  if (!issued.ok) {
    if (issued.changed === 'task') throw over(issue.task);
    const who = issued.changed === 'person' ? `The person ${issue.task.user}` : `Agent ${issue.agent.name}`;
    throw oauthError('unauthorized_client', `${who} was changed or stopped just now. Try again.`);
  }
  if (rule !== undefined)
    await dependencies.storage.transaction((transaction) => dependencies.federation.noteUse(transaction, rule));
  const { token, claims } = issued;
  ctx.body = {
    access_token: token,
    token_type: issue.binding.jkt === undefined ? 'Bearer' : 'DPoP',
    expires_in: claims.exp - Math.floor(dependencies.clock.now() / 1000),
    authorization_details: [describeTask(issue.task)],
    ...more,
  };
}

/**
 * What the token is bound to: the key of the request's DPoP proof; without a proof, the agent's own client certificate that the
 * connection was made with (RFC 8705 §3); both where the agent is registered as certificate-bound, or the certificate is one of a federated trust
 * domain. Throws where there is neither, unless the agent is registered as bearer-only.
 */
export function bindingOf({ proofs }: Pick<GrantDependencies, 'proofs'>, ctx: GrantContext, agent: Agent): Binding {
  const { url, peer } = arrivalOf(ctx);
  const certificate = certificateOf(peer, agent);
  const proof = ctx.get('dpop');
  const { certificateBound, bearerOnly } = agent.manifest;
  if (certificateBound && certificate === undefined)
    throw oauthError(
      'invalid_request',
      `This agent must use mutual TLS: ask for the token over a connection made with its own X.509-SVID.${peer.problem === undefined ? '' : ` The one of this connection is refused: ${peer.problem}`}`,
    );
  // What a foreign certificate has brought ends with its trust domain's bundle, whatever else it is bound to.
  const isBound = certificateBound || !proof || peer.certificate?.rule !== undefined;
  const bound = certificate !== undefined && isBound ? { certificate } : {};
  if (proof) return { jkt: proofs.check({ proof, method: 'POST', url }).thumbprint, ...bound };
  if (certificate !== undefined || bearerOnly) return bound;
  throw new CredentialError(
    'invalid_dpop_proof',
    'proof.missing',
    'This agent must use DPoP: send a DPoP proof (RFC 9449) for this request in the DPoP header, or ask over mutual TLS with its X.509-SVID.',
  );
}

/** Thumbprint of the connection's certificate if it is this agent's own; another agent's has no business here. */
function certificateOf({ certificate }: Peer, agent: Agent): string | undefined {
  if (certificate?.principal?.kind !== 'agent') return undefined;
  const { name, environment } = certificate.principal;
  if (name === agent.name && environment === agent.manifest.environment) return certificate.thumbprint;
  throw oauthError(
    'invalid_request',
    `The client certificate of this connection is ${certificate.svid.spiffeId}'s. Ask for the token of ${agent.name} over another connection.`,
  );
}

/** An SVID of one task gets tokens for that task only, however the grant came by the task (law 5). */
export async function checkTaskOf(ctx: GrantContext, task: string | undefined): Promise<void> {
  const only = await onlyTaskOf(ctx);
  if (only !== undefined && only !== task)
    throw oauthError(
      'invalid_authorization_details',
      `The SVID of this request is for task ${only} only. Continue that task, or use the agent's own SVID.`,
    );
}

/** What `authorization_details` asks for: a task to start, or a running one. */
export function taskDetailsOf(parameter: string | undefined): TaskDetails {
  if (parameter === undefined)
    throw oauthError(
      'invalid_request',
      `authorization_details is missing: it starts a task, or names a running one (type ${TASK_DETAILS_TYPE}).`,
    );
  return parseTaskRequest(parameter);
}

/** A task that the agent starts itself: in its own name, or in that of the person whose standing delegation it names. */
export async function startOwnTask(
  { registry, delegations }: Pick<GrantDependencies, 'registry' | 'delegations'>,
  agent: Agent,
  details: Exclude<TaskDetails, { task: string }>,
): Promise<Task> {
  const { delegation } = details;
  return delegation === undefined
    ? registry.startTask(agent.name, details)
    : delegations.startTask(agent, { ...details, delegation });
}

/** A running task of this agent. Another agent's is as unknown as none. */
export async function runningTask({ registry }: { registry: Registry }, id: string, agent: Agent): Promise<Task> {
  const task = await registry.task(id);
  if (!task || task.agent !== agent.name)
    throw new GatehouseError('not-found', 'task.unknown', `Agent ${agent.name} has no task ${id}: start one.`);
  if (task.state !== 'active') throw over(task);
  if (task.suspended)
    throw new GatehouseError(
      'forbidden',
      'task.suspended',
      `Task ${id} is suspended: ${task.suspended.reason} Ask ${agent.manifest.owner} (the owner) to look at it.`,
    );
  return task;
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

/** The one resource (RFC 8707) that a token is asked for; `PUBLIC_URL/mcp` where none is named. */
export function audienceOf(resource: string | string[] | undefined, publicUrl: string): string {
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
    tools: task.narrowing?.tools,
    delegation: task.delegation ?? undefined,
  };
}
