import type { Approval } from '@gatehouse/protocol';
import { sql } from 'kysely';
import { type Ask, type Check, count, type Sources, verdict } from '../check.ts';

/** Approvals that are read and verified, the newest of the period; the rest is counted. */
const READ_APPROVALS = 1_000;

const used = ({ db, from, to }: Sources) =>
  db
    .selectFrom('records')
    .where('kind', '=', 'dispatch')
    .where('effect', '=', 'needs-approval')
    .where('at', '>=', from)
    .where('at', '<', to);

/**
 * What a call of these effects runs on, and the record that it was given: one yes, a standing grant, or two people in an emergency. Word for
 * word as in the index of them: as parameters they would not be found by it, and each call would be compared with every record before it.
 */
const isGiven = sql<boolean>`answers.operation in ('approval.approve', 'grant.give', 'break-glass.open')`;

export const given: Check = {
  id: 'approvals.given',
  claim: 'No call that a person had to approve was sent before one had, and each yes to one call was used once.',
  async run(sources, ask) {
    const all = await ask(used(sources).select(({ fn }) => fn.countAll().as('number')));
    const without = await ask(
      used(sources)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('records as answers')
                .whereRef('answers.approval', '=', 'records.approval')
                .where(isGiven)
                .whereRef('answers.at', '<=', 'records.at')
                .select('answers.sequence'),
            ),
          ),
        )
        .select(['action_id'])
        .limit(READ_APPROVALS),
    );
    const twice = await ask(
      used(sources)
        .where('approval', 'like', 'apr%')
        .select(['approval', ({ fn }) => fn.countAll().as('number')])
        .groupBy('approval')
        .having(({ fn }) => fn.countAll(), '>', 1)
        .limit(READ_APPROVALS),
    );
    const wider = await ask(
      used(sources)
        .where((where) => where.or([where('approval', 'like', 'grn%'), where('approval', 'like', 'brk%')]))
        .select(['approval', ({ fn }) => fn.countAll().as('number')])
        .groupBy('approval')
        .limit(READ_APPROVALS),
    );
    const rows = await ask(used(sources).select(['log', 'sequence']).orderBy('at', 'desc').limit(2));
    const of = Number(all[0]?.number ?? 0);
    const callsIn = (prefix: string) =>
      wider.reduce((sum, { approval, number }) => sum + (approval?.startsWith(prefix) ? Number(number) : 0), 0);
    const [granted, emergencies] = [callsIn('grn'), callsIn('brk')];
    return {
      ...verdict(
        { of, against: without.length + twice.length },
        {
          none: 'Nothing that needs approval was sent in the period.',
          met: `${count(of, 'call')} that needed approval were sent, each after the record of the yes that it ran on: ${of - granted - emergencies} on a yes of their own, ${granted} on a standing grant, ${emergencies} in an emergency.`,
          not: `Sent without a recorded yes: ${count(without.length, 'call')}; used more than once: ${count(twice.length, 'approval')}.`,
        },
      ),
      figures: {
        sent: of,
        byGrant: granted,
        inEmergency: emergencies,
        withoutYes: without.length,
        usedTwice: twice.length,
      },
      examples: [...without.map(({ action_id }) => action_id), ...twice.map(({ approval }) => String(approval))],
      records: rows.map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};

/** What was said yes to, on record in the period: approvals that are gone since are missed. */
async function approved(sources: Sources, ask: Ask) {
  const { db, from, to } = sources;
  const rows = await ask(
    db
      .selectFrom('records')
      .where('operation', '=', 'approval.approve')
      .where('at', '>=', from)
      .where('at', '<', to)
      .where('approval', 'is not', null)
      .select(['approval', 'log', 'sequence', 'entry'])
      .orderBy('at', 'desc')
      .limit(READ_APPROVALS),
  );
  const ids = [...new Set(rows.map(({ approval }) => String(approval)))];
  const inspected = await sources.approvals.inspect(ids);
  const missing = ids.filter((id) => !inspected.some(({ approval }) => approval.id === id));
  return { rows, ids, inspected, missing };
}

/** Everybody whose yes an approval has, each once. */
const yesesOf = ({ votes, decidedBy }: Approval): { person: string; channel?: string }[] => {
  const yes = votes.filter(({ answer }) => answer === 'yes');
  return yes.length > 0 ? yes : [{ person: decidedBy ?? '' }];
};

/** Fewer people than its rules ask for: somebody's answer is gone. */
function tooFew(approval: Approval): string | null {
  const people = new Set(yesesOf(approval).map(({ person }) => person)).size;
  const needed = Math.max(
    1,
    ...(approval.rules ?? []).map(({ steps }) => steps.reduce((sum, { approve }) => sum + approve, 0)),
  );
  return people < needed ? `${people} of ${needed} yeses are there` : null;
}

