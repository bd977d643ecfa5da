import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { LeaseView } from '@gatehouse/protocol';
import fc from 'fast-check';
import pg from 'pg';
import { addAgent, openDesk } from '../../approvals/testing/desk.ts';
import { onEachDatabase, onPostgres } from '../../identity/people/testing/databases.ts';
import type { House } from '../../identity/people/testing/house.ts';
import { yesOf } from '../../identity/people/testing/second-yes.ts';
import { createLog, type Json, Secret } from '../../platform/index.ts';
import { createSealer, type Tables } from '../../storage/index.ts';
import { keyEncryptionKey } from '../../storage/sealer.ts';
import { openPostgresProvider } from '../providers/postgres.ts';
import { createFakeProvider, narrowToTables } from '../testing/fake-provider.ts';
import { watched } from '../testing/watched.ts';
import { placeDigest } from './issue-record.ts';
import { createLeases } from './leases.ts';
import { leaseLimits } from './limits.ts';
import { createReconciler } from './reconcile.ts';
import type { LeaseRequest, Provider } from './types.ts';

const DECLARED = { name: 'orders', from: { type: 'postgres', url: 'postgres://broker@db.example.test/shop' } };

let agents = 0;
let number = 0;

/** Replicas of one house, and what somebody who can write to its database does. */
function createScene(house: House, provider: Provider, declaredNow: () => Json = () => DECLARED) {
  let asking: ReturnType<typeof addAgent> | undefined;
  const { db } = house.storage;
  const alarms: LeaseView[] = [];
  /** One that has nothing in memory, as after a restart. */
  const replica = (other: Partial<Pick<House, 'sealer' | 'storage' | 'log'>> = {}) => {
    const parts = { ...house, ...other };
    const leases = createLeases({
      ...parts,
      open: async () => ({
        ...{ provider, narrow: narrowToTables, declared: DECLARED },
        ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
        life: { defaultSeconds: 900, maxSeconds: 1_800 },
      }),
      declaredAt: (_, place) => (placeDigest(declaredNow()) === place ? declaredNow() : undefined),
      wake: () => undefined,
    });
    const reconciler = createReconciler({
      ...parts,
      openFor: () => provider,
      isActive: () => true,
      alarm: async (_, lease) => void alarms.push(lease),
    });
    return { ...leases, work: reconciler.work };
  };
  const lines = async () => (await house.records('seal.broken')).flatMap(({ changes }) => changes);
  return {
    db,
    alarms,
    replica,
    lines,
    linesOf: async (id: string) => (await lines()).filter((line) => line.includes(id)),
    /** Each is another lease, of one task. */
    async request(): Promise<LeaseRequest> {
      asking ??= addAgent(house, `agent-hidden-${++agents}`);
      const { agent, task } = await asking;
      return {
        ...{ provider: 'orders', agent, task, environment: 'prod', purpose: `server:shop-${++number}` },
        ...{ asked: { tables: ['orders'] }, within: [], until: [] },
      };
    },
    edit: (id: string, change: Partial<Tables['leases']>) =>
      db.updateTable('leases').set(change).where('id', '=', id).execute(),
    rowOf: (id: string) => db.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    remove: (id: string) => db.deleteFrom('leases').where('id', '=', id).execute(),
    async replace(row: Tables['leases']) {
      await db.deleteFrom('leases').where('id', '=', row.id).execute();
      await db.insertInto('leases').values(row).execute();
    },
  };
}
type Scene = ReturnType<typeof createScene>;

const FAR = 4_000_000_000_000;
const over = { sealed_credential: null, sealed_revocation: null, next_try_at: null, revoked_at: 1 };
/** Each hides an open lease from who would end it. */
const ways: [string, (scene: Scene, id: string) => Promise<unknown>, RegExp][] = [
  ['its row is removed', ({ remove }, id) => remove(id), /its row was removed\)/],
  ['it is called ended', ({ edit }, id) => edit(id, { ...over, state: 'revoked' }), /it was made revoked/],
  ['it is called ended, with all else as it was', ({ edit }, id) => edit(id, { state: 'revoked' }), /made revoked/],
  ['it is called given up', ({ edit }, id) => edit(id, { ...over, state: 'dropped' }), /it was made dropped/],
  ['its state is none', ({ edit }, id) => edit(id, { state: 'archived' }), /it was made “archived”/],
  ['it is never tried', ({ edit }, id) => edit(id, { state: 'revoking', next_try_at: null }), /it was put off/],
  ['it is tried much later', ({ edit }, id) => edit(id, { state: 'stuck', next_try_at: FAR }), /it was put off/],
  [
    'what ending it takes is removed',
    ({ edit }, id) => edit(id, { state: 'revoking', next_try_at: 0, sealed_revocation: null }),
    /what ending it takes was changed/,
  ],
  [
    'its row is given another id',
    ({ edit }, id) => edit(id, { id: `${id.slice(0, -4)}0000` }),
    /its row was removed\)/,
  ],
];

