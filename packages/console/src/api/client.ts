import type {
  Api,
  accountBodies,
  approvalListBodies,
  baselineBodies,
  bodies,
  breakGlassBodies,
  confirmationBodies,
  consentBodies,
  delegationBodies,
  deputyBodies,
  explainBody,
  joinTokenBody,
  keepingBodies,
  keyBodies,
  leaseBodies,
  newPushSubscription,
  outsideProof,
  peopleBodies,
  policyFileBody,
  rehearsalBodies,
  secondYesBodies,
  trustDomainBodies,
  upstreamAuthorizationBodies,
} from '@gatehouse/protocol';
import { problemOf, unreachable } from './problem.ts';

type Body<Name extends keyof typeof bodies> = Given<typeof bodies, Name>;
type Given<Of, Name extends keyof Of> = Of[Name] extends { _zod: { input: infer Input } } ? Input : never;

/** What each route takes; a route that is not here takes nothing. */
interface RequestBodies {
  'POST /signin/link': Body<'signInLink'>;
  'POST /signin/mail': Body<'mailSignIn'>;
  'POST /signin/provider': { provider: string; next: string };
  'POST /signin/passkey': Body<'passkeySignIn'>;
  'POST /passkeys': Body<'passkeyEnrol'>;
  'PATCH /passkeys/:id': Body<'renamePasskey'>;
  'POST /people/signin-links': Body<'createSignInLink'>;
  'POST /agents/:name/kill': Body<'kill'>;
  'POST /agents/:name/state': Body<'setState'>;
  'POST /agents/:name/keys': Body<'addKey'>;
  'POST /agents/:name/baseline/reset': Given<typeof baselineBodies, 'resetBaseline'>;
  'POST /agents/:name/baseline/accept': Given<typeof baselineBodies, 'acceptBaseline'>;
  'POST /plan': Body<'apply'>;
  'POST /apply': Body<'apply'>;
  'POST /definitions/review': Body<'review'>;
  'POST /approvals/:id/look': Body<'look'>;
  'POST /approvals/:id/options': Body<'approvalOptions'>;
  'POST /approvals/:id/approve': Body<'approve'>;
  'POST /approvals/:id/deny': Body<'deny'>;
  'POST /approval-lists/options': Given<typeof approvalListBodies, 'options'>;
  'POST /approval-lists/approve': Given<typeof approvalListBodies, 'approve'>;
  'POST /break-glass/:id/sign': Given<typeof breakGlassBodies, 'sign'>;
  'POST /break-glass/:id/review': Given<typeof breakGlassBodies, 'review'>;
  'POST /grants/:id/revoke': Body<'revokeGrant'>;
  'POST /logs/verify': Body<'verifyLog'>;
  'POST /actions/:id/resolve': Body<'resolve'>;
  'POST /evidence': Body<'makeEvidence'>;
  'POST /tasks/:id/suspend': Body<'suspendTask'>;
  'POST /policy/check': (typeof policyFileBody)['_zod']['input'];
  'POST /policy/explain': (typeof explainBody)['_zod']['input'];
  'POST /policies/:name/remove': Given<typeof rehearsalBodies, 'removePolicy'>;
  'POST /policy/versions/:number/rollback': Given<typeof rehearsalBodies, 'rollback'>;
  'POST /policy/proposals/:number/options': Given<typeof rehearsalBodies, 'options'>;
  'POST /policy/proposals/:number/ship': Given<typeof rehearsalBodies, 'ship'>;
  'POST /policy/proposals/:number/reject': Given<typeof rehearsalBodies, 'reject'>;
  'POST /consents/:id/options': Given<typeof consentBodies, 'options'>;
  'POST /consents/:id/approve': Given<typeof consentBodies, 'approve'>;
  'POST /consents/:id/sign-in': Given<typeof consentBodies, 'signIn'>;
  'POST /confirmations/:id/options': Given<typeof confirmationBodies, 'options'>;
  'POST /confirmations/:id/confirm': Given<typeof confirmationBodies, 'confirm'>;
  'POST /people/:email/offboard': Given<typeof peopleBodies, 'offboard'>;
  'POST /scim/tokens': Given<typeof peopleBodies, 'createScimToken'>;
  'POST /trust-rules/test': (typeof outsideProof)['_zod']['input'];
  'POST /agents/:name/join-tokens': (typeof joinTokenBody)['_zod']['input'];
  'POST /workloads/:name/state': Body<'setState'>;
  'POST /workloads/:name/kill': Body<'kill'>;
  'POST /delegations': Given<typeof delegationBodies, 'create'>;
  'POST /accounts': Given<typeof accountBodies, 'connect'>;
  'POST /people/:email/deputies': Given<typeof deputyBodies, 'createFor'>;
  'POST /deputies/options': Given<typeof deputyBodies, 'options'>;
  'POST /deputies/:id/confirm': Given<typeof deputyBodies, 'confirm'>;
  'POST /deputies': Given<typeof deputyBodies, 'create'>;
  'POST /keys/:purpose/rotate': Given<typeof keyBodies, 'rotateKeys'>;
  'POST /keys/rewrap': Given<typeof keyBodies, 'rewrap'>;
  'POST /trust-domain/rotate': Given<typeof trustDomainBodies, 'rotate'>;
  'POST /servers/:name/connect': Given<typeof upstreamAuthorizationBodies, 'connect'>;
  'POST /servers/:name/disconnect': Given<typeof upstreamAuthorizationBodies, 'disconnect'>;
  'POST /push/subscriptions': (typeof newPushSubscription)['_zod']['input'];
  'POST /holds': Given<typeof keepingBodies, 'hold'>;
  'POST /erasures': Given<typeof keepingBodies, 'erase'>;
  'POST /leases/:id/drop': Given<typeof leaseBodies, 'dropLease'>;
  'POST /second-yes/options': Given<typeof secondYesBodies, 'options'>;
  'POST /leases/:id/drop/agree': Given<typeof secondYesBodies, 'agree'>;
  'POST /holds/:id/agree': Given<typeof secondYesBodies, 'agree'>;
  'POST /erasures/:id/agree': Given<typeof secondYesBodies, 'agree'>;
  'POST /retention/:name/agree': Given<typeof secondYesBodies, 'agree'>;
  'POST /leases/:id/renew': Given<typeof leaseBodies, 'renewLease'>;
  'POST /leases/:id/revoke': Given<typeof leaseBodies, 'revokeLease'>;
  'PUT /secrets/:name': Given<typeof upstreamAuthorizationBodies, 'setSecret'>;
}

