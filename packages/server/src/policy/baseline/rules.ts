import type { EnvironmentManifest } from '@gatehouse/protocol';
import { switchedOff } from '../built-in.ts';

/** The name of the policy file that is always there. */
export const BASELINE_RULES = 'gatehouse/baseline';

/** They raise and refuse nothing: what an agent usually does says nothing of whether it may. */
const TEXT = `// Built in. What an agent usually does is learned; where it does something else, somebody looks: first, where it could do harm.

@id("unusual-grave-call")
@tier("3")
@reason("it is unusual for this agent, and could do harm")
forbid (
  principal,
  action in
    [Gatehouse::Action::"send",
     Gatehouse::Action::"pay",
     Gatehouse::Action::"delete",
     Gatehouse::Action::"export",
     Gatehouse::Action::"deploy",
     Gatehouse::Action::"administer"],
  resource
)
when { context.anomalous };

@id("unusual-call")
@tier("2")
@reason("it is unusual for this agent")
forbid (principal, action, resource)
when { context.anomalous };
`;

/** As they are in force. */
export function baselineRules(environments: Iterable<Pick<EnvironmentManifest, 'name' | 'baseline'>>): string {
  return switchedOff(
    TEXT,
    [...environments].map(({ name, baseline }) => ({ name, off: baseline?.rulesOff ?? [] })),
  );
}