export const signed: Check = {
  id: 'approvals.signed',
  claim:
    'Each yes still verifies: a passkey’s signature over exactly the action that it let through, or, where a rule accepts that, what a channel verified; and all that its rules ask for are there.',
  async run(sources, ask) {
    const { rows, ids, inspected, missing } = await approved(sources, ask);
    const broken = inspected.flatMap(({ approval, problem }) => {
      const why = problem ?? tooFew(approval);
      return why === null ? [] : [`${approval.id}: ${why}`];
    });
    const yeses = inspected.flatMap(({ approval }) => yesesOf(approval));
    const inChannels = yeses.filter(({ channel }) => channel !== undefined).length;
    return {
      ...verdict(
        { of: ids.length, against: broken.length + missing.length },
        {
          none: 'Nothing was approved in the period.',
          met: `${count(ids.length, 'approval')} verified: ${count(yeses.length - inChannels, 'yes', 'yeses')} by passkey, ${inChannels} in a channel.`,
          not: `${count(broken.length, 'approval')} do not verify, and ${missing.length} on record are gone.`,
        },
      ),
      figures: {
        verified: inspected.length - broken.length,
        byPasskey: yeses.length - inChannels,
        inChannels,
        broken: broken.length,
        missing: missing.length,
      },
      examples: [...broken, ...missing],
      records: rows.slice(0, 2).map(({ log, sequence }) => ({ log, sequence: Number(sequence) })),
    };
  },
};

export const byOthers: Check = {
  id: 'approvals.by-others',
  claim: 'Nobody approved what they had asked for themselves, or what was done for them; and only people approved.',
  async run(sources, ask) {
    const { inspected, ids } = await approved(sources, ask);
    const own = inspected.flatMap(({ approval }) => {
      const { requestedBy, onBehalfOf, delegated } = approval;
      const wants = [requestedBy, onBehalfOf, delegated?.user ?? null].filter((each) => each !== null);
      const isOwn = (person: string) =>
        !person.includes('@') || wants.some((each) => each.toLowerCase().includes(person.toLowerCase()));
      return yesesOf(approval)
        .filter(({ person }) => isOwn(person))
        .map(({ person }) => `${approval.id} by ${person || 'nobody'}`);
    });
    const people = new Set(inspected.flatMap(({ approval }) => yesesOf(approval).map(({ person }) => person)));
    return {
      ...verdict(
        { of: ids.length, against: own.length },
        {
          none: 'Nothing was approved in the period.',
          met: `${count(inspected.length, 'approval')} by ${count(people.size, 'person', 'people')}, none of them by who had asked.`,
          not: `${count(own.length, 'yes', 'yeses')} by who had asked, or by nobody who could be named.`,
        },
      ),
      figures: { approvals: inspected.length, people: people.size, byRequester: own.length },
      examples: own,
    };
  },
};

/** Below this share of the answers, and with this many, a person is said to answer without looking. */
const QUICK_MS = 5_000;
const ENOUGH = 20;

export const considered: Check = {
  id: 'approvals.considered',
  claim: 'People look before they approve: nobody says yes to everything within seconds.',
  async run(sources, ask) {
    const { db, from, to } = sources;
    const rows = await ask(
      db
        .selectFrom('approvals')
        .where('decided_at', '>=', from)
        .where('decided_at', '<', to)
        .where('decided_by', 'like', '%@%')
        .where('state', 'in', ['approved', 'denied', 'consumed'])
        .select(['decided_by', 'state', 'created_at', 'decided_at']),
    );
    const took = rows
      .map(({ created_at, decided_at }) => Number(decided_at) - Number(created_at))
      .sort((a, b) => a - b);
    const median = took[Math.floor(took.length / 2)];
    const denied = rows.filter(({ state }) => state === 'denied').length;
    const hasty = [...Map.groupBy(rows, ({ decided_by }) => decided_by)].flatMap(([person, own]) => {
      const quick = own.filter((each) => Number(each.decided_at) - Number(each.created_at) < QUICK_MS).length;
      const isHasty = own.length >= ENOUGH && quick > own.length / 2 && own.every(({ state }) => state !== 'denied');
      return isHasty ? [`${person}: ${own.length} answers, all yes, ${quick} of them within 5 seconds`] : [];
    });
    const seconds = median === undefined ? null : Math.round(median / 1_000);
    return {
      ...verdict(
        { of: rows.length, against: hasty.length },
        {
          none: 'Nobody answered anything in the period.',
          met: `${count(rows.length, 'answer')}, ${denied} of them no; half took longer than ${count(seconds ?? 0, 'second')}.`,
          not: `${count(hasty.length, 'person', 'people')} said yes to everything, mostly within 5 seconds.`,
        },
      ),
      figures: { answers: rows.length, denied, medianSeconds: seconds },
      examples: hasty,
    };
  },
};
