import type { Task } from '@gatehouse/protocol';
import { GatehouseError } from '../../../platform/index.ts';
import type { Agent } from '../../../registry/index.ts';
import type { LiveToken, TokenReader } from '../../tokens/authenticate.ts';
import { whyLineBroken } from '../../tokens/chain.ts';
import { CredentialError } from '../../tokens/credential-error.ts';
import { narrowerAudience, narrowingOf } from '../narrower-audience.ts';
import { oauthError } from '../oauth-error.ts';
import { tokenTypes } from '../server-metadata.ts';
import {
  activeAgent,
  answerWithToken,
  bindingOf,
  checkTaskOf,
  type GrantDependencies,
  type GrantHandler,
  grantHandler,
  taskDetailsOf,
} from '../token-answer.ts';
import { exchangeIdToken } from './id-token.ts';
import { exchangeForIdJag } from './issued-id-jag.ts';

export const tokenExchangeParameters = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'authorization_details',
  'audience',
  'resource',
  'scope',
] as const;

export interface ExchangeDependencies extends GrantDependencies {
  reader: TokenReader;
}

/**
 * Token exchange (RFC 8693, with the `act` chain of draft-mcguinness-oauth-actor-profile): one agent hands its task on to another. The
 * subject token is an access token of this server and names the task that is handed on; the actor is the agent that authenticates,
 * and gets a task of its own. What that task may do is decided at every call, as what both may do; here is decided who may have one:
 * the agent that hands on has to name the other in its manifest or blueprint. A subject token of the company's identity provider is
 * id-token.ts's.
 */
export function createTokenExchangeGrant(dependencies: ExchangeDependencies): GrantHandler {
  const { registry, reader, publicUrl } = dependencies;
  return grantHandler(dependencies, async (ctx) => {
    const params = ctx.oidc.params as Partial<Record<(typeof tokenExchangeParameters)[number], string | string[]>>;
    const actor = activeAgent(dependencies, ctx.oidc.client.clientId);
    if (params.requested_token_type === tokenTypes.idJag) {
      if (params.authorization_details !== undefined || params.actor_token !== undefined)
        throw invalidRequest(
          'An ID-JAG is for the task of the subject_token: leave authorization_details and actor_token out.',
        );
      const subject = await readSubject(reader, params.subject_token, params.subject_token_type);
      checkLine(dependencies, [subject.agent, ...agentsAbove(dependencies, subject)]);
      const resources = ctx.oidc.body?.resource === undefined ? [] : [params.resource ?? []].flat();
      const wish = { audiences: [params.audience ?? []].flat(), resources, scope: params.scope };
      return exchangeForIdJag(dependencies, ctx, { agent: actor, subject, wish });
    }
    if (params.scope !== undefined)
      throw oauthError(
        'invalid_scope',
        'There are no scopes here: what a token is for stands in authorization_details.',
      );
    if ((params.requested_token_type ?? tokenTypes.accessToken) !== tokenTypes.accessToken)
      throw invalidRequest(`requested_token_type must be ${tokenTypes.accessToken} or ${tokenTypes.idJag}.`);
    // The library has put its default in the place of a resource that was not named.
    const resource = ctx.oidc.body?.resource === undefined ? undefined : params.resource;
    if (params.subject_token_type === tokenTypes.idToken || params.subject_token_type === tokenTypes.jwt) {
      await checkActorToken(reader, actor, params.actor_token, params.actor_token_type);
      return exchangeIdToken(dependencies, ctx, actor, {
        subjectToken: params.subject_token,
        details: params.authorization_details,
        audiences: [resource ?? [], params.audience ?? []].flat(),
      });
    }
    const subject = await readSubject(reader, params.subject_token, params.subject_token_type);
    await checkActorToken(reader, actor, params.actor_token, params.actor_token_type);
    checkMayHandOn(dependencies, subject, actor);

    await checkTaskOf(ctx, undefined);
    const details = taskDetailsOf(params.authorization_details as string | undefined);
    if ('task' in details)
      throw invalidRequest('A task that is handed on is a new one: name a template in authorization_details.');
    const asked = [resource ?? [], params.audience ?? []].flat();
    const audience = narrowerAudience([subject.claims.aud], asked, publicUrl);
    const binding = bindingOf(dependencies, ctx, actor);
    const narrowing = narrowingOf(audience, publicUrl);
    const task = await handOn(() =>
      registry.startTask(actor.name, details, { parent: subject.task.id, ...(narrowing && { narrowing }) }),
    );
    await answerWithToken(
      dependencies,
      ctx,
      { agent: actor, task, audience, binding, via: 'token-exchange', expiresAt: subject.claims.exp * 1_000 },
      { issued_token_type: tokenTypes.accessToken },
    );
  });
}

