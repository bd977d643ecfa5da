import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { type Clock, limits, Secret } from '../../platform/index.ts';
import type { RecordChange, Sealer, SigningKeyPurpose, Storage } from '../../storage/index.ts';
import { jwkThumbprint, publicKeyMembers, rsaKeyMembers } from '../tokens/jws.ts';

/** Public half of a signing key as published (RFC 7517). */
export type PublishedKey = { kid: string; use: 'sig' } & (
  | { kty: 'EC'; crv: 'P-256'; x: string; y: string; alg: 'ES256' }
  | { kty: 'RSA'; n: string; e: string; alg: 'RS256' }
);

export interface SigningKeys {
  /** Every key that may have signed a token still alive, and the next one before it signs. */
  jwks(): { keys: PublishedKey[] };
  /** The key that signs now. */
  signer(): { kid: string; key: KeyObject };
  /** Changes whenever the set of keys does: what was verified under another version is verified again. */
  version(): number;
  /**
   * Makes the next key. It is published now and signs after `PUBLISH_LEAD_MS`; the old one stays until its last token has expired.
   * While a next key waits, it is given back and none is made. With `compromised` every key of now is destroyed at once, and with
   * it every token, and the new one signs immediately.
   */
  rotate(options: { by: string; compromised?: boolean }): Promise<{ kid: string; signsFrom: number }>;
  /** When the newest key will be old enough to be followed by another. Milliseconds since the epoch. */
  nextRotation(): number;
  rotationDue(): boolean;
  /** Every key that is not done, oldest first, with its place in time (milliseconds since the epoch). */
  list(): { kid: string; state: 'next' | 'signing' | 'verifying'; createdAt: number; signsFrom: number }[];
  /** Reads the keys again; called when the change feed names topic `key`, and now and then in case it was missed. */
  refresh(): Promise<void>;
  /** Undefined when no token signed by that key may be accepted. Reads the keys again for an unknown one, but not often. */
  verifier(kid: string): Promise<KeyObject | undefined>;
}

/** How long a new key is published before it signs: longer than any cache of the JWKS document may be kept. */
export const PUBLISH_LEAD_MS = 10 * 60_000;
/** `max-age` of the JWKS document. */
export const JWKS_MAX_AGE_SECONDS = 300;
/** How often an unknown key id may make us look for new keys: anyone can invent one. */
const LOOK_AGAIN_MS = 5_000;
/** After this a key is followed by another, unless it was configured otherwise. */
export const KEY_MAX_AGE_MS = 30 * 24 * 3_600_000;
/** A token's life, and the skew between replicas' clocks. */
const OVERLAP_MS = limits.tokenTtlSeconds * 1000 + 60_000;

const RSA_BITS = 2_048;

/** What the keys of one kind are for, and how long what they sign may be out there. */
export interface KeyPurpose {
  /** `purpose` among all signing keys. */
  name: SigningKeyPurpose;
  /** For the record: `token signing key`. */
  label: string;
  algorithm: 'ES256' | 'RS256';
  publishLeadMs: number;
  overlapMs: number;
}

const accessTokens: KeyPurpose = {
  name: 'access-token',
  label: 'token signing key',
  algorithm: 'ES256',
  publishLeadMs: PUBLISH_LEAD_MS,
  overlapMs: OVERLAP_MS,
};

const sealContext = (kid: string) => `signing-key:${kid}`;

interface Key {
  published: PublishedKey;
  public: KeyObject;
  private: KeyObject;
  createdAt: number;
  /** Follows from the row alone, so that all replicas agree on it with nothing to coordinate. */
  signsFrom: number;
}

interface Dependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  keyMaxAgeMs?: number | undefined;
}

