import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CalendarManifest, calendarManifest } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { GatehouseError } from '../platform/index.ts';
import { isOpen, openCalendars } from './calendars.ts';
import { compilePolicies } from './compile.ts';
import { unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';

const calendar = (more: Partial<CalendarManifest>) =>
  calendarManifest.parse({
    kind: 'Calendar',
    name: 'business-hours',
    zone: 'Europe/Berlin',
    open: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:00' }],
    ...more,
  });

/** @proves policy.calendars */
test('a calendar is open by the clock on the wall of its place, in winter, in summer, and not on holidays', () => {
  const hours = calendar({ holidays: ['2026-12-25'] });
  const cases: [string, boolean][] = [
    ['2026-01-15T08:00:00Z', true],
    ['2026-01-15T07:59:59Z', false],
    ['2026-07-15T07:00:00Z', true],
    ['2026-07-15T06:59:59Z', false],
    ['2026-01-15T15:59:59Z', true],
    ['2026-01-15T16:00:00Z', false],
    ['2026-01-17T10:00:00Z', false],
    ['2026-12-24T10:00:00Z', true],
    ['2026-12-25T10:00:00Z', false],
  ];
  for (const [at, open] of cases) assert.equal(isOpen(hours, Date.parse(at)), open, at);
});

test('a window over midnight belongs to the day on which it begins', () => {
  const nights = calendar({
    zone: 'America/New_York',
    open: [{ days: ['fri'], from: '22:00', to: '06:00' }],
    holidays: ['2026-01-23'],
  });
  const cases: [string, boolean][] = [
    ['2026-01-16T22:00:00-05:00', true],
    ['2026-01-17T05:59:59-05:00', true],
    ['2026-01-17T06:00:00-05:00', false],
    ['2026-01-16T05:00:00-05:00', false],
    ['2026-01-23T23:00:00-05:00', false],
    ['2026-01-24T01:00:00-05:00', false],
  ];
  for (const [at, open] of cases) assert.equal(isOpen(nights, Date.parse(at)), open, at);
  const whole = calendar({ open: [{ days: ['sat'], from: '00:00', to: '24:00' }] });
  assert.equal(isOpen(whole, Date.parse('2026-01-17T23:59:59+01:00')), true);
  assert.equal(isOpen(whole, Date.parse('2026-01-18T00:00:00+01:00')), false);
});

test('property: a window is open for as many minutes of a week as it says, where no clock is put forward or back', () => {
  const time = fc
    .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
    .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(':'));
  const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  fc.assert(
    fc.property(time, time, fc.constantFrom('UTC', 'Asia/Kolkata', 'Pacific/Chatham'), (from, to, zone) => {
      const hours = calendar({ zone, open: [{ days: ['wed'], from, to }] });
      const start = Date.parse('2026-06-01T00:00:00Z');
      let open = 0;
      for (let minute = 0; minute < 7 * 1440; minute += 1) if (isOpen(hours, start + minute * 60_000)) open++;
      const length = minutes(to) - minutes(from);
      assert.equal(open, length > 0 ? length : length + 1440);
    }),
    { numRuns: 5 },
  );
});

test('what is open is found again when the minute or the calendars change', () => {
  const calendars = new Map([['business-hours', calendar({})]]);
  assert.deepEqual(openCalendars(calendars, Date.parse('2026-01-15T15:59:59Z')), ['business-hours']);
  assert.deepEqual(openCalendars(calendars, Date.parse('2026-01-15T16:00:00Z')), []);
  assert.deepEqual(openCalendars(new Map(), Date.parse('2026-01-15T15:59:59Z')), []);
});

test('a policy that names no declared calendar does not load, and calendars are part of the version', () => {
  const cedar =
    'permit(principal, action, resource) unless { context.calendars.containsAny(["business-hours", "weekend"]) };';
  const declared = (names: string[]) => {
    const workspace = shopWorkspace({ hours: cedar });
    return compilePolicies({ ...workspace, calendars: new Map(names.map((name) => [name, calendar({ name })])) });
  };
  assert.throws(
    () => declared(['business-hours']),
    (error: GatehouseError) =>
      error.code === 'policy.invalid' && error.message.includes('line 1, column 95: there is no calendar "weekend"'),
  );
  const set = declared(['business-hours', 'weekend']);
  const workspace = shopWorkspace();
  const decide = (calendars: string[]) =>
    set.decide({
      agent: workspace.agent,
      task: workspace.task,
      tool: workspace.tool('list_orders'),
      arguments: { customer: 'another' },
      situation: { ...unknownSituation(0), calendars },
    }).effect;
  assert.deepEqual([decide([]), decide(['weekend'])], ['allow', 'deny']);
  const other = shopWorkspace({ hours: cedar });
  const moved = new Map([
    ['business-hours', calendar({ name: 'business-hours' })],
    ['weekend', calendar({ name: 'weekend', zone: 'UTC' })],
  ]);
  assert.notEqual(compilePolicies({ ...other, calendars: moved }).version, set.version);
});
