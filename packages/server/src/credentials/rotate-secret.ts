import { type CredentialProviderManifest, commandToPaste, originOf, secretsNamedIn } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { leaseLimits } from './leases/limits.ts';
import type { Provider } from './leases/types.ts';
import { randomPassword } from './providers/postgres-password.ts';
import type { Secrets, StoredSecret } from './secrets.ts';

export interface Rotation {
  secrets: Pick<Secrets, 'list' | 'prepare' | 'settle'>;
  providers: Iterable<CredentialProviderManifest>;
  open(manifest: CredentialProviderManifest): Provider;
}

/** The provider that can change it, or why none can, with what to do. `usedBy`: all whose manifests name it. */
export function rotatorOf(
  { providers, open }: Omit<Rotation, 'secrets'>,
  { name, origins }: Pick<StoredSecret, 'name' | 'origins'>,
  usedBy: readonly string[],
): { provider: string; rotate: NonNullable<Provider['rotate']> } | { obstacle: string } {
  const command = commandToPaste`gatehouse secrets set ${name} --for ${origins}`;
  const byHand = `Make a new one there, and ${command ? `\`${command}\`` : 'store it for the same addresses'}.`;
  const all = [...providers];
  const manifest = all.find((each) => secretsNamedIn(each).some(({ secret }) => secret === name));
  if (!manifest || usedBy.length !== 1) {
    const who = usedBy.length === 0 ? 'nothing names it' : `named by ${usedBy.join(', ')}`;
    return { obstacle: `it is not the password of exactly one provider (${who}). ${byHand}` };
  }
  const { rotate } = open(manifest);
  if (!rotate || !('url' in manifest.from) || manifest.from.url === undefined)
    return { obstacle: `a provider of the kind ${manifest.from.type} can't change it. ${byHand}` };
  const { url } = manifest.from;
  const elsewhere = origins.filter((origin) => origin !== originOf(url));
  if (elsewhere.length > 0)
    return { obstacle: `it is sent to ${elsewhere.join(', ')} too, where it would stay as it is. ${byHand}` };
  const sharing = all.filter((each) => each !== manifest && isSameUser(each, manifest)).map((each) => each.name);
  if (sharing.length > 0)
    return {
      obstacle: `${sharing.join(', ')} ${sharing.length === 1 ? 'signs' : 'sign'} in as the same user, with a secret of another name. Give each a user of its own.`,
    };
  return { provider: manifest.name, rotate };
}

/**
 * Puts a new random password in place of a stored one: kept beside the one in use, given to the user at the other system, tried, and then in use. Of
 * the two that are kept meanwhile one works wherever this ends; done again, it goes on with the same.
 */
export async function rotateSecret(
  rotation: Rotation,
  { name, usedBy, by }: { name: string; usedBy: readonly string[]; by: string },
): Promise<void> {
  const { secrets, providers } = rotation;
  const stored = (await secrets.list()).find((each) => each.name === name);
  if (!stored) throw notStored(name, providers);
  const rotator = rotatorOf(rotation, stored, usedBy);
  if ('obstacle' in rotator) throw refusal(name, rotator.obstacle);
  const next = await secrets.prepare(name, randomPassword(), by);
  try {
    await rotator.rotate(next, AbortSignal.timeout(leaseLimits.createMs));
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'secret.not-rotatable') throw error;
    throw new GatehouseError(
      'upstream',
      'secret.not-rotated',
      `${rotator.provider} did not put the new one in place: ${(error as Error).message.slice(0, leaseLimits.problemCharacters)}. The one that works is used; \`gatehouse secrets rotate ${name}\` goes on with it.`,
      { cause: error },
    );
  }
  if (!(await secrets.settle(name, next, by)))
    throw new GatehouseError(
      'conflict',
      'secret.changed',
      `The secret "${name}" was set by somebody else meanwhile. See whether it works: \`gatehouse providers test ${rotator.provider}\`.`,
    );
}

function notStored(name: string, providers: Iterable<CredentialProviderManifest>): GatehouseError {
  for (const { name: provider, from } of providers)
    if (
      from.type === 'static' &&
      from.in.type !== 'store' &&
      Object.keys(from.parts).some((part) => `${provider}/${part}` === name)
    )
      return refusal(
        name,
        `it is kept elsewhere (${from.in.type}). Rotate it there: what begins afterwards reads the new one.`,
      );
  return new GatehouseError(
    'not-found',
    'secret.unknown',
    `There is no secret "${name}". \`gatehouse secrets\` lists them.`,
  );
}

const refusal = (name: string, why: string) =>
  new GatehouseError('conflict', 'secret.not-rotatable', `Gatehouse can't rotate "${name}": ${why}`);

function isSameUser({ from: one }: CredentialProviderManifest, { from: other }: CredentialProviderManifest): boolean {
  if (one.type !== other.type || !('url' in one && 'url' in other) || !one.url || !other.url) return false;
  return originOf(one.url) === originOf(other.url) && new URL(one.url).username === new URL(other.url).username;
}
