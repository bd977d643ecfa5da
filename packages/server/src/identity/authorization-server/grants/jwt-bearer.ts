import type { Task } from '@gatehouse/protocol';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import { isJsonObject } from '../../../platform/index.ts';
import type { DatabaseTransaction } from '../../../storage/index.ts';
import { ID_JAG_TYPE } from '../../delegation/company-tokens.ts';
import type { Federation } from '../../federation/index.ts';
import { oauthError } from '../oauth-error.ts';
import { grantTypes } from '../server-metadata.ts';
import {
  activeAgent,
  answerWithToken,
  audienceOf,
  bindingOf,
  type GrantDependencies,
  type GrantHandler,
  grantHandler,
  refusedAs,
  runningTask,
  taskDetailsOf,
} from '../token-answer.ts';

export const jwtBearerParameters = ['assertion', 'authorization_details', 'resource', 'scope'] as const;

/** Handlers of assertions by the `typ` of their header, in lower case; every other assertion is an outside identity token. */
export type AssertionHandlers = ReadonlyMap<string, GrantHandler>;

export interface JwtBearerDependencies extends GrantDependencies {
  federation: Federation;
}

/**
 * `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 §2.1). What the assertion is, its header's `typ` says: an ID-JAG has one of
 * its own; anything else is a token of an outside issuer (workload identity federation, MCP SEP-1933).
 */
export function createJwtBearerGrant(
  dependencies: JwtBearerDependencies,
  byType: AssertionHandlers = new Map(),
): GrantHandler {
  const federated = grantHandler(dependencies, (ctx) => answerFederated(dependencies, ctx));
  return async (ctx) => {
    const handler = byType.get(typeOfAssertion(String(ctx.oidc.params.assertion ?? ''))) ?? federated;
    await handler(ctx);
  };
}

async function answerFederated(dependencies: JwtBearerDependencies, ctx: TokenEndpointGrantContext): Promise<void> {
  const { registry, storage, federation, publicUrl } = dependencies;
  const { client, params } = ctx.oidc;
  if (typeof params.assertion !== 'string')
    throw oauthError('invalid_request', 'assertion is missing: the token that stands for the agent.');
  if (params.scope !== undefined)
    throw oauthError('invalid_scope', 'There are no scopes here: what a token is for stands in authorization_details.');
  const vouched = await federation.vouch({ token: params.assertion }).catch(refusedAs('invalid_grant'));
  const { rule } = vouched;
  if (rule.agent === undefined)
    throw oauthError(
      'unauthorized_client',
      'The assertion stands for a workload, and access tokens are for agents. A workload starts tasks at /workload/tasks.',
    );
  // RFC 7521 §4.1: a client_id is not needed, and one that is given must be that of the agent.
  const named = namedBy(client.clientId);
  if (named !== undefined && named !== rule.agent)
    throw oauthError(
      'invalid_grant',
      'The assertion does not stand for the agent that client_id names. Leave client_id out, or correct it.',
    );
  const agent = activeAgent(dependencies, rule.agent);
  const details = taskDetailsOf(params.authorization_details as string | undefined);
  const audience = audienceOf(params.resource as string | string[] | undefined, publicUrl);
  const binding = bindingOf(dependencies, ctx, agent);
  // A request that starts nothing, because of what it asks for, uses no assertion up.
  const use = (transaction: DatabaseTransaction) =>
    vouched.use(transaction, binding.jkt ?? binding.certificate ?? '').catch(refusedAs('invalid_grant'));
  let task: Task;
  if ('task' in details) {
    task = await runningTask(dependencies, details.task, agent);
    await storage.transaction(use);
  } else task = await registry.startTask(agent.name, details, { within: use });
  const via = `trust rule ${rule.name} (${vouched.source})`;
  await answerWithToken(dependencies, ctx, { agent, task, audience, binding, via, rule: rule.name });
}

const FEDERATED = 'federated:';

/**
 * The library knows clients only, and an assertion needs none. One without a client is given this one, which can do nothing but
 * present assertions; a `client_id` that was sent is kept in it, to be compared. No agent can have such a name.
 */
export function federatedClient(id: string): Record<string, unknown> | undefined {
  if (!id.startsWith(FEDERATED)) return undefined;
  return {
    client_id: id,
    token_endpoint_auth_method: 'none',
    grant_types: [grantTypes.jwtBearer],
    response_types: [],
    redirect_uris: [],
  };
}

const namedBy = (clientId: string): string | undefined =>
  clientId.startsWith(FEDERATED) ? clientId.slice(FEDERATED.length) || undefined : clientId;

/** Gives a form with an assertion, and without client authentication, the client that the library needs; others stay as they are. */
export function withFederatedClient(form: Record<string, unknown>): Record<string, unknown> {
  const { grant_type, assertion, client_assertion, client_id: named = '' } = form;
  // An ID-JAG is presented by a client that authenticates.
  const isAlone = grant_type === grantTypes.jwtBearer && client_assertion === undefined && typeof named === 'string';
  if (!isAlone || typeOfAssertion(String(assertion ?? '')) === ID_JAG_TYPE) return form;
  return { ...form, client_id: `${FEDERATED}${named}` };
}

/** Only chooses who looks at it; what is wrong with it is said there. */
function typeOfAssertion(assertion: string): string {
  try {
    const header: unknown = JSON.parse(Buffer.from(assertion.slice(0, assertion.indexOf('.')), 'base64url').toString());
    return isJsonObject(header) && typeof header.typ === 'string'
      ? header.typ.toLowerCase().replace(/^application\//, '')
      : '';
  } catch {
    return '';
  }
}
