import type { ResourceServerManifest } from '@gatehouse/protocol';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { type Agent, groupsOf } from '../../../registry/index.ts';
import { issueIdJag } from '../../delegation/issue-id-jag.ts';
import type { LiveToken } from '../../tokens/authenticate.ts';
import { oauthError } from '../oauth-error.ts';
import { tokenTypes } from '../server-metadata.ts';
import { bindingOf, checkTaskOf, type GrantDependencies } from '../token-answer.ts';

export interface IdJagWish {
  audiences: string[];
  resources: string[];
  scope: unknown;
}

/**
 * Token exchange with `requested_token_type=…:id-jag` (draft-ietf-oauth-identity-assertion-authz-grant §4.3): an agent takes the person for
 * whom its task is to another authorization server. The manifest of that server names agents, templates and people; a task that was
 * narrowed to tools is for those tools, and not for what no gate sees.
 */
export async function exchangeForIdJag(
  dependencies: GrantDependencies,
  ctx: TokenEndpointGrantContext,
  { agent, subject, wish }: { agent: Agent; subject: LiveToken; wish: IdJagWish },
): Promise<void> {
  const { registry } = dependencies;
  const { task, chain, claims } = subject;
  if (subject.agent.name !== agent.name)
    throw oauthError('actor_unauthorized', `The subject_token is not of ${agent.name}, which authenticates.`);
  const { user } = task;
  if (user === null) throw oauthError('invalid_request', 'The task of the subject_token is for no person.');
  await checkTaskOf(ctx, task.id);
  const binding = bindingOf(dependencies, ctx, agent);
  if (claims.cnf?.jkt !== undefined && claims.cnf.jkt !== binding.jkt)
    throw oauthError(
      'invalid_request',
      'The subject_token is bound to another key than the DPoP proof of this request.',
    );
  const snapshot = registry.snapshot();
  const at = [...snapshot.resourceServers.values()].find(({ issuer }) => wish.audiences.includes(issuer));
  if (wish.audiences.length !== 1 || !at)
    throw oauthError(
      'invalid_target',
      'audience must be the issuer of one authorization server that an operator has registered.',
    );
  const clientId = Object.hasOwn(at.clients, agent.name) ? at.clients[agent.name] : undefined;
  const tasks = [task, ...chain.map((link) => link.task)];
  const isAllowed =
    clientId !== undefined &&
    tasks.every(({ template, narrowing }) => at.templates.includes(template) && narrowing === null) &&
    groupsOf(snapshot, user).some((group) => at.groups.includes(group));
  if (!isAllowed)
    throw oauthError(
      'access_denied',
      `The ResourceServer ${at.name} does not let ${agent.name} act there for this person in this task: it names agents, templates and groups, and takes no task that was narrowed.`,
    );
  const { resources, scopes } = wanted(at, wish);
  const issued = await issueIdJag(dependencies, {
    agent,
    task: { ...task, user },
    at,
    clientId,
    resources,
    scopes,
    jkt: binding.jkt,
    expiresAt: claims.exp,
  });
  if (!issued.ok)
    throw oauthError('invalid_request', `The ${issued.changed} of the subject_token was stopped or changed just now.`);
  ctx.body = {
    access_token: issued.token,
    issued_token_type: tokenTypes.idJag,
    token_type: 'N_A',
    expires_in: issued.expiresIn,
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  };
}

/** Law 5: what is registered, or less. Without a wish the resources that are registered, and no scope. */
function wanted(at: ResourceServerManifest, wish: IdJagWish): { resources: string[]; scopes: string[] } {
  const foreign = wish.resources.find((each) => !at.resources.includes(each));
  if (foreign !== undefined)
    throw oauthError('invalid_target', `The ResourceServer ${at.name} has no resource ${foreign}.`);
  const scopes = typeof wish.scope === 'string' ? wish.scope.split(' ').filter(Boolean) : [];
  const unknown = scopes.find((each) => !at.scopes.includes(each));
  if (unknown !== undefined)
    throw oauthError('invalid_scope', `The ResourceServer ${at.name} has no scope ${unknown}.`);
  return { resources: wish.resources.length > 0 ? wish.resources : at.resources, scopes };
}
