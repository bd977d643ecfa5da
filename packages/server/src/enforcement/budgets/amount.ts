import type { Json } from '../../platform/index.ts';

/** Sums are kept in millionths, in whole numbers: nothing is rounded on the way. */
const DECIMALS = 6;
const UNIT = 10 ** DECIMALS;
/** Whole digits of an amount: with the decimals it is still a safe integer. */
const MAX_WHOLE = 9_000_000_000;

/**
 * The amount in millionths, rounded up where it is finer. Null for whatever could be read in two ways, or is no amount: negative, not a
 * number, with a sign, an exponent, white space or a separator in a text. What can't be read is refused and never counts as nothing.
 */
export function readAmount(value: Json | undefined): number | null {
  const text = typeof value === 'number' ? plainText(value) : value;
  if (typeof text !== 'string' || text.length > 60) return null;
  const [, whole, decimals = ''] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined || Number(whole) > MAX_WHOLE) return null;
  const finer = /[1-9]/.test(decimals.slice(DECIMALS)) ? 1 : 0;
  const units = Number(whole) * UNIT + Number(decimals.slice(0, DECIMALS).padEnd(DECIMALS, '0')) + finer;
  return units > MAX_WHOLE * UNIT ? null : units;
}

/** JavaScript writes very small numbers with an exponent; one of those is less than a unit. */
function plainText(value: number): string | null {
  if (!Number.isFinite(value) || value < 0) return null;
  return value > 0 && value < 1 / UNIT ? '0.0000001' : String(value);
}

/** `decimals`: how many digits of what the tool takes are decimals. */
export function showAmount(units: number, decimals: number, currency: string | null): string {
  const places = DECIMALS + decimals;
  const digits = String(units).padStart(places + 1, '0');
  const least = decimals || (currency === null ? 0 : 2);
  const fraction = digits.slice(-places);
  const shown = fraction.slice(0, least) + fraction.slice(least).replace(/0+$/, '');
  return `${digits.slice(0, -places)}${shown && `.${shown}`}${currency === null ? '' : ` ${currency}`}`;
}
