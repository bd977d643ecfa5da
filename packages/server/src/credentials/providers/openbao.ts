import { setTimeout as delay } from 'node:timers/promises';
import type { OpenBaoScope, OpenBaoSource, ProviderAbilities } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type Json, type JsonObject, Secret } from '../../platform/index.ts';
import { leaseLimits } from '../leases/limits.ts';
import { type Left, type Made, NotMade, type Order, type Provider, type Remaining } from '../leases/types.ts';
import type { ProviderTools } from './index.ts';
import { createRestApi, failureFor, type RestAnswer } from './rest-api.ts';

const ABILITIES: ProviderAbilities = { canNarrow: true, canRevoke: true, canEndSessions: false, maxResidualSeconds: 0 };
/** The value stays what it is. */
const STORED: ProviderAbilities = { ...ABILITIES, canRevoke: false, maxResidualSeconds: null, isStored: true };
const SKEW_MS = 60_000;
const POLL_MS = 100;
const END_MS = 3_000;

/**
 * Signs in at OpenBao (or Vault) with an identity token, and makes for each lease a token that OpenBao itself ends at the lease's time, with all
 * that was read with it. The token of the sign-in is kept, sealed, to end it sooner: OpenBao ends with a token what came of it.
 */
export function openOpenBaoProvider(
  settings: OpenBaoSource,
  {
    identityToken,
    outbound,
    clock,
    environment: ofCheck,
  }: Pick<ProviderTools, 'identityToken' | 'outbound' | 'clock'> & { environment: string },
): Provider {
  const { issue, mount, role, audience, namespace } = settings;
  const api = createRestApi(
    {
      name: 'OpenBao',
      base: `${settings.url.replace(/\/+$/, '')}/v1`,
      ...{ allowPrivateAddress: settings.allowPrivateAddress, ca: settings.ca },
      isOwn: isOfOpenBao,
      headers: (token) => ({
        'x-vault-request': 'true',
        ...(token !== '' && { 'x-vault-token': token }),
        ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
      }),
    },
    { clock, outbound },
  );
  type Whose = Pick<Order, 'lease' | 'environment' | 'agent' | 'task'>;

  /** Who knows no token knows what it is to end by the lease alone. */
  async function signIn(whose: Whose, signal: AbortSignal): Promise<{ token: Secret; seconds: number }> {
    const { lease, environment, agent, task } = whose;
    const jwt = await identityToken({ audience, lease, environment, agent, task });
    const answer = await api.call('POST', `/auth/${mount}/login`, new Secret(''), {
      body: { role, jwt: jwt.reveal() },
      signal,
    });
    const auth = authOf(answer);
    if (!auth) throw refusal(answer, 'did not let Gatehouse sign in', signInHints);
    const token = new Secret(auth.client_token);
    const seconds = auth.lease_duration;
    await mustBeSeen(token, signal).catch(async (error: unknown) => {
      // Nor is it seen whether this ends it: it counts like one whose answer was lost.
      const request = { signal: AbortSignal.timeout(END_MS) };
      await api.call('POST', '/auth/token/revoke-self', token, request).catch(() => undefined);
      throw isThere(error);
    });
    if (seconds > 0 && seconds <= leaseLimits.maxSeconds) return { token, seconds };
    await endToken(token, signal).catch((error: unknown) => {
      throw isThere(error);
    });
    throw new NotMade(
      'upstream',
      'provider.lives-too-long',
      `Tokens of the role "${role}" live ${seconds === 0 ? 'for ever' : `${seconds} s`}: set its token_ttl and token_max_ttl to ${leaseLimits.maxSeconds} s or less.`,
    );
  }

  /** Ended with all that came of it, and seen to be refused. Also where it had ended before. */
  async function endToken(token: Secret, signal: AbortSignal): Promise<void> {
    const ended = await api.call('POST', '/auth/token/revoke-self', token, { signal });
    if (ended.status !== 204 && !isDenied(ended)) throw refusal(ended, 'ended no token');
    await untilRefused(token, signal);
  }
  async function untilRefused(token: Secret, signal: AbortSignal): Promise<void> {
    for (;;) {
      const seen = await api.call('GET', '/auth/token/lookup-self', token, { signal });
      if (isDenied(seen)) return;
      if (seen.status !== 200) throw refusal(seen, 'did not say whether a token has ended');
      await delay(POLL_MS, undefined, { signal });
    }
  }

  /** Else its being refused later would say nothing. */
  async function mustBeSeen(token: Secret, signal: AbortSignal): Promise<void> {
    const seen = await api.call('GET', '/auth/token/lookup-self', token, { signal });
    if (seen.status !== 200)
      throw refusal(seen, 'does not let a token see itself', { 403: ' The role’s tokens need the default policy.' });
  }

  /** Ended by the engine as well, which may take some time, or fail there: then this is asked again. */
  async function untilLeaseIsGone(leaseId: string, whose: Whose, signal: AbortSignal): Promise<void> {
    const { token } = await signIn(whose, signal);
    const giveUpAt = performance.now() + END_MS;
    try {
      for (;;) {
        const seen = await api.call('POST', '/sys/leases/lookup', token, { body: { lease_id: leaseId }, signal });
        if (seen.status === 400 && wordsOf(seen).includes('invalid lease')) return;
        if (seen.status !== 200)
          throw refusal(seen, 'did not say whether what it made is gone', {
            403: ' The role’s policies must let it update sys/leases/lookup, as the default policy does.',
          });
        if (performance.now() > giveUpAt)
          throw new Error('OpenBao has revoked the token, and has not yet ended what its engine made: it tries on');
        await delay(POLL_MS, undefined, { signal });
      }
    } finally {
      await endToken(token, AbortSignal.timeout(leaseLimits.revokeMs)).catch(() => undefined);
    }
  }

  /** With the token of the sign-in: one whose time OpenBao itself knows, and with fewer policies where that is asked for. */
  async function makeToken(
    { name, lease, agent, task }: Order,
    parent: Secret,
    seconds: number,
    policies: string[] | undefined,
    signal: AbortSignal,
  ): Promise<Secret> {
    const answer = await api.call('POST', '/auth/token/create', parent, {
      body: {
        ...(policies && { policies }),
        ...{ ttl: `${seconds}s`, explicit_max_ttl: `${seconds}s`, renewable: false, display_name: name },
        meta: { gatehouse_lease: lease, ...(agent !== '' && { agent, task }) },
      },
      signal,
    });
    const auth = authOf(answer);
    if (!auth)
      throw refusal(answer, 'made no token', {
        403: ' The role’s policies must let it update auth/token/create.',
        400: ' Has the role all policies that the provider is declared with?',
      });
    const more = auth.policies.find((each) => policies && each !== 'default' && !policies.includes(each));
    if (more !== undefined)
      throw new GatehouseError('upstream', 'provider.beyond', `OpenBao made a token with the policy ${more}.`);
    const token = new Secret(auth.client_token);
    await mustBeSeen(token, signal);
    return token;
  }

  async function read(path: string, parts: Readonly<Record<string, string>>, token: Secret, signal: AbortSignal) {
    const answer = await api.call('GET', `/${path}`, token, { signal });
    const body = answer.status === 200 && isJsonObject(answer.body) ? answer.body : undefined;
    if (!body)
      throw refusal(answer, `gave nothing at ${path}`, { 403: ` The role’s policies must let it read ${path}.` });
    const { data, lease_id: leaseId } = body;
    // KV 2 has the value one level deeper, beside what it says of it.
    const isNested = isJsonObject(data) && isJsonObject(data.data) && isJsonObject(data.metadata);
    const values: Json | undefined = isNested ? data.data : data;
    const credential = Object.fromEntries(
      Object.entries(parts).map(([part, member]) => {
        const value = isJsonObject(values) && Object.hasOwn(values, member) ? values[member] : undefined;
        if (typeof value !== 'string' || value === '')
          throw new GatehouseError('upstream', 'provider.answer', `What OpenBao has at ${path} has no "${member}".`);
        return [part, new Secret(value)];
      }),
    );
    return { credential, leaseId: typeof leaseId === 'string' && leaseId !== '' ? leaseId : null };
  }

  return {
    abilities: issue.type === 'kv' ? STORED : ABILITIES,

    async create(order: Order, signal): Promise<Made> {
      const scope = order.scope as unknown as OpenBaoScope;
      const { token: parent, seconds: most } = await signIn(order, signal);
      try {
        const seconds = Math.max(1, Math.min(most, Math.floor((order.expiresAt - clock.now()) / 1_000)));
        const token = await makeToken(order, parent, seconds, scope.policies, signal);
        const { credential, leaseId } =
          issue.type === 'token'
            ? { credential: { token }, leaseId: null }
            : await read(scope.paths?.[0] ?? '', issue.parts, token, signal);
        const { environment, agent, task } = order;
        return {
          credential,
          revocation: { parent: parent.reveal(), token: token.reveal(), leaseId, environment, agent, task },
          expiresAt: clock.now() + seconds * 1_000,
        };
      } catch (cause) {
        // What was made until then ends with the sign-in. Where that can't be seen nobody may say that nothing is there.
        await endToken(parent, AbortSignal.timeout(END_MS)).catch((cause) => {
          throw new GatehouseError('upstream', 'provider.answer', 'OpenBao did not end the token of the sign-in.', {
            cause,
          });
        });
        throw cause;
      }
    },

    async revoke({ lease, revocation, expiresAt, makingUntil }: Left, signal): Promise<Remaining | undefined> {
      const now = clock.now();
      if (!isJsonObject(revocation) || typeof revocation.parent !== 'string') {
        const until = makingUntil + leaseLimits.maxSeconds * 1_000 + SKEW_MS;
        if (now >= until) return undefined;
        return { until, why: 'OpenBao’s answer was lost. If it gave a token nobody has it, and it ends by itself.' };
      }
      const text = (member: string) => String(revocation[member] ?? '');
      await endToken(new Secret(revocation.parent), signal);
      await untilRefused(new Secret(text('token')), signal);
      if (typeof revocation.leaseId === 'string') {
        const whose = { lease, environment: text('environment'), agent: text('agent'), task: text('task') };
        await untilLeaseIsGone(revocation.leaseId, whose, signal);
      }
      if (issue.type !== 'kv' || now >= expiresAt) return undefined;
      return { until: expiresAt, why: 'OpenBao keeps this value: it works until somebody changes it there.' };
    },

    async check(signal) {
      const { token } = await signIn({ lease: 'check', environment: ofCheck, agent: '', task: '' }, signal);
      await endToken(token, signal);
    },

    close: async () => undefined,
  };
}

