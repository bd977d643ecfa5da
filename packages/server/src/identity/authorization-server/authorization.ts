import { COMMAND_LINE_CLIENT } from '@gatehouse/protocol';
import { type Configuration, errors, interactionPolicy, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import type { RecordChange } from '../../storage/index.ts';
import { consentCookie } from '../consent/browser-cookie.ts';
import { createBoundedCache } from '../tokens/bounded-cache.ts';
import { CredentialError } from '../tokens/credential-error.ts';
import type { Proofs } from '../tokens/proof.ts';
import { arrivalOf } from './arrival.ts';
import { checkTerminalKey } from './grants/command-line.ts';
import { authorizationLimits } from './limits.ts';
import { oauthError } from './oauth-error.ts';
import { CONSENT_PAGE } from './server-metadata.ts';
import { InvalidTaskRequest, parseTaskRequest } from './task-request.ts';
import type { GrantDependencies } from './token-answer.ts';

/** What may stand in a request at the authorization, PAR, device and backchannel endpoints, and where a person answers it. */
const { Check, Prompt } = interactionPolicy;

/** Every authorization is answered by a person, on our page: what was said once is not taken for said again. */
export function consentPolicy(publicUrl: string): Configuration['interactions'] {
  const https = publicUrl.startsWith('https:');
  const unanswered = new Check('unanswered', 'a person has to answer', 'interaction_required', ({ oidc }) =>
    oidc.result?.consent ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT,
  );
  return {
    policy: [
      new Prompt({ name: 'login', requestable: true }),
      new Prompt({ name: 'consent', requestable: true }, unanswered),
    ],
    url(ctx, { uid }) {
      ctx.res.appendHeader(
        'Set-Cookie',
        consentCookie(uid, { https, maxAgeSeconds: authorizationLimits.requestTtlSeconds }),
      );
      return `${CONSENT_PAGE}/browser-${uid}`;
    },
  };
}

const MAX_STATE_CHARS = authorizationLimits.stateChars;

export function authorizationParameters({
  proofs,
}: Pick<GrantDependencies, 'proofs'>): Pick<Configuration, 'extraParams'> {
  return {
    extraParams: {
      authorization_details(ctx: KoaContextWithOIDC, details) {
        if (typeof details === 'string') wishFrom(details);
        if (String(ctx.oidc.params?.state ?? '').length > MAX_STATE_CHARS)
          throw oauthError('invalid_request', `state has at most ${MAX_STATE_CHARS} characters.`);
      },
      /** RFC 9449 section 10. A proof at the PAR endpoint stands for the parameter (section 10.1). */
      dpop_jkt(ctx: KoaContextWithOIDC, thumbprint) {
        if (ctx.oidc.client?.clientId === COMMAND_LINE_CLIENT) checkTerminalKey(thumbprint);
        const proof = ctx.get('dpop');
        if (ctx.oidc.route !== 'pushed_authorization_request' || !proof) return;
        const key = proofKey(ctx, proofs, arrivalOf(ctx).url, proof);
        if (thumbprint !== undefined && thumbprint !== key)
          throw oauthError('invalid_dpop_proof', 'The DPoP proof is of another key than dpop_jkt.');
        if (ctx.oidc.params) ctx.oidc.params.dpop_jkt = key;
      },
    },
  };
}

function proofKey(ctx: KoaContextWithOIDC, proofs: Proofs, url: string, proof: string): string {
  try {
    return proofs.check({ proof, method: 'POST', url }).thumbprint;
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    if (error.kind === 'use_dpop_nonce') ctx.set('DPoP-Nonce', proofs.nonce());
    throw oauthError(error.kind, error.message, 400, error);
  }
}

function wishFrom(details: string) {
  try {
    const wish = parseTaskRequest(details);
    if ('task' in wish)
      throw oauthError('invalid_authorization_details', 'A running task needs no consent: renew its token instead.');
    return wish;
  } catch (error) {
    if (error instanceof InvalidTaskRequest) throw oauthError('invalid_authorization_details', error.message);
    throw error;
  }
}

const {
  asksPerPerson: PENDING_REQUESTS_PER_PERSON,
  asksPerTenMinutes: ASKS_PER_TEN_MINUTES,
  bindingMessageChars: BINDING_MESSAGE_CHARS,
} = authorizationLimits;
const TEN_MINUTES_MS = 10 * 60_000;
/** Agents and whom they ask that are counted at once. */
const ASKERS_PER_GENERATION = 4_096;

/** OpenID CIBA Core 1.0, poll mode: an agent asks a person, who answers in the console with a passkey. */
export function backchannelFeature({
  registry,
  storage,
  clock,
  recordChange,
}: Pick<GrantDependencies, 'registry' | 'storage' | 'clock'> & { recordChange: RecordChange }): NonNullable<
  Configuration['features']
>['ciba'] {
  const asks = createBoundedCache<{ since: number; count: number }>(ASKERS_PER_GENERATION);
  const countAsk = (client: string, email: string): void => {
    const key = `${client} ${email}`;
    const before = asks.get(key);
    const { since, count } =
      before && clock.now() - before.since < TEN_MINUTES_MS ? before : { since: clock.now(), count: 0 };
    if (count >= ASKS_PER_TEN_MINUTES)
      throw oauthError(
        'temporarily_unavailable',
        `${client} has asked ${email} ${ASKS_PER_TEN_MINUTES} times within ten minutes, which is the most. Wait for an answer, or ask later.`,
        429,
      );
    asks.set(key, { since, count: count + 1 });
  };
  return {
    enabled: true,
    deliveryModes: ['poll'],
    async processLoginHint(ctx, hint) {
      const email = hint?.replace(/^person:/, '');
      if (email === undefined || !registry.snapshot().people.has(email)) return undefined;
      const pending = await storage.db
        .selectFrom('oauth_artifacts')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('model', '=', 'BackchannelAuthenticationRequest')
        .where('uid', '=', email)
        .where('consumed_at', 'is', null)
        .where('expires_at', '>', clock.now())
        .executeTakeFirst();
      if (Number(pending?.count ?? 0) >= PENDING_REQUESTS_PER_PERSON)
        throw oauthError(
          'temporarily_unavailable',
          `${email} has ${PENDING_REQUESTS_PER_PERSON} requests waiting, which are the most. Try again when some are answered.`,
          429,
        );
      countAsk(ctx.oidc.client?.clientId ?? '', email);
      return email;
    },
    async processLoginHintToken() {
      throw new errors.InvalidRequest(
        'login_hint_token is not understood here: send login_hint with the email of a person',
      );
    },
    validateBindingMessage(_ctx, message) {
      if (
        message !== undefined &&
        (message.length > BINDING_MESSAGE_CHARS || !/^[\p{L}\p{N}\p{P}\p{S}\p{Zs}]+$/u.test(message))
      )
        throw oauthError(
          'invalid_binding_message',
          `binding_message has 1 to ${BINDING_MESSAGE_CHARS} characters that can be seen.`,
        );
    },
    validateRequestContext() {},
    verifyUserCode() {},
    async triggerAuthenticationDevice(_ctx, request, account, client) {
      await storage.transaction((transaction) =>
        recordChange(transaction, {
          operation: 'consent.ask',
          by: registry.snapshot().agents.get(client.clientId)?.spiffeId ?? client.clientId,
          ...(registry.snapshot().agents.has(client.clientId) && { agent: client.clientId }),
          changes: [`asks ${account.accountId} in the backchannel`],
          ...(typeof request.params?.binding_message === 'string' && { detail: request.params.binding_message }),
        }),
      );
    },
  };
}

/** The library's own session signs nobody in, here; its cookie is not sent. Nor is an answer for pages of other origins to read. */
export function leaveBrowserAlone(provider: Provider) {
  const session = provider.cookieName('session');
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const cookies = [ctx.response.get('set-cookie')].flat().filter((cookie) => cookie && !cookie.startsWith(session));
    ctx.remove('Set-Cookie');
    if (cookies.length > 0) ctx.set('Set-Cookie', cookies);
    ctx.remove('Access-Control-Allow-Origin');
    ctx.remove('Access-Control-Expose-Headers');
  };
}
