import { type Decision, residualWords } from '@gatehouse/protocol';
import type { HeldBreakGlass, HeldGrant } from '../approvals/index.ts';
import type { HandedOut, Held, LeaseRequest, Leases } from '../credentials/index.ts';
import { GatehouseError, type Json } from '../platform/index.ts';
import { givenOf, type Snapshot } from '../registry/index.ts';
import type { Guard } from '../storage/index.ts';
import { handOutOf } from './hand-out.ts';
import type { Key } from './key.ts';
import { type Action, HAND_OUT } from './types.ts';
import type { Reason } from './who.ts';

/** What a credential is asked for, as it would be made: decided on, shown to whoever approves it, and recorded. */
export interface DirectArguments {
  scope: Json;
  seconds: number;
  /** What remains of it once it is to end, in words. */
  residual: string;
  /** Why it lives shorter than was asked for. */
  clamped?: string[];
}

export const isDirect = ({ operation }: Pick<Action, 'operation'>): boolean => operation === HAND_OUT;

/** A credential that is handed to the agent for clients of its own, past the gate (law 3). */
export function createDirect({
  leases,
}: {
  leases: Pick<Leases, 'issue' | 'handedOut' | 'abilitiesOf' | 'withinQuota'>;
}) {
  function requestOf(
    snapshot: Snapshot,
    { server: provider, caller, idempotencyKey, ...action }: Action,
    ends: readonly Bound[] = [],
  ): LeaseRequest {
    const { agent, task, chain } = caller;
    // Once more, where it is made: whatever stands between the decision and this, a template's limit holds.
    const limits = givenOf(snapshot, provider, [task, ...chain.map((link) => link.task)]);
    if ('problem' in limits) throw new GatehouseError('forbidden', 'credential.scope', limits.problem);
    const { scope, seconds, clamped = [] } = action.arguments as unknown as DirectArguments;
    const { perTask, perHour } = snapshot.credentialProviders.get(provider)?.direct ?? { perTask: 0, perHour: 0 };
    return {
      provider,
      agent,
      task: task.id,
      environment: task.environment,
      purpose: 'direct',
      ungated: true,
      asked: scope,
      within: limits.within as Json[],
      ttlSeconds: seconds,
      clamped,
      agentSeconds: snapshot.agents.get(agent)?.manifest.credentialSeconds,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
      quota: { perTask, perHour },
      until: [{ at: task.expiresAt, why: 'the task ends' }, ...ends],
    };
  }

  return {
    requestOf,

    async settle(snapshot: Snapshot, action: Action): Promise<Action | { refused: Reason }> {
      const { server: provider, caller } = action;
      const tasks = [caller.task, ...caller.chain.map(({ task }) => task)];
      const { credentialSeconds } = snapshot.agents.get(caller.agent)?.manifest ?? {};
      const handOut = handOutOf(snapshot, provider, tasks, action.arguments, credentialSeconds);
      if ('refused' in handOut) return handOut;
      const abilities = await leases.abilitiesOf(provider, caller.task.environment);
      return { ...action, arguments: { ...handOut, residual: residualWords(abilities, handOut.seconds) } };
    },

    /** What the same request was answered with, while it is good; refused where nobody's yes would get it anything. */
    async again(snapshot: Snapshot, action: Action): Promise<HandedOut | { refused: Reason } | undefined> {
      try {
        return await leases.handedOut(requestOf(snapshot, action));
      } catch (error) {
        return refusalIn(error);
      }
    },

    /** That so many were made that no more is. Where one is made this is asked again, in its transaction. */
    async limited(snapshot: Snapshot, action: Action): Promise<Reason | undefined> {
      try {
        await leases.withinQuota(requestOf(snapshot, action));
        return undefined;
      } catch (error) {
        return refusalIn(error).refused;
      }
    },

    /** `ends`: of what lets it be handed out. */
    async issue(
      snapshot: Snapshot,
      action: Action,
      guards: readonly Guard[],
      ends: readonly Bound[],
    ): Promise<Key | 'stale' | { refused: Reason }> {
      try {
        return { ...keyOf(await leases.issue(requestOf(snapshot, action, ends), guards)), guards };
      } catch (error) {
        if (error instanceof GatehouseError && error.code === 'lease.stopped') return 'stale';
        return refusalIn(error);
      }
    },
  };
}

type Bound = LeaseRequest['until'][number];

/** What it is handed out under ends, and it with that. */
export const endsOf = (grant: HeldGrant | undefined, broken: HeldBreakGlass | undefined): Bound[] => [
  ...(grant ? [{ at: grant.terms.until, why: 'the standing grant ends' }] : []),
  ...(broken ? [{ at: broken.until, why: 'the break-glass access ends' }] : []),
];

function refusalIn(error: unknown): { refused: Reason } {
  if (!(error instanceof GatehouseError)) throw error;
  return { refused: { code: error.code, reason: error.message } };
}

/** Its parts by name; nothing of them is to stand in what is recorded. */
export function keyOf(held: Held): Key {
  const { lease, credential } = held;
  return {
    held,
    injection: {
      lease: lease.id,
      expiresAt: lease.expiresAt,
      values: { parts: credential },
      secrets: Object.values(credential).filter((part) => part.reveal() !== lease.name),
    },
    named: { lease: lease.id, provider: lease.provider, state: 'issued' },
    isForOneCall: false,
  };
}

/** Whoever approves it, or reads of it later, is told that it leaves the gate. */
export function explainDirect(decision: Decision, { arguments: given }: Action): Decision {
  const { residual } = given as unknown as DirectArguments;
  const reason = `${decision.reason} It is handed to the agent itself, and what is done with it is on no record here. ${residual}`;
  return decision.effect === 'deny' ? decision : { ...decision, reason };
}

export const givenAgain = (decision: Decision, { action }: HandedOut): Decision => ({
  ...decision,
  reason: `${decision.reason} The task was handed exactly this one in ${action}, and is given it again while it is good.`,
});
