import { GatehouseError } from '../../platform/index.ts';
import { keyFromText } from './key-text.ts';
import type { LocalKeySource, SourceSurroundings } from './types.ts';

/** `env:NAME`. What this process starts (tool servers, commands) does not inherit the variable. */
export function environmentSource(name: string, { environment }: SourceSurroundings): LocalKeySource {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new GatehouseError('bad-request', 'key-encryption.spec', `"${name}" is no name of an environment variable.`);
  return {
    kind: 'local',
    name: `env:${name}`,
    async read() {
      const text = environment[name];
      if (text === undefined || text === '')
        throw new GatehouseError(
          'unavailable',
          'key-encryption.unavailable',
          `The environment variable ${name}, which should hold the key-encryption key, is not set. Set it for the server.`,
        );
      return keyFromText(text, `The environment variable ${name}`);
    },
  };
}
