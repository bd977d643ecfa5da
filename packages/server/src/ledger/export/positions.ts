import type { SinkManifest } from '@gatehouse/protocol';
import type { Clock } from '../../platform/index.ts';
import type { Storage, Tables } from '../../storage/index.ts';
import { exportLimits } from './limits.ts';

export interface Position {
  log: string;
  /** Of the next record. */
  sequence: number;
}

export interface SinkPosition extends Position {
  /** The furthest that it ever came to: a replay goes back behind it. */
  reached: number;
  /** Records that were gone when it came to them first. */
  missed: number;
}

export type SinkRow = Tables['sinks'];

/**
 * What is kept of a sink in the database. One replica delivers to it at a time, for as long as it renews; a position moves only from where
 * that replica read it, so that one that was slow takes nothing back.
 */
export function createPositions(storage: Storage, clock: Clock, replica: string) {
  const { db } = storage;

  async function row(sink: string): Promise<SinkRow> {
    const found = await db.selectFrom('sinks').selectAll().where('name', '=', sink).executeTakeFirst();
    if (found) return found;
    const applied = await db
      .selectFrom('objects')
      .select('updated_at')
      .where('kind', '=', 'Sink')
      .where('name', '=', sink)
      .executeTakeFirst();
    const made = { name: sink, since: applied?.updated_at ?? clock.now(), owned_until: 0 };
    await db
      .insertInto('sinks')
      .values({
        ...made,
        owner: null,
        paused_at: null,
        paused_by: null,
        delivered_at: null,
        problem: null,
        failing_since: null,
        next_try_at: null,
        let_go_at: null,
      })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    return db.selectFrom('sinks').selectAll().where('name', '=', sink).executeTakeFirstOrThrow();
  }

  /** Of a new sink: the first record since it was applied. */
  async function begin(sink: SinkManifest, since: number, log: string): Promise<SinkPosition> {
    const place = db.selectFrom('records').select('sequence').where('log', '=', log).limit(1);
    const first = await place.where('at', '>=', since).orderBy('at').orderBy('sequence').executeTakeFirst();
    const last = first ?? (await place.orderBy('sequence', 'desc').executeTakeFirst());
    // Of what was there before it, whatever is gone was never to be sent.
    const reached = first ? first.sequence : last ? last.sequence + 1 : 0;
    const sequence = sink.from === 'now' ? reached : 0;
    await db
      .insertInto('sink_positions')
      .values({ sink: sink.name, log, sequence, reached, missed: 0 })
      .onConflict((conflict) => conflict.columns(['sink', 'log']).doNothing())
      .execute();
    return { log, sequence, reached, missed: 0 };
  }

  return {
    row,

    /** True while this replica is the one that delivers. */
    async hold(sink: string): Promise<boolean> {
      const now = clock.now();
      const updated = await db
        .updateTable('sinks')
        .set({ owner: replica, owned_until: now + exportLimits.leaseMs })
        .where('name', '=', sink)
        .where('paused_at', 'is', null)
        .where(({ eb, or }) => or([eb('owner', 'is', null), eb('owner', '=', replica), eb('owned_until', '<', now)]))
        .executeTakeFirst();
      return updated.numUpdatedRows > 0n;
    },

    async release(sink: string): Promise<void> {
      await db
        .updateTable('sinks')
        .set({ owner: null, owned_until: 0 })
        .where('name', '=', sink)
        .where('owner', '=', replica)
        .execute();
    },

    /** Of every log that there is. */
    async all(sink: SinkManifest): Promise<SinkPosition[]> {
      const rows = await db
        .selectFrom('logs')
        .leftJoin('sink_positions', (join) =>
          join.onRef('sink_positions.log', '=', 'logs.id').on('sink_positions.sink', '=', sink.name),
        )
        .select(['logs.id', 'sink_positions.sequence', 'sink_positions.reached', 'sink_positions.missed'])
        .orderBy('logs.id')
        .execute();
      const { since } = rows.some(({ sequence }) => sequence === null) ? await row(sink.name) : { since: 0 };
      return Promise.all(
        rows.map(({ id, sequence, reached, missed }) =>
          sequence === null
            ? begin(sink, since, id)
            : { log: id, sequence, reached: reached ?? sequence, missed: missed ?? 0 },
        ),
      );
    },

    /** False where it was moved by somebody else, or another replica delivers now. */
    async advance(sink: string, from: SinkPosition, to: number, missed: number): Promise<boolean> {
      const updated = await db
        .updateTable('sink_positions')
        .set((eb) => ({ sequence: to, reached: Math.max(from.reached, to), missed: eb('missed', '+', missed) }))
        .where('sink', '=', sink)
        .where('log', '=', from.log)
        .where('sequence', '=', from.sequence)
        .where(({ exists, selectFrom }) =>
          exists(
            selectFrom('sinks').select('sinks.name').where('sinks.name', '=', sink).where('sinks.owner', '=', replica),
          ),
        )
        .executeTakeFirst();
      return updated.numUpdatedRows > 0n;
    },

    async setAside(sink: string, log: string, refused: { sequence: number; reason: string }[]): Promise<void> {
      const at = clock.now();
      await db
        .insertInto('sink_quarantine')
        .values(refused.map((each) => ({ sink, log, ...each, at })))
        .onConflict((conflict) => conflict.columns(['sink', 'log', 'sequence']).doNothing())
        .execute();
    },

    async succeeded(sink: string): Promise<void> {
      await db
        .updateTable('sinks')
        .set({ delivered_at: clock.now(), problem: null, failing_since: null, next_try_at: null })
        .where('name', '=', sink)
        .execute();
    },

    async failed(sink: string, problem: string, failingSince: number, nextTryAt: number): Promise<void> {
      await db
        .updateTable('sinks')
        .set({ problem, failing_since: failingSince, next_try_at: nextTryAt })
        .where('name', '=', sink)
        .where('owner', '=', replica)
        .execute();
    },
  };
}

export type Positions = ReturnType<typeof createPositions>;
