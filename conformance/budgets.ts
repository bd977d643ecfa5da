import { table } from '../bench/measure.ts';
import { type Mode, modes, type Row, runRaces } from './budgets/run.ts';
import type { Part } from './part.ts';

/** Of all races, how many are of each mode; a kill takes seconds, and gives a race of each scenario. */
const shares: Record<Mode, number> = {
  '64 at once': 0.7,
  'one after the other': 0.1,
  '3 replicas': 0.19,
  'kill -9 and restart': 0.01,
};

const KILLED: Mode = 'kill -9 and restart';

/**
 * Budgets under races (S1c): many calls that may each be made, and together not. `--runs N` races in all, with `--seed N`. Fails when the
 * effects of one race are more than its budget, or less than 95 % of the permitted work is done.
 */
export const budgets: Part = {
  heading: 'Budgets under races (S1c)',
  async run({ runs = '10000', seed = String(Date.now() % 1_000_000) }) {
    const started = Date.now();
    const races = Object.fromEntries(modes.map((mode) => [mode, Math.ceil(Number(runs) * shares[mode])])) as Record<
      Mode,
      number
    >;
    const { rows, postgres } = await runRaces(races, Number(seed), progress);
    if (!postgres)
      throw new Error(
        'There is no PostgreSQL here, without which there are no replicas. Install it, and run this again.',
      );
    const all = sumOf('all', rows);
    const byMode = modes.map((mode) =>
      sumOf(
        mode,
        rows.filter((row) => row.mode === mode),
      ),
    );
    const byScenario = [...Map.groupBy(rows, ({ scenario }) => scenario)].map(([name, own]) => sumOf(name, own));
    const minutes = ((Date.now() - started) / 60_000).toFixed(1);
    return {
      versions: `--runs ${runs} --seed ${seed}, ${minutes} minutes`,
      text: `Each race: 64 calls on one account, from eight tasks of four agents, and three on another account that is far from its limit. Judged by what reached the
tool. "Permitted work": what one counter lets through that is asked about the same calls in turn; what a
killed server had recorded and not yet sent stays counted, since nobody knows, and is work not done. Beside it, on the same calls: what a counter in the
memory of each replica would have let through, and rules that see each call alone.

${table(
  [
    '',
    'races',
    'violations',
    'permitted work done',
    'violated with a counter per replica',
    'violated with each call alone',
  ],
  [...byMode, ...byScenario, all].map((row) => [
    row.name,
    row.races,
    row.violations,
    percent(row.done, row.permitted),
    percent(row.perReplica, row.races),
    percent(row.alone, row.races),
  ]),
)}`,
      failing: [...byMode, ...byScenario, all].flatMap((row) => [
        ...(row.violations > 0 ? [`${row.name}: ${row.violations} of ${row.races} races passed their budget`] : []),
        ...(row.done < 0.95 * row.permitted && row.name !== KILLED
          ? [`${row.name}: ${percent(row.done, row.permitted)} of the permitted work was done`]
          : []),
      ]),
      rows,
    };
  },
};

function sumOf(name: string, rows: Row[]) {
  const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    name,
    races: sum((row) => row.races),
    violations: sum((row) => row.violations),
    done: sum((row) => row.done),
    permitted: sum((row) => row.permitted),
    perReplica: sum((row) => row.perReplica),
    alone: sum((row) => row.alone),
  };
}

const percent = (part: number, whole: number) => `${whole === 0 ? '–' : ((100 * part) / whole).toFixed(1)} %`;

function progress(mode: Mode, done: number, of: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${mode}: ${done} of ${of}${done >= of ? '\n' : ''}`);
}
