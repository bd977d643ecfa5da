import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onCallManifest } from '@gatehouse/protocol';
import fc from 'fast-check';
import { localTime } from '../../platform/index.ts';
import { onCallAt, shiftsFrom, turnAt } from './on-call.ts';

const rota = (more: object = {}) =>
  onCallManifest.parse({
    kind: 'OnCall',
    name: 'payments',
    zone: 'Europe/Berlin',
    people: ['ada@example.test', 'bob@example.test', 'cleo@example.test'],
    startsOn: '2026-01-05',
    handOverAt: '09:00',
    ...more,
  });
const at = (text: string) => Date.parse(text);

test('turns go round, from one hand-over to the next', () => {
  assert.equal(onCallAt(rota(), at('2026-01-05T07:59:59Z')), undefined);
  assert.equal(onCallAt(rota(), at('2026-01-05T08:00:00Z')), 'ada@example.test');
  assert.equal(onCallAt(rota(), at('2026-01-12T07:59:59Z')), 'ada@example.test');
  assert.equal(onCallAt(rota(), at('2026-01-12T08:00:00Z')), 'bob@example.test');
  assert.equal(onCallAt(rota(), at('2026-01-26T08:00:00Z')), 'ada@example.test');
});

test('the hand-over keeps its hour when the clocks are changed', () => {
  // From 29 March on 09:00 in Berlin is 07:00 UTC.
  assert.equal(onCallAt(rota(), at('2026-03-30T06:59:59Z')), onCallAt(rota(), at('2026-03-29T12:00:00Z')));
  assert.notEqual(onCallAt(rota(), at('2026-03-30T07:00:00Z')), onCallAt(rota(), at('2026-03-30T06:59:59Z')));
});

test('an hour that is left out hands over when the clock is put forward, one that comes twice the first time', () => {
  const nightly = rota({ handOverAt: '02:30', everyDays: 1, startsOn: '2026-03-01' });
  assert.equal(turnAt(nightly, at('2026-03-29T12:00:00Z')).from, at('2026-03-29T01:00:00Z'));
  assert.equal(turnAt(nightly, at('2026-10-25T12:00:00Z')).from, at('2026-10-25T00:30:00Z'));
  // 02:10 comes twice, the second time after the hand-over.
  assert.equal(turnAt(nightly, at('2026-10-25T01:10:00Z')).from, at('2026-10-25T00:30:00Z'));
});

test('overrides go before the rotation, the last one before the others', () => {
  const covered = rota({
    overrides: [
      { person: 'bob@example.test', from: '2026-01-06T00:00:00Z', until: '2026-01-08T00:00:00Z' },
      { person: null, from: '2026-01-07T00:00:00+01:00', until: '2026-01-07T12:00:00+01:00' },
    ],
  });
  assert.equal(onCallAt(covered, at('2026-01-06T00:00:00Z')), 'bob@example.test');
  assert.equal(onCallAt(covered, at('2026-01-07T00:00:00Z')), undefined);
  assert.equal(onCallAt(covered, at('2026-01-08T00:00:00Z')), 'ada@example.test');
  assert.deepEqual(
    shiftsFrom(covered, at('2026-01-05T08:00:00Z'), at('2026-01-09T00:00:00Z'), 10).map(({ person }) => person),
    ['ada@example.test', 'bob@example.test', null, 'bob@example.test', 'ada@example.test'],
  );
});

test('at every moment, in every zone, exactly one turn, which hands over at the hour that was said or where the clock leaps', () => {
  const zones = [
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Africa/Casablanca',
    'Pacific/Apia',
    'UTC',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: 0, max: 1_439 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: at('2026-02-01T00:00:00Z'), max: at('2028-01-01T00:00:00Z') }),
      (zone, minutes, everyDays, now) => {
        const handOverAt = `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
        const each = rota({ zone, handOverAt, everyDays });
        const turn = turnAt(each, now);
        assert.ok(turn.from <= now && now < turn.until);
        assert.equal(turnAt(each, turn.until).from, turn.until);
        assert.equal(turnAt(each, turn.until - 1).from, turn.from);
        const shown = localTime(turn.from, zone).minutes;
        const before = localTime(turn.from - 60_000, zone).minutes;
        assert.ok(shown === minutes || (before < minutes && shown > minutes), `${shown} for ${minutes} in ${zone}`);
      },
    ),
    { numRuns: 300 },
  );
});
