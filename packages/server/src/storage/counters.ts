/**
 * What is used of budgets. Pure: both databases load counters, ask a book whether a call still fits, and write what the book changed,
 * in the transaction that writes the dispatch.
 */

/** Of a calendar window or a task: from `start` until `end`. Rolling: whatever the last `rollingMs` hold. Null: only what runs now. */
export type CounterWindow = { start: number; end: number } | { rollingMs: number } | null;

/** What is counted; `sum` in millionths. */
export interface Amounts {
  count: number;
  items: number;
  sum: number;
}
export type Limited = keyof Amounts | 'concurrent';

/** One counter that a call counts on. */
export interface CounterSpend {
  /** Digest of the budget's name, its window and what the counter is for. */
  counter: string;
  budget: string;
  /** What it is for, in words that people are shown. */
  label: string;
  window: CounterWindow;
  amounts: Amounts;
  limits: Record<Limited, number | null>;
  /** Counts also beyond the limits: a person approved this call. */
  evenOver: boolean;
  /** A place among those that run is free again from here on, whatever became of the call. */
  leaseUntil: number;
}

export interface Spend {
  actionId: string;
  now: number;
  counters: CounterSpend[];
}

/** The call has ended: it runs no more. */
export interface Settle {
  actionId: string;
  now: number;
  counters: string[];
  /** Those for which it never happened. */
  giveBack: string[];
  /** What it has counted is kept in mind: a person may say yet that it never happened. */
  keep?: boolean;
}

/** Why a call does not fit. */
export interface OverBudget {
  budget: string;
  counter: string;
  label: string;
  limit: Limited;
  used: number;
  max: number;
  needs: number;
  /** When it would fit; null when that depends on what others do, or never. */
  frees: number | null;
}

/** `[start, count, items, sum]`: what was used from `start` on. */
export type Bucket = [number, number, number, number];

export interface CounterState {
  /** The newest bucket's start. Never goes back, so that a replica whose clock is behind opens no window again. */
  at: number;
  buckets: Bucket[];
  /** Calls that run, by action, with the end of their lease. */
  running: Record<string, number>;
}

export interface CounterRow {
  id: string;
  budget: string;
  label: string;
  state: string;
  /** Of the tightest limit, in thousandths: for the order in which they are shown. */
  used: number;
  updated_at: number;
  expires_at: number;
}

/** What one call has counted on one counter, for as long as it runs. */
export interface SpendRow {
  action_id: string;
  counter: string;
  /** Start of the bucket. */
  bucket: number;
  count: number;
  items: number;
  sum: number;
  expires_at: number;
}

/** A rolling window is kept in this many pieces; what is in a piece counts until all of it is out of the window. */
export const BUCKETS = 60;
const INDEX = { count: 1, items: 2, sum: 3 } as const;

export function parseState(text: string | undefined): CounterState {
  return text === undefined ? { at: 0, buckets: [], running: {} } : (JSON.parse(text) as CounterState);
}

/** The counter as it stands now: what has left the window is gone. */
export function advance(state: CounterState, window: CounterWindow, now: number): CounterState {
  const running = Object.fromEntries(Object.entries(state.running).filter(([, until]) => until > now));
  if (window === null) return { ...state, running };
  if ('start' in window) {
    if (window.start <= state.at) return { ...state, running };
    return { at: window.start, buckets: [], running };
  }
  const pieceMs = pieceOf(window.rollingMs);
  const at = Math.max(state.at, Math.floor(now / pieceMs) * pieceMs);
  const from = Math.max(now, at) - window.rollingMs;
  return { at, buckets: state.buckets.filter(([start]) => start + pieceMs > from), running };
}

const pieceOf = (rollingMs: number) => Math.ceil(rollingMs / BUCKETS);

export function usedOf(state: CounterState, limit: Limited): number {
  if (limit === 'concurrent') return Object.keys(state.running).length;
  return state.buckets.reduce((sum, bucket) => sum + bucket[INDEX[limit]], 0);
}

function overOf(state: CounterState, spend: CounterSpend, actionId: string): OverBudget | undefined {
  for (const limit of ['count', 'items', 'sum', 'concurrent'] as const) {
    const max = spend.limits[limit];
    if (max === null) continue;
    const needs = limit === 'concurrent' ? Number(!Object.hasOwn(state.running, actionId)) : spend.amounts[limit];
    const used = usedOf(state, limit);
    if (used + needs <= (spend.evenOver ? Number.MAX_SAFE_INTEGER : max)) continue;
    const { budget, counter, label } = spend;
    return {
      budget,
      counter,
      label,
      limit,
      used,
      max,
      needs,
      frees: freesAt(state, spend.window, limit, used + needs - max, needs > max),
    };
  }
  return undefined;
}

