import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  formatTlogProof,
  leafHash,
  missingLog,
  parseTlogProof,
  SIGNATURE_TYPE,
  verifyPublished,
  verifyReceipt,
} from '@gatehouse/verifier';
import { openLedger } from '../packages/server/src/ledger/ledger.ts';
import { createLog, systemClock } from '../packages/server/src/platform/index.ts';
import { createSealer, openStorage } from '../packages/server/src/storage/index.ts';
import { type Files, noteOf, publish, sourceOf } from '../packages/verifier/test/published-log.ts';
import { newSigner, proofFileOf, recordsOf } from '../packages/verifier/test/support.ts';

/**
 * Law 7: each way to change the past × each place where it can be tried, and what the verifier says of it. It holds the log's key and a
 * checkpoint that was kept elsewhere. docs/explanation/record.md shows this table.
 */
const found = new Map<string, Record<string, string>>();
const note = (kind: string, place: string, fault: string) => found.set(kind, { ...found.get(kind), [place]: fault });

const log = newSigner('log.example');
const witness = newSigner('witness.example', SIGNATURE_TYPE.cosignature);
const records = recordsOf(700);
const honest = publish(records, log, witness);
const kept = noteOf(publish(records.slice(0, 600), log));
const at = 'tile/entries/001';
const changed = (change: (entries: Uint8Array[]) => Uint8Array[]): Files => {
  const files = new Map(honest);
  return files.set(at, encodeEntryBundle(change(decodeEntryBundle(files.get(at) as Uint8Array))));
};
const other = new TextEncoder().encode('{"sequence":"another"}');
const retold = [...records.slice(0, 500), ...recordsOf(900).slice(700)];

const published: Record<string, () => Files> = {
  edit: () => changed((entries) => entries.with(3, other)),
  delete: () => changed((entries) => entries.toSpliced(3, 1)),
  insert: () => changed((entries) => entries.toSpliced(3, 0, other)),
  reorder: () => changed((entries) => entries.with(3, entries[4] as Uint8Array).with(4, entries[3] as Uint8Array)),
  truncate: () => new Map([...honest].filter(([path]) => !path.startsWith('tile/entries/002'))),
  // With the log's own key: what was taken back is signed as if it had never been.
  rollback: () => publish(records.slice(0, 550), log),
  fork: () => publish(retold, log),
  'cosignature swapped': () => {
    const files = new Map(honest);
    const lines = noteOf(files).split('\n');
    const elsewhere = noteOf(publish(records.slice(0, 100), log, witness)).split('\n');
    return files.set('checkpoint', Buffer.from([...lines.slice(0, -2), elsewhere.at(-2), ''].join('\n')));
  },
  'content taken away': () => changed((entries) => entries.with(3, new Uint8Array())),
  'hash tile changed': () => {
    const files = new Map(honest);
    return files.set('tile/1/000.p/2', Buffer.from(files.get('tile/1/000.p/2') as Uint8Array).reverse());
  },
};

/** @proves law-7.matrix */
describe('the past, changed in published files', () => {
  const verify = (files: Files, from?: number) =>
    verifyPublished({
      source: sourceOf(files),
      vkey: log.vkey,
      checkpoints: [kept],
      witnesses: { vkeys: [witness.vkey], quorum: 0 },
      ...(from !== undefined && { from, to: 500 }),
    });

  it('is as it was signed before anything is changed, whole and in part', async () => {
    assert.ok((await verify(honest)).ok);
    assert.ok((await verify(honest, 250)).ok);
  });

  for (const [kind, tamper] of Object.entries(published)) {
    it(`is found: ${kind}`, async () => {
      const files = tamper();
      const [whole, part] = [await verify(files), await verify(files, 250)];
      assert.ok(!whole.ok);
      note(kind, 'published files', whole.fault.kind);
      if (kind !== 'truncate')
        assert.ok(!part.ok, 'a range that holds it, or that the whole log vouches for, is not proven either');
      if (!['edit', 'delete', 'insert', 'reorder', 'content taken away'].includes(kind)) return;
      assert.equal(whole.fault.from, 259);
    });
  }
});

/** @proves law-7.matrix */
describe('the past, changed in a receipt', () => {
  const parts: Record<string, (proof: string) => Promise<{ entry?: Uint8Array; proof: string }>> = {
    edit: async (proof) => ({ entry: other, proof }),
    reorder: async (proof) => ({ proof: formatTlogProof({ ...parseTlogProof(proof), index: 8 }) }),
    fork: async (proof) => ({
      proof: formatTlogProof({ ...parseTlogProof(proof), checkpoint: noteOf(publish(retold, log)) }),
    }),
    'cosignature swapped': async (proof) => ({
      proof: formatTlogProof({
        ...parseTlogProof(proof),
        checkpoint: noteOf((published['cosignature swapped'] as () => Files)()),
      }),
    }),
    'receipt parts mixed': async (proof) => {
      const another = parseTlogProof(await proofFileOf(records, 8, noteOf(honest)));
      return { proof: formatTlogProof({ ...parseTlogProof(proof), proof: another.proof }) };
    },
  };
  for (const [kind, tamper] of Object.entries(parts)) {
    it(`is found: ${kind}`, async () => {
      const entry = records[7] as Uint8Array;
      const proof = await proofFileOf(records, 7, noteOf(honest));
      const trust = { vkey: log.vkey, witnesses: { vkeys: [witness.vkey], quorum: 1 } };
      assert.ok((await verifyReceipt({ entry, proof, ...trust })).ok);
      const report = await verifyReceipt({ entry, ...(await tamper(proof)), ...trust });
      assert.ok(!report.ok);
      note(kind, 'receipts', report.fault.kind);
    });
  }
});

