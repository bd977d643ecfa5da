import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import type { Agent } from '../../registry/index.ts';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type House, openHouse } from '../testing/house.ts';
import { delegationLimits } from './limits.ts';

const USER = 'user@example.test';
const NAME = 'agent-mail-prod';
const DAY_MS = 86_400_000;
const wanted = { agent: NAME, template: 'support', parameters: {}, days: 90 };
const person = { kind: 'Person' as const, email: USER, displayName: 'User', roles: ['owner' as const] };

onEachDatabase('standing delegations', (database) => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse({ database: await database() });
    await house.furnish();
    await house.apply(person);
    await house.enrol(NAME);
  });
  afterEach(() => house.close());

  const agent = () => house.registry.snapshot().agents.get(NAME) as Agent;
  const create = (more: object = {}, user = USER) =>
    house.identity.delegations.create(user, { ...wanted, ...more }, 'console');
  const start = (delegation: string) =>
    house.identity.delegations.startTask(agent(), {
      type: TASK_DETAILS_TYPE,
      template: 'support',
      parameters: { customer: 'c' },
      intent: 'test',
      delegation,
    });
  const pass = async (days: number) => {
    house.pass(days * DAY_MS);
    await house.settled();
  };

  test('it is of use until its review is due, again once its person has looked at it, and never after its time', async () => {
    const { id, reviewDueAt, createdAt } = await create();
    assert.equal(reviewDueAt - createdAt, delegationLimits.reviewEveryDays * DAY_MS);
    const task = await start(id);
    assert.equal(task.user, USER);

    await pass(delegationLimits.reviewEveryDays);
    await assert.rejects(start(id), { code: 'delegation.review-due' });
    await assert.rejects(house.identity.delegations.review(id, 'owner@example.test'), { code: 'delegation.not-yours' });
    await house.identity.delegations.review(id, USER);
    await start(id);
    await pass(delegationLimits.reviewEveryDays);
    await house.identity.delegations.review(id, USER);
    await pass(delegationLimits.reviewEveryDays);
    await assert.rejects(start(id), { code: 'delegation.expired' });
    await assert.rejects(house.identity.delegations.review(id, USER), { code: 'delegation.expired' });
    const all = await house.records('delegation.create');
    assert.equal(all.length, 1);
    assert.match(all[0]?.changes[0] ?? '', /agent-mail-prod may act for user@example\.test under the template support/);
  });

  test('no task outlives the delegation that it rests on', async () => {
    const { id, expiresAt } = await create({ days: 1 });
    house.pass(DAY_MS - 60_000);
    await house.settled();
    assert.equal((await start(id)).expiresAt, expiresAt);
  });

  test('what a person has delegated ends when they leave, and does not come back with them', async () => {
    const { id } = await create();
    const task = await start(id);
    const others = (await house.registry.exportManifests()).filter(
      (each) => each.kind !== 'Person' || each.email !== USER,
    );
    await house.registry.apply(others, { prune: true, by: 'gatehouse' });
    assert.equal((await house.registry.task(task.id))?.state, 'ended');
    await house.apply(person);
    await assert.rejects(start(id), { code: 'delegation.revoked' });
  });

  test('a task and a revocation at the same time: the task is refused, or ended', async () => {
    const { id } = await create();
    const [started] = await Promise.all([
      Promise.allSettled(Array.from({ length: 6 }, () => start(id))),
      house.identity.delegations.revoke(id, `person:${USER}`),
    ]);
    await house.settled();
    for (const each of started)
      if (each.status === 'fulfilled') assert.equal((await house.registry.task(each.value.id))?.state, 'ended');
    const running = await house.storage.db
      .selectFrom('tasks')
      .select('id')
      .where('delegation', '=', id)
      .where('state', '=', 'active')
      .execute();
    assert.deepEqual(running, []);
    await assert.rejects(start(id), { code: 'delegation.revoked' });
  });

  test('a limit per day holds for tasks that are started at once', async () => {
    const { id } = await create({ maxTasksPerDay: 2 });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => start(id)));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 2);
    await pass(1);
    await start(id);
    assert.equal((await house.identity.delegations.get(id))?.used, 3);
  });

  test('what could never be used is refused when it is made', async () => {
    const cases: [object, string, string?][] = [
      [{ agent: 'agent-nobody' }, 'delegation.agent'],
      [{ template: 'administration' }, 'delegation.template'],
      [{ parameters: { customer: 7 } }, 'delegation.parameters'],
      [{ parameters: { other: 'x' } }, 'delegation.parameters'],
      [{ parameters: { constructor: 'x' } }, 'delegation.parameters'],
      [{}, 'delegation.person', 'stranger@example.test'],
    ];
    for (const [more, code, user] of cases) await assert.rejects(create(more, user), { code }, code);
  });
});
