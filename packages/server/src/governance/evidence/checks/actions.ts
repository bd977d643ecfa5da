import type { ActionRecord } from '@gatehouse/protocol';
import { type Check, count, type Sources, verdict } from '../check.ts';

/** Whole records that are read, the newest of the period; the rest is counted. */
const READ_RECORDS = 1_000;
const HOUR_MS = 3_600_000;

const dispatches = ({ db, from, to }: Sources) =>
  db.selectFrom('records').where('kind', '=', 'dispatch').where('at', '>=', from).where('at', '<', to);

const newest = (sources: Sources) =>
  dispatches(sources).select(['log', 'sequence', 'entry']).orderBy('at', 'desc').limit(READ_RECORDS);

const parsed = (rows: { log: string; sequence: number; entry: string }[]) =>
  rows.map(({ log, sequence, entry }) => ({ log, sequence, record: JSON.parse(entry) as ActionRecord }));

const counted = (rows: { number: number | string | bigint }[]) => Number(rows[0]?.number ?? 0);

export const attributed: Check = {
  id: 'actions.attributed',
  claim:
    'Every call that was sent names its agent, its task, the chain of those who handed it on, and the policies that let it through.',
  async run(sources, ask) {
    const all = counted(await ask(dispatches(sources).select(({ fn }) => fn.countAll().as('number'))));
    const nobody = counted(
      await ask(
        dispatches(sources)
          .where((where) => where.or([where('agent', 'is', null), where('task', 'is', null)]))
          .select(({ fn }) => fn.countAll().as('number')),
      ),
    );
    const read = parsed(await ask(newest(sources)));
    const thin = read.filter(
      ({ record }) =>
        record.actor_chain.length === 0 || !record.decision?.policyVersion || record.decision.policies.length === 0,
    );
    return {
      ...verdict(
        { of: all, against: nobody + thin.length },
        {
          none: 'No call was sent in the period.',
          met: `${count(all, 'call')} sent, each by a named agent in a task; the newest ${read.length} were read, and each has its chain and policies.`,
          not: `${nobody} of ${count(all, 'call')} name no agent or task, and ${thin.length} of the newest ${read.length} no chain or policy.`,
        },
      ),
      figures: { sent: all, withoutAgentOrTask: nobody, read: read.length, withoutChainOrPolicy: thin.length },
      examples: thin.map(({ record }) => record.action_id),
      records: read.slice(0, 2).map(({ log, sequence }) => ({ log, sequence })),
    };
  },
};

export const decided: Check = {
  id: 'actions.decided',
  claim: 'Nothing is sent that was not permitted: what no policy permits is refused, and refusals are recorded.',
  async run(sources, ask) {
    const { db, from, to } = sources;
    const sent = await ask(
      dispatches(sources)
        .select(['effect', ({ fn }) => fn.countAll().as('number')])
        .groupBy('effect'),
    );
    const refused = counted(
      await ask(
        db
          .selectFrom('records')
          .where('kind', '=', 'request')
          .where('effect', '=', 'deny')
          .where('at', '>=', from)
          .where('at', '<', to)
          .select(({ fn }) => fn.countAll().as('number')),
      ),
    );
    const all = sent.reduce((sum, { number }) => sum + Number(number), 0);
    const against = sent
      .filter(({ effect }) => effect !== 'allow' && effect !== 'needs-approval')
      .reduce((sum, { number }) => sum + Number(number), 0);
    return {
      ...verdict(
        { of: all + refused, against },
        {
          none: 'Nothing was asked for in the period.',
          met: `${count(all, 'call')} sent, each on a permit; ${count(refused, 'call')} refused and recorded.`,
          not: `${count(against, 'call')} of ${all} were sent without a permit.`,
        },
      ),
      figures: { sent: all, refused, sentWithoutPermit: against },
    };
  },
};

export const closed: Check = {
  id: 'actions.closed',
  claim: 'What became of every call that was sent is on record, if only that nobody knows.',
  async run(sources, ask) {
    const { db, now } = sources;
    const open = await ask(
      dispatches(sources)
        .where('at', '<', now - HOUR_MS)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('records as outcomes')
                .whereRef('outcomes.action_id', '=', 'records.action_id')
                .where('outcomes.kind', '=', 'outcome')
                .select('outcomes.sequence'),
            ),
          ),
        )
        .select(['action_id'])
        .limit(READ_RECORDS),
    );
    const results = await ask(
      db
        .selectFrom('records')
        .where('kind', '=', 'outcome')
        .where('at', '>=', sources.from)
        .where('at', '<', sources.to)
        .select(['result', ({ fn }) => fn.countAll().as('number')])
        .groupBy('result'),
    );
    const all = results.reduce((sum, { number }) => sum + Number(number), 0);
    const unknown = Number(results.find(({ result }) => result === 'unknown')?.number ?? 0);
    return {
      ...verdict(
        { of: all, against: open.length },
        {
          none: 'No call ended in the period.',
          met: `${count(all, 'outcome')} recorded, ${unknown} of them as unknown.`,
          not: `${count(open.length, 'call')} of more than an hour ago have no outcome.`,
        },
      ),
      figures: { outcomes: all, unknown, open: open.length },
      examples: open.map(({ action_id }) => action_id),
    };
  },
};

export const separated: Check = {
  id: 'environments.separate',
  claim: 'Agents act in their own environment only, on tool servers of that environment.',
  async run(sources, ask) {
    const { agents, servers, environments } = sources.snapshot;
    const read = parsed(await ask(newest(sources)));
    const crossed = read.filter(({ record }) => {
      const agent = agents.get(record.agent ?? '');
      const server = servers.get((record.tool ?? '').split('/')[0] ?? '');
      return (
        (agent && agent.manifest.environment !== record.environment) ||
        (server && !server.manifest.environments.includes(record.environment ?? ''))
      );
    });
    const shared = [...servers.values()].filter(({ manifest }) => manifest.environments.length > 1);
    return {
      ...verdict(
        { of: read.length, against: crossed.length },
        {
          none: 'No call was sent in the period.',
          met: `None of the newest ${count(read.length, 'call')} crossed from one environment into another. There are ${environments.size}; ${count(shared.length, 'tool server')} in more than one.`,
          not: `${crossed.length} of the newest ${count(read.length, 'call')} crossed from one environment into another.`,
        },
      ),
      figures: {
        environments: environments.size,
        read: read.length,
        crossed: crossed.length,
        serversInSeveral: shared.length,
      },
      examples: crossed.length > 0 ? crossed.map(({ record }) => record.action_id) : shared.map(({ name }) => name),
    };
  },
};
