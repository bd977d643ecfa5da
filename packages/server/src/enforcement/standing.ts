import type { ActionRecord } from '@gatehouse/protocol';
import type { Issued, LeaseRequest, Standing } from '../credentials/index.ts';
import type { Caller } from '../identity/index.ts';
import { fromRecordedSituation, openCalendars, type PolicySet } from '../policy/index.ts';
import type { RegisteredTool, Snapshot } from '../registry/index.ts';
import type { createDeciding } from './decide.ts';
import type { createDirect } from './direct.ts';
import type { EnforcementDependencies } from './enforce.ts';
import { OF_SERVER, requestOf } from './key.ts';
import { findSubject, isRefusal } from './subject.ts';
import { type Action, HAND_OUT } from './types.ts';
import { mayUse } from './usable.ts';
import { authorityOf, whoIsRefused } from './who.ts';

export interface Standings {
  /** `set`: compiled from this snapshot; left out where that is the one in force. */
  standingOf(snapshot: Snapshot, issued: Issued, set?: PolicySet): Promise<Standing>;
}

type Parts = Pick<EnforcementDependencies, 'registry' | 'policies' | 'ledger' | 'breaker' | 'clock'>;
interface Deciders {
  direct: Pick<ReturnType<typeof createDirect>, 'settle' | 'requestOf'>;
  decide: ReturnType<typeof createDeciding>['decide'];
}

/**
 * Whether a task may have still what it was issued: steps 1 to 3 and 6 again, on what its hand-out was decided on, so that nothing but a change of
 * who may what counts: not the time of day, nor what the task has read since. Nobody is asked anew.
 */
export function createStandings({ registry, policies, ledger, breaker, clock }: Parts, { direct, decide }: Deciders) {
  async function callerOf(snapshot: Snapshot, { agent, task: id }: Issued): Promise<Caller | undefined> {
    const epochOf = (name: string) => snapshot.agents.get(name)?.epoch ?? 0;
    const task = await registry.task(id);
    if (!task) return undefined;
    const chain: Caller['chain'] = [];
    for (let parent = task.parent; parent !== null; ) {
      const above = await registry.task(parent);
      if (!above) return undefined;
      chain.push({ agent: above.agent, agentEpoch: epochOf(above.agent), task: above });
      parent = above.parent;
    }
    const { expiresAt } = task;
    const who = { agent, agentEpoch: epochOf(agent), task, chain, actorChain: [] };
    return { ...who, tokenId: `none:${id}`, proofKey: null, expiresAt };
  }

  /** The call that handed it out: what was known around it, and whether somebody had said yes. */
  async function handedOutBy(actionId: string | null) {
    const action = actionId === null ? undefined : await ledger.action(actionId);
    const dispatch = action?.records.find(({ record }) => record.kind === 'dispatch')?.record;
    return dispatch && { dispatch, arguments: action?.arguments ?? null };
  }

  async function ofHandedOut(
    snapshot: Snapshot,
    set: PolicySet,
    caller: Caller,
    { provider, scope, seconds, handedBy }: Issued,
  ): Promise<LeaseRequest | { withdrawn: string }> {
    const asked: Action = {
      ...{ caller, operation: HAND_OUT, server: provider, name: provider },
      arguments: { scope, seconds },
    };
    const found = findSubject(snapshot, asked);
    if (isRefusal(found)) return { withdrawn: found.reason };
    const settled = await direct.settle(snapshot, asked);
    if ('refused' in settled) return { withdrawn: settled.refused.reason };
    const request = direct.requestOf(snapshot, settled);
    const by = await handedOutBy(handedBy);
    // Not with its agent yet: it is only once its dispatch, and the policy that it was decided on, hold still.
    if (!by) return request;
    const action = { ...settled, arguments: by.arguments ?? settled.arguments };
    const decision = decide(
      ...[set, authorityOf(snapshot, caller) as NonNullable<ReturnType<typeof authorityOf>>, action, found],
      situationOf(by.dispatch, snapshot, found),
    );
    if (decision.effect === 'deny') return { withdrawn: decision.reason };
    if (decision.effect === 'needs-approval' && by.dispatch.approval === null)
      return { withdrawn: `a person has to say yes to it now, and nobody has. ${decision.reason}` };
    return request;
  }

  return async function standingOf(
    snapshot: Snapshot,
    issued: Issued,
    set: PolicySet = policies(snapshot),
  ): Promise<Standing> {
    const caller = await callerOf(snapshot, issued);
    if (!caller) return { withdrawn: 'its task is not there any more', isStopped: true, guards: [] };
    const server = issued.ungated ? undefined : issued.purpose.slice(OF_SERVER.length);
    const guards = guardsOf(snapshot, caller, server);
    const stopped = whoIsRefused(snapshot, { caller }, snapshot.agents.get(issued.agent), clock.now(), breaker);
    if (stopped) return { withdrawn: stopped.reason, isStopped: stopped.code !== 'delegation.not-allowed', guards };
    const withdrawn = (why: string): Standing => ({ withdrawn: why, isStopped: false, guards });
    if (server === undefined) {
      const given = await ofHandedOut(snapshot, set, caller, issued);
      return 'withdrawn' in given ? withdrawn(given.withdrawn) : { request: given, guards };
    }
    const request = requestOf(snapshot, server, caller);
    if ('problem' in request) return withdrawn(request.problem);
    if (!mayUse(snapshot, set, caller, server))
      return withdrawn(`the task may use nothing of the tool server "${server}" any more`);
    return { request, guards };
  };
}

function guardsOf({ fences }: Snapshot, { agent, task, chain }: Caller, server: string | undefined) {
  const keys = [
    ...['policy', `agent:${agent}`, ...chain.map((link) => `agent:${link.agent}`)],
    ...(task.user === null ? [] : [`person:${task.user}`]),
    ...(server === undefined ? [] : [`server:${server}`]),
  ];
  return keys.map((key) => ({ key, version: fences.get(key) ?? 0 }));
}

function situationOf(
  { time, decision }: Pick<ActionRecord, 'time' | 'decision'>,
  { calendars }: Snapshot,
  { labels }: RegisteredTool,
) {
  const at = Date.parse(time);
  return fromRecordedSituation(decision?.situation, at, openCalendars(calendars, at), labels.roles);
}
