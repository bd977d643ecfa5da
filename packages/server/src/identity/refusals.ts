import { type Clock, GatehouseError, type Log } from '../platform/index.ts';
import type { RecordChange, Storage } from '../storage/index.ts';
import { authorizationLimits } from './authorization-server/limits.ts';
import { createBoundedCache } from './tokens/bounded-cache.ts';
import { CredentialError, descriptionText } from './tokens/credential-error.ts';

/** A token, proof, assertion or request that was refused. */
export interface Refusal {
  /** `POST /mcp`. */
  at: string;
  /** Gatehouse's own code, or the OAuth error. */
  code: string;
  why: string;
  /** Whose token it was, or who had proven to be who they are; undefined where nothing is proven. */
  agent?: string | undefined;
  task?: string | undefined;
}

/**
 * Law 1: what is refused is on record as well, a replayed proof or a stolen token above all. Of each agent some in a minute, and of all who
 * prove nothing some together: so that nobody fills the log, or hides behind those who try. The next record counts the rest.
 * Never throws: what cannot be recorded is refused all the same.
 */
export type NoteRefusal = (refusal: Refusal) => Promise<void>;

/** What a client meets in the course of things: it has to come again, with a nonce or a new token. */
const ordinary = new Set(['use_dpop_nonce', 'proof.nonce', 'token.expired', 'authorization_pending', 'slow_down']);

/** Agents that are counted at once. */
const AGENTS_PER_GENERATION = 4_096;

interface Dependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

export function createRefusals({ storage, recordChange, clock, log }: Dependencies): NoteRefusal {
  const meters = createBoundedCache<{ minute: number; recorded: number; left: number }>(AGENTS_PER_GENERATION);

  /** How many were left out before this one; undefined when it is left out itself. */
  const meter = (agent: string | undefined): number | undefined => {
    const most =
      agent === undefined ? authorizationLimits.unprovenRefusalsPerMinute : authorizationLimits.agentRefusalsPerMinute;
    const minute = Math.floor(clock.now() / 60_000);
    const before = meters.get(agent ?? '') ?? { minute, recorded: 0, left: 0 };
    const { recorded, left } = before.minute === minute ? before : { ...before, recorded: 0 };
    const isFull = recorded >= most;
    meters.set(agent ?? '', { minute, recorded: recorded + 1, left: isFull ? left + 1 : 0 });
    return isFull ? undefined : left;
  };

  return async ({ at, code, why, agent, task }) => {
    if (ordinary.has(code)) return;
    log.info('a credential was refused', { at, code, agent, why });
    const left = meter(agent);
    if (left === undefined) return;
    try {
      await storage.transaction((transaction) =>
        recordChange(transaction, {
          operation: 'token.refuse',
          by: 'gatehouse',
          ...(agent !== undefined && { agent }),
          ...(task !== undefined && { task }),
          changes: [
            `${at}: ${code}`,
            ...(left > 0 ? [`${left} more before this one are in the server's log only`] : []),
          ],
          detail: descriptionText(why),
        }),
      );
    } catch (error) {
      log.warn('a refusal could not be recorded', { at, code, agent, error });
    }
  };
}

/** At doors whose every error is caught in one place: notes it where somebody was not let in, and not where a request was merely wrong. */
export async function noteRefused(noteRefusal: NoteRefusal, at: string, error: unknown): Promise<void> {
  const { code, kind, message } = error as Partial<GatehouseError>;
  if (error instanceof CredentialError || (error instanceof GatehouseError && isRefusal.has(String(kind))))
    await noteRefusal({ at, code: String(code), why: String(message) });
}

const isRefusal = new Set(['unauthenticated', 'forbidden']);