/** @proves law-7.matrix */
describe('the past, changed in the database', () => {
  const key = randomBytes(32);
  const scratch = mkdtempSync(join(tmpdir(), 'gatehouse-matrix-'));
  const original = join(scratch, 'original');
  let checkpoint = '';
  after(() => rmSync(scratch, { recursive: true, force: true }));

  async function open(dataDir: string, replica = 'one') {
    const quiet = createLog('error', () => undefined);
    const storage = await openStorage({ database: 'sqlite', dataDir, log: quiet, clock: systemClock });
    const sealer = createSealer(key);
    const ledger = await openLedger({ storage, sealer, clock: systemClock, log: quiet, replica, origin: 'g.test' });
    const close = () => ledger.close().finally(() => storage.close());
    const grow = (count: number) =>
      storage.transaction(async (transaction) => {
        for (let n = 0; n < count; n++)
          await ledger.recordChange(transaction, { operation: 'agent.kill', by: 'operator', changes: [`${n}`] });
      });
    return { ledger, grow, close };
  }

  before(async () => {
    await (await open(original, 'two')).close();
    const { ledger, grow, close } = await open(original);
    await grow(20);
    checkpoint = (await ledger.checkpoint()) ?? '';
    await close();
    cpSync(original, join(scratch, 'old'), { recursive: true });
    const later = await open(original);
    await later.grow(20);
    checkpoint = (await later.ledger.checkpoint()) ?? '';
    await later.close();
  });

  const last = "(select max(sequence) from records where log = 'g.test/log/one')";
  const mine = "log = 'g.test/log/one'";
  const forged = leafHash(Buffer.from('{"forged":true}'));
  const changes: Record<string, (database: DatabaseSync) => void> = {
    edit: (db) =>
      db.exec(`update records set entry = replace(entry, 'agent.kill', 'agent.rest') where ${mine} and sequence = 5`),
    delete: (db) => db.exec(`delete from records where ${mine} and sequence = 5`),
    insert: (db) => {
      db.exec(`update records set sequence = -sequence - 1 where ${mine} and sequence > 4`);
      db.prepare(
        `insert into records (log, sequence, leaf_hash, kind, action_id, at, operation, entry) values ('g.test/log/one', 5, ?, 'change', 'act_x', 0, 'x', '{"forged":true}')`,
      ).run(forged);
      db.exec(`update records set sequence = -sequence where ${mine} and sequence < 0`);
    },
    reorder: (db) => {
      db.exec(`update records set sequence = -1 where ${mine} and sequence = 5`);
      db.exec(`update records set sequence = 5 where ${mine} and sequence = 6`);
      db.exec(`update records set sequence = 6 where ${mine} and sequence = -1`);
    },
    truncate: (db) => db.exec(`delete from records where ${mine} and sequence = ${last}`),
    'log missing': (db) => {
      for (const table of ['records', 'checkpoints', 'tiles'])
        db.exec(`delete from ${table} where log = 'g.test/log/two'`);
      db.exec("delete from logs where id = 'g.test/log/two'");
    },
    'content taken away': (db) => db.exec(`update records set entry = '' where ${mine} and sequence = 5`),
    rollback: () => undefined,
    fork: () => undefined,
  };
  for (const [kind, change] of Object.entries(changes)) {
    it(`is found: ${kind}`, async () => {
      const dataDir = join(scratch, kind.replaceAll(' ', '-'));
      cpSync(join(scratch, kind === 'rollback' || kind === 'fork' ? 'old' : 'original'), dataDir, { recursive: true });
      const database = new DatabaseSync(join(dataDir, 'gatehouse.db'));
      change(database);
      database.close();
      const { ledger, grow, close } = await open(dataDir);
      // On what was put back another past grows, which the log's own key signs.
      if (kind === 'fork') await grow(30);
      const report = await ledger.verify('g.test/log/one', { checkpoints: [checkpoint] });
      const problem = report.problem ?? missingLog(report.named, await ledger.logs());
      assert.ok(problem, 'nothing was found');
      note(kind, 'database', report.problem === null ? 'log-missing' : (problem.split(':')[0] ?? ''));
      await close().catch(() => undefined);
    });
  }
});

after(() => {
  const page = readFileSync(join(import.meta.dirname, '../docs/explanation/record.md'), 'utf8');
  const cell = (kind: string, place: string) => {
    const fault = found.get(kind)?.[place];
    return fault === undefined ? '–' : `\`${fault}\``;
  };
  const rows = [...found.keys()].map(
    (kind) => `| ${kind} | ${cell(kind, 'database')} | ${cell(kind, 'published files')} | ${cell(kind, 'receipts')} |`,
  );
  const missing = rows.filter((row) => !page.includes(row));
  assert.deepEqual(missing, [], `docs/explanation/record.md lacks:\n${rows.join('\n')}`);
});
