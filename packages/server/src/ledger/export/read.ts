import type { ActionRecord, SinkFormat, SinkManifest } from '@gatehouse/protocol';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { Reading } from '../../storage/index.ts';
import { encode } from './formats/index.ts';
import { exportLimits } from './limits.ts';
import type { Position } from './positions.ts';
import type { Encoded, FormatSurroundings, Outgoing } from './types.ts';

/** Names of the arguments of a tool that stand for credentials; undefined where the tool is not known (any more). */
export type CredentialArguments = (tool: string) => readonly string[] | undefined;

export interface Batch {
  records: Encoded[];
  /** Too large for any receiver, or not to be said in the format. */
  unfit: { sequence: number; reason: string }[];
  /** What retention has removed: there is nothing to send. */
  removed: number[];
  /** Where the next batch begins. */
  next: number;
  /** Of the first record that was read, sent or not. */
  firstAt: number;
  isFull: boolean;
}

export interface BatchReader {
  sink: SinkManifest;
  reading: Reading;
  fits(record: ActionRecord): boolean;
  credentialArguments: CredentialArguments;
  surroundings: FormatSurroundings;
}

/** The next records of a log, encoded, as many as go at once; undefined where there are none. */
export async function readBatch(reader: BatchReader, { log, sequence }: Position): Promise<Batch | undefined> {
  const { sink, reading, fits, surroundings } = reader;
  const rows = await reading.query<{
    sequence: number;
    leaf_hash: Uint8Array;
    kind: string;
    entry: string;
    at: number;
  }>(
    'select sequence, leaf_hash, kind, entry, at from records where log = ? and sequence >= ? order by sequence limit ?',
    [log, sequence, sink.batchRecords],
  );
  const [first] = rows;
  if (!first) return undefined;
  const wanted: Outgoing[] = [];
  const unfit: Batch['unfit'] = [];
  const removed: number[] = [];
  for (const row of rows) {
    if (row.entry === '' && row.kind === 'removed') {
      removed.push(row.sequence);
      continue;
    }
    const record = readable(row.entry);
    if (!record) {
      unfit.push({
        sequence: row.sequence,
        reason: 'it can’t be read: the log is not as it was written, see `gatehouse log verify`',
      });
      continue;
    }
    const leafHash = Buffer.from(row.leaf_hash).toString('hex');
    if (fits(record)) wanted.push({ log, sequence: row.sequence, leafHash, record });
  }
  if (sink.bodies === 'arguments') await addArguments(wanted, reader);

  const batch: Batch = {
    records: [],
    unfit,
    removed,
    next: (rows.at(-1) ?? first).sequence + 1,
    firstAt: first.at,
    isFull: rows.length === sink.batchRecords,
  };
  let bytes = 0;
  for (const record of wanted) {
    const encoded = tryToEncode(sink.format, record, surroundings);
    if (typeof encoded === 'string') {
      batch.unfit.push({ sequence: record.sequence, reason: encoded });
      continue;
    }
    const size = Buffer.byteLength(encoded.text);
    if (bytes > 0 && bytes + size > exportLimits.batchBytes) {
      batch.next = record.sequence;
      batch.isFull = true;
      break;
    }
    bytes += size;
    const { json: _, ...carried } = encoded;
    batch.records.push(carried);
  }
  batch.unfit = unfit.filter((each) => each.sequence < batch.next);
  batch.removed = removed.filter((sequence) => sequence < batch.next);
  return batch;
}

/** Undefined for what is no record: it keeps back no other, and is shown as not sent. */
function readable(entry: string): ActionRecord | undefined {
  try {
    const record: unknown = JSON.parse(entry);
    return isJsonObject(record) ? (record as unknown as ActionRecord) : undefined;
  } catch {
    return undefined;
  }
}

/** Or why it can't be sent: whatever a record holds, it keeps back no other. */
function tryToEncode(format: SinkFormat, record: Outgoing, surroundings: FormatSurroundings): Encoded | string {
  let encoded: Encoded;
  try {
    encoded = encode(format, record, surroundings);
  } catch (error) {
    return `it can't be said in this format: ${(error as Error).message}`;
  }
  const size = Buffer.byteLength(encoded.text);
  return size <= exportLimits.recordBytes
    ? encoded
    : `it has ${size} bytes in this format, more than the ${exportLimits.recordBytes} that are sent`;
}

/** Of calls whose tool is known: of another nobody can say which arguments are credentials. */
async function addArguments(records: Outgoing[], { reading, credentialArguments }: BatchReader): Promise<void> {
  const calls = records.filter(({ record }) => record.arguments_digest !== null && record.tool !== null);
  if (calls.length === 0) return;
  const ids = [...new Set(calls.map(({ record }) => record.action_id))];
  const rows = await reading.query<{ action_id: string; body: string }>(
    `select action_id, body from bodies where kind = 'arguments' and action_id in (${ids.map(() => '?').join(', ')})`,
    ids,
  );
  const bodies = new Map(rows.map(({ action_id, body }) => [action_id, body]));
  for (const call of calls) {
    const body = bodies.get(call.record.action_id);
    const credentials = credentialArguments(call.record.tool as string);
    if (!body || !credentials) continue;
    const given = JSON.parse(body) as Json;
    call.arguments = isJsonObject(given) ? without(given, credentials) : given;
  }
}

const without = (given: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, isCredential(name, names) ? '[credential]' : value]),
  );

/** An argument of which any part is one is one. */
const isCredential = (name: string, names: readonly string[]) =>
  names.some((each) => each === name || each.startsWith(`${name}.`));
