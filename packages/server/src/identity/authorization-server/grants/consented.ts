import { COMMAND_LINE_CLIENT, TASK_DETAILS_TYPE, type Task } from '@gatehouse/protocol';
import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { isJsonObject } from '../../../platform/index.ts';
import type { Agent } from '../../../registry/index.ts';
import { isAmong, mayDrive } from '../../consent/choices.ts';
import { type Consent, consentOf, personVersion } from '../../consent/consent.ts';
import type { Binding } from '../../tokens/issue-access-token.ts';
import { artifactKey } from '../artifact-key.ts';
import { authorizationLimits } from '../limits.ts';
import { noteAbout, oauthError } from '../oauth-error.ts';
import { grantTypes } from '../server-metadata.ts';
import { parseTaskRequest } from '../task-request.ts';
import {
  activeAgent,
  answerWithToken,
  audienceOf,
  bindingOf,
  checkTaskOf,
  type GrantDependencies,
  type GrantHandler,
  grantHandler,
} from '../token-answer.ts';

import { startTerminalSession } from './command-line.ts';

/**
 * The grants that rest on a person's consent: authorization code, device code and CIBA start the task that was consented to; a
 * refresh token renews its token. The library finds, checks and uses up what the client presents, PKCE and redirect address
 * included; the token that it makes on the way is stored nowhere, and ours is answered in its place.
 */
export interface ConsentedDependencies extends GrantDependencies {
  provider(): Provider;
  /** The library's own handler of a grant type. */
  library: ReadonlyMap<string, GrantHandler>;
  /** True when the client polls for this code too fast. */
  pollsTooSoon(code: string): boolean;
}

type Source = 'AuthorizationCode' | 'DeviceCode' | 'BackchannelAuthenticationRequest' | 'RefreshToken';

const startingGrants: [grant: string, source: Source, parameter: string, via: string, others: string[]][] = [
  [grantTypes.authorizationCode, 'AuthorizationCode', 'code', 'authorization_code', ['code_verifier', 'redirect_uri']],
  [grantTypes.deviceCode, 'DeviceCode', 'device_code', 'device_code', []],
  [grantTypes.ciba, 'BackchannelAuthenticationRequest', 'auth_req_id', 'ciba', []],
];

export function createConsentedGrants(
  dependencies: ConsentedDependencies,
): [grant: string, handler: GrantHandler, parameters: readonly string[]][] {
  const common = ['resource', 'scope', 'authorization_details'];
  return [
    ...startingGrants.map(([grant, source, parameter, via, others]): [string, GrantHandler, readonly string[]] => [
      grant,
      grantHandler(dependencies, (ctx) =>
        ctx.oidc.client.clientId === COMMAND_LINE_CLIENT
          ? startTerminalSession({ ...dependencies, finish: () => wait(dependencies, ctx, grant, parameter) }, ctx)
          : start(dependencies, ctx, { grant, source, parameter, via }),
      ),
      [parameter, ...others, ...common],
    ]),
    [
      grantTypes.refreshToken,
      grantHandler(dependencies, (ctx) => refresh(dependencies, ctx)),
      ['refresh_token', ...common],
    ],
  ];
}

async function start(
  dependencies: ConsentedDependencies,
  ctx: TokenEndpointGrantContext,
  { grant, source, parameter, via }: { grant: string; source: Source; parameter: string; via: string },
): Promise<void> {
  const { registry } = dependencies;
  const presented = await peek(dependencies, ctx, source, parameter);
  if (!presented) return wait(dependencies, ctx, grant, parameter);
  const { consent, grantId } = presented;
  const agent = consentedAgent(dependencies, consent, ctx);
  if (agent.epoch !== consent.agentEpoch)
    throw oauthError('invalid_grant', `Agent ${agent.name} was changed since the person said yes. Ask again.`);
  checkDetails(ctx, consent);
  await checkTaskOf(ctx, undefined);
  const binding = bindingOf(dependencies, ctx, agent);
  if (consent.dpopKey !== null && consent.dpopKey !== binding.jkt)
    throw oauthError(
      'invalid_grant',
      'The DPoP proof is of another key than the dpop_jkt that the code was asked for with.',
    );
  const audience = await useUp(dependencies, ctx, grant);

  const task = await registry.startTask(
    agent.name,
    {
      type: TASK_DETAILS_TYPE,
      template: consent.template,
      parameters: consent.parameters,
      intent: consent.intent,
    },
    {
      user: consent.user,
      // Template, parameters and intent stood on the page that they said yes on.
      vouchedBy: `person:${consent.user}`,
      narrowing: { tools: consent.tools },
      expiresAt: dependencies.clock.now() + consent.ttlSeconds * 1000,
      async within(transaction) {
        if ((await personVersion(transaction, consent.user)) !== consent.personVersion)
          throw oauthError(
            'invalid_grant',
            `What is known of ${consent.user} has changed since they said yes: they had left, or have other groups or roles. Ask again.`,
          );
      },
    },
  );
  if (!(await keepStarted(dependencies, grantId, { ...consent, started: { task: task.id, binding } }))) {
    await registry.endTask(task.id, 'gatehouse');
    throw oauthError('invalid_grant', 'The consent was withdrawn meanwhile. Ask again.');
  }
  await answer(dependencies, ctx, { agent, task, audience, binding, via }, consent.delegation);
}

