import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type PublishedReport, verifyPublished, verifyReceipt } from '@gatehouse/verifier';
import { directorySource, nodeSha256 } from '@gatehouse/verifier/node';
import fc from 'fast-check';
import { sql } from 'kysely';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { yesOf } from '../../identity/people/testing/second-yes.ts';
import { createLog } from '../../platform/index.ts';
import { appliedDigest } from '../../registry/index.ts';
import { type ClockDoubt, createClockDoubt } from './clock-doubt.ts';
import { createCalendar, directory, openRecordKeeper } from './testing/record-keeper.ts';

type Keeper = Awaited<ReturnType<typeof openRecordKeeper>>;

/** What anybody can verify who reads the log over HTTP. */
async function verifyServed({ ledger, log }: Keeper): Promise<PublishedReport> {
  const { vkey = '' } = (await ledger.logs()).find(({ id }) => id === log) ?? {};
  return verifyPublished({
    vkey,
    source: async (path) => (await ledger.resource(log, path))?.body,
    sha256: nodeSha256,
  });
}

async function entriesOf({ storage, log }: Keeper) {
  return storage.db.selectFrom('records').selectAll().where('log', '=', log).orderBy('sequence').execute();
}

const removalsNamed = async ({ storage }: Keeper) =>
  (await storage.db.selectFrom('records').select('entry').where('operation', '=', 'retention.remove').execute())
    .map(({ entry }) => JSON.parse(entry).changes as string[])
    .filter(([, what]) => what?.startsWith('log '));

