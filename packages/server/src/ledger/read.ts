import type { ActionRecord, ActionSummary, SequencedRecord } from '@gatehouse/protocol';
import type { SelectQueryBuilder } from 'kysely';
import { GatehouseError, type Json } from '../platform/index.ts';
import type { Storage, Tables } from '../storage/index.ts';
import { createStoredLogs } from './stored.ts';
import { summarise } from './summary.ts';
import type { Ledger, SearchQuery } from './types.ts';

const MAX_PAGE = 200;

export type Reader = ReturnType<typeof createReader>;

type RecordsQuery = SelectQueryBuilder<Tables, 'records', object>;

export function createReader(storage: Storage) {
  const { db } = storage;
  const stored = createStoredLogs(storage);
  const columns = ['log', 'sequence', 'leaf_hash', 'entry', 'at'] as const;

  function filtered(query: SearchQuery): RecordsQuery {
    let select = db.selectFrom('records') as RecordsQuery;
    for (const column of [
      'agent',
      'task',
      'person',
      'tool',
      'resource',
      'effect',
      'result',
      'approval',
      'ticket',
      'operation',
    ] as const) {
      const value = query[column];
      if (value !== undefined) select = select.where(column, '=', value);
    }
    if (query.from !== undefined) select = select.where('at', '>=', query.from);
    if (query.to !== undefined) select = select.where('at', '<', query.to);
    const cursor = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    if (cursor) {
      select = select.where(({ eb, or, and }) =>
        or([
          eb('at', '<', cursor.at),
          and([eb('at', '=', cursor.at), eb('log', '=', cursor.log), eb('sequence', '<', cursor.sequence)]),
          and([eb('at', '=', cursor.at), eb('log', '<', cursor.log)]),
        ]),
      );
    }
    return select.orderBy('at', 'desc').orderBy('log', 'desc').orderBy('sequence', 'desc');
  }

  async function range(log: string, from: number, limit: number): Promise<SequencedRecord[]> {
    const rows = await db
      .selectFrom('records')
      .select(columns)
      .where('log', '=', log)
      .where('sequence', '>=', from)
      .orderBy('sequence')
      .limit(limit)
      .execute();
    return rows.map(toSequenced);
  }

  async function recordsOf(actionIds: string[]): Promise<SequencedRecord[]> {
    if (actionIds.length === 0) return [];
    const rows = await db
      .selectFrom('records')
      .select(columns)
      .where('action_id', 'in', actionIds)
      .orderBy('at')
      .orderBy('log')
      .orderBy('sequence')
      .execute();
    return rows.map(toSequenced);
  }

  async function search(query: SearchQuery): Promise<{ records: SequencedRecord[]; cursor: string | null }> {
    const limit = Math.min(query.limit, MAX_PAGE);
    const rows = await filtered(query)
      .select(columns)
      .limit(limit + 1)
      .execute();
    const page = rows.slice(0, limit);
    return { records: page.map(toSequenced), cursor: rows.length > limit ? cursorOf(page.at(-1)) : null };
  }

  async function actions(query: SearchQuery): Promise<{ actions: ActionSummary[]; cursor: string | null }> {
    const limit = Math.min(query.limit, MAX_PAGE);
    const rows = await filtered(query)
      .select([...columns, 'action_id'])
      .limit(limit * 3 + 1)
      .execute();
    const ids: string[] = [];
    let last: (typeof rows)[number] | undefined;
    let more = false;
    for (const row of rows) {
      if (!ids.includes(row.action_id)) {
        if (ids.length === limit) {
          more = true;
          break;
        }
        ids.push(row.action_id);
      }
      last = row;
    }
    const byAction = Map.groupBy(await recordsOf(ids), ({ record }) => record.action_id);
    const summaries = ids.map((id) => summarise(byAction.get(id) ?? []));
    return { actions: summaries, cursor: more || rows.length > limit * 3 ? cursorOf(last) : null };
  }

  async function action(actionId: string): ReturnType<Ledger['action']> {
    const records = await recordsOf([actionId]);
    if (records.length === 0) return undefined;
    const body = await db
      .selectFrom('bodies')
      .select('body')
      .where('action_id', '=', actionId)
      .where('kind', '=', 'arguments')
      .executeTakeFirst();
    return { summary: summarise(records), records, arguments: body?.body ? (JSON.parse(body.body) as Json) : null };
  }

  async function argumentsSalt(actionId: string): Promise<Uint8Array | null> {
    const kept = await db
      .selectFrom('bodies')
      .select(['salt', 'body'])
      .where('action_id', '=', actionId)
      .where('kind', '=', 'arguments')
      .executeTakeFirst();
    return kept && kept.body !== null ? Uint8Array.from(kept.salt) : null;
  }

  async function logs(): ReturnType<Ledger['logs']> {
    const rows = await db.selectFrom('logs').selectAll().orderBy('id').execute();
    return Promise.all(
      rows.map(async ({ id, vkey }) => {
        const [checkpoint, cosigned] = await Promise.all([stored.newest(id), stored.newestCosigned(id)]);
        return {
          id,
          vkey,
          size: await stored.sizeOf(id),
          checkpoint: checkpoint?.note ?? null,
          cosigned: cosigned ? { size: cosigned.size, at: cosigned.cosignedAt ?? cosigned.at } : null,
        };
      }),
    );
  }

  return { search, actions, action, argumentsSalt, logs, range };
}

function toSequenced(row: { log: string; sequence: number; leaf_hash: Uint8Array; entry: string }): SequencedRecord {
  return {
    log: row.log,
    sequence: row.sequence,
    leafHash: Buffer.from(row.leaf_hash).toString('hex'),
    record: JSON.parse(row.entry) as ActionRecord,
  };
}

function cursorOf(row: { at: number; log: string; sequence: number } | undefined): string | null {
  return row ? Buffer.from(JSON.stringify([row.at, row.log, row.sequence])).toString('base64url') : null;
}

function parseCursor(cursor: string): { at: number; log: string; sequence: number } {
  try {
    const [at, log, sequence] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
    if (Number.isSafeInteger(at) && typeof log === 'string' && !log.includes('\0') && Number.isSafeInteger(sequence)) {
      return { at: at as number, log, sequence: sequence as number };
    }
  } catch (cause) {
    throw new GatehouseError(
      'bad-request',
      'cursor.malformed',
      'The cursor is not one that this API gave out. Begin again without it.',
      { cause },
    );
  }
  throw new GatehouseError(
    'bad-request',
    'cursor.malformed',
    'The cursor is not one that this API gave out. Begin again without it.',
  );
}