/** Nobody has answered yet, or the library says what is wrong. */
async function wait(
  dependencies: ConsentedDependencies,
  ctx: TokenEndpointGrantContext,
  grant: string,
  parameter: string,
): Promise<void> {
  try {
    await runLibrary(dependencies, ctx, grant);
  } catch (error) {
    if (!(error instanceof errors.AuthorizationPending)) throw error;
    if (!dependencies.pollsTooSoon(artifactKey(String(ctx.oidc.params[parameter])))) throw error;
    throw oauthError(
      'slow_down',
      `Nobody has answered yet. Wait ${authorizationLimits.pollIntervalSeconds} seconds longer between two polls.`,
    );
  }
}

async function refresh(dependencies: ConsentedDependencies, ctx: TokenEndpointGrantContext): Promise<void> {
  const presented = await peek(dependencies, ctx, 'RefreshToken', 'refresh_token');
  if (!presented?.consent.started) return runLibrary(dependencies, ctx, grantTypes.refreshToken);
  const { consent } = presented;
  const { started } = consent;
  const agent = consentedAgent(dependencies, consent, ctx);
  checkDetails(ctx, consent);
  const binding = bindingOf(dependencies, ctx, agent);
  if (!sameBinding(binding, started?.binding ?? {})) throw foreignKey(consent, agent, binding);
  const task = await dependencies.registry.task(started?.task ?? '');
  if (task?.state !== 'active' || task.agent !== agent.name)
    throw oauthError('invalid_grant', 'The task is over, and its refresh token with it. Ask the person again.');
  const audience = await useUp(dependencies, ctx, grantTypes.refreshToken);
  await answer(dependencies, ctx, { agent, task, audience, binding, via: 'refresh_token' });
}

/**
 * A refresh token in hands that do not have its key is likely stolen, and the record says so. It stays good for its client, and is of no use
 * to anybody else: that is what it is bound for (RFC 9700 section 4.14.2), and whoever only stole it shall not end the client's task.
 */
function foreignKey({ started }: Consent, agent: Agent, binding: Binding): Error {
  const words = ({ jkt, certificate }: Binding) => jkt ?? certificate ?? 'none';
  const error = oauthError('invalid_grant', 'The refresh token is bound to another key than the one of this request.');
  return noteAbout(error, {
    agent: agent.name,
    task: started?.task,
    why: `It is bound to the key ${words(started?.binding ?? {})} and came with the key ${words(binding)}. It may be stolen; it stays good for its own key only.`,
  });
}

/** What the client presents, without using it up. Undefined where the library has to say what is wrong with it, or that it waits. */
async function peek(
  { provider }: ConsentedDependencies,
  { oidc }: TokenEndpointGrantContext,
  source: Source,
  parameter: string,
): Promise<{ consent: Consent; grantId: string } | undefined> {
  const value = oidc.params[parameter];
  if (typeof value !== 'string') return undefined;
  const model: { find(value: string, options: object): Promise<{ grantId?: string; clientId?: string } | undefined> } =
    provider()[source] as never;
  const found = await model.find(value, { ignoreExpiration: true });
  if (!found?.grantId || found.clientId !== oidc.client.clientId) return undefined;
  const grant = await provider().Grant.find(found.grantId);
  const consent = consentOf(grant as { rar?: unknown } | undefined);
  return consent && { consent, grantId: found.grantId };
}

