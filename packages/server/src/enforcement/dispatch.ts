import type { Approval } from '@gatehouse/protocol';
import type { HeldBreakGlass, HeldGrant } from '../approvals/index.ts';
import type { SeenView } from '../policy/index.ts';
import type { Snapshot } from '../registry/index.ts';
import type { Guard, OpenCall, Spend, Twin } from '../storage/index.ts';
import { spendOf, type Wanted } from './budgets/index.ts';
import type { EnforcementDependencies } from './enforce.ts';
import { BREAK_GLASS } from './granted.ts';
import { guardOfBreakGlass, guardOfGrant, guardsOf } from './guards.ts';
import type { Key } from './key.ts';
import { recordOf } from './record.ts';
import type { Source } from './source.ts';
import type { Decided } from './types.ts';

/** What a call runs on, and what it leaves behind. */
export interface Dispatching extends Omit<Decided, 'agent'> {
  seen: SeenView;
  source: Source;
  approval: Approval | undefined;
  grant: HeldGrant | undefined;
  broken: HeldBreakGlass | undefined;
  /** The approval, grant or emergency, as its records name it. */
  yes: string | null;
  wanted: Wanted | null;
  open: OpenCall | null;
  /** What its door wants to stand. */
  wants: readonly Guard[];
  /** What does the same, and may have run. */
  twin: Twin | undefined;
  key: Key | undefined;
}

/**
 * INVARIANT: step 7 is one durable write. It names what the call runs on and uses it up, counts what it costs, and fails where anything that the
 * decision was made on has moved (law 1).
 */
export function createDispatch({
  ledger,
  flow,
  approvals,
  clock,
}: Pick<EnforcementDependencies, 'ledger' | 'flow' | 'approvals' | 'clock'>) {
  return function dispatch(snapshot: Snapshot, dispatching: Dispatching) {
    const { action, actionId, tool: found, decision, seen, source, wanted, open, twin } = dispatching;
    const { approval, grant, broken, yes, key } = dispatching;
    const said = approval ?? grant;
    return ledger.append(
      recordOf('dispatch', action, actionId, found, {
        decision,
        approval: yes,
        credentials: key ? [key.named] : [],
        arguments: action.arguments,
        argumentsSalt: approval?.argumentsSalt,
        labels: [...seen.labels, ...flow.marksOf({ tool: found, seen }), ...(broken ? [BREAK_GLASS] : [])],
        ...(twin && { detail: `repeats ${twin.action_id}, of which nobody knows whether it ran` }),
      }),
      {
        ...(open && { opens: { ...open, actionId, repeats: twin?.action_id ?? null } }),
        guards: [
          ...guardsOf(snapshot, action, found, source.tool, broken?.signers ?? (said && approvals.peopleOf(said))),
          ...seen.guards,
          ...dispatching.wants,
          ...(grant ? [guardOfGrant(grant)] : []),
          ...(broken ? [guardOfBreakGlass(broken)] : []),
        ],
        ...(approval && { consumeApproval: { id: approval.id, actionId } }),
        ...spending(wanted ? spendOf(wanted, actionId, approval !== undefined) : undefined, actionId, [
          ...flow.spend(action.caller, seen),
          ...(grant ? [approvals.grants.spend(grant, action.arguments)] : []),
        ]),
      },
    );
  };

  /** What the dispatch counts: on budgets, and on what a person has endorsed or granted. */
  function spending(budgets: Spend | undefined, actionId: string, given: Spend['counters']) {
    if (given.length === 0) return budgets && { spend: budgets };
    const plain = budgets ?? { actionId, now: clock.now(), counters: [] };
    return { spend: { ...plain, counters: [...plain.counters, ...given] } };
  }
}
