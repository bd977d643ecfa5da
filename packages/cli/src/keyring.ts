import { generateKeyPairSync } from 'node:crypto';
import { type AgentKey, agentKeyFromJwk } from '@gatehouse/sdk/agent-key';
import { CliFailure } from './failure.ts';

/**
 * Agents' keys in the keyring of the user's system: Keychain (macOS), Credential Manager (Windows), Secret Service (Linux). Anything that runs as this user can ask it; what it protects from is a copied disk or backup.
 */
const SERVICE = 'gatehouse-agent';

async function entryOf(agent: string) {
  try {
    const { AsyncEntry } = await import('@napi-rs/keyring');
    // The kernel's keyring, which it would fall back to, forgets everything when the machine restarts.
    return new AsyncEntry(SERVICE, agent, { linux: { store: 'secret-service' } });
  } catch (cause) {
    throw noKeyring(cause);
  }
}

export async function readKeyringKey(agent: string): Promise<AgentKey> {
  const found = await find(agent);
  if (found) return found;
  throw new CliFailure(
    'noInput',
    'key.missing',
    `The keyring has no key of ${agent}. Make one: gatehouse agent enroll ${agent} --keyring`,
  );
}

/** The key of this agent in the keyring; made if there is none. */
export async function keyringKey(agent: string): Promise<{ key: AgentKey; isNew: boolean }> {
  const found = await find(agent);
  if (found) return { key: found, isNew: false };
  const entry = await entryOf(agent);
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  await entry.setPassword(JSON.stringify(jwk)).catch((cause: unknown) => {
    throw noKeyring(cause);
  });
  return { key: await readKeyringKey(agent), isNew: true };
}

async function find(agent: string): Promise<AgentKey | undefined> {
  const entry = await entryOf(agent);
  const kept = await entry.getPassword().catch((cause: unknown) => {
    throw noKeyring(cause);
  });
  return kept == null ? undefined : agentKeyFromJwk(JSON.parse(kept));
}

function noKeyring(cause: unknown): CliFailure {
  const detail = cause instanceof Error ? ` (${cause.message})` : '';
  if (/unlock prompt|locked/i.test(detail))
    return new CliFailure(
      'unavailable',
      'keyring.locked',
      `The keyring is locked${detail}: unlock it, or sign in to the session that it belongs to, and try again.`,
      { cause },
    );
  return new CliFailure(
    'unavailable',
    'keyring.unavailable',
    `There is no keyring here that answers${detail}. Keep the key in a file instead: --key-file.`,
    { cause },
  );
}
