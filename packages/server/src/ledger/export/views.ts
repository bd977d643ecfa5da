import type { SinkDetail, SinkManifest, SinkView } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import { logSize, type Storage } from '../../storage/index.ts';
import type { ReplayFrom } from './export.ts';
import type { Position, Positions, SinkRow } from './positions.ts';
import { destinationOf } from './sinks/index.ts';

const SHOWN = 100;

/** How far sinks have come, for people. Reads only. */
export function createSinkViews(storage: Storage, positions: Positions, clock: Clock) {
  const { db } = storage;

  const sizeOf = (log: string) => logSize(db, log);

  async function timeOf({ log, sequence }: Position): Promise<number | undefined> {
    const next = await db
      .selectFrom('records')
      .select('at')
      .where('log', '=', log)
      .where('sequence', '>=', sequence)
      .orderBy('sequence')
      .limit(1)
      .executeTakeFirst();
    return next?.at;
  }

  async function read(sink: SinkManifest) {
    const row = await positions.row(sink.name);
    const places = await Promise.all(
      (await positions.all(sink)).map(async (position) => ({
        ...position,
        size: await sizeOf(position.log),
        nextAt: await timeOf(position),
      })),
    );
    const { count } = await db
      .selectFrom('sink_quarantine')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('sink', '=', sink.name)
      .executeTakeFirstOrThrow();
    return { row, places, quarantined: Number(count) };
  }

  function viewOf(sink: SinkManifest, { row, places, quarantined }: Awaited<ReturnType<typeof read>>): SinkView {
    const now = clock.now();
    const oldest = Math.min(...places.map(({ nextAt }) => nextAt ?? now), now);
    const lagSeconds = Math.floor((now - oldest) / 1_000);
    return {
      name: sink.name,
      description: sink.description ?? null,
      format: sink.format,
      type: sink.to.type,
      destination: destinationOf(sink),
      state: stateOf(row, lagSeconds > sink.warnAfterSeconds),
      backlog: places.reduce((sum, { sequence, size }) => sum + Math.max(0, size - sequence), 0),
      lagSeconds,
      quarantined,
      missed: places.reduce((sum, { missed }) => sum + missed, 0),
      replica: row.owned_until >= now ? row.owner : null,
      lastDeliveredAt: row.delivered_at,
      problem: row.problem,
      failingSince: row.failing_since,
      nextTryAt: row.next_try_at,
    };
  }

  return {
    view: async (sink: SinkManifest): Promise<SinkView> => viewOf(sink, await read(sink)),

    async detail(sink: SinkManifest): Promise<SinkDetail> {
      const state = await read(sink);
      const quarantine = await db
        .selectFrom('sink_quarantine')
        .select(['log', 'sequence', 'reason', 'at'])
        .where('sink', '=', sink.name)
        .orderBy('at', 'desc')
        .orderBy('sequence', 'desc')
        .limit(SHOWN)
        .execute();
      const { paused_at, paused_by } = state.row;
      return {
        ...viewOf(sink, state),
        manifest: sink,
        letGoAt: state.row.let_go_at,
        paused: paused_at === null ? null : { at: paused_at, by: paused_by ?? '' },
        positions: state.places.map(({ log, sequence, size }) => ({ log, sequence, size })),
        quarantine,
      };
    },

    /** Where delivery has to begin again, in each log that it concerns. */
    async placesOf(sink: SinkManifest, from: ReplayFrom): Promise<Position[]> {
      const all = await positions.all(sink);
      if ('log' in from) {
        if (all.some(({ log }) => log === from.log)) return [from];
        throw new GatehouseError('not-found', 'log.unknown', `There is no log "${from.log}".`);
      }
      const at = Date.parse(from.time);
      const places = await Promise.all(
        all.map(async ({ log }) => {
          const first = await db
            .selectFrom('records')
            .select('sequence')
            .where('log', '=', log)
            .where('at', '>=', at)
            .orderBy('at')
            .orderBy('sequence')
            .limit(1)
            .executeTakeFirst();
          return first && { log, sequence: first.sequence };
        }),
      );
      return places.filter((place) => place !== undefined);
    },
  };
}

function stateOf({ paused_at, problem }: SinkRow, isBehind: boolean): SinkView['state'] {
  if (paused_at !== null) return 'paused';
  if (problem !== null) return 'failing';
  return isBehind ? 'behind' : 'delivering';
}
