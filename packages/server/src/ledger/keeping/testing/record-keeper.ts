import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import { canonicalJson, createLog } from '../../../platform/index.ts';
import { appliedDigest } from '../../../registry/index.ts';
import { createSealer, openStorage } from '../../../storage/index.ts';
import { openLedger } from '../../ledger.ts';
import { openPublishingPlace } from '../../publishing-places.ts';
import type { LedgerEntry } from '../../types.ts';
import { createKeeping, type KeepingDependencies } from '../keeping.ts';
import { createRetention } from '../retention.ts';
import type { RetentionDependencies } from '../retention-find.ts';

const DAY_MS = 86_400_000;
const key = randomBytes(32);

/** A clock that all replicas have, and that can be put forward by days. */
export function createCalendar() {
  let days = 0;
  return {
    now: () => Date.now() + days * DAY_MS,
    forward(by: number) {
      days += by;
    },
  };
}

/** A replica that records and keeps: real storage and ledger, and no work of its own in the background. */
export async function openRecordKeeper(options: {
  database: string;
  clock: ReturnType<typeof createCalendar>;
  dataDir?: string;
  replica?: string;
  publishTo?: string;
  environment?: Record<string, string>;
}) {
  const { database, clock, replica = 'one', dataDir = directory() } = options;
  const log = createLog('error');
  const storage = await openStorage({ database, dataDir, log, clock });
  const sealer = createSealer(key);
  const ledger = await openLedger({
    ...{ storage, sealer, clock, log, replica, origin: 'gatehouse.test' },
    ...(options.publishTo !== undefined && {
      publishTo: openPublishingPlace(options.publishTo, options.environment ?? {}),
    }),
  });
  const { recordChange } = ledger;
  const base = { storage, recordChange, clock, argumentsDays: null, clockDoubt: async () => null };
  const kept = { ...base, sealer, log, ownLog: ledger.own };
  const retentionWith = (more: Partial<Pick<RetentionDependencies, 'clockDoubt' | 'shownSize' | 'unindex'>> = {}) =>
    createRetention({
      ...base,
      replica,
      ownLog: ledger.own,
      shownSize: ledger.shownSize,
      unindex: ledger.unindex,
      ...more,
    });
  const retention = retentionWith();
  /** As if turns had been taken all the while. */
  async function timePasses() {
    const value = JSON.stringify([clock.now(), 0]);
    await storage.db
      .insertInto('meta')
      .values({ key: 'retention:turn', value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  }
  /** Until nothing changes any more. */
  async function turns() {
    const removals = () => storage.db.selectFrom('removals').selectAll().orderBy('id').execute();
    for (let turn = 0; turn < 30; turn++) {
      await ledger.checkpoint();
      const before = await removals();
      await retention.work();
      if (turn > 1 && JSON.stringify(before) === JSON.stringify(await removals())) return;
    }
  }
  return {
    ...{ storage, ledger, dataDir, retention, retentionWith, keeping: createKeeping(kept) },
    keepingWith: (more: Partial<KeepingDependencies>) => createKeeping({ ...kept, ...more }),
    log: `gatehouse.test/log/${replica}`,
    /** As an apply does it: with the record of it. */
    async declare(...classes: Omit<Extract<ManifestInput, { kind: 'Retention' }>, 'kind'>[]) {
      for (const each of classes)
        await storage.transaction(async (transaction) => {
          const parsed = manifest.parse({ kind: 'Retention', ...each });
          const body = canonicalJson({ manifest: parsed, appliedBy: 'person:zoe@example.test' });
          const row = { kind: 'Retention', name: each.name, body, updated_at: clock.now() };
          const before = await transaction
            .selectFrom('objects')
            .select(['body', 'updated_at'])
            .where('kind', '=', 'Retention')
            .where('name', '=', each.name)
            .executeTakeFirst();
          await transaction
            .insertInto('objects')
            .values(row)
            .onConflict((conflict) =>
              conflict.columns(['kind', 'name']).doUpdateSet({ body, updated_at: row.updated_at }),
            )
            .execute();
          const replaced = before ? [`in place of ${appliedDigest(before)}`] : [];
          await recordChange(transaction, {
            operation: 'manifest.apply',
            by: 'person:zoe@example.test',
            changes: [`created Retention ${each.name}`, `counts as ${appliedDigest(row)}`, ...replaced],
          });
        });
    },
    record: (actionId: string, more: Partial<LedgerEntry['record']> = {}) => ledger.append(entryOf(actionId, more)),
    timePasses,
    turns,
    /** Until nothing is left to do: what is due is recorded, a day goes by, and it goes. */
    async settle() {
      await timePasses();
      await turns();
      clock.forward(1);
      await turns();
    },
    async close() {
      await ledger.close();
      await storage.close();
    },
  };
}

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-retention-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function entryOf(actionId: string, more: Partial<LedgerEntry['record']>): LedgerEntry {
  return {
    record: {
      ...{ kind: 'dispatch', action_id: actionId, operation: 'tools/call', agent: 'agent-a', actor_chain: [] },
      ...{ requested_by: null, on_behalf_of: null, task: 'tsk_1', intent: 'test', model_provider: null, model: null },
      ...{ environment: 'prod', template: 'refund', tool: 'shop/get', tool_definition: null, resource: null },
      decision: { effect: 'allow', tier: 1, code: 'allowed', reason: '', policies: [], policyVersion: 'v' },
      ...{ labels: [], approval: null, credentials: [], ticket: null, change_request: null, result: null, changes: [] },
      detail: null,
      ...more,
    },
    arguments: { note: `arguments of ${actionId}` },
  };
}
