import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { credentialProviderManifest, isScopeWithin, narrowScope } from '@gatehouse/protocol';
import { addAgent, openDesk } from '../../approvals/testing/desk.ts';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import type { House } from '../../identity/people/testing/house.ts';
import { GatehouseError, type Json } from '../../platform/index.ts';
import { createFakeProvider } from '../testing/fake-provider.ts';
import type { Issued, Standing } from './issued.ts';
import { createLeases, type Leases } from './leases.ts';
import { createWithdrawing } from './withdraw.ts';

const manifest = credentialProviderManifest.parse({
  ...{ kind: 'CredentialProvider', name: 'orders', environments: ['prod'] },
  from: { type: 'ssh', principals: ['deploy'] },
});
const narrowed = narrowScope(manifest.from, {});
assert.ok('scope' in narrowed && isScopeWithin(manifest.from, narrowed.scope, narrowed.scope));
const scope = narrowed.scope as Json;

onEachDatabase('withdrawing', (database) => {
  let house: House;
  let leases: Leases;
  let number = 0;
  before(async () => {
    ({ house } = await openDesk({ database: await database() }));
    const fake = createFakeProvider();
    leases = createLeases({
      ...house,
      open: async () => ({
        ...{ provider: fake.provider, narrow: () => scope, declared: manifest as unknown as Json },
        ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
        life: { defaultSeconds: 900, maxSeconds: 1_800 },
      }),
      wake: () => undefined,
      declaredAt: () => undefined,
    });
  });
  after(() => house.close());

  /** A credential of a task of an agent of its own. */
  async function given() {
    const agent = `agent-withdrawn-${++number}`;
    const { task } = await addAgent(house, agent);
    const held = await leases.issue(
      {
        ...{ provider: 'orders', agent, task, environment: 'prod', purpose: 'direct', ungated: true },
        ...{ asked: {}, within: [], until: [] },
      },
      [],
    );
    return { agent, held, id: held.lease.id };
  }

  const guardsOf = ({ agent }: Pick<Issued, 'agent'>) =>
    ['policy', `agent:${agent}`].map((key) => ({
      ...{ key, version: house.registry.snapshot().fences.get(key) ?? 0 },
    }));
  const stands = ({ provider, agent, task, environment, purpose }: Issued, maxSeconds?: number): Standing => ({
    request: {
      ...{ provider, agent, task, environment, purpose, asked: {}, within: [], until: [] },
      ...(maxSeconds !== undefined && { ungated: true, ttlSeconds: maxSeconds, clamped: ['less is given now'] }),
    },
    guards: [],
  });
  const gone = (issued: Issued): Standing => ({
    ...{ withdrawn: 'a policy forbids it', isStopped: false, guards: guardsOf(issued) },
  });

  function open(standingOf: (issued: Issued) => Standing | Promise<Standing>) {
    const judged: string[] = [];
    const withdrawing = createWithdrawing({
      ...house,
      snapshot: house.registry.snapshot,
      async standingOf(_, issued) {
        judged.push(issued.agent);
        return standingOf(issued);
      },
      canEnd: () => true,
      declaredIn: () => ({ manifest, destinations: undefined, narrow: () => scope }),
    });
    return { withdrawing, judged };
  }
  async function until(
    { withdrawing }: { withdrawing: { catchUp(): Promise<void> } },
    what: () => Promise<boolean>,
    words: string,
  ): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20)) {
      assert.ok(Date.now() < giveUpAt, words);
      await withdrawing.catchUp();
    }
  }
  const isEnding = async ({ id }: { id: string }) => (await leases.get(id)).state === 'revoking';

  /** @proves lease.withdrawn */
  test('one that is given to its agent while it is judged is ended no less', async () => {
    const it = await given();
    const { withdrawing } = open(async (issued) => {
      if (issued.agent !== it.agent) return stands(issued);
      await leases.activate(it.held, 'act_1');
      return gone(issued);
    });
    await withdrawing.catchUp();
    assert.equal(await isEnding(it), true);
  });

  /** @proves lease.shortened */
  test('one that is given to its agent, or being renewed, while it is judged is shortened by a later look', async () => {
    const [it, other] = [await given(), await given()];
    const extending = (to: number | null) =>
      house.storage.transaction((transaction) =>
        transaction.updateTable('leases').set({ extending_to: to }).where('id', '=', other.id).execute(),
      );
    await extending(house.clock.now());
    const here = open(async (issued) => {
      if (issued.agent === it.agent) await leases.activate(it.held, 'act_1');
      return stands(issued, [it.agent, other.agent].includes(issued.agent) ? 120 : undefined);
    });
    await here.withdrawing.catchUp();
    const endOf = async ({ id }: { id: string }) => {
      const { expiresAt, intendedAt } = await leases.get(id);
      return expiresAt - intendedAt;
    };
    assert.deepEqual([await endOf(it), await endOf(other)], [900_000, 900_000]);
    await until(here, async () => (await endOf(it)) === 120_000, 'it is not shorter');
    await extending(null);
    await until(here, async () => (await endOf(other)) === 120_000, 'the one that was being renewed is not shorter');
    assert.deepEqual(
      here.judged.filter((agent) => ![it.agent, other.agent].includes(agent)),
      [...new Set(here.judged)].filter((agent) => ![it.agent, other.agent].includes(agent)),
      'no other is judged more than once',
    );
    for (const { id } of [it, other]) await leases.end(id, 'gatehouse', 'over');
  });

  /** @proves lease.withdrawn */
  test('a database that is away for a moment ends nothing, and what it kept from being judged is judged later', async () => {
    const [it, other] = [await given(), await given()];
    let isAway = true;
    const here = open(async (issued) => {
      if (issued.agent === other.agent) return gone(issued);
      if (issued.agent !== it.agent) return stands(issued);
      if (isAway) throw new GatehouseError('unavailable', 'storage.unavailable', 'Try again.');
      return gone(issued);
    });
    await here.withdrawing.catchUp();
    assert.deepEqual([await isEnding(it), await isEnding(other)], [false, true]);
    isAway = false;
    await until(here, () => isEnding(it), 'it is not ended');
  });

  /** @proves lease.withdrawn */
  test('what has moved for one of a batch keeps no other from being ended, and only that one is judged again', async () => {
    const [it, other, third] = [await given(), await given(), await given()];
    let isMoving = true;
    const here = open(async (issued) => {
      if (![it, other].some(({ agent }) => agent === issued.agent)) return stands(issued);
      const standing = gone(issued);
      if (issued.agent === it.agent && isMoving) {
        isMoving = false;
        await house.storage.transaction(async (transaction) => {
          await house.storage.bumpFence(transaction, `agent:${it.agent}`);
          await house.storage.announce(transaction, 'agent', it.agent, house.clock.now());
        });
      }
      return standing;
    });
    await here.withdrawing.catchUp();
    assert.deepEqual([await isEnding(it), await isEnding(other)], [false, true]);
    const sequence = await house.storage.feed.head();
    await house.registry.refresh([{ sequence, topic: 'agent', key: it.agent, at: house.clock.now() }]);
    await until(here, () => isEnding(it), 'it is not ended');
    assert.equal(here.judged.filter((agent) => agent === it.agent).length, 2);
    assert.equal(here.judged.filter((agent) => agent === third.agent).length, 1);
    await leases.end(third.id, 'gatehouse', 'over');
  });

  test('while all are judged by the policies in force, nobody who asks for that has it begun once more', async () => {
    const it = await given();
    const release = Promise.withResolvers<void>();
    const here = open(async (issued) => {
      await release.promise;
      return stands(issued);
    });
    const first = here.withdrawing.catchUp();
    for (let time = 0; time < 5; time++) void here.withdrawing.catchUp();
    release.resolve();
    await first;
    await here.withdrawing.catchUp();
    assert.equal(here.judged.filter((agent) => agent === it.agent).length, 1);
  });
});
