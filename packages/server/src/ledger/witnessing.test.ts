import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, type TestContext, test } from 'node:test';
import { parsePolicy, verifyReceipt } from '@gatehouse/verifier';
import { startWitness, witnessVkey } from '@gatehouse/witness';
import { startPostgres } from '../../../../test/support/postgres.ts';
import { type Clock, createLog, createOutbound, systemClock } from '../platform/index.ts';
import { createSealer, openStorage } from '../storage/index.ts';
import { openLedger } from './ledger.ts';
import type { Ledger, LedgerEntry } from './types.ts';

const key = randomBytes(32);
const outbound = createOutbound();
const directories: string[] = [];
const directory = () => {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-witnessing-'));
  directories.push(path);
  return path;
};
after(async () => {
  await outbound.close();
  for (const each of directories) rmSync(each, { recursive: true, force: true });
});

interface House {
  ledger: Ledger;
  change(): Promise<void>;
  close(): Promise<void>;
}

async function open(
  t: TestContext,
  options: {
    dataDir: string;
    database?: string;
    policy: string;
    failClosedAfterMs?: number;
    replica?: string;
    clock?: Clock;
  },
): Promise<House> {
  const {
    dataDir,
    database = 'sqlite',
    policy,
    failClosedAfterMs = null,
    replica = 'one',
    clock = systemClock,
  } = options;
  const log = createLog('error', () => undefined);
  const storage = await openStorage({ database, dataDir, log, clock });
  const ledger = await openLedger({
    ...{ storage, sealer: createSealer(key), clock, log, replica, origin: 'gatehouse.test' },
    witnesses: { policy: parsePolicy(policy), failClosedAfterMs, outbound },
  });
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await ledger.close().finally(() => storage.close());
  };
  t.after(() => close().catch(() => undefined));
  const change = () =>
    storage.transaction((transaction) =>
      ledger.recordChange(transaction, { operation: 'agent.kill', by: 'person:a@example.test', changes: ['killed'] }),
    );
  return { ledger, change, close };
}

async function witnessOf(t: TestContext, logs: string[], own = directory(), port = 0) {
  const witness = await startWitness({ directory: own, name: 'witness.example/w1', logs, host: '127.0.0.1', port });
  let isClosed = false;
  const close = async () => {
    if (!isClosed) await witness.close();
    isClosed = true;
  };
  t.after(close);
  return { ...witness, directory: own, close };
}

const policyOf = (vkey: string, url: string) => `witness w1 ${vkey} ${url}\nquorum w1\n`;

function entry(actionId: string): LedgerEntry {
  return {
    record: {
      ...{ kind: 'dispatch', action_id: actionId, operation: 'tools/call', agent: 'agent-a', actor_chain: [] },
      ...{ requested_by: null, on_behalf_of: null, task: null, intent: null, model_provider: null, model: null },
      ...{ environment: null, template: null, tool: null, tool_definition: null, resource: null, decision: null },
      ...{ labels: [], approval: null, credentials: [], ticket: null, change_request: null, result: null, changes: [] },
      detail: null,
    },
  };
}