onEachDatabase('leases that somebody hides in the database', (database) => {
  let house: House;
  before(async () => {
    ({ house } = await openDesk({ database: await database() }));
  });
  after(() => house.close());

  /** @proves lease.hidden */
  test('each is found by the record, put back and ended, by the replica that made it and by any other', async () => {
    const fake = createFakeProvider();
    const scene = createScene(house, fake.provider);
    for (const [way, hide, words] of ways)
      for (const isOwn of [true, false]) {
        const own = scene.replica();
        const request = await scene.request();
        const { lease } = await own.issue(request, []);
        await own.compare();
        await hide(scene, lease.id);
        const finder = isOwn ? own : scene.replica();
        await finder.compare();
        await finder.work();
        const row = await scene.rowOf(lease.id);
        assert.equal(fake.accounts.has(lease.name), false, way);
        assert.equal(row.state, 'revoked', way);
        assert.deepEqual(
          [row.agent, row.task, row.provider, row.environment, row.purpose, row.scope],
          [request.agent, request.task, 'orders', 'prod', request.purpose, '{"tables":["orders"]}'],
          way,
        );
        const said = await scene.linesOf(lease.id);
        assert.match(said[0] ?? '', words, way);
        // Once, and over is over.
        await scene.replica().compare();
        assert.equal((await scene.linesOf(lease.id)).length, 1, way);
        await scene.db.deleteFrom('leases').where('id', 'like', '%0000').execute();
        await scene.db.deleteFrom('lease_books').execute();
      }
  });

  /** @proves lease.hidden */
  test('also one that was issued and hidden before anybody had looked, or while no server ran', async () => {
    const fake = createFakeProvider();
    const scene = createScene(house, fake.provider);
    await scene.replica().compare();
    const { lease } = await scene.replica().issue(await scene.request(), []);
    await scene.remove(lease.id);
    await scene.db.deleteFrom('lease_books').execute();
    const next = scene.replica();
    await next.compare();
    await next.work();
    assert.equal(fake.accounts.has(lease.name), false);
    assert.equal((await scene.rowOf(lease.id)).state, 'revoked');
  });

  /** Its accounts have other names than their leases: what it gave for ending them is needed. */
  function nameless() {
    const fake = createFakeProvider();
    const { findsByName: _, ...rest } = fake.provider;
    const provider: Provider = {
      ...rest,
      revoke: async (left, signal) =>
        left.revocation === null ? undefined : ((await rest.revoke(left, signal)) ?? undefined),
    };
    return { ...fake, provider };
  }

  /** @proves lease.hidden */
  test('what ending it takes is kept by the replica that made it; where that is gone too a person is told what to do', async () => {
    const fake = nameless();
    const scene = createScene(house, fake.provider);
    const own = scene.replica();
    const before = async (): Promise<{ id: string; name: string; copy: Tables['leases'] }> => {
      let release = () => {};
      fake.trouble.hold = new Promise((resolve) => {
        release = resolve;
      });
      const request = await scene.request();
      const issued = own.issue(request, []);
      const find = () =>
        scene.db.selectFrom('leases').selectAll().where('purpose', '=', request.purpose).executeTakeFirst();
      let copy = await find();
      while (!copy) copy = await find();
      release();
      const { lease } = await issued;
      return { ...lease, copy };
    };
    const first = await before();
    await scene.remove(first.id);
    await own.compare();
    await own.work();
    assert.equal(fake.accounts.has(first.name), false);
    // As it was before its provider had answered: no seal is broken by that.
    const second = await before();
    await scene.replace({ ...second.copy, state: 'revoking', next_try_at: 0 });
    await own.compare();
    await own.work();
    assert.equal(fake.accounts.has(second.name), false);
    assert.match(String(await scene.linesOf(second.id)), /put back to what it was before/);

    const third = await before();
    await scene.remove(third.id);
    const other = scene.replica();
    await other.compare();
    await other.work();
    const stuck = await other.get(third.id);
    assert.equal(stuck.state, 'stuck');
    assert.match(stuck.problem ?? '', new RegExp(`Somebody has to end ${third.name} there`));
    assert.deepEqual(
      scene.alarms.map(({ id }) => id),
      [third.id],
    );
    assert.equal((await other.stuck())[0]?.count, 1);
    assert.equal(fake.accounts.has(third.name), true);
    // It is not called gone before it must be over, and is left alone until then.
    await other.compare();
    assert.equal((await scene.linesOf(third.id)).length, 1);
    house.pass(leaseLimits.maxSeconds * 1_000 + 120_000);
    await other.work();
    assert.equal((await other.get(third.id)).state, 'revoked');
    assert.equal(scene.alarms.length, 2);
  });

  test('one whose provider is declared elsewhere by then is stuck until two people give it up, and called gone by nobody', async () => {
    const fake = createFakeProvider();
    const elsewhere = { ...DECLARED, from: { ...DECLARED.from, url: 'postgres://broker@other.example.test/shop' } };
    const scene = createScene(house, fake.provider, () => elsewhere);
    const { lease } = await scene.replica().issue(await scene.request(), []);
    await scene.remove(lease.id);
    const finder = scene.replica();
    await finder.compare();
    for (let tries = 0; tries < leaseLimits.stuckAfter; tries++) {
      await finder.work();
      house.pass(leaseLimits.retryMostMs);
    }
    const stuck = await finder.get(lease.id);
    assert.equal(stuck.state, 'stuck');
    assert.match(stuck.problem ?? '', /orders is declared elsewhere now, or no more\. Somebody has to end gh_/);
    await finder.askDrop(lease.id, 'person:ann@example.test', 'ended by hand');
    assert.equal((await finder.agreeDrop(lease.id, yesOf('person:bob@example.test'))).state, 'dropped');
    await finder.compare();
    assert.equal((await scene.linesOf(lease.id)).length, 1);
  });

  /** @proves lease.hidden */
  test('the list of what is out is sealed: emptied, forged, put back or removed it hides nothing, and that is on record', async () => {
    const fake = createFakeProvider();
    const scene = createScene(house, fake.provider);
    const { db } = scene;
    const bookOf = () => db.selectFrom('lease_books').selectAll().executeTakeFirstOrThrow();
    const write = (change: Partial<Tables['lease_books']>) => db.updateTable('lease_books').set(change).execute();
    const running = scene.replica();
    await running.compare();
    const old = await bookOf();
    const edits: [string, () => Promise<unknown>, RegExp | null][] = [
      [
        'emptied',
        async () => write({ body: JSON.stringify({ ...JSON.parse((await bookOf()).body), open: [] }) }),
        /changed since/,
      ],
      ['no JSON', () => write({ body: '{' }), /it can’t be read/],
      ['no seal', () => write({ seal: new Uint8Array(90) }), /its seal does not open/],
      ['put back', () => write(old), /it was put back to what it was before/],
      ['removed', () => db.deleteFrom('lease_books').execute(), /it was removed/],
    ];
    for (const [what, change, words] of edits) {
      const { lease } = await scene.replica().issue(await scene.request(), []);
      await running.compare();
      await change();
      await scene.remove(lease.id);
      const before = (await scene.lines()).length;
      await running.compare();
      await running.work();
      assert.equal(fake.accounts.has(lease.name), false, what);
      assert.match(String((await scene.lines()).slice(before)), words ?? /./, what);
      // After a restart nobody knows of a newer one: it is made from the record again.
      const { lease: next } = await scene.replica().issue(await scene.request(), []);
      await change();
      await scene.remove(next.id);
      const restarted = scene.replica();
      await restarted.compare();
      await restarted.work();
      assert.equal(fake.accounts.has(next.name), false, `${what}, and started again`);
      await running.compare();
    }
  });

  test('records that are gone are an alarm, once', async () => {
    const scene = createScene(house, createFakeProvider().provider);
    const log = house.ledger.own.id;
    await scene.replica().compare();
    await scene.replica().issue(await scene.request(), []);
    const last = await scene.db
      .selectFrom('records')
      .selectAll()
      .where('log', '=', log)
      .where('entry', 'like', '%"operation":"lease.issue"%')
      .orderBy('sequence', 'desc')
      .executeTakeFirstOrThrow();
    // What comes behind it shows it.
    await scene.replica().issue(await scene.request(), []);
    await scene.db.deleteFrom('records').where('log', '=', log).where('sequence', '=', last.sequence).execute();
    const gone = async () => (await scene.lines()).filter((line) => /^1 records of .* are gone$/.test(line));
    const before = (await gone()).length;
    await scene.replica().compare();
    await scene.replica().compare();
    assert.equal((await gone()).length, before + 1);
    await scene.db.insertInto('records').values(last).execute();
  });

  /** @proves lease.hidden */
  test('nothing that the house does is an alarm: whatever happens to leases, on two replicas and after restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            what: fc.constantFrom(
              ...[
                'issue',
                'fail',
                'half',
                'refuse',
                'end',
                'renew',
                'away',
                'rests',
                'work',
                'drop',
                'pass',
                'restart',
                'late',
              ],
            ),
            at: fc.nat(1),
          }),
          { minLength: 5, maxLength: 14 },
        ),
        async (steps) => {
          const fake = createFakeProvider();
          const scene = createScene(house, fake.provider);
          const replicas = [scene.replica(), scene.replica()];
          const ids: string[] = [];
          const before = (await scene.lines()).length;
          const person = ['person:ann@example.test', 'person:bob@example.test'];
          for (const { what, at } of steps) {
            const by = replicas[at] as ReturnType<Scene['replica']>;
            const last = ids.at(-1) ?? '';
            const issue = async (trouble?: 'before' | 'after' | 'refused') => {
              if (trouble) fake.trouble.create = trouble;
              await by.issue(await scene.request(), []).then(
                ({ lease }) => ids.push(lease.id),
                () => undefined,
              );
              delete fake.trouble.create;
            };
            const steps: Record<string, () => Promise<unknown>> = {
              issue: () => issue(),
              fail: () => issue('before'),
              half: () => issue('after'),
              refuse: () => issue('refused'),
              end: () => by.end(last, 'person:ann@example.test', 'over').catch(() => undefined),
              renew: () => by.renew(last, 'person:ann@example.test', 1_200).catch(() => undefined),
              async away() {
                fake.trouble.away = !fake.trouble.away;
              },
              async rests() {
                fake.trouble.unheardLivesMs = 600_000;
                fake.trouble.now = house.clock.now;
              },
              work: () => by.work(),
              async drop() {
                await by.askDrop(last, person[0] as string, 'gone').catch(() => undefined);
                await by.agreeDrop(last, yesOf(person[1] as string)).catch(() => undefined);
              },
              pass: async () => house.pass(at === 0 ? 20_000 : 1_000_000),
              async restart() {
                replicas[at] = scene.replica();
              },
              // Ended while it is being made.
              async late() {
                let release = () => {};
                fake.trouble.hold = new Promise((resolve) => {
                  release = resolve;
                });
                const request = await scene.request();
                const made = by.issue(request, []).catch(() => undefined);
                const find = () =>
                  scene.db.selectFrom('leases').select('id').where('purpose', '=', request.purpose).executeTakeFirst();
                let row = await find();
                while (!row && !fake.trouble.away) row = await find();
                if (row) await by.end(row.id, 'person:ann@example.test', 'over');
                await by.work();
                await replicas[1 - at]?.compare();
                release();
                delete fake.trouble.hold;
                await made;
              },
            };
            await steps[what]?.();
            await Promise.all(replicas.map(({ compare }) => compare()));
            assert.deepEqual((await scene.lines()).slice(before), [], what);
          }
        },
      ),
      { numRuns: 6 },
    );
  });

  test('a long record is read in parts, and nothing is judged by the first of them', async () => {
    const fake = createFakeProvider();
    const scene = createScene(house, fake.provider);
    const { lease } = await scene.replica().issue(await scene.request(), []);
    await scene.remove(lease.id);
    await scene.db.deleteFrom('lease_books').execute();
    const whole = { ...leaseLimits };
    Object.assign(leaseLimits, { recordsAtOnce: 50, recordsOfALook: 100 });
    try {
      const finder = scene.replica();
      let looks = 0;
      while (fake.accounts.has(lease.name)) {
        await finder.compare();
        await finder.work();
        looks++;
      }
      assert.ok(looks > 1);
    } finally {
      Object.assign(leaseLimits, whole);
    }
  });

  test('records of before, which say of no place, are not compared', async () => {
    const scene = createScene(house, createFakeProvider().provider);
    await house.storage.transaction((transaction) =>
      house.recordChange(transaction, {
        ...{ operation: 'lease.issue', by: 'gatehouse', agent: 'agent-old', task: 'tsk_old', environment: 'prod' },
        changes: ['lease lse_01old of orders for server:shop', 'scope {}', 'until 2026-01-01T00:00:00.000Z'],
      }),
    );
    await scene.replica().compare();
    assert.deepEqual(await scene.linesOf('lse_01old'), []);
  });

  /** @proves lease.hidden */
  test('a clock that is set back by minutes is no alarm: what failed is tried at once; why it is ended stays said', async () => {
    const fake = createFakeProvider();
    const scene = createScene(house, fake.provider);
    const failing = async () => {
      const own = scene.replica();
      const { lease } = await own.issue(await scene.request(), []);
      await own.end(lease.id, 'person:ann@example.test', 'the work is done');
      fake.trouble.away = true;
      await own.work();
      return lease;
    };
    const late = await failing();
    house.pass(-240_000);
    try {
      await scene.replica().compare();
      assert.deepEqual(await scene.linesOf(late.id), []);
      const row = await scene.rowOf(late.id);
      assert.equal(row.next_try_at, house.clock.now());
      assert.match(`${row.reason}; ${row.problem}`, /^the work is done \(person:ann@example\.test\); connect ECONN/);
      delete fake.trouble.away;
      await scene.replica().work();
      assert.equal((await scene.rowOf(late.id)).state, 'revoked');
    } finally {
      house.pass(240_000);
    }
    const putOff = await failing();
    await scene.edit(putOff.id, { next_try_at: FAR });
    await scene.replica().compare();
    assert.match(String(await scene.linesOf(putOff.id)), /it was put off/);
    assert.match((await scene.rowOf(putOff.id)).reason ?? '', /^the work is done/);
  });

  test('what is open is read in parts, and a list that says nothing new is not written', async () => {
    const scene = createScene(house, createFakeProvider().provider);
    const { storage, results } = watched(house.storage);
    const watching = scene.replica({ storage });
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push((await scene.replica().issue(await scene.request(), [])).lease.id);
    const whole = { ...leaseLimits };
    Object.assign(leaseLimits, { idsAtOnce: 1 });
    try {
      await watching.compare();
    } finally {
      Object.assign(leaseLimits, whole);
    }
    const reads = results.filter(([row]) => row && Object.keys(row).join() === 'id,next_try_at');
    assert.ok(reads.every(({ length }) => length === 1));
    const read = reads.flat().map(({ id }) => id);
    assert.deepEqual(
      ids.filter((id) => !read.includes(id)),
      [],
    );
    const seal = () => scene.db.selectFrom('lease_books').select('seal').executeTakeFirstOrThrow();
    const before = await seal();
    await watching.compare();
    assert.deepEqual(await seal(), before);
    await watching.issue(await scene.request(), []);
    await watching.compare();
    assert.notDeepEqual(await seal(), before);
  });

  // The last one: what it leaves is sealed with another key.
  /** @proves lease.hidden */
  test('a replica that does not hold the newer key leaves what is sealed with it as it is; a key of nobody is an alarm', async () => {
    const fake = createFakeProvider();
    const scene = createScene(house, fake.provider);
    const { db } = scene;
    const [old, next] = [keyEncryptionKey(Buffer.alloc(32, 7)), keyEncryptionKey(randomBytes(32))];
    const sealer = createSealer({ current: () => next, held: () => [next, old] });
    const nobodys = createSealer(randomBytes(32)).seal(new Secret('x'), 'x');
    for (const [{ id }, state] of [
      [old, 'retiring'],
      [next, 'current'],
    ] as const)
      await db
        .insertInto('key_encryption_keys')
        .values({ id, state, source: `env:${state}`, wrapped: null, created_at: 1 })
        .execute();
    const toldAgain = async () =>
      (await db.selectFrom('changes').selectAll().where('key', '=', `key-encryption:${next.id}`).execute()).length;
    await db.deleteFrom('lease_books').execute();
    const newer = scene.replica({ sealer });
    const issue = async () => (await newer.issue(await scene.request(), [])).lease.id;
    const [live, over, resting, forged] = [await issue(), await issue(), await issue(), await issue()];
    await newer.end(over, 'person:ann@example.test', 'over');
    await newer.work();
    await newer.end(resting, 'person:ann@example.test', 'over');
    fake.trouble.away = true;
    await newer.work();
    await newer.compare();
    const state = async () => ({
      lines: await scene.lines(),
      book: await db.selectFrom('lease_books').selectAll().execute(),
      rows: await Promise.all([live, over, resting].map(scene.rowOf)),
    });
    const before = await state();
    assert.equal(before.rows[1]?.state, 'revoked');
    const said: string[] = [];
    const older = scene.replica({ log: createLog('warn', (line) => said.push(line)) });
    const told = () => said.splice(0).filter((line) => line.includes('does not have the key'));
    await older.compare();
    assert.equal(told().length, 1);
    assert.deepEqual(await state(), before);
    // Also where it has no list that it can't open.
    await db.deleteFrom('lease_books').execute();
    await older.compare();
    await older.look();
    assert.equal(told().length, 2);
    // It is told to stop.
    assert.equal(await toldAgain(), 3);
    assert.deepEqual({ ...(await state()), book: before.book }, before);
    await db
      .insertInto('key_encryption_keys')
      .values({
        ...{
          id: house.sealer.lacks(nobodys) ?? '',
          state: 'retiring',
          source: 'env:FORGED',
          wrapped: null,
          created_at: 1,
        },
      })
      .execute();
    await scene.edit(forged, { state: 'revoked', seal: nobodys, sealed_revocation: nobodys });
    await newer.compare();
    assert.match(String(await scene.linesOf(forged)), /it was made revoked/);
    assert.equal((await scene.rowOf(forged)).state, 'revoking');
  });
});

