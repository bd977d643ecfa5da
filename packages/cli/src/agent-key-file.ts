import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { AgentKey } from '@gatehouse/sdk/agent-key';
import { CliFailure } from './failure.ts';

/** `--key-file`, then GATEHOUSE_KEY_FILE, then one file per agent in the user's configuration directory. */
export function keyFileOf(agent: string, given: string | undefined): string {
  const named = given ?? process.env.GATEHOUSE_KEY_FILE;
  if (named !== undefined) return resolve(named);
  // A name is part of a path here.
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(agent))
    throw new CliFailure(
      'usage',
      'agent.name',
      `"${agent}" is no name of an agent: lower-case letters, digits and hyphens.`,
    );
  return join(configDirectory(), 'agents', `${agent}.jwk`);
}

/** Of this user, for Gatehouse. */
export function configDirectory(): string {
  const base =
    process.platform === 'win32'
      ? (process.env.APPDATA ?? join(homedir(), 'AppData', 'Roaming'))
      : (process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config'));
  return join(base, 'gatehouse');
}

export async function readKey(agent: string, path: string): Promise<AgentKey> {
  if (!existsSync(path))
    throw new CliFailure(
      'noInput',
      'key.missing',
      `There is no key of ${agent} at ${path}. Make one: gatehouse agent enroll ${agent} --key-file ${path}`,
    );
  const { readAgentKey } = await import('@gatehouse/sdk/agent-key');
  try {
    return await readAgentKey(path);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CliFailure('noInput', 'key.unreadable', `The key file ${path} cannot be used: ${detail}`, { cause });
  }
}
