import type { Removal } from '@gatehouse/verifier';
import { type Check, count, DAY_MS, day, verdict } from '../check.ts';

export const intact: Check = {
  id: 'log.intact',
  claim: 'The record is whole: recomputed from its entries, every log is the one that was signed.',
  async run({ ledger }) {
    const { ok, size, problem, logs } = await ledger.verifyAll();
    const removed = logs.reduce((sum, log) => sum + log.removed, 0);
    const gone = removed > 0 ? `, ${removed} of them removed by retention, as the log says` : '';
    const broken = logs.filter((log) => !log.ok).map((log) => `${log.id}: ${log.problem}`);
    const problems = ok || broken.length > 0 ? broken : [String(problem)];
    return {
      ...verdict(
        { of: logs.length, against: problems.length },
        {
          none: 'There is no log.',
          met: `${count(size, 'record')} in ${count(logs.length, 'log')}, all as they were signed${gone}.`,
          not: `${count(logs.length, 'log')}, and the record is not as it was signed: ${problems[0]}.`,
        },
      ),
      figures: { logs: logs.length, records: size, broken: problems.length, removed },
      examples: problems.length > 0 ? problems : logs.map(({ id, size: own }) => `${id}: ${own}`),
    };
  },
};

/** EU AI Act articles 19(1) and 26(6); others ask for more, and say so in their own rows. */
const KEPT_MS = 183 * DAY_MS;

export const kept: Check = {
  id: 'log.kept',
  claim:
    'Records are kept for six months at least: each log is there from its first record on, and retention removes none that is younger.',
  async run({ db, ledger, now }, ask) {
    const logs = await ledger.logs();
    const firsts = await ask(
      db
        .selectFrom('logs')
        .innerJoin('records', (join) =>
          join.onRef('records.log', '=', 'logs.id').on(({ eb, selectFrom }) =>
            eb(
              'records.sequence',
              '=',
              selectFrom('records as own')
                .whereRef('own.log', '=', 'logs.id')
                .select(({ fn }) => fn.min('own.sequence').as('first')),
            ),
          ),
        )
        .select(['records.log', 'records.sequence as first', 'records.at']),
    );
    const cut = logs.filter(({ id, size }) => {
      const own = firsts.find(({ log }) => log === id);
      return size > 0 && (!own || (Number(own.first) !== 0 && Number(own.at) > now - KEPT_MS));
    });
    // By what the logs say: the tables beside them prove nothing.
    const { ok, problem, logs: verified } = await ledger.verifyAll();
    const removals = verified.flatMap((log) => log.removals);
    const short = removals.filter(({ rule }) => daysIn(rule) * DAY_MS < KEPT_MS);
    const early: Removal[] = [];
    for (const removal of short) if (await isDone(removal)) early.push(removal);
    const removed = verified.reduce((sum, log) => sum + log.removed, 0);
    const oldest = Math.min(now, ...firsts.map(({ at }) => Number(at)));
    return {
      ...verdict(
        { of: firsts.length, against: cut.length + early.length + (ok ? 0 : 1) },
        {
          none: 'There is no record.',
          met: `The oldest record is of ${day(oldest)}; nothing younger than six months was removed. Retention has removed ${count(removed, 'record')}.`,
          not:
            !ok && cut.length + early.length === 0
              ? `What is gone can’t be told, as the record is not as it was signed: ${problem}.`
              : `${count(cut.length, 'log')} begin later than their first record, and ${count(early.length, 'removal')} took records that were younger than six months.`,
        },
      ),
      figures: { logs: logs.length, oldest: day(oldest), cut: cut.length, removed, removedEarly: early.length },
      examples: [...cut.map(({ id }) => id), ...(early.length > 0 ? early : removals).map(({ rule }) => rule)],
      records: (early.length > 0 ? early : removals).slice(-2).map(({ by }) => ({ log: by.log, sequence: by.index })),
    };

    /** A hold may have come between a removal and its record. */
    async function isDone({ log, ranges }: Removal): Promise<boolean> {
      const gone = await db
        .selectFrom('records')
        .select('sequence')
        .where('log', '=', log)
        .where('sequence', '>=', ranges[0]?.[0] ?? 0)
        .where('sequence', '<', ranges.at(-1)?.[1] ?? 0)
        .where('entry', '=', '')
        .execute();
      return gone.some(({ sequence }) => ranges.some(([from, to]) => sequence >= from && sequence < to));
    }
  },
};

/** What the rule of a removal says, as it was recorded. */
const daysIn = (rule: string): number => Number(/^kept (\d+) days/.exec(rule)?.[1] ?? 0);
