import type { ActionRecord, KeepingScope } from '@gatehouse/protocol';
import {
  appendLeaf,
  copyTree,
  emptyAbsences,
  emptyTree,
  explained,
  leafHash,
  logsNamedIn,
  missingLog,
  type NamedLog,
  noteAbsent,
  openCheckpoint,
  parseVerifierKey,
  removalIn,
  sameBytes,
  treeRoot,
  VerifierError,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import type { Clock } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { keepingLimits as limits } from './limits.ts';
import { recordOf } from './walk.ts';

/** What the logs say stands: rows of the database that say something else count for nothing where records would go by them. */
export interface OnRecord {
  /** Of each class as it was applied last, the digest. */
  classes: Map<string, string>;
  /** Agreements that nobody has withdrawn, by their id. */
  agreements: Map<string, { digest: string; person: string }>;
  holds: KeepingScope[];
  /** Holds that have ended: what they kept is looked at again. */
  ended: Set<string>;
  /** With those that no checkpoint has signed yet. */
  saidEnded: Set<string>;
}

type Said = Pick<ActionRecord, 'operation' | 'action_id' | 'time' | 'changes' | 'requested_by'>;

interface ReadLog {
  vkey: string;
  tree: ReturnType<typeof emptyTree>;
  absences: ReturnType<typeof emptyAbsences>;
  said: Said[];
  named: NamedLog[];
}

const MAY_SAY = /"operation":"(manifest\.apply|hold\.|retention\.|log\.)/;
const SAYS = /^(hold\.(place|end)|retention\.(agree|withdraw))$/;
const APPLIED = /^(created|updated|deleted) Retention (\S+)$/;
const DIGEST = /^(counts as|in place of) (sha256-\S+)$/;

class NotAsSigned extends Error {}

/**
 * Reads every log from its beginning, once, and then what is new, against the checkpoints that were signed. What makes records go (a class, an
 * agreement, the end of a hold) counts where a signed record of a log says it that this replica's own names, directly or through others; what
 * keeps them counts as soon as any record says it.
 */
export function createRecordReader({ db }: Storage, clock: Clock, own: { id: string; vkey: string }) {
  const logs = new Map<string, ReadLog>();
  let failed: { problem: string; until: number } | null = null;

  async function* rowsOf(log: string, from: number, to: number) {
    for (let at = from; at < to; at += limits.recordsRead) {
      const rows = await db
        .selectFrom('records')
        .select(['sequence', 'entry', 'leaf_hash'])
        .where('log', '=', log)
        .where('sequence', '>=', at)
        .where('sequence', '<', Math.min(to, at + limits.recordsRead))
        .orderBy('sequence')
        .execute();
      yield* rows;
      if (rows.length < Math.min(to, at + limits.recordsRead) - at) return;
      // The gate goes on in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async function readOn(id: string, vkey: string): Promise<boolean> {
    const before = logs.get(id);
    if (before && before.vkey !== vkey) throw new NotAsSigned(`log ${id} has another key than before`);
    const { tree, absences, said, named } = before ?? {
      ...{ tree: emptyTree(), absences: emptyAbsences(), said: [], named: [] },
    };
    const newest = await db
      .selectFrom('checkpoints')
      .select('note')
      .where('log', '=', id)
      .orderBy('size', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (!newest) return false;
    const { size, root } = await openCheckpoint(newest.note, parseVerifierKey(vkey));
    if (size < tree.size) throw new NotAsSigned(`log ${id} is shorter than it was`);
    const read: ReadLog = {
      ...{ vkey, tree: copyTree(tree), said: [...said], named: [...named] },
      absences: { ranges: [...absences.ranges], recorded: [...absences.recorded] },
    };
    for await (const { sequence, entry, leaf_hash } of rowsOf(id, tree.size, size)) {
      if (sequence !== read.tree.size) break;
      if (entry === '') noteAbsent(read.absences, sequence);
      else if (MAY_SAY.test(entry)) note(read, id, sequence, entry);
      appendLeaf(read.tree, entry === '' ? leaf_hash : leafHash(Buffer.from(entry), nodeSha256), nodeSha256);
    }
    if (read.tree.size !== size || !sameBytes(treeRoot(read.tree, nodeSha256), root))
      throw new NotAsSigned(`log ${id} is not what was signed`);
    logs.set(id, read);
    return read.absences.ranges.length !== absences.ranges.length;
  }

  /** What is not signed yet, or never will be because its replica is gone. */
  async function unsignedOf(id: string): Promise<Said[]> {
    const read: ReadLog = { vkey: '', tree: emptyTree(), absences: emptyAbsences(), said: [], named: [] };
    for await (const { sequence, entry } of rowsOf(id, logs.get(id)?.tree.size ?? 0, Number.MAX_SAFE_INTEGER))
      if (MAY_SAY.test(entry)) note(read, id, sequence, entry);
    return read.said;
  }

  async function sizeOf(id: string): Promise<number> {
    const { size } = await db
      .selectFrom('records')
      .select(({ fn }) => fn.max<number | null>('sequence').as('size'))
      .where('log', '=', id)
      .executeTakeFirstOrThrow();
    return size === null ? 0 : Number(size) + 1;
  }

  async function readAll(): Promise<OnRecord> {
    const rows = await db.selectFrom('logs').select(['id', 'vkey']).orderBy('id').execute();
    let hasMore = false;
    for (const { id, vkey } of rows) hasMore = (await readOn(id, id === own.id ? own.vkey : vkey)) || hasMore;
    const trusted = new Set([own.id]);
    // A set is walked on over what is added meanwhile.
    for (const id of trusted) for (const each of logs.get(id)?.named ?? []) trusted.add(each.id);
    const here: NamedLog[] = [];
    for (const { id, vkey } of rows) here.push({ id, vkey, size: await sizeOf(id) });
    const missing = missingLog(
      [...trusted].flatMap((id) => logs.get(id)?.named ?? []),
      here,
    );
    if (missing !== null) throw new NotAsSigned(missing);
    const recorded = [...logs.values()].flatMap(({ absences }) => absences.recorded);
    for (const [id, { absences }] of hasMore ? logs : []) {
      const found = explained(id, { ranges: absences.ranges, recorded: [] }, recorded);
      if (!found.ok) throw new NotAsSigned(`log ${id}: ${found.fault.detail}`);
    }
    const unsigned: Said[] = [];
    for (const { id } of rows) unsigned.push(...(await unsignedOf(id)));
    const signed = [...logs].flatMap(([id, { said }]) => (trusted.has(id) ? said : []));
    return standing(signed, [...[...logs.values()].flatMap(({ said }) => said), ...unsigned]);
  }

  return {
    async read(): Promise<OnRecord | { problem: string }> {
      if (failed && clock.now() < failed.until && clock.now() > failed.until - 2 * limits.recordReadAgainMs)
        return failed;
      failed = null;
      try {
        return await readAll();
      } catch (error) {
        if (!(error instanceof NotAsSigned || error instanceof VerifierError)) throw error;
        failed = { problem: error.message, until: clock.now() + limits.recordReadAgainMs };
        return failed;
      }
    },
  };
}

function note(read: ReadLog, log: string, index: number, entry: string): void {
  const bytes = Buffer.from(entry);
  const removal = removalIn(bytes, { log, index });
  if (removal) read.absences.recorded.push(removal);
  read.named.push(...logsNamedIn(bytes));
  const record = recordOf(entry);
  if (record?.kind !== 'change') return;
  const { operation, action_id, time, changes, requested_by } = record;
  if (SAYS.test(operation) || (operation === 'manifest.apply' && APPLIED.test(changes[0] ?? '')))
    read.said.push({ operation, action_id, time, changes, requested_by });
}

function standing(signed: Said[], all: Said[]): OnRecord {
  const of = (said: Said[], operation: string) => said.filter((each) => each.operation === operation);
  const applied = of(signed, 'manifest.apply').map(({ time, changes }) => {
    const digests = new Map(
      changes.flatMap((line) => [DIGEST.exec(line)?.slice(1) as [string, string]]).filter(Boolean),
    );
    const name = APPLIED.exec(changes[0] ?? '')?.[2] ?? '';
    return { name, at: Date.parse(time), digest: digests.get('counts as'), replaced: digests.get('in place of') };
  });
  const replaced = new Set(applied.map((each) => each.replaced));
  const latest = new Map<string, (typeof applied)[number]>();
  // Of several replicas' clocks the newest that nothing has replaced.
  for (const each of applied)
    if (!(each.digest && replaced.has(each.digest)) && each.at >= (latest.get(each.name)?.at ?? 0))
      latest.set(each.name, each);
  const classes = new Map<string, string>();
  for (const { name, digest } of latest.values()) if (digest !== undefined) classes.set(name, digest);
  const withdrawn = new Set(of(all, 'retention.withdraw').map(({ action_id }) => action_id));
  const agreements = new Map(
    of(signed, 'retention.agree')
      .filter(({ action_id }) => !withdrawn.has(action_id))
      .map(({ action_id, changes, requested_by }) => [
        action_id,
        { digest: changes[1] ?? '', person: requested_by ?? '' },
      ]),
  );
  const ended = new Set(of(signed, 'hold.end').map(({ action_id }) => action_id));
  const holds = of(all, 'hold.place').flatMap(({ action_id, changes: [, scope] }) =>
    scope === undefined || ended.has(action_id) ? [] : [JSON.parse(scope) as KeepingScope],
  );
  const saidEnded = new Set(of(all, 'hold.end').map(({ action_id }) => action_id));
  return { classes, agreements, holds, ended, saidEnded };
}
