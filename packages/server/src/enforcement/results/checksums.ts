/** Numbers with check digits, each by the rule of who gives it out. What does not fit is some other number. */

/** Lengths by country, as the IBAN registry has them. */
const ibanLengths = new Map(
  Object.entries({
    15: 'NO',
    16: 'BE',
    18: 'DK FI FK FO GL NL SD',
    19: 'MK SI',
    20: 'AT BA EE KZ LT LU MN XK',
    21: 'CH HR LI LV',
    22: 'BG BH CR DE GB GE IE ME RS VA',
    23: 'AE GI IL IQ OM SO TL',
    24: 'AD CZ ES MD PK RO SA SE SK TN VG',
    25: 'LY PT ST',
    26: 'IS TR',
    27: 'BI DJ FR GR IT MC MR SM',
    28: 'AL AZ BY CY DO GT HN HU LB NI PL SV',
    29: 'BR EG PS QA UA',
    30: 'JO KW MU YE',
    31: 'MT SC',
    32: 'LC',
    33: 'RU',
  }).flatMap(([length, countries]) => countries.split(' ').map((country) => [country, Number(length)] as const)),
);

/** ISO 13616: the four first at the end, letters as numbers, 1 modulo 97. How many of the characters are one. */
export function ibanWithin(written: string): number {
  const length = ibanLengths.get(written.slice(0, 2)) ?? 0;
  let iban = '';
  let taken = 0;
  for (; taken < written.length && iban.length < length; taken++)
    if (!/[ -]/.test(written[taken] as string)) iban += written[taken];
  if (iban.length !== length || /[A-Za-z0-9]/.test(written[taken] ?? '')) return 0;
  let rest = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1 ? taken : 0;
}

/** ISO/IEC 7812: the Luhn digit, and a first digit that card schemes have. */
export function isCard(digits: string): boolean {
  if (digits.length < 13 || digits.length > 19 || !/^[2-6]/.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at]);
    const doubled = digit * 2;
    sum += at % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** United States: no check digit, but areas and groups that are never given out. */
export const isSsn = (written: string) => !/^(?:000|666|9)|-00-|-0000$/.test(written);

/** Brazil. */
export function isCpf(digits: string): boolean {
  if (/^(\d)\1+$/.test(digits)) return false;
  const check = (length: number) => {
    let sum = 0;
    for (let at = 0; at < length; at++) sum += Number(digits[at]) * (length + 1 - at);
    return ((sum * 10) % 11) % 10;
  };
  return check(9) === Number(digits[9]) && check(10) === Number(digits[10]);
}

/** France: 97 less the rest by 97, Corsica counted as 19 and 18. */
export function isNir(written: string): boolean {
  const nir = written.replace(/ /g, '').replace('2A', '19').replace('2B', '18');
  return nir.length === 15 && 97 - Number(BigInt(nir.slice(0, 13)) % 97n) === Number(nir.slice(13));
}

/** Spain, with the numbers of foreigners. */
export function isDni(written: string): boolean {
  const dni = written.replace(/[ -]/g, '');
  const number = Number(dni.slice(0, -1).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter))));
  return 'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23] === dni.at(-1);
}

const oddValues = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/** Italy. */
export function isCodiceFiscale(code: string): boolean {
  let sum = 0;
  for (let at = 0; at < 15; at++) {
    const character = code[at] as string;
    const value = /\d/.test(character) ? Number(character) : character.charCodeAt(0) - 65;
    sum += at % 2 === 0 ? (oddValues[value] as number) : value;
  }
  return String.fromCharCode(65 + (sum % 26)) === code[15];
}
