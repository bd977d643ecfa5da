import type { BodyRow, LogUnit, LogUnitResult, RecordRow } from './storage.ts';

type Value = string | number | null;
type Rare = Omit<LogUnit, 'guards' | 'records' | 'bodies'>;

/**
 * Units as they cross to the database thread: one list of values and one piece of memory for all of them, since each object and each buffer
 * of its own costs more to be copied than what is in it. What few units have crosses as it is.
 */
export interface PackedUnits {
  count: number;
  values: Value[];
  bytes: Uint8Array<ArrayBuffer>;
  rare: [unit: number, Rare][];
}

/** Of units that were written only their places are to be known, and those follow from the first. */
export type PackedResults = [unit: number, LogUnitResult][];

export function packUnits(units: readonly LogUnit[]): PackedUnits {
  const values: Value[] = [];
  const rare: PackedUnits['rare'] = [];
  const pieces: Uint8Array[] = [];
  let size = 0;
  const keep = (piece: Uint8Array): number => {
    pieces.push(piece);
    size += piece.length;
    return piece.length;
  };
  units.forEach(({ guards, records, bodies, ...more }, at) => {
    values.push(guards.length, records.length, bodies.length);
    for (const { key, version } of guards) values.push(key, version);
    for (const r of records)
      // biome-ignore format: the order in which they are read again, in one glance
      values.push(r.kind, r.actionId, r.at, r.operation, r.agent, r.task, r.person, r.tool, r.resource, r.effect, r.result,
        r.approval, r.ticket, r.entry, keep(r.leafHash));
    for (const { actionId, kind, salt, body, at } of bodies) values.push(actionId, kind, body, at, keep(salt));
    for (const _ in more) {
      rare.push([at, more]);
      break;
    }
  });
  const bytes = new Uint8Array(size);
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.length;
  }
  return { count: units.length, values, bytes, rare };
}

export function unpackUnits({ count, values, bytes, rare }: PackedUnits): LogUnit[] {
  let at = 0;
  let end = 0;
  // The same order and types as packed.
  const next = <T>() => values[at++] as T;
  const piece = () => {
    const start = end;
    end += next<number>();
    return bytes.subarray(start, end);
  };
  const guard = () => ({ key: next<string>(), version: next<number>() });
  const record = (): RecordRow => ({
    kind: next(),
    actionId: next(),
    at: next(),
    operation: next(),
    agent: next(),
    task: next(),
    person: next(),
    tool: next(),
    resource: next(),
    effect: next(),
    result: next(),
    approval: next(),
    ticket: next(),
    entry: next(),
    leafHash: piece(),
  });
  const body = (): BodyRow => ({ actionId: next(), kind: next(), body: next(), at: next(), salt: piece() });
  const units: LogUnit[] = [];
  while (units.length < count) {
    const [guards, records, bodies] = [next<number>(), next<number>(), next<number>()];
    units.push({ guards: times(guards, guard), records: times(records, record), bodies: times(bodies, body) });
  }
  for (const [unit, more] of rare) Object.assign(units[unit] as LogUnit, more);
  return units;
}

export const packResults = (results: readonly LogUnitResult[]): PackedResults =>
  results.flatMap((result, unit): PackedResults => (result.ok ? [] : [[unit, result]]));

export function unpackResults(refused: PackedResults, first: number, units: readonly LogUnit[]): LogUnitResult[] {
  const known = new Map(refused);
  let sequence = first;
  return units.map(({ records }, unit) => known.get(unit) ?? { ok: true, sequences: records.map(() => sequence++) });
}

function times<T>(count: number, make: () => T): T[] {
  const made: T[] = [];
  while (made.length < count) made.push(make());
  return made;
}