onEachDatabase('retention of records', (database) => {
  const clock = createCalendar();
  const publishTo = directory();
  let keeper: Keeper;
  before(async () => {
    keeper = await openRecordKeeper({ database: await database(), clock, publishTo });
  });
  after(() => keeper.close());

  /** @proves retention.records */
  test('what a class says goes whole: text, index, arguments, copies; every proof of the others stays', async () => {
    const { ledger, storage, retention } = keeper;
    await keeper.record('act_old', {
      tool: 'crm/search',
      resource: 'canaryresource',
      intent: 'canaryintent of somebody',
    });
    await keeper.record('act_old', { kind: 'outcome', result: 'success', tool: 'crm/search', detail: 'canarydetail' });
    await keeper.record('act_kept', { tool: 'pay/out', resource: 'kept' });
    await ledger.checkpoint();
    const [kept] = (await ledger.action('act_kept'))?.records ?? [];
    const [old] = (await ledger.action('act_old'))?.records ?? [];
    assert.ok(kept && old);
    const early = (await ledger.checkpoint()) ?? '';
    await keeper.declare({ name: 'crm', of: { tools: ['crm/*'] }, records: 400 });
    clock.forward(398);
    await keeper.settle();
    assert.equal((await ledger.action('act_old'))?.records.length, 2, 'not before its time');
    clock.forward(2);
    assert.equal((await retention.view()).next.due, 2, 'a dry run says what would go');
    await keeper.turns();
    assert.equal((await retention.view()).underWay, 2);
    assert.equal(
      (await ledger.action('act_old'))?.records.length,
      2,
      'for a day everybody can see what is about to go',
    );
    await keeper.settle();

    assert.equal(await ledger.action('act_old'), undefined);
    assert.deepEqual((await ledger.search({ text: 'canaryintent', limit: 10 })).records, []);
    assert.equal((await ledger.search({ tool: 'pay/out', limit: 10 })).records.length, 1);
    const [row] = (await entriesOf(keeper)).filter(({ sequence }) => sequence === old.sequence);
    assert.equal(row?.entry, '');
    assert.equal(Buffer.from(row?.leaf_hash ?? []).toString('hex'), old.leafHash, 'its hash is in the tree');
    assert.ok(!JSON.stringify(await storage.db.selectFrom('bodies').selectAll().execute()).includes('act_old'));

    const whole = await ledger.verifyAll({ checkpoints: [early] });
    assert.equal(whole.ok, true, whole.problem ?? '');
    assert.equal(whole.logs[0]?.removed, 2);
    const served = await verifyServed(keeper);
    assert.ok(served.ok, JSON.stringify(served));
    assert.equal(served.removed, 2);
    assert.match(served.removals[0]?.rule ?? '', /^kept 400 days by crm, rules sha256-/);
    const receipt = await ledger.receipt(kept.log, kept.sequence);
    assert.ok(receipt);
    assert.equal((await verifyReceipt({ ...receipt, entry: Buffer.from(receipt.entry) })).ok, true);
    const view = await retention.view();
    assert.equal(view.removed.records, 2);
    assert.equal(view.next.due, 0);
  });

  /** @proves retention.published */
  test('a published copy loses it once it has the record that says so, and verifies', async () => {
    const { ledger, storage } = keeper;
    const all = () =>
      readdirSync(publishTo, { recursive: true, withFileTypes: true })
        .filter((each) => each.isFile())
        .map((each) => readFileSync(join(each.parentPath, each.name), 'latin1'))
        .join('\n');
    for (let wait = 0; wait < 600; wait++) {
      const open = await storage.db.selectFrom('removals').select('id').where('published_at', 'is', null).execute();
      if (open.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(!all().includes('canaryresource') && !all().includes('canarydetail'));
    assert.ok(all().includes('"resource":"kept"'));
    const { vkey = '' } = (await ledger.logs())[0] ?? {};
    const report = await verifyPublished({ vkey, source: directorySource(join(publishTo, 'one')), sha256: nodeSha256 });
    assert.ok(report.ok, JSON.stringify(report));
    assert.equal(report.removed, 2);
    const part = await verifyPublished({
      vkey,
      source: directorySource(join(publishTo, 'one')),
      sha256: nodeSha256,
      from: 0,
      to: 3,
    });
    assert.ok(part.ok, JSON.stringify(part));
    assert.ok(part.removed > 0 && part.removals.length > 0, 'also where only a part is looked at');
  });

  /** @proves retention.tamper */
  test('content that somebody took away by hand is found, and so is a removal that names others', async () => {
    const { ledger, storage, log } = keeper;
    const [row] = (await entriesOf(keeper)).filter(({ action_id }) => action_id === 'act_kept');
    assert.ok(row);
    const at = (set: object) =>
      storage.db.updateTable('records').set(set).where('log', '=', log).where('sequence', '=', row.sequence).execute();
    await at({ entry: '' });
    assert.match((await ledger.verifyAll()).problem ?? '', /erased: record \d+ has no content, and no record says/);
    const served = await verifyServed(keeper);
    assert.equal(served.ok === false && served.fault.kind, 'erased');
    assert.equal(served.ok === false && served.fault.from, row.sequence);
    // Whoever writes a removal into the log as well has to name what stood there, and the rule, for all to see.
    const named = `log ${log}, records ${row.sequence}, leaf hashes sha256-${'0'.repeat(64)}`;
    await storage.transaction((transaction) =>
      ledger.recordChange(transaction, {
        ...{ operation: 'retention.remove', by: 'gatehouse', action: 'rem_forged' },
        changes: ['kept 1 days by nothing, rules sha256-0', named],
      }),
    );
    assert.match(
      (await ledger.verifyAll()).problem ?? '',
      /erased: record \d+ of .* says that others were removed there/,
    );
    await at({ entry: row.entry });
    assert.match((await ledger.verifyAll()).problem ?? '', /says that others were removed/, 'and stays found');
  });
});

onEachDatabase('what retention leaves alone', (database) => {
  const clock = createCalendar();
  let keeper: Keeper;
  before(async () => {
    keeper = await openRecordKeeper({ database: await database(), clock });
  });
  after(() => keeper.close());
  const isThere = async (action: string) => (await keeper.ledger.action(action)) !== undefined;

  /** @proves retention.hold */
  test('recorded, and held before it was removed: it stays, until the hold has ended', async () => {
    await keeper.declare({ name: 'all', records: 400 });
    await keeper.record('act_held', { ticket: 'CASE-7' });
    await keeper.record('act_free');
    clock.forward(401);
    // A replica that dies once the removal is on record, before anybody has seen that it is.
    await keeper.timePasses();
    await keeper.ledger.checkpoint();
    await keeper.retentionWith({ shownSize: async () => 0 }).work();
    assert.equal((await keeper.retention.view()).underWay, 2);
    assert.ok((await isThere('act_held')) && (await isThere('act_free')));
    const hold = await keeper.keeping.hold({ ticket: 'CASE-7' }, 'litigation', 'person:zoe@example.test');
    await keeper.settle();
    assert.deepEqual([await isThere('act_held'), await isThere('act_free')], [true, false]);
    assert.equal((await keeper.retention.view()).removed.records, 1);
    assert.equal((await keeper.ledger.verifyAll()).ok, true);

    // The removal that named it is on record, and so is what was taken back of it: it excuses nobody.
    const place = keeper.storage.db.updateTable('records').where('action_id', '=', 'act_held');
    const [held] = (await entriesOf(keeper)).filter(({ action_id }) => action_id === 'act_held');
    await place.set({ entry: '' }).execute();
    assert.match(
      (await keeper.ledger.verifyAll()).problem ?? '',
      /erased: record \d+ has no content, and no record says/,
    );
    const served = await verifyServed(keeper);
    assert.equal(served.ok === false && served.fault.from, held?.sequence);
    await place.set({ entry: held?.entry ?? '' }).execute();

    await keeper.keeping.askEnd(hold.id, 'person:zoe@example.test');
    await keeper.keeping.agreeEnd(hold.id, yesOf('person:max@example.test'));
    await keeper.settle();
    assert.equal(await isThere('act_held'), false);
    const { ok, problem, logs } = await keeper.ledger.verifyAll();
    assert.ok(ok, problem ?? '');
    assert.equal(logs[0]?.removed, 2);
  });

  /** @proves retention.unfindable */
  test('one that can’t be made unfindable now keeps back neither the others nor what is due', async () => {
    const { storage, ledger, retention } = keeper;
    const seen: string[] = [];
    const unruly = keeper.retentionWith({
      unindex: async (places) => {
        seen.push(places.map(({ sequence }) => sequence).join());
        if (seen[0] === seen.at(-1)) throw new Error('the index does not answer');
        await ledger.unindex(places);
      },
    });
    await keeper.declare({ name: 'stuck', of: { tools: ['stuck/*'] }, records: 400 });
    const turn = async (work: () => Promise<void>) => {
      await keeper.timePasses();
      await ledger.checkpoint();
      await work();
    };
    for (const id of ['act_stuck1', 'act_stuck2']) {
      await keeper.record(id, { tool: 'stuck/tool' });
      clock.forward(401);
      await keeper.timePasses();
      await turn(() => unruly.work().catch(() => undefined));
      clock.forward(1);
      for (let each = 0; each < 4; each++)
        await turn(() => unruly.work().catch((error) => assert.match(error.message, /the index does not answer/)));
      assert.equal(await ledger.action(id), undefined, `${id} is gone`);
    }
    const open = async () =>
      (await storage.db.selectFrom('removals').select('id').where('unindexed_at', 'is', null).execute()).length;
    assert.ok(new Set(seen).size >= 2, 'the other was made unfindable');
    assert.equal(await open(), 1);
    await turn(() => retention.work());
    assert.equal(await open(), 0, 'and it is tried again');
  });

  /** @proves retention.longest */
  test('of all classes the longest counts, and what none speaks of stays', async () => {
    await keeper.declare(
      { name: 'all', of: { environments: ['prod'] }, records: 200 },
      { name: 'sensitive', of: { labels: ['pii'] }, records: 'forever' },
      { name: 'graver', of: { tiers: [3] }, records: 700 },
    );
    await keeper.record('act_plain');
    await keeper.record('act_dev', { environment: 'dev' });
    await keeper.record('act_pii', { labels: ['pii'] });
    const decision = {
      effect: 'allow' as const,
      tier: 3 as const,
      code: '',
      reason: '',
      policies: [],
      policyVersion: '',
    };
    await keeper.record('act_grave', { decision });
    // One of its records is kept for longer, so all are.
    await keeper.record('act_mixed');
    await keeper.record('act_mixed', { kind: 'outcome', labels: ['pii'] });
    const there = async () => {
      const all = ['act_plain', 'act_dev', 'act_pii', 'act_grave', 'act_mixed'];
      return Promise.all(all.map(isThere));
    };
    clock.forward(201);
    await keeper.settle();
    assert.deepEqual(await there(), [false, true, true, true, true]);
    clock.forward(500);
    await keeper.settle();
    assert.deepEqual(await there(), [false, true, true, false, true]);
    assert.equal((await keeper.ledger.verifyAll()).ok, true);
  });

  /** @proves retention.longest */
  test('what was asked goes with what ran by it, once both may, and not while it is open', async () => {
    const { storage } = keeper;
    await keeper.declare(
      { name: 'asked', of: { agents: ['agent-q'] }, records: 200 },
      { name: 'ran', of: { agents: ['agent-q'], tools: ['pay/out'] }, records: 300 },
    );
    const approval = (id: string, action: string, state: string, consumedBy: string | null) =>
      sql`insert into approvals (id, action_id, state, digest, agent, task, tool, risk, body, created_at, expires_at, consumed_by, answers, escalated_seconds)
          values (${id}, ${action}, ${state}, '', 'agent-q', 'tsk_1', 'pay/out', 0, '{}', 0, 0, ${consumedBy}, 1, 0)`.execute(
        storage.db,
      );
    const asked = { kind: 'request' as const, agent: 'agent-q', environment: null, tool: null };
    await keeper.record('act_asked', asked);
    await keeper.record('act_ran', { ...asked, kind: 'dispatch', tool: 'pay/out', approval: 'apr_q' });
    await keeper.record('act_open', asked);
    await approval('apr_q', 'act_asked', 'consumed', 'act_ran');
    await approval('apr_open', 'act_open', 'pending', null);
    const there = () => Promise.all(['act_asked', 'act_ran', 'act_open'].map(isThere));
    clock.forward(201);
    await keeper.settle();
    assert.deepEqual(await there(), [true, true, true]);
    clock.forward(100);
    await keeper.settle();
    assert.deepEqual(await there(), [false, false, true]);
    const left = await storage.db.selectFrom('approvals').select('id').execute();
    assert.deepEqual(left, [{ id: 'apr_open' }]);
    assert.equal((await keeper.ledger.verifyAll()).ok, true);
  });

  /** @proves retention.minimum */
  test('fewer days than the minimum count once somebody else has agreed', async () => {
    await keeper.declare({
      name: 'all',
      of: { agents: ['agent-short'] },
      records: 10,
      belowMinimum: 'a test of a week',
    });
    await keeper.record('act_short', { agent: 'agent-short' });
    clock.forward(20);
    await keeper.settle();
    assert.equal(await isThere('act_short'), true);
    await assert.rejects(keeper.retention.agree('all', yesOf('person:zoe@example.test')), /somebody else/);
    const [short] = (await keeper.retention.agree('all', yesOf('person:max@example.test'))).classes;
    assert.equal(short?.belowMinimum?.agreed, true);
    // Whoever agrees next is told apart from those who have.
    const told: (readonly string[] | undefined)[] = [];
    const next = yesOf('person:eva@example.test');
    await keeper.retention.agree('all', {
      by: next.by,
      to(transaction, statement, agreedBy) {
        told.push(agreedBy);
        return next.to(transaction, statement, agreedBy);
      },
    });
    assert.deepEqual(told, [['person:max@example.test']]);
    await keeper.settle();
    assert.equal(await isThere('act_short'), false);
  });

  /** @proves retention.withdraw */
  test('an agreement is of one apply: it ends when it is withdrawn, and with the class', async () => {
    const { storage, retention } = keeper;
    const brief = { name: 'brief', of: { agents: ['agent-brief'] }, records: 10, belowMinimum: 'a test' };
    const agreed = async () => {
      const view = await retention.view();
      return view.classes.find(({ name }) => name === 'brief')?.belowMinimum?.agreed;
    };
    await keeper.record('act_brief', { agent: 'agent-brief', environment: null });
    await keeper.declare(brief);
    await retention.agree('brief', yesOf('person:max@example.test'));
    const given = await storage.db
      .selectFrom('retention_agreements')
      .selectAll()
      .where('class', '=', 'brief')
      .execute();
    await keeper.declare(brief);
    assert.equal(await agreed(), false, 'applied again, agreed again');
    await retention.agree('brief', yesOf('person:max@example.test'));
    const again = await storage.db
      .selectFrom('retention_agreements')
      .selectAll()
      .where('class', '=', 'brief')
      .execute();
    await retention.withdraw('brief', 'person:zoe@example.test');
    assert.equal(await agreed(), false);
    await assert.rejects(retention.withdraw('brief', 'person:zoe@example.test'), /Nobody has agreed/);
    // Whoever puts the rows back has not agreed.
    await storage.db.insertInto('retention_agreements').values(again).execute();
    await storage.db
      .insertInto('retention_agreements')
      .values(given.map((each) => ({ ...each, digest: again[0]?.digest ?? '', person: 'person:kim@example.test' })))
      .execute();
    clock.forward(20);
    await keeper.settle();
    assert.equal(await isThere('act_brief'), true);
    await storage.db.deleteFrom('retention_agreements').where('class', '=', 'brief').execute();
  });

  /** @proves retention.on-record */
  test('rows that no record speaks for remove nothing, and what the log says keeps, whatever becomes of its row', async () => {
    const { storage, retention, ledger } = keeper;
    const of = { agents: ['agent-forged'] };
    const ours = { agent: 'agent-forged', environment: null };
    await keeper.record('act_forged', ours);
    await keeper.record('act_case', { ...ours, ticket: 'CASE-8' });
    await ledger.checkpoint();
    const problem = async () => {
      await keeper.settle();
      return (await retention.view()).problem;
    };
    // A class and its agreement, written into the database by hand.
    const body = JSON.stringify({
      manifest: { kind: 'Retention', name: 'forged', of, records: 1, belowMinimum: 'why not' },
      appliedBy: 'person:zoe@example.test',
    });
    const row = { kind: 'Retention', name: 'forged', body, updated_at: 1 };
    const agreement = {
      class: 'forged',
      digest: appliedDigest(row),
      person: 'person:max@example.test',
      at: 1,
      id: 'rag_x',
    };
    await storage.db.insertInto('objects').values(row).execute();
    await storage.db.insertInto('retention_agreements').values(agreement).execute();
    clock.forward(3);
    assert.match((await problem()) ?? '', /class forged is not the one that the log says was applied/);
    assert.equal(await isThere('act_forged'), true);
    await storage.db.deleteFrom('objects').where('name', '=', 'forged').execute();
    await storage.db.deleteFrom('retention_agreements').where('class', '=', 'forged').execute();

    // A class that keeps for longer, taken out of it.
    await keeper.declare({ name: 'short', of, records: 200 }, { name: 'long', of, records: 'forever' });
    const long = await storage.db
      .selectFrom('objects')
      .selectAll()
      .where('name', '=', 'long')
      .executeTakeFirstOrThrow();
    await storage.db.deleteFrom('objects').where('name', '=', 'long').execute();
    clock.forward(201);
    assert.match((await problem()) ?? '', /class long, which the log says was applied, is not in the database/);
    assert.equal(await isThere('act_forged'), true);
    await storage.db.insertInto('objects').values(long).execute();

    // A hold, taken out of it, with the marks.
    await keeper.declare({ name: 'long', of: { agents: ['nobody'] }, records: 'forever' });
    const hold = await keeper.keeping.hold({ ticket: 'CASE-8' }, 'litigation', 'person:zoe@example.test');
    const held = await storage.db.selectFrom('holds').selectAll().where('id', '=', hold.id).execute();
    await storage.db.deleteFrom('holds').where('id', '=', hold.id).execute();
    await storage.db.deleteFrom('retention_marks').execute();
    assert.equal(await problem(), null);
    assert.deepEqual([await isThere('act_forged'), await isThere('act_case')], [false, true]);
    await storage.db.insertInto('holds').values(held).execute();
    await keeper.keeping.askEnd(hold.id, 'person:zoe@example.test');
    await keeper.keeping.agreeEnd(hold.id, yesOf('person:max@example.test'));
    await keeper.settle();
    assert.equal(await isThere('act_case'), false);
    assert.equal((await ledger.verifyAll()).ok, true);
  });

  /** @proves retention.clock */
  test('after a leap of the clock nothing goes for a day, and nothing at all if it is put back', async () => {
    await keeper.declare({ name: 'leap', of: { agents: ['agent-leap'] }, records: 200 });
    await keeper.settle();
    await keeper.record('act_leap', { agent: 'agent-leap', environment: null });
    const turn = async () => {
      await keeper.ledger.checkpoint();
      await keeper.retention.work();
      await keeper.retention.work();
      return (await keeper.retention.view()).pausedUntil;
    };
    clock.forward(201);
    assert.notEqual(await turn(), null);
    clock.forward(-201);
    assert.equal(await turn(), null);
    assert.equal(await isThere('act_leap'), true);
    clock.forward(201);
    assert.notEqual(await turn(), null);
    clock.forward(2);
    await turn();
    clock.forward(1);
    assert.equal(await turn(), null);
    assert.equal(await isThere('act_leap'), false, 'whoever left it so for a day means it');
  });

  /** @proves retention.clock */
  test('recorded by a clock that was ahead for a moment, nothing goes; what it dated hinders nothing behind it', async () => {
    await keeper.declare({ name: 'ahead', of: { agents: ['agent-ahead'] }, records: 200 });
    await keeper.settle();
    const ahead = { agent: 'agent-ahead', environment: null };
    await keeper.record('act_present', ahead);
    // By less than a leap at a time, as a clock that drifts for long.
    for (let step = 0; step < 34; step++) {
      clock.forward(6);
      await keeper.timePasses();
    }
    await keeper.record('act_future', ahead);
    await keeper.turns();
    assert.ok((await keeper.retention.view()).underWay > 0);
    clock.forward(-204);
    await keeper.timePasses();
    await keeper.turns();
    const view = await keeper.retention.view();
    assert.equal(view.underWay, 0, 'taken back, on record');
    assert.equal(await isThere('act_present'), true);
    await keeper.record('act_behind', ahead);
    clock.forward(201);
    await keeper.settle();
    assert.deepEqual(
      await Promise.all(['act_present', 'act_behind', 'act_future'].map(isThere)),
      [false, false, true],
      'the one from the future waits for its own time',
    );
    clock.forward(204);
    await keeper.settle();
    assert.equal(await isThere('act_future'), false);
    assert.equal((await keeper.ledger.verifyAll()).ok, true);
  });

  /** @proves retention.clock-doubt */
  test('by a clock that is not the database’s, or is behind what was signed last, nothing goes by its age', async () => {
    const { storage, keepingWith, retentionWith } = keeper;
    const doubtOf = (databaseNow: () => Promise<number>) =>
      createClockDoubt({ storage, clock, databaseNow, log: createLog('error', () => {}) });
    await keeper.declare({ name: 'doubt', of: { agents: ['agent-doubt'] }, records: 200 });
    const before = clock.now();
    await keeper.record('act_doubt', { agent: 'agent-doubt', environment: null });
    await keeper.settle();
    clock.forward(201);
    await keeper.timePasses();
    const turn = async (clockDoubt: ClockDoubt) => {
      await keeper.ledger.checkpoint();
      const retention = retentionWith({ clockDoubt });
      const keeping = keepingWith({ clockDoubt, argumentsDays: 200 });
      for (let number = 0; number < 3; number++) {
        await retention.work();
        await keeping.work();
      }
      return retention.view();
    };
    const body = async () => (await keeper.ledger.action('act_doubt'))?.arguments;

    const apart = await turn(doubtOf(async () => before));
    assert.match(apart.problem ?? '', /clocks of this server and of the database differ by \d+ hours/);
    assert.equal(apart.underWay, 0);
    assert.notEqual(await body(), null);

    // A clock that was ahead when something was signed, and that was put back: one of the two was wrong.
    clock.forward(10);
    await keeper.record('act_ahead', { environment: null });
    clock.forward(-10);
    const agreed = doubtOf(async () => clock.now() + 60_000);
    assert.match((await turn(agreed)).problem ?? '', /^record \d+ of .*, the newest there, is of /);
    assert.notEqual(await body(), null);

    await keeper.record('act_now', { environment: null });
    const going = await turn(doubtOf(async () => clock.now() + 60_000));
    assert.equal(going.problem, null);
    assert.ok(going.underWay > 0);
    assert.equal(await body(), null);
    await keeper.turns();
    clock.forward(1);
    await keeper.turns();
    assert.equal(await isThere('act_doubt'), false);
  });

  /** @proves retention.sinks */
  test('what a declared sink has not taken stays until it has, or a person says so; one that comes later is waited for as well', async () => {
    const { storage } = keeper;
    const { db } = storage;
    const declareSink = (name: string) =>
      db.insertInto('objects').values({ kind: 'Sink', name, body: '{}', updated_at: clock.now() }).execute();
    const drop = (name: string) =>
      db.deleteFrom('objects').where('kind', '=', 'Sink').where('name', '=', name).execute();
    const takes = async (sink: string, sequence: number) => {
      await db.deleteFrom('sink_positions').where('sink', '=', sink).execute();
      await db
        .insertInto('sink_positions')
        .values({ sink, log: keeper.log, sequence, reached: sequence, missed: 0 })
        .execute();
    };
    const next = async () => (await keeper.retention.view()).next.waitsFor;
    await keeper.declare({ name: 'sent', of: { agents: ['agent-sent'] }, records: 200 });
    await keeper.record('act_sent', { agent: 'agent-sent', environment: null });
    const [entry] = (await entriesOf(keeper)).filter(({ action_id }) => action_id === 'act_sent');
    const place = Number(entry?.sequence);
    await declareSink('siem');
    clock.forward(201);
    await keeper.settle();
    assert.equal(await isThere('act_sent'), true, 'one that has not begun');
    await takes('siem', place);
    await keeper.settle();
    assert.equal(await isThere('act_sent'), true);
    assert.deepEqual(await next(), ['siem']);
    assert.ok(
      !(await removalsNamed(keeper)).some(([rule]) => rule?.includes(' by sent,')),
      'nor is it recorded that it goes',
    );

    // It has it; between the record and the removal another one is declared.
    await takes('siem', place + 1);
    await keeper.timePasses();
    await keeper.turns();
    await declareSink('archive');
    clock.forward(1);
    await keeper.turns();
    assert.equal(await isThere('act_sent'), true);
    const rest = { owner: null, owned_until: 0, paused_at: null, paused_by: null, delivered_at: null, problem: null };
    const gone = { failing_since: null, next_try_at: null, let_go_at: clock.now() };
    await db
      .insertInto('sinks')
      .values({ name: 'archive', since: 0, ...rest, ...gone })
      .execute();
    await keeper.turns();
    assert.equal(await isThere('act_sent'), false, 'somebody has said that it does without');
    assert.equal((await keeper.ledger.verifyAll()).ok, true);
    for (const name of ['siem', 'archive']) await drop(name);
  });

  /** @proves retention.tamper */
  test('what was changed to look old enough, or to be of another class, is not removed for that', async () => {
    const { storage, ledger } = keeper;
    await keeper.declare({ name: 'crm', of: { tools: ['crm/*'], agents: ['agent-t'] }, records: 200 });
    await keeper.record('act_changed', { agent: 'agent-t', tool: 'pay/out', environment: null });
    clock.forward(201);
    const place = storage.db.updateTable('records').where('action_id', '=', 'act_changed');
    const row = await storage.db
      .selectFrom('records')
      .selectAll()
      .where('action_id', '=', 'act_changed')
      .executeTakeFirstOrThrow();
    await place.set({ entry: row.entry.replace('pay/out', 'crm/out') }).execute();
    await keeper.settle();
    assert.equal(await isThere('act_changed'), true);
    assert.match((await ledger.verifyAll()).problem ?? '', /edited/);
    await place.set({ entry: row.entry }).execute();
    assert.equal((await ledger.verifyAll()).ok, true);
  });

  /** @proves retention.never */
  test('changes go only where they are named, and what others rest on never', async () => {
    const { ledger, storage } = keeper;
    await keeper.declare({
      ...{ name: 'changes', records: 200 },
      of: { kinds: ['change'], operations: ['token.*', 'passkey.*', 'log.*', 'retention.*', 'hold.*', 'policy.*'] },
    });
    await storage.transaction(async (transaction) => {
      for (const operation of ['token.issue', 'passkey.enrol', 'policy.version', 'hold.place', 'person.sign-in'])
        await ledger.recordChange(transaction, { operation, by: 'gatehouse', action: `act_${operation}`, changes: [] });
    });
    clock.forward(201);
    await keeper.settle();
    const left = await Promise.all(
      ['token.issue', 'passkey.enrol', 'policy.version', 'hold.place', 'person.sign-in'].map((each) =>
        isThere(`act_${each}`),
      ),
    );
    assert.deepEqual(left, [false, true, true, true, true]);
    const { ok, problem } = await ledger.verifyAll();
    assert.ok(ok, problem ?? '');
    assert.ok((await ledger.verifyAll()).logs.every(({ removed }) => removed > 0));
  });

  /** @proves retention.proofs */
  test('whatever goes, all that stays is proven, and whatever else is changed is found', async () => {
    const { ledger, storage, log } = keeper;
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }),
        fc.constantFrom('erase', 'edit', 'delete', 'swap'),
        fc.nat(),
        async (goes, how, pick) => {
          round++;
          await keeper.declare({ name: 'random', of: { tools: ['go/*'] }, records: 200 });
          const actions = goes.map((_, at) => `act_${round}_${at}`);
          for (const [at, action] of actions.entries())
            await keeper.record(action, { environment: null, tool: goes[at] ? 'go/away' : 'stay/here' });
          clock.forward(201);
          await keeper.settle();
          for (const [at, action] of actions.entries()) assert.equal(await isThere(action), !goes[at]);
          const served = await verifyServed(keeper);
          assert.ok(served.ok, JSON.stringify(served));
          const kept = (await entriesOf(keeper)).filter(({ entry }) => entry !== '');
          const one = kept[pick % kept.length];
          assert.ok(one);
          const receipt = await ledger.receipt(log, one.sequence);
          assert.ok(receipt);
          assert.equal((await verifyReceipt({ ...receipt, entry: Buffer.from(receipt.entry) })).ok, true);

          const place = storage.db.updateTable('records').where('log', '=', log).where('sequence', '=', one.sequence);
          if (how === 'erase') await place.set({ entry: '' }).execute();
          if (how === 'edit') await place.set({ entry: `${one.entry} ` }).execute();
          if (how === 'swap') await place.set({ entry: kept[(pick + 1) % kept.length]?.entry ?? '' }).execute();
          if (how === 'delete')
            await storage.db
              .deleteFrom('records')
              .where('log', '=', log)
              .where('sequence', '=', one.sequence)
              .execute();
          if (how !== 'swap' || kept.length > 1) assert.equal((await ledger.verifyAll()).ok, false, how);
          if (how === 'delete') await storage.db.insertInto('records').values(one).execute();
          else await place.set({ entry: one.entry }).execute();
        },
      ),
      { numRuns: 5 },
    );
    assert.equal((await ledger.verifyAll()).ok, true);
  });
});

