import type { KeyPurposeView } from '@gatehouse/protocol';
import { GatehouseError, type Log } from '../../platform/index.ts';
import type { SigningKeyPurpose, Storage } from '../../storage/index.ts';
import type { TrustDomain } from '../trust-domain/types.ts';
import { KEY_MAX_AGE_MS, type SigningKeys } from './signing-keys.ts';

/** The keys of one purpose, as lists show and schedules rotate them. */
export interface RotatedKeys {
  purpose: SigningKeyPurpose;
  /** What they sign, in words. */
  signs: string;
  algorithm: string;
  /** Where an algorithm or key is not rotated: why, and what to do instead. */
  whyFixed?: string;
  list(): Promise<KeyPurposeView['keys']>;
  /** A replica that missed the news of a key signs with it in time all the same. */
  refresh(): Promise<void>;
  /** Milliseconds since the epoch; null when nothing rotates it by itself. */
  nextRotation(): Promise<number | null>;
  /** Has a schedule of its own: here it is rotated on demand only. */
  hasOwnSchedule?: boolean;
  rotate(options: { by: string; compromised: boolean }): Promise<{ kid: string; signsFrom: number }>;
}

export interface KeyInventory {
  list(): Promise<KeyPurposeView[]>;
  /** Throws `key.purpose-unknown`, `key.fixed`. With `compromised` it returns when no replica accepts anything signed before. */
  rotate(
    purpose: string,
    options: { by: string; compromised: boolean },
  ): Promise<{ kid: string; signsFrom: number; acknowledged: string[]; expired: string[] }>;
  /** Rotates what has become old. Called every minute on every replica; of those that find the same key old one makes the next. */
  rotateDue(now: number): Promise<void>;
}

/** Every signing key of the house, in one place: `all` names each purpose, and a purpose that is not in it is not rotated. */
export function createKeyInventory({
  all,
  storage,
  log,
}: {
  all: readonly RotatedKeys[];
  storage: Storage;
  log: Log;
}): KeyInventory {
  return {
    list: () =>
      Promise.all(
        all.map(async (each) => ({
          purpose: each.purpose,
          signs: each.signs,
          algorithm: each.algorithm,
          keys: await each.list(),
          nextRotation: await each.nextRotation(),
          whyFixed: each.whyFixed ?? null,
        })),
      ),
    async rotate(purpose, options) {
      const keys = all.find((each) => each.purpose === purpose);
      if (!keys)
        throw new GatehouseError(
          'not-found',
          'key.purpose-unknown',
          `There are no keys for "${purpose.slice(0, 64)}". Rotate one of: ${all.flatMap(({ purpose, whyFixed }) => (whyFixed ? [] : [purpose])).join(', ')}.`,
        );
      if (keys.whyFixed) throw new GatehouseError('conflict', 'key.fixed', keys.whyFixed);
      const made = await keys.rotate(options);
      const heard = await storage.feed.waitForAll(await storage.feed.head());
      return { ...made, ...heard };
    },
    async rotateDue(now) {
      for (const keys of all.filter((each) => !each.hasOwnSchedule)) {
        const look = async () => {
          await keys.refresh();
          const at = await keys.nextRotation();
          if (at !== null && at < now) await keys.rotate({ by: 'gatehouse', compromised: false });
        };
        await look().catch((error) =>
          log.error('a signing key is due for rotation and could not be', { purpose: keys.purpose, error }),
        );
      }
    },
  };
}

export function accessTokenKeys(keys: SigningKeys): RotatedKeys {
  return {
    purpose: 'access-token',
    signs: 'access tokens',
    algorithm: 'ES256',
    list: async () => keys.list(),
    refresh: keys.refresh,
    nextRotation: async () => keys.nextRotation(),
    rotate: keys.rotate,
  };
}

/**
 * A log and its key are one (C2SP: the key's name is the log's, and whoever has the public key can check every checkpoint ever signed),
 * so that a key which could be changed would be a way to start the past anew.
 */
export function logKeys(storage: Storage): RotatedKeys {
  const whyFixed =
    'A log keeps its key for as long as it lives: verifiers hold it, and a log with another key is another log. To change it, start the server as a replica with another name: it opens a new log with a new key, and the old log stays verifiable with its own.';
  return {
    purpose: 'log',
    signs: 'checkpoints of the logs',
    algorithm: 'Ed25519',
    whyFixed,
    async list() {
      const rows = await storage.db
        .selectFrom('signing_keys')
        .select(['kid', 'created_at'])
        .where('purpose', '=', 'log')
        .orderBy('created_at')
        .execute();
      return rows.map(({ kid, created_at }) => ({
        kid,
        state: 'signing' as const,
        createdAt: created_at,
        signsFrom: created_at,
      }));
    },
    refresh: async () => {},
    nextRotation: async () => null,
    rotate: async () => Promise.reject(new GatehouseError('conflict', 'key.fixed', whyFixed)),
  };
}

/** A workspace that uses no SVIDs has no keys for them, and being listed makes none. */
export function trustDomainKeys(
  trustDomain: TrustDomain,
  { storage, keyMaxAgeMs = KEY_MAX_AGE_MS }: { storage: Storage; keyMaxAgeMs?: number | undefined },
): RotatedKeys[] {
  const viewed = async (purpose: SigningKeyPurpose) => {
    const row = await storage.db
      .selectFrom('signing_keys')
      .select('kid')
      .where('purpose', '=', purpose)
      .executeTakeFirst();
    return row && trustDomain.view();
  };
  const rotated = async (made: Promise<{ id: string; signsFrom: number }>) => {
    const { id, signsFrom } = await made;
    return { kid: id, signsFrom };
  };
  const x509 = <Kind extends 'root' | 'intermediate'>(kind: Kind) => {
    const authorities = async () =>
      ((await viewed(`x509-${kind}`))?.authorities ?? []).filter((each) => each.kind === kind);
    return {
      authorities,
      purpose: `x509-${kind}` as const,
      algorithm: 'ES256',
      hasOwnSchedule: true,
      refresh: async () => {},
      list: async () =>
        (await authorities()).map(({ id, state, createdAt, signsFrom }) => ({ kid: id, state, createdAt, signsFrom })),
    };
  };
  const root = x509('root');
  const intermediate = x509('intermediate');
  const whyFixed =
    'The root changes with its intermediates: once a year when its key is held here, or at once when the key of the intermediate is said to be compromised. A root that is held elsewhere is changed by importing an intermediate of the next one.';
  return [
    {
      ...root,
      signs: 'X.509 intermediates',
      whyFixed,
      nextRotation: async () => null,
      rotate: async () => Promise.reject(new GatehouseError('conflict', 'key.fixed', whyFixed)),
    },
    {
      ...intermediate,
      signs: 'X.509-SVIDs',
      async nextRotation() {
        const newest = (await intermediate.authorities()).at(-1);
        return newest ? newest.createdAt + (newest.notAfter - newest.createdAt) / 2 : null;
      },
      rotate: (options) => rotated(trustDomain.rotate(options)),
    },
    {
      purpose: 'jwt-svid',
      signs: 'JWT-SVIDs',
      algorithm: 'ES256',
      hasOwnSchedule: true,
      refresh: async () => {},
      list: async () => ((await viewed('jwt-svid'))?.jwtKeys ?? []).map(({ id, ...key }) => ({ ...key, kid: id })),
      async nextRotation() {
        const newest = (await viewed('jwt-svid'))?.jwtKeys.at(-1);
        return newest ? newest.createdAt + keyMaxAgeMs : null;
      },
      rotate: (options) => rotated(trustDomain.rotateJwt(options)),
    },
  ];
}
