import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { verifyPublished } from '@gatehouse/verifier';
import { directorySource, nodeSha256 } from '@gatehouse/verifier/node';
import { startMoto } from '../../../../test/support/moto.ts';
import { onEachDatabase, onPostgres } from '../identity/people/testing/databases.ts';
import { createObjectStorage } from '../platform/index.ts';
import { createCalendar, openRecordKeeper, directory as scratchDirectory } from './keeping/testing/record-keeper.ts';

const scratch = scratchDirectory();
const directory = () => mkdtempSync(join(scratch, 'own-'));

type Keeper = Awaited<ReturnType<typeof openRecordKeeper>>;

const textOf = (place: string): string =>
  readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => readFileSync(join(each.parentPath, each.name), 'latin1'))
    .join('\n');

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come to pass');
}

const isPublished = async ({ ledger }: Keeper) => {
  const size = Number((await ledger.checkpoint())?.split('\n')[1]);
  await until(() => (ledger.publishing()?.size ?? 0) >= size);
};

const open = ({ storage }: Keeper, log: string) =>
  storage.db
    .selectFrom('removals')
    .select('id')
    .where('log', '=', log)
    .where('unpublish', '=', 1)
    .where('published_at', 'is', null)
    .execute();

async function verify({ ledger, log }: Keeper, place: string) {
  const { vkey = '' } = (await ledger.logs()).find(({ id }) => id === log) ?? {};
  const replica = log.slice(log.lastIndexOf('/') + 1);
  return verifyPublished({ vkey, source: directorySource(join(place, replica)), sha256: nodeSha256 });
}

const crm = { name: 'crm', of: { tools: ['crm/*'] }, records: 400 };

onEachDatabase('a published copy', (database) => {
  /** @proves retention.published-leave */
  test('keeps what its class leaves there, and what went from the database without a record, while bundles grow and lose others', async (t) => {
    const clock = createCalendar();
    const place = directory();
    const keeper = await openRecordKeeper({
      dataDir: directory(),
      database: await database(),
      clock,
      publishTo: place,
    });
    t.after(() => keeper.close());
    const { storage, log } = keeper;
    await keeper.record('act_left', { tool: 'crm/search', resource: 'canaryleft' });
    await keeper.record('act_gone', { tool: 'pay/out', resource: 'canarygone' });
    await keeper.record('act_blanked', { tool: 'shop/get', resource: 'canaryblanked' });
    await isPublished(keeper);
    await keeper.declare({ ...crm, published: 'leave' }, { name: 'pay', of: { tools: ['pay/*'] }, records: 400 });
    clock.forward(401);
    await keeper.settle();
    await storage.db.updateTable('records').set({ entry: '' }).where('action_id', '=', 'act_blanked').execute();
    await until(async () => (await open(keeper, log)).length === 0);
    const left = () => [/canaryleft/, /canarygone/, /canaryblanked/].map((canary) => canary.test(textOf(place)));
    assert.deepEqual(left(), [true, false, true]);
    const report = await verify(keeper, place);
    assert.ok(report.ok && report.removed === 1, JSON.stringify(report));
    // The bundle grows until it is full, and every partial one is dropped.
    await storage.transaction(async (transaction) => {
      for (let at = 0; at < 300; at++)
        await keeper.ledger.recordChange(transaction, { operation: 'agent.kill', by: 'operator', changes: [`${at}`] });
    });
    await isPublished(keeper);
    assert.deepEqual(left(), [true, false, true]);
    const grown = await verify(keeper, place);
    assert.ok(grown.ok && grown.removed === 1 && grown.size > 300, JSON.stringify(grown));
  });
});

/** @proves retention.published, retention.published-leave */
test('a bucket loses what was removed, in partial and full bundles, and keeps what its class leaves there', async (t) => {
  const moto = await startMoto();
  if (!moto) return t.skip('moto is missing: see above');
  t.after(() => moto.close());
  await fetch(`${moto.url}/audit-log`, { method: 'PUT' });
  const environment = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B' };
  const publishTo = `s3://audit-log/gate?region=us-east-1&endpoint=${encodeURIComponent(moto.url)}`;
  const clock = createCalendar();
  const keeper = await openRecordKeeper({ dataDir: directory(), database: 'sqlite', clock, publishTo, environment });
  t.after(() => keeper.close());
  const { ledger, storage, log } = keeper;
  const objects = createObjectStorage({ bucket: 'audit-log', region: 'us-east-1', endpoint: moto.url, environment });
  t.after(() => objects.close());
  const left = async () => {
    const all = await Promise.all((await objects.list('gate/one/')).map((key) => objects.get(key)));
    const text = Buffer.concat(all.map((each) => each ?? Buffer.alloc(0))).toString('latin1');
    return [/canaryleft/, /canaryfirst/, /canarylast/].map((canary) => canary.test(text));
  };
  await keeper.record('act_left', { tool: 'crm/search', resource: 'canaryleft' });
  await keeper.record('act_first', { tool: 'pay/out', resource: 'canaryfirst' });
  await storage.transaction(async (transaction) => {
    for (let at = 0; at < 260; at++)
      await ledger.recordChange(transaction, { operation: 'agent.kill', by: 'operator', changes: [`${at}`] });
  });
  await keeper.record('act_last', { tool: 'pay/out', resource: 'canarylast' });
  await isPublished(keeper);
  assert.deepEqual(await left(), [true, true, true]);
  await keeper.declare({ ...crm, published: 'leave' }, { name: 'pay', of: { tools: ['pay/*'] }, records: 400 });
  clock.forward(401);
  await keeper.settle();
  await until(async () => (await open(keeper, log)).length === 0);
  assert.deepEqual(await left(), [true, false, false]);
  const { vkey = '' } = (await ledger.logs())[0] ?? {};
  const report = await verifyPublished({ source: (path) => objects.get(`gate/one/${path}`), vkey, sha256: nodeSha256 });
  assert.ok(report.ok && report.removed === 2 && report.size > 260, JSON.stringify(report));
});

