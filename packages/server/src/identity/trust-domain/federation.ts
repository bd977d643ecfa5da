import type { TrustDomainManifest } from '@gatehouse/protocol';
import { type Clock, GatehouseError, type Log, type Outbound, parseStrictJson } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { RecordChange, Storage, Tables } from '../../storage/index.ts';
import { MalformedBundle, parseBundle, type SpiffeBundle } from './bundle.ts';
import { trustDomainLimits } from './limits.ts';

/**
 * Bundles of foreign trust domains (SPIFFE Federation §5, profile https_web): fetched from the address that an operator has declared,
 * kept in the database, so that neither their outage nor our restart changes who is trusted; and never from a redirect.
 */
export interface Federation {
  bundleOf(trustDomain: string): SpiffeBundle | undefined;
  /** Those that count now. */
  bundles(): ReadonlyMap<string, SpiffeBundle>;
  /** When its last good bundle stops to count unless its endpoint answers before. Milliseconds since the epoch. */
  trustedUntil(trustDomain: string): number;
  view(): Promise<ForeignState[]>;
  /** Reads the stored bundles again. */
  refresh(): Promise<void>;
  /** Fetches what is due; one replica does, whichever comes first. */
  tick(): Promise<void>;
}

export interface ForeignState {
  name: string;
  bundleUrl: string;
  /** `waiting`: never reached so far. `stale`: older than `STALE_HINTS` refresh hints. `expired`: so old that it counts for nothing. */
  state: 'fresh' | 'stale' | 'expired' | 'waiting';
  /** Until then its last bundle counts, if it is not fetched again. */
  trustedUntil: number | null;
  sequence: number | null;
  x509Roots: number;
  jwtKeys: number;
  fetchedAt: number | null;
  triedAt: number | null;
  problem: string | null;
}

interface Dependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  outbound: Outbound;
  clock: Clock;
  log: Log;
}

/** After a failure, and before the first success, it is asked again sooner. */
const RETRY_MS = 30_000;
const STALE_HINTS = 3;
const FORGET_AFTER_MS = 60_000;

