import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { verifyReceipt } from '@gatehouse/verifier';
import { createLog, systemClock } from '../platform/index.ts';
import { createSealer, openStorage } from '../storage/index.ts';
import { openLedger } from './ledger.ts';
import type { Ledger, LedgerEntry } from './types.ts';

const key = randomBytes(32);

async function open(dataDir: string, context: TestContext, replica = 'one') {
  const log = createLog('error');
  const storage = await openStorage({ database: 'sqlite', dataDir, log, clock: systemClock });
  const sealer = createSealer(key);
  const ledger = await openLedger({
    storage,
    sealer,
    clock: systemClock,
    log,
    replica,
    origin: 'gatehouse.test',
  });
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await ledger.close().finally(() => storage.close());
  };
  context.after(() => close().catch(() => undefined));
  return { storage, ledger, close };
}

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-ledger-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

function entry(
  actionId: string,
  kind: 'dispatch' | 'outcome' | 'request' = 'dispatch',
  more: Partial<LedgerEntry['record']> = {},
): LedgerEntry {
  return {
    record: {
      kind,
      action_id: actionId,
      operation: 'tools/call',
      agent: 'agent-a',
      actor_chain: [],
      requested_by: null,
      on_behalf_of: null,
      task: 'tsk_1',
      intent: 'test',
      model_provider: null,
      model: null,
      environment: 'production',
      template: 'refund-order',
      tool: 'shop/get_order',
      tool_definition: null,
      resource: '1042',
      decision: { effect: 'allow', tier: 1, code: 'allowed', reason: '', policies: [], policyVersion: 'v' },
      labels: [],
      approval: null,
      credentials: [],
      ticket: null,
      change_request: null,
      result: kind === 'outcome' ? 'success' : null,
      changes: [],
      detail: null,
      ...more,
    },
    arguments: { order: 1042 },
  };
}

async function fill(ledger: Ledger, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, at) => ledger.append(entry(`act_${String(at).padStart(5, '0')}`))),
  );
}

test('each start of a log names all logs, so that a whole log cannot go missing', async (context) => {
  const dataDir = directory();
  await (await open(dataDir, context)).close();
  const { ledger, close } = await open(dataDir, context);
  const { records } = await ledger.search({ operation: 'log.open', limit: 10 });
  assert.match(
    records[0]?.record.changes[0] ?? '',
    /^log gatehouse.test\/log\/one, key gatehouse.test\/log\/one\+[0-9a-f]{8}\+\S+, 1 records$/,
  );
  await close();
});

/** @proves law-7.receipt, rfc6962.tree */
test('every record has a receipt that verifies with the public key alone, across tile boundaries and a restart', async (context) => {
  const dataDir = directory();
  const first = await open(dataDir, context);
  await fill(first.ledger, 300);
  await first.close();
  const { ledger, close } = await open(dataDir, context);
  await Promise.all(Array.from({ length: 420 }, (_, at) => ledger.append(entry(`act_b${at}`))));
  const [log] = await ledger.logs();
  assert.equal(log?.size, 722);
  for (const sequence of [1, 255, 256, 300, 302, 511, 512, 721]) {
    const receipt = await ledger.receipt(log.id, sequence);
    assert.ok(receipt);
    const report = await verifyReceipt({ vkey: receipt.vkey, proof: receipt.proof, entry: Buffer.from(receipt.entry) });
    assert.ok(report.ok && report.index === sequence);
    const forged = await verifyReceipt({
      vkey: receipt.vkey,
      proof: receipt.proof,
      entry: Buffer.from(receipt.entry.replace('1042', '1043')),
    });
    assert.equal(forged.ok, false);
  }
  const { named, ok, size, problem, removed } = await ledger.verify(log.id);
  assert.deepEqual({ ok, size, problem, removed }, { ok: true, size: 722, problem: null, removed: 0 });
  assert.deepEqual(
    named.map(({ id, size }) => [id, size]),
    [
      [log.id, 0],
      [log.id, 301],
    ],
  );
  assert.equal(await ledger.receipt(log.id, 722), undefined);
  await close();
});

