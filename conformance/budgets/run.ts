import { seeded } from '../../test/chaos/random.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import { openInProcess } from './in-process.ts';
import { judge, type Race } from './judge.ts';
import { scenarios } from './scenarios.ts';
import { openServers } from './servers.ts';

export const modes = ['one after the other', '64 at once', '3 replicas', 'kill -9 and restart'] as const;
export type Mode = (typeof modes)[number];

/** What one kind of race of one scenario came to. */
export interface Row {
  scenario: string;
  mode: Mode;
  races: number;
  violations: number;
  done: number;
  permitted: number;
  perReplica: number;
  alone: number;
}

const REPLICAS = 3;
const HALF_AN_HOUR_MS = 1_800_000;
/** Days of all zones begin at such moments. */
const today = () => Math.floor(Date.now() / HALF_AN_HOUR_MS);

/** `races` of each mode, spread over the scenarios. Without PostgreSQL those of several servers are left out. */
export async function runRaces(
  races: Record<Mode, number>,
  seed: number,
  progress: (mode: Mode, done: number, of: number) => void = () => {},
): Promise<{ rows: Row[]; postgres: boolean }> {
  const rows = new Map<string, Row>();
  const random = seeded(seed);
  let account = 0;
  const next = () => `${seed}-${++account}`;
  const enter = (mode: Mode, race: Race) => {
    const { scenario } = race;
    const key = `${scenario.name} ${mode}`;
    const empty = { races: 0, violations: 0, done: 0, permitted: 0, perReplica: 0, alone: 0 };
    const row = rows.get(key) ?? { scenario: scenario.name, mode, ...empty };
    const verdict = judge(race);
    row.races++;
    row.violations += Number(verdict.isViolated);
    row.done += verdict.done;
    row.permitted += verdict.permitted;
    row.perReplica += Number(verdict.perReplica);
    row.alone += Number(verdict.alone);
    rows.set(key, row);
  };
  async function each(mode: Mode, run: (at: number) => Promise<Race[]>): Promise<void> {
    for (let done = 0; done < races[mode]; ) {
      const day = today();
      const judged = await run(done);
      // A budget that began again in the middle is none that was passed.
      if (today() !== day) continue;
      for (const race of judged) enter(mode, race);
      done += judged.length;
      progress(mode, done, races[mode]);
    }
  }
  const scenarioAt = (at: number) => scenarios[at % scenarios.length] as (typeof scenarios)[number];

  if (races['one after the other'] + races['64 at once'] > 0) {
    const house = await openInProcess();
    try {
      await each('64 at once', () =>
        Promise.all(scenarios.map((scenario) => house.race(scenario, next(), true, random))),
      );
      await each('one after the other', async (at) => [await house.race(scenarioAt(at), next(), false, random)]);
    } finally {
      await house.close();
    }
  }
  if (races['3 replicas'] + races['kill -9 and restart'] === 0) return { rows: [...rows.values()], postgres: true };
  const postgres = await startPostgres();
  if (!postgres) return { rows: [...rows.values()], postgres: false };
  const database = await postgres.createDatabase();
  const servers = await openServers(database.url, REPLICAS);
  try {
    await each('3 replicas', () => servers.races(scenarios, next(), random));
    await each('kill -9 and restart', () => servers.racesAcrossKill(scenarios, next(), random));
  } finally {
    await servers.close();
    await database.drop();
    await postgres.close();
  }
  return { rows: [...rows.values()], postgres: true };
}
