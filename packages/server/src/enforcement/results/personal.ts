import { isValidPhoneNumber } from 'libphonenumber-js/min';
import { ibanWithin, isCard, isCodiceFiscale, isCpf, isDni, isNir, isSsn } from './checksums.ts';
import type { Detector, Finding } from './detector.ts';

interface Shape {
  kind: string;
  sensitive: readonly string[];
  pattern: RegExp;
  /** How many of the characters are one; 0 when they are something else. */
  taken(written: string): number;
}

const personal = ['personal'];
const money = ['personal', 'financial'];
const whole =
  (isOne: (written: string) => boolean) =>
  (written: string): number =>
    isOne(written) ? written.length : 0;
const digitsOf = (written: string) => written.replace(/\D/g, '');

/** By shape first, then by their check digits: what only looks like one stays. */
const shapes: Shape[] = [
  {
    kind: 'email',
    sensitive: personal,
    pattern:
      /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}[\p{L}]{2,24}(?![\p{L}\p{N}])/gu,
    taken: (written) => written.length,
  },
  {
    kind: 'iban',
    sensitive: money,
    pattern: /\b(?=([A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}))/g,
    taken: ibanWithin,
  },
  {
    kind: 'card',
    sensitive: money,
    pattern:
      /(?<![\d.-])(?=([2-6]\d{12,18}|[2-6]\d{3}([ -])\d{4}\2\d{4}\2\d{4}|3\d{3}([ -])\d{6}\3\d{5})(?!\d|[.-]\d))/g,
    taken: whole((written) => isCard(digitsOf(written))),
  },
  { kind: 'national-id', sensitive: personal, pattern: /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/g, taken: whole(isSsn) },
  {
    kind: 'national-id',
    sensitive: personal,
    pattern: /(?<!\d)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)/g,
    taken: whole((written) => isCpf(digitsOf(written))),
  },
  {
    kind: 'national-id',
    sensitive: personal,
    pattern: /\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b/g,
    taken: whole(isNir),
  },
  {
    kind: 'national-id',
    sensitive: personal,
    pattern: /\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b/g,
    taken: whole(isCodiceFiscale),
  },
  { kind: 'national-id', sensitive: personal, pattern: /\b(?:[XYZ]\d{7}|\d{8})[ -]?[A-Z]\b/g, taken: whole(isDni) },
  {
    kind: 'phone',
    sensitive: personal,
    pattern: /(?<![\w+/.-])\+\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ ./-]?\d){5,13}(?!\w)/g,
    taken: whole((written) => isValidPhoneNumber(written)),
  },
  {
    kind: 'phone',
    sensitive: personal,
    pattern: /(?<![\w+/.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-])/g,
    taken: whole((written) => isValidPhoneNumber(written, 'US')),
  },
];

const hint = /@|\d[\d ().-]{5}|[A-Z]{2}\d{2}|[A-Z]{6}\d/;

/** Addresses, phone numbers, accounts, cards and numbers that states give to people. */
export const personalData: Detector = {
  name: 'personal',
  sensitive: ['personal', 'financial'],
  detect(text) {
    if (!hint.test(text)) return [];
    const found: Finding[] = [];
    for (const { kind, sensitive, pattern, taken } of shapes)
      for (const match of text.matchAll(pattern)) {
        const length = taken(match[0] || (match[1] ?? ''));
        if (length > 0) found.push({ kind, sensitive, from: match.index, to: match.index + length });
      }
    return found;
  },
};
