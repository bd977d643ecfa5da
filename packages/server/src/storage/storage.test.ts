import assert from 'node:assert/strict';
import { addApproval, LOG, onEachBackend, placesIn, recordOf, unitOf, upTo } from './suite.ts';

onEachBackend('a unit is written whole, its records at places that follow each other', async ({ open }) => {
  const storage = await open();
  assert.deepEqual(await storage.openLog(LOG), { size: 0 });
  const results = await Promise.all([storage.append(unitOf(2)), storage.append(unitOf(3)), storage.append(unitOf(1))]);
  assert.deepEqual(results, [
    { ok: true, sequences: [0, 1] },
    { ok: true, sequences: [2, 3, 4] },
    { ok: true, sequences: [5] },
  ]);
  assert.deepEqual(await placesIn(storage), upTo(6));
});

onEachBackend('what is recorded is read back as it was given', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const record = recordOf({
    at: 1_790_000_000_000,
    person: 'user:ünïcödé 🏰',
    resource: `"quoted", {braced}, back\\slash, NULL, ${'x'.repeat(20_000)}`,
    result: 'success',
    approval: 'apr_1',
    ticket: '',
    leafHash: Uint8Array.from({ length: 32 }, (_, index) => index * 8),
  });
  const salt = Uint8Array.from([0, 1, 127, 128, 255]);
  const body = { actionId: record.actionId, kind: 'arguments' as const, salt, body: '{"to":"z"}', at: 5 };
  await storage.append({ guards: [], records: [record], bodies: [body] });
  const { log, sequence, leaf_hash, action_id, ...stored } = await storage.db
    .selectFrom('records')
    .selectAll()
    .executeTakeFirstOrThrow();
  const { actionId, leafHash, ...given } = record;
  assert.deepEqual(
    { log, sequence, action_id, ...stored },
    { log: LOG.id, sequence: 0, action_id: actionId, ...given },
  );
  assert.deepEqual(leaf_hash, leafHash, 'bytes are a plain Uint8Array');
  const storedBody = await storage.db.selectFrom('bodies').selectAll().executeTakeFirstOrThrow();
  assert.deepEqual(storedBody, {
    action_id: actionId,
    kind: 'arguments',
    salt,
    body: '{"to":"z"}',
    created_at: 5,
    erased_at: null,
  });
});

onEachBackend('a unit decided on a version that no longer stands is refused whole', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const key = 'agent:agent-support-prod';
  const guarded = (version: number) =>
    unitOf(2, {
      guards: [
        { key: 'policy', version: 0 },
        { key, version },
      ],
    });
  assert.equal((await storage.append(guarded(0))).ok, true, 'what was never changed stands at 0');
  assert.equal(await storage.transaction((transaction) => storage.bumpFence(transaction, key)), 1);
  assert.deepEqual(await storage.append(guarded(0)), { ok: false, failed: 'guard', key });
  assert.deepEqual(await storage.append(guarded(1)), { ok: true, sequences: [2, 3] });
  assert.equal(await storage.transaction((transaction) => storage.bumpFence(transaction, key)), 2);
  assert.deepEqual(await storage.append(guarded(1)), { ok: false, failed: 'guard', key });
  assert.deepEqual(await placesIn(storage), upTo(4));
});

onEachBackend('an approval is consumed once, however many calls want it at the same time', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  await addApproval(storage, 'apr_1');
  const wish = (actionId: string) => unitOf(1, { consumeApproval: { id: 'apr_1', actionId, now: 999 } });
  const results = await Promise.all(upTo(20).map((index) => storage.append(wish(`act_${index}`))));
  assert.deepEqual(results[0], { ok: true, sequences: [0] });
  assert.deepEqual(
    new Set(results.slice(1).map((result) => JSON.stringify(result))),
    new Set(['{"ok":false,"failed":"approval"}']),
  );
  assert.deepEqual(await placesIn(storage), [0]);
  const row = await storage.db.selectFrom('approvals').select(['state', 'consumed_by']).executeTakeFirst();
  assert.deepEqual(row, { state: 'consumed', consumed_by: 'act_0' });
});

onEachBackend('an approval that is expired, pending, denied or unknown lets nothing through', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  await addApproval(storage, 'expired', { expires_at: 500 });
  await addApproval(storage, 'pending', { state: 'pending' });
  await addApproval(storage, 'denied', { state: 'denied' });
  for (const id of ['expired', 'pending', 'denied', 'unknown']) {
    const result = await storage.append(unitOf(1, { consumeApproval: { id, actionId: 'act_1', now: 500 } }));
    assert.deepEqual(result, { ok: false, failed: 'approval' }, id);
  }
  assert.deepEqual(await placesIn(storage), []);
});

onEachBackend('a unit refused by its guard leaves the approval unconsumed', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  await addApproval(storage, 'apr_1');
  const unit = unitOf(1, { consumeApproval: { id: 'apr_1', actionId: 'act_1', now: 1 } });
  await storage.append({ ...unit, guards: [{ key: 'policy', version: 9 }] });
  assert.deepEqual(await storage.append(unit), { ok: true, sequences: [0] });
});

onEachBackend('one unit that the database refuses does not take the others of its batch with it', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  await addApproval(storage, 'apr_1');
  const broken = unitOf(1, { consumeApproval: { id: 'apr_1', actionId: 'act_1', now: 1 } });
  broken.records.push(recordOf({ entry: null as never }));
  const results = await Promise.allSettled([
    storage.append(unitOf(1)),
    storage.append(broken),
    storage.append(unitOf(2)),
  ]);
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    [{ ok: true, sequences: [0] }, 'storage.refused', { ok: true, sequences: [1, 2] }],
  );
  const approval = await storage.db.selectFrom('approvals').select('state').executeTakeFirst();
  assert.equal(approval?.state, 'approved');
});

