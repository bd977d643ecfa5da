import type { Approval } from '@gatehouse/protocol';
import type { Approvals, HeldBreakGlass, HeldGrant } from '../approvals/index.ts';
import type { Leases } from '../credentials/index.ts';
import type { Ledger } from '../ledger/index.ts';
import { type Clock, type Log, newId, type Tracing } from '../platform/index.ts';
import type { Baseline, Flow, PolicySet } from '../policy/index.ts';
import type { Registry, Snapshot } from '../registry/index.ts';
import type { ChangeFeed, OverBudget, Twin } from '../storage/index.ts';
import { createAnswering, serverAsks } from './answer.ts';
import { createAsking } from './ask.ts';
import type { CircuitBreaker } from './breaker.ts';
import { type Budgets, beyond, counted, wantedOf } from './budgets/index.ts';
import { createDeciding } from './decide.ts';
import { deny } from './deny.ts';
import { createDirect, endsOf, explainDirect, givenAgain, isDirect, keyOf } from './direct.ts';
import { createDispatch } from './dispatch.ts';
import { explainFlow } from './explain-flow.ts';
import { createForesight } from './foresee.ts';
import { isOfGrant, underBreakGlass, underGrant } from './granted.ts';
import { guardsOf } from './guards.ts';
import { createKeying, type Key } from './key.ts';
import { createLive } from './live.ts';
import { beforeRepeating, type OpenCalls } from './open-calls.ts';
import { createReleases } from './release.ts';
import { createRequests } from './requests.ts';
import {
  createLook,
  type HeldResults,
  limitRemark,
  mayBeHeld,
  type OutsideDetectors,
  whyNotAsked,
  withLimit,
} from './results/index.ts';
import { situationOf } from './situation.ts';
import { sourceOf } from './source.ts';
import { createStandings, type Standings } from './standing.ts';
import { createStreams } from './streams.ts';
import type { Tickets } from './tickets.ts';
import { traced } from './traced.ts';
import type { Action, Dispatch, Enforcement, Foresight, Outcome, Sent } from './types.ts';
import { createUsable } from './usable.ts';
import { STALE } from './who.ts';

export interface EnforcementDependencies {
  registry: Registry;
  /** The set compiled from exactly this snapshot: a dispatch is fenced on the version that its decision was made with. */
  policies(snapshot: Snapshot): PolicySet;
  approvals: Approvals;
  budgets: Pick<Budgets, 'over'>;
  ledger: Ledger;
  tickets: Tickets;
  flow: Flow;
  baseline: Baseline;
  breaker: CircuitBreaker;
  feed: Pick<ChangeFeed, 'fresh'>;
  held: HeldResults;
  openCalls: OpenCalls;
  leases: Pick<Leases, 'issue' | 'activate' | 'end' | 'handedOut' | 'abilitiesOf' | 'withinQuota'>;
  detectors: OutsideDetectors;
  /** 32 bytes, the same on every replica and after a restart: placeholders of masked values are made with it. */
  placeholderKey: Uint8Array;
  tracing: Tracing;
  clock: Clock;
  log: Log;
}

/** A decision that the database no longer agrees with is taken again, but not for ever. */
const MAX_ATTEMPTS = 3;
/** How long a call waits for what another replica has sent that does the same, and how often it looks. */
const ELSEWHERE_MS = 15_000;
const ELSEWHERE_POLL_MS = 100;

/**
 * The choke point: nothing reaches a tool in any other way. The steps are those of ARCHITECTURE.md.
 */
