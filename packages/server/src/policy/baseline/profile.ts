import { baselineLimits as limits } from './limits.ts';

/** A number of days since 1970, in the zone of the baseline. */
type Day = number;

/** Calls in one hour of the day or on one day of the week. Usual: on two days at least, or a person said so. */
interface Slot {
  calls: number;
  /** The first two. */
  days: Day[];
  said: boolean;
}

/** The two highest of different days: what happened on one day alone, however high, does not say what is usual. */
interface Peak {
  days: [Day, number][];
  /** The highest that a person has let pass; as good as two days. */
  said: number;
}

/** What one tool of an agent, or all of them, was used for. Plain data, as it is stored. */
export interface Profile {
  calls: number;
  /** Different ones with calls. */
  days: number;
  first: number;
  last: number;
  /** The newest days with their calls, in order. */
  recent: [Day, number][];
  hours: Slot[];
  weekdays: Slot[];
  perHour: Peak;
  /** Calls of the newest hours, by their start: all that has been learned from, of all replicas. */
  running: [number, number][];
  bytes: Peak;
  bytesInAll: number;
  amount: Peak;
  /** Keyed digests; `[digest, the first day, whether it is known]`. */
  resources: [string, Day, 0 | 1][];
  /** There were more. */
  overflow: boolean;
  /** Different days on which there was a new one. */
  newOn: Day[];
}

/** Of the agent as a whole. */
export interface Whole extends Profile {
  zone: string;
  learnedAt: number | null;
}

/** What calls of one tool in one hour have in common, as far as it can be learned from. */
export interface Cell {
  /** Start of the hour, in ms since 1970. */
  hour: number;
  day: Day;
  /** Hour of the day and day of the week in the zone of the baseline. */
  clock: number;
  weekday: number;
  /** A person has approved each of these calls. */
  said: boolean;
  calls: number;
  first: number;
  last: number;
  bytes: number;
  bytesInAll: number;
  /** Null: none of them has one. */
  amount: number | null;
  resources: string[];
}

const slots = (count: number): Slot[] => Array.from({ length: count }, () => ({ calls: 0, days: [], said: false }));
const peak = (): Peak => ({ days: [], said: 0 });

export const newProfile = (): Profile => ({
  calls: 0,
  days: 0,
  first: 0,
  last: 0,
  recent: [],
  hours: slots(24),
  weekdays: slots(7),
  perHour: peak(),
  running: [],
  bytes: peak(),
  bytesInAll: 0,
  amount: peak(),
  resources: [],
  overflow: false,
  newOn: [],
});

export const newWhole = (zone: string): Whole => ({ ...newProfile(), zone, learnedAt: null });

/**
 * Learns. INVARIANT: once the agent is known, nothing but what a person has let pass makes more usual than was; other calls are counted and
 * no more. So nobody drifts away from what was learned, however slowly.
 */
export function learn(
  whole: Whole,
  tool: Profile | undefined,
  cell: Cell,
  needs: { days: number; calls: number },
): void {
  const isLearning = whole.learnedAt === null;
  // What a person lets one tool do is not thereby usual for others; but how much there is in all, they have seen.
  count(whole, cell, isLearning);
  if (cell.said) whole.perHour.said = Math.max(whole.perHour.said, inHour(whole, cell.hour));
  if (tool) {
    count(tool, cell, isLearning || cell.said);
    if (cell.said) allow(tool, cell);
  }
  if (isLearning && whole.days >= needs.days && whole.calls >= needs.calls) whole.learnedAt = cell.last;
}

function count(profile: Profile, cell: Cell, widens: boolean): void {
  profile.first = profile.calls === 0 ? cell.first : Math.min(profile.first, cell.first);
  profile.last = Math.max(profile.last, cell.last);
  profile.calls += cell.calls;
  profile.bytesInAll += cell.bytesInAll;
  const newest = profile.recent.at(-1)?.[0];
  if (newest === undefined || cell.day > newest) profile.days++;
  addTo(profile.recent, cell.day, cell.calls, limits.days);
  addTo(profile.running, cell.hour, cell.calls, HOURS);
  const slots = [profile.hours[cell.clock], profile.weekdays[cell.weekday]] as Slot[];
  for (const slot of slots) slot.calls += cell.calls;
  if (!widens) return;
  for (const slot of slots) if (slot.days.length < 2 && !slot.days.includes(cell.day)) slot.days.push(cell.day);
  raise(profile.perHour, cell.day, inHour(profile, cell.hour));
  raise(profile.bytes, cell.day, cell.bytes);
  if (cell.amount !== null) raise(profile.amount, cell.day, cell.amount);
  for (const resource of cell.resources) noteResource(profile, resource, cell.day);
}