async function readSubject(reader: TokenReader, token: unknown, type: unknown): Promise<LiveToken> {
  if (typeof token !== 'string' || typeof type !== 'string')
    throw invalidRequest('subject_token and subject_token_type are missing: whose task is handed on?');
  if (type !== tokenTypes.accessToken)
    throw invalidRequest(
      `subject_token_type must be ${tokenTypes.accessToken}, a token of this server, or ${tokenTypes.idToken}, one of the company's identity provider.`,
    );
  return live(reader, token, 'subject_token');
}

/** RFC 8693 §2.1: the acting party. It is the client here, and nobody exchanges in another's name. */
async function checkActorToken(reader: TokenReader, actor: Agent, token: unknown, type: unknown): Promise<void> {
  if (token === undefined && type === undefined) return;
  if (typeof token !== 'string' || type !== tokenTypes.accessToken)
    throw invalidRequest(`actor_token comes with actor_token_type ${tokenTypes.accessToken}, or both are left out.`);
  const { agent } = await live(reader, token, 'actor_token');
  if (agent.name !== actor.name)
    throw oauthError('actor_unauthorized', `The actor_token is not of ${actor.name}, which authenticates.`);
}

/** RFC 8693 §2.2.2: a token that is invalid for any reason makes the request invalid. */
async function live(reader: TokenReader, token: string, parameter: string): Promise<LiveToken> {
  try {
    return await reader.read(token);
  } catch (error) {
    if (error instanceof CredentialError) throw invalidRequest(`${parameter} is refused. ${error.message}`, error);
    throw error;
  }
}

function checkMayHandOn(dependencies: ExchangeDependencies, subject: LiveToken, actor: Agent): void {
  const { agent, task, chain } = subject;
  if ([agent.name, ...chain.map((link) => link.agent)].includes(actor.name))
    throw invalidRequest(
      `${actor.name} is in the chain of task ${task.id} already: a chain is a line, and no token makes itself live for longer.`,
    );
  checkLine(dependencies, [actor, agent, ...agentsAbove(dependencies, subject)]);
}

const agentsAbove = ({ registry }: ExchangeDependencies, { chain }: LiveToken): Agent[] =>
  chain.flatMap((link) => registry.snapshot().agents.get(link.agent) ?? []);

function checkLine({ registry }: ExchangeDependencies, agents: Agent[]): void {
  const why = whyLineBroken(agents, registry.snapshot());
  if (why !== undefined) throw oauthError('actor_unauthorized', why);
}

/** What is wrong with the chain is wrong with the request (draft-mcguinness-oauth-actor-profile: refused, and never cut short). */
async function handOn(start: () => Promise<Task>): Promise<Task> {
  try {
    return await start();
  } catch (error) {
    const isAboutChain =
      error instanceof GatehouseError &&
      /^(task\.(chain-|over|environment|user-unknown)|agent\.chain)/.test(error.code);
    throw isAboutChain ? invalidRequest(error.message, error) : error;
  }
}

const invalidRequest = (description: string, cause?: unknown) => oauthError('invalid_request', description, 400, cause);
