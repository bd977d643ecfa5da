import { type Clock, digestJson, type Json, limits, newId } from '../../platform/index.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';
import type { Caller } from '../types.ts';
import { actorClaims } from './access-token.ts';
import { signCompactJws } from './jws.ts';

/**
 * Transaction tokens (draft-ietf-oauth-transaction-tokens, after -08): what one action is and on whose authority, told to the tool server that
 * does it. Context and no credential: no door of ours takes one, and nothing can be had for one. A server that verifies it knows that
 * Gatehouse has decided on this call and recorded it.
 */
export interface Transaction {
  /** After its dispatch is recorded. */
  actionId: string;
  caller: Caller;
  operation: string;
  /** `server/tool`, or `server#resources` and the like. */
  tool: string;
  /** Digest of the approved definition. */
  definition: string | null;
  /** Resource URI or prompt, where it is no tool; a long one is told by its digest. */
  name: string;
  /** Their digest goes into the token of a tool call: `sha256-` of their canonical form (RFC 8785). */
  arguments: Json;
  approval: string | null;
  /** Origin of the server that it goes to. */
  audience: string;
}

export interface TxnTokens {
  sign(transaction: Transaction): string;
}

export const TXN_TOKEN_TYPE = 'txntoken+jwt';

/** An agent chooses resource addresses, and a header has little room. */
const NAME_CHARS = 1_000;

export function createTxnTokens({
  keys,
  clock,
  publicUrl,
}: {
  keys: SigningKeys;
  clock: Clock;
  publicUrl: string;
}): TxnTokens {
  return {
    sign({ actionId, caller, operation, tool, definition, name, arguments: given, approval, audience }) {
      const { task } = caller;
      const agent = (caller.actorChain[0] as Caller['actorChain'][number]).sub;
      const now = Math.floor(clock.now() / 1000);
      const claims = {
        iss: publicUrl,
        aud: audience,
        iat: now,
        exp: Math.min(now + limits.txnTokenTtlSeconds, Math.floor(task.expiresAt / 1000)),
        // One action may need several requests (input rounds, a session that is renewed): they share `txn`, and each has its `jti`.
        txn: actionId,
        jti: newId('txn', clock.now()),
        ...actorClaims({ agent, task, issuer: publicUrl }),
        req_wl: agent,
        scope: tool,
        tctx: {
          operation,
          tool,
          ...(definition !== null && { definition }),
          ...(operation === 'tools/call'
            ? { arguments: digestJson(given) }
            : { name: name.length > NAME_CHARS ? digestJson(name) : name }),
          ...(approval !== null && { approval }),
        },
        rctx: { task: task.id, template: task.template, environment: task.environment },
      };
      const { kid, key } = keys.signer();
      return signCompactJws({ alg: 'ES256', typ: TXN_TOKEN_TYPE, kid }, claims, key);
    },
  };
}
