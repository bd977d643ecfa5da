import type { Enforcement } from '../../enforcement/index.ts';
import type { Caller, Tokens } from '../../identity/index.ts';
import {
  GatehouseError,
  isJsonObject,
  type Log,
  parseStrictJson,
  readTraceparent,
  toProblem,
} from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import { type AskedCall, askAbout, type Gateway, type Verdict } from '../elsewhere/gateway.ts';
import { readMcpRequest, whyNotShown } from '../elsewhere/mcp-call.ts';
import { classify } from '../mcp/classify.ts';
import { Rejection, readEnvelope } from '../mcp/era-2026-07-28/envelope.ts';
import { isJson } from '../mcp/http-edge.ts';
import { InvalidMessage, readMessage } from '../mcp/parse.ts';
import { refusalError, type Waiting, waitingFor } from '../mcp/replies.ts';
import { answerText, codes, errorAnswer, type RequestId } from '../mcp/rpc.ts';
import { type JsonRpcError, JsonRpcFailure } from '../upstream/types.ts';
import { ambiguous, type CheckedRequest, type ReadRequest, readRequest } from './checked-request.ts';
import { removedHeaders } from './headers.ts';
import { callOfRoute } from './route.ts';

/** What a gateway is told of a request that it holds back. */
export type Checked =
  | { allowed: true; actionId: string | null; removed: string[] }
  | { allowed: false; status: number; headers: Record<string, string>; body: string };

export interface CheckDependencies {
  tokens: Tokens;
  registry: Pick<Registry, 'snapshot'>;
  enforcement: Pick<Enforcement, 'enforce'>;
  log: Log;
  publicUrl: string;
}

/** Decides about one HTTP request: one of MCP, or one that the gateway's manifest makes a call of a tool. Every other one is refused. */
export function createCheck(deps: CheckDependencies) {
  const { tokens, registry, enforcement, log, publicUrl } = deps;

  async function authenticate({ headers, method, url }: ReadRequest, server: string): Promise<Caller> {
    const caller = await tokens.authenticate({
      authorization: headers.authorization,
      dpop: headers.dpop,
      method,
      url,
      resource: server === '' ? '/mcp' : `/mcp/${server}`,
    });
    const trace = readTraceparent(headers.traceparent);
    return trace ? { ...caller, trace } : caller;
  }

  async function mcp(gateway: Gateway, request: ReadRequest, server: string): Promise<Checked> {
    if (request.query !== '') throw ambiguous('an MCP endpoint takes no query');
    const caller = await authenticate(request, server);
    const shown = (kinds: Parameters<typeof whyNotShown>[4], id: RequestId | null): Checked => {
      const why = whyNotShown(registry.snapshot(), gateway, caller, server, kinds);
      return why ? rpc(403, id, refusal(why)) : passes(gateway, request);
    };
    if (request.method === 'DELETE') return shown([], null);
    // Over a stream that a client opens a server asks things of it, and nobody here sees them.
    if (request.method !== 'POST')
      return rpc(
        403,
        null,
        refusal({ code: 'mcp.stream', reason: 'At this gateway only requests by POST are decided.' }),
      );
    if (!isJson(request.headers['content-type'])) throw ambiguous('its body is not application/json');
    const body = parseStrictJson(request.body);
    if (Array.isArray(body)) throw ambiguous('it is a batch, of which each message would have to be decided on');
    const message = readMessage(body);
    if (message.kind === 'notification') return shown([], null);
    if (message.kind === 'response')
      return rpc(
        403,
        null,
        refusal({ code: 'mcp.response', reason: 'What a server asks of a client is not decided here.' }),
      );
    const { id, method, params } = message;
    const named = request.headers['mcp-method'];
    if (classify(request.headers, body) === '2026-07-28') readEnvelope(request.headers, message);
    else if (named !== undefined && named !== method)
      throw ambiguous('its header Mcp-Method is not what its body says');
    const asked = readMcpRequest(server, method, params);
    if (asked.kind === 'server') return shown(asked.shows, id);
    if (asked.kind === 'refused') return rpc(403, id, refusal(asked));
    return ofMcp(await askAbout(enforcement, gateway, caller, asked.call), id, passes(gateway, request));
  }

  function ofMcp(verdict: Verdict, id: RequestId, passed: Passes): Checked {
    switch (verdict.kind) {
      case 'allowed':
        return { ...passed, actionId: verdict.actionId };
      case 'refused':
        return rpc(403, id, refusalError({ ...unnamed, ...verdict.decision }, verdict.actionId));
      case 'waiting': {
        const { approval } = verdict;
        const waiting = waitingFor(publicUrl, approval);
        const { url } = waiting;
        const text = `Waiting for approval: ${approval.decision.reason} A person can approve exactly this call at ${url}. Then retry it as it is.`;
        return retryLater(rpc(403, id, errorAnswer(codes.waiting, text, { ...waiting }).error), waiting);
      }
    }
  }

  async function http(gateway: Gateway, request: ReadRequest): Promise<Checked> {
    const call: AskedCall = callOfRoute(gateway, registry.snapshot(), request) ?? {
      operation: 'tools/call',
      server: '',
      name: `${request.method} ${request.pathname}`.slice(0, 200),
      arguments: {},
    };
    const verdict = await askAbout(enforcement, gateway, await authenticate(request, call.server), call);
    switch (verdict.kind) {
      case 'allowed':
        return { ...passes(gateway, request), actionId: verdict.actionId };
      case 'refused': {
        const { code, reason } = verdict.decision;
        return problem(new GatehouseError('forbidden', code, reason, { extra: { action: verdict.actionId } }));
      }
      case 'waiting': {
        const waiting = waitingFor(publicUrl, verdict.approval);
        const { id, url, state, retryAfterSeconds } = waiting;
        const detail = `${verdict.approval.decision.reason} A person can approve exactly this request at ${url}. Then send it again as it is.`;
        const extra = { approval: url, approval_id: id, approval_state: state, retry_after_seconds: retryAfterSeconds };
        return retryLater(problem(new GatehouseError('forbidden', 'approval.required', detail, { extra })), waiting);
      }
    }
  }

  return async (gateway: Gateway, given: CheckedRequest): Promise<Checked> => {
    let server: string | undefined;
    try {
      const request = readRequest(gateway, given);
      const { mcp: endpoints } = gateway.setting;
      server = Object.hasOwn(endpoints, request.pathname) ? endpoints[request.pathname] : undefined;
      return await (server === undefined ? http(gateway, request) : mcp(gateway, request, server));
    } catch (error) {
      if (error instanceof InvalidMessage) return rpc(400, error.id, { code: error.rpcCode, message: error.message });
      if (error instanceof Rejection) return rpc(error.status, null, error.error);
      if (error instanceof JsonRpcFailure) return rpc(400, null, error.error);
      if (toProblem(error).status === 500) log.error('a request failed inside the ext_authz door', { error });
      return problem(error);
    }
  };
}

