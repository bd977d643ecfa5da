import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { healthOf } from './health.ts';

type Known = Parameters<typeof healthOf>[0];
const well: Known = { fresh: true, troubles: [], stuck: [], unrevoked: [], sinks: [], record: null };
const witnessing = {
  ...{ quorum: 'all', failClosedAfterSeconds: 60, cosigned: null, uncosignedSince: 1, refuses: false },
  witnesses: [{ name: 'w', key: '', url: null, size: 0, at: null, problem: 'it is away' }],
};
const record = { problem: null, witnessing: null, publishing: null };
const publishing = { place: 's3://x', size: 0, problem: 'denied' } as NonNullable<Known['record']>['publishing'];

/** @proves status.health */
describe('whether a replica is well', () => {
  const cases: [what: string, state: string, known: Partial<Known>][] = [
    ['nothing wrong', 'well', {}],
    ['what a stranger is told', 'well', { stuck: null, unrevoked: null, sinks: null, record: null }],
    ['a paused sink', 'well', { sinks: [{ name: 's', state: 'paused', problem: null }] }],
    ['a lease that is stuck', 'ailing', { stuck: [{ provider: 'orders', count: 1, since: 1 }] }],
    ['an account that can’t be revoked', 'ailing', { unrevoked: [{ provider: 'github', count: 2 }] }],
    ['a sink that is behind', 'ailing', { sinks: [{ name: 's', state: 'behind', problem: null }] }],
    ['a sink that fails', 'ailing', { sinks: [{ name: 's', state: 'failing', problem: '403' }] }],
    ['a record that was changed', 'ailing', { record: { ...record, problem: 'it was changed' } }],
    ['a witness that is away', 'ailing', { record: { ...record, witnessing } }],
    ['a log that is not published', 'ailing', { record: { ...record, publishing } }],
    [
      'calls refused for want of witnesses',
      'denying',
      { record: { ...record, witnessing: { ...witnessing, refuses: true } } },
    ],
    ['no touch with the database', 'denying', { fresh: false }],
    ['nothing can be recorded', 'denying', { troubles: [{ what: 'records', since: 1, at: 1, problem: null }] }],
  ];
  for (const [what, state, known] of cases)
    it(`${what}: ${state}`, () => {
      const health = healthOf({ ...well, ...known });
      assert.equal(health.state, state);
      assert.equal(health.problems.length > 0, state !== 'well', 'a verdict says why, and what is well says nothing');
    });

  it('is the worst of all, with all that is wrong', () => {
    const health = healthOf({ ...well, fresh: false, stuck: [{ provider: 'orders', count: 2, since: 1 }] });
    assert.equal(health.state, 'denying');
    assert.match(health.problems.map(({ words }) => words).join(), /out of touch.*2 credentials of orders could not/);
  });
});
