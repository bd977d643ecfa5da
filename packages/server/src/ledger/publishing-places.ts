import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createLane, createObjectStorage, GatehouseError, type ObjectStorage } from '../platform/index.ts';
import { ledgerLimits } from './limits.ts';
import type { LogResource } from './types.ts';

/** Where a log is published. Paths are made of our own names only. */
export interface PublishingPlace {
  readonly name: string;
  read(path: string): Promise<Buffer | undefined>;
  /** Durable when it resolves; a reader sees the old or the new, never a part. */
  write(path: string, resource: LogResource): Promise<void>;
  removeBelow(path: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * `DIRECTORY`, or `s3://BUCKET/PREFIX?region=REGION&endpoint=URL` (also by `AWS_REGION` and `AWS_ENDPOINT_URL_S3`; credentials as for AWS).
 * Throws `publish.place`.
 */
export function openPublishingPlace(
  place: string,
  environment: Record<string, string | undefined>,
  timeoutMs: number = ledgerLimits.publishTimeoutMs,
): PublishingPlace {
  if (!place.startsWith('s3://')) return oneAtATime(directoryPlace(resolve(place)), timeoutMs);
  const url = URL.parse(place);
  const bad = (why: string) =>
    new GatehouseError('bad-request', 'publish.place', `"${place}" is no place to publish the log at: ${why}.`);
  if (!url || url.hostname === '') throw bad('it is not s3://BUCKET/PREFIX');
  const unknown = [...url.searchParams.keys()].find((name) => !['region', 'endpoint'].includes(name));
  if (unknown !== undefined) throw bad(`there is no "${unknown}" of it; region and endpoint are`);
  const region = url.searchParams.get('region') ?? environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION;
  if (!region) throw bad('it has no region (?region=…, or AWS_REGION)');
  const endpoint =
    url.searchParams.get('endpoint') ?? environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL ?? undefined;
  const objects = createObjectStorage({
    bucket: url.hostname,
    region,
    environment,
    timeoutMs,
    ...(endpoint !== undefined && { endpoint }),
  });
  return objectPlace(
    objects,
    `s3://${url.hostname}${url.pathname}`.replace(/\/+$/, ''),
    url.pathname.replace(/^\/+|\/+$/g, ''),
  );
}

function directoryPlace(directory: string): PublishingPlace {
  return {
    name: directory,
    async read(path) {
      try {
        return await readFile(join(directory, path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async write(path, { body }) {
      const file = join(directory, path);
      const folder = dirname(file);
      // For others to read, whatever else this server writes is not.
      await mkdir(folder, { recursive: true, mode: 0o755 });
      const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
      try {
        const handle = await open(temporary, 'wx', 0o644);
        try {
          await handle.writeFile(body);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, file);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncDirectory(folder);
    },
    removeBelow: (path) => rm(join(directory, path), { recursive: true, force: true }),
    close: async () => undefined,
  };
}

/** Whatever becomes of the directory. */
function oneAtATime(place: PublishingPlace, timeoutMs: number): PublishingPlace {
  const lane = createLane(() => new Error(`${place.name} does not answer; publishing waits for it`));
  const inTurn = <T>(operation: () => Promise<T>) => lane.run(operation, timeoutMs);
  return {
    name: place.name,
    read: (path) => inTurn(() => place.read(path)),
    write: (path, resource) => inTurn(() => place.write(path, resource)),
    removeBelow: (path) => inTurn(() => place.removeBelow(path)),
    close: () => place.close(),
  };
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function objectPlace(objects: ObjectStorage, name: string, prefix: string): PublishingPlace {
  const key = (path: string) => (prefix === '' ? path : `${prefix}/${path}`);
  return {
    name,
    read: (path) => objects.get(key(path)),
    write: (path, { body, contentType, immutable }) =>
      objects.put(key(path), body, {
        contentType,
        cacheControl: immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
      }),
    async removeBelow(path) {
      for (const each of await objects.list(`${key(path)}/`)) await objects.remove(each);
    },
    close: () => objects.close(),
  };
}
