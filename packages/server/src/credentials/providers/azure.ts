import { type AzureScope, type AzureSource, leastSecondsOf, type ProviderAbilities } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type Json, parseStrictJson, Secret } from '../../platform/index.ts';
import { type Left, type Made, NotMade, type Order, type Provider } from '../leases/types.ts';
import { endsWhen, remainingOf } from './ends-by-itself.ts';
import type { ProviderTools } from './index.ts';

/** Entra gives a token 60 to 90 minutes, whatever is asked for. */
const MOST_SECONDS = leastSecondsOf('azure');
/** And ends none before that. */
const ABILITIES: ProviderAbilities = {
  canNarrow: true,
  canRevoke: false,
  canEndSessions: false,
  maxResidualSeconds: null,
  leastSeconds: MOST_SECONDS,
};
const TIMEOUT_MS = 8_000;

/**
 * Tokens of an application (or managed identity) of Microsoft Entra, got with an identity token as its client assertion, each for one resource. How
 * long they live Entra says, and not who asks: longer than the lease, as a rule, so that what remains is counted.
 */
export function openAzureProvider(
  settings: AzureSource,
  {
    identityToken,
    outbound,
    clock,
    environment: ofCheck,
  }: Pick<ProviderTools, 'identityToken' | 'outbound' | 'clock'> & { environment: string },
): Provider {
  const { tenant, client, audience, authority, allowPrivateAddress } = settings;
  const url = `${authority.replace(/\/$/, '')}/${tenant}/oauth2/v2.0/token`;

  async function get(
    { lease, environment, agent, task }: Pick<Order, 'lease' | 'environment' | 'agent' | 'task'>,
    resource: string,
  ): Promise<{ token: Secret; end: number }> {
    const assertion = await identityToken({ audience, lease, environment, agent, task });
    const asked = clock.now();
    const { status, body } = await outbound.fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: client,
        scope: `${resource.replace(/\/$/, '')}/.default`,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion.reveal(),
      }).toString(),
      ...{ allowPrivateAddress, timeoutMs: TIMEOUT_MS },
    });
    const json = jsonOf(body);
    const {
      access_token: token,
      expires_in: seconds,
      error,
      error_description: description,
    } = isJsonObject(json) ? json : {};
    if (status === 200 && typeof token === 'string' && token !== '')
      return { token: new Secret(token), end: asked + Number(seconds) * 1_000 };
    if (status < 400 || status >= 500 || typeof error !== 'string')
      throw new GatehouseError('upstream', 'provider.answer', `Entra gave no token (${status}).`);
    const words = typeof description === 'string' ? (description.split(/\r?\n/)[0] ?? '').slice(0, 300) : error;
    throw new NotMade(
      status === 429 ? 'too-many' : 'upstream',
      'provider.refused',
      `Entra gave no token (${words}).${hintFor(words)}`,
    );
  }

  return {
    abilities: ABILITIES,

    async create(order: Order, signal): Promise<Made> {
      signal.throwIfAborted();
      const { resources = settings.resources } = order.scope as unknown as AzureScope;
      const { token, end } = await get(order, resources[0] as string);
      return {
        credential: { token },
        ...endsWhen(end),
      };
    },

    revoke: async (left: Left) =>
      remainingOf(left, {
        ...{ clock, who: 'Entra', mostSeconds: MOST_SECONDS },
        why: 'Entra ends no token of an application before its time. To stop it sooner, take away the application’s roles.',
      }),

    async check() {
      const nobody = { lease: 'check', environment: ofCheck, agent: '', task: '' };
      await get(nobody, settings.resources[0] as string);
    },

    close: async () => undefined,
  };
}

const hintFor = (words: string): string =>
  /AADSTS7002(1|13|36)/.test(words)
    ? ' Has the application a federated credential with exactly this issuer, subject and audience? A new one takes some minutes.'
    : /AADSTS(500011|65001|700016)/.test(words)
      ? ' Are tenant, client and resource right, and has the application a role there?'
      : '';

function jsonOf(bytes: Buffer): Json | undefined {
  try {
    return parseStrictJson(bytes);
  } catch {
    return undefined;
  }
}
