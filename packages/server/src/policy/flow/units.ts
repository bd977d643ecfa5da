/** In what an amount is: in a currency's own unit, in hundredths of it, or in something that can't be compared with either. */
export type Unit = 'whole' | 'cents' | 'other';

const inCents = new Set(['cent', 'cents', 'minor', 'pence', 'penny', 'pennies']);
const inOther = new Set(
  'micro micros nano nanos mill mills milli millis thousand thousands million millions k satoshi satoshis sats wei gwei'.split(
    ' ',
  ),
);

/** By the name of an argument or a member: `amount_cents`, `amountCents`, `minor-units`. */
export function unitOf(name: string): Unit {
  const words = name
    .slice(0, 200)
    .replace(/([a-z\d])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z]+/);
  if (words.some((word) => inOther.has(word))) return 'other';
  return words.some((word) => inCents.has(word)) ? 'cents' : 'whole';
}
