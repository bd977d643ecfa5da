import type { ActionRecord, LogView } from '@gatehouse/protocol';
import { formatVerifierKey } from '@gatehouse/verifier';
import { type Clock, GatehouseError, type Log, type Outbound, salted } from '../platform/index.ts';
import type { AdministrativeChange, BodyRow, LogUnit, LogUnitResult, Sealer, Storage } from '../storage/index.ts';
import { createFollower } from './follow.ts';
import { ledgerLimits } from './limits.ts';
import { openLogKey } from './log-key.ts';
import { changeRecord, refusalOf } from './made-records.ts';
import { createPublisher } from './publisher.ts';
import type { PublishingPlace } from './publishing-places.ts';
import { createRanges } from './range.ts';
import { createReader } from './read.ts';
import { receiptOf } from './receipt.ts';
import { toRow } from './record-row.ts';
import { createResources } from './resources.ts';
import { suffixOf } from './restored.ts';
import { createSearch } from './search/index.ts';
import { createShown, createShownByOthers } from './shown.ts';
import { createStoredLogs } from './stored.ts';
import { createTree } from './tree.ts';
import type { Ledger, LedgerEntry } from './types.ts';
import { createUnknownCloser } from './unknown.ts';
import { verifyLogs, verifyStored } from './verification.ts';
import { createWitnessing, type WitnessingOptions } from './witnessing.ts';

export interface LedgerDependencies {
  storage: Storage;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  /** Name of this replica; its log is `ORIGIN/log/REPLICA`, with the host of the public URL as origin. */
  replica: string;
  origin: string;
  /** Recorded before everything else, `log.open` included. */
  first?: AdministrativeChange;
  /** Whose cosignatures each checkpoint is to get. */
  witnesses?: WitnessingOptions & { outbound: Outbound };
  /** Where the log is published. */
  publishTo?: PublishingPlace;
}

const INTEGRATE_EVERY_MS = 500;
/** Outcomes waiting for a database that is away. Beyond this the oldest are dropped and show as `unknown`. */
const MAX_WAITING_OUTCOMES = 10_000;
const RETRY_OUTCOME_MS = 1_000;

/**
 * The record of every action, in one Merkle log per replica (RFC 6962 hashing, C2SP checkpoints). What this room does not do:
 * decide, or hold bodies in the tree. INVARIANT: `append` resolves only when the record is on disk.
 */