export function createEnforcement(deps: EnforcementDependencies): Enforcement & Foresight & Standings {
  const { approvals, flow, clock } = deps;
  const deciding = createDeciding(deps);
  const { prove, decide, redecide } = deciding;
  const dispatch = createDispatch(deps);
  const live = createLive();
  const look = createLook({ key: deps.placeholderKey });
  const releases = createReleases({ held: deps.held, approvals });
  const requests = createRequests(deps);
  const { refuse } = requests;
  const { ask, gone } = createAsking({ approvals, requests });
  const keying = createKeying(deps);
  const direct = createDirect(deps);
  const { sendAndRecord, release } = createAnswering({ ...deps, keying, look, releases });

  async function enforce(given: Action, send: (dispatch: Dispatch) => Promise<Sent>): Promise<Outcome> {
    let action = given;
    let actionId = given.actionId ?? newId('act', clock.now());
    let over: OverBudget | undefined;
    let twin: Twin | undefined;
    const begun = performance.now();
    const full = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      // 1 who and 2 what
      const proven = prove(action);
      if ('refused' in proven) return refuse(action, actionId, proven.tool, proven.refused);
      const { snapshot, set, agent, authority, found } = proven;

      if (isDirect(action)) {
        const settled = await direct.settle(snapshot, given);
        if ('refused' in settled) return refuse(action, actionId, found, deny(settled.refused, set.version, found));
        action = settled;
      }

      // What a tool can be asked to limit is asked for before anything is decided: so it is what is approved, recorded and sent.
      action = withLimit(action, found, found.labels.hold?.items);

      // 3 may it
      for (let loading = flow.ready(action.caller); loading; loading = flow.ready(action.caller)) await loading;
      const seen = flow.view(action.caller, {
        tool: found,
        arguments: action.arguments,
        template: snapshot.templates.get(action.caller.task.template),
      });
      const situation = await situationOf(deps, snapshot, action, found, seen, clock.now());
      let decision = explainFlow(decide(set, authority, action, found, situation), seen);
      if (isDirect(action)) decision = explainDirect(decision, action);
      if (decision.effect === 'deny') return refuse(action, actionId, found, decision);
      const limited = withLimit(action, found, decision.obligations?.limit);
      if (limited !== action) {
        action = limited;
        attempt--;
        continue;
      }

      const traced = sourceOf({ snapshot, set, authority, action, found, decision }, (...of) =>
        redecide(snapshot, set, authority, ...of),
      );
      const source = traced instanceof Promise ? await traced : traced;
      if ('refused' in source) return refuse(action, actionId, found, deny(source.refused, set.version, found));
      const tooMuch = serverAsks.has(action.operation) ? whyNotAsked(source.tool, action.arguments) : undefined;
      if (tooMuch) return refuse(action, actionId, found, deny(tooMuch, set.version, found));
      const rules = look.rulesOf(snapshot, action.caller, source.tool, source.obligations);

      // What this call has left, if it has run before and a person has to release it: it does not run again, also where nothing would hold it now.
      const detectors = deps.detectors.of(snapshot, source.tool, action.caller.task.environment);
      const isHeldAtTimes = detectors.length > 0 || mayBeHeld(source.tool, source.obligations?.limit);
      const kept = isHeldAtTimes || releases.areIn(action) ? await releases.find(action) : undefined;
      if (kept) {
        const wants = await wantedBy(action, kept.actionId);
        if (!wants) return unwanted(kept.actionId);
        const guards = (approvers: readonly string[]) => [
          ...guardsOf(snapshot, action, found, source.tool, approvers),
          ...wants,
        ];
        const outcome = await release({ agent, action, tool: found, decision, source, rules }, kept, guards);
        if (outcome) return outcome;
        if (attempt === MAX_ATTEMPTS) return refuse(action, actionId, found, deny(STALE, decision.policyVersion));
        await feedCaughtUp();
        continue;
      }
      // Given again it is the same one: nobody is asked anew, and it counts once.
      const again = isDirect(action) ? await direct.again(snapshot, action) : undefined;
      if (again && 'refused' in again) return refuse(action, actionId, found, deny(again.refused, set.version, found));
      const wanted = again ? null : wantedOf(snapshot, action, found, actionId, clock.now());
      if (wanted && 'code' in wanted) return refuse(action, actionId, found, deny(wanted, set.version, found));
      // Before a person is asked, or a credential is made, for what there is no room for.
      if (wanted && (decision.effect === 'needs-approval' || isDirect(action)))
        over ??= await deps.budgets.over(wanted.spend);
      if (wanted) decision = over ? beyond(decision, wanted, over) : counted(decision, wanted);
      const open = deps.openCalls.of(action, found);
      if (open && decision.effect === 'needs-approval') twin ??= await deps.openCalls.twin(open);
      if (open) twin ??= deps.openCalls.unwritten(open);
      if (open && twin) decision = beforeRepeating(decision, twin, open, found);
      if (decision.effect === 'deny') return refuse(action, actionId, found, decision);

      // 4 record and 5 ask: what nobody has to approve is recorded once, with its dispatch
      let key: Key | undefined;
      let approval: Approval | undefined;
      let grant: HeldGrant | undefined;
      let broken: HeldBreakGlass | undefined;
      if (decision.effect === 'needs-approval') {
        const without = keying.refusalOf(snapshot, action);
        if (without) return refuse(action, actionId, found, deny(without, set.version, found));
      }
      if (again) decision = givenAgain(decision, again);
      if (decision.effect === 'needs-approval' && !again) {
        const asked = await ask({ agent, action, actionId, tool: found, decision }, seen, full, twin?.action_id);
        if ('superseded' in asked) return { kind: 'gone', actionId, ...asked };
        if ('refused' in asked) return { kind: 'refused', actionId: asked.actionId, decision: asked.refused };
        if ('granted' in asked) {
          grant = asked.granted;
          decision = underGrant(decision, grant);
        } else if ('broken' in asked) {
          broken = asked.broken;
          decision = underBreakGlass(decision, broken);
        } else {
          approval = asked;
          actionId = approval.actionId;
          if (approval.state !== 'approved') return { kind: 'pending', actionId, approval };
        }
      }
      if (action.under !== undefined && approval?.id !== action.under)
        return { kind: 'gone', actionId, ...(await gone(action.under)) };
      const before = again && (await approvals.list({ actionId: again.action, limit: 1 }))[0]?.id;
      const yes = approval?.id ?? before ?? grant?.id ?? broken?.subject.id ?? null;

      await flow.storing(action.caller, { tool: found, actionId, seen });
      const wants = await wantedBy(action, actionId);
      if (!wants) return unwanted(actionId);

      // 6 key
      if (again) key = keyOf(again.held);
      else {
        const guards = guardsOf(snapshot, action, found, source.tool);
        const issued = await (isDirect(action)
          ? direct.issue(snapshot, action, guards, endsOf(grant, broken))
          : keying.issue(snapshot, action, guards));
        if (issued === 'stale') {
          if (attempt === MAX_ATTEMPTS) return refuse(action, actionId, found, deny(STALE, decision.policyVersion));
          await feedCaughtUp();
          continue;
        }
        if (issued && 'refused' in issued)
          return refuse(action, actionId, found, deny(issued.refused, set.version, found));
        key = issued;
      }

      // 7 dispatch
      let guardFailed: string | undefined;
      const flight = live.begin(action.caller);
      try {
        const written = await dispatch(snapshot, {
          action,
          actionId,
          tool: found,
          decision,
          seen,
          source,
          approval,
          grant,
          broken,
          yes,
          wanted,
          open,
          twin,
          wants,
          key,
        });
        if (approval && (written.ok || written.failed === 'approval')) approvals.noteConsumed(approval.id);
        if (written.ok) {
          if (broken) approvals.breakGlass.noteUse(broken, found.ref, actionId);
          deps.breaker.dispatched(snapshot, action.caller.task);
          deps.baseline.dispatched(action.caller.agent, found.ref);
          const remarks = action === given || isDirect(action) ? [] : [limitRemark(action, found)];
          const sent = open && { ...open, actionId };
          const call = { agent, action, actionId, tool: found, decision, approval, yes, wanted, open: sent };
          return await sendAndRecord({ ...call, source, detectors, rules, remarks, key }, flight.signal, send);
        }
        if (grant && written.failed === 'budget' && isOfGrant(written.over, grant)) {
          full.add(grant.id);
          attempt--;
          continue;
        }
        over = written.failed === 'budget' && !flow.exhaust(written.over, seen) ? written.over : undefined;
        if (written.failed === 'twin') twin = written.twin;
        if (written.failed === 'guard') guardFailed = written.key;
      } finally {
        flight.end();
        if (key) keying.done(key);
      }
      if (twin && twin.unknown_at === null && performance.now() - begun < ELSEWHERE_MS) {
        // Another replica is sending the same, or has died over it: what came of it decides.
        twin = undefined;
        attempt--;
        await new Promise((resolve) => setTimeout(resolve, ELSEWHERE_POLL_MS));
        continue;
      }
      if (wanted && over) {
        const refusedNow = beyond(decision, wanted, over);
        if (refusedNow.effect === 'deny') return refuse(action, actionId, found, refusedNow);
      }
      if (attempt === MAX_ATTEMPTS) return refuse(action, actionId, found, deny(STALE, decision.policyVersion));
      // What the task has seen is read again; what an operator has changed comes with the feed.
      if (!(guardFailed !== undefined && flow.moved(guardFailed))) await feedCaughtUp();
    }
  }

  /** The guard failed because a change is on its way to this replica: give the feed a turn before deciding again. */
  function feedCaughtUp(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 20));
  }

  return {
    enforce: traced(enforce, deps),
    foresee: createForesight(deps, deciding, direct),
    standingOf: createStandings(deps, { direct, decide }),
    ...createUsable(deps),
    ...createStreams(deps, { live, look }),
    stop: live.stop,
    inFlight: live.count,
  };
}

const wantedBy = async ({ stands }: Action, actionId: string) => (stands ? stands(actionId) : []);

const unwanted = (actionId: string): Outcome => ({
  kind: 'gone',
  actionId,
  superseded: false,
  detail: 'It is not wanted any more.',
});
