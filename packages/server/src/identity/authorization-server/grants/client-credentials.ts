import type { Task } from '@gatehouse/protocol';
import { authenticationOf } from '../client-authentication.ts';
import { oauthError } from '../oauth-error.ts';
import {
  activeAgent,
  answerWithToken,
  audienceOf,
  bindingOf,
  checkTaskOf,
  type GrantDependencies,
  type GrantHandler,
  grantHandler,
  runningTask,
  startOwnTask,
  taskDetailsOf,
} from '../token-answer.ts';

export const clientCredentialsParameters = ['authorization_details', 'resource', 'scope'] as const;

/**
 * `grant_type=client_credentials`: an agent that has proven itself starts a task, or continues one, and gets its token. The agent's
 * authentication is the library's and has happened before.
 */
export function createClientCredentialsGrant(dependencies: GrantDependencies): GrantHandler {
  const { publicUrl } = dependencies;
  return grantHandler(dependencies, async (ctx) => {
    const { client, params } = ctx.oidc;
    const agent = activeAgent(dependencies, client.clientId);
    if (params.scope !== undefined)
      throw oauthError(
        'invalid_scope',
        'There are no scopes here: what a token is for stands in authorization_details.',
      );
    const details = taskDetailsOf(params.authorization_details as string | undefined);
    const audience = audienceOf(params.resource as string | string[] | undefined, publicUrl);
    await checkTaskOf(ctx, 'task' in details ? details.task : undefined);
    const binding = bindingOf(dependencies, ctx, agent);
    const task: Task =
      'task' in details
        ? await runningTask(dependencies, details.task, agent)
        : await startOwnTask(dependencies, agent, details);
    await answerWithToken(dependencies, ctx, {
      agent,
      task,
      audience,
      binding,
      via: (await authenticationOf(ctx)).via,
    });
  });
}
