import type { KubernetesScope, KubernetesSource, ProviderAbilities } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, Secret } from '../../platform/index.ts';
import { type Left, type Made, NotMade, type Order, type Provider, type Remaining } from '../leases/types.ts';
import type { ProviderTools } from './index.ts';
import { createRestApi, type RestAnswer, said } from './rest-api.ts';

/** Of a token that an API server has just taken: it looks again after this. */
const SERVER_CACHE_SECONDS = 10;
/** Kubernetes makes no token that lives shorter. */
const LEAST_SECONDS = 600;

/**
 * Tokens of service accounts (TokenRequest), each bound to an empty Secret that is named after its lease: once that is deleted no API server takes the
 * token any more, however long it would live.
 */
export function openKubernetesProvider(
  settings: KubernetesSource,
  { clock, outbound, openSecret }: Pick<ProviderTools, 'clock' | 'outbound' | 'openSecret'>,
): Provider {
  const abilities: ProviderAbilities = {
    ...{ canNarrow: true, canRevoke: true, canEndSessions: false, pastItsTimeSeconds: LEAST_SECONDS },
    // Whoever else it is for verifies its signature, and asks nobody.
    maxResidualSeconds: settings.audiences ? null : SERVER_CACHE_SECONDS,
  };
  const api = createRestApi(
    {
      ...{ name: 'Kubernetes', base: settings.url.replace(/\/+$/, ''), ca: settings.ca },
      allowPrivateAddress: settings.allowPrivateAddress,
      isOwn: isOfKubernetes,
      headers: (token) => ({ accept: 'application/json', authorization: `Bearer ${token}` }),
    },
    { clock, outbound },
  );
  const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, signal: AbortSignal, body?: object) =>
    api.call(method, path, await openSecret(settings.secret, settings.url), { signal, ...(body && { body }) });

  /** Whether it was there. */
  async function deleteBound(namespace: string, name: string, signal: AbortSignal): Promise<boolean> {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
    const first = await call('DELETE', path, signal, { gracePeriodSeconds: 0 });
    if (isNotFound(first)) return false;
    if (first.status !== 200 && first.status !== 202) throw refusal(first, 'deleted no Secret');
    // Seen to be gone by asking once more: reading Secrets would be a right that Gatehouse need not have.
    const second = await call('DELETE', path, signal, { gracePeriodSeconds: 0 });
    if (!isNotFound(second)) throw new Error(`the Secret ${namespace}/${name} is still there`);
    return true;
  }

  return {
    abilities,
    worksUntil: (expiresAt) => Math.max(expiresAt, clock.now() + LEAST_SECONDS * 1_000),

    async create({ name, lease, agent, task, scope, expiresAt }: Order, signal): Promise<Made> {
      const { namespace, account, audiences } = wantedOf(scope as KubernetesScope);
      const bound = boundName(name);
      // As a crash may have left it, with a token that nobody has.
      await deleteBound(namespace, bound, signal);
      const made = await perhapsMade(
        call('POST', `/api/v1/namespaces/${namespace}/secrets`, signal, {
          ...{ apiVersion: 'v1', kind: 'Secret', type: 'Opaque', immutable: true },
          metadata: {
            name: bound,
            labels: { 'app.kubernetes.io/managed-by': 'gatehouse' },
            annotations: { 'gatehouse/lease': lease, 'gatehouse/agent': agent, 'gatehouse/task': task },
          },
        }),
      );
      const uid = isJsonObject(made.body) && isJsonObject(made.body.metadata) ? made.body.metadata.uid : undefined;
      if (made.status !== 201 || typeof uid !== 'string') throw refusal(made, 'made no Secret to bind a token to');
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
      const issued = await perhapsMade(
        call('POST', path, signal, {
          ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' },
          spec: {
            ...(audiences && { audiences }),
            expirationSeconds: Math.max(LEAST_SECONDS, Math.ceil((expiresAt - clock.now()) / 1_000)),
            boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name: bound, uid },
          },
        }),
      );
      const status = isJsonObject(issued.body) && isJsonObject(issued.body.status) ? issued.body.status : {};
      const { token, expirationTimestamp } = status;
      if (issued.status !== 201 || typeof token !== 'string' || token === '') throw refusal(issued, 'issued no token');
      const end = Date.parse(String(expirationTimestamp));
      return {
        credential: { token: new Secret(token) },
        revocation: { end: Number.isNaN(end) ? expiresAt : end },
        ...(end < expiresAt && { expiresAt: end }),
      };
    },

    async revoke({ name, scope, revocation }: Left, signal): Promise<Remaining | undefined> {
      const { namespace, audiences } = wantedOf(scope as KubernetesScope);
      const wasThere = await deleteBound(namespace, boundName(name), signal);
      // Nobody has a token whose answer never came.
      if (!isJsonObject(revocation)) return undefined;
      const now = clock.now();
      if (audiences && Number(revocation.end) > now)
        return {
          until: Number(revocation.end),
          why: `no API server takes the token, and whoever else it is for (${audiences.join(', ').slice(0, 100)}) does until it expires`,
        };
      return wasThere
        ? {
            until: now + SERVER_CACHE_SECONDS * 1_000,
            why: 'API servers that have just taken the token look again within 10 s',
          }
        : undefined;
    },

    async check(signal) {
      for (const { namespace, resource, subresource, verb } of neededIn(settings.serviceAccounts)) {
        const answer = await call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', signal, {
          ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview' },
          spec: {
            resourceAttributes: { namespace, resource, verb, version: 'v1', ...(subresource && { subresource }) },
          },
        });
        const status = isJsonObject(answer.body) && isJsonObject(answer.body.status) ? answer.body.status : undefined;
        if (answer.status !== 201 || !status) throw refusal(answer, 'did not say what Gatehouse may do');
        if (status.allowed !== true)
          throw new GatehouseError(
            'upstream',
            'provider.rights',
            `Gatehouse may not ${verb} ${resource}${subresource ? `/${subresource}` : ''} in ${namespace}: give it a Role that may.`,
          );
      }
    },

    close: async () => undefined,
  };
}

