import assert from 'node:assert/strict';
import pg from 'pg';
import type { LogUnitResult, Storage } from './storage.ts';
import { addApproval, LOG, onPostgres, placesIn, unitOf, upTo } from './suite.ts';
import { startProxy } from './suite-proxy.ts';

const UNAVAILABLE = { code: 'storage.unavailable', kind: 'unavailable' };
const OTHER_LOG = { ...LOG, id: 'gatehouse.test/log/b', replica: 'b', vkey: 'gatehouse.test/log/b+key' };

async function asSuperuser(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** Keeps appending until told to stop; gives what was acknowledged. Refusals of the database count for nothing. */
function appendWithoutPause(
  storage: Storage,
  callers: number,
  fields: () => Parameters<typeof unitOf>[1] = () => ({}),
) {
  let isStopped = false;
  const acknowledged: number[] = [];
  const refused: LogUnitResult[] = [];
  const running = Promise.all(
    upTo(callers).map(async () => {
      while (!isStopped) {
        try {
          const result = await storage.append(unitOf(1, fields()));
          if (result.ok) acknowledged.push(...result.sequences);
          else refused.push(result);
        } catch (error) {
          assert.equal((error as { code: string }).code, 'storage.unavailable');
        }
      }
    }),
  );
  return {
    acknowledged,
    refused,
    async stop() {
      isStopped = true;
      await running;
    },
  };
}

async function appendsAgain(storage: Storage): Promise<void> {
  for (;;) {
    try {
      await storage.append(unitOf());
      return;
    } catch (error) {
      assert.equal((error as { code: string }).code, 'storage.unavailable');
    }
  }
}

onPostgres('replicas that start at the same time migrate once', async ({ open }) => {
  const storages = await Promise.all(upTo(4).map(() => open()));
  for (const storage of storages) assert.deepEqual(await storage.db.selectFrom('records').selectAll().execute(), []);
});

onPostgres('two replicas that want the same approval: one of them gets it', async ({ open }) => {
  const [a, b] = [await open(), await open()];
  await Promise.all([a.openLog(LOG), b.openLog(OTHER_LOG)]);
  for (const id of upTo(40).map(String)) {
    await addApproval(a, id);
    const wish = (actionId: string) => unitOf(1, { consumeApproval: { id, actionId, now: 1 } });
    const results = await Promise.all([a.append(wish('act_a')), b.append(wish('act_b')), a.append(wish('act_c'))]);
    assert.equal(results.filter((result) => result.ok).length, 1);
  }
  const { size } = await a.db
    .selectFrom('records')
    .select((select) => select.fn.countAll<number>().as('size'))
    .executeTakeFirstOrThrow();
  assert.equal(size, 40);
});

onPostgres(
  'once a fence is bumped anywhere, nothing decided before passes on any replica, and a bump never starves',
  async ({ open }) => {
    const [a, b] = [await open(), await open()];
    await Promise.all([a.openLog(LOG), b.openLog(OTHER_LOG)]);
    const key = 'agent:agent-support-prod';
    let version = 0;
    const guarded = () => ({ guards: [{ key, version }] });
    const callers = [appendWithoutPause(a, 8, guarded), appendWithoutPause(b, 8, guarded)];
    for (const _ of upTo(20)) {
      const old = version;
      version = await b.transaction((transaction) => b.bumpFence(transaction, key));
      const late = await Promise.all(
        [a, b, a].map((storage) => storage.append(unitOf(1, { guards: [{ key, version: old }] }))),
      );
      for (const result of late) assert.deepEqual(result, { ok: false, failed: 'guard', key });
    }
    for (const caller of callers) await caller.stop();
    assert.equal(version, 20);
  },
);

onPostgres(
  'a call that meets a kill on its way waits for it and is refused; other agents’ calls pass meanwhile',
  async ({ open }) => {
    const [a, b] = [await open(), await open()];
    await a.openLog(LOG);
    const guarded = (key: string) => unitOf(1, { guards: [{ key, version: 0 }] });
    let meeting: Promise<LogUnitResult> | undefined;
    await b.transaction(async (transaction) => {
      await b.bumpFence(transaction, 'agent:killed');
      assert.equal((await a.append(guarded('agent:other'))).ok, true);
      meeting = a.append(guarded('agent:killed'));
      // Time enough for the call to pass, were it not held.
      for (const _ of upTo(50)) await a.db.selectFrom('fences').selectAll().execute();
    });
    assert.deepEqual(await meeting, { ok: false, failed: 'guard', key: 'agent:killed' });
  },
);

onPostgres('a record inside a change sees what another replica has bumped since the change began', async ({ open }) => {
  const [a, b] = [await open(), await open()];
  await a.openLog(LOG);
  const attempts: LogUnitResult[] = [];
  await a.transaction(async (transaction) => {
    await transaction.selectFrom('fences').selectAll().execute();
    await b.transaction((other) => b.bumpFence(other, 'policy'));
    attempts.push(await a.appendWithin(transaction, unitOf(1, { guards: [{ key: 'policy', version: 0 }] })));
  });
  assert.deepEqual(attempts, [{ ok: false, failed: 'guard', key: 'policy' }]);
});

onPostgres('changes that contradict each other are made one after the other, as on one machine', async ({ open }) => {
  const [a, b] = [await open(), await open()];
  // Two sums over each other's rows: only in one order or the other can both be right.
  const insertSum = (storage: Storage, kind: string) =>
    storage.transaction(async (transaction) => {
      const rows = await transaction.selectFrom('objects').select('kind').execute();
      await transaction
        .insertInto('objects')
        .values({ kind, name: String(rows.length), body: '{}', updated_at: 1 })
        .execute();
    });
  await Promise.all(upTo(20).flatMap((index) => [insertSum(a, `a${index}`), insertSum(b, `b${index}`)]));
  const rows = await a.db.selectFrom('objects').select('name').execute();
  assert.deepEqual(
    rows.map((row) => Number(row.name)).sort((x, y) => x - y),
    upTo(40),
  );
});

onPostgres('a log has one writer at a time', async ({ open }) => {
  const [a, b] = [await open(), await open()];
  await a.openLog(LOG);
  await assert.rejects(b.openLog(LOG), { code: 'storage.log-in-use', kind: 'conflict' });
  await a.append(unitOf());
  await a.close();
  assert.deepEqual(await b.openLog(LOG), { size: 1 });
});

onPostgres(
  'connections cut under load lose nothing that was acknowledged, and appending goes on',
  async ({ open, options }, _t, server) => {
    const storage = await open();
    await storage.openLog(LOG);
    const callers = appendWithoutPause(storage, 16);
    for (const _ of upTo(8)) {
      const before = callers.acknowledged.length;
      while (callers.acknowledged.length < before + 50) await appendsAgain(storage);
      await asSuperuser(
        server.url,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${new URL(options.database).pathname.slice(1)}'`,
      );
    }
    await callers.stop();
    await appendsAgain(storage);
    const places = await placesIn(storage);
    assert.deepEqual(places, upTo(places.length));
    const stored = new Set(places);
    for (const sequence of callers.acknowledged) assert.ok(stored.has(sequence));
  },
);

onPostgres(
  'a server that crashes under load loses nothing that was acknowledged, and appending goes on',
  async ({ open }, _t, server) => {
    const storage = await open();
    await storage.openLog(LOG);
    const callers = appendWithoutPause(storage, 16);
    while (callers.acknowledged.length < 200) await appendsAgain(storage);
    await server.kill();
    await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
    await server.restart();
    await appendsAgain(storage);
    await callers.stop();
    const places = await placesIn(storage);
    assert.deepEqual(places, upTo(places.length));
    const stored = new Set(places);
    for (const sequence of callers.acknowledged) assert.ok(stored.has(sequence));
  },
);

onPostgres('a commit whose answer is lost is found out: written counts as written', async ({ open, options }, t) => {
  const proxy = await startProxy(t, options.database);
  const storage = await open({ database: proxy.url });
  await storage.openLog(LOG);
  await storage.append(unitOf());
  proxy.cutAtCommit('after it has arrived');
  const inDoubt = [storage.append(unitOf(2)), storage.append(unitOf(1, { guards: [{ key: 'policy', version: 9 }] }))];
  assert.deepEqual(await Promise.all(inDoubt), [
    { ok: true, sequences: [1, 2] },
    { ok: false, failed: 'guard', key: 'policy' },
  ]);
  assert.deepEqual(await storage.append(unitOf()), { ok: true, sequences: [3] });
  assert.deepEqual(await placesIn(storage), upTo(4));
  assert.equal(proxy.cuts, 1);
});

onPostgres('a commit that never arrives is refused and leaves nothing', async ({ open, options }, t) => {
  const proxy = await startProxy(t, options.database);
  const storage = await open({ database: proxy.url });
  await storage.openLog(LOG);
  await storage.append(unitOf());
  proxy.cutAtCommit('before it arrives');
  await assert.rejects(storage.append(unitOf(2)), UNAVAILABLE);
  assert.deepEqual(await storage.append(unitOf()), { ok: true, sequences: [1] });
  assert.deepEqual(await placesIn(storage), [0, 1]);
});

onPostgres('a server that falls silent refuses calls in bounded time', async ({ open, options }, t) => {
  const proxy = await startProxy(t, options.database);
  const storage = await open({ database: proxy.url });
  await storage.openLog(LOG);
  proxy.holdBack(true);
  await assert.rejects(storage.append(unitOf()), UNAVAILABLE);
  proxy.holdBack(false);
  await appendsAgain(storage);
  const places = await placesIn(storage);
  assert.deepEqual(places, upTo(places.length));
});

onPostgres('a server that cannot be reached at the start is an error of its own', async ({ open }) => {
  await assert.rejects(open({ database: 'postgres://nobody@127.0.0.1:1/none' }), UNAVAILABLE);
  await assert.rejects(open({ database: 'mysql://x' }), { code: 'storage.unknown-database' });
});
