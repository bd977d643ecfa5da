import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { addAgent, openDesk, stopAgent } from '../../approvals/testing/desk.ts';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import type { House } from '../../identity/people/testing/house.ts';
import { yesOf } from '../../identity/people/testing/second-yes.ts';
import { entryOf } from '../../ledger/keeping/testing/record-keeper.ts';
import { createFakeProvider, narrowToTables } from '../testing/fake-provider.ts';
import { createLeases, type Leases } from './leases.ts';
import { boundsOf, lifetimeOf } from './lifetime.ts';
import { leaseLimits } from './limits.ts';
import { createReconciler, type Reconciler } from './reconcile.ts';
import type { LeaseRequest } from './types.ts';

onEachDatabase('leases', (database) => {
  let house: House;
  let fake: ReturnType<typeof createFakeProvider>;
  let leases: Leases;
  let reconciler: Reconciler;
  let number = 0;
  let issuesLess = false;

  const open = () => {
    const reconcilers = createReconciler({ ...house, openFor: () => fake.provider, isActive: () => true });
    return {
      reconciler: reconcilers,
      leases: createLeases({
        ...house,
        open: async () => ({
          provider: fake.provider,
          narrow: (asked) => narrowToTables(issuesLess ? { tables: ['salaries'] } : asked),
          guard: { key: 'object:CredentialProvider/orders', version: 0 },
          declared: {},
          life: { defaultSeconds: 900, maxSeconds: 1_800 },
        }),
        wake: () => undefined,
        declaredAt: () => undefined,
      }),
    };
  };

  before(async () => {
    ({ house } = await openDesk({ database: await database() }));
  });
  after(() => house.close());

  async function agent() {
    const name = `agent-lease-${++number}`;
    const { task } = await addAgent(house, name);
    fake = createFakeProvider();
    ({ leases, reconciler } = open());
    const { registry } = house;
    const snapshot = registry.snapshot();
    const guards = [{ key: `agent:${name}`, version: snapshot.fences.get(`agent:${name}`) ?? 0 }];
    const request: LeaseRequest = {
      provider: 'orders',
      agent: name,
      task,
      environment: 'prod',
      purpose: 'server:shop',
      asked: { tables: ['orders'] },
      within: [],
      until: [],
    };
    return { name, task, guards, request };
  }

  const stateOf = async (id: string) => (await leases.get(id)).state;

  test('a task has one lease for a purpose, however often and at once it is asked for, and a single-use one each', async () => {
    const { request } = await agent();
    const all = await Promise.all(Array.from({ length: 20 }, () => leases.issue(request, [])));
    assert.equal(new Set(all.map(({ lease }) => lease.id)).size, 1);
    const elsewhere = open();
    const other = await elsewhere.leases.issue(request, []);
    assert.equal(other.lease.id, all[0]?.lease.id);
    assert.equal(other.credential.password?.reveal(), all[0]?.credential.password?.reveal());
    const single = await Promise.all([1, 2].map(() => leases.issue({ ...request, singleUse: true }, [])));
    assert.equal(new Set(single.map(({ lease }) => lease.id)).size, 2);
    assert.equal(fake.counts.created, 3);
  });

  /** @proves lease.idempotent */
  test('asked again with its idempotency key, also at once and at another replica, it is the same; another request is an error', async () => {
    const { request } = await agent();
    const keyed = { ...request, singleUse: true, ttlSeconds: 300, idempotencyKey: 'k1' };
    const all = await Promise.all(Array.from({ length: 6 }, () => open().leases.issue(keyed, [])));
    assert.equal(new Set(all.map(({ lease }) => lease.id)).size, 1);
    assert.equal(new Set(all.map(({ credential }) => credential.password?.reveal())).size, 1);
    assert.equal(fake.accounts.size, 1);
    for (const other of [{ ttlSeconds: 301 }, { asked: {} }, { purpose: 'server:other' }, { ungated: true }])
      await assert.rejects(leases.issue({ ...keyed, ...other }, []), { code: 'idempotency.differs' });
    assert.notEqual((await leases.issue({ ...keyed, idempotencyKey: 'k2' }, [])).lease.id, all[0]?.lease.id);
    const elsewhere = await agent();
    const theirs = await leases.issue({ ...elsewhere.request, idempotencyKey: 'k1' }, []);
    assert.notEqual(theirs.lease.id, all[0]?.lease.id, 'a key is of its task');
    await leases.end(theirs.lease.id, 'person:security@example.test', 'over');
    await assert.rejects(leases.issue({ ...elsewhere.request, idempotencyKey: 'k1' }, []), { code: 'lease.ended' });
    for (const idempotencyKey of ['', 'k'.repeat(leaseLimits.idempotencyKeyCharacters + 1)])
      await assert.rejects(leases.issue({ ...request, idempotencyKey }, []), { code: 'idempotency.key' });
  });

  test('what a provider refused to make counts for no quota; what may have been made does, until it is known', async () => {
    const { request } = await agent();
    const direct = { ...request, ungated: true, quota: { perTask: 1, perHour: 9 } };
    fake.trouble.create = 'refused';
    for (let time = 0; time < 3; time++) await assert.rejects(leases.issue(direct, []), { code: 'provider.refused' });
    fake.trouble.create = 'after';
    await assert.rejects(leases.issue(direct, []), { code: 'lease.provider' });
    delete fake.trouble.create;
    await assert.rejects(leases.issue(direct, []), { code: 'credential.limit' });
    await reconciler.work();
    house.pass(leaseLimits.createMs);
    await reconciler.work();
    await leases.issue(direct, []);
    await assert.rejects(leases.issue({ ...direct, ttlSeconds: 77 }, []), { code: 'credential.limit' });
  });

  /** @proves lease.residual */
  test('what its provider ends later than it was asked to is counted until then, also where the answer was lost', async () => {
    const { request, task } = await agent();
    Object.assign(fake.provider, { worksUntil: (at: number) => at + 3_600_000 });
    const brief = { ...request, ttlSeconds: 60 };
    const { lease } = await leases.issue(brief, []);
    assert.equal((await leases.get(lease.id)).worksUntil, lease.expiresAt + 3_600_000);
    fake.trouble.create = 'after';
    await assert.rejects(leases.issue({ ...brief, purpose: 'server:other' }, []), { code: 'lease.provider' });
    fake.trouble.away = true;
    await leases.end(lease.id, 'person:security@example.test', 'odd');
    const ids = (await leases.list({ task, limit: 10 })).leases.map(({ id }) => id);
    assert.deepEqual(await leases.settled({ ids }, 0), { open: 2, residualSeconds: 3_660 });
  });

  test('a key under which nothing was made is free again', async () => {
    const { request } = await agent();
    fake.trouble.create = 'before';
    await assert.rejects(leases.issue({ ...request, idempotencyKey: 'k' }, []), { code: 'lease.provider' });
    delete fake.trouble.create;
    const held = await leases.issue({ ...request, idempotencyKey: 'k' }, []);
    assert.equal(await stateOf(held.lease.id), 'created');
  });

  test('replicas that race make one', async () => {
    const { request } = await agent();
    const replicas = Array.from({ length: 5 }, () => open().leases);
    const all = await Promise.all(replicas.map((each) => each.issue(request, [])));
    assert.equal(new Set(all.map(({ lease }) => lease.id)).size, 1);
    assert.equal(fake.accounts.size, 1);
  });

  test('one that was ended without this replica having heard of it is refused once, and then another is issued', async () => {
    const { request } = await agent();
    const held = await leases.issue(request, []);
    await leases.activate(held);
    leases.forget({ id: held.lease.id });
    assert.equal((await leases.issue(request, [])).lease.id, held.lease.id, 'read again');
    await open().leases.end(held.lease.id, 'person:security@example.test', 'over');
    const late = await leases.issue(request, []);
    assert.equal(late.lease.id, held.lease.id, 'from memory');
    await assert.rejects(leases.activate(late), { code: 'lease.ended' });
    assert.notEqual((await leases.issue(request, [])).lease.id, held.lease.id);
  });

  test('what is asked for beyond what the provider may issue is refused, and nothing is written', async () => {
    const { request, task } = await agent();
    await assert.rejects(leases.issue({ ...request, asked: { tables: ['salaries'] } }, []), { code: 'lease.scope' });
    assert.deepEqual((await leases.list({ task, limit: 10 })).leases, []);
  });

  test('a record of it is there before the provider is asked, and before anything is given out', async () => {
    const { request, task } = await agent();
    let begin = () => {};
    fake.trouble.hold = new Promise((resolve) => (begin = resolve));
    const issued = leases.issue(request, []);
    let intended: Awaited<ReturnType<Leases['list']>>['leases'] = [];
    while (intended.length === 0) intended = (await leases.list({ task, limit: 10 })).leases;
    assert.equal(intended[0]?.state, 'intended');
    const recorded = (await house.records('lease.issue')).filter((record) => record.task === task);
    assert.equal(recorded.length, 1);
    assert.equal(fake.accounts.size, 0);
    begin();
    const held = await issued;
    assert.equal(await stateOf(held.lease.id), 'created');
    await leases.activate(held);
    assert.equal(await stateOf(held.lease.id), 'active');
  });

  test('made by a provider whose answer was lost, it is found by its name and ended', async () => {
    const { request, task } = await agent();
    fake.trouble.create = 'after';
    await assert.rejects(leases.issue(request, []), { code: 'lease.provider' });
    assert.equal(fake.accounts.size, 1);
    await reconciler.work();
    assert.equal(fake.accounts.size, 0);
    house.pass(leaseLimits.createMs);
    await reconciler.work();
    const [lease] = (await leases.list({ task, limit: 10 })).leases;
    assert.equal(lease?.state, 'revoked');
  });

  test('a process that died while it made one leaves nothing behind', async () => {
    const { request, task } = await agent();
    fake.trouble.hold = new Promise(() => {});
    void leases.issue(request, []);
    let intended: Awaited<ReturnType<Leases['list']>>['leases'] = [];
    while (intended.length === 0) intended = (await leases.list({ task, limit: 10 })).leases;
    fake.accounts.set(intended[0]?.name ?? '', {} as never);
    await reconciler.work();
    assert.equal(intended[0]?.state, 'intended', 'it may still be made');
    house.pass(leaseLimits.createMs + 1);
    await open().reconciler.work();
    assert.equal(await stateOf(intended[0]?.id ?? ''), 'revoked');
    assert.equal(fake.accounts.size, 0);
  });

  test('one that comes after its lease was ended is not given out, and is ended as well', async () => {
    const { request, task } = await agent();
    let begin = () => {};
    fake.trouble.hold = new Promise((resolve) => (begin = resolve));
    const issued = leases.issue(request, []);
    let intended: Awaited<ReturnType<Leases['list']>>['leases'] = [];
    while (intended.length === 0) intended = (await leases.list({ task, limit: 10 })).leases;
    await leases.end(intended[0]?.id ?? '', 'person:security@example.test', 'it looks odd');
    await reconciler.work();
    begin();
    await assert.rejects(issued, { code: 'lease.ended' });
    await reconciler.work();
    assert.equal(fake.accounts.size, 0);
    assert.equal(await stateOf(intended[0]?.id ?? ''), 'revoked');
  });

  test('it ends with its task, with its agent, and with its time', async () => {
    const first = await agent();
    const held = await leases.issue(first.request, []);
    await house.registry.endTask(first.task, `person:owner@example.test`);
    await reconciler.work();
    assert.equal(await stateOf(held.lease.id), 'revoked');
    await assert.rejects(leases.activate(held), { code: 'lease.ended' });

    const second = await agent();
    const killed = await leases.issue(second.request, second.guards);
    await stopAgent(house, second.name);
    await reconciler.work();
    assert.equal(await stateOf(killed.lease.id), 'revoked');
    await assert.rejects(leases.issue({ ...second.request, purpose: 'server:other' }, second.guards), {
      code: 'lease.stopped',
    });

    const third = await agent();
    const old = await leases.issue({ ...third.request, ttlSeconds: 60 }, []);
    house.pass(61_000);
    await reconciler.work();
    assert.equal(await stateOf(old.lease.id), 'revoked');
    assert.match((await leases.get(old.lease.id)).reason ?? '', /expired/);
  });

  /** @proves lease.per-call */
  test('one for a single call that a server left behind is ended once its call is known to be over, or was never made', async () => {
    const { request } = await agent();
    const [called, calling, left] = await Promise.all(
      [1, 2, 3].map(() => leases.issue({ ...request, singleUse: true }, [])),
    );
    assert.ok(called && calling && left);
    const action = `act_${request.task}`;
    await leases.activate(called, action);
    await leases.activate(calling, `${action}_open`);
    await house.ledger.append(entryOf(action, { kind: 'outcome', result: 'unknown' }));
    await open().reconciler.work();
    assert.deepEqual(await Promise.all([called, calling, left].map(({ lease }) => stateOf(lease.id))), [
      'revoked',
      'active',
      'created',
    ]);
    assert.match((await leases.get(called.lease.id)).reason ?? '', /its one call is over/);
    house.pass(leaseLimits.unusedMs);
    await open().reconciler.work();
    assert.equal(await stateOf(left.lease.id), 'revoked');
    assert.equal(await stateOf(calling.lease.id), 'active', 'its call is under way');
    const shared = await leases.issue(request, []);
    house.pass(leaseLimits.unusedMs);
    await reconciler.work();
    assert.equal(await stateOf(shared.lease.id), 'created', 'what calls share is theirs until its time is over');
  });

  describe('renewed', () => {
    const bob = 'person:bob@example.test';

    /** @proves lease.renewed */
    test('it lives from now, never beyond what it was issued with, never shorter than it did, and people are told why', async () => {
      const { request } = await agent();
      const end = house.clock.now() + 1_200_000;
      const bounded = { ...request, ttlSeconds: 300, until: [{ at: end, why: 'the task ends' }] };
      const { lease } = await leases.issue(bounded, []);
      house.pass(200_000);
      const renewed = await leases.renew(lease.id, bob, 600);
      assert.equal(renewed.expiresAt, house.clock.now() + 600_000);
      assert.deepEqual(renewed.clamped, []);
      assert.equal(fake.accounts.get(renewed.name)?.expiresAt, renewed.expiresAt);
      assert.equal((await leases.renew(lease.id, bob, 10)).expiresAt, renewed.expiresAt, 'never earlier');
      const most = await leases.renew(lease.id, bob, 3_000);
      assert.equal(most.expiresAt, end);
      assert.ok(most.clamped.includes('the task ends'));
      assert.equal(most.bounds[0]?.why, 'the task ends');
      assert.equal((await leases.renew(lease.id, bob, 3_000)).renewals, 2, 'there is nothing left to renew');
      const recorded = (await house.records('lease.renew')).filter(({ task }) => task === request.task);
      assert.equal(recorded.length, 2);
      assert.match(JSON.stringify(recorded.at(-1)), /no longer, as the task ends/);
      house.pass(1_000_000);
      await reconciler.work();
      await assert.rejects(leases.renew(lease.id, bob), { code: 'lease.ended' });
    });

    test('however often, it ends where the provider’s own bound counts from when it was issued', async () => {
      const { request } = await agent();
      const { lease } = await leases.issue({ ...request, ttlSeconds: 300 }, []);
      const issuedAt = house.clock.now();
      for (let time = 0; time < 20; time++) {
        house.pass(90_000);
        await leases.renew(lease.id, bob, 300).catch(() => undefined);
      }
      assert.equal((await leases.get(lease.id)).expiresAt, issuedAt + 1_800_000);
    });

    test('it is on record before the provider hears of it; where the answer is lost it ends when it would have', async () => {
      const { request } = await agent();
      const { lease } = await leases.issue({ ...request, ttlSeconds: 300 }, []);
      house.pass(100_000);
      fake.trouble.renew = 'after';
      await assert.rejects(leases.renew(lease.id, bob, 600), { code: 'lease.provider' });
      assert.equal((await leases.get(lease.id)).expiresAt, lease.expiresAt);
      delete fake.trouble.renew;
      await assert.rejects(leases.renew(lease.id, bob, 600), { code: 'lease.not-renewable' });
      fake.trouble.away = true;
      await leases.end(lease.id, bob, 'odd');
      const { residualSeconds } = await leases.settled({ ids: [lease.id] }, 0);
      assert.equal(residualSeconds, 600, 'the account may live as long as was asked for');
    });

    test('one in use is renewed instead of replaced, once for all replicas; without that ability another is issued', async () => {
      const { request } = await agent();
      const { lease } = await leases.issue({ ...request, ttlSeconds: 300 }, []);
      house.pass(290_000);
      const replicas = await Promise.all([leases, open().leases, open().leases].map((each) => each.issue(request, [])));
      for (const held of replicas) {
        assert.equal(held.lease.id, lease.id);
        assert.equal(held.lease.expiresAt, house.clock.now() + 900_000);
      }
      assert.equal(fake.counts.renewed, 1);
      house.pass(890_000);
      const { renew, ...without } = fake.provider;
      fake.provider = without;
      assert.ok(renew);
      const next = await leases.issue(request, []);
      assert.notEqual(next.lease.id, lease.id);
      await assert.rejects(leases.renew(next.lease.id, bob), { code: 'lease.not-renewable' });
    });

    test('not once its task is over or its agent is stopped, nor with more than would be issued now', async () => {
      const { request, task } = await agent();
      const { lease } = await leases.issue({ ...request, ttlSeconds: 300 }, []);
      issuesLess = true;
      await assert.rejects(leases.renew(lease.id, bob, 600), { code: 'lease.scope' });
      issuesLess = false;
      await house.registry.endTask(task, bob);
      await assert.rejects(leases.renew(lease.id, bob, 600), { code: 'lease.ended' });
      assert.equal(fake.counts.renewed, 0);
    });
  });

  test('while the provider is away for an hour people are told, and everything is ended within a minute of its return', async () => {
    const { request } = await agent();
    const ids: string[] = [];
    for (let at = 0; at < 30; at++)
      ids.push((await leases.issue({ ...request, purpose: `server:${at}`, ttlSeconds: 60 }, [])).lease.id);
    fake.trouble.away = true;
    for (let second = 0; second < 3_600; second += 30) {
      house.pass(30_000);
      await reconciler.work();
    }
    assert.equal(fake.accounts.size, 30);
    assert.ok((await house.records('lease.stuck')).length > 0);
    fake.trouble.away = false;
    for (let second = 0; second < 60; second += 5) {
      house.pass(5_000);
      await reconciler.work();
    }
    assert.equal(fake.accounts.size, 0);
    for (const id of ids) assert.equal(await stateOf(id), 'revoked');
  });

  /** @proves lease.apart */
  test('a provider that hangs keeps no other from ending what it made, also what comes later', async () => {
    const { request } = await agent();
    const hung = createFakeProvider();
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    hung.trouble.revoke = () => released;
    const apart = createReconciler({
      ...house,
      openFor: (name) => (name === 'hung' ? hung : fake).provider,
      isActive: () => true,
    });
    const issue = async (provider: string, purpose: string) =>
      (await leases.issue({ ...request, provider, purpose }, [])).lease.id;
    const ids = [await issue('hung', 'server:1'), await issue('orders', 'server:2'), await issue('orders', 'server:3')];
    try {
      await leases.end(ids[0] ?? '', 'person:bob@example.test', 'over');
      void apart.work();
      for (const id of ids.slice(1)) {
        await leases.end(id, 'person:bob@example.test', 'over');
        void apart.work();
        for (let look = 0; look < 3_000 && (await stateOf(id)) !== 'revoked'; look++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        assert.equal(await stateOf(id), 'revoked');
      }
      assert.equal(await stateOf(ids[0] ?? ''), 'revoking');
    } finally {
      release();
    }
    await apart.work();
    assert.equal(await stateOf(ids[0] ?? ''), 'revoked');
  });

  /** @proves lease.apart */
  test('what one agent has made so that it can’t be ended keeps nothing of another agent from ending', async () => {
    const [bad, good] = [await agent(), await agent()];
    const issue = async ({ request }: typeof bad, purpose: string) =>
      (await leases.issue({ ...request, purpose }, [])).lease;
    const foul = [];
    for (let at = 0; at < 12; at++) foul.push(await issue(bad, `server:${at}`));
    const [failedOnce, fresh] = [await issue(good, 'server:1'), await issue(good, 'server:2')];
    const cannot = new Set([...foul, failedOnce].map(({ name }) => name));
    fake.trouble.revoke = async (name) => {
      if (cannot.has(name)) throw new Error('it owns a large object elsewhere');
    };
    for (const { id } of [...foul, failedOnce]) await leases.end(id, 'person:bob@example.test', 'over');
    await reconciler.work();
    cannot.delete(failedOnce.name);
    await leases.end(fresh.id, 'person:bob@example.test', 'over');
    await reconciler.work();
    assert.equal(await stateOf(fresh.id), 'revoked', 'what was never tried waits for nothing');
    house.pass(leaseLimits.retryMostMs);
    await reconciler.work();
    assert.equal(await stateOf(failedOnce.id), 'revoked');
    assert.equal(await stateOf(foul[0]?.id ?? ''), 'revoking');
    delete fake.trouble.revoke;
    house.pass(leaseLimits.retryMostMs);
    await reconciler.work();
    for (const { id } of foul) assert.equal(await stateOf(id), 'revoked');
  });

  /** @proves lease.suspended */
  test('it ends when its task is suspended, and when a task or an agent that it was handed on from is', async () => {
    const bob = 'person:bob@example.test';
    const { request, task } = await agent();
    const { lease } = await leases.issue(request, []);
    await house.registry.suspendTask(task, bob, 'it looks odd');
    await reconciler.work();
    assert.equal(await stateOf(lease.id), 'revoked');
    assert.match((await leases.get(lease.id)).reason ?? '', /suspended/);

    const handedOn = async () => {
      const [first, second, third] = [await agent(), await agent(), await agent()];
      let above = first.task;
      for (const { task } of [second, third]) {
        await house.storage.db.updateTable('tasks').set({ parent: above }).where('id', '=', task).execute();
        above = task;
      }
      return { first, held: await leases.issue(third.request, []) };
    };
    const suspended = await handedOn();
    await reconciler.work();
    assert.equal(await stateOf(suspended.held.lease.id), 'created');
    await house.registry.suspendTask(suspended.first.task, bob, 'it looks odd');
    await reconciler.work();
    assert.equal(await stateOf(suspended.held.lease.id), 'revoked');

    const stopped = await handedOn();
    const isActive = (name: string) => name !== stopped.first.name;
    await createReconciler({ ...house, openFor: () => fake.provider, isActive }).work();
    assert.equal(await stateOf(stopped.held.lease.id), 'revoked');
    assert.match((await leases.get(stopped.held.lease.id)).reason ?? '', /handed on from/);
  });

  /** @proves lease.remains */
  test('what nobody can find is not called ended before its time is over, and is counted until then', async () => {
    const { request, name } = await agent();
    fake.trouble.create = 'after';
    fake.trouble.unheardLivesMs = 3_600_000;
    fake.trouble.now = () => house.clock.now();
    await assert.rejects(leases.issue(request, []), { code: 'lease.provider' });
    await reconciler.work();
    const [left] = (await leases.list({ agent: name, limit: 10 })).leases;
    assert.equal(left?.state, 'revoking');
    assert.equal(left?.problem, 'nobody can find it');
    const { open: count, residualSeconds } = await leases.settled({ agent: name, ids: [] }, 0);
    assert.equal(count, 1);
    assert.ok((residualSeconds ?? 0) >= 3_600);
    house.pass(1_800_000);
    await reconciler.work();
    assert.equal(await stateOf(left?.id ?? ''), 'revoking');
    assert.equal(
      (await house.records('lease.remains')).filter(({ agent: of }) => of === name).length,
      1,
      'said once, and not at each look',
    );
    house.pass(1_830_000);
    await reconciler.work();
    assert.equal(await stateOf(left?.id ?? ''), 'revoked');
  });

  test('where the provider refuses in so many words nothing is left to end', async () => {
    const { request, name } = await agent();
    fake.trouble.create = 'refused';
    await assert.rejects(leases.issue(request, []), { code: 'provider.refused' });
    const [refused] = (await leases.list({ agent: name, limit: 10 })).leases;
    assert.equal(refused?.state, 'revoked');
    assert.match(refused?.reason ?? '', /not issued/);
    assert.equal(fake.counts.revoked, 0);
  });

  describe('stuck', () => {
    const [ann, bob] = ['person:ann@example.test', 'person:bob@example.test'];
    async function stuck() {
      const { request } = await agent();
      const { lease } = await leases.issue(request, []);
      fake.trouble.away = true;
      await leases.end(lease.id, ann, 'no longer needed');
      for (let time = 0; time < 12; time++) {
        await reconciler.work();
        house.pass(40_000);
      }
      return lease.id;
    }

    /** @proves lease.stuck */
    test('it is tried for ever, never more than half a minute apart, and says since when it fails', async () => {
      const id = await stuck();
      const first = await leases.get(id);
      assert.equal(first.state, 'stuck');
      assert.ok((first.failingSince ?? 0) < house.clock.now() - 400_000);
      const found = (await leases.stuck()).find(({ provider }) => provider === 'orders');
      assert.ok((found?.since ?? Number.POSITIVE_INFINITY) <= (first.failingSince ?? 0));
      for (let time = 0; time < 30; time++) {
        const { attempts, nextTryAt } = await leases.get(id);
        assert.ok((nextTryAt ?? 0) - house.clock.now() <= leaseLimits.retryMostMs);
        house.pass(leaseLimits.retryMostMs);
        await reconciler.work();
        assert.equal((await leases.get(id)).attempts, attempts + 1);
      }
      fake.trouble.away = false;
      house.pass(leaseLimits.retryMostMs);
      await reconciler.work();
      const last = await leases.get(id);
      assert.deepEqual([last.state, last.failingSince], ['revoked', null]);
    });

    /** @proves lease.dropped */
    test('it is given up by two people only, who are on record with what may remain; then nobody tries', async () => {
      const id = await stuck();
      await assert.rejects(leases.agreeDrop(id, yesOf(bob)), { code: 'lease.drop-not-asked' });
      await leases.askDrop(id, ann, 'the database is gone');
      await assert.rejects(leases.agreeDrop(id, yesOf(ann)), { code: 'second-yes.own' });
      assert.equal((await leases.get(id)).state, 'stuck');
      const dropped = await leases.agreeDrop(id, yesOf(bob));
      assert.equal(dropped.state, 'dropped');
      assert.deepEqual([dropped.drop?.askedBy, dropped.drop?.agreedBy], [ann, bob]);
      const [recorded] = await house.records('lease.drop');
      assert.match(
        JSON.stringify(recorded),
        /GIVEN UP, asked for by person:ann.*may work until .*the database is gone/,
      );
      const { revoked } = fake.counts;
      fake.trouble.away = false;
      house.pass(3_600_000);
      await reconciler.work();
      assert.equal(fake.counts.revoked, revoked);
      assert.equal(
        (await leases.list({ provider: 'orders', open: true, limit: 200 })).leases.some((l) => l.id === id),
        false,
      );
      await assert.rejects(leases.askDrop(id, ann, 'again'), { code: 'lease.not-stuck' });
    });

    test('what the host’s token asks for somebody takes up, and somebody else agrees; one that works is not given up', async () => {
      const id = await stuck();
      await leases.askDrop(id, 'operator', 'gone');
      assert.equal((await leases.agreeDrop(id, yesOf(ann))).state, 'stuck');
      await assert.rejects(leases.agreeDrop(id, yesOf(ann)), { code: 'second-yes.own' });
      assert.equal((await leases.agreeDrop(id, yesOf(bob))).state, 'dropped');
      const { request } = await agent();
      const { lease } = await leases.issue(request, []);
      await assert.rejects(leases.askDrop(lease.id, ann, 'why not'), { code: 'lease.not-stuck' });
    });

    /** @proves lease.residual */
    test('what its end leaves is counted in seconds where it ends by itself, and is unknown where only its provider ends it', async () => {
      const { request } = await agent();
      const { lease } = await leases.issue({ ...request, ttlSeconds: 600 }, []);
      fake.trouble.away = true;
      await leases.end(lease.id, ann, 'odd');
      assert.deepEqual(await leases.settled({ ids: [lease.id] }, 0), { open: 1, residualSeconds: 600 });
      const other = await agent();
      Object.assign(fake.provider, { abilities: { ...fake.provider.abilities, canEndSessions: true } });
      const open = await leases.issue({ ...other.request, ttlSeconds: 600 }, []);
      fake.trouble.away = true;
      await leases.end(open.lease.id, ann, 'odd');
      house.pass(3_600_000);
      assert.deepEqual(await leases.settled({ ids: [open.lease.id] }, 0), { open: 1, residualSeconds: null });
    });
  });

  test('no credential is in the database in clear, and none at all once it is ended', async () => {
    const { request } = await agent();
    const held = await leases.issue(request, []);
    const rows = async () => JSON.stringify(await house.storage.db.selectFrom('leases').selectAll().execute());
    assert.ok(!(await rows()).includes('CANARY'));
    await leases.end(held.lease.id, 'person:security@example.test', 'no longer needed');
    await reconciler.work();
    const row = await house.storage.db
      .selectFrom('leases')
      .selectAll()
      .where('id', '=', held.lease.id)
      .executeTakeFirstOrThrow();
    assert.equal(row.sealed_credential, null);
    assert.equal(row.sealed_revocation, null);
    assert.ok(!JSON.stringify(await house.records()).includes('CANARY'));
  });

  test('an agent can not fill a provider with accounts', async () => {
    const { request } = await agent();
    for (let at = 0; at < leaseLimits.perTask; at++) await leases.issue({ ...request, purpose: `server:${at}` }, []);
    await assert.rejects(leases.issue({ ...request, purpose: 'server:more' }, []), { code: 'lease.limit' });
  });
});

describe('how long a lease lives', () => {
  /** @proves lease.clamped */
  test('never longer than any bound, and shorter than asked or usual only with the reason', () => {
    const seconds = fc.integer({ min: 5, max: 100_000 });
    fc.assert(
      fc.property(
        fc.option(seconds, { nil: undefined }),
        seconds,
        seconds,
        fc.option(seconds, { nil: undefined }),
        fc.array(seconds),
        (asked, usual, most, owners, ends) => {
          const now = 1_000_000;
          const until = ends.map((end) => ({ at: now + end * 1_000, why: `an end after ${end} s` }));
          const bounds = boundsOf(now, { maxSeconds: most, agentSeconds: owners }, until);
          const life = lifetimeOf(now, asked, { defaultSeconds: usual }, bounds);
          if (!life) return;
          const lives = (life.expiresAt - now) / 1_000;
          assert.ok(lives <= Math.min(leaseLimits.maxSeconds, most, owners ?? most, ...ends));
          assert.equal(life.clamped.length > 0, lives < (asked ?? usual));
        },
      ),
    );
  });
});
