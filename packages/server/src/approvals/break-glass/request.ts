import { type BreakGlassRequest, type BreakGlassSubject, breakGlassLimits } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError, newId } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import type { Moves } from './moves.ts';
import { type BreakGlassRow, digestOf, sealedBreakGlass, stateOf, subjectIn } from './rows.ts';
import type { BreakGlassDependencies } from './types.ts';

/** Incidents as most systems number them, where an environment does not say. */
const INCIDENT = /^[A-Za-z][A-Za-z0-9]{0,19}-?[0-9]{1,12}$/;
const HOUR_MS = 3_600_000;

/** Somebody asks that the glass be broken: for a task that runs, under an incident, for minutes and for named tools. */
export function createRequests({
  storage,
  registry,
  sealer,
  clock,
  moved,
  settingsOf,
}: Pick<BreakGlassDependencies, 'storage' | 'registry' | 'sealer' | 'clock'> & Pick<Moves, 'moved' | 'settingsOf'>) {
  /** Each request is told to many: a task has one at a time, and nobody makes many. */
  async function requireFew(transaction: DatabaseTransaction, task: string, by: string): Promise<void> {
    const now = clock.now();
    const rows = await transaction
      .selectFrom('break_glass')
      .selectAll()
      .where((where) => where.or([where('task', '=', task), where('requested_at', '>', now - HOUR_MS)]))
      .execute();
    const waits = rows.find((row) => row.task === task && ['asked', 'signed', 'open'].includes(stateOf(row, now)));
    if (waits)
      throw new GatehouseError(
        'conflict',
        'break-glass.asked-already',
        `For this task there is ${waits.id} already. Sign or end that one.`,
      );
    const own = rows.filter((row) => row.requested_at > now - HOUR_MS && subjectIn(row).requestedBy === by);
    if (own.length >= breakGlassLimits.perPersonAndHour)
      throw new GatehouseError(
        'too-many',
        'break-glass.too-many',
        `You have asked for this ${own.length} times within an hour. Let somebody else ask.`,
      );
  }

  return function request(
    { task: id, tools, incident, reason, seconds }: BreakGlassRequest,
    by: string,
  ): Promise<BreakGlassRow> {
    return storage.transaction(async (transaction) => {
      const task = await transaction.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
      if (task?.state !== 'active')
        throw new GatehouseError('not-found', 'break-glass.no-task', `There is no running task "${id}".`);
      const settings = settingsOf(task.environment);
      await requireFew(transaction, id, by);
      const isNumber = settings
        ? incident.startsWith(settings.incidentPrefix) &&
          /^[A-Za-z0-9-]{1,20}$/.test(incident.slice(settings.incidentPrefix.length))
        : INCIDENT.test(incident);
      if (!isNumber)
        throw new GatehouseError(
          'bad-request',
          'break-glass.incident',
          `"${incident}" is no number of an incident here: it is one like ${settings ? `${settings.incidentPrefix}1234` : 'INC-1234'}.`,
        );
      if (seconds > (settings?.maxSeconds ?? breakGlassLimits.seconds))
        throw new GatehouseError(
          'bad-request',
          'break-glass.too-long',
          `Here the glass is broken for at most ${settings?.maxSeconds} s.`,
        );
      const { servers } = registry.snapshot();
      for (const tool of tools) {
        const [server = '', name = ''] = tool.split('/');
        const tier = servers.get(server)?.tools.get(name)?.tier;
        if (tier === undefined || tier === 4)
          throw new GatehouseError(
            'bad-request',
            'break-glass.tool',
            tier === 4 ? `${tool} is tier 4: no emergency allows it.` : `There is no tool "${tool}".`,
          );
      }
      const agent = await transaction
        .selectFrom('agents')
        .select(['epoch'])
        .where('name', '=', task.agent)
        .executeTakeFirstOrThrow();
      const requestedAt = clock.now();
      const subject: BreakGlassSubject = {
        id: newId('brk', requestedAt),
        agent: task.agent,
        agentEpoch: agent.epoch,
        task: id,
        tools: [...new Set(tools)].sort(),
        incident,
        reason,
        seconds,
        requestedBy: by,
        requestedAt,
      };
      const row: BreakGlassRow = {
        id: subject.id,
        agent: subject.agent,
        task: id,
        subject: canonicalJson(subject),
        digest: digestOf(subject),
        requested_at: requestedAt,
        first_by: null,
        first_assertion: null,
        second_by: null,
        second_assertion: null,
        until: null,
        ended_at: null,
        ended_by: null,
        over_at: null,
        reviewed_by: null,
        reviewed_at: null,
        review: null,
        seal: null,
      };
      await transaction.insertInto('break_glass').values(sealedBreakGlass(row, sealer)).execute();
      await moved(transaction, row, 'request', by);
      return row;
    });
  };
}