type ParameterNames<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParameterNames<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;

export type Query = Record<string, string | number | undefined>;

type Input<Route extends keyof Api> = { query?: Query; signal?: AbortSignal } & ([ParameterNames<Route>] extends [never]
  ? { params?: undefined }
  : { params: Record<ParameterNames<Route>, string | number> }) &
  (Route extends keyof RequestBodies ? { body: RequestBodies[Route] } : { body?: undefined });

type Arguments<Route extends keyof Api> = object extends Input<Route> ? [input?: Input<Route>] : [input: Input<Route>];

const BASE = '/api/v1';

/** One request to the control API. Throws `ApiError`. */
export async function call<Route extends keyof Api>(route: Route, ...[input]: Arguments<Route>): Promise<Api[Route]> {
  const { params, query, body, signal } = (input ?? {}) as {
    params?: Record<string, string | number>;
    query?: Query;
    body?: unknown;
    signal?: AbortSignal;
  };
  const [method = 'GET', path = ''] = route.split(' ');
  const response = await send(addressOf(path, params, query), {
    method,
    headers: { accept: 'application/json', ...(method !== 'GET' && { 'content-type': 'application/json' }) },
    ...(method !== 'GET' && { body: JSON.stringify(body ?? {}) }),
    ...(signal && { signal }),
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as Api[Route];
}

/** The lines of an answer that comes while the work is done (application/x-ndjson). */
export async function* lines(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<string> {
  const response = await send(addressOf(path), {
    method: 'POST',
    headers: { accept: 'application/x-ndjson', 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok || !response.body) throw await problemOf(response);
  let rest = '';
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const parts = (rest + piece.value).split('\n');
    rest = parts.pop() ?? '';
    yield* parts.filter((line) => line !== '');
  }
  if (rest !== '') yield rest;
}

async function send(address: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, { ...init, credentials: 'same-origin', cache: 'no-store' });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw unreachable(cause);
  }
}

/** Exported for its test: a name from the API must never reach another route than the one meant. */
export function addressOf(path: string, params: Record<string, string | number> = {}, query: Query = {}): string {
  const target = path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = String(params[name]);
    // A browser resolves `.` and `..` even when they are escaped.
    if (value === '' || value === '.' || value === '..') throw new TypeError(`"${value}" is no ${name}`);
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(name, `${value}`);
  return `${BASE}${target}${search.size > 0 ? `?${search}` : ''}`;
}

export const EVENTS_ADDRESS = `${BASE}/events`;
