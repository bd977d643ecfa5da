import {
  type BreakGlass,
  type BreakGlassRequest,
  type BreakGlassSubject,
  breakGlassLimits,
  type Decision,
} from '@gatehouse/protocol';
import type { PasskeyVerification } from '../../identity/index.ts';
import {
  type Clock,
  canonicalJson,
  digestJson,
  GatehouseError,
  type Json,
  type Log,
  newId,
} from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Change, DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { signedOf } from '../signed.ts';
import type { ApprovalSubject } from '../types.ts';
import { names } from '../who-may.ts';
import {
  type BreakGlassRow,
  challengeOf,
  digestOf,
  type HeldBreakGlass,
  MAY_SIGN,
  readBreakGlass,
  sealedBreakGlass,
  sealProblem,
  stateOf,
  subjectIn,
  toBreakGlass,
} from './rows.ts';

export interface BreakGlassDependencies {
  storage: Storage;
  registry: { snapshot(): Pick<Snapshot, 'people' | 'agents' | 'servers' | 'environments'> };
  people: PasskeyVerification;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  publicUrl: string;
  tell?: { onBreakGlass?(transaction: DatabaseTransaction, glass: BreakGlass): Promise<void> } | undefined;
}

/** In an emergency two people let one task use named tools without an approval, for minutes, under an incident. Somebody looks at it afterwards. */
export interface BreakGlasses {
  load(): Promise<void>;
  refresh(changes: readonly Change[]): Promise<void>;
  /** One that this call may run on. From memory. */
  find(of: { subject: ApprovalSubject; decision: Decision }): HeldBreakGlass | undefined;
  /** Says loudly that a call has run on it. */
  noteUse(of: HeldBreakGlass, tool: string, actionId: string): void;
  list(): Promise<BreakGlass[]>;
  get(id: string): Promise<BreakGlass>;
  request(request: BreakGlassRequest, by: string): Promise<BreakGlass>;
  options(id: string, person: string): Promise<{ options: Json; until: number | null }>;
  sign(id: string, person: string, assertion: Json, until: number | null): Promise<BreakGlass>;
  end(id: string, by: string): Promise<BreakGlass>;
  review(id: string, by: string, note: string): Promise<BreakGlass>;
  /** Part of kill and task end. */
  endAll(transaction: DatabaseTransaction, of: { agent?: string; task?: string }, by: string): Promise<void>;
  /** Puts on record that the time of one is over. Called by a timer. */
  sweep(): Promise<void>;
}

/** Incidents as most systems number them, where an environment does not say. */
const INCIDENT = /^[A-Za-z][A-Za-z0-9]{0,19}-?[0-9]{1,12}$/;
const SIGNED_WITHIN_MS = 5 * 60_000;
const LISTED = 100;
const HOUR_MS = 3_600_000;
const reviewed = () => new GatehouseError('conflict', 'break-glass.reviewed', 'It is reviewed already.');