type Passes = Extract<Checked, { allowed: true }>;

function passes({ setting }: Gateway, { headers, body, isLengthKnown }: ReadRequest): Passes {
  const removed = removedHeaders(Object.keys(headers), setting.headers);
  // A body that nobody saw has no type, so that whoever gets it does not read it.
  if (body.byteLength === 0 && !isLengthKnown) removed.push('content-type');
  return { allowed: true, actionId: null, removed };
}

const unnamed = { effect: 'deny', policyVersion: '' } as const;

const refusal = ({ code, reason }: { code: string; reason: string }): JsonRpcError => ({
  code: codes.refused,
  message: `Refused by Gatehouse (${code}): ${reason}`,
  data: { code },
});

/** What HTTP has for coming back: also where nobody reads the body. */
function retryLater(checked: Checked, { retryAfterSeconds }: Waiting): Checked {
  if (checked.allowed) return checked;
  return { ...checked, headers: { ...checked.headers, 'retry-after': String(retryAfterSeconds) } };
}

const rpc = (status: number, id: RequestId | null, error: JsonRpcError): Checked => ({
  allowed: false,
  status,
  headers: { 'content-type': 'application/json' },
  body: answerText(id, { error }),
});

export function problem(error: unknown): Checked {
  const { status, body } = toProblem(error);
  const { challenge, dpopNonce, ...rest } = isJsonObject(body) ? body : {};
  return {
    allowed: false,
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...(typeof challenge === 'string' && { 'www-authenticate': challenge }),
      ...(typeof dpopNonce === 'string' && { 'dpop-nonce': dpopNonce }),
    },
    body: JSON.stringify(rest),
  };
}
