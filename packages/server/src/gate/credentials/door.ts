import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Approval, Decision } from '@gatehouse/protocol';
import { askedHandOut, name } from '@gatehouse/protocol';
import { z } from 'zod';
import { type Leases, leaseLimits } from '../../credentials/index.ts';
import { type Enforcement, HAND_OUT, type Injection, type Outcome } from '../../enforcement/index.ts';
import type { Caller, Peers, Tokens } from '../../identity/index.ts';
import {
  clientAddress,
  GatehouseError,
  type Json,
  type Log,
  limits,
  parseStrictJson,
  readBody,
  readTraceparent,
  retryAfter,
  type Secret,
  toProblem,
} from '../../platform/index.ts';
import { createAddressCheck, isJson, sendJson } from '../mcp/http-edge.ts';
import { approvalUrl } from '../mcp/replies.ts';
import { credentialDoorLimits } from './limits.ts';

const PATH = '/task/credentials';
const body = z.strictObject({ provider: name, ...askedHandOut.shape });

export interface CredentialDoorDependencies {
  tokens: Tokens;
  peers: Pick<Peers, 'of'>;
  enforcement: Pick<Enforcement, 'enforce'>;
  leases: Pick<Leases, 'get' | 'end'>;
  log: Log;
  publicUrl: string;
  mutualTlsUrl?: string | undefined;
}

interface Answer {
  status: number;
  body: object;
  headers?: Record<string, string>;
}

/**
 * The door for agents whose clients call by themselves: `POST /task/credentials` asks for a credential of the token's own task, `GET …/LEASE` says
 * how it is, `POST …/LEASE/end` ends it. Wire format in, an action out like any other; nothing is decided here. A token of which nobody has to
 * prove that it is theirs gets nothing, whatever the agent's manifest says.
 */