/** The agent, if it may still act for this person through this client. */
function consentedAgent(dependencies: ConsentedDependencies, consent: Consent, ctx: TokenEndpointGrantContext): Agent {
  const agent = activeAgent(dependencies, consent.agent);
  const person = dependencies.registry.snapshot().people.get(consent.user);
  if (!person) throw oauthError('invalid_grant', `There is no person ${consent.user} any more.`);
  const { clientId } = ctx.oidc.client;
  const { clients = [] } = agent.manifest;
  if (clientId !== agent.name && (!mayDrive(person, agent) || (clients.length > 0 && !clients.includes(clientId))))
    throw oauthError(
      'invalid_grant',
      `${consent.user} may not drive the agent ${agent.name} with this client any more.`,
    );
  return agent;
}

/** RFC 9396 section 6: a token request may ask for what was consented to and for nothing else. */
function checkDetails({ oidc }: TokenEndpointGrantContext, consent: Consent): void {
  const given = oidc.params.authorization_details;
  if (given === undefined) return;
  // The library would look for its own handling of them.
  oidc.params.authorization_details = undefined;
  const details = parseTaskRequest(String(given));
  const same =
    'task' in details
      ? details.task === consent.started?.task
      : details.template === consent.template &&
        details.intent === consent.intent &&
        consent.tools.every((ref) => isAmong(details.tools, ref)) &&
        sameParameters(details.parameters, consent.parameters);
  if (!same)
    throw oauthError(
      'invalid_authorization_details',
      'authorization_details differ from what the person has consented to. Leave them out, or ask the person again.',
    );
}

function sameParameters(a: Consent['parameters'], b: Consent['parameters']): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}

const sameBinding = (a: Binding, b: Binding) => a.jkt === b.jkt && a.certificate === b.certificate;

/** Runs the library's checks, which use up what was presented, and gives the one resource that the token is for. */
async function useUp(
  dependencies: ConsentedDependencies,
  ctx: TokenEndpointGrantContext,
  grant: string,
): Promise<string> {
  await runLibrary(dependencies, ctx, grant);
  const audience = ctx.oidc.entities.AccessToken?.aud;
  return audienceOf(typeof audience === 'string' ? audience : undefined, dependencies.publicUrl);
}

async function runLibrary({ library }: ConsentedDependencies, ctx: TokenEndpointGrantContext, grant: string) {
  // There are no scopes here; clients that send some get what was consented to (RFC 6749 section 3.3).
  ctx.oidc.params.scope = undefined;
  const handler = library.get(grant);
  if (!handler) throw new Error(`the library has no grant ${grant}`);
  await handler(ctx);
}

async function answer(
  dependencies: ConsentedDependencies,
  ctx: TokenEndpointGrantContext,
  issue: { agent: Agent; task: Task; audience: string; binding: Binding; via: string },
  delegation: string | null = null,
): Promise<void> {
  const refreshToken = isJsonObject(ctx.body) ? ctx.body.refresh_token : undefined;
  const { clientId } = ctx.oidc.client;
  await answerWithToken(
    dependencies,
    ctx,
    { ...issue, ...(clientId !== issue.agent.name && { client: clientId }) },
    {
      ...(refreshToken !== undefined && { refresh_token: refreshToken }),
      // The agent names it in tasks that it starts later; to anybody else it is of no use.
      ...(delegation !== null && { standing_delegation: delegation }),
    },
  );
}

/** Ties the grant to its task; false when it was revoked meanwhile (the code was presented twice). */
async function keepStarted({ storage }: ConsentedDependencies, grantId: string, consent: Consent): Promise<boolean> {
  return storage.transaction(async (transaction) => {
    const row = await transaction
      .selectFrom('oauth_artifacts')
      .select('payload')
      .where('model', '=', 'Grant')
      .where('id', '=', artifactKey(grantId))
      .executeTakeFirst();
    if (!row) return false;
    const payload = { ...(JSON.parse(row.payload) as object), rar: [consent] };
    await transaction
      .updateTable('oauth_artifacts')
      .set({ payload: JSON.stringify(payload) })
      .where('model', '=', 'Grant')
      .where('id', '=', artifactKey(grantId))
      .execute();
    return true;
  });
}
