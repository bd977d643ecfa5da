import { createPrivateKey, generateKeyPairSync, hash, type KeyObject, X509Certificate } from 'node:crypto';
import { type Clock, GatehouseError, Secret } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import {
  type AuthorityCertificate,
  authorityOf,
  intermediateProblem,
  makeAuthorityCsr,
  makeIntermediate,
  makeRoot,
} from './authority-certificates.ts';
import type { LeafIssuer } from './leaf.ts';
import { PUBLISH_LEAD_MS, SVID_MAX_TTL_MS } from './limits.ts';

/**
 * The X.509 authorities of the trust domain: roots, which are what the bundle has, and intermediates, which sign. Rows of
 * `signing_keys`; as with token signing keys, everything about one comes out of what was sealed under its id, its place in time
 * follows from the row alone, and so all replicas agree on who signs with nothing to coordinate.
 */
export interface Authority {
  /** SHA-256 of the certificate, base64url. */
  id: string;
  kind: 'root' | 'intermediate';
  certificate: X509Certificate;
  der: Buffer;
  /** Null for a root that is held elsewhere. */
  key: KeyObject | null;
  leafIssuer: LeafIssuer | null;
  /** The root that has signed an intermediate. */
  issuer: string | null;
  createdAt: number;
  signsFrom: number;
  notAfter: number;
}

export interface Authorities {
  /** Makes the first root and intermediate when there are none. */
  ensure(): Promise<void>;
  signer(): Authority;
  /** Roots whose SVIDs may still be alive or come to life: the trust anchors. */
  roots(): Authority[];
  list(): (Authority & { state: 'next' | 'signing' | 'verifying' })[];
  /** Never goes back; changes whenever `roots` does. Milliseconds since the epoch. */
  changedAt(): number;
  /** False for an intermediate that was destroyed: what it signed is refused here at once, whatever the root says. */
  isKnown(intermediate: Uint8Array): boolean;
  rotationDue(): boolean;
  rotate(options: { by: string; compromised?: boolean }): Promise<{ id: string; signsFrom: number }>;
  requestIntermediate(options: { by: string }): Promise<{ id: string; csr: string }>;
  importIntermediate(options: { by: string; chain: string }): Promise<{ id: string; signsFrom: number }>;
  exportRoot(options: { by: string; passphrase: string }): Promise<{ id: string; certificate: string; key: string }>;
  forgetRootKey(options: { by: string; id: string }): Promise<void>;
  refresh(): Promise<void>;
  version(): number;
}

interface Dependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  trustDomain: string;
}

const DAY_MS = 24 * 3_600_000;
/** A root may lie in a safe for long; one that is held here is replaced after a year. */
const ROOT_LIFE_MS = 3_650 * DAY_MS;
const ROOT_MAX_AGE_MS = 365 * DAY_MS;
const INTERMEDIATE_LIFE_MS = 30 * DAY_MS;
/** The life of an SVID, and the skew between replicas' clocks. */
const OVERLAP_MS = SVID_MAX_TTL_MS + 60_000;
/** An imported intermediate that lives for less would have to be replaced at once. */
const IMPORT_MIN_LIFE_MS = DAY_MS;
/** Clocks of verifiers may be behind. */
const BACKDATE_MS = 5 * 60_000;
const MIN_PASSPHRASE_CHARS = 12;
const MAX_CHAIN_CHARS = 32_768;

const sealContext = (kid: string) => `signing-key:${kid}`;

/** What is sealed of an authority. */
interface Sealed {
  certificate: string;
  key: string | null;
  issuer: string | null;
  signsFrom: number;
  name: string;
  keyId: string;
}

