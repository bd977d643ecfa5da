import { CliFailure } from '../failure.ts';
import type { IdentityKind } from '../identity-kinds.ts';

/**
 * Variables that an agent proves itself with, by kind of identity: whoever has them is the whole agent, and not one task of it. What lies
 * in a file or keyring, or comes from a metadata service, no variable holds.
 */
const proofs: Record<IdentityKind, readonly string[]> = {
  key: [],
  keyring: [],
  github: ['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_URL'],
  gitlab: ['GATEHOUSE_ID_TOKEN'],
  kubernetes: [],
  gcp: [],
  // App Service sets each of its two under the older name as well.
  azure: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER', 'MSI_ENDPOINT', 'MSI_SECRET', 'AZURE_FEDERATED_TOKEN_FILE'],
  file: [],
  env: [],
};

/** Credentials of ours, or where one lies: withheld whatever the identity. */
const ours = ['GATEHOUSE_TOKEN', 'GATEHOUSE_ID_TOKEN', 'GATEHOUSE_KEY_FILE', 'GATEHOUSE_CERT_KEY'];

/**
 * The environment without what the agent proves itself with, except for the names in `pass`. Throws CliFailure (`usage`) for one that
 * can't be a name.
 */
export function environmentWithoutProof(
  env: Record<string, string | undefined>,
  identity: { kind: IdentityKind; of: string },
  pass: readonly string[],
): Record<string, string> {
  for (const name of pass)
    if (name === '' || name.includes('='))
      throw new CliFailure(
        'usage',
        'option.invalid',
        `--pass-env is the name of one variable, without its value, not "${name.split('=')[0]}=…".`,
      );
  const kept = new Set(pass.map(same));
  const named = identity.kind === 'env' ? [identity.of] : [];
  const withheld = new Set([...ours, ...proofs[identity.kind], ...named].map(same).filter((name) => !kept.has(name)));
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !withheld.has(same(entry[0])),
  );
  return Object.fromEntries(entries);
}

/** Windows knows no case in names. */
const same = (name: string) => (process.platform === 'win32' ? name.toUpperCase() : name);