async function until<T>(what: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (let turn = 0; turn < 400; turn++) {
    const found = await what();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come to pass');
}

/** The log's key is there before it knows its witnesses. */
async function vkeyIn(t: TestContext, dataDir: string, database?: string, replica = 'one'): Promise<string> {
  const first = await open(t, { dataDir, policy: 'quorum none\n', replica, ...(database && { database }) });
  const [log] = await first.ledger.logs();
  await first.close();
  return log?.vkey ?? '';
}

const postgres = await startPostgres();
after(() => postgres?.close());

for (const backend of ['SQLite', 'PostgreSQL'] as const) {
  /** @proves law-7.witness, c2sp.cosignature */
  test(`checkpoints are cosigned, and receipts and the served checkpoint carry it (${backend})`, async (t) => {
    if (backend === 'PostgreSQL' && !postgres) return t.skip('no PostgreSQL');
    const database = backend === 'PostgreSQL' ? (await postgres?.createDatabase())?.url : undefined;
    const dataDir = directory();
    const witness = await witnessOf(t, [await vkeyIn(t, dataDir, database)]);
    const policy = policyOf(witness.vkey, witness.url);
    const { ledger } = await open(t, { dataDir, policy, ...(database && { database }) });
    await ledger.append(entry('act_1'));
    const [log] = await until(async () => {
      const logs = await ledger.logs();
      return logs[0]?.cosigned?.size === 3 && logs;
    });
    const receipt = await ledger.receipt(log?.id ?? '', 2);
    assert.ok(receipt);
    const report = await verifyReceipt({
      vkey: receipt.vkey,
      proof: receipt.proof,
      entry: Buffer.from(receipt.entry),
      witnesses: { vkeys: [witness.vkey], quorum: 1 },
    });
    assert.ok(report.ok && report.witnessedBy[0] === 'witness.example/w1');
    const served = await ledger.resource(log?.id ?? '', 'checkpoint');
    assert.match(Buffer.from(served?.body ?? []).toString(), /— witness\.example\/w1 /);
    const { records } = await ledger.search({ operation: 'log.open', limit: 1 });
    assert.match(records[0]?.record.changes.at(-1) ?? '', /^witnesses witness\.example.*quorum w1, fails open$/);
    assert.equal(ledger.witnessing()?.uncosignedSince, null);
  });
}

/** @proves law-7.witness-away */
test('while a witness is away calls go on, the wait is shown, and it catches up', async (t) => {
  const dataDir = directory();
  const logKey = await vkeyIn(t, dataDir);
  const before = await witnessOf(t, [logKey]);
  const port = Number(new URL(before.url).port);
  await before.close();
  const { ledger } = await open(t, { dataDir, policy: policyOf(before.vkey, before.url) });
  await ledger.append(entry('act_1'));
  const away = await until(() => {
    const view = ledger.witnessing();
    return view?.witnesses[0]?.problem ? view : undefined;
  });
  assert.match(away.witnesses[0]?.problem ?? '', /could not be fetched/);
  assert.ok(away.uncosignedSince && away.cosigned === null && !away.refuses);
  assert.ok((await ledger.append(entry('act_2'))).ok);
  const back = await witnessOf(t, [logKey], before.directory, port);
  await until(() => ledger.witnessing()?.cosigned?.size === 4);
  assert.equal(back.vkey, before.vkey);
  assert.equal(ledger.witnessing()?.witnesses[0]?.problem, null);
});

/** @proves law-7.witness-closed */
test('a deployment that fails closed sends nothing while its record waits for witnesses, and still kills and records', async (t) => {
  const dataDir = directory();
  const logKey = await vkeyIn(t, dataDir);
  const before = await witnessOf(t, [logKey]);
  await before.close();
  const policy = policyOf(before.vkey, before.url);
  const { ledger, change } = await open(t, { dataDir, policy, failClosedAfterMs: 700 });
  await until(() => ledger.witnessing()?.refuses);
  await assert.rejects(ledger.append(entry('act_1')), { code: 'ledger.unwitnessed', kind: 'unavailable' });
  const refused = await ledger.action('act_1');
  assert.deepEqual(
    refused?.records.map(({ record }) => record.kind),
    ['request'],
  );
  await change();
  // Nothing that is not cosigned is shown as if it were.
  assert.equal(await ledger.resource('gatehouse.test/log/one', 'checkpoint'), undefined);
  await witnessOf(t, [logKey], before.directory, Number(new URL(before.url).port));
  await until(() => ledger.witnessing()?.refuses === false);
  assert.ok((await ledger.append(entry('act_2'))).ok);
});

/** @proves law-7.witness-shown */
test('of another replica’s log only what that one shows counts as shown: what is cosigned, or has waited for it long enough', async (t) => {
  if (!postgres) return t.skip('no PostgreSQL');
  const database = (await postgres.createDatabase()).url;
  const base = { dataDir: directory(), database };
  const log = 'gatehouse.test/log/two';
  const logKey = await vkeyIn(t, base.dataDir, database, 'two');
  const before = await witnessOf(t, [logKey]);
  await before.close();
  const policy = policyOf(before.vkey, before.url);
  const two = await open(t, { ...base, policy, replica: 'two', failClosedAfterMs: 60_000 });
  await two.change();
  const size = Number((await two.ledger.checkpoint())?.split('\n')[1]);
  assert.equal(size, 3);
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead };
  const closed = await open(t, { ...base, policy, failClosedAfterMs: 60_000, clock });
  const goesOn = await open(t, { ...base, policy, replica: 'three', clock });
  assert.equal(await closed.ledger.shownSize(log), 0);
  assert.equal(await goesOn.ledger.shownSize(log), 0);
  ahead = 11_000;
  assert.equal(await closed.ledger.shownSize(log), 0, 'however long it waits, where cosignatures are demanded');
  assert.equal(await goesOn.ledger.shownSize(log), size);
  ahead = 0;
  await witnessOf(t, [logKey], before.directory, Number(new URL(before.url).port));
  await until(async () => (await closed.ledger.shownSize(log)) === size);
  assert.equal(await goesOn.ledger.shownSize(log), size);
});