export function createCredentialDoor(deps: CredentialDoorDependencies) {
  const { enforcement, leases, log, publicUrl, mutualTlsUrl } = deps;
  const address = createAddressCheck(publicUrl, mutualTlsUrl);

  async function callerOf(request: IncomingMessage, path: string): Promise<Caller> {
    const foreign = address.refusal(request);
    if (foreign !== undefined) throw new GatehouseError('forbidden', 'host.foreign', foreign);
    const { authorization, dpop, traceparent } = request.headers;
    const caller = await deps.tokens.authenticate({
      authorization,
      dpop: typeof dpop === 'string' ? dpop : undefined,
      method: request.method ?? '',
      url: address.urlOf(request, path),
      peer: await deps.peers.of(request),
    });
    if (!caller.isBound)
      throw new GatehouseError(
        'forbidden',
        'token.unbound',
        'A credential is handed only to whoever proves that the token is theirs: ask for a token with a DPoP proof.',
      );
    return { ...caller, address: clientAddress(request) ?? null, trace: readTraceparent(traceparent) };
  }

  async function ask(request: IncomingMessage, caller: Caller): Promise<Answer> {
    if (!isJson(request.headers['content-type']))
      throw new GatehouseError('bad-request', 'body.type', 'Content-Type must be application/json.');
    const { requestBodyTimeoutMs } = limits;
    const text = await readBody(request, { requestBodyBytes: credentialDoorLimits.bodyBytes, requestBodyTimeoutMs });
    const { data, error } = body.safeParse(parseStrictJson(text));
    if (!data)
      throw new GatehouseError(
        'bad-request',
        'body.invalid',
        `${error.issues[0]?.path.join('.') || 'the body'}: ${error.issues[0]?.message}`,
      );
    const { provider, scope, seconds } = data;
    const key = request.headers['idempotency-key'];
    // Before a person is asked about what could not be done.
    if (key !== undefined && (key.length === 0 || key.length > leaseLimits.idempotencyKeyCharacters))
      throw new GatehouseError(
        'bad-request',
        'idempotency.key',
        `An idempotency key has 1 to ${leaseLimits.idempotencyKeyCharacters} characters.`,
      );
    let handed: Injection | undefined;
    const outcome = await enforcement.enforce(
      {
        caller,
        operation: HAND_OUT,
        server: provider,
        name: provider,
        arguments: { scope: scope as Json, ...(seconds !== undefined && { seconds }) },
        ...(key !== undefined && { idempotencyKey: String(key) }),
      },
      async ({ credential }) => {
        handed = credential;
        // Only what is ours: it counts as a result that is trusted, and nothing that an agent chose may.
        return { result: 'success', body: { lease: credential?.lease ?? null, provider } };
      },
    );
    return answerOf(outcome, provider, handed);
  }

  async function answerOf(outcome: Outcome, provider: string, handed: Injection | undefined): Promise<Answer> {
    switch (outcome.kind) {
      case 'done': {
        if (outcome.sent.result !== 'success' || !handed)
          throw new GatehouseError('conflict', 'lease.ended', `${outcome.sent.detail ?? 'It was ended.'} Ask again.`);
        return { status: 200, body: await credentialOf(outcome.actionId, provider, handed) };
      }
      case 'pending':
        return waitingOf(outcome.approval, outcome.actionId);
      case 'refused':
        return refusedOf(outcome.decision, outcome.actionId);
      case 'gone':
      case 'withheld':
      case 'unknown':
        throw new GatehouseError('conflict', 'action.ended', `${outcome.detail} Ask again.`);
    }
  }

  async function credentialOf(actionId: string, provider: string, { lease, expiresAt, values }: Injection) {
    const { scope, clamped, name, maxResidualSeconds } = await leases.get(lease);
    return {
      lease,
      provider,
      name,
      scope,
      credential: revealed(values.parts ?? {}),
      expires_at: new Date(expiresAt).toISOString(),
      ungated: true,
      max_residual_seconds: maxResidualSeconds,
      ...(clamped.length > 0 && { clamped }),
      action_id: actionId,
    };
  }

  function waitingOf(approval: Approval, actionId: string): Answer {
    const { id, state, decision, decidedBy, reason, expiresAt } = approval;
    const said: Record<string, string> = {
      denied: `${decidedBy ?? 'An approver'} said no${reason ? `: ${reason}` : '.'}`,
      expired: 'Nobody answered in time. Ask again when an approver is there.',
      cancelled: 'The request was cancelled.',
    };
    const why = said[state];
    if (why !== undefined) return refusedOf({ ...decision, code: `approval.${state}`, reason: why }, actionId);
    const { retrySeconds } = credentialDoorLimits;
    const url = approvalUrl(publicUrl, approval);
    return {
      status: 202,
      headers: { 'Retry-After': String(retrySeconds) },
      body: {
        state: 'waiting',
        approval: { id, url, expires_at: new Date(expiresAt).toISOString() },
        detail: `Waiting for approval: ${decision.reason} A person can approve exactly this at ${url}. Then ask the same again.`,
        retry_after_seconds: retrySeconds,
        action_id: actionId,
      },
    };
  }

  /** Of the task that the token is for; what is another's is not there. */
  async function ownLease(id: string, { task }: Caller) {
    const lease = await leases.get(id).catch((error) => {
      if (error instanceof GatehouseError && error.kind === 'not-found') return undefined;
      throw error;
    });
    if (lease?.task === task.id && lease.ungated) return lease;
    throw new GatehouseError('not-found', 'lease.unknown', 'This task was handed no such credential.');
  }

  async function answer(request: IncomingMessage, path: string): Promise<Answer> {
    const [, id, end] = /^\/task\/credentials(?:\/(lse_[0-9A-Za-z]{1,60})(\/end)?)?$/.exec(path) ?? [];
    const method = id !== undefined && end === undefined ? 'GET' : 'POST';
    if (id === undefined && path !== PATH)
      throw new GatehouseError('not-found', 'route.unknown', `There is nothing at ${path.slice(0, 200)}.`);
    if (request.method !== method)
      throw new GatehouseError('bad-request', 'route.method', `This route answers ${method} only.`);
    const caller = await callerOf(request, path);
    if (id === undefined) return ask(request, caller);
    request.resume();
    const found = await ownLease(id, caller);
    const { state, expiresAt } = end
      ? await leases.end(id, caller.actorChain[0]?.sub ?? '', 'its task has ended it')
      : found;
    return {
      status: 200,
      body: { lease: id, provider: found.provider, state, expires_at: new Date(expiresAt).toISOString() },
    };
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const path = (request.url ?? '').split('?', 1)[0] as string;
    if (path !== PATH && !path.startsWith(`${PATH}/`)) return false;
    try {
      const { status, body, headers } = await answer(request, path);
      sendJson(response, status, JSON.stringify(body), {
        ...headers,
        ...(status >= 400 && { 'Content-Type': 'application/problem+json' }),
      });
    } catch (error) {
      const { status, body } = toProblem(error);
      if (status === 500) log.error('a request failed inside the door for credentials', { error });
      const { challenge, dpopNonce, ...rest } = body;
      sendJson(response, status, JSON.stringify(rest), {
        'Content-Type': 'application/problem+json',
        ...retryAfter(status),
        ...(typeof challenge === 'string' && { 'WWW-Authenticate': challenge }),
        ...(typeof dpopNonce === 'string' && { 'DPoP-Nonce': dpopNonce }),
      });
    }
    return true;
  };
}

const revealed = (values: Readonly<Record<string, Secret>>) =>
  Object.fromEntries(Object.entries(values).map(([part, value]) => [part, value.reveal()]));

/** Too many is for later, and what a provider does not give is no refusal of ours. */
const statuses: Record<string, number> = {
  'credential.limit': 429,
  'lease.limit': 429,
  'lease.provider': 502,
  'lease.timeout': 504,
  'idempotency.differs': 409,
  'idempotency.key': 400,
  'lease.ended': 409,
  'lease.too-short': 409,
  'provider.unknown': 404,
};

function refusedOf({ code, reason, policies, tier }: Decision, actionId: string): Answer {
  const status = statuses[code] ?? 403;
  return {
    status,
    headers: retryAfter(status),
    body: {
      type: `urn:gatehouse:error:${code}`,
      title: code,
      status,
      detail: `Refused by Gatehouse: ${reason}`,
      action_id: actionId,
      policies,
      tier,
    },
  };
}
