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
    const removals = await ask(
      db
        .selectFrom('removals')
        .where('removed_at', 'is not', null)
        .select(['rule', 'records', 'kept', 'recorded_log', 'recorded_sequence']),
    );
    const early = removals.filter(({ rule }) => daysIn(rule) * DAY_MS < KEPT_MS);
    const removed = removals.reduce((sum, each) => sum + Number(each.records) - Number(each.kept), 0);
    const oldest = Math.min(now, ...firsts.map(({ at }) => Number(at)));
    return {
      ...verdict(
        { of: firsts.length, against: cut.length + early.length },
        {
          none: 'There is no record.',
          met: `The oldest record is of ${day(oldest)}; nothing younger than six months was removed. Retention has removed ${count(removed, 'record')}.`,
          not: `${count(cut.length, 'log')} begin later than their first record, and ${count(early.length, 'removal')} took records that were younger than six months.`,
        },
      ),
      figures: { logs: logs.length, oldest: day(oldest), cut: cut.length, removed, removedEarly: early.length },
      examples: [...cut.map(({ id }) => id), ...(early.length > 0 ? early : removals).map(({ rule }) => rule)],
      records: (early.length > 0 ? early : removals)
        .slice(-2)
        .map(({ recorded_log: log, recorded_sequence: sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};

/** What the rule of a removal says, as it was recorded. */
const daysIn = (rule: string): number => Number(/^kept (\d+) days/.exec(rule)?.[1] ?? 0);
