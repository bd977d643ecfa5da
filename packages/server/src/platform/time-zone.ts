/** Whether the system knows this IANA time zone. */
export function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export interface LocalTime {
  /** `2026-12-24`. */
  date: string;
  /** 0 is Sunday. */
  weekday: number;
  /** Minutes since midnight, as a clock on the wall shows them. */
  minutes: number;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** What calendar and clock show at a place. */
export function localTime(now: number, zone: string): LocalTime {
  let clock = clocks.get(zone);
  if (!clock) {
    clock = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    });
    clocks.set(zone, clock);
  }
  const parts = Object.fromEntries(clock.formatToParts(now).map(({ type, value }) => [type, value]));
  const date = `${parts.year}-${parts.month}-${parts.day}`;
  return {
    date,
    weekday: new Date(`${date}T00:00:00Z`).getUTCDay(),
    minutes: Number(parts.hour) * 60 + Number(parts.minute),
  };
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What the clocks of a zone are ahead of UTC. */
function offsetAt(at: number, zone: string): number {
  const { date, minutes } = localTime(at, zone);
  return Date.parse(`${date}T00:00:00Z`) + minutes * MINUTE_MS - Math.floor(at / MINUTE_MS) * MINUTE_MS;
}

/** The first moment at which the clocks of a zone show this; where they are put forward over it, the moment when they are. */
export function momentOf(date: string, minutes: number, zone: string): number {
  const local = Date.parse(`${date}T00:00:00Z`) + minutes * MINUTE_MS;
  const candidates = [local - DAY_MS, local + DAY_MS].map((near) => local - offsetAt(near, zone));
  const shown = (at: number) => at + offsetAt(at, zone);
  const exact = candidates.filter((at) => shown(at) === local);
  if (exact.length > 0) return Math.min(...exact);
  let [before, after] = [Math.min(...candidates), Math.max(...candidates)];
  while (after - before > MINUTE_MS) {
    const middle = Math.floor((before + after) / 2 / MINUTE_MS) * MINUTE_MS;
    if (shown(middle) < local) before = middle;
    else after = middle;
  }
  return after;
}
