import type { BreakGlass } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { names } from '../who-may.ts';
import { createMoves } from './moves.ts';
import { createRequests } from './request.ts';
import {
  type BreakGlassRow,
  fenceOf,
  type HeldBreakGlass,
  MAY_SIGN,
  readBreakGlass,
  stateOf,
  subjectIn,
} from './rows.ts';
import { createSigning } from './sign.ts';
import type { BreakGlassDependencies, BreakGlasses } from './types.ts';

const LISTED = 100;
const reviewed = () => new GatehouseError('conflict', 'break-glass.reviewed', 'It is reviewed already.');

export function createBreakGlass(deps: BreakGlassDependencies): BreakGlasses {
  const { storage, registry, clock, log, sealer, people } = deps;
  const { origin } = new URL(deps.publicUrl);
  const moves = createMoves(deps);
  const { show, rowOf, moved } = moves;
  const request = createRequests({ ...deps, ...moves });
  const { options, sign } = createSigning({ ...deps, ...moves });
  const held = new Map<string, HeldBreakGlass>();

  async function remember(row: BreakGlassRow): Promise<void> {
    held.delete(row.id);
    if (stateOf(row, clock.now()) !== 'open') return;
    const read = await readBreakGlass(row, { origin, sealer, people });
    if ('problem' in read)
      log.error('a break-glass grant in the database is not what was signed; nothing runs on it', {
        breakGlass: row.id,
        problem: read.problem,
      });
    else held.set(row.id, read);
  }

  async function change(work: () => Promise<BreakGlassRow>): Promise<BreakGlass> {
    const row = await work();
    await remember(row);
    return show(row);
  }

  return {
    async load() {
      const rows = await storage.db.selectFrom('break_glass').selectAll().where('until', '>', clock.now()).execute();
      for (const row of rows) await remember(row);
    },

    async refresh(changes) {
      const ids = [...new Set(changes.map(({ key }) => key).filter((key) => key.startsWith('brk_')))];
      if (ids.length === 0) return;
      for (const row of await storage.db.selectFrom('break_glass').selectAll().where('id', 'in', ids).execute())
        await remember(row);
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
    request: (asked, by) => change(() => request(asked, by)),
    options,
    sign: (...signed) => change(() => sign(...signed)),

    end: (id, by) =>
      change(() =>
        storage.transaction(async (transaction) => {
          const row = await rowOf(id, transaction);
          const state = stateOf(row, clock.now());
          if (state === 'ended' || state === 'over' || state === 'lapsed') return row;
          return ended(transaction, id, by);
        }),
      ),

    review: (id, by, note) =>
      change(() =>
        storage.transaction(async (transaction) => {
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
      ),

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
