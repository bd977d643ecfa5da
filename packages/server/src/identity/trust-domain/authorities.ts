import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { makeIntermediate, makeRoot } from './authority-certificates.ts';
import { type Authority, BACKDATE_MS, idOf, insertAuthority, openAuthority } from './authority-rows.ts';
import { PUBLISH_LEAD_MS, SVID_MAX_TTL_MS } from './limits.ts';
import { keepElsewhere } from './root-elsewhere.ts';

/**
 * The X.509 authorities of the trust domain: roots, which are what the bundle has, and intermediates, which sign. Rows of
 * `signing_keys`; as with token signing keys, everything about one comes out of what was sealed under its id, its place in time
 * follows from the row alone, and so all replicas agree on who signs with nothing to coordinate.
 */
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
        await insertAuthority(
          { transaction, sealer, clock },
          {
            kind: 'root',
            certificate: newRoot,
            key: rootKeys.privateKey,
            issuer: null,
            signsFrom,
          },
        );
      await insertAuthority(
        { transaction, sealer, clock },
        { kind: 'intermediate', certificate, key: keys.privateKey, issuer: rootId, signsFrom },
      );
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
  const outside = keepElsewhere({
    ...dependencies,
    roots: () => roots,
    intermediates: () => intermediates,
    currentRoot,
    refresh,
  });

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
    ...outside,
    refresh,
    version: () => version,
  };
}