/** Opens the workspace's signing keys of one purpose (of access tokens by default); makes the first one when there is none. */
export async function openSigningKeys(
  dependencies: Dependencies,
  purpose: KeyPurpose = accessTokens,
): Promise<SigningKeys> {
  const { storage, sealer, clock } = dependencies;
  let keys: Key[] = [];
  let version = 0;
  let readAt = 0;

  const read = async () => {
    readAt = clock.now();
    const rows = await storage.db
      .selectFrom('signing_keys')
      .select(['kid', 'sealed_private', 'state', 'created_at'])
      .where('purpose', '=', purpose.name)
      .execute();
    const opened = new Map(keys.map((key) => [key.published.kid, key]));
    const current = rows.map((row) => opened.get(row.kid) ?? openKey(row, sealer, purpose));
    const isSame = current.length === keys.length && current.every((key) => opened.has(key.published.kid));
    if (isSame) return;
    keys = current.sort((a, b) => a.signsFrom - b.signsFrom);
    version++;
  };

  // One after the other: an earlier answer that arrives late must not bring a destroyed key back.
  let reading: Promise<void> = Promise.resolve();
  const refresh = (): Promise<void> => {
    const turn = reading.then(read);
    reading = turn.catch(() => undefined);
    return turn;
  };

  /** The newest that may sign; its predecessors only verify. */
  const signerIndex = (now: number) => {
    let index = 0;
    for (let at = 1; at < keys.length; at++) if ((keys[at] as Key).signsFrom <= now) index = at;
    return index;
  };

  /** A key is done when the one after it has signed for so long that no token of the former can be alive. */
  const isDone = (index: number, now: number) => {
    const successor = keys[index + 1];
    return successor !== undefined && successor.signsFrom + purpose.overlapMs <= now;
  };

  await refresh();
  if (keys.length === 0) {
    await makeKey(dependencies, purpose, { by: 'gatehouse', state: 'immediate', unlessThereIsOne: true });
    await refresh();
  }

  const nextRotation = () => (keys.at(-1) as Key).createdAt + (dependencies.keyMaxAgeMs ?? KEY_MAX_AGE_MS);
  const find = (kid: string) => {
    const index = keys.findIndex((key) => key.published.kid === kid);
    // Nothing that it signed can be alive: what bears its name now was made with a stolen key.
    return index === -1 || isDone(index, clock.now()) ? undefined : (keys[index] as Key).public;
  };

  return {
    jwks() {
      const now = clock.now();
      return { keys: keys.filter((_, index) => !isDone(index, now)).map((key) => key.published) };
    },
    signer() {
      const key = keys[signerIndex(clock.now())] as Key;
      return { kid: key.published.kid, key: key.private };
    },
    async verifier(kid) {
      if (!find(kid) && clock.now() - readAt >= LOOK_AGAIN_MS) await refresh();
      return find(kid);
    },
    version: () => version,
    nextRotation,
    rotationDue: () => clock.now() > nextRotation(),
    async rotate({ by, compromised = false }) {
      await refresh();
      const now = clock.now();
      const waiting = keys.at(-1) as Key;
      if (!compromised && waiting.signsFrom > now) return { kid: waiting.published.kid, signsFrom: waiting.signsFrom };
      const done = keys.filter((_, index) => isDone(index, now)).map((key) => key.published.kid);
      await makeKey(dependencies, purpose, {
        by,
        state: compromised ? 'immediate' : 'scheduled',
        ...(compromised ? { destroysAll: true } : { obsolete: done, seen: keys.map((key) => key.published.kid) }),
      });
      await refresh();
      const newest = keys.at(-1) as Key;
      return { kid: newest.published.kid, signsFrom: newest.signsFrom };
    },
    list() {
      const now = clock.now();
      const signing = signerIndex(now);
      return keys
        .map(({ published, createdAt, signsFrom }, index) => ({
          kid: published.kid,
          state:
            index === signing ? ('signing' as const) : signsFrom > now ? ('next' as const) : ('verifying' as const),
          createdAt,
          signsFrom,
        }))
        .filter((_, index) => !isDone(index, now));
    },
    refresh,
  };
}

