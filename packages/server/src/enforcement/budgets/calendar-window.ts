export type CalendarUnit = 'hour' | 'day' | 'week' | 'month';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const formats = new Map<string, Intl.DateTimeFormat>();
const known = new Map<string, { start: number; end: number }>();

export function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** The hour, day, week (from Monday) or month of this zone that `now` is in. A day that the clocks are changed on is longer or shorter. */
export function calendarWindow(unit: CalendarUnit, zone: string, now: number): { start: number; end: number } {
  const key = `${unit} ${zone}`;
  const last = known.get(key);
  if (last && last.start <= now && now < last.end) return last;
  const window = unit === 'hour' ? hourOf(zone, now) : periodOf(unit, zone, now);
  known.set(key, window);
  return window;
}

function hourOf(zone: string, now: number): { start: number; end: number } {
  const into = (now + offsetOf(zone, now)) % HOUR_MS;
  return { start: now - into, end: now - into + HOUR_MS };
}

function periodOf(unit: Exclude<CalendarUnit, 'hour'>, zone: string, now: number): { start: number; end: number } {
  const today = new Date(now + offsetOf(zone, now));
  const [year, month, day] = [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()];
  const sinceMonday = (today.getUTCDay() + 6) % 7;
  // Clocks that are put back at midnight show the day before again: the last beginning that has passed is the one that counts.
  const beginnings = [-1, 0, 1, 2].map((by) => {
    if (unit === 'month') return midnightOf(zone, Date.UTC(year, month + by, 1));
    return midnightOf(zone, Date.UTC(year, month, unit === 'day' ? day + by : day - sinceMonday + 7 * by));
  });
  const at = beginnings.findLastIndex((beginning) => beginning <= now);
  return { start: beginnings[at] as number, end: beginnings[at + 1] as number };
}

/** When a local day begins: the first midnight if there are two, and the first moment after it if there is none. */
function midnightOf(zone: string, local: number): number {
  const candidates = [offsetOf(zone, local - DAY_MS), offsetOf(zone, local + DAY_MS)].map((offset) => local - offset);
  const exact = candidates.filter((at) => at + offsetOf(zone, at) === local);
  return exact.length > 0 ? Math.min(...exact) : Math.max(...candidates);
}

/** What the zone's clocks are ahead of UTC. */
function offsetOf(zone: string, at: number): number {
  let format = formats.get(zone);
  if (!format) {
    const numeric = 'numeric';
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      ...{ year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric },
    });
    formats.set(zone, format);
  }
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part as Record<string, number>;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1_000) * 1_000;
}
