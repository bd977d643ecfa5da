import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import pg from 'pg';
import { startProxy } from '../../packages/server/src/storage/suite-proxy.ts';
import { startPostgres } from '../support/postgres.ts';
import { createAudit } from './audit.ts';
import { applyTo } from './house.ts';
import { createJournal } from './journal.ts';
import { onOwnDisk, type Scene, startScene } from './scene.ts';
import { createStoredReader } from './stored.ts';

/** Law 1: if it can't be recorded, it is denied. Whether a call passed is what its upstream says. */

type Fault = { begin(): Promise<void> | void; end(): Promise<void> | void };

async function open(t: TestContext, database: string, options?: { diskMiB: number }) {
  const scene = await startScene(database, options);
  t.after(scene.close);
  const journal = createJournal();
  let calls = 0;
  /** As many calls at once, of every kind of caller; gives how many passed, by their answers. */
  async function callMany(count: number): Promise<{ ids: string[]; ran: string[] }> {
    const ids = Array.from({ length: count }, () => `call-${++calls}`);
    const answers = await Promise.all(
      ids.map((id, at) =>
        scene.caller.call(at === 0 ? scene.tasks.proving : scene.tasks.bearer, 'over-http__note', { id }),
      ),
    );
    const ran = ids.filter((_, at) => answers[at]?.kind === 'ran');
    for (const id of ran) journal.ran.add(id);
    return { ids, ran };
  }
  /** Each fault has a payment of its own. */
  let payment = 'payment';
  const pay = () => scene.caller.call(scene.tasks.bearer, 'over-http__pay', { id: payment });
  function payAnew(): string {
    payment = `payment-${++calls}`;
    return payment;
  }
  return { scene, journal, callMany, pay, payAnew };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** A payment that somebody has approved, and that has not been made yet. */
async function approvePayment({ scene, journal, pay, payAnew }: Opened): Promise<void> {
  const id = payAnew();
  const waiting = await pay();
  assert.ok(waiting.kind === 'pending');
  assert.ok(await scene.approver.approve(waiting.approval));
  journal.payments.set(id, {
    tool: 'over-http__pay',
    approval: waiting.approval,
    asked: true,
    acknowledged: true,
    settled: true,
  });
}

/** So many at once: one that just then came behind a change, on a slow machine, is refused and may be made again. */
async function untilCallsPass({ callMany }: Pick<Opened, 'callMany'>, count = 1): Promise<void> {
  for (let turn = 0; turn < 300; turn++) {
    const { ran } = await callMany(count);
    if (ran.length === count) return;
    await sleep(300);
  }
  assert.fail('no call passes although the database can be written again');
}

async function assertRecorded(scene: Scene, audit: ReturnType<typeof createAudit>): Promise<void> {
  assert.deepEqual(await audit.check(scene.seen(), { openAllowed: true }), []);
  assert.equal((await scene.operator.call('POST /logs/verify')).problem, null);
}

async function assertDeniedMeanwhile(t: TestContext, database: string, faultOf: (scene: Scene) => Fault) {
  const opened = await open(t, database);
  await assertDenied(opened, faultOf(opened.scene), { rounds: 3, restMs: 1_000 });
  const { scene, journal } = opened;
  await assertRecorded(scene, createAudit(createStoredReader(database, scene.dataDir), journal));
}

/** One fault after the other, on what the one before has left; each is over before the next. */
async function assertDeniedInTurn(t: TestContext, database: string, faultsOf: (scene: Scene) => Record<string, Fault>) {
  const opened = await open(t, database);
  const { scene, journal } = opened;
  const audit = createAudit(createStoredReader(database, scene.dataDir), journal);
  for (const [name, fault] of Object.entries(faultsOf(scene)))
    await t.test(name, async () => {
      await assertDenied(opened, fault, { rounds: 2, restMs: 300 });
      await assertRecorded(scene, audit);
    });
  return { ...opened, audit };
}

async function assertDenied(opened: Opened, fault: Fault, { rounds, restMs }: { rounds: number; restMs: number }) {
  const { scene, callMany, pay } = opened;
  await untilCallsPass(opened, 12);
  await approvePayment(opened);
  const before = scene.seen();

  try {
    await fault.begin();
    // More than once, and longer than a feed lease lasts: the first calls are refused for another reason than the later ones.
    for (let round = 0; round < rounds; round++) {
      const [{ ran }, payment] = await Promise.all([callMany(12), pay()]);
      assert.deepEqual(ran, []);
      assert.notEqual(payment.kind, 'ran');
      await sleep(restMs);
    }
    assert.deepEqual(scene.seen(), before, 'a call has reached its upstream, and could not have been recorded');
  } finally {
    await fault.end();
  }

  await untilCallsPass(opened);
  const payments = await Promise.all([pay(), pay()]);
  assert.equal(payments.filter(({ kind }) => kind === 'ran').length, 1, 'what was approved before runs, once');
  for (const payment of payments) if (payment.kind === 'pending') await scene.approver.deny(payment.approval);
}

/** Calls are at every step when it begins, in the middle of commits as well: some of these arrive late, when it goes on. */
async function assertNothingLateRuns(t: TestContext, opened: Opened, stand: (isStill: boolean) => void): Promise<void> {
  const { scene, callMany, pay } = opened;
  await untilCallsPass(opened, 12);
  await approvePayment(opened);
  const during = [callMany(24), pay(), callMany(24), pay()] as const;
  await new Promise<void>((resolve) => {
    const off = scene.onCall(() => resolve(off()));
  });
  stand(true);
  try {
    const [first, paid, second, again] = await Promise.all(during);
    const before = scene.seen();
    assert.deepEqual((await callMany(12)).ran, []);
    assert.deepEqual(scene.seen(), before, 'a call has reached its upstream, and could not have been recorded');
    assert.ok([paid, again].filter(({ kind }) => kind === 'ran').length <= 1);
    t.diagnostic(`${first.ran.length + second.ran.length} of 48 passed before it stood still`);
  } finally {
    stand(false);
  }
  await untilCallsPass(opened);
}

const prlimit = spawnSync('prlimit', ['--version']).status === 0 ? false : 'prlimit (util-linux) is missing';

// @proves law-1.unwritable
test('while nothing can be written to the disk no call passes, and calls pass again when it can', {
  skip: prlimit,
}, async (t) => {
  await assertDeniedMeanwhile(t, 'sqlite', ({ replica }) => {
    const limit = (size: string) => {
      const { status, stderr } = spawnSync('prlimit', ['--pid', String(replica.pid), `--fsize=${size}:`]);
      assert.equal(status, 0, stderr.toString());
    };
    return { begin: () => limit('0'), end: () => limit('unlimited') };
  });
});

/** Until nothing passes any more: what is refused must not have run. Gives the way to make room. */
async function fillDisk(opened: Opened, directory: string): Promise<() => void> {
  const { scene, callMany } = opened;
  const filler = join(directory, 'filler');
  const fill = () => {
    for (let size = 1 << 20; size >= 1; size >>= 1) {
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(size));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      }
    }
  };
  await untilCallsPass(opened, 12);
  fill();
  const refused: string[] = [];
  // The log of the database has room of its own for a while.
  for (let round = 0; round < 400 && refused.length < 100; round++) {
    const { ids, ran } = await callMany(12);
    refused.push(...ids.filter((id) => !ran.includes(id)));
    if (ran.length > 0) fill();
  }
  assert.ok(refused.length >= 100, 'the disk is full, and calls go on passing');
  const seen = new Set(scene.seen());
  assert.deepEqual(
    refused.filter((id) => seen.has(id)),
    [],
  );
  return () => rmSync(filler);
}