export async function openAuthorities(dependencies: Dependencies): Promise<Authorities> {
  const { storage, sealer, clock, recordChange, trustDomain } = dependencies;
  let roots: Authority[] = [];
  let intermediates: Authority[] = [];
  let version = 0;
  let seen = '';

  const read = async () => {
    const rows = await storage.db
      .selectFrom('signing_keys')
      .select(['kid', 'purpose', 'sealed_private', 'created_at', 'state'])
      .where('purpose', 'in', ['x509-root', 'x509-intermediate'])
      .orderBy('kid')
      .execute();
    const text = rows.map(({ kid, state }) => `${kid} ${state}`).join();
    if (text === seen) return;
    const all = rows.map((row) => openAuthority(row, sealer));
    roots = all.filter(({ kind }) => kind === 'root').sort((a, b) => a.createdAt - b.createdAt);
    intermediates = all.filter(({ kind }) => kind === 'intermediate').sort((a, b) => a.signsFrom - b.signsFrom);
    seen = text;
    version++;
  };
  // One after the other: an earlier answer that arrives late must not bring a destroyed authority back.
  let reading: Promise<void> = Promise.resolve();
  const refresh = (): Promise<void> => {
    const turn = reading.then(read);
    reading = turn.catch(() => undefined);
    return turn;
  };

  const isDone = (index: number, now: number) => {
    const successor = intermediates[index + 1];
    return successor !== undefined && successor.signsFrom + OVERLAP_MS <= now;
  };
  const alive = () => {
    const now = clock.now();
    return intermediates.filter((_, index) => !isDone(index, now));
  };
  const signer = (): Authority => {
    const now = clock.now();
    let found = intermediates[0];
    for (const each of intermediates) if (each.signsFrom <= now) found = each;
    if (!found)
      throw new GatehouseError('unavailable', 'trust-domain.no-authority', 'There is no intermediate that could sign.');
    return found;
  };
  const anchors = () => {
    const used = new Set(alive().map(({ issuer }) => issuer));
    return roots.filter(({ id }) => used.has(id));
  };
  /** The root that the newest intermediate is under. */
  const currentRoot = () => roots.find(({ id }) => id === intermediates.at(-1)?.issuer);
  const changedAt = () => {
    const now = clock.now();
    const times = [...roots, ...intermediates].flatMap(({ createdAt, signsFrom }) => [
      createdAt,
      signsFrom + OVERLAP_MS,
    ]);
    return Math.max(0, ...times.filter((at) => at <= now));
  };

  interface NewAuthority {
    kind: 'root' | 'intermediate';
    certificate: AuthorityCertificate;
    key: KeyObject | null;
    issuer: string | null;
    signsFrom: number;
  }

  const insert = async (
    transaction: DatabaseTransaction,
    { kind, certificate, key, issuer, signsFrom }: NewAuthority,
  ) => {
    const kid = idOf(certificate.der);
    const sealed: Sealed = {
      certificate: certificate.der.toString('base64'),
      key: key?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? null,
      issuer,
      signsFrom,
      name: certificate.name.toString('base64'),
      keyId: certificate.keyId.toString('base64'),
    };
    const values = {
      kid,
      purpose: `x509-${kind}`,
      algorithm: 'ES256',
      public_jwk: JSON.stringify({ certificate: sealed.certificate }),
      sealed_private: sealer.seal(new Secret(JSON.stringify(sealed)), sealContext(kid)),
      state: key ? 'held' : 'external',
      created_at: clock.now(),
    };
    await transaction
      .insertInto('signing_keys')
      .values(values)
      .onConflict((conflict) => conflict.column('kid').doNothing())
      .execute();
    return kid;
  };

  interface Make {
    by: string;
    signsFrom: number;
    /** Without one a new one is made. */
    root?: Authority;
    obsolete: string[];
    unlessThereIsOne?: boolean;
    /** Made only while there are no other intermediates: of replicas that find a rotation due at once, one makes the next. */
    seen?: string[];
  }

  /** An intermediate, and its root where there is none to use: one change, recorded and announced as one. */
  const make = async ({ by, signsFrom, root, obsolete, unlessThereIsOne, seen }: Make): Promise<string> => {
    const now = clock.now();
    const rootKeys = root ? undefined : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const times = (life: number) => ({ notBefore: now - BACKDATE_MS, notAfter: now + life });
    const newRoot = rootKeys && (await makeRoot({ trustDomain, keys: rootKeys, ...times(ROOT_LIFE_MS) }));
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const issuer = {
      certificate: (newRoot?.der ?? root?.der) as Buffer,
      key: (rootKeys?.privateKey ?? root?.key) as KeyObject,
    };
    const certificate = await makeIntermediate({ trustDomain, keys, ...times(INTERMEDIATE_LIFE_MS) }, issuer);
    const rootId = root?.id ?? idOf(issuer.certificate);
    const id = idOf(certificate.der);
    await storage.transaction(async (transaction) => {
      const standing = await transaction
        .selectFrom('signing_keys')
        .select('kid')
        .where('purpose', '=', 'x509-intermediate')
        .execute();
      if (unlessThereIsOne && standing.length > 0) return;
      if (seen && standing.some(({ kid }) => !seen.includes(kid))) return;
      await recordChange(transaction, {
        operation: 'key.rotate',
        by,
        changes: [
          ...(newRoot ? [`X.509 root ${rootId} made`] : []),
          `X.509 intermediate ${id} made under root ${rootId}, signs from ${new Date(signsFrom).toISOString()}`,
          ...obsolete.map((old) => `X.509 authority ${old} destroyed`),
        ],
      });
      if (obsolete.length > 0) await transaction.deleteFrom('signing_keys').where('kid', 'in', obsolete).execute();
      if (newRoot && rootKeys)
        await insert(transaction, {
          kind: 'root',
          certificate: newRoot,
          key: rootKeys.privateKey,
          issuer: null,
          signsFrom,
        });
      await insert(transaction, { kind: 'intermediate', certificate, key: keys.privateKey, issuer: rootId, signsFrom });
      await storage.announce(transaction, 'key', id, now);
    });
    await refresh();
    return id;
  };

  /** What nothing alive needs any more. */
  const obsolete = () => {
    const now = clock.now();
    const kept = new Set([...alive(), ...anchors()].map(({ id }) => id));
    return [...roots, ...intermediates]
      .filter(({ id, createdAt }) => !kept.has(id) && createdAt <= now)
      .map(({ id }) => id);
  };

  await refresh();

  return {
    async ensure() {
      if (intermediates.length > 0) return;
      await make({ by: 'gatehouse', signsFrom: clock.now(), obsolete: [], unlessThereIsOne: true });
    },
    signer,
    roots: anchors,
    list() {
      const signing = signer().id;
      const now = clock.now();
      const stateOf = ({ id, signsFrom }: Authority) =>
        id === signing ? ('signing' as const) : signsFrom > now ? ('next' as const) : ('verifying' as const);
      const signingRoot = signer().issuer;
      return [
        ...anchors().map((each) => ({
          ...each,
          state: each.id === signingRoot ? ('signing' as const) : stateOf(each),
        })),
        ...alive().map((each) => ({ ...each, state: stateOf(each) })),
      ];
    },
    changedAt,
    isKnown: (intermediate) => intermediates.some(({ der }) => der.equals(intermediate)),
    rotationDue() {
      const newest = intermediates.at(-1);
      return newest !== undefined && clock.now() > newest.createdAt + (newest.notAfter - newest.createdAt) / 2;
    },
    async rotate({ by, compromised = false }) {
      await refresh();
      const now = clock.now();
      const waiting = intermediates.at(-1);
      if (!compromised && waiting && waiting.signsFrom > now) return { id: waiting.id, signsFrom: waiting.signsFrom };
      const root = currentRoot();
      if (!compromised && root && !root.key)
        throw new GatehouseError(
          'conflict',
          'trust-domain.root-elsewhere',
          'The key of the root is not held here. Ask for a signing request (`gatehouse trust-domain request-intermediate`), have it signed with the root, and import the answer.',
        );
      const keepsRoot = !compromised && root && now - root.createdAt < ROOT_MAX_AGE_MS;
      // One that has run out signs nothing that anybody takes: there is nothing to overlap with.
      const signsFrom = compromised || !waiting || waiting.notAfter <= now ? now : now + PUBLISH_LEAD_MS;
      const id = await make({
        by,
        signsFrom,
        ...(keepsRoot && { root }),
        ...(!compromised && { seen: intermediates.map((each) => each.id) }),
        obsolete: compromised ? [...roots, ...intermediates].map((each) => each.id) : obsolete(),
      });
      const newest = intermediates.find((each) => each.id === id) ?? (intermediates.at(-1) as Authority);
      return { id: newest.id, signsFrom: newest.signsFrom };
    },
    async requestIntermediate({ by }) {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const csr = await makeAuthorityCsr(trustDomain, keys);
      const id = hash('sha256', keys.publicKey.export({ type: 'spki', format: 'der' }), 'base64url');
      const pem = new Secret(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
      await storage.transaction(async (transaction) => {
        await recordChange(transaction, {
          operation: 'key.request',
          by,
          changes: [`signing request for an X.509 intermediate made, key ${id}`],
        });
        // The last one counts: a request that nobody has signed must not leave keys behind for ever.
        await transaction.deleteFrom('signing_keys').where('purpose', '=', 'x509-request').execute();
        await transaction
          .insertInto('signing_keys')
          .values({
            kid: id,
            purpose: 'x509-request',
            algorithm: 'ES256',
            public_jwk: '{}',
            sealed_private: sealer.seal(pem, sealContext(id)),
            state: 'requested',
            created_at: clock.now(),
          })
          .execute();
      });
      return { id, csr };
    },
    async importIntermediate({ by, chain }) {
      const [intermediate, root] = parseChain(chain);
      const request = await storage.db
        .selectFrom('signing_keys')
        .select(['kid', 'sealed_private'])
        .where('purpose', '=', 'x509-request')
        .executeTakeFirst();
      if (!request) throw refused('nothing was requested: make a signing request first');
      const key = createPrivateKey(sealer.open(request.sealed_private, sealContext(request.kid)).reveal());
      await checkImport({ intermediate, root, key, trustDomain, now: clock.now() });
      await refresh();
      const now = clock.now();
      const signsFrom = (intermediates.at(-1)?.notAfter ?? 0) <= now ? now : now + PUBLISH_LEAD_MS;
      const rootCertificate = await authorityOf(root.raw);
      const certificate = await authorityOf(intermediate.raw);
      const [id, rootId] = [idOf(intermediate.raw), idOf(root.raw)];
      await storage.transaction(async (transaction) => {
        await recordChange(transaction, {
          operation: 'key.import',
          by,
          changes: [
            `X.509 intermediate ${id} under root ${rootId}, which is held elsewhere, signs from ${new Date(signsFrom).toISOString()}`,
          ],
        });
        await transaction.deleteFrom('signing_keys').where('kid', '=', request.kid).execute();
        await insert(transaction, { kind: 'root', certificate: rootCertificate, key: null, issuer: null, signsFrom });
        await insert(transaction, { kind: 'intermediate', certificate, key, issuer: rootId, signsFrom });
        await storage.announce(transaction, 'key', id, now);
      });
      await refresh();
      return { id, signsFrom };
    },
    async exportRoot({ by, passphrase }) {
      if (passphrase.length < MIN_PASSPHRASE_CHARS)
        throw new GatehouseError(
          'bad-request',
          'trust-domain.passphrase',
          `A passphrase for the root has at least ${MIN_PASSPHRASE_CHARS} characters.`,
        );
      await refresh();
      const root = currentRoot();
      if (!root?.key) throw notHeld();
      const { id, certificate } = root;
      const key = root.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString();
      await storage.transaction((transaction) =>
        recordChange(transaction, { operation: 'key.export', by, changes: [`key of the X.509 root ${id} exported`] }),
      );
      return { id, certificate: certificate.toString(), key };
    },
    async forgetRootKey({ by, id }) {
      await refresh();
      const root = roots.find((each) => each.id === id);
      if (!root?.key) throw notHeld();
      const { name, keyId } = await authorityOf(root.der);
      const sealed: Sealed = {
        certificate: root.der.toString('base64'),
        key: null,
        issuer: null,
        signsFrom: root.signsFrom,
        name: name.toString('base64'),
        keyId: keyId.toString('base64'),
      };
      await storage.transaction(async (transaction) => {
        const change = `key of the X.509 root ${id} removed; its certificate stays`;
        await recordChange(transaction, { operation: 'key.forget', by, changes: [change] });
        await transaction
          .updateTable('signing_keys')
          .set({ sealed_private: sealer.seal(new Secret(JSON.stringify(sealed)), sealContext(id)), state: 'external' })
          .where('kid', '=', id)
          .execute();
        await storage.announce(transaction, 'key', id, clock.now());
      });
      await refresh();
    },
    refresh,
    version: () => version,
  };
}

interface Row {
  kid: string;
  purpose: string;
  sealed_private: Uint8Array;
  created_at: number;
}

/** INVARIANT: whom we trust comes out of what was sealed, so that editing the table makes nobody an authority. */
function openAuthority(row: Row, sealer: Sealer): Authority {
  const sealed = JSON.parse(sealer.open(row.sealed_private, sealContext(row.kid)).reveal()) as Sealed;
  const der = Buffer.from(sealed.certificate, 'base64');
  if (idOf(der) !== row.kid) throw new Error(`X.509 authority ${row.kid} is sealed under another's id`);
  const certificate = new X509Certificate(der);
  const key = sealed.key === null ? null : createPrivateKey(sealed.key);
  const isRoot = sealed.issuer === null;
  return {
    id: row.kid,
    kind: isRoot ? 'root' : 'intermediate',
    certificate,
    der,
    key,
    leafIssuer:
      key && !isRoot
        ? { key, name: Buffer.from(sealed.name, 'base64'), keyId: Buffer.from(sealed.keyId, 'base64') }
        : null,
    issuer: sealed.issuer,
    createdAt: row.created_at,
    signsFrom: sealed.signsFrom,
    notAfter: certificate.validToDate.getTime(),
  };
}

const idOf = (der: Uint8Array) => hash('sha256', der, 'base64url');

function parseChain(text: string): [X509Certificate, X509Certificate] {
  const blocks =
    text.length <= MAX_CHAIN_CHARS
      ? text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g)
      : null;
  if (blocks?.length !== 2) throw refused('give the PEM of two certificates: the signed intermediate, then its root');
  try {
    const [intermediate, root] = blocks.map((block) => new X509Certificate(block));
    return [intermediate as X509Certificate, root as X509Certificate];
  } catch (cause) {
    throw refused('it is not the PEM of two certificates', cause);
  }
}

