import { TASK_DETAILS_TYPE, type Task, toolPattern } from '@gatehouse/protocol';
import type { JsonObject } from '../../../platform/index.ts';
import { type Agent, narrowedBy, type TaskGrounds } from '../../../registry/index.ts';
import type { BroughtToken } from '../../delegation/company-tokens.ts';
import { narrowerAudience, narrowingOf } from '../narrower-audience.ts';
import { oauthError } from '../oauth-error.ts';
import {
  activeAgent,
  answerWithToken,
  bindingOf,
  checkTaskOf,
  type GrantDependencies,
  type GrantHandler,
  grantHandler,
  refusedAs,
  taskDetailsOf,
} from '../token-answer.ts';

/**
 * `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` with an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant §4.4): the
 * company's identity provider says that this client may act here for that person. What it may do, a standing delegation of the person
 * says, or else the template that the provider's manifest names; `resource` and `scope` of the ID-JAG narrow it.
 */
export function createIdJagGrant(dependencies: GrantDependencies): GrantHandler {
  return grantHandler(dependencies, async (ctx) => {
    const { companyTokens, publicUrl } = dependencies;
    const { params, client } = ctx.oidc;
    const agent = activeAgent(dependencies, client.clientId);
    await checkTaskOf(ctx, undefined);
    const binding = bindingOf(dependencies, ctx, agent);
    const brought = await companyTokens.idJag(String(params.assertion), agent).catch(refusedAs('invalid_grant'));
    const { claims, provider } = brought;
    if (claims.cnf !== undefined && !isBoundTo(claims.cnf, binding.jkt))
      throw oauthError('invalid_grant', 'The ID-JAG is bound to another key than the DPoP proof of this request.');
    const asked = ctx.oidc.body?.resource === undefined ? [] : [params.resource as string | string[]].flat();
    const audience = narrowerAudience(resourcesOf(claims), asked, publicUrl);
    const tools = toolsOf(brought, params.scope);
    const narrowing = narrowedBy(narrowingOf(audience, publicUrl), tools && { tools });
    const details = detailsOf(brought, params.authorization_details as string | undefined);
    const user = await brought.person().catch(refusedAs('invalid_grant'));
    const task = await start(dependencies, { agent, user, details, brought, more: narrowing ? { narrowing } : {} });
    await answerWithToken(
      dependencies,
      ctx,
      { agent, task, audience, binding, via: `ID-JAG of ${provider.name}` },
      scopeOf(claims, params.scope),
    );
  });
}

type Details = ReturnType<typeof detailsOf>;

/** Without authorization_details, which a client that knows only the standard does not send, what the operator has said. */
function detailsOf({ provider }: BroughtToken, given: string | undefined) {
  const template = provider.idJag?.template;
  if (given === undefined && template !== undefined)
    return {
      type: TASK_DETAILS_TYPE,
      template,
      parameters: {},
      intent: `Asked for with an ID-JAG of ${provider.displayName}; the client said no more.`,
    } as const;
  const details = taskDetailsOf(given);
  if ('task' in details)
    throw oauthError(
      'invalid_request',
      'An ID-JAG starts a task: name a template in authorization_details. A running task needs none (grant_type=client_credentials).',
    );
  return details;
}

async function start(
  { registry, delegations }: GrantDependencies,
  {
    agent,
    user,
    details,
    brought: { provider },
    more,
  }: { agent: Agent; user: string; details: Details; brought: BroughtToken; more: Pick<TaskGrounds, 'narrowing'> },
): Promise<Task> {
  const standing = await delegations.standing(user, agent.name, details);
  if (standing) return delegations.startTask(agent, { ...details, delegation: standing.id }, more);
  const names = 'delegation' in details && details.delegation !== undefined;
  if (!names && details.template === provider.idJag?.template)
    return registry.startTask(agent.name, details, { user, ...more });
  throw oauthError(
    'access_denied',
    `${user} has no delegation in force under which ${agent.name} may start this. They make one in the console, or on its consent page.`,
  );
}

function resourcesOf({ resource }: JsonObject): string[] {
  if (resource === undefined) return [];
  const all = [resource].flat();
  if (all.length > 0 && all.every((each) => typeof each === 'string')) return all;
  throw oauthError('invalid_grant', 'The resource of the ID-JAG is not one address, or several.');
}

/** RFC 6749 §3.3: the scopes that were given, or fewer. Null: not narrowed. A scope that nobody has given a meaning is for nothing. */
function toolsOf({ claims, provider }: BroughtToken, asked: unknown): string[] | null {
  if (claims.scope === undefined && asked === undefined) return null;
  const given = scopesIn(claims.scope);
  const wanted = asked === undefined ? given : scopesIn(asked);
  if (claims.scope !== undefined && !wanted.every((scope) => given.includes(scope)))
    throw oauthError('invalid_scope', `The ID-JAG is for the scope ${given.join(' ')} only.`);
  const named = provider.idJag?.scopes ?? {};
  const tools = wanted.flatMap((scope) => {
    if (Object.hasOwn(named, scope)) return named[scope] ?? [];
    return toolPattern.safeParse(scope).success ? [scope] : [];
  });
  if (tools.length > 0) return [...new Set(tools)];
  throw oauthError(
    'invalid_scope',
    'The scopes of the ID-JAG stand for no tools here: an operator says which, in the manifest of the identity provider (idJag.scopes).',
  );
}

function scopesIn(scope: unknown): string[] {
  const all = typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [];
  if (all.length > 0 && all.length <= MAX_SCOPES) return all;
  throw oauthError('invalid_scope', `A scope is 1 to ${MAX_SCOPES} words with a space between them.`);
}

const MAX_SCOPES = 64;

const scopeOf = ({ scope }: JsonObject, asked: unknown): Record<string, unknown> => {
  const granted = asked ?? scope;
  return granted === undefined ? {} : { scope: granted };
};

function isBoundTo(cnf: unknown, jkt: string | undefined): boolean {
  const members = Object.entries(cnf ?? {});
  return jkt !== undefined && members.length === 1 && members[0]?.[0] === 'jkt' && members[0][1] === jkt;
}