onEachDatabase('retention on two replicas', (database) => {
  /** @proves retention.race */
  test('two that work at once, and again and again, name each record once and lose none', async () => {
    const clock = createCalendar();
    const place = await database();
    const one = await openRecordKeeper({ database: place, clock });
    const isShared = place !== 'sqlite';
    // A database file belongs to one process: there, two turns of it race.
    const two = isShared ? await openRecordKeeper({ database: place, clock, replica: 'two' }) : one;
    await one.declare({ name: 'all', records: 200 });
    for (let at = 0; at < 120; at++) await one.record(`act_${at}`);
    if (isShared) for (let at = 0; at < 40; at++) await two.record(`act_two_${at}`);
    clock.forward(201);
    await one.timePasses();
    const again = two.retentionWith();
    for (let turn = 0; turn < 8; turn++) {
      if (turn === 4) clock.forward(1);
      await Promise.all([one.ledger.checkpoint(), two.ledger.checkpoint()]);
      await Promise.all([one.retention.work(), again.work()].map((each) => each.catch(() => undefined)));
    }
    await one.settle();
    await two.settle();
    const named = (await removalsNamed(one)).flatMap(([, what = '']) => {
      const [, log, ranges = ''] = /^log (\S+), records (\S+),/.exec(what) ?? [];
      return ranges.split(',').flatMap((range) => {
        const [from = 0, to = from] = range.split('-').map(Number);
        return Array.from({ length: to - from + 1 }, (_, at) => `${log} ${from + at}`);
      });
    });
    assert.equal(new Set(named).size, named.length, 'each once');
    assert.equal(named.length, isShared ? 160 : 120, 'all of them');
    const { ok, problem, logs } = await one.ledger.verifyAll();
    assert.ok(ok, problem ?? '');
    assert.equal(
      logs.reduce((sum, { removed }) => sum + removed, 0),
      named.length,
    );
    await one.close();
    if (isShared) await two.close();
  });
});