const signInHints: Record<number, string> = {
  400: ' Does the role take this issuer, audience and subject, and can OpenBao fetch the issuer’s keys?',
  403: ' Does the role take this issuer, audience and subject?',
  404: ' Is a JWT auth method mounted there?',
  503: ' It is sealed.',
};

/** Refusals have a list of errors, which may be empty. */
const isOfOpenBao = ({ body }: RestAnswer): boolean =>
  isJsonObject(body) && Array.isArray(body.errors) && body.errors.every((each) => typeof each === 'string');

const isDenied = (answer: RestAnswer): boolean => answer.status === 403 && isOfOpenBao(answer);

/** That a request was refused, or not sent, says nothing of the token that an earlier one made. */
function isThere(error: unknown): unknown {
  if (!(error instanceof NotMade)) return error;
  return new GatehouseError(error.kind, error.code, error.message, { cause: error });
}

/** Its words may repeat a claim, and never a token. */
function wordsOf({ body }: RestAnswer): string {
  const errors = isJsonObject(body) && Array.isArray(body.errors) ? body.errors : [];
  return errors.join(' ').replace(/\s+/g, ' ').slice(0, 200);
}

/** In words; whether something was made is known where it refused. */
function refusal(answer: RestAnswer, what: string, hints: Record<number, string> = {}): GatehouseError {
  const { status } = answer;
  const Failure = failureFor(answer, isOfOpenBao);
  const words = wordsOf(answer);
  return new Failure(
    'upstream',
    'provider.refused',
    `OpenBao ${what} (${status}${words && `: ${words}`}).${hints[status] ?? ''}`,
  );
}

interface Auth {
  client_token: string;
  lease_duration: number;
  policies: string[];
}
function authOf({ status, body }: RestAnswer): Auth | undefined {
  const auth: JsonObject | undefined = isJsonObject(body) && isJsonObject(body.auth) ? body.auth : undefined;
  if (status !== 200 || typeof auth?.client_token !== 'string' || auth.client_token === '') return undefined;
  if (typeof auth.lease_duration !== 'number' || !Array.isArray(auth.policies)) return undefined;
  return auth as unknown as Auth;
}
