import type { RecordFilter } from '@gatehouse/protocol';
import { type SearchQuery, searchLimits, textProblem } from '../ledger/index.ts';
import { GatehouseError, isTimeZone, momentOf } from '../platform/index.ts';

type Paging = { limit: number; cursor?: string | undefined };

/** The query of a search as the API takes it, for the ledger. Errors: `query.time`, `query.zone`, `query.text`, `query.label`. */
export function toSearch(given: RecordFilter & Paging, now: number): SearchQuery {
  const { from, to, zone, label, reads, ...fields } = given;
  const search = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as unknown as SearchQuery;
  if (zone !== undefined && !isTimeZone(zone))
    throw bad('query.zone', `There is no time zone "${zone}". Name one as Europe/Berlin or UTC.`);
  if (from !== undefined) search.from = instant(from, 'from', now, zone);
  if (to !== undefined) search.to = instant(to, 'to', now, zone);
  search.reads = reads === 'shown';
  if (label !== undefined) {
    search.label = label.split(',').map((each) => each.trim());
    if (search.label.length > searchLimits.labels || search.label.includes(''))
      throw bad('query.label', `"label" is one label, or up to ${searchLimits.labels} with commas between.`);
  }
  const problem = given.text === undefined ? null : textProblem(given.text);
  if (problem) throw bad('query.text', `"text" can’t be searched for. ${problem}`);
  return search;
}

/** A search in words, as the record of it has it: what was asked for, without the place in the pages. */
export function inWords(what: string, query: RecordFilter & Paging): string {
  const { limit: _limit, cursor: _cursor, ...asked } = query;
  const fields = Object.entries(asked).filter(([, value]) => value !== undefined);
  return fields.length === 0
    ? `${what}, all`
    : `${what} where ${fields.map(([name, value]) => `${name} is ${value}`).join(', ')}`;
}

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time of a query, in milliseconds. */
export function instant(text: string, name: string, now: number, zone?: string): number {
  const [, amount, unit = ''] = /^-(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) return now - Number(amount) * (UNITS[unit] ?? 0);
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const [, day, time, offset] =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?))?(Z|[+-]\d{2}:\d{2})?$/.exec(text) ?? [];
  const local = day && `${day}T${time ?? '00:00'}`;
  const value =
    local === undefined
      ? Number.NaN
      : offset
        ? Date.parse(`${local}${offset}`)
        : zone
          ? momentIn(zone, day as string, time ?? '00:00')
          : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw bad(
    'query.time',
    `"${name}" must be an RFC 3339 time with its offset (2026-01-31T12:00:00Z), a time with "zone" (2026-01-31T12:00 and Europe/Berlin), -7d, or milliseconds since the epoch.`,
  );
}

function momentIn(zone: string, day: string, time: string): number {
  const [hours = Number.NaN, minutes = Number.NaN, seconds = 0] = time.split(':').map(Number);
  if (Number.isNaN(Date.parse(`${day}T${time}Z`))) return Number.NaN;
  return momentOf(day, hours * 60 + minutes, zone) + Math.round(seconds * 1_000);
}

const bad = (code: string, text: string) => new GatehouseError('bad-request', code, text);