function freesAt(
  state: CounterState,
  window: CounterWindow,
  limit: Limited,
  tooMuch: number,
  never: boolean,
): number | null {
  if (never || window === null || limit === 'concurrent') return null;
  if ('end' in window) return window.end;
  let left = tooMuch;
  for (const bucket of state.buckets) {
    left -= bucket[INDEX[limit]];
    if (left <= 0) return bucket[0] + pieceOf(window.rollingMs) + window.rollingMs;
  }
  return null;
}

/** Why this call does not fit, without counting it. */
export function wouldBeOver(spend: Spend, load: (counter: string) => string | undefined): OverBudget | undefined {
  for (const each of spend.counters) {
    const over = overOf(advance(parseState(load(each.counter)), each.window, spend.now), each, spend.actionId);
    if (over) return over;
  }
  return undefined;
}

export interface CounterBook {
  /** Counts nothing. */
  judge(spend: Spend): OverBudget | undefined;
  /** After `judge` found nothing. */
  take(spend: Spend): void;
  settle(settle: Settle): void;
  /** What is to be written. */
  readonly counters: ReadonlyMap<string, CounterRow>;
  readonly spends: SpendRow[];
  /** Actions that have ended, whose spends are to be deleted. */
  readonly settled: ReadonlySet<string>;
}

/** `load` gives a counter's row as the transaction sees it, `spendsOf` what an action has counted. */
export function createCounterBook(
  load: (counter: string) => CounterRow | undefined,
  spendsOf: (actionId: string) => SpendRow[],
): CounterBook {
  const counters = new Map<string, CounterRow>();
  let spends: SpendRow[] = [];
  const settled = new Set<string>();
  const current = (counter: string) => counters.get(counter) ?? load(counter);

  return {
    counters,
    get spends() {
      return spends;
    },
    settled,
    judge: (spend) => wouldBeOver(spend, (counter) => current(counter)?.state),
    take({ actionId, now, counters: wanted }) {
      for (const spend of wanted) {
        const state = advance(parseState(current(spend.counter)?.state), spend.window, now);
        const { count, items, sum } = spend.amounts;
        if (spend.window !== null) addTo(state, count, items, sum);
        if (spend.limits.concurrent !== null) state.running[actionId] = spend.leaseUntil;
        const expires_at = Math.max(
          endOf(state, spend.window),
          ...Object.values(state.running),
          current(spend.counter)?.expires_at ?? 0,
        );
        const used = Math.max(
          0,
          ...(['count', 'items', 'sum', 'concurrent'] as const).map((limit) => share(state, limit, spend)),
        );
        const { counter: id, budget, label } = spend;
        counters.set(id, { id, budget, label, state: JSON.stringify(state), used, updated_at: now, expires_at });
        spends = spends.filter((row) => row.action_id !== actionId || row.counter !== id);
        spends.push({ action_id: actionId, counter: id, bucket: state.at, count, items, sum, expires_at });
      }
      settled.delete(actionId);
    },
    settle({ actionId, now, counters: named, giveBack: given, keep = false }) {
      const own = spends.filter((row) => row.action_id === actionId);
      const mine = own.length > 0 ? own : settled.has(actionId) ? [] : spendsOf(actionId);
      if (!keep) {
        spends = spends.filter((row) => row.action_id !== actionId);
        settled.add(actionId);
      }
      for (const row of mine) {
        const counter = named.includes(row.counter) ? current(row.counter) : undefined;
        if (!counter) continue;
        const giveBack = given.includes(row.counter);
        const state = parseState(counter.state);
        const bucket = state.buckets.find(([start]) => start === row.bucket);
        if (!giveBack && !Object.hasOwn(state.running, actionId)) continue;
        delete state.running[actionId];
        if (giveBack && bucket) {
          bucket[1] -= row.count;
          bucket[2] -= row.items;
          bucket[3] -= row.sum;
        }
        counters.set(row.counter, { ...counter, state: JSON.stringify(state), updated_at: now });
      }
    },
  };
}

function addTo(state: CounterState, count: number, items: number, sum: number): void {
  let last = state.buckets.at(-1);
  if (last?.[0] !== state.at) {
    last = [state.at, 0, 0, 0];
    state.buckets.push(last);
  }
  last[1] += count;
  last[2] += items;
  last[3] += sum;
}

function endOf(state: CounterState, window: CounterWindow): number {
  if (window === null) return 0;
  return 'end' in window ? window.end : state.at + pieceOf(window.rollingMs) + window.rollingMs;
}

function share(state: CounterState, limit: Limited, { limits }: CounterSpend): number {
  const max = limits[limit];
  return max === null ? 0 : Math.round((1_000 * usedOf(state, limit)) / Math.max(1, max));
}
