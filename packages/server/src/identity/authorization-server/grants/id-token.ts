import type { TokenEndpointGrantContext } from 'oidc-provider';
import type { Agent } from '../../../registry/index.ts';
import { narrowerAudience, narrowingOf } from '../narrower-audience.ts';
import { oauthError } from '../oauth-error.ts';
import { tokenTypes } from '../server-metadata.ts';
import {
  answerWithToken,
  bindingOf,
  checkTaskOf,
  type GrantDependencies,
  refusedAs,
  taskDetailsOf,
} from '../token-answer.ts';

/**
 * Token exchange (RFC 8693) of an ID token of the company's identity provider: the agent that a person works with shows that they have
 * signed in, and gets a task for them. That alone lets it do nothing: the person has to have delegated it to this agent (law 5).
 */
export async function exchangeIdToken(
  dependencies: GrantDependencies,
  ctx: TokenEndpointGrantContext,
  agent: Agent,
  {
    subjectToken,
    details: given,
    audiences,
  }: { subjectToken: unknown; details: string | string[] | undefined; audiences: string[] },
): Promise<void> {
  const { companyTokens, delegations, publicUrl } = dependencies;
  if (typeof subjectToken !== 'string')
    throw oauthError('invalid_request', 'subject_token is missing: for whom does the agent act?');
  await checkTaskOf(ctx, undefined);
  const details = taskDetailsOf(given as string | undefined);
  if ('task' in details)
    throw oauthError(
      'invalid_request',
      'An ID token starts a task: name a template in authorization_details. A running task needs none (grant_type=client_credentials).',
    );
  const audience = narrowerAudience([], audiences, publicUrl);
  const binding = bindingOf(dependencies, ctx, agent);
  // RFC 8693 §2.2.2: a token that is invalid for any reason makes the request invalid.
  const brought = await companyTokens.idToken(subjectToken, agent).catch(refusedAs('invalid_request'));
  const user = await brought.person().catch(refusedAs('invalid_request'));
  const standing = await delegations.standing(user, agent.name, details);
  if (!standing)
    throw oauthError(
      'access_denied',
      `${user} has no delegation in force under which ${agent.name} may start this. They make one in the console, or on its consent page.`,
    );
  const narrowing = narrowingOf(audience, publicUrl);
  const task = await delegations.startTask(
    agent,
    { ...details, delegation: standing.id },
    narrowing ? { narrowing } : {},
  );
  await answerWithToken(
    dependencies,
    ctx,
    { agent, task, audience, binding, via: `token-exchange (ID token of ${brought.provider.name})` },
    { issued_token_type: tokenTypes.accessToken },
  );
}
