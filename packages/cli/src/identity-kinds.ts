/** What `--identity` may be; `file` and `env` are followed by `:` and which. */
export const identityKinds = [
  'key',
  'keyring',
  'github',
  'gitlab',
  'kubernetes',
  'gcp',
  'azure',
  'file',
  'env',
] as const;
export type IdentityKind = (typeof identityKinds)[number];
