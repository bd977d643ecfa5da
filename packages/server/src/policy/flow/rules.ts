import type { EnvironmentManifest } from '@gatehouse/protocol';
import { switchedOff } from '../built-in.ts';

/** The name of the policy file that is always there. No manifest can have it: a slash is in no name. */
export const FLOW_RULES = 'gatehouse/flow';

/**
 * Where the arguments of grave tools may come from without a person looking (law 9). They raise the tier to 3 and refuse nothing; a policy
 * of the workspace may forbid more. `grave` are tools that send, pay, delete, export, deploy or administer and of which an operator has said
 * what their arguments stand for; `takes-url` are those with an argument that is a URL.
 */
const TEXT = `// Built in. Values that decide to whom or on what something is done come from somewhere; these rules say which of them a person sees first.

@id("untrusted-argument")
@tier("3")
@reason("whom or what it is about came from untrusted content")
forbid (principal, action in Gatehouse::Action::"grave", resource)
when { resource.grave.containsAny(context.provenance.untrusted) };

@id("unknown-argument")
@tier("3")
@reason("nobody who vouches for it and no trusted result named whom or what it is about")
forbid (principal, action in Gatehouse::Action::"grave", resource)
when { resource.grave.containsAny(context.provenance.unknown) };

@id("untrusted-amount")
@tier("3")
@reason("the amount came from untrusted content")
forbid (principal, action in Gatehouse::Action::"grave", resource)
when { resource.amounts.containsAny(context.provenance.untrusted) };

// An amount may be worked out, within what was vouched for: it is derived then.
@id("unknown-amount")
@tier("3")
@reason("nobody who vouches for it and no trusted result named the amount, and it is larger than what follows from those that they named")
forbid (principal, action in Gatehouse::Action::"grave", resource)
when { resource.amounts.containsAny(context.provenance.unknown) };

// Content can choose among trusted things without naming one ("the largest file"). What can't be undone or taken back is then seen by a person.
@id("chosen-after-reading")
@tier("3")
@reason("it can't be undone, and the task has read untrusted content that may have chosen what it is done to, or for whom")
forbid (principal, action in Gatehouse::Action::"grave", resource)
when {
  context.flow.untrusted &&
  action in
    [Gatehouse::Action::"delete", Gatehouse::Action::"export", Gatehouse::Action::"administer", Gatehouse::Action::"deploy"] &&
  resource.grave.containsAny(context.provenance.trusted)
};

@id("untrusted-link")
@tier("3")
@reason("its text carries an address of untrusted content, or a passage of it to somebody whom nobody who vouches for it named, or whom that content named as well")
forbid (principal, action in Gatehouse::Action::"grave", resource)
when { resource.contents.containsAny(context.provenance.untrusted) };

@id("sensitive-out")
@tier("3")
@reason("it reaches out with nothing that says to whom, and the task has read sensitive data and untrusted content")
forbid (
  principal,
  action in [Gatehouse::Action::"send", Gatehouse::Action::"pay", Gatehouse::Action::"export", Gatehouse::Action::"deploy"],
  resource
)
when { context.flow.untrusted && !context.flow.sensitive.isEmpty() }
unless { context.flow.textless || context.flow.reachesNobody }
// A destination that is not given, or is what the tool takes anyway, comes from nowhere.
unless {
  resource.destinations.containsAny(context.provenance.stated) ||
  resource.destinations.containsAny(context.provenance.endorsed) ||
  resource.destinations.containsAny(context.provenance.derived) ||
  resource.destinations.containsAny(context.provenance.trusted) ||
  resource.destinations.containsAny(context.provenance.untrusted) ||
  resource.destinations.containsAny(context.provenance.unknown)
};

// To read an address tells its server something.
@id("sensitive-url")
@tier("3")
@reason("the address could carry away sensitive data that the task has read: nobody who vouches for it named it")
forbid (principal, action in Gatehouse::Action::"takes-url", resource)
when {
  context.flow.untrusted &&
  !context.flow.sensitive.isEmpty() &&
  (resource.urls.containsAny(context.provenance.untrusted) || resource.urls.containsAny(context.provenance.unknown))
};
`;

/** As they are in force. */
export function flowRules(environments: Iterable<Pick<EnvironmentManifest, 'name' | 'flowRulesOff'>>): string {
  return switchedOff(
    TEXT,
    [...environments].map(({ name, flowRulesOff }) => ({ name, off: flowRulesOff ?? [] })),
  );
}
