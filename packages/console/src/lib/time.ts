/** All times come as milliseconds since the epoch or RFC 3339; people see their own zone, and the exact UTC beside it. */
export type Instant = number | string;

export const toMs = (instant: Instant): number => (typeof instant === 'number' ? instant : Date.parse(instant));

/** `2026-01-31 12:00:00.123 UTC` */
export function exactUtc(instant: Instant): string {
  const at = new Date(toMs(instant));
  return Number.isNaN(at.getTime()) ? String(instant) : at.toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** Time of day for today, day and time for the rest, in the zone and manner of the reader, and which zone that is: `14:03:22 GMT+2`. */
export function shortLocal(instant: Instant, now: number, locale?: string): string {
  const at = new Date(toMs(instant));
  const today = new Date(now).toDateString() === at.toDateString();
  const sameYear = new Date(now).getFullYear() === at.getFullYear();
  return at.toLocaleString(locale, {
    ...(!today && { day: 'numeric', month: 'short' }),
    ...(!today && !sameYear && { year: 'numeric' }),
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
    hourCycle: 'h23',
  });
}

/** `1 Aug, 00:00 Europe/Berlin`: a time where that zone's days begin. */
export function inZone(instant: Instant, zone: string, locale?: string): string {
  const at = new Date(toMs(instant));
  const parts = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  try {
    return `${at.toLocaleString(locale, { ...parts, timeZone: zone })} ${zone}`;
  } catch (error) {
    // A browser may know fewer zones than the server.
    if (error instanceof RangeError) return exactUtc(instant);
    throw error;
  }
}

/** `just now`, `4 min ago`, `in 3 h`, `12 days ago`. */
export function relative(instant: Instant, now: number): string {
  const difference = toMs(instant) - now;
  const seconds = Math.round(Math.abs(difference) / 1_000);
  if (seconds < 5) return 'just now';
  const amount = span(seconds);
  return difference < 0 ? `${amount} ago` : `in ${amount}`;
}

function span(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? '1 day' : `${days} days`;
}

/** `14:59` or `1:02:03`; null when it has run out. */
export function timeLeft(until: number, now: number): string | null {
  const seconds = Math.ceil((until - now) / 1_000);
  if (seconds <= 0) return null;
  const [hours, minutes, rest] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60), seconds % 60];
  const padded = (value: number) => `${value}`.padStart(2, '0');
  return hours > 0 ? `${hours}:${padded(minutes)}:${padded(rest)}` : `${minutes}:${padded(rest)}`;
}

/** `86 ms`, `1.20 s` */
export function duration(milliseconds: number): string {
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(2)} s`;
}
