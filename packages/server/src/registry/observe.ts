import type { ToolServerManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import { announce, type ChangeSet, type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';
import { readRows, readServer, type StoredDefinition } from './definition-rows.ts';
import { judge, lookAlikesOf } from './judge.ts';
import { digested, idOf } from './served.ts';
import { type Result, settle } from './settle.ts';
import type { DefinitionKind, PinnedDefinition, ServedDefinition } from './types.ts';
import { validateWithin } from './validate.ts';

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
    // A manifest names tools; of what it grants as a whole it means what was there when somebody first looked.
    const firstSight = before.kind === 'tool' ? !known.has(before) : stored.length === 0;
    const judged = judge({ manifest, definition, lookAlikes: lookAlikes(before), firstSight });
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
