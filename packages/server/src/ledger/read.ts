import type { ActionRecord, SequencedRecord } from '@gatehouse/protocol';
import { GatehouseError, type Json } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { type Search, searchLimits, termsOf, termsOfQuery } from './search/index.ts';
import { createStoredLogs } from './stored.ts';
import { summarise } from './summary.ts';
import type { Ledger, SearchQuery } from './types.ts';

export type Reader = ReturnType<typeof createReader>;

/** Where a search goes on: below this document, and not again with actions that were shown when it began. */
interface Cursor {
  before: number;
  began: number;
}

export function createReader(storage: Storage, search: Pick<Search, 'find'>, now: () => number) {
  const { db } = storage;
  const stored = createStoredLogs(storage);
  const columns = ['log', 'sequence', 'leaf_hash', 'entry', 'at'] as const;

  async function range(log: string, from: number, limit: number): Promise<SequencedRecord[]> {
    const rows = await db
      .selectFrom('records')
      .select(columns)
      .where('log', '=', log)
      .where('sequence', '>=', from)
      .where('entry', '<>', '')
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

  /** In the order in which they are asked for. */
  async function recordsAt(places: readonly { log: string; sequence: number }[]) {
    const found = new Map<string, SequencedRecord & { actionId: string }>();
    for (const [log, group] of Map.groupBy(places, ({ log }) => log)) {
      const rows = await db
        .selectFrom('records')
        .select([...columns, 'action_id'])
        .where('log', '=', log)
        .where(
          'sequence',
          'in',
          group.map(({ sequence }) => sequence),
        )
        .execute();
      for (const row of rows)
        if (row.entry !== '') found.set(`${log} ${row.sequence}`, { ...toSequenced(row), actionId: row.action_id });
    }
    return places.map(({ log, sequence }) => found.get(`${log} ${sequence}`));
  }

  function find(query: SearchQuery, cursor: Cursor | undefined, limit: number) {
    return search.find({ ...termsOfQuery(query), from: query.from, to: query.to, before: cursor?.before, limit });
  }

  async function searchRecords(query: SearchQuery): ReturnType<Ledger['search']> {
    const limit = Math.min(query.limit, searchLimits.pageItems);
    const cursor = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    const { hits, next, isWhole } = await find(query, cursor, limit);
    const records = (await recordsAt(hits)).filter((each) => each !== undefined);
    return {
      records: records.map(({ actionId: _, ...record }) => record),
      isWhole,
      cursor: next === null ? null : cursorOf({ before: next, began: cursor?.began ?? now() }),
    };
  }

  async function actions(query: SearchQuery): ReturnType<Ledger['actions']> {
    const limit = Math.min(query.limit, searchLimits.pageItems);
    const cursor = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    const began = cursor?.began ?? now();
    const { hits, next } = await find({ reads: false, ...query }, cursor, limit * 3);
    const found = await recordsAt(hits);
    const ids: string[] = [];
    let last: number | null = null;
    let more = false;
    for (const [at, hit] of hits.entries()) {
      const record = found[at];
      if (record && !ids.includes(record.actionId)) {
        if (ids.length === limit) {
          more = true;
          break;
        }
        ids.push(record.actionId);
      }
      last = hit.id;
    }
    const byAction = Map.groupBy(await recordsOf(ids), ({ record }) => record.action_id);
    const hit = new Set(hits.map(({ log, sequence }) => `${log} ${sequence}`));
    const isShownBefore = cursor && wasShown(query, began, hit);
    const shown = ids.map((id) => byAction.get(id) ?? []).filter((records) => !isShownBefore?.(records));
    const before = more ? last : next;
    return {
      actions: shown.map(summarise),
      cursor: before === null ? null : cursorOf({ before, began }),
    };
  }

  async function action(actionId: string): ReturnType<Ledger['action']> {
    const records = (await recordsOf([actionId])).filter(({ record }) => record.action_id === actionId);
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

  return { search: searchRecords, actions, action, argumentsSalt, logs, range };
}

/** An action stands where the newest of its records fits that was there when the search began: it is shown once. */
function wasShown(query: SearchQuery, began: number, hits: ReadonlySet<string>) {
  const { all, prefixes } = termsOfQuery({ reads: false, ...query });
  return (records: SequencedRecord[]): boolean => {
    const newest = records.findLast(({ record }) => {
      const at = Date.parse(record.time);
      if (at >= began || (query.to !== undefined && at >= query.to) || (query.from !== undefined && at < query.from))
        return false;
      const terms = termsOf(record);
      return (
        all.every((term) => terms.includes(term)) &&
        prefixes.every((prefix) => terms.some((term) => term.startsWith(prefix)))
      );
    });
    return newest !== undefined && !hits.has(`${newest.log} ${newest.sequence}`);
  };
}

function toSequenced(row: { log: string; sequence: number; leaf_hash: Uint8Array; entry: string }): SequencedRecord {
  return {
    log: row.log,
    sequence: row.sequence,
    leafHash: Buffer.from(row.leaf_hash).toString('hex'),
    record: JSON.parse(row.entry) as ActionRecord,
  };
}

const cursorOf = ({ before, began }: Cursor) => Buffer.from(JSON.stringify([before, began])).toString('base64url');

function parseCursor(text: string): Cursor {
  const malformed = (cause?: unknown) =>
    new GatehouseError(
      'bad-request',
      'cursor.malformed',
      'The cursor is not one that this API gave out. Begin again without it.',
      { cause },
    );
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(parts) || parts.length !== 2 || !parts.every((part) => Number.isSafeInteger(part) && part >= 0))
    throw malformed();
  return { before: parts[0] as number, began: parts[1] as number };
}