/** @proves retention.race */
test('a replica that dies before its record was signed hinders no other: it is taken back, and recorded again', async () => {
  const clock = createCalendar();
  const dataDir = directory();
  const dead = await openRecordKeeper({ database: 'sqlite', clock, dataDir, replica: 'dead' });
  await dead.declare({ name: 'all', records: 200 });
  await dead.record('act_dead');
  clock.forward(201);
  await dead.timePasses();
  await dead.ledger.checkpoint();
  await dead.retention.work();
  const { log, sequence } = (await dead.retention.view()).removals[0]?.recorded ?? { log: '', sequence: 0 };
  await dead.close();
  const one = await openRecordKeeper({ database: 'sqlite', clock, dataDir });
  // As if it had died before it could sign its record.
  await one.storage.db.deleteFrom('checkpoints').where('log', '=', log).where('size', '>', sequence).execute();
  await one.record('act_one');
  await one.settle();
  assert.ok(await one.ledger.action('act_dead'), 'not by what nobody can see');
  await one.settle();
  assert.equal(await one.ledger.action('act_dead'), undefined);
  const { ok, problem, logs } = await one.ledger.verifyAll();
  assert.ok(ok, problem ?? '');
  assert.deepEqual(logs.map(({ removed }) => removed).sort(), [0, 1]);
  await one.close();
});