onPostgres('published copies of several replicas', (database) => {
  /** @proves retention.published-replicas */
  test('in places of their own each loses what was removed, and says so itself', async (t) => {
    const clock = createCalendar();
    const url = await database();
    const [ownOfOne, ownOfTwo] = [directory(), directory()];
    const one = await openRecordKeeper({
      dataDir: directory(),
      database: url,
      clock,
      replica: 'one',
      publishTo: ownOfOne,
    });
    const two = await openRecordKeeper({
      dataDir: directory(),
      database: url,
      clock,
      replica: 'two',
      publishTo: ownOfTwo,
    });
    t.after(() => Promise.all([one.close(), two.close()]));
    await one.record('act_x', { tool: 'crm/search', resource: 'canaryone' });
    await two.record('act_x', { kind: 'outcome', result: 'success', tool: 'crm/search', resource: 'canarytwo' });
    await Promise.all([isPublished(one), isPublished(two)]);
    await one.declare(crm);
    clock.forward(401);
    await one.settle();
    await until(async () => (await open(one, one.log)).length === 0);
    await isPublished(two);
    assert.equal((await open(one, two.log)).length, 1, 'nobody says of a copy that he does not see that it is done');
    assert.ok(!textOf(ownOfOne).includes('canaryone'));
    assert.ok((await verify(two, ownOfTwo)).ok, 'never without the record that says so');
    clock.forward(1);
    await until(async () => (await open(one, two.log)).length === 0);
    assert.ok(!textOf(ownOfTwo).includes('canarytwo'));
    for (const [keeper, place] of [[one, ownOfOne] as const, [two, ownOfTwo] as const]) {
      const report = await verify(keeper, place);
      assert.ok(report.ok && report.removed === 1, JSON.stringify(report));
    }
    const whole = await one.ledger.verifyAll();
    assert.ok(whole.ok, whole.problem ?? '');
  });

  /** @proves retention.published-replicas */
  test('in one place, the copy of a replica that is gone loses it by another, once that one’s record is there', async (t) => {
    const clock = createCalendar();
    const url = await database();
    const place = directory();
    const two = await openRecordKeeper({
      dataDir: directory(),
      database: url,
      clock,
      replica: 'two',
      publishTo: place,
    });
    await two.record('act_x', { kind: 'outcome', result: 'success', tool: 'crm/search', resource: 'canarytwo' });
    await isPublished(two);
    await two.close();
    // What records it publishes nowhere, and stops.
    const one = await openRecordKeeper({ dataDir: directory(), database: url, clock, replica: 'one' });
    await one.declare(crm);
    clock.forward(401);
    await one.settle();
    await one.close();
    clock.forward(1);
    const three = await openRecordKeeper({
      dataDir: directory(),
      database: url,
      clock,
      replica: 'three',
      publishTo: place,
    });
    t.after(() => three.close());
    await until(async () => {
      clock.forward(0.0001);
      return (await open(three, two.log)).length === 0;
    });
    assert.ok(!textOf(place).includes('canarytwo'));
    const said = await verify(three, place);
    assert.ok(said.ok && said.recorded?.length === 1, JSON.stringify(said));
    const { vkey = '' } = (await three.ledger.logs()).find(({ id }) => id === two.log) ?? {};
    const report = await verifyPublished({
      ...{ vkey, source: directorySource(join(place, 'two')), sha256: nodeSha256 },
      removals: said.recorded ?? [],
    });
    assert.ok(report.ok && report.removed === 1, JSON.stringify(report));
  });

  /** @proves retention.published-replicas */
  test('a removal that only the table knows takes nothing out', async (t) => {
    const clock = createCalendar();
    const place = directory();
    const one = await openRecordKeeper({
      dataDir: directory(),
      database: await database(),
      clock,
      replica: 'one',
      publishTo: place,
    });
    t.after(() => one.close());
    await one.record('act_x', { tool: 'crm/search', resource: 'canaryforged' });
    await isPublished(one);
    const { db } = one.storage;
    const { sequence } = await db
      .selectFrom('records')
      .select('sequence')
      .where('action_id', '=', 'act_x')
      .executeTakeFirstOrThrow();
    await db.updateTable('records').set({ entry: '' }).where('action_id', '=', 'act_x').execute();
    await db
      .insertInto('removals')
      .values({
        ...{ id: 'rem_forged', log: one.log, first: sequence, last: sequence, ranges: `${sequence}`, records: 1 },
        ...{ kept: 0, rule: '', unpublish: 1, recorded_log: one.log, recorded_sequence: 0, recorded_at: 1 },
        ...{ removed_at: 1, unindexed_at: 1, published_at: null },
      })
      .execute();
    for (let turn = 0; turn < 3; turn++) {
      await one.record(`act_${turn}`, { tool: 'pay/out' });
      await isPublished(one);
    }
    assert.ok(textOf(place).includes('canaryforged'));
    const report = await verify(one, place);
    assert.ok(report.ok && report.removed === 0, 'the copy has it still');
  });
});
