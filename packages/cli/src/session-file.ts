import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AgentKey } from '@gatehouse/sdk/agent-key';
import type { TerminalSession } from '@gatehouse/sdk/operator';
import { configDirectory } from './agent-key-file.ts';
import { CliFailure } from './failure.ts';

/**
 * What `gatehouse login` leaves on this machine: the session's token and the key that it is bound to, one file for each address, which
 * only this user can read. With `--keyring` the two are in the user's keyring, and the file says so.
 */
interface Secrets {
  token: string;
  key: JsonWebKey;
}
type Kept = { url: string; session: string } & (Secrets | { keyring: true });

export interface StoredSession extends TerminalSession {
  session: string;
}

export function sessionFileOf(url: string): string {
  const { protocol, host } = new URL(url);
  const name = `${protocol}${host}`.replaceAll(/[^a-z0-9.-]+/gi, '-');
  return join(configDirectory(), 'sessions', `${name}.json`);
}

/** Undefined where nobody has signed in at this address. Throws where others can read the file. */
export async function readSession(url: string): Promise<StoredSession | undefined> {
  const kept = await readKept(url);
  if (!kept) return undefined;
  const secrets = 'keyring' in kept ? await fromKeyring(url) : kept;
  const { agentKeyFromJwk } = await import('@gatehouse/sdk/agent-key');
  try {
    return { session: kept.session, token: secrets.token, key: await agentKeyFromJwk(secrets.key as never) };
  } catch (cause) {
    throw damaged(sessionFileOf(url), cause);
  }
}

/** A key for a session that is yet to come: it is kept when there is one. */
export async function createSessionKey(): Promise<{ key: AgentKey; jwk: JsonWebKey }> {
  const { agentKeyFromJwk } = await import('@gatehouse/sdk/agent-key');
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonWebKey;
  return { key: await agentKeyFromJwk(jwk as never), jwk };
}

export async function keepSession(
  url: string,
  { session, ...secrets }: Secrets & { session: string },
  { keyring }: { keyring: boolean },
): Promise<void> {
  if (keyring) {
    const { keepKeyringSession } = await import('./keyring.ts');
    await keepKeyringSession(url, JSON.stringify(secrets));
  }
  const kept: Kept = { url, session, ...(keyring ? { keyring: true } : secrets) };
  const path = sessionFileOf(url);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Made anew and put in place, so that it never is there half, or with the mode of what was there before.
  const draft = `${path}.${process.pid}`;
  await rm(draft, { force: true });
  await writeFile(draft, `${JSON.stringify(kept)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(draft, path);
}

export async function forgetSession(url: string): Promise<void> {
  const kept = await readKept(url).catch(() => undefined);
  if (kept && 'keyring' in kept) {
    const { keepKeyringSession } = await import('./keyring.ts');
    await keepKeyringSession(url, undefined);
  }
  await rm(sessionFileOf(url), { force: true });
}

async function readKept(url: string): Promise<Kept | undefined> {
  const path = sessionFileOf(url);
  let text: string;
  try {
    const { mode, uid } = await stat(path);
    const isOthers = process.platform !== 'win32' && ((mode & 0o077) !== 0 || uid !== process.getuid?.());
    if (isOthers)
      throw new CliFailure(
        'noPermission',
        'session.exposed',
        `The session file ${path} can be read by others, or is somebody else's, and is not used. Run: chmod 600 ${path}; then gatehouse logout, and sign in again.`,
      );
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const kept = JSON.parse(text) as Kept;
    if (kept.url === url) return kept;
  } catch (cause) {
    throw damaged(path, cause);
  }
  throw damaged(path);
}

async function fromKeyring(url: string): Promise<Secrets> {
  const { readKeyringSession } = await import('./keyring.ts');
  const text = await readKeyringSession(url);
  if (text !== undefined) return JSON.parse(text) as Secrets;
  throw new CliFailure(
    'noPermission',
    'session.missing',
    `The keyring has no session for ${url} any more. Sign in again: gatehouse login --url ${url} --keyring`,
  );
}

const damaged = (path: string, cause?: unknown) =>
  new CliFailure(
    'noInput',
    'session.damaged',
    `The session file ${path} is damaged. Sign in again: gatehouse login`,
    cause === undefined ? undefined : { cause },
  );