onEachBackend('the first body of an action stands', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const body = { actionId: 'act_1', kind: 'arguments' as const, salt: new Uint8Array(1), body: 'first', at: 1 };
  await storage.append(unitOf(1, { bodies: [body] }));
  assert.equal((await storage.append(unitOf(1, { bodies: [{ ...body, body: 'second' }] }))).ok, true);
  assert.deepEqual(await storage.db.selectFrom('bodies').select('body').execute(), [{ body: 'first' }]);
});

onEachBackend('a change that fails leaves nothing behind: no row, no record, no fence, no place', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const failing = storage.transaction(async (transaction) => {
    await transaction.insertInto('meta').values({ key: 'a', value: '1' }).execute();
    assert.equal(await storage.bumpFence(transaction, 'policy'), 1);
    await storage.announce(transaction, 'policy', '', 1);
    const written = await storage.appendWithin(transaction, unitOf(2, { guards: [{ key: 'policy', version: 1 }] }));
    assert.deepEqual(written, { ok: true, sequences: [0, 1] });
    throw new Error('no');
  });
  await assert.rejects(failing, { message: 'no' });
  assert.deepEqual(await storage.db.selectFrom('meta').select('key').execute(), []);
  assert.equal(await storage.feed.head(), 0);
  assert.deepEqual(await storage.append(unitOf(1, { guards: [{ key: 'policy', version: 0 }] })), {
    ok: true,
    sequences: [0],
  });
});

onEachBackend('changes and calls are written in the order in which they were asked for', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const [before, during, after] = await Promise.all([
    storage.append(unitOf()),
    storage.transaction(async (transaction) => {
      const first = await storage.appendWithin(transaction, unitOf());
      await transaction.selectFrom('meta').selectAll().execute();
      return [first, await storage.appendWithin(transaction, unitOf())];
    }),
    storage.append(unitOf()),
  ]);
  assert.deepEqual(
    [before, ...during, after],
    upTo(4).map((sequence) => ({ ok: true, sequences: [sequence] })),
  );
});

onEachBackend('a record inside a change is refused by a guard or an approval like any other', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  await addApproval(storage, 'apr_1', { state: 'pending' });
  await storage.transaction(async (transaction) => {
    const guards = [{ key: 'policy', version: 3 }];
    assert.deepEqual(await storage.appendWithin(transaction, unitOf(1, { guards })), {
      ok: false,
      failed: 'guard',
      key: 'policy',
    });
    const consumeApproval = { id: 'apr_1', actionId: 'act_1', now: 1 };
    assert.deepEqual(await storage.appendWithin(transaction, unitOf(1, { consumeApproval })), {
      ok: false,
      failed: 'approval',
    });
  });
  assert.deepEqual(await placesIn(storage), []);
});

onEachBackend('a number that JavaScript cannot hold exactly is an error, never another number', async ({ open }) => {
  const storage = await open();
  const largest = Number.MAX_SAFE_INTEGER;
  await storage.db.insertInto('fences').values({ key: 'safe', version: largest }).execute();
  await storage.db
    .insertInto('fences')
    .values({ key: 'unsafe', version: 9_007_199_254_740_993n as never })
    .execute();
  const read = (key: string) =>
    storage.db.selectFrom('fences').select('version').where('key', '=', key).executeTakeFirst();
  assert.deepEqual(await read('safe'), { version: largest });
  await assert.rejects(read('unsafe'));
});

onEachBackend('a contradiction is told apart from a failure', async ({ open }) => {
  const storage = await open();
  const insert = () => storage.db.insertInto('meta').values({ key: 'a', value: '1' }).execute();
  await insert();
  await assert.rejects(insert(), { code: 'storage.refused', kind: 'conflict' });
  await assert.rejects(
    storage.transaction((transaction) => transaction.insertInto('meta').values({ key: 'a', value: '2' }).execute()),
    { code: 'storage.refused' },
  );
});

onEachBackend('nothing is recorded before a log is open, and a log never changes its key', async ({ open }) => {
  const storage = await open();
  await assert.rejects(storage.append(unitOf()), { code: 'storage.no-log' });
  await assert.rejects(
    storage.transaction((transaction) => storage.appendWithin(transaction, unitOf())),
    { code: 'storage.no-log' },
  );
  await storage.openLog(LOG);
  await storage.append(unitOf(3));
  await storage.close();
  const again = await open();
  await assert.rejects(again.openLog({ ...LOG, vkey: 'another' }), { code: 'storage.log-differs' });
  assert.deepEqual(await again.openLog(LOG), { size: 3 });
  assert.deepEqual(await again.append(unitOf()), { ok: true, sequences: [3] });
});

onEachBackend('what waits when the storage closes is written, what comes later is refused', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const waiting = upTo(100).map(() => storage.append(unitOf()));
  const closing = storage.close();
  await assert.rejects(storage.append(unitOf()), { code: 'storage.unavailable' });
  const results = await Promise.all(waiting);
  assert.deepEqual(
    results.flatMap((result) => (result.ok ? result.sequences : [])),
    upTo(100),
  );
  await closing;
  await storage.close();
  assert.deepEqual(await (await open()).openLog(LOG), { size: 100 });
});

onEachBackend('a change that hangs is undone, and what waited behind it is written or refused', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const hanging = storage.transaction(async (transaction) => {
    await storage.appendWithin(transaction, unitOf());
    await new Promise(() => {});
  });
  const waiting = storage.append(unitOf());
  await assert.rejects(waiting, { code: 'storage.unavailable', kind: 'unavailable' });
  await assert.rejects(hanging, { code: 'storage.transaction-timeout' });
  assert.deepEqual(await storage.append(unitOf()), { ok: true, sequences: [0] });
});