/** @proves law-7.tamper */
const tampering: [string, (database: DatabaseSync) => void, RegExp][] = [
  [
    'an edited entry',
    (db) => db.exec(`UPDATE records SET entry = replace(entry, '"1042"', '"1043"') WHERE sequence = 5`),
    /edited/,
  ],
  [
    'an edited entry with a matching leaf hash',
    (db) => {
      db.exec(
        `UPDATE records SET entry = replace(entry, '"1042"', '"1043"'), leaf_hash = zeroblob(32) WHERE sequence = 5`,
      );
    },
    /edited|root-mismatch/,
  ],
  ['a deleted entry', (db) => db.exec('DELETE FROM records WHERE sequence = 5'), /missing|gap|edited|reordered|root/],
  ['a truncated log', (db) => db.exec('DELETE FROM records WHERE sequence > 5'), /truncated|gap/],
  [
    'two entries swapped',
    (db) => {
      db.exec(
        `UPDATE records SET sequence = 100000 WHERE sequence = 3; UPDATE records SET sequence = 3 WHERE sequence = 4; UPDATE records SET sequence = 4 WHERE sequence = 100000`,
      );
    },
    /reordered|edited|root/,
  ],
  [
    'a checkpoint rewritten',
    (db) =>
      db.exec(
        `UPDATE checkpoints SET note = replace(note, char(10) || '21' || char(10), char(10) || '20' || char(10))`,
      ),
    /signature|checkpoint/,
  ],
];

for (const [name, tamper, expected] of tampering) {
  test(`tampering is found by verification: ${name}`, async (context) => {
    const dataDir = directory();
    const first = await open(dataDir, context);
    await fill(first.ledger, 20);
    await first.close();
    const database = new DatabaseSync(join(dataDir, 'gatehouse.db'));
    tamper(database);
    database.close();
    const { ledger, close } = await open(dataDir, context);
    const problem = await ledger.verify('gatehouse.test/log/one').then(
      ({ problem }) => problem,
      (error: Error) => error.message,
    );
    assert.match(problem ?? 'nothing was found', expected);
    await close().catch(() => undefined);
  });
}

/** @proves law-7.tamper */
const ofWholeLogs: [string, string, RegExp | null][] = [
  ['nothing', 'SELECT 1', null],
  [
    'a record under another operation, with the log that it names gone',
    `UPDATE records SET operation = 'agent.kill' WHERE operation LIKE 'log.%';
     DELETE FROM records WHERE log LIKE '%/two'; DELETE FROM checkpoints WHERE log LIKE '%/two'; DELETE FROM logs WHERE id LIKE '%/two'`,
    /^log-missing: the log gatehouse.test\/log\/two /,
  ],
  [
    'the end of a log with every checkpoint over it',
    "DELETE FROM records WHERE log LIKE '%/two' AND sequence > 0; DELETE FROM checkpoints WHERE log LIKE '%/two' AND size > 1",
    /^(log-missing: the log gatehouse.test\/log\/two has|gatehouse.test\/log\/two: no-checkpoint)/,
  ],
  [
    'every checkpoint, and an entry that nothing signs any more',
    `DELETE FROM checkpoints WHERE log LIKE '%/two';
     UPDATE records SET entry = replace(entry, 'agent-a', 'agent-x') WHERE log LIKE '%/two'`,
    /two: no-checkpoint: none of its \d+ records is signed/,
  ],
];

for (const [name, tamper, expected] of ofWholeLogs) {
  test(`verification of all logs tells what is wrong between them: ${name}`, async (context) => {
    const dataDir = directory();
    const second = await open(dataDir, context, 'two');
    await fill(second.ledger, 20);
    await second.close();
    await (await open(dataDir, context)).close();
    const database = new DatabaseSync(join(dataDir, 'gatehouse.db'));
    database.exec(tamper);
    database.close();
    const { ledger } = await open(dataDir, context);
    const { ok, problem, logs } = await ledger.verifyAll();
    assert.equal(ok, expected === null);
    assert.match(problem ?? '', expected ?? /^$/);
    if (expected === null) {
      assert.equal(logs.length, 2);
      const [kept] = (await ledger.logs()).flatMap(({ checkpoint }) => checkpoint ?? []);
      const elsewhere = `gone.test/log/one\n${kept}`;
      assert.match((await ledger.verifyAll({ checkpoints: [elsewhere] })).problem ?? '', /no log "gone.test/);
      await assert.rejects(ledger.verifyAll({ log: 'gone' }), { code: 'log.unknown' });
    }
  });
}

/** @proves law-1.unknown */
test('a dispatch whose outcome was never written shows as unknown after a restart, and only once', async (context) => {
  const dataDir = directory();
  const first = await open(dataDir, context);
  await first.ledger.append(entry('act_lost'));
  await first.ledger.append(entry('act_done'));
  first.ledger.appendLater(entry('act_done', 'outcome'));
  await first.close();
  const { ledger, close } = await open(dataDir, context);
  assert.equal((await ledger.action('act_lost'))?.summary.status, 'running');
  assert.equal(await ledger.closeUnknown(), 1);
  assert.equal(await ledger.closeUnknown(), 0);
  assert.equal((await ledger.action('act_lost'))?.summary.status, 'unknown');
  assert.equal((await ledger.action('act_done'))?.summary.status, 'success');
  await close();
});

test('search pages through everything once, newest first, by any filter', async (context) => {
  const { ledger, close } = await open(directory(), context);
  await fill(ledger, 57);
  await ledger.append(entry('act_other', 'dispatch', { agent: 'agent-b' }));
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await ledger.actions({ agent: 'agent-a', limit: 10, ...(cursor !== null && { cursor }) });
    seen.push(...page.actions.map(({ actionId }) => actionId));
    cursor = page.cursor;
  } while (cursor !== null);
  assert.equal(seen.length, 57);
  assert.equal(new Set(seen).size, 57);
  await assert.rejects(ledger.search({ limit: 1, cursor: 'nonsense' }), { code: 'cursor.malformed' });
  await close();
});

