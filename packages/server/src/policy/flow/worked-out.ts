import type { ArgumentRole } from '@gatehouse/protocol';
import { isJsonObject, type Json } from '../../platform/index.ts';
import { canonical } from './canonical.ts';
import { codes } from './currencies.ts';
import type { Origin, Told } from './origin.ts';
import { graveRoles } from './roles.ts';
import type { Seen } from './seen.ts';
import { type Unit, unitOf } from './units.ts';

/** An amount that is worked out (a difference, a share, a rise) is at most this much of one that was vouched for. */
const TOLERANCE = 1.1;

export type Origins = Record<string, Origin & { role: ArgumentRole }>;

/**
 * Amounts that nobody named are worked out where they stay within those that somebody vouched for. What a trusted result names (a standing
 * order) is compared with its own amount there; whom a person named with any amount that was stated or that a trusted result has. Amounts are
 * compared with those whose names say the same unit, and with no others.
 */
export function workOut(origins: Origins, given: Json, told: Told, seen: readonly Seen[]): void {
  const args = isJsonObject(given) ? given : {};
  for (const [argument, origin] of Object.entries(origins)) {
    if (origin.role !== 'amount' || origin.provenance !== 'unknown') continue;
    const amount = Number(canonicalOf(args[argument]) ?? Number.NaN);
    if (amount <= boundOf(unitOf(argument), origins, args, told, seen) * TOLERANCE)
      origins[argument] = { ...origin, provenance: 'derived', held: [] };
  }
}

const canonicalOf = (value: Json | undefined) =>
  typeof value === 'number' || typeof value === 'string' ? canonical(value, 'amount') : null;

/** Not a number: nothing vouches for any. */
function boundOf(unit: Unit, origins: Origins, args: Record<string, Json>, told: Told, seen: readonly Seen[]): number {
  const targets = Object.entries(origins).filter(([, { role }]) => graveRoles.includes(role));
  const isVouchedFor = targets.every(([, { provenance }]) => provenance !== 'unknown' && provenance !== 'untrusted');
  if (unit === 'other' || targets.length === 0 || !isVouchedFor) return Number.NaN;
  const named = targets.filter(([, { provenance }]) => provenance === 'trusted' || provenance === 'derived');
  if (named.length > 0) {
    const own = named.flatMap(([argument, { role }]) => {
      const value = args[argument];
      // Of several things it is not known for which of them the amount is.
      if (typeof value !== 'string' && typeof value !== 'number') return [Number.NaN];
      const amounts = seen.flatMap((each) => each.amountOf(value, role, unit) ?? []);
      return amounts.length === 0 ? [Number.NaN] : [Math.min(...amounts)];
    });
    return Math.min(...own);
  }
  const largest = seen.every(({ isComplete }) => isComplete)
    ? seen.flatMap((each) => each.largestAmount(unit) ?? [])
    : [];
  // People speak in whole units.
  const stated = told.texts.flatMap(moneyIn).map((amount) => (unit === 'cents' ? amount * 100 : amount));
  return Math.max(...largest, ...stated, 0);
}

/** Numbers that can only be sums of money: beside a currency. An order, an account, a date or a year is none. */
function moneyIn(text: string): number[] {
  const found = text.matchAll(
    /(?<![\p{L}\p{N}.,_-])(?:(\p{Sc}|[A-Z]{3})\s?)?(\d{1,12}(?:[.,'’]\d{3}){0,3}(?:[.,]\d{2})?)(?:\s?(\p{Sc}|[A-Z]{3}(?![\p{L}\p{N}])))?(?![\p{L}\p{N}]|[.,-]\d)/gu,
  );
  return Array.from(found, ([, before, number = '', after]) =>
    isCurrency(before) || isCurrency(after) ? Number(canonical(number, 'amount') ?? 0) : 0,
  );
}

const isCurrency = (sign: string | undefined) => sign !== undefined && (/\p{Sc}$/u.test(sign) || codes.has(sign));
