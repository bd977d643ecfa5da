import type { Deviation, DeviationKind } from '@gatehouse/protocol';
import { baselineLimits as limits } from './limits.ts';
import { inHour, isUsual, isWatched, type Profile, usualMost, type Whole } from './profile.ts';

/** One call, as far as a baseline looks at it. */
export interface Looked {
  agent: string;
  tool: string;
  isGrave: boolean;
  hour: number;
  clock: number;
  weekday: number;
  /** Calls of this hour that were sent from here before: of this tool, and of the agent. */
  sent: { tool: number; whole: number };
  /** Null: no argument is an amount. NaN: one is, and can't be read. */
  amount: number | null;
  /** By argument, the digests of its values. */
  resources: readonly { argument: string; digest: string }[];
}

/**
 * In what a call differs from what its agent usually does. Of an agent that is still being learned nothing is unusual. INVARIANT: what the
 * agent or a tool writes is compared, and never read: it can make a call unusual and never usual.
 */
export function deviationsOf(whole: Whole, tool: Profile | undefined, call: Looked): Deviation[] {
  if (whole.learnedAt === null) return [];
  const found: Deviation[] = [];
  const add = (kind: DeviationKind, words: string) => found.push({ kind, words });
  const inAll = `${times(whole.calls)} in ${days(whole.days)}`;
  if (!tool || tool.calls === 0) add('first-use', `${call.agent} has called tools ${inAll}, and never ${call.tool}.`);
  // A tool that is seldom used has no hours of its own; what a person let it do counts all the same.
  const own = tool && tool.calls >= limits.callsOfTool ? tool : undefined;
  const hoursOf = own?.hours.some(isUsual) ? own : whole;
  const what = hoursOf === own ? `called ${call.tool}` : 'called tools';
  const often = `${times(hoursOf.calls)} in ${days(hoursOf.days)}`;
  const isHour = (clock: number) => isUsual(at(hoursOf.hours, clock)) || (tool?.hours[clock]?.said ?? false);
  // Where all of it was learned on one day, nobody knows its hours.
  if (hoursOf.hours.some(isUsual) && ![-1, 0, 1].some((offset) => isHour((call.clock + offset + 24) % 24)))
    add('hour', `${call.agent} has ${what} ${often}, never ${betweenHours(isHour, call.clock, whole.zone)}.`);
  const weekday = at(hoursOf.weekdays, call.weekday);
  const isWeekday = weekday.days.length > 0 || weekday.said || (tool?.weekdays[call.weekday]?.said ?? false);
  if (!isWeekday && whole.learnedAt - whole.first >= TWO_WEEKS_MS)
    add('weekday', `${call.agent} has ${what} ${often}, never on a ${WEEKDAYS[call.weekday]}.`);
  if (own) addRate(own, call.sent.tool, call.tool);
  addRate(whole, call.sent.whole, 'any tool');
  if (tool && call.isGrave && isWatched(tool)) {
    const known = new Set(tool.resources.flatMap(([digest, , isKnown]) => (isKnown ? [digest] : [])));
    const strange = new Set(call.resources.filter(({ digest }) => !known.has(digest)).map(({ argument }) => argument));
    for (const argument of strange)
      add(
        'resource',
        `${call.agent} has called ${call.tool} ${times(tool.calls)} in ${days(tool.days)}, on ${known.size} that are known; what is given as ${argument} is none of them.`,
      );
  }
  if (tool && call.amount !== null) addAmount(tool, call.amount);
  return found;

  function addRate(profile: Profile, sent: number, name: string): void {
    const now = Math.max(sent, inHour(profile, call.hour)) + 1;
    const usual = usualMost(profile.perHour);
    if (now > Math.max(limits.rateFloor, limits.rateTimes * usual))
      add('rate', `This is call ${now} of ${name} by ${call.agent} in this hour; usually there are at most ${usual}.`);
  }

  function addAmount(profile: Profile, amount: number): void {
    const usual = usualMost(profile.amount);
    if (usual === 0) return;
    if (Number.isNaN(amount))
      add('amount', `The amount can't be read; ${call.agent} usually gives ${call.tool} at most ${usual}.`);
    else if (amount > limits.amountTimes * usual)
      add(
        'amount',
        `The amount ${amount} is ${Math.floor(amount / usual)} times what ${call.agent} usually gives ${call.tool} at most (${usual}).`,
      );
  }
}

/** Known once it has run. */
export function sizeDeviation(
  whole: Whole,
  tool: Profile | undefined,
  { agent, tool: name }: Pick<Looked, 'agent' | 'tool'>,
  bytes: number,
): Deviation | undefined {
  const usual = tool ? usualMost(tool.bytes) : 0;
  if (whole.learnedAt === null || usual === 0 || bytes <= Math.max(limits.sizeFloor, limits.sizeTimes * usual))
    return undefined;
  const words = `The result has about ${bytes} bytes; what ${agent} gets of ${name} usually has at most ${usual}.`;
  return { kind: 'size', words };
}

const TWO_WEEKS_MS = 14 * 86_400_000;
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const times = (calls: number) => (calls === 1 ? 'once' : `${calls} times`);
const days = (count: number) => (count === 1 ? '1 day' : `${count} days`);
const at = <T>(slots: readonly T[], index: number) => slots[index] as T;

/** The whole stretch without calls that the hour lies in. */
function betweenHours(isHour: (clock: number) => boolean, clock: number, zone: string): string {
  let [from, to] = [clock, clock];
  while (!isHour((from + 23) % 24) && (from + 23) % 24 !== to) from = (from + 23) % 24;
  while (!isHour((to + 1) % 24) && (to + 1) % 24 !== from) to = (to + 1) % 24;
  const shown = (hour: number) => `${String(hour).padStart(2, '0')}:00`;
  return `between ${shown(from)} and ${shown((to + 1) % 24)} ${zone}`;
}
