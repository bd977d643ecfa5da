import type { Approval, OnCallManifest, PersonManifest, QuietHours } from '@gatehouse/protocol';
import { localTime, momentOf } from '../../platform/index.ts';
import { onCallAt } from '../rule/on-call.ts';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;

/**
 * Whether somebody's quiet hours are now, and when they end; null: they are not. By the clock on the wall, also in a night in which the clocks
 * are changed: where it shows the end twice, they are over at the first.
 */
export function quietUntil({ zone, from, to }: QuietHours, now: number): number | null {
  const { date, minutes } = localTime(now, zone);
  const [begins, ends] = [minutesOf(from), minutesOf(to)];
  const isQuiet = begins < ends ? begins <= minutes && minutes < ends : minutes >= begins || minutes < ends;
  if (!isQuiet) return null;
  const until = momentOf(minutes < ends ? date : dayAfter(date), ends, zone);
  // The clocks were put back over the end: what is left of the hour that comes twice.
  return until > now ? until : Math.floor(now / MINUTE_MS + ends - minutes) * MINUTE_MS;
}

const dayAfter = (date: string) =>
  new Date(Date.parse(`${date}T00:00:00Z`) + DAY_MINUTES * MINUTE_MS).toISOString().slice(0, 10);

/** What that rests on. */
export interface Told {
  people: ReadonlyMap<string, PersonManifest>;
  onCall: ReadonlyMap<string, OnCallManifest>;
}

/**
 * Who of these is told of an approval now, and who later and when: for whatever reaches people where they are. What can wait until somebody's
 * quiet hours are over waits for them. What would have run out by then goes to those of them who are on call, and wakes nobody else.
 */
export function whoIsTold(
  people: readonly string[],
  approval: Pick<Approval, 'expiresAt'>,
  {
    snapshot,
    now,
  }: {
    snapshot: Told;
    now: number;
  },
): { now: string[]; later: { person: string; at: number }[] } {
  const told: { now: string[]; later: { person: string; at: number }[] } = { now: [], later: [] };
  const onCall = new Set([...snapshot.onCall.values()].map((rota) => onCallAt(rota, now)));
  for (const person of people) {
    const hours = snapshot.people.get(person)?.quietHours;
    const until = hours ? quietUntil(hours, now) : null;
    if (until === null || (until >= approval.expiresAt && onCall.has(person))) told.now.push(person);
    else if (until < approval.expiresAt) told.later.push({ person, at: until });
  }
  return told;
}

const minutesOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