const ownDisk = (() => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-disk-'));
  const [command = '', ...args] = [...onOwnDisk(directory, 1), 'true'];
  const { status } = spawnSync(command, args);
  rmdirSync(directory);
  return status === 0
    ? false
    : 'this system lets nobody mount a small disk (user namespaces); the test before stands for it';
})();

// @proves law-1.unwritable
test('on a full disk what is refused has not run, and calls pass again when there is room', {
  skip: ownDisk,
}, async (t) => {
  const opened = await open(t, 'sqlite', { diskMiB: 24 });
  const { scene, journal } = opened;
  const letGo = await fillDisk(opened, scene.dataDir);
  letGo();
  await untilCallsPass(opened);
  // SQLite does not find its way to the server's disk, so it is read as a power cut would leave it.
  const copy = mkdtempSync(join(tmpdir(), 'gatehouse-copy-'));
  t.after(() => rmSync(copy, { recursive: true }));
  scene.replica.signal('SIGSTOP');
  for (const name of ['gatehouse.db', 'gatehouse.db-wal']) copyFileSync(join(scene.dataDir, name), join(copy, name));
  scene.replica.signal('SIGCONT');
  await assertRecorded(scene, createAudit(createStoredReader('sqlite', copy), journal));
});

const mountable = (() => {
  if (process.getuid?.() !== 0)
    return 'only root can mount a disk for PostgreSQL, which does not run in a user namespace of ours';
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  if (status === 0) spawnSync('umount', [directory]);
  rmdirSync(directory);
  return status === 0 ? false : 'this system lets nobody mount a small disk';
})();

