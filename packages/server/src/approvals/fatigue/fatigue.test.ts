import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { OnCallManifest, PersonManifest } from '@gatehouse/protocol';
import fc from 'fast-check';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import type { House } from '../../identity/people/testing/house.ts';
import { limits } from '../../platform/index.ts';
import { APPROVER, addAgent, approvalsOf, openDesk, requestOf } from '../testing/desk.ts';
import type { Approvals } from '../types.ts';
import { requireQuestion } from './questions.ts';
import { quietUntil, whoIsTold } from './quiet-hours.ts';

onEachDatabase('questions', (database) => {
  let house: House;
  let desks: [Approvals, Approvals];
  before(async () => {
    const { house: opened, approvals } = await openDesk({ database: await database() });
    house = opened;
    desks = [approvals, await approvalsOf(house)];
    await house.enrol(APPROVER, { counter: 'none' });
  });
  after(() => house.close());

  /** @proves law-4.fatigue */
  test('an agent asks only so often, on all replicas together, and again once an hour has passed', async () => {
    const worker = await addAgent(house, 'asks-often');
    let asked = 0;
    for (let at = 0; at < limits.questionsPerAgentAndHour; at++) {
      const approval = await desks[at % 2 ? 1 : 0].open(requestOf({ ...worker, arguments: { at } }));
      await desks[0].deny(approval.id, APPROVER, '');
      asked++;
    }
    const more = requestOf({ ...worker, arguments: { at: -1 } });
    await assert.rejects(desks[0].open(more), ({ code, message }: { code: string; message: string }) => {
      assert.match(message, /asked people 30 times within the last hour/);
      return code === 'approval.too-often';
    });
    assert.equal(asked, 30);
    const other = await addAgent(house, 'asks-seldom');
    await desks[1].open(requestOf({ ...other, arguments: { at: -1 } }));
    house.pass(3_600_001);
    const later = await addAgent(house, 'asks-often');
    await desks[0].open(requestOf({ ...later, arguments: { at: -2 } }));
  });

  test('what was denied is asked again only when something of it has changed, or after a while', async () => {
    const worker = await addAgent(house, 'asks-again');
    const request = requestOf(worker);
    await desks[0].deny((await desks[0].open(request)).id, APPROVER, 'no');
    const again = (change: Parameters<typeof requestOf>[0] = {}) => desks[1].open(requestOf({ ...worker, ...change }));
    await assert.rejects(again(), { code: 'approval.denied-lately' });
    await assert.rejects(again({ delegated: { user: null, chain: [], narrowing: [['x']] } }), {
      code: 'approval.denied-lately',
    });
    for (const change of [{ arguments: { order: 1 } }, { policyVersion: 'policy-2' }, { tool: 'shop/other' }])
      assert.equal((await again(change)).state, 'pending');
    house.pass(limits.deniedForSeconds * 1_000 + 1);
    assert.equal((await again()).state, 'pending');
  });

  /** @proves law-4.fatigue-apart */
  test('a no to one user of a shared agent blocks none of the others, and its words stay in the task that asked', async () => {
    const one = await addAgent(house, 'asks-for-many');
    const ask = (user: string | null, task = one.task, more: object = {}) =>
      desks[0].open(
        requestOf({ ...one, task, delegated: user === null ? null : { user, chain: [], narrowing: [] } }, more),
      );
    await desks[0].deny((await ask('ada@example.test')).id, APPROVER, 'her contract ends');
    const refusal = { code: 'approval.denied-lately' };
    await assert.rejects(ask('ada@example.test'), { ...refusal, message: /her contract ends/ });
    const other = await addAgent(house, 'asks-for-many');
    await assert.rejects(
      ask('ada@example.test', other.task),
      ({ code, message }: { code: string; message: string }) => {
        assert.doesNotMatch(message, /contract/);
        return code === refusal.code;
      },
    );
    assert.equal((await ask('bob@example.test', other.task)).state, 'pending');
    // Only what is proven counts: an agent that names another person each time asks the same.
    const own = await ask(null);
    await desks[0].deny(own.id, APPROVER, 'no');
    await assert.rejects(ask(null, one.task, { onBehalfOf: 'cleo@example.test' }), refusal);
  });

  /** @proves law-4.fatigue-shares */
  test('one user of a shared agent has at most half of its questions, and of those that wait; the others have the rest', async () => {
    const one = await addAgent(house, 'asks-for-all');
    let number = 0;
    const ask = (user: string | null, desk = number % 2) => {
      const delegated = user === null ? null : { user, chain: [], narrowing: [] };
      return (desks[desk] as Approvals).open(requestOf({ ...one, delegated, arguments: { number: ++number } }));
    };
    const waiting = [];
    for (let at = 0; at < limits.pendingApprovalsPerUser; at++) waiting.push(await ask('ada@example.test'));
    await assert.rejects(ask('ada@example.test'), { code: 'approval.too-many', message: /for ada@example\.test wait/ });
    assert.equal((await ask('bob@example.test')).state, 'pending');
    for (const { id } of waiting) await desks[0].deny(id, APPROVER, '');
    for (let at = limits.pendingApprovalsPerUser; at < limits.questionsPerAgentAndHour / 2; at++)
      await desks[0].deny((await ask('ada@example.test')).id, APPROVER, '');
    await assert.rejects(ask('ada@example.test'), {
      code: 'approval.too-often',
      message: /for ada@example\.test within/,
    });
    for (const user of ['bob@example.test', null]) assert.equal((await ask(user)).state, 'pending');
    // Whom it only names has no share, and takes none.
    const named = requestOf({ ...one, arguments: { number: ++number } }, { onBehalfOf: 'ada@example.test' });
    assert.equal((await desks[0].open(named)).state, 'pending');
  });

  test('blueprint and template decide: the least often, the longest wait', async () => {
    const worker = await addAgent(house, 'asks-by-rule');
    const request = requestOf(worker);
    const ask = (...settings: Parameters<typeof requireQuestion>[3]) =>
      house.storage.transaction((transaction) =>
        requireQuestion(transaction, house.clock.now(), request.subject, settings),
      );
    await desks[0].deny((await desks[0].open(request)).id, APPROVER, 'no');
    await assert.rejects(ask({ deniedForSeconds: 0 }, { deniedForSeconds: 60 }), { code: 'approval.denied-lately' });
    await ask({ deniedForSeconds: 0 }, undefined);
    await assert.rejects(ask({ deniedForSeconds: 0, perHour: 1 }, { perHour: 100 }), { code: 'approval.too-often' });
    await ask({ deniedForSeconds: 0, perHour: 100 });
    const own = requestOf({ ...worker, delegated: { user: 'ada@example.test', chain: [], narrowing: [] } });
    await desks[0].open(own);
    const forUser = (...settings: Parameters<typeof requireQuestion>[3]) =>
      house.storage.transaction((transaction) =>
        requireQuestion(transaction, house.clock.now(), own.subject, settings),
      );
    await assert.rejects(forUser({ perHour: 100, perUserHour: 1 }), { code: 'approval.too-often' });
    await assert.rejects(forUser({ perHour: 100 }, { perUserHour: 1 }), { code: 'approval.too-often' });
    await forUser({ perHour: 100, perUserHour: 2 });
  });
});

