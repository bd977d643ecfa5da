import * as oauth from 'oauth4webapi';
import { type AgentKey, readAgentKey } from '../agent-key.ts';
import type { AgentCredential } from './credential.ts';

/** A registered key of the agent's own (`private_key_jwt`): itself, the file that it is in, or what finds it (a keyring). */
export function keyCredential(key: AgentKey | string | (() => Promise<AgentKey>)): AgentCredential {
  const read = async () => {
    if (typeof key === 'string') return readAgentKey(key);
    return typeof key === 'function' ? key() : key;
  };
  return { authentication: async () => oauth.PrivateKeyJwt((await read()).privateKey) };
}
