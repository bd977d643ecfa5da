import { type Check, count, DAY_MS, verdict } from '../check.ts';

const REVIEWED_WITHIN_MS = 7 * DAY_MS;

export const emergencies: Check = {
  id: 'emergencies.reviewed',
  claim:
    'Each emergency in which calls ran without an approval was opened by two people, and looked at by a third within a week.',
  async run({ db, from, to, now }, ask) {
    const opened = await ask(
      db
        .selectFrom('records')
        .where('operation', '=', 'break-glass.open')
        .where('at', '>=', from)
        .where('at', '<', to)
        .select(['approval', 'at', 'log', 'sequence']),
    );
    const rows = await ask(
      db
        .selectFrom('break_glass')
        .where('until', 'is not', null)
        .select(['id', 'first_by', 'second_by', 'until', 'over_at', 'reviewed_by']),
    );
    const known = new Map(rows.map((row) => [row.id, row]));
    const problems = opened.flatMap(({ approval }) => {
      const row = known.get(approval ?? '');
      if (!row) return [`${approval}: it is on record, and gone`];
      const signers = [row.first_by, row.second_by];
      if (signers.includes(null) || signers[0] === signers[1]) return [`${row.id}: two people did not sign it`];
      if (row.reviewed_by !== null && signers.includes(row.reviewed_by))
        return [`${row.id}: looked at by who signed it`];
      const over = Number(row.over_at ?? row.until);
      return row.reviewed_by === null && over < now - REVIEWED_WITHIN_MS ? [`${row.id}: nobody has looked at it`] : [];
    });
    const reviewed = opened.filter(({ approval }) => known.get(approval ?? '')?.reviewed_by != null).length;
    return {
      ...verdict(
        { of: opened.length, against: problems.length },
        {
          none: 'There was no emergency in the period.',
          met: `${count(opened.length, 'emergency', 'emergencies')}, each opened by two people; ${reviewed} looked at since.`,
          not: `${count(problems.length, 'emergency', 'emergencies')} of ${opened.length} are not as they should be.`,
        },
      ),
      figures: { opened: opened.length, reviewed, problems: problems.length },
      examples: problems,
      records: opened.slice(0, 2).map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};

/** Behind this far a sink is not keeping up. */
const BEHIND = 10_000;

export const arriving: Check = {
  id: 'sinks.arriving',
  claim:
    'Records arrive where security works: no sink is far behind, none of them was refused for good or removed before it was sent.',
  async run({ db, ledger, snapshot }, ask) {
    const sinks = [...snapshot.sinks.keys()];
    const positions = await ask(db.selectFrom('sink_positions').select(['sink', 'log', 'sequence', 'missed']));
    const refused = await ask(
      db
        .selectFrom('sink_quarantine')
        .select(['sink', ({ fn }) => fn.countAll().as('number')])
        .groupBy('sink'),
    );
    const sizes = new Map((await ledger.logs()).map(({ id, size }) => [id, size]));
    const behind = positions
      .filter(({ sink }) => snapshot.sinks.has(sink))
      .map(({ sink, log, sequence }) => ({ sink, records: (sizes.get(log) ?? 0) - Number(sequence) }))
      .filter(({ records }) => records > BEHIND);
    const missed = positions.filter(({ sink, missed }) => snapshot.sinks.has(sink) && Number(missed) > 0);
    const aside = refused.filter(({ sink }) => snapshot.sinks.has(sink));
    return {
      ...verdict(
        { of: sinks.length, against: behind.length + aside.length + missed.length },
        {
          none: 'No sink is declared: records stay here, and other systems see none of them.',
          met: `${count(sinks.length, 'sink')}, none more than ${BEHIND} records behind, nothing refused or missed.`,
          not: `${count(behind.length, 'sink')} far behind, ${aside.length} with records that were refused for good, ${missed.length} with records that were removed before they were sent.`,
        },
      ),
      figures: { sinks: sinks.length, farBehind: behind.length, withRefused: aside.length, withMissed: missed.length },
      examples: [
        ...behind.map(({ sink, records }) => `${sink}: ${records} records behind`),
        ...aside.map(({ sink, number }) => `${sink}: ${Number(number)} records refused`),
        ...missed.map(
          ({ sink, log, missed: number }) =>
            `${sink}: ${Number(number)} records of ${log} removed before they were sent`,
        ),
      ],
    };
  },
};