interface Import {
  intermediate: X509Certificate;
  root: X509Certificate;
  key: KeyObject;
  trustDomain: string;
  now: number;
}

async function checkImport({ intermediate, root, key, trustDomain, now }: Import): Promise<void> {
  if (!intermediate.checkPrivateKey(key)) throw refused('the intermediate is not for the key of the last request');
  if (!root.ca || !root.verify(root.publicKey)) throw refused('the root is not a self-signed authority');
  if (!intermediate.checkIssued(root) || !intermediate.verify(root.publicKey))
    throw refused('the intermediate was not signed by that root');
  const problem = await intermediateProblem(intermediate.raw, trustDomain);
  if (problem) throw refused(`of the intermediate: ${problem}`);
  for (const certificate of [intermediate, root]) {
    if (certificate.validFromDate.getTime() > now + BACKDATE_MS) throw refused('a certificate is not valid yet');
    if (certificate.validToDate.getTime() < now + PUBLISH_LEAD_MS + IMPORT_MIN_LIFE_MS)
      throw refused('a certificate expires within a day');
  }
}

const refused = (reason: string, cause?: unknown) =>
  new GatehouseError('bad-request', 'trust-domain.import', `The certificates are refused: ${reason}.`, { cause });

const notHeld = () =>
  new GatehouseError('conflict', 'trust-domain.root-elsewhere', 'The key of that root is not held here.');
