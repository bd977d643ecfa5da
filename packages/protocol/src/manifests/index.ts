import { z } from 'zod';
import { budgetManifest } from '../budgets.ts';
import { trustRuleManifest, workloadManifest } from '../federation.ts';
import { agentManifest, agentMappingManifest } from './agent.ts';
import { approvalRuleManifest } from './approval-rule.ts';
import { blueprintManifest } from './blueprint.ts';
import { calendarManifest } from './calendar.ts';
import { channelManifest } from './channel.ts';
import { clientManifest } from './client.ts';
import { credentialProviderManifest } from './credential-provider.ts';
import { detectorManifest } from './detector.ts';
import { environmentManifest } from './environment.ts';
import { groupManifest } from './group.ts';
import { identityProviderManifest } from './identity-provider.ts';
import { onCallManifest } from './on-call.ts';
import { personManifest, roleMappingManifest } from './person.ts';
import { controlPolicyManifest, policyManifest } from './policy.ts';
import { resourceServerManifest } from './resource-server.ts';
import { retentionManifest } from './retention.ts';
import { sinkManifest } from './sink.ts';
import { templateManifest } from './template.ts';
import { ticketSystemManifest } from './ticket-system.ts';
import { toolServerManifest } from './tool-server.ts';
import { trustDomainManifest } from './trust-domain.ts';

export * from './agent.ts';
export type { Allowed } from './allowed.ts';
export * from './approval-rule.ts';
export * from './blueprint.ts';
export * from './calendar.ts';
export * from './channel.ts';
export * from './client.ts';
export * from './credential-provider.ts';
export * from './detector.ts';
export * from './environment.ts';
export * from './group.ts';
export * from './identity-provider.ts';
export { type InjectionPlace, injectedIn } from './injection.ts';
export * from './on-call.ts';
export * from './person.ts';
export * from './policy.ts';
export * from './public-jwk.ts';
export * from './resource-server.ts';
export * from './retention.ts';
export * from './sink.ts';
export * from './template.ts';
export * from './ticket-system.ts';
export * from './tool-server.ts';
export * from './trust-domain.ts';

/**
 * The declarative form of a workspace: one YAML or JSON document per object, `kind` first. `gatehouse plan|apply|export` read and
 * write these; unknown members are refused so that a typing mistake never widens access silently.
 */
export const manifest = z.discriminatedUnion('kind', [
  environmentManifest,
  personManifest,
  groupManifest,
  blueprintManifest,
  agentManifest,
  clientManifest,
  credentialProviderManifest,
  toolServerManifest,
  templateManifest,
  policyManifest,
  calendarManifest,
  onCallManifest,
  approvalRuleManifest,
  ticketSystemManifest,
  detectorManifest,
  sinkManifest,
  retentionManifest,
  channelManifest,
  budgetManifest,
  trustDomainManifest,
  roleMappingManifest,
  agentMappingManifest,
  identityProviderManifest,
  resourceServerManifest,
  controlPolicyManifest,
  trustRuleManifest,
  workloadManifest,
]);
export type Manifest = z.infer<typeof manifest>;
export type ManifestInput = z.input<typeof manifest>;

/** One line of a plan. */
export const planChange = z.object({
  operation: z.enum(['create', 'update', 'delete', 'unchanged']),
  kind: z.string(),
  name: z.string(),
  /** Paths that differ, with the value before and after; absent for create, delete and unchanged. */
  differences: z.array(z.object({ path: z.string(), before: z.unknown(), after: z.unknown() })).optional(),
  /** What the change does not do although the manifest says so, and why. */
  note: z.string().optional(),
});
export type PlanChange = z.infer<typeof planChange>;

/** What stands in no one's way now, and will fail later: a stored secret that is named and is not there. */
export interface PlanWarning {
  code: 'secret.missing';
  kind: string;
  name: string;
  /** Where in the manifest: `from.secret`. */
  path: string;
  message: string;
  /** What puts it right; null where a name or an address is more than a word to a shell. */
  command: string | null;
}