export function createBreakGlass(deps: BreakGlassDependencies): BreakGlasses {
  const { storage, registry, people, recordChange, clock, log, sealer } = deps;
  const { origin } = new URL(deps.publicUrl);
  const held = new Map<string, HeldBreakGlass>();

  function remember(row: BreakGlassRow): void {
    held.delete(row.id);
    if (stateOf(row, clock.now()) !== 'open') return;
    const read = readBreakGlass(row, { origin, sealer });
    if ('problem' in read)
      log.error('a break-glass grant in the database is not what was signed; nothing runs on it', {
        breakGlass: row.id,
        problem: read.problem,
      });
    else held.set(row.id, read);
  }

  const show = (row: BreakGlassRow) => toBreakGlass(row, clock.now());

  async function rowOf(id: string, database: Storage['db'] | DatabaseTransaction = storage.db): Promise<BreakGlassRow> {
    const row = await database.selectFrom('break_glass').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new GatehouseError('not-found', 'break-glass.unknown', `There is no break-glass request "${id}".`);
    return row;
  }

  /** Records a move, announces it, and tells people where they are. */
  async function moved(
    transaction: DatabaseTransaction,
    row: BreakGlassRow,
    operation: string,
    by: string,
    more: string[] = [],
  ) {
    const { incident, tools, reason } = subjectIn(row);
    await recordChange(transaction, {
      operation: `break-glass.${operation}`,
      by,
      agent: row.agent,
      task: row.task,
      approval: row.id,
      changes: [`BREAK-GLASS ${incident}: ${operation}`, `tools ${tools.join(', ')}`, `digest ${row.digest}`, ...more],
      detail: reason.slice(0, 500),
    });
    await storage.announce(transaction, 'approval', row.id, clock.now());
    await deps.tell?.onBreakGlass?.(transaction, show(row));
    log.warn(`BREAK-GLASS ${operation}: ${incident}`, { breakGlass: row.id, agent: row.agent, task: row.task, by });
  }

  function settingsOf(environment: string) {
    const settings = registry.snapshot().environments.get(environment)?.breakGlass;
    if (settings === 'off')
      throw new GatehouseError(
        'forbidden',
        'break-glass.off',
        `In "${environment}" the glass is not broken: an operator has switched it off.`,
      );
    return settings;
  }

  /** Everything that must hold for a signature but the passkey; who signs first, if that is not this person. */
  async function examine(database: Storage['db'] | DatabaseTransaction, id: string, person: string) {
    const row = await rowOf(id, database);
    const subject = subjectIn(row);
    const refuse = (code: string, words: string) => new GatehouseError('forbidden', code, words);
    const signer = registry.snapshot().people.get(person);
    if (!signer?.roles.some((role) => MAY_SIGN.includes(role)))
      throw refuse('break-glass.not-signer', 'Approvers, security and admins sign this. Ask two of them.');
    const task = await database.selectFrom('tasks').selectAll().where('id', '=', row.task).executeTakeFirst();
    const wants = (email: string) =>
      [subject.requestedBy, task?.requested_by, task?.on_behalf_of, task?.user_email].some((each) =>
        names(each ?? null, email),
      );
    if (wants(person))
      throw refuse(
        'break-glass.requester',
        'You have asked for this, or the task is yours, so that two others sign it.',
      );
    if (row.first_by === person)
      throw refuse('break-glass.same-person', 'You have signed this. A second person has to.');
    const state = stateOf(row, clock.now());
    if (state !== 'asked' && state !== 'signed')
      throw new GatehouseError(
        'conflict',
        'break-glass.decided',
        `This is ${state}; it can't be signed. Ask again if it is still needed.`,
      );
    if (task) settingsOf(task.environment);
    const agent = await database.selectFrom('agents').selectAll().where('name', '=', row.agent).executeTakeFirst();
    if (
      agent?.state !== 'active' ||
      agent.epoch !== subject.agentEpoch ||
      task?.state !== 'active' ||
      task.suspended !== null
    )
      throw new GatehouseError(
        'conflict',
        'break-glass.stopped',
        'The agent or its task has been stopped since this was asked for.',
      );
    if (digestOf(subject) !== row.digest || sealProblem(row, sealer) !== null)
      throw new GatehouseError('internal', 'break-glass.inconsistent', 'This was changed in the database.');
    return { row, subject, wants };
  }

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

  async function change(work: (transaction: DatabaseTransaction) => Promise<BreakGlassRow>): Promise<BreakGlass> {
    const row = await storage.transaction(work);
    remember(row);
    return show(row);
  }

  return {
    async load() {
      const rows = await storage.db.selectFrom('break_glass').selectAll().where('until', '>', clock.now()).execute();
      for (const row of rows) remember(row);
    },

    async refresh(changes) {
      const ids = [...new Set(changes.map(({ key }) => key).filter((key) => key.startsWith('brk_')))];
      if (ids.length === 0) return;
      for (const row of await storage.db.selectFrom('break_glass').selectAll().where('id', 'in', ids).execute())
        remember(row);
    },

    find({ subject, decision }) {
      if (held.size === 0 || decision.effect !== 'needs-approval' || decision.tier !== 3) return undefined;
      // Where a value came from is asked of a person who sees it, and a budget of who set it; both are asked in an emergency as well.
      const isAsked =
        decision.code === 'budget.exceeded' || decision.policies.some((id) => id.startsWith('gatehouse/flow#'));
      if (isAsked || subject.operation !== 'tools/call' || subject.repeats !== undefined) return undefined;
      const { people: present, agents, environments } = registry.snapshot();
      // Switched off, it is off for what is open too.
      const environment = agents.get(subject.agent)?.manifest.environment;
      if (environment === undefined || environments.get(environment)?.breakGlass === 'off') return undefined;
      for (const each of held.values()) {
        if (each.until <= clock.now()) continue;
        const { agent, agentEpoch, task, tools } = each.subject;
        const isIt = agent === subject.agent && agentEpoch === subject.agentEpoch && task === subject.task;
        if (!isIt || !tools.includes(subject.tool)) continue;
        if (each.signers.every((email) => present.get(email)?.roles.some((role) => MAY_SIGN.includes(role))))
          return each;
      }
      return undefined;
    },

    noteUse({ subject: { id, incident, agent, task } }, tool, actionId) {
      log.warn(`BREAK-GLASS used: ${incident}`, { breakGlass: id, agent, task, tool, actionId });
    },

    async list() {
      const rows = await storage.db.selectFrom('break_glass').selectAll().orderBy('id', 'desc').limit(LISTED).execute();
      // What nobody has looked at stays in sight, however long ago it was.
      const open = await storage.db
        .selectFrom('break_glass')
        .selectAll()
        .where('until', 'is not', null)
        .where('reviewed_at', 'is', null)
        .execute();
      return [...new Map([...open, ...rows].map((row) => [row.id, row])).values()]
        .sort((a, b) => (a.id < b.id ? 1 : -1))
        .map(show);
    },

    get: async (id) => show(await rowOf(id)),

    async request({ task: id, tools, incident, reason, seconds }, by) {
      return change(async (transaction) => {
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
    },

    async options(id, person) {
      const { row, subject } = await examine(storage.db, id, person);
      const until = row.first_by === null ? null : clock.now() + subject.seconds * 1_000;
      const second = row.first_by !== null && until !== null ? { first: row.first_by, until } : undefined;
      return { options: await people.assertionOptions(person, challengeOf(subject, second)), until };
    },

    async sign(id, person, assertion, until) {
      const shown = await examine(storage.db, id, person);
      const first = shown.row.first_by;
      const now = clock.now();
      const isSecond = first !== null && until !== null;
      if ((first === null) !== (until === null))
        throw new GatehouseError(
          'conflict',
          'break-glass.decided',
          'Somebody has signed this meanwhile. Look at it again.',
        );
      const lasts = (until ?? 0) - shown.subject.seconds * 1_000;
      if (isSecond && (lasts > now || lasts < now - SIGNED_WITHIN_MS || until <= now))
        throw new GatehouseError(
          'bad-request',
          'break-glass.times',
          'This is not for the time that was asked for. Start again.',
        );
      const challenge = challengeOf(shown.subject, isSecond ? { first, until } : undefined);
      const verified = await people.verifyAssertion(person, challenge, assertion);
      return change(async (transaction) => {
        const { row, wants } = await examine(transaction, id, person);
        if (row.first_by !== first)
          throw new GatehouseError('conflict', 'break-glass.decided', 'Somebody has signed this meanwhile.');
        await people.useAssertion(transaction, verified);
        await people.requireSecondPerson(transaction, {
          person,
          passkey: verified.passkey,
          wants: (email) => wants(email) || email === first,
        });
        const kept = canonicalJson(signedOf(verified));
        const update = isSecond
          ? { second_by: person, second_assertion: kept, until }
          : { first_by: person, first_assertion: kept };
        const after = await transaction
          .updateTable('break_glass')
          .set({ ...update, seal: sealedBreakGlass({ ...row, ...update }, sealer).seal })
          .where('id', '=', id)
          .where(isSecond ? 'second_by' : 'first_by', 'is', null)
          .where('ended_at', 'is', null)
          .returningAll()
          .executeTakeFirst();
        if (!after) throw new GatehouseError('conflict', 'break-glass.decided', 'Somebody has signed this meanwhile.');
        const opens = isSecond ? [`open until ${new Date(until).toISOString()}, by ${first} and ${person}`] : [];
        await moved(transaction, after, isSecond ? 'open' : 'sign', `person:${person}`, [
          `assertion ${digestJson(signedOf(verified))}`,
          ...opens,
        ]);
        return after;
      });
    },

    end: (id, by) =>
      change(async (transaction) => {
        const row = await rowOf(id, transaction);
        const state = stateOf(row, clock.now());
        if (state === 'ended' || state === 'over' || state === 'lapsed') return row;
        return ended(transaction, id, by);
      }),

    review: (id, by, note) =>
      change(async (transaction) => {
        const row = await rowOf(id, transaction);
        if ([row.first_by, row.second_by].includes(by) || names(subjectIn(row).requestedBy, by))
          throw new GatehouseError(
            'forbidden',
            'break-glass.own',
            'Somebody else than who asked for it and who signed it reviews what was done.',
          );
        const state = stateOf(row, clock.now());
        if (row.until === null || state === 'open')
          throw new GatehouseError('conflict', 'break-glass.not-over', 'It is reviewed when it is over.');
        if (row.reviewed_at !== null) throw reviewed();
        const after = await transaction
          .updateTable('break_glass')
          .set({ reviewed_by: by, reviewed_at: clock.now(), review: note })
          .where('id', '=', id)
          .where('reviewed_at', 'is', null)
          .returningAll()
          .executeTakeFirst();
        if (!after) throw reviewed();
        await moved(transaction, after, 'review', `person:${by}`, [`review: ${note.slice(0, 500)}`]);
        return after;
      }),

    async endAll(transaction, { agent, task }, by) {
      let query = transaction.selectFrom('break_glass').selectAll().where('ended_at', 'is', null);
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (task !== undefined) query = query.where('task', '=', task);
      for (const row of await query.execute()) {
        const state = stateOf(row, clock.now());
        if (state !== 'over' && state !== 'lapsed') await ended(transaction, row.id, by);
      }
    },

    async sweep() {
      for (const [id, { until }] of held) if (until <= clock.now()) held.delete(id);
      const due = await storage.db
        .selectFrom('break_glass')
        .select('id')
        .where('until', '<=', clock.now())
        .where('ended_at', 'is', null)
        .where('over_at', 'is', null)
        .limit(20)
        .execute();
      for (const { id } of due)
        await storage.transaction(async (transaction) => {
          const row = await transaction
            .updateTable('break_glass')
            .set({ over_at: clock.now() })
            .where('id', '=', id)
            .where('over_at', 'is', null)
            .returningAll()
            .executeTakeFirst();
          if (row) await moved(transaction, row, 'end', 'gatehouse', ['its time is over; it waits for a review']);
        });
    },
  };

  async function ended(transaction: DatabaseTransaction, id: string, by: string): Promise<BreakGlassRow> {
    const row = await transaction
      .updateTable('break_glass')
      .set({ ended_at: clock.now(), ended_by: by, seal: null })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await storage.bumpFences(transaction, [fenceOf(id)]);
    await moved(transaction, row, 'end', by);
    return row;
  }
}

export const fenceOf = (id: string): string => `break-glass:${id}`;
