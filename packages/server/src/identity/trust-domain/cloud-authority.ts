import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { type Clock, GatehouseError, Secret } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { RotatedKeys } from '../keys/key-inventory.ts';
import { makeCloudRoot } from './authority-certificates.ts';
import { BACKDATE_MS, idOf, sealContext } from './authority-rows.ts';
import { type LeafIssuer, signLeaf } from './leaf.ts';
import { CLOCK_SKEW_MS, CLOUD_CERTIFICATE_MS, CLOUD_LEAD_MS, CLOUD_ROOT_LIFE_MS } from './limits.ts';
import { GATEHOUSE_PATH } from './spiffe-id.ts';

/**
 * The authority that clouds trust (trust anchors of IAM Roles Anywhere). It signs Gatehouse's own certificate and nothing else, and stands beside the
 * trust domain and not in it: what agents, workloads and tools are given is signed by others, so that no cloud takes it, whatever a role's
 * condition says; and what it signs is nobody to who trusts the trust domain. Rows of `signing_keys`, made at first use; being listed makes none.
 */
export interface CloudAuthority extends RotatedKeys {
  /** Gatehouse's own certificate, with a new key. */
  certificate(): Promise<{ chain: Buffer[]; privateKey: KeyObject }>;
  /** PEM of what a cloud has to trust: of the authority that signs, and of the next one where there is one. */
  anchors(): Promise<string>;
}

interface Held {
  kid: string;
  der: Buffer;
  issuer: LeafIssuer;
  createdAt: number;
  signsFrom: number;
}

/** What is sealed of one. */
interface Sealed {
  certificate: string;
  key: string;
  name: string;
  keyId: string;
  signsFrom: number;
}

const purpose = 'x509-clouds';
/** Not as an authority of the trust domain is named: a row of one kind is never read as one of the other. */
const kidOf = (der: Uint8Array) => `clouds:${idOf(der)}`;

export function createCloudAuthority({
  storage,
  sealer,
  recordChange,
  clock,
  trustDomain,
}: {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
  trustDomain: string;
}): CloudAuthority {
  async function read(): Promise<Held[]> {
    const rows = await storage.db
      .selectFrom('signing_keys')
      .select(['kid', 'sealed_private', 'created_at'])
      .where('purpose', '=', purpose)
      .execute();
    const held = rows.map(({ kid, sealed_private, created_at }): Held => {
      const sealed = JSON.parse(sealer.open(sealed_private, sealContext(kid)).reveal()) as Sealed;
      const der = Buffer.from(sealed.certificate, 'base64');
      if (kidOf(der) !== kid) throw new Error(`the authority ${kid} is sealed under another's id`);
      const [name, keyId] = [Buffer.from(sealed.name, 'base64'), Buffer.from(sealed.keyId, 'base64')];
      const issuer = { key: createPrivateKey(sealed.key), name, keyId };
      return { kid, der, issuer, createdAt: created_at, signsFrom: sealed.signsFrom };
    });
    return held.sort((a, b) => a.signsFrom - b.signsFrom || (a.kid < b.kid ? -1 : 1));
  }

  /** Also of one that is made: its time, not ours, says which signs, so that all replicas agree. */
  const signingOf = (all: readonly Held[]) => all.findLast(({ signsFrom }) => signsFrom <= clock.now()) ?? all[0];

  async function make(
    by: string,
    signsFrom: number,
    isWanted: (kids: readonly string[]) => boolean,
    obsolete: string[],
  ) {
    const now = clock.now();
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const times = { notBefore: now - BACKDATE_MS, notAfter: now + CLOUD_ROOT_LIFE_MS };
    const { der, name, keyId } = await makeCloudRoot({ trustDomain, keys, ...times });
    const kid = kidOf(der);
    const sealed: Sealed = {
      certificate: der.toString('base64'),
      key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      name: name.toString('base64'),
      keyId: keyId.toString('base64'),
      signsFrom,
    };
    await storage.transaction(async (transaction) => {
      const standing = await transaction
        .selectFrom('signing_keys')
        .select('kid')
        .where('purpose', '=', purpose)
        .execute();
      if (!isWanted(standing.map((each) => each.kid))) return;
      await recordChange(transaction, {
        operation: 'key.rotate',
        by,
        changes: [
          `X.509 authority ${kid} for clouds made, signs from ${new Date(signsFrom).toISOString()}`,
          ...obsolete.map((old) => `X.509 authority ${old} destroyed`),
        ],
      });
      if (obsolete.length > 0) await transaction.deleteFrom('signing_keys').where('kid', 'in', obsolete).execute();
      await transaction
        .insertInto('signing_keys')
        .values({
          ...{ kid, purpose, algorithm: 'ES256', state: 'held', created_at: now },
          public_jwk: JSON.stringify({ certificate: sealed.certificate }),
          sealed_private: sealer.seal(new Secret(JSON.stringify(sealed)), sealContext(kid)),
        })
        .execute();
      await storage.announce(transaction, 'key', kid, now);
    });
    return kid;
  }

  async function ensure(): Promise<Held[]> {
    const there = await read();
    if (there.length > 0) return there;
    await make('gatehouse', clock.now(), (kids) => kids.length === 0, []);
    return read();
  }

  async function signer(): Promise<Held> {
    const found = signingOf(await ensure());
    if (!found) throw new Error('an authority for clouds was made and is not there');
    return found;
  }

  return {
    purpose,
    signs: 'Gatehouse’s own certificate for clouds (IAM Roles Anywhere)',
    algorithm: 'ES256',
    async list() {
      const all = await read();
      const signing = signingOf(all);
      return all.map((each) => ({
        ...{ kid: each.kid, createdAt: each.createdAt, signsFrom: each.signsFrom },
        state: each === signing ? 'signing' : each.signsFrom > clock.now() ? 'next' : 'verifying',
      }));
    },
    refresh: async () => {},
    // A person has to tell the cloud of the next one.
    nextRotation: async () => null,
    async rotate({ by, compromised }) {
      const all = await ensure();
      const waiting = all.at(-1);
      const now = clock.now();
      if (!compromised && waiting && waiting.signsFrom > now) return { kid: waiting.kid, signsFrom: waiting.signsFrom };
      const known = all.map((each) => each.kid);
      const signing = signingOf(all);
      const obsolete = compromised ? known : all.filter((each) => each !== signing).map((each) => each.kid);
      const signsFrom = compromised ? now : now + CLOUD_LEAD_MS;
      const kid = await make(by, signsFrom, (kids) => kids.every((each) => known.includes(each)), obsolete);
      const made = (await read()).find((each) => each.kid === kid);
      if (!made)
        throw new GatehouseError('conflict', 'key.changed', 'Another one was made at this moment. Look again.');
      return { kid, signsFrom: made.signsFrom };
    },

    async certificate() {
      const { issuer } = await signer();
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const now = clock.now();
      const leaf = signLeaf(
        {
          spki: publicKey.export({ type: 'spki', format: 'der' }),
          uri: `spiffe://${trustDomain}${GATEHOUSE_PATH}`,
          serial: Buffer.concat([Buffer.from([0x03]), randomBytes(15)]),
          notBefore: now - CLOCK_SKEW_MS,
          notAfter: now + CLOUD_CERTIFICATE_MS,
        },
        issuer,
      );
      return { chain: [leaf], privateKey };
    },
    async anchors() {
      const all = await ensure();
      const signing = signingOf(all);
      const counting = all.filter((each) => each === signing || each.signsFrom > clock.now());
      return counting.map(({ der }) => new X509Certificate(der).toString()).join('');
    },
  };
}
