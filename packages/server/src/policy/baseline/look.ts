import { createHmac, type KeyObject } from 'node:crypto';
import type { ArgumentRole } from '@gatehouse/protocol';
import { isJsonObject, type Json, localTime } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import { canonical } from '../flow/canonical.ts';
import { graveEffects } from '../flow/roles.ts';
import { baselineLimits as limits } from './limits.ts';
import type { Cell } from './profile.ts';

/** What a call is about or goes to. */
const resourceRoles: readonly ArgumentRole[] = ['recipient', 'account', 'url', 'path', 'identifier'];

export interface Arguments {
  isGrave: boolean;
  amount: number | null;
  resources: { argument: string; digest: string }[];
}

/** Never known, and never learned. */
const TOO_MANY = '';

/** What arguments say of amounts and, with grave tools, of resources: of these digests with a key alone, so that no value is kept. */
export function lookAt(key: KeyObject, tool: RegisteredTool, given: Json): Arguments {
  const isGrave = tool.effects.some((effect) => graveEffects.includes(effect));
  const found: Arguments = { isGrave, amount: null, resources: [] };
  const args = isJsonObject(given) ? given : {};
  for (const [argument, role] of Object.entries(tool.labels.roles)) {
    const isResource = isGrave && resourceRoles.includes(role);
    if ((role !== 'amount' && !isResource) || !Object.hasOwn(args, argument)) continue;
    const values = valuesIn(args[argument] as Json);
    if (role === 'amount')
      for (const value of values ?? [Number.NaN]) found.amount = (found.amount ?? 0) + amountOf(value);
    else if (!values) found.resources.push({ argument, digest: TOO_MANY });
    else
      for (const value of values)
        found.resources.push({
          argument,
          digest: digestOf(key, tool.ref, role, canonical(value, role) ?? `?${value}`),
        });
  }
  return found;
}

function amountOf(value: string | number): number {
  const text = canonical(value, 'amount');
  return text === null ? Number.NaN : Number(text);
}

/** Those that come again and again. */
const digests = new WeakMap<KeyObject, Map<string, string>>();
const DIGESTS = 5_000;

function digestOf(key: KeyObject, ...parts: string[]): string {
  const text = JSON.stringify(parts);
  let known = digests.get(key);
  if (!known || known.size >= DIGESTS) {
    known = new Map();
    digests.set(key, known);
  }
  let digest = known.get(text);
  if (digest === undefined) {
    digest = createHmac('sha256', key).update(text).digest('base64url').slice(0, 16);
    if (text.length <= LONGEST_KEPT) known.set(text, digest);
  }
  return digest;
}

const LONGEST_KEPT = 300;

/** Plain values, also within lists. Null: too many. */
function valuesIn(value: Json, into: (string | number)[] = []): (string | number)[] | null {
  if (into.length > limits.valuesPerCall) return null;
  if (typeof value === 'string' || typeof value === 'number') into.push(value);
  else if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) if (!valuesIn(each, into)) return null;
  }
  return into.length > limits.valuesPerCall ? null : into;
}

/** About how many bytes a result has as JSON, without writing it as such. */
export function bytesOf(body: Json): number {
  let bytes = 0;
  let left: number = limits.valuesPerResult;
  const waiting: Json[] = [body];
  for (let value = waiting.pop(); value !== undefined && left > 0; value = waiting.pop(), left--) {
    if (typeof value === 'string') bytes += value.length + 2;
    else if (typeof value !== 'object' || value === null) bytes += 5;
    else {
      const keys = Array.isArray(value) ? null : Object.keys(value);
      for (const key of keys ?? []) bytes += key.length + 4;
      bytes += 2;
      const members: Json[] = keys
        ? keys.map((key) => (value as Record<string, Json>)[key] as Json)
        : (value as Json[]);
      for (let at = 0; at < members.length && at < left; at++) waiting.push(members[at] as Json);
    }
  }
  return bytes;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** The offset of a zone from UTC changes at such times alone. */
const QUARTER_MS = 900_000;

export type When = Readonly<Pick<Cell, 'hour' | 'day' | 'clock' | 'weekday'>>;

/** By zone, the last that was asked for. */
const known = new Map<string, { quarter: number; when: When }>();

export function whenIs(now: number, zone: string): When {
  const quarter = Math.floor(now / QUARTER_MS);
  const last = known.get(zone);
  if (last?.quarter === quarter) return last.when;
  const { date, minutes, weekday } = localTime(quarter * QUARTER_MS, zone);
  const when = {
    hour: Math.floor(now / HOUR_MS) * HOUR_MS,
    day: Date.parse(date) / DAY_MS,
    clock: Math.floor(minutes / 60),
    weekday,
  };
  known.set(zone, { quarter, when });
  return when;
}