// @proves law-1.unwritable, law-1.reconnects
test('on a full disk under PostgreSQL what is refused has not run, and calls pass again when there is room', {
  skip: mountable,
}, async (t) => {
  const postgres = await startPostgres({ diskMiB: 110 });
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(postgres.close);
  const { url } = await postgres.createDatabase();
  const opened = await open(t, url);
  const { scene, journal } = opened;
  const letGo = await fillDisk(opened, postgres.dataDir);
  assert.match((await scene.operator.call('GET /status')).troubles[0]?.problem ?? '', /No space left on device/);
  letGo();
  await untilCallsPass(opened);
  await assertRecorded(scene, createAudit(createStoredReader(url, scene.dataDir), journal));
});

// @proves law-1.unwritable
test('while another program locks the database no call passes, and calls pass again when it lets go', async (t) => {
  await assertDeniedMeanwhile(t, 'sqlite', ({ dataDir }) => {
    let other: DatabaseSync | undefined;
    return {
      begin() {
        other = new DatabaseSync(join(dataDir, 'gatehouse.db'), { timeout: 10_000 });
        other.exec('begin immediate');
      },
      end: () => other?.close(),
    };
  });
});

// @proves law-1.unwritable
test('while PostgreSQL is stopped no call passes, and calls pass again when it runs', async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(postgres.close);
  const { url } = await postgres.createDatabase();
  await assertDeniedMeanwhile(t, url, () => ({ begin: postgres.kill, end: postgres.restart }));
});

// @proves law-1.unwritable
test('while PostgreSQL is read-only no call passes, and calls pass again when it can be written', async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(postgres.close);
  const { url, name } = await postgres.createDatabase();
  /** As a failover does it: sessions end, and new ones are on a server that is read-only. */
  async function setReadOnly(isReadOnly: boolean): Promise<void> {
    const client = new pg.Client({ connectionString: postgres?.url });
    await client.connect();
    await client.query(`alter database ${name} set default_transaction_read_only = ${isReadOnly}`);
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
    await client.end();
  }
  await assertDeniedMeanwhile(t, url, () => ({ begin: () => setReadOnly(true), end: () => setReadOnly(false) }));
});

/** Without the right to it (root, on a file system that has the flag) nothing is tried here; `prlimit` stands for it above. */
function setImmutable(file: string, isImmutable: boolean): boolean {
  return spawnSync('chattr', [isImmutable ? '+i' : '-i', file]).status === 0;
}

