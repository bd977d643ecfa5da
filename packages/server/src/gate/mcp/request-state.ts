import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Caller } from '../../identity/index.ts';
import { type Clock, digestJson, isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { JsonRpcFailure } from '../upstream/types.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';

/** What one round leaves for the next: our own, or a server's that is carried inside (2026-07-28, basic/patterns/mrtr). */
export type Round =
  /** An approval was asked for. `carry` is what the retry must still send to the server. */
  | { kind: 'approval'; actionId: string; approval: string; carry: Carry | null }
  /** The server wants input, and forgets the call meanwhile. */
  | { kind: 'server'; actionId: string; round: number; state: string | null }
  /** A 2025-11-25 server wants input, and holds the call open: it is parked in this process. */
  | { kind: 'parked'; call: string };

export interface Carry {
  round: number;
  state: string | null;
  inputResponses: JsonObject | null;
}

export interface RequestStates {
  seal(caller: Caller, view: string | null, method: string, params: JsonObject, round: Round): string;
  /** Throws JsonRpcFailure (-32602): not ours, changed, expired, used before, or of another agent, task or request. */
  open(caller: Caller, view: string | null, method: string, params: JsonObject, state: string): Round;
}

const version = 'gatehouse.request-state.1';

/**
 * AES-256-GCM, so that a client can neither read nor change a state. INVARIANT: a state opens once (per replica), for the agent,
 * task, address, method and parameters that it was made for, and not after its expiry.
 */
export function createRequestStates(stateKey: Uint8Array, clock: Clock): RequestStates {
  if (stateKey.length !== 32) throw new RangeError('The request state key must have 32 bytes.');
  const used = new Map<string, number>();

  const forget = (now: number) => {
    for (const [nonce, expiresAt] of used) {
      if (expiresAt > now) return;
      used.delete(nonce);
    }
  };
  const bind = (caller: Caller, view: string | null, method: string, params: JsonObject): Json => [
    version,
    caller.agent,
    caller.agentEpoch,
    caller.task.id,
    view,
    method,
    digestOfSalient(params),
  ];

  return {
    seal(caller, view, method, params, round) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', stateKey, iv);
      cipher.setAAD(Buffer.from(JSON.stringify(bind(caller, view, method, params))));
      const expiresAt = clock.now() + doorLimits.requestStateTtlSeconds * 1_000;
      const plain = JSON.stringify({ expiresAt, round });
      const sealed = Buffer.concat([iv, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      if (sealed.length > doorLimits.requestStateBytes)
        throw new JsonRpcFailure({ code: codes.limit, message: 'The server keeps too much state for one call.' });
      return sealed.toString('base64url');
    },

    open(caller, view, method, params, state) {
      const bytes = Buffer.from(state, 'base64url');
      if (bytes.length < 28 || bytes.toString('base64url') !== state) throw refused('is not one of this gate');
      const decipher = createDecipheriv('aes-256-gcm', stateKey, bytes.subarray(0, 12));
      decipher.setAAD(Buffer.from(JSON.stringify(bind(caller, view, method, params))));
      decipher.setAuthTag(bytes.subarray(-16));
      let plain: unknown;
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
        plain = JSON.parse(text);
      } catch (cause) {
        throw refused('was changed, or belongs to another request, agent or task', cause);
      }
      const { expiresAt, round } = plain as { expiresAt: number; round: Round };
      const now = clock.now();
      forget(now);
      if (expiresAt <= now) throw refused('has expired');
      const nonce = state.slice(0, 16);
      if (used.has(nonce)) throw refused('was used before');
      if (used.size >= doorLimits.usedStates)
        throw new JsonRpcFailure({ code: codes.limit, message: 'Too many calls wait for input. Try again later.' });
      used.set(nonce, expiresAt);
      return round;
    },
  };
}

/** All that makes the request this one: not the round's own members, nor `_meta`, which differs from try to try. */
function digestOfSalient(params: JsonObject): string {
  const { _meta, inputResponses, requestState, ...salient } = params;
  return digestJson(salient);
}

function refused(why: string, cause?: unknown): JsonRpcFailure {
  const failure = new JsonRpcFailure({
    code: codes.invalidParams,
    message: `The requestState ${why}. Send the original request without it.`,
  });
  if (cause !== undefined) failure.cause = cause;
  return failure;
}

/** The client's answers by key; throws JsonRpcFailure (-32602) unless every one is an object. */
export function readInputResponses(value: Json | undefined): JsonObject | null {
  if (value === undefined) return null;
  if (!isJsonObject(value) || !Object.values(value).every(isJsonObject))
    throw new JsonRpcFailure({
      code: codes.invalidParams,
      message: '"inputResponses" must be an object whose values are the results of the requests in "inputRequests".',
    });
  return value;
}