/** @proves law-7.witness, law-7.rollback */
test('a database that was put back is found by the witness, and what grows on it is never cosigned', async (t) => {
  const dataDir = directory();
  const witness = await witnessOf(t, [await vkeyIn(t, dataDir)]);
  const policy = policyOf(witness.vkey, witness.url);
  const file = join(dataDir, 'gatehouse.db');
  const old = join(directory(), 'old.db');
  copyFileSync(file, old);
  const first = await open(t, { dataDir, policy });
  for (let at = 0; at < 5; at++) await first.ledger.append(entry(`act_${at}`));
  await until(() => first.ledger.witnessing()?.cosigned?.size === 7);
  await first.close();
  copyFileSync(old, file);
  for (const kind of ['-wal', '-shm']) rmSync(`${file}${kind}`, { force: true });

  const second = await open(t, { dataDir, policy });
  const problem = () => second.ledger.witnessing()?.witnesses[0]?.problem ?? '';
  await until(() => /has cosigned 7 records of this log, and there are 2: records were taken back/.test(problem()));
  for (let at = 0; at < 6; at++) await second.ledger.append(entry(`act_other_${at}`));
  await until(() => /not the beginning of this log/.test(problem()));
  assert.equal(second.ledger.witnessing()?.cosigned, null);
});

/** @proves law-7.checkpoint */
test('what is changed in the database changes no later checkpoint, and after a restart nothing more is signed', async (t) => {
  const dataDir = directory();
  const first = await open(t, { dataDir, policy: 'quorum none\n' });
  for (let at = 0; at < 5; at++) await first.ledger.append(entry(`act_${at}`));
  const honest = await first.ledger.checkpoint();
  const database = new DatabaseSync(join(dataDir, 'gatehouse.db'));
  database.exec('update records set leaf_hash = zeroblob(32) where sequence = 2');
  await first.ledger.append(entry('act_after'));
  const later = await first.ledger.checkpoint();
  database.exec('delete from records where sequence = 6');
  database.close();
  const [log] = await first.ledger.logs();
  const found = await first.ledger.verify(log?.id ?? '');
  assert.match(found.problem ?? '', /missing|truncated/);
  assert.ok(honest && later && honest !== later);
  await first.close();
  const second = await open(t, { dataDir, policy: 'quorum none\n' });
  await assert.rejects(second.ledger.checkpoint(), { code: /^ledger\.(broken|gap)$/ });
  await until(() => second.ledger.problem());
});

test('a witness that is not asked for its own key counts for nothing', async (t) => {
  const dataDir = directory();
  const logKey = await vkeyIn(t, dataDir);
  const witness = await witnessOf(t, [logKey]);
  const other = witnessVkey(directory(), 'witness.example/w1');
  const { ledger } = await open(t, { dataDir, policy: policyOf(other, witness.url) });
  await until(() => /no known key|no cosignature/.test(ledger.witnessing()?.witnesses[0]?.problem ?? ''));
  assert.equal(ledger.witnessing()?.cosigned, null);
});