const at = (time: string) => Date.parse(`2026-03-10T${time}:00Z`);
const berlin = { zone: 'Europe/Berlin', from: '22:00', to: '07:00' };

test('quiet hours are those of the clock at a place, also over midnight', () => {
  assert.equal(quietUntil(berlin, at('20:59')), null);
  assert.equal(quietUntil(berlin, at('21:00')), Date.parse('2026-03-11T06:00:00Z'));
  assert.equal(quietUntil(berlin, at('05:59')), at('06:00'));
  assert.equal(quietUntil(berlin, at('06:00')), null);
  const time = fc
    .integer({ min: 0, max: 1_439 })
    .map((minutes) => `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`);
  fc.assert(
    fc.property(time, time, fc.integer({ min: 0, max: 86_400_000 }), (from, to, into) => {
      const now = at('00:00') + into;
      const until = quietUntil({ zone: 'UTC', from, to }, now);
      if (until !== null) assert.ok(until > now && until <= now + 86_400_000);
    }),
  );
});

/** @proves law-4.quiet-hours */
test('quiet hours end when the clock on the wall says so, also in a night in which the clocks are changed', () => {
  const ends = (now: string, until: string, hours = berlin) =>
    assert.equal(quietUntil(hours, Date.parse(now)), Date.parse(until), now);
  ends('2026-10-24T20:00:00Z', '2026-10-25T06:00:00Z'); // ten hours
  ends('2026-03-28T21:00:00Z', '2026-03-29T05:00:00Z'); // eight
  ends('2026-10-24T20:00:00Z', '2026-10-25T00:30:00Z', { ...berlin, to: '02:30' }); // the first of two
  ends('2026-10-25T01:10:00Z', '2026-10-25T01:30:00Z', { ...berlin, to: '02:30' });
  ends('2026-03-28T21:00:00Z', '2026-03-29T01:00:00Z', { ...berlin, to: '02:30' }); // left out
  const text = (minutes: number) =>
    `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
  fc.assert(
    fc.property(
      fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'America/St_Johns'),
      fc.integer({ min: 1_080, max: 1_439 }).map(text),
      fc.integer({ min: 0, max: 540 }).map(text),
      fc.integer({ min: 0, max: 366 * 1_440 }),
      (zone, from, to, minutes) => {
        const now = Date.parse('2026-01-01T00:00:00Z') + minutes * 60_000;
        const until = quietUntil({ zone, from, to }, now);
        if (until === null) return;
        assert.equal(quietUntil({ zone, from, to }, until), null);
        assert.equal(quietUntil({ zone, from, to }, until - 60_000), until);
      },
    ),
    { numRuns: 2_000 },
  );
});

/** @proves law-4.quiet-hours */
test('in quiet hours nobody is told of what can wait; what can not goes to who is on call among those asked', () => {
  const person = (email: string, quietHours?: PersonManifest['quietHours']) =>
    [
      email,
      { kind: 'Person', email, displayName: email, roles: ['approver' as const], ...(quietHours && { quietHours }) },
    ] as [string, PersonManifest];
  const rota: OnCallManifest = {
    kind: 'OnCall',
    name: 'sre',
    zone: 'UTC',
    handOverAt: '09:00',
    people: ['duty@x.test'],
    startsOn: '2026-01-01',
    everyDays: 7,
    overrides: [],
  } as unknown as OnCallManifest;
  const snapshot = {
    people: new Map<string, PersonManifest>([
      person('awake@x.test'),
      person('sleeps@x.test', berlin),
      person('duty@x.test', berlin),
    ]),
    onCall: new Map([['sre', rota]]),
  };
  const told = (now: number, expiresAt: number, people = [...snapshot.people.keys()]) =>
    whoIsTold(people, { expiresAt }, { snapshot, now });
  const night = at('23:00');
  assert.deepEqual(told(at('12:00'), at('12:15')).now.length, 3);
  assert.deepEqual(told(night, night + 900_000), { now: ['awake@x.test', 'duty@x.test'], later: [] });
  const morning = Date.parse('2026-03-11T06:00:00Z');
  assert.deepEqual(told(night, morning + 1), {
    now: ['awake@x.test'],
    later: [
      { person: 'sleeps@x.test', at: morning },
      { person: 'duty@x.test', at: morning },
    ],
  });
  assert.deepEqual(told(night, night + 900_000, ['sleeps@x.test']), { now: [], later: [] });
});