test('the arguments stand beside the record, as a salted digest in it: equal arguments have different digests', async (context) => {
  const { ledger, close } = await open(directory(), context);
  await ledger.append(entry('act_1'));
  await ledger.append(entry('act_2'));
  const [one, two] = await Promise.all([ledger.action('act_1'), ledger.action('act_2')]);
  assert.deepEqual(one?.arguments, { order: 1042 });
  assert.notEqual(one?.records[0]?.record.arguments_digest, two?.records[0]?.record.arguments_digest);
  assert.ok(!JSON.stringify(one?.records).includes('"order"'));
  await close();
});

test('a follower gets each durable record once and in order, administrative changes too', async (context) => {
  const { ledger, storage, close } = await open(directory(), context);
  const sequences: number[] = [];
  const ready = Promise.withResolvers<void>();
  const stop = ledger.follow(({ sequence }) => sequences.push(sequence), ready.resolve);
  await ready.promise;
  await fill(ledger, 30);
  await storage.transaction((transaction) =>
    ledger.recordChange(transaction, { operation: 'agent.kill', by: 'person:owner@example.test', changes: ['killed'] }),
  );
  for (let turn = 0; turn < 600 && sequences.length < 31; turn++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(
    sequences,
    Array.from({ length: 31 }, (_, at) => at + 1),
  );
  stop();
  assert.equal(
    (await ledger.search({ operation: 'agent.kill', limit: 5 })).records.length,
    1,
    'and the ledger goes on',
  );
  await close();
});

test('of a log that begins while it is followed the first records are heard as well', async (context) => {
  const { ledger, storage, close } = await open(directory(), context);
  const heard: string[] = [];
  const ready = Promise.withResolvers<void>();
  ledger.follow(({ log, sequence }) => heard.push(`${log} ${sequence}`), ready.resolve);
  await ready.promise;
  const { records } = await ledger.search({ limit: 10 });
  // As another replica begins one.
  await storage.transaction(async (transaction) => {
    const [own] = await transaction.selectFrom('logs').selectAll().execute();
    assert.ok(own);
    await transaction
      .insertInto('logs')
      .values({ ...own, id: 'gate.test/log/new' })
      .execute();
    for (const row of await transaction.selectFrom('records').selectAll().execute())
      await transaction
        .insertInto('records')
        .values({ ...row, log: 'gate.test/log/new' })
        .execute();
  });
  for (let turn = 0; turn < 600 && heard.length < records.length; turn++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(
    heard,
    records.map((_, at) => `gate.test/log/new ${at}`),
  );
  await close();
});

/** @proves law-1.followers */
test('a follower that fails, and one that never comes back from what it began, take nothing from the others', async (context) => {
  const { ledger, close } = await open(directory(), context);
  const sequences: number[] = [];
  const heard = { failing: 0, hanging: 0 };
  ledger.follow(() => {
    heard.failing++;
    throw new Error('a follower with a fault');
  });
  ledger.follow(() => {
    heard.hanging++;
    return new Promise(() => undefined) as unknown as undefined;
  });
  const ready = Promise.withResolvers<void>();
  ledger.follow(({ sequence }) => sequences.push(sequence), ready.resolve);
  await ready.promise;
  await fill(ledger, 30);
  for (let turn = 0; turn < 600 && sequences.length < 30; turn++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(
    sequences,
    Array.from({ length: 30 }, (_, at) => at + 1),
  );
  assert.deepEqual(heard, { failing: 1, hanging: 30 });
  await close();
});

test('when the last follower leaves, the log goes on: it is searched, and its tree grows', async (context) => {
  const { ledger, close } = await open(directory(), context);
  ledger.follow(() => undefined)();
  await fill(ledger, 3);
  assert.equal((await ledger.search({ limit: 10 })).records.length, 4);
  assert.ok(await ledger.receipt((await ledger.logs())[0]?.id ?? '', 3));
  await close();
});

test('a record that would not fit a log entry is refused, and nothing of it is written', async (context) => {
  const { ledger, close } = await open(directory(), context);
  await assert.rejects(ledger.append(entry('act_big', 'dispatch', { intent: 'x'.repeat(70_000) })), {
    code: 'ledger.record-too-large',
  });
  assert.equal(await ledger.action('act_big'), undefined);
  await close();
});
