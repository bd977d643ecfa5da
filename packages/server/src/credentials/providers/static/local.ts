import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import type { StaticSource } from '@gatehouse/protocol';
import { GatehouseError, Secret } from '../../../platform/index.ts';
import type { ProviderTools } from '../index.ts';
import type { SecretSource } from './source.ts';

const MOST_BYTES = 64 * 1024;

/** Gatehouse's own store. Stored for each of the servers that it may reach, or it is not opened. */
export const fromStore = (settings: StaticSource, { openSecret }: Pick<ProviderTools, 'openSecret'>): SecretSource => ({
  async read(name: string) {
    const opened = await Promise.all(settings.for.map((destination) => openSecret(name, destination)));
    return { value: opened[0] as Secret, changedAt: null };
  },
});

/** Files of one directory, as orchestrators mount them. Nothing else of this machine can be named: whoever writes manifests need not read its files. */
export const fromFiles = ({ environment }: Pick<ProviderTools, 'environment'>): SecretSource => ({
  async read(name: string) {
    const directory = environment.GATEHOUSE_SECRET_FILES ?? '/run/secrets';
    try {
      const root = realpathSync(directory);
      const path = realpathSync(join(root, name));
      const below = relative(root, path);
      if (below === '' || /^\.\.(\/|$)/.test(below) || isAbsolute(below)) throw new Error('outside');
      const { size, mtimeMs } = statSync(path);
      if (size > MOST_BYTES) throw new Error('too large');
      return { value: new Secret(readFileSync(path, 'utf8').replace(/\r?\n$/, '')), changedAt: Math.round(mtimeMs) };
    } catch (cause) {
      throw missing(
        `There is no file "${name}" of at most ${MOST_BYTES} bytes in ${directory} that this server can read.`,
        cause,
      );
    }
  },
});

/** Only variables that say in their names that they are for this. */
export const fromEnvironment = ({ environment }: Pick<ProviderTools, 'environment'>): SecretSource => ({
  async read(name: string) {
    const value = environment[`GATEHOUSE_SECRET_${name}`];
    if (value) return { value: new Secret(value), changedAt: null };
    throw missing(`This server has no variable GATEHOUSE_SECRET_${name} in its environment.`);
  },
});

const missing = (why: string, cause?: unknown) => new GatehouseError('not-found', 'secret.missing', why, { cause });