onPostgres('roles of PostgreSQL that somebody hides', (database) => {
  /** @proves lease.hidden */
  test('are dropped, whichever way', async (t) => {
    const { house } = await openDesk({ database: await database() });
    t.after(() => house.close());
    const url = new URL(await database());
    const owner = new pg.Client(url.href);
    await owner.connect();
    t.after(() => owner.end());
    const broker = `broker_${url.pathname.slice(1)}`;
    await owner.query(`create table orders (id int); create role ${broker} login createrole password 'broker';
      grant connect on database ${url.pathname.slice(1)} to ${broker} with grant option;
      grant usage on schema public to ${broker} with grant option;
      grant select on orders to ${broker} with grant option; grant pg_signal_backend to ${broker}`);
    const provider = openPostgresProvider(
      {
        ...{ type: 'postgres', secret: 'broker', tls: 'off', connectionLimit: 2, statementTimeoutSeconds: 30 },
        url: `postgres://${broker}@${url.host}${url.pathname}`,
        grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }],
      },
      async () => new Secret('broker'),
    );
    t.after(() => provider.close());
    const grants = { grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }] };
    const scene = createScene(house, {
      ...provider,
      create: (order, signal) => provider.create({ ...order, scope: grants }, signal),
    });
    const names: string[] = [];
    const some = ways.filter((_, number) => number % 3 === 0);
    for (const [, hide] of some) {
      const { lease } = await scene.replica().issue(await scene.request(), []);
      names.push(lease.name);
      await hide(scene, lease.id);
    }
    const roles = async () =>
      (await owner.query('select rolname from pg_roles where rolname = any($1)', [names])).rowCount;
    assert.equal(await roles(), some.length);
    const finder = scene.replica();
    await finder.compare();
    await finder.work();
    assert.equal(await roles(), 0);
  });
});
