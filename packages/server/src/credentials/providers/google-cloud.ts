import type { BucketRule, GoogleCloudScope, GoogleCloudSource, ProviderAbilities } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type JsonObject, Secret } from '../../platform/index.ts';
import { leaseLimits } from '../leases/limits.ts';
import { type Left, type Made, NotMade, type Order, type Provider } from '../leases/types.ts';
import { endsWhen, remainingOf } from './ends-by-itself.ts';
import type { ProviderTools } from './index.ts';

/** Google ends no token of a service account before its time. */
const ABILITIES: ProviderAbilities = {
  canNarrow: true,
  canRevoke: false,
  canEndSessions: false,
  maxResidualSeconds: null,
};
const TIMEOUT_MS = 8_000;
const CHECK_SECONDS = 60;
const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

/**
 * Workload identity federation: an identity token is exchanged at Google's STS, which lets Gatehouse impersonate one service account, for the scopes and
 * the seconds of the lease. With buckets the token is exchanged once more, for one that reaches those buckets and nothing else.
 */
export function openGoogleCloudProvider(
  settings: GoogleCloudSource,
  {
    identityToken,
    outbound,
    clock,
    environment: ofCheck,
  }: Pick<ProviderTools, 'identityToken' | 'outbound' | 'clock'> & { environment: string },
): Provider {
  const { provider, serviceAccount, stsUrl, iamUrl, allowPrivateAddress } = settings;
  type Whose = Pick<Order, 'lease' | 'environment' | 'agent' | 'task'>;

  async function ask(url: string, headers: Record<string, string>, body: string, what: string): Promise<JsonObject> {
    const answer = await outbound.fetch(url, {
      ...{ method: 'POST', headers, body, allowPrivateAddress, timeoutMs: TIMEOUT_MS },
    });
    let json: unknown;
    try {
      json = JSON.parse(answer.body.toString('utf8'));
    } catch {
      // What is no JSON is not Google's answer: it fails below, as one that may have made something.
    }
    if (answer.status === 200 && isJsonObject(json as never)) return json as JsonObject;
    const words = wordsOf(json);
    // Only where Google itself says so nothing was made.
    const Failure = answer.status >= 400 && answer.status < 500 && words !== '' ? NotMade : GatehouseError;
    throw new Failure(
      answer.status === 429 ? 'too-many' : 'upstream',
      'provider.refused',
      `Google ${what} (${answer.status}${words && `: ${words}`}).`,
    );
  }

  async function exchange(form: Record<string, string>, what: string): Promise<Secret> {
    const { access_token: token } = await ask(
      `${stsUrl.replace(/\/$/, '')}/v1/token`,
      { 'content-type': 'application/x-www-form-urlencoded' },
      new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        requested_token_type: tokenType('access_token'),
        ...form,
      }).toString(),
      what,
    );
    if (typeof token === 'string' && token !== '') return new Secret(token);
    throw new GatehouseError('upstream', 'provider.answer', `Google ${what}: there is none in its answer.`);
  }

  /** Of the service account; until when it works. */
  async function impersonate(whose: Whose, scopes: readonly string[], seconds: number) {
    const { lease, environment, agent, task } = whose;
    const identity = await identityToken({
      ...{ audience: `https://iam.googleapis.com/${provider}`, lease, environment, agent, task },
    });
    const federated = await exchange(
      {
        audience: `//iam.googleapis.com/${provider}`,
        scope: 'https://www.googleapis.com/auth/cloud-platform',
        subject_token: identity.reveal(),
        subject_token_type: tokenType('jwt'),
      },
      'exchanged no token: does the pool’s provider take this issuer, and its condition this agent',
    );
    const { accessToken, expireTime } = await ask(
      `${iamUrl.replace(/\/$/, '')}/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`,
      { 'content-type': 'application/json', authorization: `Bearer ${federated.reveal()}` },
      JSON.stringify({ scope: scopes, lifetime: `${seconds}s` }),
      `let nobody impersonate ${serviceAccount}: has this agent roles/iam.workloadIdentityUser on it`,
    );
    if (typeof accessToken !== 'string' || accessToken === '')
      throw new GatehouseError('upstream', 'provider.answer', 'Google gave no token of the service account.');
    return { token: new Secret(accessToken), end: Date.parse(String(expireTime)) };
  }

  return {
    abilities: ABILITIES,

    async create(order: Order, signal): Promise<Made> {
      signal.throwIfAborted();
      const { scopes = settings.scopes, buckets } = order.scope as unknown as GoogleCloudScope;
      const seconds = Math.min(
        Math.max(1, Math.floor((order.expiresAt - clock.now()) / 1_000)),
        leaseLimits.maxSeconds,
      );
      const { token, end } = await impersonate(order, scopes, seconds);
      const narrowed = buckets
        ? await exchange(
            {
              subject_token: token.reveal(),
              subject_token_type: tokenType('access_token'),
              options: JSON.stringify({ accessBoundary: { accessBoundaryRules: buckets.map(boundaryOf) } }),
            },
            'narrowed no token to buckets',
          )
        : token;
      return {
        credential: { token: narrowed },
        ...endsWhen(end),
      };
    },

    revoke: async (left: Left) =>
      remainingOf(left, {
        ...{ clock, who: 'Google' },
        why: 'Google ends no token before its time. To cut off all tokens of the service account at once, disable it.',
      }),

    async check() {
      const nobody = { lease: 'check', environment: ofCheck, agent: '', task: '' };
      await impersonate(nobody, settings.scopes, CHECK_SECONDS);
    },

    close: async () => undefined,
  };
}

/** Names are checked to have no quotes in them. Lists ask for objects by their prefix, which is no part of the bucket's name. */
function boundaryOf({ bucket, roles, prefix }: BucketRule): JsonObject {
  return {
    availableResource: `//storage.googleapis.com/projects/_/buckets/${bucket}`,
    availablePermissions: roles.map((role) => `inRole:${role}`),
    ...(prefix !== '' && {
      availabilityCondition: {
        title: 'prefix',
        expression: `resource.name.startsWith('projects/_/buckets/${bucket}/objects/${prefix}') || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('${prefix}')`,
      },
    }),
  };
}

/** STS answers as OAuth does, the other APIs as Google's do. */
function wordsOf(json: unknown): string {
  if (typeof json !== 'object' || json === null) return '';
  const { error, error_description: description } = json as Record<string, unknown>;
  const words =
    typeof error === 'string'
      ? `${error}: ${typeof description === 'string' ? description : ''}`
      : typeof error === 'object' && error !== null
        ? String((error as Record<string, unknown>).message ?? '')
        : '';
  return words.replace(/\s+/g, ' ').slice(0, 200);
}