export async function openLedger(deps: LedgerDependencies): Promise<Ledger> {
  const { storage, clock, log, replica } = deps;
  const logId = `${deps.origin}/log/${replica}${await suffixOf(storage)}`;
  const key = await openLogKey(deps, logId);
  await storage.openLog({ id: logId, replica, vkey: key.vkey, now: clock.now() });
  const stored = createStoredLogs(storage);
  const tree = createTree(storage, stored, logId, key, clock);
  const search = createSearch(storage.place, log);
  const reader = createReader(storage, search, clock.now);
  const witnessing =
    deps.witnesses &&
    createWitnessing({
      ...deps.witnesses,
      ...{ storage, log, clock, logId, vkey: key.vkey },
      hashReader: (size) => stored.hashReader(logId, size),
    });
  await witnessing?.open(await stored.newest(logId), await stored.newestCosigned(logId));
  const shown = createShown(stored, (of) => (of === logId ? witnessing : undefined));
  const shownByOthers = createShownByOthers(stored, clock, witnessing);
  const resource = createResources(stored, shown);
  tree.onCheckpoint((checkpoint) => {
    witnessing?.checkpoint(checkpoint);
    publisher?.wake();
  });
  const follower = createFollower(storage, reader, log);
  const ownUnknown = createUnknownCloser(storage, logId);
  const waiting: { unit: LogUnit; written(): void }[] = [];
  let closed = false;
  let problem: string | null = null;

  const integrate = setInterval(() => {
    tree.integrate().then(
      () => {
        problem = null;
        // Cosignatures come without a new checkpoint.
        publisher?.wake();
      },
      (error: Error) => {
        if (problem === null) log.error('ALARM: the Merkle tree could not be brought up to date', { error });
        problem = error.message;
      },
    );
  }, INTEGRATE_EVERY_MS);
  integrate.unref();

  function unitOf(entries: LedgerEntry[], salt?: Uint8Array): LogUnit {
    const now = clock.now();
    const unit: LogUnit = { guards: [], records: [], bodies: [] };
    for (const entry of entries) {
      const { record, row, body } = seal(entry, now, salt);
      unit.records.push(row(record));
      if (body) unit.bodies.push(body);
    }
    return unit;
  }

  function seal(entry: LedgerEntry, now: number, salt?: Uint8Array) {
    const own =
      entry.argumentsSalt === undefined ? salt : Uint8Array.from(Buffer.from(entry.argumentsSalt, 'base64url'));
    const args = entry.arguments === undefined ? null : salted(entry.arguments, own);
    const record: ActionRecord = {
      v: 1,
      time: new Date(now).toISOString(),
      replica,
      arguments_digest: args?.digest ?? null,
      result_digest: entry.result === undefined ? null : salted(entry.result).digest,
      ...entry.record,
    };
    const body: BodyRow | null = args && {
      actionId: record.action_id,
      kind: 'arguments',
      salt: args.salt,
      body: args.text,
      at: now,
    };
    return { record, row: (from: ActionRecord) => toRow(from, now), body };
  }

  async function append(entry: LedgerEntry, options: Parameters<Ledger['append']>[1] = {}): Promise<LogUnitResult> {
    const unwitnessed = entry.record.kind === 'dispatch' ? witnessing?.refusal() : undefined;
    if (unwitnessed) {
      await storage.append(unitOf([refusalOf(entry, unwitnessed)]));
      throw unwitnessed;
    }
    // What was asked and what runs are one action with one kept body: with its salt both records have the digest that it opens.
    const isOlder = entry.arguments !== undefined && entry.argumentsSalt === undefined;
    const asked = isOlder ? options.consumeApproval : undefined;
    const salt = asked && (await reader.argumentsSalt(asked.actionId));
    const unit = unitOf([entry], salt ?? undefined);
    unit.guards = options.guards ?? [];
    if (options.consumeApproval) unit.consumeApproval = { ...options.consumeApproval, now: clock.now() };
    if (options.spend) unit.spend = options.spend;
    if (options.settle) unit.settle = options.settle;
    if (options.opens) unit.opens = options.opens;
    if (options.ends) unit.ends = options.ends;
    const written = await storage.append(unit);
    if (written.ok) follower.wake();
    return written;
  }

  function appendLater(entry: LedgerEntry, more: Parameters<Ledger['appendLater']>[1] = {}): Promise<void> {
    const unit = unitOf([entry]);
    if (more.settle) unit.settle = more.settle;
    if (more.ends) unit.ends = more.ends;
    return new Promise((written) => {
      storage.append(unit, true).then(
        () => {
          follower.wake();
          written();
        },
        (error) => {
          log.error('an outcome could not be recorded yet', { actionId: entry.record.action_id, error });
          waiting.push({ unit, written });
          if (waiting.length > MAX_WAITING_OUTCOMES) waiting.shift();
        },
      );
    });
  }

  /** Of budgets, on which an action counts. */
  async function countersOf(actionId: string): Promise<string[]> {
    const rows = await storage.db
      .selectFrom('budget_spends')
      .select('counter')
      .where('action_id', '=', actionId)
      .execute();
    return rows.map(({ counter }) => counter);
  }

  /** One turn at a time: two that wait for one database would write one outcome twice and drop another. */
  async function writeWaiting(): Promise<void> {
    for (let next = waiting[0]; next && !closed; next = waiting[0]) {
      try {
        await storage.append(next.unit);
        next.written();
      } catch (error) {
        // Still away: the next turn tries again, and the failure has been logged when it began.
        if (!(error instanceof GatehouseError && error.code === 'storage.refused')) return;
        log.error('the database refuses an outcome; its action shows as unknown', { error });
      }
      // Meanwhile the oldest may have made room.
      if (waiting[0] === next) waiting.shift();
    }
  }

  let isRetrying = false;
  const retry = setInterval(async () => {
    if (isRetrying) return;
    isRetrying = true;
    await writeWaiting();
    isRetrying = false;
  }, RETRY_OUTCOME_MS);
  retry.unref();

  const recordChange: Ledger['recordChange'] = async (transaction, ...changes) => {
    const now = clock.now();
    const written = await storage.appendWithin(
      transaction,
      unitOf(changes.map((change) => ({ record: changeRecord(change, now) }))),
    );
    if (!written.ok)
      throw new GatehouseError(
        'unavailable',
        'ledger.refused',
        'The change could not be recorded, so it was not made.',
      );
    follower.wakeSoon();
  };

  const recordGuarded: Ledger['recordGuarded'] = async (change, guards) => {
    const written = await append({ record: changeRecord(change, clock.now()) }, { guards });
    return written.ok ? { ok: true } : { ok: false, failed: written.failed === 'guard' ? written.key : written.failed };
  };

  const publisher =
    deps.publishTo &&
    createPublisher({
      ...{ place: deps.publishTo, storage, recordChange, stored, resource },
      ...{ logId, vkey: key.vkey, clock, log },
    });

  // The set of logs is itself logged: each log begins, at every start, by naming all logs and how far they reach, and names one that comes
  // later, so that a whole log can't go missing without a gap in the others.
  const known = await reader.logs();
  const named = new Set(known.map(({ id }) => id));
  await storage.transaction((transaction) =>
    recordChange(transaction, ...(deps.first ? [deps.first] : []), {
      operation: 'log.open',
      by: 'gatehouse',
      changes: [...known.map(nameLog), ...(deps.witnesses ? [policyLine(deps.witnesses)] : [])],
    }),
  );
  const watch = setInterval(async () => {
    try {
      const added = (await reader.logs()).filter(({ id }) => !named.has(id));
      if (added.length === 0) return;
      await storage.transaction((transaction) =>
        recordChange(transaction, { operation: 'log.seen', by: 'gatehouse', changes: added.map(nameLog) }),
      );
      for (const { id } of added) named.add(id);
    } catch (error) {
      log.warn('new logs could not be named', { error });
    }
  }, ledgerLimits.namedLogsEveryMs);
  watch.unref();

  async function verify(id: string, options?: Parameters<Ledger['verify']>[1]): ReturnType<Ledger['verify']> {
    // A log with a hole can't be brought up to date; what is wrong with it is then found against the checkpoints that it has.
    if (id === logId) await tree.integrate().catch(() => undefined);
    return verifyStored(storage, stored, id, options);
  }

  return {
    append,
    appendLater,
    recordChange,
    recordGuarded,
    ranges: createRanges(storage, () => tree.integrate()),
    search: reader.search,
    actions: reader.actions,
    action: reader.action,
    argumentsSalt: reader.argumentsSalt,
    follow: follower.follow,
    own: { id: logId, vkey: key.vkey },
    logs: reader.logs,
    witnessing: () => witnessing?.view() ?? null,
    publishing: () => publisher?.view() ?? null,
    problem: () => problem,
    async checkpoint() {
      await tree.integrate();
      return (await stored.newest(logId))?.note ?? null;
    },
    async receipt(id, sequence) {
      // Only what was recorded just now has to wait for a checkpoint.
      const receipt = await receiptOf(stored, id, sequence);
      if (receipt || id !== logId) return receipt;
      await tree.integrate();
      return receiptOf(stored, id, sequence);
    },
    async shownSize(id) {
      return id === logId ? ((await shown(id))?.size ?? 0) : shownByOthers(id);
    },
    unindex: search.remove,
    resource,
    verify,
    verifyAll: (options) => verifyLogs({ list: reader.logs, verify }, options),
    async closeUnknown(of) {
      const unknown = of === undefined ? ownUnknown : createUnknownCloser(storage, of);
      const lost = await unknown.find();
      for (const record of lost) {
        const counters = await countersOf(record.action_id);
        const { action_id: actionId } = record;
        const detail = 'The gate stopped before the outcome was known. It may have run.';
        await append(
          { record: { ...record, kind: 'outcome', result: 'unknown', detail } },
          {
            ends: { actionId, unknown: { at: clock.now(), detail } },
            ...(counters.length > 0 && {
              settle: { actionId, now: clock.now(), counters, giveBack: [], keep: true },
            }),
          },
        );
      }
      await unknown.settled();
      return lost.length;
    },
    async close() {
      closed = true;
      clearInterval(integrate);
      clearInterval(retry);
      clearInterval(watch);
      follower.close();
      await search.close();
      await tree.integrate().catch((error: unknown) => log.error('no last checkpoint could be signed', { error }));
      witnessing?.close();
      await publisher?.close();
    },
  };
}

const nameLog = ({ id, vkey, size }: LogView) => `log ${id}, key ${vkey}, ${size} records`;

/** Whoever weakens it leaves that on record. */
function policyLine({ policy, failClosedAfterMs }: WitnessingOptions): string {
  const late = failClosedAfterMs === null ? 'open' : `closed after ${failClosedAfterMs / 1_000} s`;
  const keys = policy.witnesses.map(({ key }) => formatVerifierKey(key)).join(' ');
  return `witnesses ${keys || 'none'}, quorum ${policy.quorum}, fails ${late}`.slice(0, 8_000);
}
