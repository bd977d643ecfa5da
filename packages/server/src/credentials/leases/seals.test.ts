import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addAgent, openDesk } from '../../approvals/testing/desk.ts';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import type { House } from '../../identity/people/testing/house.ts';
import type { Tables } from '../../storage/index.ts';
import { createFakeProvider, narrowToTables } from '../testing/fake-provider.ts';
import { watched } from '../testing/watched.ts';
import { digestOf, holderOf } from './holder.ts';
import { createLeases } from './leases.ts';
import { leaseLimits } from './limits.ts';
import { createReconciler } from './reconcile.ts';
import { endLeasesOfBefore } from './seals.ts';
import type { LeaseRequest } from './types.ts';

onEachDatabase('leases that somebody changes in the database', (database) => {
  let house: House;
  let fake: ReturnType<typeof createFakeProvider>;
  let number = 0;

  before(async () => {
    ({ house } = await openDesk({ database: await database() }));
    fake = createFakeProvider();
  });
  after(() => house.close());

  /** A replica that has nothing in memory. */
  const replica = (storage = house.storage) => ({
    reconciler: createReconciler({ ...house, openFor: () => fake.provider, isActive: () => true }),
    ...createLeases({
      ...{ ...house, storage },
      open: async () => ({
        ...{ provider: fake.provider, narrow: narrowToTables, declared: { name: 'orders' } },
        ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
        life: { defaultSeconds: 900, maxSeconds: 1_800 },
      }),
      wake: () => undefined,
      declaredAt: () => undefined,
    }),
  });
  async function agent() {
    const name = `agent-sealed-${++number}`;
    const { task } = await addAgent(house, name);
    const request: LeaseRequest = {
      ...{ provider: 'orders', agent: name, task, environment: 'prod', purpose: 'server:shop' },
      ...{ asked: { tables: ['orders'] }, within: [], until: [] },
    };
    return { name, task, request };
  }
  const edit = (id: string, change: Partial<Tables['leases']>) =>
    house.storage.db.updateTable('leases').set(change).where('id', '=', id).execute();
  const rowOf = (id: string) =>
    house.storage.db.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const broken = async (id: string) =>
    (await house.records('seal.broken')).filter(({ changes }) => changes?.some((line) => line.includes(id)));

  /** @proves lease.sealed */
  test('nobody is given the credential of another task by its row, with a key, without one or as handed out before', async () => {
    const victim = await agent();
    const thief = await agent();
    const handOut = { ...thief.request, purpose: 'direct', ungated: true, ttlSeconds: 300 };
    const keyed = { ...handOut, idempotencyKey: 'k' };
    const stolen = { task: thief.task, agent: thief.name, ungated: 1, purpose: 'direct', handed_by: 'act_forged' };
    const ways: [string, (theirs: string) => Promise<unknown>, Partial<Tables['leases']>][] = [
      [
        'with a key',
        (theirs) =>
          replica()
            .issue(keyed, [])
            .then(({ lease }) => assert.notEqual(lease.id, theirs)),
        { ...stolen, idempotency_key: 'k', request_digest: digestOf(keyed) },
      ],
      [
        'without one',
        (theirs) =>
          replica()
            .issue(handOut, [])
            .then(({ lease }) => assert.notEqual(lease.id, theirs)),
        { ...stolen, holder: holderOf(handOut, handOut.asked) },
      ],
      [
        'as handed out before',
        (theirs) =>
          replica()
            .handedOut(handOut)
            .then((found) => assert.notEqual(found?.held.lease.id, theirs)),
        { ...stolen, holder: holderOf(handOut, handOut.asked) },
      ],
    ];
    for (const [way, ask, change] of ways) {
      const held = await replica().issue({ ...victim.request, singleUse: true }, []);
      await replica().activate(held, 'act_true');
      // What was issued in the thief's own name before is not in the way.
      await replica().reconciler.work();
      for (const { id } of (await replica().list({ task: thief.task, limit: 10 })).leases)
        await replica().end(id, 'gatehouse', 'over');
      await edit(held.lease.id, change);
      await ask(held.lease.id).catch((error) => assert.equal(error.code, 'lease.ended', way));
      const row = await rowOf(held.lease.id);
      assert.deepEqual(
        [row.state, row.sealed_credential, row.task, row.agent],
        ['revoking', null, victim.task, victim.name],
        way,
      );
      const [record] = await broken(held.lease.id);
      assert.equal(record?.task, victim.task, way);
      assert.match(
        record?.changes?.join('\n') ?? '',
        new RegExp(`its task was ${victim.task}, and is made ${thief.task}`),
        way,
      );
      await replica().reconciler.work();
      assert.equal(fake.accounts.has(row.id.replace('lse_', 'gh_')), false, way);
    }
  });

  test('nothing of a row that lets it live longer, do more or go to somebody else can be changed', async () => {
    const changes: Partial<Tables['leases']>[] = [
      { expires_at: house.clock.now() + 86_400_000 },
      { bounds: '[]' },
      { scope: '{"tables":["salaries"]}' },
      { provider: 'other' },
      { environment: 'test' },
      { purpose: 'direct' },
      { ungated: 1 },
      { single_use: 1 },
      { intended_at: 0 },
      { making_until: house.clock.now() + 86_400_000 },
      { ends_by_itself: 0 },
      { handed_by: 'act_forged' },
      { request_digest: 'sha256-0' },
      { seal: null },
      { seal: new Uint8Array(90) },
    ];
    for (const change of changes) {
      const { request } = await agent();
      const { lease } = await replica().issue(request, []);
      await edit(lease.id, change);
      const what = Object.keys(change).join();
      const next = await replica().issue(request, []);
      assert.notEqual(next.lease.id, lease.id, what);
      assert.equal((await broken(lease.id)).length, 1, what);
      await replica().reconciler.work();
      assert.equal((await rowOf(lease.id)).state, 'revoked', what);
      assert.equal(fake.accounts.has(lease.name), false, what);
    }
  });

  test('a seal goes to no other row; one that was changed is neither activated nor renewed', async () => {
    const { request } = await agent();
    const other = await agent();
    const first = await replica().issue(request, []);
    const second = await replica().issue(other.request, []);
    const { id: _, holder: __, ...whole } = await rowOf(first.lease.id);
    await edit(second.lease.id, whole);
    await assert.rejects(replica().activate(second), { code: 'lease.ended' });
    assert.equal((await rowOf(second.lease.id)).state, 'revoking');
    await edit(first.lease.id, { expires_at: first.lease.expiresAt + 1 });
    await assert.rejects(replica().renew(first.lease.id, 'person:ann@example.test', 1_200), { code: 'lease.ended' });
    assert.equal((await broken(first.lease.id)).length, 1);
  });

  test('one that was changed so that it outlives its task is found without anybody asking for it', async () => {
    const { request, task } = await agent();
    const other = await agent();
    const { lease } = await replica().issue(request, []);
    await edit(lease.id, { task: other.task, expires_at: house.clock.now() + 86_400_000 });
    await house.registry.endTask(task, 'person:owner@example.test');
    await replica().look();
    await replica().reconciler.work();
    assert.equal((await rowOf(lease.id)).state, 'revoked');
    assert.equal(fake.accounts.has(lease.name), false);
    assert.equal((await broken(lease.id)).length, 1);
  });

  test('all that may be used are looked at, a few at once, and nothing of them that is not sealed is read', async () => {
    const { request } = await agent();
    const ids: string[] = [];
    for (const purpose of ['server:a', 'server:b', 'server:c', 'server:d', 'server:e'])
      ids.push((await replica().issue({ ...request, purpose }, [])).lease.id);
    for (const id of ids) await edit(id, { expires_at: house.clock.now() + 86_400_000 });
    await edit(ids[0] as string, { holder: '' });
    const { storage, results } = watched(house.storage);
    const whole = { ...leaseLimits };
    Object.assign(leaseLimits, { lookedAtOnce: 2 });
    try {
      await replica(storage).look();
    } finally {
      Object.assign(leaseLimits, whole);
    }
    for (const id of ids) assert.equal((await rowOf(id)).state, 'revoking');
    assert.ok(results.every((rows) => rows.length <= 2 && rows.every((row) => !('sealed_revocation' in row))));
  });

  test('each honest step leaves it whole', async () => {
    const { request } = await agent();
    const held = await replica().issue(request, []);
    await replica().activate(held, 'act_1');
    await replica().activate(held, 'act_2');
    await replica().renew(held.lease.id, 'person:ann@example.test', 1_200);
    assert.equal((await replica().issue(request, [])).lease.id, held.lease.id);
    assert.equal((await rowOf(held.lease.id)).handed_by, 'act_1');
    assert.deepEqual(await broken(held.lease.id), []);
  });

  test('those of before are ended at the first start, by name on record, and none is sealed then or later', async () => {
    const { request, task } = await agent();
    const { db } = house.storage;
    const { lease } = await replica().issue(request, []);
    await edit(lease.id, { seal: null });
    await db.insertInto('meta').values({ key: 'seal:leases', value: 'due' }).execute();
    await endLeasesOfBefore(house);
    assert.equal((await rowOf(lease.id)).state, 'revoking');
    const said = async () => (await house.records('lease.seal')).flatMap(({ changes }) => changes);
    assert.deepEqual(await said(), [`lease ${lease.id} of orders for ${task} is not sealed, and ended`]);
    const later = await replica().issue(request, []);
    await edit(later.lease.id, { seal: null });
    await db.insertInto('meta').values({ key: 'seal:leases', value: 'due' }).execute();
    await endLeasesOfBefore(house);
    assert.equal((await said()).length, 1);
    assert.notEqual((await replica().issue(request, [])).lease.id, later.lease.id);
    assert.equal((await broken(later.lease.id)).length, 1);
  });
});