export async function openFederation(dependencies: Dependencies): Promise<Federation> {
  const { storage, registry, clock, log } = dependencies;
  let stored = new Map<string, Stored>();
  let current: { snapshot: unknown; map: ReadonlyMap<string, SpiffeBundle>; until: number } | undefined;

  const read = async () => {
    const rows = await storage.db
      .selectFrom('foreign_bundles')
      .select(['trust_domain', 'url', 'document', 'fetched_at', 'refresh_hint_seconds'])
      .where('document', 'is not', null)
      .execute();
    const next: typeof stored = new Map();
    for (const row of rows) {
      const { trust_domain: name, url } = row;
      const known = stored.get(name);
      const text = row.document as string;
      const isKnown = known?.text === text && known.url === url;
      const bundle = isKnown ? known.bundle : parseBundle(name, JSON.parse(text));
      next.set(name, { url, text, bundle, trustedUntil: trustedUntilOf(row) });
    }
    stored = next;
    current = undefined;
  };

  /** Only what is declared now, from where it is declared now: removing the manifest ends the trust at once. */
  const bundles = (): ReadonlyMap<string, SpiffeBundle> => {
    const snapshot = registry.snapshot();
    const now = clock.now();
    if (current?.snapshot !== snapshot || current.until <= now) {
      const map = new Map<string, SpiffeBundle>();
      let until = Infinity;
      for (const { name, bundleUrl } of snapshot.trustDomains.values()) {
        const found = stored.get(name);
        // INVARIANT: a bundle that nobody could fetch again for so long may have keys that were withdrawn since, and counts for nothing.
        if (found?.url !== bundleUrl || found.trustedUntil <= now) continue;
        map.set(name, found.bundle);
        until = Math.min(until, found.trustedUntil);
      }
      current = { snapshot, map, until };
    }
    return current.map;
  };

  const rowsByName = async () =>
    new Map(
      (await storage.db.selectFrom('foreign_bundles').selectAll().execute()).map((row) => [row.trust_domain, row]),
    );

  const isDue = (manifest: TrustDomainManifest, row: Tables['foreign_bundles'] | undefined, now: number) =>
    !row ||
    row.url !== manifest.bundleUrl ||
    row.tried_at + (row.problem === null ? row.refresh_hint_seconds * 1000 : RETRY_MS) <= now;

  // One after the other: an earlier answer that arrives late must not bring withdrawn keys back.
  let reading: Promise<void> = Promise.resolve();
  const refresh = (): Promise<void> => {
    const turn = reading.then(read);
    reading = turn.catch(() => undefined);
    return turn;
  };

  await refresh();
  return {
    bundleOf: (name) => bundles().get(name),
    bundles,
    trustedUntil: (name) => stored.get(name)?.trustedUntil ?? 0,
    async view() {
      const rows = await rowsByName();
      const now = clock.now();
      return [...registry.snapshot().trustDomains.values()].map(({ name, bundleUrl }) => {
        const found = rows.get(name);
        const row = found?.url === bundleUrl ? found : undefined;
        const bundle = bundles().get(name);
        const limit = STALE_HINTS * (row?.refresh_hint_seconds ?? 0) * 1000;
        const isFresh = row?.fetched_at != null && now - row.fetched_at <= limit;
        const trustedUntil = row?.fetched_at == null ? null : trustedUntilOf(row);
        const isTrusted = trustedUntil !== null && trustedUntil > now;
        return {
          name,
          bundleUrl,
          state: trustedUntil === null ? 'waiting' : isFresh ? 'fresh' : isTrusted ? 'stale' : 'expired',
          trustedUntil,
          sequence: row?.sequence ?? null,
          x509Roots: bundle?.roots.length ?? 0,
          jwtKeys: bundle?.jwtKeys.size ?? 0,
          fetchedAt: row?.fetched_at ?? null,
          triedAt: row?.tried_at ?? null,
          problem: row?.problem ?? null,
        } satisfies ForeignState;
      });
    },
    refresh,
    async tick() {
      const now = clock.now();
      const declared = [...registry.snapshot().trustDomains.values()];
      const rows =
        declared.length > 0 || stored.size > 0 ? await rowsByName() : new Map<string, Tables['foreign_bundles']>();
      // A replica that has not heard of a new declaration yet must not throw away what another has just fetched for it.
      const left = [...rows.values()]
        .filter(
          (row) => row.tried_at + FORGET_AFTER_MS <= now && !declared.some(({ name }) => name === row.trust_domain),
        )
        .map((row) => row.trust_domain);
      if (left.length > 0) await storage.db.deleteFrom('foreign_bundles').where('trust_domain', 'in', left).execute();
      const due = declared.filter((manifest) => isDue(manifest, rows.get(manifest.name), now));
      const fetched = await Promise.all(
        due.map((manifest) =>
          update(dependencies, manifest, rows.get(manifest.name), now).catch((error) => {
            log.warn('a federated bundle could not be stored', { trustDomain: manifest.name, error });
            return false;
          }),
        ),
      );
      // Another replica may have fetched what is as old as this one knows.
      const isNews = [...rows.values()].some((row) => {
        const known = stored.get(row.trust_domain);
        return known !== undefined && known.trustedUntil !== trustedUntilOf(row);
      });
      if (left.length > 0 || isNews || fetched.some(Boolean)) await refresh();
    },
  };
}

interface Stored {
  url: string;
  text: string;
  bundle: SpiffeBundle;
  trustedUntil: number;
}

/** Long enough for an outage over a night; and never so short that one missed fetch ends the trust. */
const trustedUntilOf = (row: Pick<Tables['foreign_bundles'], 'fetched_at' | 'refresh_hint_seconds'>): number =>
  (row.fetched_at ?? 0) +
  1_000 * Math.max(trustDomainLimits.bundleStaleSeconds, STALE_HINTS * row.refresh_hint_seconds);

