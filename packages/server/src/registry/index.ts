export type { RegistryDependencies } from './context.ts';
export { groupsOf } from './groups.ts';
export { mayHandOn } from './hand-on.ts';
export { thumbprint } from './keys.ts';
export { type FileProblem, loadManifests, ManifestFileError } from './load-manifests.ts';
export { createRegistry } from './registry.ts';
export { definitionChanges } from './review.ts';
export { checkParameters } from './tasks.ts';
export type * from './types.ts';
