import type { ToolServerManifest } from '@gatehouse/protocol';
import type { DatabaseTransaction } from '../storage/index.ts';
import { announce, type ChangeSet, raise } from './context.ts';
import { type StoredDefinition, writeDefinitions } from './definition-rows.ts';
import { isGranted, lookAlikesOf, reasonsHeld } from './judge.ts';
import { DEFINITIONS_KEPT, refused } from './served.ts';
import type { PinnedDefinition } from './types.ts';

export interface Result {
  before: StoredDefinition;
  /** With what is served now. */
  definition: StoredDefinition;
  state: PinnedDefinition['state'];
  approves: boolean;
}

export async function settle(
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

/** Gone, never let in by anybody, and not named: there is nothing to remember. Only tools are named one by one. */
function isForgettable(manifest: ToolServerManifest, definition: StoredDefinition): boolean {
  const { state, approved, reviewedAt } = definition;
  const isNamed = definition.kind === 'tool' && isGranted({ manifest, definition });
  return state === 'missing' && approved === null && reviewedAt === null && !isNamed;
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
