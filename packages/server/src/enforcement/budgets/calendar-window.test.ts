import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { calendarWindow, isTimeZone } from './calendar-window.ts';

const at = (text: string) => Date.parse(text);
const texts = ({ start, end }: { start: number; end: number }) =>
  [start, end].map((each) => new Date(each).toISOString());

/** @proves budget.window */
test('days, weeks and months are those of the zone, also where its clocks are changed', () => {
  const windows: [Parameters<typeof calendarWindow>[0], string, string, string, string][] = [
    ['day', 'UTC', '2026-11-27T10:00:00Z', '2026-11-27T00:00:00.000Z', '2026-11-28T00:00:00.000Z'],
    ['day', 'Europe/Berlin', '2026-11-27T23:30:00Z', '2026-11-27T23:00:00.000Z', '2026-11-28T23:00:00.000Z'],
    // 23 hours, and 25.
    ['day', 'Europe/Berlin', '2026-03-29T10:00:00Z', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'],
    ['day', 'Europe/Berlin', '2026-10-25T10:00:00Z', '2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z'],
    // There is no midnight in Cairo on this day, and on that one there are two in Havana.
    ['day', 'Africa/Cairo', '2026-04-24T10:00:00Z', '2026-04-23T22:00:00.000Z', '2026-04-24T21:00:00.000Z'],
    ['day', 'America/Havana', '2026-11-01T12:00:00Z', '2026-11-01T04:00:00.000Z', '2026-11-02T05:00:00.000Z'],
    ['week', 'Europe/Berlin', '2026-11-29T22:59:59Z', '2026-11-22T23:00:00.000Z', '2026-11-29T23:00:00.000Z'],
    ['week', 'Europe/Berlin', '2026-11-29T23:00:00Z', '2026-11-29T23:00:00.000Z', '2026-12-06T23:00:00.000Z'],
    ['month', 'America/New_York', '2026-03-01T04:59:59Z', '2026-02-01T05:00:00.000Z', '2026-03-01T05:00:00.000Z'],
    ['month', 'America/New_York', '2026-12-31T12:00:00Z', '2026-12-01T05:00:00.000Z', '2027-01-01T05:00:00.000Z'],
    ['hour', 'Asia/Kathmandu', '2026-11-27T10:20:00Z', '2026-11-27T10:15:00.000Z', '2026-11-27T11:15:00.000Z'],
  ];
  for (const [unit, zone, now, start, end] of windows)
    assert.deepEqual(texts(calendarWindow(unit, zone, at(now))), [start, end], `${unit} ${zone} ${now}`);
});

test('every moment is in exactly one window: each begins where the last one ended, in every zone', () => {
  const zones = Intl.supportedValuesOf('timeZone');
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.constantFrom('day' as const, 'week' as const, 'month' as const),
      fc.integer({ min: at('1990-01-01T00:00:00Z'), max: at('2037-01-01T00:00:00Z') }),
      (zone, unit, now) => {
        const window = calendarWindow(unit, zone, now);
        assert.ok(
          window.start <= now && now < window.end,
          `${texts(window)} does not have ${new Date(now).toISOString()}`,
        );
        assert.equal(calendarWindow(unit, zone, window.end).start, window.end);
        assert.equal(calendarWindow(unit, zone, window.start - 1).end, window.start);
      },
    ),
    { numRuns: 300 },
  );
});

test('a zone is a name of the IANA database', () => {
  assert.equal(isTimeZone('Europe/Berlin'), true);
  for (const zone of ['', 'Berlin', 'Europe/Berlim', 'constructor']) assert.equal(isTimeZone(zone), false, zone);
});
