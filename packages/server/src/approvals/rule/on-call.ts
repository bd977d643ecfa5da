import type { OnCallManifest } from '@gatehouse/protocol';
import { localTime, momentOf } from '../../platform/index.ts';

const DAY_MS = 86_400_000;
const dayNumber = (date: string) => Date.parse(`${date}T00:00:00Z`) / DAY_MS;
const dateOf = (day: number) => new Date(day * DAY_MS).toISOString().slice(0, 10);

export interface Shift {
  person: string | null;
  from: number;
  /** Of the rotation: an override may end before. */
  until: number;
}

const overriding = ({ overrides }: OnCallManifest, at: number) =>
  overrides.findLast(({ from, until }) => Date.parse(from) <= at && at < Date.parse(until));

/** Who is on call at a moment; undefined: nobody. */
export function onCallAt(rota: OnCallManifest, at: number): string | undefined {
  const override = overriding(rota, at);
  return (override ? override.person : turnAt(rota, at).person) ?? undefined;
}

/** Whose turn it is by the rotation alone. A turn is from the moment of one hand-over to that of the next. */
export function turnAt({ zone, handOverAt, people, startsOn, everyDays }: OnCallManifest, at: number): Shift {
  const first = dayNumber(startsOn);
  const minutes = Number(handOverAt.slice(0, 2)) * 60 + Number(handOverAt.slice(3));
  const handOver = (turn: number) => momentOf(dateOf(first + turn * everyDays), minutes, zone);
  // The local day says the turn but for one; the moments of the hand-overs decide.
  let turn = Math.floor((dayNumber(localTime(at, zone).date) - first) / everyDays) + 1;
  while (turn >= 0 && handOver(turn) > at) turn--;
  if (turn < 0) return { person: null, from: Number.NEGATIVE_INFINITY, until: handOver(0) };
  return { person: people[turn % people.length] as string, from: handOver(turn), until: handOver(turn + 1) };
}

/** What is shown of the days ahead: turns and overrides cut into each other. */
export function shiftsFrom(rota: OnCallManifest, from: number, until: number, limit: number): Shift[] {
  const shifts: Shift[] = [];
  for (let at = from; at < until && shifts.length < limit; ) {
    const ends = [
      turnAt(rota, at).until,
      ...rota.overrides.flatMap((each) => [Date.parse(each.from), Date.parse(each.until)]),
    ];
    const next = Math.min(until, ...ends.filter((end) => end > at));
    const person = onCallAt(rota, at) ?? null;
    const last = shifts.at(-1);
    if (last && last.person === person) last.until = next;
    else shifts.push({ person, from: at, until: next });
    at = next;
  }
  return shifts;
}
