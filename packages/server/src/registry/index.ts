export { destinationOf } from './check-tools.ts';
export { checkWorkspace } from './check-workspace.ts';
export type { RegistryDependencies } from './context.ts';
export { decidersIn, decidingRoles } from './deciders.ts';
export type { StoredDefinition } from './definition-rows.ts';
export { differences, inWords as differenceInWords } from './differences.ts';
export { groupsOf } from './groups.ts';
export { mayHandOn } from './hand-on.ts';
export { hiddenCharactersSource, onOneLine } from './hidden-characters.ts';
export { thumbprint } from './keys.ts';
export { labelsOf, unlabelled } from './labels.ts';
export {
  type FileProblem,
  type LocatedManifest,
  loadManifests,
  ManifestFileError,
  type ReadManifests,
  readManifests,
} from './load-manifests.ts';
export { foldLookAlikes } from './look-alikes.ts';
export type { ManifestProblem } from './manifest-problem.ts';
export { checkParameters } from './may-start.ts';
export { narrowedBy } from './narrowing.ts';
export { appliedDigest, nameOf, type Provision } from './objects.ts';
export type { PersonChanges } from './persons.ts';
export { agentManifestOf, readManifestsOf, type Step } from './plan.ts';
export * from './policy-versions.ts';
export { createRegistry } from './registry.ts';
export { RESTORE_LEAP, settleAgents, settleWorkloads } from './restored.ts';
export { definitionChanges } from './review.ts';
export { agentFromRow, registeredServer, spiffeId } from './snapshot.ts';
export { credentialOf, type GivenTo, givenOf } from './task-credential.ts';
export { fromTaskRow } from './task-rows.ts';
export type { TaskGrounds } from './tasks.ts';
export * from './trust-rules/index.ts';
export type * from './types.ts';
export { undoOf } from './undo.ts';
export { workloadSpiffeId } from './workloads.ts';
