import type { ArgumentBound, GrantTerms } from '@gatehouse/protocol';
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';

/** Whether a call with these arguments is one like the approved one: each bound holds, and everything else is exactly so. */
export function covers(approved: Json, { bounds, sum }: Pick<GrantTerms, 'bounds' | 'sum'>, given: Json): boolean {
  const [was, is] = [structuredClone(approved), structuredClone(given)];
  if (sum && amountAt(given, sum.at) === null) return false;
  for (const bound of bounds) {
    const [old, now] = [placeOf(was, bound.at), placeOf(is, bound.at)];
    if (!old || !now || !isWithin(bound, old.value, now.value)) return false;
    old.holder[old.key] = null;
    now.holder[now.key] = null;
  }
  return canonicalJson(was) === canonicalJson(is);
}

/** What is wrong with bounds for more calls like this one, in words. */
export function boundsProblem(approved: Json, { bounds, sum }: Pick<GrantTerms, 'bounds' | 'sum'>): string | undefined {
  for (const [index, bound] of bounds.entries()) {
    const name = bound.at.join('.');
    const place = placeOf(approved, bound.at);
    if (!place) return `the approved call has no argument "${name}", so that there is nothing to bound`;
    if (bounds.some((other, at) => at !== index && overlap(bound.at, other.at)))
      return `there are two bounds for "${name}", or for what it is part of`;
    if ('under' in bound && NO_PLACE.test(bound.under))
      return `"${bound.under}" says nothing about where "${name}" leads`;
    if ('min' in bound && (unitsOf(bound.min) ?? 0) > (unitsOf(bound.max) ?? -1))
      return `the least of "${name}" is more than the most, or is no amount that can be compared`;
    if (!isWithin(bound, place.value, place.value))
      return `"${name}" of the approved call is itself not within its bound, or is nothing that such a bound can hold`;
  }
  if (sum && amountAt(approved, sum.at) === null)
    return `"${sum.at.join('.')}" of the approved call is no amount, so that it can't be added up`;
  if (sum && unitsOf(sum.max) === null) return 'the sum is larger than what can be counted';
  return undefined;
}

/** An argument in millionths, or null where it is no plain amount. */
export function amountAt(args: Json, at: readonly string[]): number | null {
  const place = placeOf(args, at);
  return place ? unitsOf(place.value) : null;
}

const DECIMALS = 6;
const UNIT = 10 ** DECIMALS;
/** In whole numbers; in millionths it is still a safe integer. */
const MOST = 9_000_000_000;

/** Null for whatever could be read in two ways: a sign, an exponent, white space, a leading zero, other digits, finer than a millionth. */
export function unitsOf(value: Json | undefined): number | null {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return null;
  const [, whole, decimals = ''] = /^(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,6}))?$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const units = Number(whole) * UNIT + Number(decimals.padEnd(DECIMALS, '0'));
  return units > MOST * UNIT ? null : units;
}

interface Place {
  holder: JsonObject;
  key: string;
  value: Json;
}

function placeOf(args: Json, at: readonly string[]): Place | undefined {
  let value: Json = args;
  let place: Place | undefined;
  for (const key of at) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    place = { holder: value, key, value: value[key] as Json };
    value = place.value;
  }
  return place;
}

const overlap = (one: readonly string[], other: readonly string[]) =>
  one.slice(0, other.length).every((step, index) => step === other[index]);

function isWithin(bound: ArgumentBound, approved: Json, given: Json): boolean {
  if (typeof approved !== typeof given) return false;
  if ('oneOf' in bound) return bound.oneOf.some((value) => value === given);
  if ('under' in bound) return typeof given === 'string' && isUnder(bound.under, given);
  const [least, most, units] = [unitsOf(bound.min), unitsOf(bound.max), unitsOf(given)];
  return least !== null && most !== null && units !== null && least <= units && units <= most;
}

/** `https://`, `//`: what follows would choose the host. */
const NO_PLACE = /^([a-z][a-z0-9+.-]*:)?\/*$/i;
/** Letters, digits and what names of files are made of. What a shell, a URL or a file system reads as more than a name is not among it. */
const SEGMENT = /^[\p{L}\p{N}\p{M}_@+=,-](?:[\p{L}\p{N}\p{M} ._@+=,-]*[\p{L}\p{N}\p{M}_@+=,-])?$/u;

/**
 * INVARIANT: what is under a place can't lead out of it: no `..`, no hidden file, no empty or dotted end, no escape (`%2e`), no other slash,
 * no writing that becomes another when it is normalised.
 */
function isUnder(place: string, given: string): boolean {
  if (!given.startsWith(place)) return false;
  const rest = given.slice(place.length);
  return rest === rest.normalize('NFKC') && rest.split('/').every((segment) => SEGMENT.test(segment));
}