/** Fetches and stores one; true when its endpoint has answered with a bundle. */
async function update(
  dependencies: Dependencies,
  manifest: TrustDomainManifest,
  row: Tables['foreign_bundles'] | undefined,
  now: number,
): Promise<boolean> {
  const { storage, log } = dependencies;
  const { name, bundleUrl } = manifest;
  const known = row?.url === bundleUrl ? row : undefined;
  if (!(await claim(storage, manifest, row, now))) return false;
  let found: { text: string; bundle: SpiffeBundle };
  try {
    found = await fetchBundle(dependencies, manifest);
    const last = known?.sequence ?? null;
    if (last !== null && (found.bundle.sequence ?? -1) < last)
      throw new MalformedBundle(
        `its sequence ${found.bundle.sequence ?? '(none)'} is behind the ${last} that was seen: an old bundle is not taken`,
      );
  } catch (error) {
    if (!(error instanceof GatehouseError) && !(error instanceof MalformedBundle)) throw error;
    const problem = error.message.slice(0, 500);
    log.warn('a federated bundle could not be fetched; the last good one stays', { trustDomain: name, problem });
    await storage.db.updateTable('foreign_bundles').set({ problem }).where('trust_domain', '=', name).execute();
    return false;
  }
  await store(dependencies, manifest, known, found, now);
  return true;
}

/** One of the replicas that find it due: the one whose write finds `tried_at` as it was. */
async function claim(
  storage: Storage,
  { name, bundleUrl }: TrustDomainManifest,
  row: Tables['foreign_bundles'] | undefined,
  now: number,
): Promise<boolean> {
  if (!row) {
    const { numInsertedOrUpdatedRows } = await storage.db
      .insertInto('foreign_bundles')
      .values({
        trust_domain: name,
        url: bundleUrl,
        document: null,
        sequence: null,
        refresh_hint_seconds: trustDomainLimits.bundleRefreshHintSeconds,
        fetched_at: null,
        tried_at: now,
        problem: 'it was not reached yet',
      })
      .onConflict((conflict) => conflict.column('trust_domain').doNothing())
      .executeTakeFirst();
    return numInsertedOrUpdatedRows === 1n;
  }
  // Another address is another endpoint: nothing of the old one counts there.
  const anew =
    row.url === bundleUrl
      ? {}
      : { url: bundleUrl, document: null, sequence: null, fetched_at: null, problem: 'it was not reached yet' };
  const { numUpdatedRows } = await storage.db
    .updateTable('foreign_bundles')
    .set({ tried_at: now, ...anew })
    .where('trust_domain', '=', name)
    .where('tried_at', '=', row.tried_at)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

async function fetchBundle({ outbound }: Dependencies, manifest: TrustDomainManifest) {
  const { name, bundleUrl, ca, allowPrivateAddress } = manifest;
  // §5.2.1: the server is authenticated by its certificate for this very host; a bundle is never taken from elsewhere.
  if (!bundleUrl.startsWith('https://') && !allowPrivateAddress) throw new MalformedBundle('its address is not https');
  const answer = await outbound.fetch(bundleUrl, {
    allowPrivateAddress,
    ...(ca !== undefined && { ca }),
    maxBytes: trustDomainLimits.bundleBytes,
  });
  if (answer.status !== 200)
    throw new MalformedBundle(
      `its endpoint answered ${answer.status}${answer.status >= 300 && answer.status < 400 ? ', and redirects are not followed' : ''}`,
    );
  const json = parseStrictJson(answer.body, 8);
  return { text: JSON.stringify(json), bundle: parseBundle(name, json) };
}

async function store(
  { storage, recordChange }: Dependencies,
  { name, bundleUrl }: TrustDomainManifest,
  known: Tables['foreign_bundles'] | undefined,
  { text, bundle }: { text: string; bundle: SpiffeBundle },
  now: number,
): Promise<void> {
  const values = {
    sequence: bundle.sequence,
    refresh_hint_seconds: bundle.refreshHintSeconds,
    fetched_at: now,
    problem: null,
  };
  if (text === known?.document) {
    await storage.db.updateTable('foreign_bundles').set(values).where('trust_domain', '=', name).execute();
    return;
  }
  await storage.transaction(async (transaction) => {
    await recordChange(transaction, {
      operation: 'trust-domain.bundle',
      by: 'gatehouse',
      changes: [
        `bundle of ${name} from ${bundleUrl}: sequence ${bundle.sequence ?? '(none)'}, ${bundle.roots.length} X.509 roots, ${bundle.jwtKeys.size} JWT keys`,
      ],
    });
    await transaction
      .updateTable('foreign_bundles')
      .set({ ...values, document: text })
      .where('trust_domain', '=', name)
      .where('url', '=', bundleUrl)
      .execute();
    await storage.announce(transaction, 'key', `bundle:${name}`, now);
  });
}