/** From here on something may be there that has to be ended, also where this very request was never sent. */
async function perhapsMade(answer: Promise<RestAnswer>): Promise<RestAnswer> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NotMade) throw new GatehouseError(error.kind, error.code, error.message, { cause: error });
    throw error;
  }
}

function wantedOf({ serviceAccounts = [], audiences }: KubernetesScope) {
  const [namespace = '', account = ''] = (serviceAccounts[0] ?? '').split('/');
  return { namespace, account, audiences };
}

/** Names there have no `_`. */
const boundName = (name: string): string => name.replaceAll('_', '-').toLowerCase();

const isOfKubernetes = ({ body }: RestAnswer): boolean => isJsonObject(body) && body.kind === 'Status';

const isNotFound = (answer: RestAnswer): boolean =>
  answer.status === 404 && isOfKubernetes(answer) && isJsonObject(answer.body) && answer.body.reason === 'NotFound';

function refusal(answer: RestAnswer, what: string): GatehouseError {
  const words = said(answer);
  const text = `Kubernetes ${what} (${answer.status}${words && `: ${words}`}).`;
  return new GatehouseError('upstream', 'provider.refused', text);
}

function neededIn(serviceAccounts: readonly string[]) {
  const namespaces = new Set(serviceAccounts.map((each) => each.split('/')[0] as string));
  const each = (namespace: string) => [
    { namespace, resource: 'secrets', subresource: undefined, verb: 'create' },
    { namespace, resource: 'secrets', subresource: undefined, verb: 'delete' },
    { namespace, resource: 'serviceaccounts', subresource: 'token', verb: 'create' },
  ];
  return [...namespaces].flatMap(each);
}
