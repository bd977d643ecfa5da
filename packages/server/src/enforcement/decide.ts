import type { Decision } from '@gatehouse/protocol';
import type { Authority, PolicySet, Situation } from '../policy/index.ts';
import type { Agent, RegisteredTool, Snapshot } from '../registry/index.ts';
import { checkArguments } from './arguments.ts';
import { deny } from './deny.ts';
import type { EnforcementDependencies } from './enforce.ts';
import { gatewayIsRefused, whatCannotBeKept } from './gateway.ts';
import { situationOf, withSituation } from './situation.ts';
import { findSubject, isRefusal } from './subject.ts';
import type { Action } from './types.ts';
import { authorityOf, STALE, whoIsRefused } from './who.ts';

/** Who acts, by which policies, and on what. */
interface Proven {
  snapshot: Snapshot;
  set: PolicySet;
  agent: Agent;
  authority: Authority;
  found: RegisteredTool;
}

/** Steps 1 to 3, without anything that a call leaves behind. */
export function createDeciding({
  registry,
  policies,
  tickets,
  flow,
  baseline,
  breaker,
  feed,
  clock,
}: Pick<
  EnforcementDependencies,
  'registry' | 'policies' | 'tickets' | 'flow' | 'baseline' | 'breaker' | 'feed' | 'clock'
>) {
  /** 1 who and 2 what. */
  function prove(action: Action): Proven | { refused: Decision; tool: RegisteredTool | null } {
    const snapshot = registry.snapshot();
    const set = policies(snapshot);
    const agent = snapshot.agents.get(action.caller.agent);
    const unproven = feed.fresh()
      ? (whoIsRefused(snapshot, action, agent, clock.now(), breaker) ?? gatewayIsRefused(action))
      : STALE;
    const authority = authorityOf(snapshot, action.caller);
    if (!agent || !authority || unproven) return { refused: deny(unproven ?? STALE, set.version), tool: null };
    const found = findSubject(snapshot, action);
    if (isRefusal(found)) return { refused: deny(found, set.version), tool: found.tool };
    return { snapshot, set, agent, authority, found };
  }

  function decide(
    set: PolicySet,
    authority: Authority,
    action: Action,
    tool: RegisteredTool,
    situation: Situation,
  ): Decision {
    const problem = checkArguments(tool, action.arguments);
    if (problem) {
      const reason = `The arguments do not fit ${tool.ref}: ${problem}. Correct them and call again.`;
      return deny({ code: 'arguments.invalid', reason }, set.version, tool);
    }
    const decision = set.decide({ ...authority, tool, arguments: action.arguments, situation });
    const unkept = whatCannotBeKept(action, tool, decision);
    return unkept ? deny(unkept, set.version, tool) : withSituation(decision, situation);
  }

  /** What would be decided now on a call that was let through before. */
  async function redecide(
    snapshot: Snapshot,
    set: PolicySet,
    authority: Authority,
    action: Action,
    tool: RegisteredTool,
  ): Promise<Decision> {
    const template = snapshot.templates.get(action.caller.task.template);
    const seen = flow.view(action.caller, { tool, arguments: action.arguments, template });
    const situation = await situationOf({ tickets, baseline }, snapshot, action, tool, seen, clock.now());
    return decide(set, authority, action, tool, situation);
  }

  return { prove, decide, redecide };
}
