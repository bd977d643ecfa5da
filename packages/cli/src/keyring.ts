import { generateKeyPairSync } from 'node:crypto';
import { type AgentKey, agentKeyFromJwk } from '@gatehouse/sdk/agent-key';
import { CliFailure } from './failure.ts';

/**
 * Agents' keys, and sessions of people, in the keyring of the user's system: Keychain (macOS), Credential Manager (Windows), Secret Service (Linux). Anything that runs as this user can ask it; what it protects from is a copied disk or backup.
 */
const AGENTS = 'gatehouse-agent';
const SESSIONS = 'gatehouse-session';

async function entryOf(service: string, account: string) {
  try {
    const { AsyncEntry } = await import('@napi-rs/keyring');
    // The kernel's keyring, which it would fall back to, forgets everything when the machine restarts.
    return new AsyncEntry(service, account, { linux: { store: 'secret-service' } });
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
  const entry = await entryOf(AGENTS, agent);
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  await entry.setPassword(JSON.stringify(jwk)).catch((cause: unknown) => {
    throw noKeyring(cause);
  });
  return { key: await readKeyringKey(agent), isNew: true };
}

async function find(agent: string): Promise<AgentKey | undefined> {
  const kept = await read(AGENTS, agent);
  return kept === undefined ? undefined : agentKeyFromJwk(JSON.parse(kept));
}

async function read(service: string, account: string): Promise<string | undefined> {
  const entry = await entryOf(service, account);
  const kept = await entry.getPassword().catch((cause: unknown) => {
    throw noKeyring(cause);
  });
  return kept ?? undefined;
}

/** The session at this address, as text; undefined where there is none. */
export const readKeyringSession = (url: string): Promise<string | undefined> => read(SESSIONS, url);

export async function keepKeyringSession(url: string, text: string | undefined): Promise<void> {
  const entry = await entryOf(SESSIONS, url);
  await (text === undefined ? entry.deletePassword() : entry.setPassword(text)).catch((cause: unknown) => {
    throw noKeyring(cause);
  });
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
    `There is no keyring here that answers${detail}. Use a file instead: --key-file for an agent’s key, leave out --keyring for a session.`,
    { cause },
  );
}
