import type { Clock, Log } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { keepingLimits as limits } from './limits.ts';
import { recordOf } from './walk.ts';

/** Says why what does not come back may not be removed by the clock of this server now; null: nothing speaks against it. */
export type ClockDoubt = () => Promise<string | null>;

/**
 * Asks the clock of the database as well, and what every log was signed with last: a server whose clock is wrong would take young records for
 * old ones. One that is behind would stop where another, or itself before, was ahead.
 */
export function createClockDoubt(deps: {
  storage: Pick<Storage, 'db'>;
  clock: Clock;
  databaseNow(): Promise<number>;
  log: Log;
}): ClockDoubt {
  const { storage, clock, log } = deps;
  let last: { doubt: string | null; until: number } | undefined;

  async function look(): Promise<string | null> {
    const before = clock.now();
    const there = await deps.databaseNow();
    const after = clock.now();
    const apart = there < before ? before - there : Math.max(0, there - after);
    if (apart > limits.clocksApartMs)
      return `the clocks of this server and of the database differ by ${span(apart)} (${time(after)} here, ${time(there)} there)`;
    for (const { id } of await storage.db.selectFrom('logs').select('id').orderBy('id').execute()) {
      const newest = await storage.db
        .selectFrom('records')
        .select(['sequence', 'entry'])
        .where('log', '=', id)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      const signed = Date.parse((newest && recordOf(newest.entry)?.time) ?? '');
      if (signed > clock.now() + limits.clocksApartMs)
        return `record ${newest?.sequence} of ${id}, the newest there, is of ${time(signed)}, and the clock of this server says ${time(clock.now())}`;
    }
    return null;
  }

  return async () => {
    // By its own time, and not by that of the clock which is in question.
    if (last && performance.now() < last.until) return last.doubt;
    const doubt = await look();
    if (doubt !== null && !last?.doubt) log.error('ALARM: nothing is removed by its age', { doubt });
    last = { doubt, until: performance.now() + limits.clocksComparedMs };
    return doubt;
  };
}

const time = (at: number) => new Date(at).toISOString();
const span = (ms: number) =>
  ms < 7_200_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / 3_600_000)} hours`;
