import type { Manifest } from '@gatehouse/protocol';
import { agent, agentMapping, blueprint, client, resourceServer, trustDomain, trustRule, workload } from './agents.ts';
import { approvalRule, onCall } from './approval-rule.ts';
import {
  budget,
  calendar,
  channel,
  controlPolicy,
  credentialProvider,
  detector,
  policy,
  template,
  ticketSystem,
} from './decisions.ts';
import { environment } from './environment.ts';
import { group, identityProvider, person, roleMapping } from './people.ts';
import { retention } from './retention.ts';
import { membersThatDiffer } from './same.ts';
import { sink } from './sink.ts';
import { toolServer } from './tool-server.ts';
import type { Around, OfKind, Verdict } from './verdict.ts';

export { wantsSecondPerson } from './environment.ts';
export type { Around } from './verdict.ts';

/** Every kind of manifest, with every member. What is in neither list is taken to decide. */
export const verdicts: { [Kind in Manifest['kind']]: Verdict<OfKind<Kind>> } = {
  Environment: environment,
  Person: person,
  RoleMapping: roleMapping,
  IdentityProvider: identityProvider,
  Group: group,
  Blueprint: blueprint,
  Agent: agent,
  AgentMapping: agentMapping,
  Client: client,
  Workload: workload,
  TrustRule: trustRule,
  TrustDomain: trustDomain,
  ResourceServer: resourceServer,
  ToolServer: toolServer,
  Template: template,
  Policy: policy,
  ControlPolicy: controlPolicy,
  Calendar: calendar,
  OnCall: onCall,
  ApprovalRule: approvalRule,
  TicketSystem: ticketSystem,
  Detector: detector,
  Sink: sink,
  Retention: retention,
  Channel: channel,
  CredentialProvider: credentialProvider,
  Budget: budget,
};

/** Why a change of one manifest could let something through that was stopped; nothing where it is plainly narrower. */
export function reasonsOf(before: Manifest | null, after: Manifest | null, around: Around): string[] {
  const some = after ?? before;
  if (!some) return [];
  const verdict = verdicts[some.kind] as Verdict<Manifest> | undefined;
  if (!verdict) return ['nobody has said yet what a change of this kind comes to'];
  if (!before) return verdict.created === 'decides' ? ['it is new'] : verdict.created(some, around);
  if (!after) return verdict.gone === 'decides' ? ['it is gone'] : verdict.gone(before, around);
  const members = verdict.members as Record<string, Verdict<Manifest>['members'][never] | undefined>;
  const why = membersThatDiffer(before, after).flatMap((name) => {
    const member = (Object.hasOwn(members, name) ? members[name] : 'decides') as
      | 'words'
      | 'elsewhere'
      | 'decides'
      | ((before: Manifest, after: Manifest, around: Around) => string[]);
    if (member === 'words' || member === 'elsewhere') return [];
    return member === 'decides' ? [`"${name}" is changed`] : member(before, after, around);
  });
  return [...new Set(why)];
}
