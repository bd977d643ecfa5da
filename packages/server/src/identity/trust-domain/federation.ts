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
  bundles(): ReadonlyMap<string, SpiffeBundle>;
  view(): Promise<ForeignState[]>;
  /** Reads the stored bundles again. */
  refresh(): Promise<void>;
  /** Fetches what is due; one replica does, whichever comes first. */
  tick(): Promise<void>;
}

export interface ForeignState {
  name: string;
  bundleUrl: string;
  /** `waiting`: never reached so far. `stale`: older than `STALE_HINTS` refresh hints. */
  state: 'fresh' | 'stale' | 'waiting';
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
  let stored = new Map<string, { url: string; text: string; bundle: SpiffeBundle }>();
  let current: { snapshot: unknown; map: ReadonlyMap<string, SpiffeBundle> } | undefined;

  const read = async () => {
    const rows = await storage.db
      .selectFrom('foreign_bundles')
      .select(['trust_domain', 'url', 'document'])
      .where('document', 'is not', null)
      .execute();
    const next: typeof stored = new Map();
    for (const { trust_domain: name, url, document } of rows) {
      const known = stored.get(name);
      const text = document as string;
      if (known?.text === text && known.url === url) next.set(name, known);
      else next.set(name, { url, text, bundle: parseBundle(name, JSON.parse(text)) });
    }
    stored = next;
    current = undefined;
  };

  /** Only what is declared now, from where it is declared now: removing the manifest ends the trust at once. */
  const bundles = (): ReadonlyMap<string, SpiffeBundle> => {
    const snapshot = registry.snapshot();
    if (current?.snapshot !== snapshot) {
      const map = new Map<string, SpiffeBundle>();
      for (const { name, bundleUrl } of snapshot.trustDomains.values()) {
        const found = stored.get(name);
        if (found?.url === bundleUrl) map.set(name, found.bundle);
      }
      current = { snapshot, map };
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

  const refresh = read;

  await read();
  return {
    bundleOf: (name) => bundles().get(name),
    bundles,
    async view() {
      const rows = await rowsByName();
      const now = clock.now();
      return [...registry.snapshot().trustDomains.values()].map(({ name, bundleUrl }) => {
        const found = rows.get(name);
        const row = found?.url === bundleUrl ? found : undefined;
        const bundle = bundles().get(name);
        const limit = STALE_HINTS * (row?.refresh_hint_seconds ?? 0) * 1000;
        const isFresh = row?.fetched_at != null && now - row.fetched_at <= limit;
        return {
          name,
          bundleUrl,
          state: row?.fetched_at == null ? 'waiting' : isFresh ? 'fresh' : 'stale',
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
      if (left.length > 0 || fetched.some(Boolean)) await read();
    },
  };
}

/** Fetches and stores one; true when there is a new bundle. */
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
  return found.text !== known?.document;
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