/** @proves retention.bytes */
test('of what is removed no byte is left in the files of SQLite', async () => {
  const clock = createCalendar();
  const keeper = await openRecordKeeper({ database: 'sqlite', clock });
  await keeper.declare({ name: 'all', of: { agents: ['agent-a'] }, records: 200 });
  for (let at = 0; at < 50; at++)
    await keeper.record(`act_${at}`, { detail: `canaryword${at} said`, resource: 'canaryres' });
  await keeper.record('act_other', { agent: 'agent-b', detail: 'otherword' });
  await keeper.ledger.search({ text: 'canaryword7', limit: 1 });
  clock.forward(201);
  await keeper.settle();
  const { storage } = keeper;
  for (let wait = 0; wait < 600; wait++) {
    const purged = readFileSync(join(keeper.dataDir, 'search.db')).readUInt32BE(68) === 0;
    if (purged) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(
    (await sql<{ n: number }>`select count(*) as n from records where entry = ''`.execute(storage.db)).rows[0]?.n,
    50,
  );
  await keeper.close();
  for (const name of readdirSync(keeper.dataDir, { recursive: true }).map(String)) {
    if (!name.includes('.db')) continue;
    const bytes = readFileSync(join(keeper.dataDir, name), 'latin1');
    for (const canary of ['canaryword', 'anaryword7', 'canaryres', 'arguments of act_7'])
      assert.ok(!bytes.includes(canary), `${canary} in ${name}`);
  }
});