interface Row {
  kid: string;
  sealed_private: Uint8Array;
  state: string;
  created_at: number;
}

/** INVARIANT: everything about a key comes out of what was sealed under its id, so that editing the table makes no key trusted. */
function openKey(row: Row, sealer: Sealer, { publishLeadMs, algorithm }: KeyPurpose): Key {
  const privateKey = createPrivateKey(sealer.open(row.sealed_private, sealContext(row.kid)).reveal());
  const publicKey = createPublicKey(privateKey);
  const published = publish(publicKey, algorithm);
  if (published.kid !== row.kid) throw new Error(`signing key ${row.kid} is sealed under another key's id`);
  return {
    published,
    public: publicKey,
    private: privateKey,
    createdAt: row.created_at,
    signsFrom: row.created_at + (row.state === 'scheduled' ? publishLeadMs : 0),
  };
}

function publish(key: KeyObject, algorithm: KeyPurpose['algorithm']): PublishedKey {
  const jwk = key.export({ format: 'jwk' });
  if (algorithm === 'RS256') {
    const members = rsaKeyMembers(jwk);
    return { ...members, kid: jwkThumbprint(members), use: 'sig', alg: 'RS256' };
  }
  const members = publicKeyMembers(jwk);
  if (typeof members === 'string' || members.kty !== 'EC') throw new Error('a token signing key is not a P-256 key');
  return { ...members, kid: jwkThumbprint(members), use: 'sig', alg: 'ES256' };
}

const generate = promisify(generateKeyPair);
const newPair = (algorithm: KeyPurpose['algorithm']) =>
  algorithm === 'RS256' ? generate('rsa', { modulusLength: RSA_BITS }) : generate('ec', { namedCurve: 'P-256' });

interface NewKey {
  by: string;
  state: 'immediate' | 'scheduled';
  obsolete?: string[];
  /** Every key of the purpose, those that this replica has not heard of yet included. */
  destroysAll?: boolean;
  /** Made only while there are no others: of replicas that find a rotation due at once, one makes the key. */
  seen?: string[];
  unlessThereIsOne?: boolean;
}

async function makeKey(
  dependencies: Dependencies,
  purpose: KeyPurpose,
  { by, state, obsolete: done = [], destroysAll, seen, unlessThereIsOne }: NewKey,
): Promise<void> {
  const { storage, recordChange, sealer, clock } = dependencies;
  const pair = await newPair(purpose.algorithm);
  const published = publish(pair.publicKey, purpose.algorithm);
  const { kid } = published;
  const pem = new Secret(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const sealed = sealer.seal(pem, sealContext(kid));

  await storage.transaction(async (transaction) => {
    const now = clock.now();
    const standing = await transaction
      .selectFrom('signing_keys')
      .select('kid')
      .where('purpose', '=', purpose.name)
      .execute();
    if (unlessThereIsOne && standing.length > 0) return;
    if (seen && standing.some((key) => !seen.includes(key.kid))) return;
    const obsolete = destroysAll ? standing.map((key) => key.kid) : done;
    await recordChange(transaction, {
      operation: 'key.rotate',
      by,
      changes: [
        `${purpose.label} ${kid} made, ${state === 'scheduled' ? `signs after ${purpose.publishLeadMs / 60_000} minutes` : 'signs from now on'}`,
        ...obsolete.map((old) => `${purpose.label} ${old} destroyed`),
      ],
    });
    if (obsolete.length > 0) await transaction.deleteFrom('signing_keys').where('kid', 'in', obsolete).execute();
    await transaction
      .insertInto('signing_keys')
      .values({
        kid,
        purpose: purpose.name,
        algorithm: purpose.algorithm,
        public_jwk: JSON.stringify(published),
        sealed_private: sealed,
        state,
        created_at: now,
      })
      .execute();
    await storage.announce(transaction, 'key', kid, now);
  });
}
