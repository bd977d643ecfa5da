import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createOperator, type Operator } from '@gatehouse/sdk/operator';
import { CliFailure } from './failure.ts';

export const DEFAULT_URL = 'http://localhost:4283';
export const DEFAULT_DATA_DIR = '.gatehouse';

export interface ServerOptions {
  url?: string;
  dataDir?: string;
  cacert?: string;
  /** Of verbs whose requests are confirmed in a browser when a session of the command line makes them. */
  wait?: boolean;
  browser?: boolean;
  confirmation?: string;
}

/** `--url`, then GATEHOUSE_URL, then the address that `gatehouse start` takes by default. */
export function urlOf({ url }: ServerOptions): string {
  const given = url ?? process.env.GATEHOUSE_URL ?? DEFAULT_URL;
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol))
    throw new CliFailure('usage', 'url.invalid', `"${given}" is no http or https address.`);
  return given.replace(/\/+$/, '');
}

export function dataDirOf({ dataDir }: ServerOptions): string {
  return resolve(dataDir ?? process.env.GATEHOUSE_DATA_DIR ?? DEFAULT_DATA_DIR);
}

/** `--cacert`, then GATEHOUSE_CACERT: authorities that the server's certificate is verified with. */
export function trustOf({ cacert }: Pick<ServerOptions, 'cacert'>): { ca?: string } {
  const file = cacert ?? process.env.GATEHOUSE_CACERT;
  if (file === undefined || file === '') return {};
  if (!existsSync(file))
    throw new CliFailure(
      'noInput',
      'ca.missing',
      `There is no file ${file} with authorities (--cacert, GATEHOUSE_CACERT).`,
    );
  return { ca: resolve(file) };
}

/**
 * The control API, as the person who has signed in at this address (`gatehouse login`); else, or where `--data-dir` says so, with the
 * operator token of the data directory.
 */
export function operatorOf(options: ServerOptions): Operator {
  const url = urlOf(options);
  const session = async () => {
    const { readSession } = await import('./session-file.ts');
    return readSession(url);
  };
  const operator = createOperator({
    url,
    dataDir: dataDirOf(options),
    ...(options.dataDir === undefined && { session }),
    ...trustOf(options),
  });
  const { confirmation } = options;
  return {
    ...operator,
    async call(route, given) {
      try {
        const isGiven = confirmation !== undefined && !route.startsWith('GET ');
        return await operator.call(route, { ...given, ...(isGiven && { confirmation }) });
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'confirmation.needed') throw error;
        const { confirmed } = await import('./confirmation.ts');
        return operator.call(route, { ...given, confirmation: await confirmed(operator, error as Error, options) });
      }
    },
  };
}

/** The same for what anyone may ask: with the token if it is there. */
export function visitorOf(options: ServerOptions): Operator {
  const path = join(dataDirOf(options), 'keys', 'operator.token');
  const token = async () => {
    try {
      return (await readFile(path, 'utf8')).trim();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return '';
      throw error;
    }
  };
  return createOperator({ url: urlOf(options), token, ...trustOf(options) });
}
