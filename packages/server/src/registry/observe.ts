import type { ToolServerManifest } from '@gatehouse/protocol';
import { canonicalJson, digestJson, GatehouseError, type Json, limits } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import { announce, type ChangeSet, type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';
import { type DefinitionRow, fromDefinitionRow, type StoredDefinition, toDefinitionRow } from './definition-rows.ts';
import { isGranted, judge, lookAlikesOf, reasonsHeld, servedTwice } from './judge.ts';
import { fromObjectRow } from './objects.ts';
import type { DefinitionKind, PinnedDefinition, ServedDefinition } from './types.ts';
import { validateWithin } from './validate.ts';

/** One definition: the largest schema in the wild is a tenth of this, and every one is held in memory. */
export const DEFINITION_BYTES = 256 * 1024;
/** Definitions of one server, of all kinds together. */
const DEFINITIONS_PER_SERVER = 2 * limits.toolsPerServer;
/** Those that were ever approved are kept when they go missing: a server must not fill the house by serving others each time. */
const DEFINITIONS_KEPT = 4 * DEFINITIONS_PER_SERVER;

export interface Observation {
  server: string;
  served: readonly ServedDefinition[];
  /** Who looked. What is approved at first sight is approved by who applied the manifest. */
  by: string;
  now: number;
  changes: ChangeSet;
  /** False: nothing becomes approved, whatever the manifest says. */
  mayApprove: boolean;
  /** Kinds that `served` is complete for; all by default. */
  kinds?: readonly DefinitionKind[];
}

/** Compares what a server serves with what is pinned, and stores what that makes of it. Returns what is newly held. */
export async function observe(
  context: Context,
  server: string,
  given: readonly ServedDefinition[],
  by: string,
  kinds?: readonly DefinitionKind[],
): Promise<PinnedDefinition[]> {
  const attempt = (mayApprove: boolean) =>
    context.storage.transaction(async (transaction) => {
      const changes = emptyChangeSet();
      const now = context.clock.now();
      const observation: Observation = { server, served: given, by, now, changes, mayApprove };
      if (kinds) observation.kinds = kinds;
      const held = await observeWithin(transaction, observation);
      await flush(context, transaction, changes);
      // What is only held narrows what can be done, and must be held whatever the policies say.
      if (mayApprove) await validateWithin(context, transaction, changes);
      return { held, changes };
    });
  const { held, changes } = await attempt(true).catch((error) => {
    // A server's schema that no policy fits must not stop the house: it waits for a person, who is then told why.
    if (!(error instanceof GatehouseError) || error.kind !== 'bad-request' || !context.validate) throw error;
    context.log.warn('definitions do not fit the policies, and are held', { server, reason: error.message });
    return attempt(false);
  });
  await showOwn(context, changes);
  return held;
}

export async function observeWithin(
  transaction: DatabaseTransaction,
  observation: Observation,
): Promise<PinnedDefinition[]> {
  const { server, kinds } = observation;
  const served = digested(server, observation.served, kinds);
  const { manifest, appliedBy } = await readServer(transaction, server);
  const stored = await readRows(transaction, server);
  const all = new Map(stored.map((definition) => [idOf(definition), definition]));
  for (const [id, { kind, name }] of served) {
    if (!all.has(id)) all.set(id, newDefinition(server, kind, name, observation.now));
  }
  const lookAlikes = lookAlikesOf(all.values());
  const known = new Set(stored);
  const results: Result[] = [];
  for (const [id, before] of all) {
    if (kinds && !kinds.includes(before.kind)) continue;
    const now = served.get(id)?.pinned ?? null;
    const definition = { ...before, served: now, reviewedAt: reviewThatStands(before, now) };
    const judged = judge({ manifest, definition, lookAlikes: lookAlikes(before), firstSight: !known.has(before) });
    if (judged.approves && !observation.mayApprove) Object.assign(judged, { state: 'held', approves: false });
    results.push({ before, definition, ...judged });
  }
  return settle(transaction, { manifest, results, approver: appliedBy, known, ...observation });
}

/**
 * After a manifest was applied: what it names now and did not before is approved as it was last seen, on the word of who applied it;
 * what it no longer names is held.
 */
export async function rejudgeServer(
  transaction: DatabaseTransaction,
  of: {
    server: string;
    before: ToolServerManifest | undefined;
    after: ToolServerManifest | undefined;
    by: string;
    now: number;
    changes: ChangeSet;
  },
): Promise<void> {
  const { server, after, by, changes } = of;
  if (!after) {
    await transaction.deleteFrom('definitions').where('server', '=', server).execute();
    for (const name of Object.keys(of.before?.tools ?? {})) raise(changes, `tool:${server}/${name}`);
    announce(changes, 'definition', server);
    return;
  }
  const stored = await readRows(transaction, server);
  const lookAlikes = lookAlikesOf(stored);
  const results = stored.map((before): Result => {
    const judged = judge({
      manifest: after,
      definition: before,
      lookAlikes: lookAlikes(before),
      firstSight: of.before === undefined || isNewlyNamed(of.before, after, before),
    });
    return { before, definition: before, ...judged };
  });
  await settle(transaction, { manifest: after, results, approver: by, known: new Set(stored), ...of });
}

interface Result {
  before: StoredDefinition;
  /** With what is served now. */
  definition: StoredDefinition;
  state: PinnedDefinition['state'];
  approves: boolean;
}

async function settle(
  transaction: DatabaseTransaction,
  of: {
    server: string;
    manifest: ToolServerManifest;
    results: Result[];
    known: ReadonlySet<StoredDefinition>;
    approver: string;
    by: string;
    now: number;
    changes: ChangeSet;
  },
): Promise<PinnedDefinition[]> {
  const { server, manifest, now, changes } = of;
  if (of.results.length > DEFINITIONS_KEPT)
    throw refused(server, `has served more than ${DEFINITIONS_KEPT} different definitions`);
  const lookAlikes = lookAlikesOf(of.results.map(({ definition }) => definition));
  const held: PinnedDefinition[] = [];
  const write: StoredDefinition[] = [];
  const gone: StoredDefinition[] = [];
  for (const { before, definition, state, approves } of of.results) {
    const after: StoredDefinition = { ...definition, state };
    if (approves) Object.assign(after, { approved: definition.served, reviewedBy: of.approver, reviewedAt: now });
    else if (before.approved && state !== before.state && (state === 'held' || before.state === 'held'))
      after.reviewedAt = null;
    if (after.reviewedAt === null) after.reviewedBy = null;
    const servedDiffers = after.served?.digest !== before.served?.digest;
    const isSame = after.state === before.state && !servedDiffers && !approves && of.known.has(before);
    if (isSame) continue;
    if (servedDiffers && after.served) after.seenAt = now;
    (isForgettable(manifest, after) ? gone : write).push(after);
    touchDefinition(changes, before, after);
    const reason = reasonsHeld({ manifest, definition: after, lookAlikes: lookAlikes(after), firstSight: false });
    changes.records.push(recordOf(before, after, approves ? of.approver : of.by, reason));
    if (state === 'held' && (before.state !== 'held' || servedDiffers)) held.push({ ...after, reason });
  }
  await writeDefinitions(transaction, write);
  for (const { kind, name } of gone) {
    await transaction
      .deleteFrom('definitions')
      .where('server', '=', server)
      .where('kind', '=', kind)
      .where('name', '=', name)
      .execute();
  }
  if (write.length + gone.length > 0) announce(changes, 'definition', server);
  return held;
}

/** Gone, never let in by anybody, and not named: there is nothing to remember. */
function isForgettable(manifest: ToolServerManifest, definition: StoredDefinition): boolean {
  const { state, approved, reviewedAt } = definition;
  return state === 'missing' && approved === null && reviewedAt === null && !isGranted({ manifest, definition });
}

/** Fences for what can be called or listed otherwise than before. */
export function touchDefinition(changes: ChangeSet, before: StoredDefinition, after: StoredDefinition): void {
  const digestDiffers = before.approved?.digest !== after.approved?.digest;
  if (!digestDiffers && before.state === after.state) return;
  if (after.kind === 'tool') {
    raise(changes, `tool:${after.server}/${after.name}`);
    if (digestDiffers) raise(changes, 'policy');
  } else raise(changes, `server:${after.server}`);
}

const ROWS_PER_INSERT = 100;

export async function writeDefinitions(
  transaction: DatabaseTransaction,
  definitions: readonly StoredDefinition[],
): Promise<void> {
  for (let at = 0; at < definitions.length; at += ROWS_PER_INSERT) {
    await transaction
      .insertInto('definitions')
      .values(definitions.slice(at, at + ROWS_PER_INSERT).map(toDefinitionRow))
      .onConflict((conflict) =>
        conflict.columns(['server', 'kind', 'name']).doUpdateSet(({ ref }) => ({
          state: ref('excluded.state'),
          approved_digest: ref('excluded.approved_digest'),
          approved_body: ref('excluded.approved_body'),
          served_digest: ref('excluded.served_digest'),
          served_body: ref('excluded.served_body'),
          reviewed_by: ref('excluded.reviewed_by'),
          reviewed_at: ref('excluded.reviewed_at'),
          seen_at: ref('excluded.seen_at'),
        })),
      )
      .execute();
  }
}

export async function readServer(
  transaction: DatabaseTransaction,
  server: string,
): Promise<{ manifest: ToolServerManifest; appliedBy: string }> {
  const row = await transaction
    .selectFrom('objects')
    .select('body')
    .where('kind', '=', 'ToolServer')
    .where('name', '=', server)
    .executeTakeFirst();
  const object = row && fromObjectRow(row);
  if (object?.manifest.kind !== 'ToolServer')
    throw new GatehouseError(
      'not-found',
      'server.unknown',
      `There is no tool server "${server}". Apply its manifest first.`,
    );
  return { manifest: object.manifest, appliedBy: object.appliedBy };
}

async function readRows(transaction: DatabaseTransaction, server: string): Promise<StoredDefinition[]> {
  const rows: DefinitionRow[] = await transaction
    .selectFrom('definitions')
    .selectAll()
    .where('server', '=', server)
    .execute();
  return rows.map(fromDefinitionRow);
}

/** What is served, by kind and name, with digests. A name that stands there twice is one definition that nobody approves by accident. */
function digested(server: string, served: readonly ServedDefinition[], kinds?: readonly DefinitionKind[]) {
  if (
    served.length > DEFINITIONS_PER_SERVER ||
    served.filter(({ kind }) => kind === 'tool').length > limits.toolsPerServer
  )
    throw refused(server, `serves more than ${limits.toolsPerServer} tools or ${DEFINITIONS_PER_SERVER} definitions`);
  const bodies = new Map<string, { kind: DefinitionKind; name: string; bodies: Json[] }>();
  for (const { kind, name, body } of served) {
    if (kinds && !kinds.includes(kind))
      throw refused(server, `was asked for ${kinds.join(', ')}, and "${name}" is a ${kind}`);
    const id = idOf({ kind, name });
    const known = bodies.get(id) ?? { kind, name, bodies: [] };
    known.bodies.push(body);
    bodies.set(id, known);
  }
  return new Map(
    [...bodies].map(([id, { kind, name, bodies: all }]) => {
      const body = (all.length === 1 ? all[0] : servedTwice(all)) as Json;
      const bytes = Buffer.byteLength(canonicalJson(body));
      if (bytes > DEFINITION_BYTES || name.length > 2_000)
        throw refused(
          server,
          `serves ${kind} "${name.slice(0, 100)}" in ${bytes} bytes, and ${DEFINITION_BYTES} are the most`,
        );
      return [id, { kind, name, pinned: { digest: digestJson(body), body } }] as const;
    }),
  );
}

function refused(server: string, what: string): GatehouseError {
  return new GatehouseError(
    'upstream',
    'definitions.refused',
    `The tool server "${server}" ${what}. Nothing of it was taken over; correct the server.`,
  );
}

function idOf({ kind, name }: { kind: DefinitionKind; name: string }): string {
  return `${kind} ${name}`;
}

function newDefinition(server: string, kind: DefinitionKind, name: string, now: number): StoredDefinition {
  return {
    server,
    kind,
    name,
    state: 'missing',
    approved: null,
    served: null,
    reviewedBy: null,
    reviewedAt: null,
    seenAt: now,
  };
}

/**
 * `reviewedAt` is of the review that made the state what it is: of an approved definition its approval, of a held one its rejection. A
 * no to a change is a no to that change only; a no to something never approved stands for all that comes under its name.
 */
function reviewThatStands(before: StoredDefinition, now: StoredDefinition['served']): number | null {
  const isRejectedChange = before.state === 'held' && before.approved !== null;
  return isRejectedChange && now?.digest !== before.served?.digest ? null : before.reviewedAt;
}

function isNewlyNamed(before: ToolServerManifest, after: ToolServerManifest, of: StoredDefinition): boolean {
  switch (of.kind) {
    case 'tool':
      return !Object.hasOwn(before.tools, of.name) && Object.hasOwn(after.tools, of.name);
    case 'prompt':
      return !before.prompts && after.prompts !== undefined;
    case 'resource':
    case 'resource-template':
      return !before.resources && after.resources !== undefined;
    case 'instructions':
      return false;
  }
}

function recordOf(
  before: StoredDefinition,
  after: StoredDefinition,
  by: string,
  reason: string | null,
): ChangeSet['records'][number] {
  const what =
    after.kind === 'tool' ? `${after.server}/${after.name}` : `${after.server} ${after.kind} ${after.name}`.trim();
  const digest = after.served?.digest ?? 'nothing';
  const approves = after.approved?.digest !== before.approved?.digest;
  const [operation, change] = approves
    ? ['definition.approve', `${what}: approved at first sight or as pinned, ${digest}`]
    : after.state === 'held'
      ? ['definition.hold', `${what}: held, ${digest}`]
      : after.state === 'missing'
        ? ['definition.missing', `${what}: no longer served`]
        : ['definition.return', `${what}: served again as approved, ${digest}`];
  return {
    operation,
    by,
    ...(after.kind === 'tool' && { tool: what }),
    changes: [change.slice(0, 500)],
    ...(reason && { detail: reason.slice(0, 1_000) }),
  };
}