const HOURS = 3;

/** What a person has approved counts as if it had been on several days. */
function allow(profile: Profile, cell: Cell): void {
  (profile.hours[cell.clock] as Slot).said = true;
  (profile.weekdays[cell.weekday] as Slot).said = true;
  profile.perHour.said = Math.max(profile.perHour.said, inHour(profile, cell.hour));
  profile.bytes.said = Math.max(profile.bytes.said, cell.bytes);
  profile.amount.said = Math.max(profile.amount.said, cell.amount ?? 0);
  for (const resource of cell.resources) know(profile, resource);
}

/** A person says of calls that were left out that they are usual. */
export function accept(whole: Whole, profile: Profile, unusual: Profile): void {
  profile.first = profile.calls === 0 ? unusual.first : Math.min(profile.first, unusual.first);
  profile.last = Math.max(profile.last, unusual.last);
  profile.calls += unusual.calls;
  profile.days = Math.max(profile.days, unusual.days);
  profile.bytesInAll += unusual.bytesInAll;
  for (const name of ['hours', 'weekdays'] as const)
    for (const [at, slot] of unusual[name].entries()) {
      const own = profile[name][at] as Slot;
      own.calls += slot.calls;
      if (slot.calls > 0) own.said = true;
    }
  for (const name of ['perHour', 'bytes', 'amount'] as const)
    profile[name].said = Math.max(profile[name].said, ...unusual[name].days.map(([, value]) => value));
  whole.perHour.said = Math.max(whole.perHour.said, profile.perHour.said);
  for (const [resource, day] of unusual.resources) {
    noteResource(profile, resource, day);
    know(profile, resource);
  }
}

function addTo(counts: [number, number][], at: number, calls: number, most: number): void {
  const known = counts.findLast(([each]) => each === at);
  if (known) {
    known[1] += calls;
    return;
  }
  counts.push([at, calls]);
  counts.sort(([a], [b]) => a - b);
  if (counts.length > most) counts.shift();
}

export const inHour = ({ running }: Profile, hour: number): number =>
  running.findLast(([start]) => start === hour)?.[1] ?? 0;

function raise({ days }: Peak, day: Day, value: number): void {
  const own = days.find(([each]) => each === day);
  if (own) own[1] = Math.max(own[1], value);
  else days.push([day, value]);
  days.sort(([dayA, a], [dayB, b]) => b - a || dayA - dayB);
  days.length = Math.min(days.length, 2);
}

/** The highest that counts as usual: the second highest day's, or the only one's. */
export const usualMost = ({ days, said }: Peak): number => Math.max(said, (days[1] ?? days[0])?.[1] ?? 0);

/** What comes again on another day is known. */
function noteResource(profile: Profile, resource: string, day: Day): void {
  const own = profile.resources.find(([each]) => each === resource);
  if (own) {
    if (own[1] !== day) own[2] = 1;
    return;
  }
  if (!profile.newOn.includes(day) && profile.newOn.length < limits.days) profile.newOn.push(day);
  if (profile.resources.length >= limits.resourcesPerTool) {
    profile.overflow = true;
    // One that was there on a single day makes room, so that one day's crowd drives out nothing that is known.
    const passing = profile.resources.findIndex(([, , known]) => known === 0);
    if (passing < 0) return;
    profile.resources.splice(passing, 1);
  }
  profile.resources.push([resource, day, 0]);
}

function know(profile: Profile, resource: string): void {
  const own = profile.resources.find(([each]) => each === resource);
  if (own) own[2] = 1;
}

export const knownResources = ({ resources }: Profile): number =>
  resources.reduce((sum, [, , known]) => sum + known, 0);

/** Few resources, and on most days none that is new: so that another one is worth a look. */
export function isWatched(profile: Profile): boolean {
  const known = knownResources(profile);
  return (
    profile.calls >= limits.callsOfTool &&
    known > 0 &&
    known <= limits.fewResources &&
    profile.newOn.length <= Math.max(2, Math.floor(profile.days / 2))
  );
}

export const isUsual = ({ days, said }: Slot): boolean => said || days.length > 1;
