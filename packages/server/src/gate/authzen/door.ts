import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Approvals } from '../../approvals/index.ts';
import type { Enforcement, Foresight } from '../../enforcement/index.ts';
import { gatewayAudience, type ProveGateway, type Tokens, type Vouching } from '../../identity/index.ts';
import type { Ledger } from '../../ledger/index.ts';
import {
  type Clock,
  GatehouseError,
  isJsonObject,
  type JsonObject,
  type Log,
  limits,
  parseStrictJson,
  readBody,
  readTraceparent,
  retryAfter,
  toProblem,
} from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import { type Gateway, gatewayOf } from '../elsewhere/gateway.ts';
import { createAddressCheck, isJson, sendJson } from '../mcp/http-edge.ts';
import { createAccessRequests } from './access-request.ts';
import { createEvaluate } from './evaluate.ts';
import { authzenLimits } from './limits.ts';
import { createOutcomes } from './outcome.ts';
import { createSearch } from './search.ts';
import { createSubjects } from './subject.ts';

export interface AuthzenDoorDependencies {
  proveGateway: ProveGateway;
  tokens: Tokens & Vouching;
  registry: Registry;
  enforcement: Enforcement & Foresight;
  approvals: Approvals;
  ledger: Ledger;
  clock: Clock;
  log: Log;
  publicUrl: string;
  mutualTlsUrl?: string | undefined;
}

/** True when the request was for this door; it is then answered. */
type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

export const authzenPaths = {
  metadata: '/.well-known/authzen-configuration',
  evaluation: '/access/v1/evaluation',
  evaluations: '/access/v1/evaluations',
  searchSubject: '/access/v1/search/subject',
  searchResource: '/access/v1/search/resource',
  searchAction: '/access/v1/search/action',
  requests: '/access/v1/requests',
  outcomes: '/access/v1/outcomes',
} as const;

/**
 * The door for other gateways that speak the OpenID AuthZEN Authorization API 1.0: wire format in, actions out. Nothing is decided here; who
 * asks has to prove that it is a gateway before anything of its request is looked at.
 */
export function createAuthzenDoor(deps: AuthzenDoorDependencies): Handle {
  const { publicUrl, log } = deps;
  const address = createAddressCheck(publicUrl, deps.mutualTlsUrl);
  const subjects = createSubjects(deps);
  const evaluate = createEvaluate({ ...deps, subjects });
  const search = createSearch({ ...deps, subjects });
  const requests = createAccessRequests(deps);
  const outcomes = createOutcomes(deps);

  type Answer = (gateway: Gateway, body: JsonObject, base: string) => Promise<object>;
  const posts: Record<string, { answer: Answer; status?: number }> = {
    [authzenPaths.evaluation]: { answer: evaluate.single },
    [authzenPaths.evaluations]: { answer: evaluate.several },
    [authzenPaths.searchSubject]: { answer: search.subject },
    [authzenPaths.searchResource]: { answer: search.resource },
    [authzenPaths.searchAction]: { answer: search.action },
    [authzenPaths.requests]: { answer: requests.submit, status: 202 },
    [authzenPaths.outcomes]: { answer: outcomes },
  };

  async function prove(request: IncomingMessage, path: string): Promise<Gateway> {
    const { authorization } = request.headers;
    const bearer = authorization === undefined ? undefined : (/^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '');
    const proven = gatewayOf(await deps.proveGateway(request, { at: `${request.method} ${path}`, bearer }));
    return { ...proven, trace: readTraceparent(request.headers.traceparent) };
  }

  async function answer(request: IncomingMessage, path: string): Promise<{ status: number; body: object }> {
    const foreign = address.refusal(request);
    if (foreign !== undefined) throw new GatehouseError('forbidden', 'host.foreign', foreign);
    const base = address.urlOf(request, '');
    if (path === authzenPaths.metadata) {
      requireMethod(request, 'GET');
      return { status: 200, body: metadata(base) };
    }
    if (path.startsWith(`${authzenPaths.requests}/`)) {
      requireMethod(request, 'GET');
      const id = path.slice(authzenPaths.requests.length + 1);
      return { status: 200, body: await requests.status(await prove(request, path), id, base) };
    }
    const route = posts[path];
    if (!route) throw new GatehouseError('not-found', 'route.unknown', `There is nothing at ${path.slice(0, 200)}.`);
    requireMethod(request, 'POST');
    const gateway = await prove(request, path);
    return { status: route.status ?? 200, body: await route.answer(gateway, await bodyOf(request), base) };
  }

  async function bodyOf(request: IncomingMessage): Promise<JsonObject> {
    if (!isJson(request.headers['content-type']))
      throw new GatehouseError('bad-request', 'body.type', 'Content-Type must be application/json.');
    const { requestBodyTimeoutMs } = limits;
    const body = parseStrictJson(
      await readBody(request, { requestBodyBytes: authzenLimits.bodyBytes, requestBodyTimeoutMs }),
    );
    if (!isJsonObject(body)) throw new GatehouseError('bad-request', 'body.invalid', 'The body must be a JSON object.');
    return body;
  }

  return async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] as string;
    if (path !== authzenPaths.metadata && !path.startsWith('/access/v1/')) return false;
    const echo = echoed(request);
    try {
      const { status, body } = await answer(request, path);
      if ('retry_after_seconds' in body) echo['Retry-After'] = String(body.retry_after_seconds);
      sendJson(response, status, JSON.stringify(body), echo);
    } catch (error) {
      const { status, body } = toProblem(error);
      if (status === 500) log.error('a request failed inside the AuthZEN door', { error });
      sendJson(response, status, JSON.stringify(body), {
        ...echo,
        'Content-Type': 'application/problem+json',
        ...retryAfter(status),
        ...(status === 401 && { 'WWW-Authenticate': `Bearer resource="${gatewayAudience(publicUrl)}"` }),
      });
    }
    return true;
  };
}

function requireMethod(request: IncomingMessage, method: string): void {
  if (request.method === method) return;
  throw new GatehouseError('bad-request', 'route.method', `This route answers ${method} only.`);
}

/** Section 10.1.4: what a request is called comes back with its answer. */
function echoed(request: IncomingMessage): Record<string, string> {
  const id = request.headers['x-request-id'];
  const fits = typeof id === 'string' && id.length <= authzenLimits.requestIdChars && /^[\x20-\x7e]+$/.test(id);
  return fits ? { 'X-Request-ID': id } : {};
}

/** Section 9. */
function metadata(base: string) {
  return {
    policy_decision_point: base,
    access_evaluation_endpoint: base + authzenPaths.evaluation,
    access_evaluations_endpoint: base + authzenPaths.evaluations,
    search_subject_endpoint: base + authzenPaths.searchSubject,
    search_resource_endpoint: base + authzenPaths.searchResource,
    search_action_endpoint: base + authzenPaths.searchAction,
    access_request_endpoint: base + authzenPaths.requests,
    capabilities: ['urn:openid:authzen:capability:access-request'],
    gatehouse_outcome_endpoint: base + authzenPaths.outcomes,
  };
}
