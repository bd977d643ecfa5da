import type { CalendarManifest, Weekday } from '@gatehouse/protocol';
import { type LocalTime, localTime } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';

const weekdays: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

type Calendars = Snapshot['calendars'];

/** What is open changes by the minute at most: for each set of calendars the answer of this minute is kept. */
const answers = new WeakMap<Calendars, { minute: number; open: readonly string[] }>();

/** Names of the calendars that are open now. */
export function openCalendars(calendars: Calendars, now: number): readonly string[] {
  if (calendars.size === 0) return [];
  const minute = Math.floor(now / 60_000);
  const known = answers.get(calendars);
  if (known?.minute === minute) return known.open;
  const open = [...calendars.values()].filter((calendar) => isOpen(calendar, now)).map(({ name }) => name);
  answers.set(calendars, { minute, open });
  return open;
}

/** By the clock on the wall: an hour that summer time leaves out is in no window, one that comes twice is in it twice. */
export function isOpen({ zone, open, holidays }: CalendarManifest, now: number): boolean {
  const here = localTime(now, zone);
  const today = dayOf(here.date, here.weekday);
  const yesterday = dayBefore(here);
  const begins = (day: Day, window: CalendarManifest['open'][number]) =>
    window.days.includes(day.weekday) && !holidays.includes(day.date);
  return open.some((window) => {
    const from = minutesOf(window.from);
    const to = minutesOf(window.to);
    if (from < to) return begins(today, window) && here.minutes >= from && here.minutes < to;
    return (begins(today, window) && here.minutes >= from) || (begins(yesterday, window) && here.minutes < to);
  });
}

interface Day {
  date: string;
  weekday: Weekday;
}

const dayOf = (date: string, weekday: number): Day => ({ date, weekday: weekdays[weekday] as Weekday });

function dayBefore({ date, weekday }: LocalTime): Day {
  const before = new Date(Date.parse(`${date}T00:00:00Z`) - 86_400_000).toISOString().slice(0, 10);
  return dayOf(before, (weekday + 6) % 7);
}

function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}