// @proves law-1.unwritable, law-1.files-gone
test('when the files of SQLite are gone, replaced or read-only no call passes, and calls pass again when they are back', async (t) => {
  await assertDeniedInTurn(t, 'sqlite', ({ dataDir }) => {
    const [database, wal] = [join(dataDir, 'gatehouse.db'), join(dataDir, 'gatehouse.db-wal')];
    const moved = (file: string, meanwhile?: () => void): Fault => ({
      begin() {
        renameSync(file, `${file}.away`);
        meanwhile?.();
      },
      end: () => renameSync(`${file}.away`, file),
    });
    const faults: Record<string, Fault> = {
      'the database is unlinked': moved(database),
      'another file is in its place': moved(database, () => copyFileSync(`${database}.away`, database)),
      'an empty file is in its place': moved(database, () => appendFileSync(database, '')),
      'its WAL is unlinked': moved(wal),
      'another WAL is in its place': moved(wal, () => copyFileSync(`${wal}.away`, wal)),
    };
    if (setImmutable(wal, true)) {
      setImmutable(wal, false);
      faults['the disk is read-only, as far as open files can tell'] = {
        begin: () => void [database, wal].map((file) => setImmutable(file, true)),
        end: () => void [database, wal].map((file) => setImmutable(file, false)),
      };
    } else t.diagnostic('chattr +i is not permitted: read-only is left out');
    return faults;
  });
});

// @proves law-1.unwritable, law-1.reconnects, law-1.unknown
test('while PostgreSQL hangs or takes no connection no call passes, and calls pass again after it', async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(postgres.close);
  const { url, name } = await postgres.createDatabase();
  const network = await startProxy(t, url);
  const admin = async (...statements: [string, unknown[]?][]): Promise<void> => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    for (const [text, values] of statements) await client.query(text, values);
    await client.end();
  };
  const end = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1';
  const opened = await assertDeniedInTurn(t, network.url, ({ operator }) => {
    /** So that the database is lost while the server applies what has changed. */
    async function whileChanging(fault: () => Promise<void>): Promise<void> {
      let isOver = false;
      const changing = Array.from({ length: 3 }, async (_, lane) => {
        for (let turn = 0; !isOver; turn++) {
          const email = `person-${lane}-${turn}@example.test`;
          const person: ManifestInput = { kind: 'Person', email, displayName: email, roles: ['approver'] };
          await applyTo(operator, [person]).catch(() => sleep(20));
        }
      });
      await sleep(100);
      await fault();
      isOver = true;
      await Promise.all(changing);
    }
    return {
      'nothing passes between them, and no connection ends': {
        begin: () => network.holdBack(true),
        end: () => network.holdBack(false),
      },
      'it takes no connection': {
        begin: () => whileChanging(() => admin([`alter database ${name} with allow_connections false`], [end, [name]])),
        async end() {
          try {
            let status = await operator.call('GET /status');
            for (; status.fresh; status = await operator.call('GET /status')) await sleep(200);
            assert.match(status.troubles.find(({ what }) => what === 'changes')?.problem ?? '', /connection/);
          } finally {
            await admin([`alter database ${name} with allow_connections true`]);
          }
        },
      },
      'each connection ends in the middle of its handshake': {
        begin: () => whileChanging(async () => network.cutAll(true)),
        end: () => network.cutAll(false),
      },
    };
  });
  await t.test('it stands still in the middle of commits, and goes on', async (t) => {
    await assertNothingLateRuns(t, opened, postgres.pause);
    await assertRecorded(opened.scene, opened.audit);
  });
});

// @proves law-1.clock
test('when the clock jumps by hours what passes is recorded, no approval comes to life again, and calls pass when it is right', async (t) => {
  const opened = await open(t, 'sqlite');
  const { scene, journal, callMany, pay } = opened;
  const audit = createAudit(createStoredReader('sqlite', scene.dataDir), journal);
  await untilCallsPass(opened, 12);
  opened.payAnew();
  const waiting = await pay();
  assert.ok(waiting.kind === 'pending' && (await scene.approver.approve(waiting.approval)));
  for (const offsetMs of [20 * 60_000, -6 * 3_600_000]) {
    const [during] = await Promise.all([callMany(24), scene.replica.setClock(offsetMs)]);
    const paid = await pay();
    assert.notEqual(paid.kind, 'ran', 'the yes has run out, whatever the clock says later');
    t.diagnostic(`${offsetMs} ms: ${during.ran.length} of 24, then ${(await callMany(12)).ran.length} of 12 passed`);
    await sleep(1_500);
    assert.deepEqual(await audit.check(scene.seen(), { openAllowed: true }), []);
  }
  await scene.replica.setClock(0);
  await untilCallsPass(opened);
  await assertRecorded(scene, audit);
});
