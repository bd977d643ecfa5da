import { GatehouseError } from '../../platform/index.ts';
import { awsKmsSource } from './aws-kms.ts';
import { commandSource } from './command.ts';
import { environmentSource } from './env.ts';
import { defaultKeyFile, fileSource } from './file.ts';
import { openBaoSource } from './openbao.ts';
import type { KeySource, SourceSurroundings } from './types.ts';

/** Every kind of source by the word before the colon. */
const kinds: Record<string, (rest: string, surroundings: SourceSurroundings) => KeySource> = {
  file: (path, { dataDir }) => fileSource(path, path === defaultKeyFile(dataDir)),
  env: environmentSource,
  command: (command, surroundings) => commandSource(command, surroundings),
  openbao: openBaoSource,
  vault: openBaoSource,
  'aws-kms': awsKmsSource,
};

/** `KIND:REST`. Throws `key-encryption.spec` for what names no source; reads nothing yet. */
export function keySource(spec: string, surroundings: SourceSurroundings): KeySource {
  const [, kind = '', rest = ''] = /^([a-z-]+):(.+)$/s.exec(spec) ?? [];
  const make = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (!make)
    throw new GatehouseError(
      'bad-request',
      'key-encryption.spec',
      // Whoever wrote the key itself here must not find it in the log.
      `--key-encryption names a source: ${Object.keys(kinds).join(':…, ')}:…; what was given begins with none of these.`,
    );
  return make(rest, surroundings);
}
