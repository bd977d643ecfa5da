import { isValidPhoneNumber } from 'libphonenumber-js/min';
import { isCard, isCodiceFiscale, isCpf, isDni, isIban, isNir, isSsn } from './checksums.ts';
import type { Detector, Finding } from './detector.ts';

interface Shape {
  kind: string;
  sensitive: readonly string[];
  pattern: RegExp;
  isOne(written: string): boolean;
}

const personal = ['personal'];
const money = ['personal', 'financial'];
const digitsOf = (written: string) => written.replace(/\D/g, '');

/** By shape first, then by their check digits: what only looks like one stays. */
const shapes: Shape[] = [
  {
    kind: 'email',
    sensitive: personal,
    pattern: /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}._%+-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}[\p{L}]{2,24}(?![\p{L}\p{N}])/gu,
    isOne: () => true,
  },
  { kind: 'iban', sensitive: money, pattern: /\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){2,8}(?:[ -]?[A-Z0-9]{1,4})?\b/g, isOne: isIban },
  { kind: 'card', sensitive: money, pattern: /(?<![\d.-])\d{4}(?:[ -]?\d{2,7}){2,4}(?![\d.-]\d)/g, isOne: (written) => isCard(digitsOf(written)) },
  { kind: 'national-id', sensitive: personal, pattern: /(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])/g, isOne: isSsn },
  { kind: 'national-id', sensitive: personal, pattern: /(?<!\d)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)/g, isOne: (written) => isCpf(digitsOf(written)) },
  { kind: 'national-id', sensitive: personal, pattern: /\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b/g, isOne: isNir },
  { kind: 'national-id', sensitive: personal, pattern: /\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b/g, isOne: isCodiceFiscale },
  { kind: 'national-id', sensitive: personal, pattern: /\b(?:[XYZ]\d{7}|\d{8})[ -]?[A-Z]\b/g, isOne: isDni },
  { kind: 'phone', sensitive: personal, pattern: /(?<![\w+/.-])\+\d(?:[ ().-]{0,2}\d){6,14}(?![\w])/g, isOne: (written) => isValidPhoneNumber(written) },
  { kind: 'phone', sensitive: personal, pattern: /(?<![\w+/.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-])/g, isOne: (written) => isValidPhoneNumber(written, 'US') },
];

const hint = /@|\d[\d ().-]{5}|[A-Z]{2}\d{2}|[A-Z]{6}\d/;

/** Addresses, phone numbers, accounts, cards and numbers that states give to people. */
export const personalData: Detector = {
  name: 'personal',
  sensitive: ['personal', 'financial'],
  detect(text) {
    if (!hint.test(text)) return [];
    const found: Finding[] = [];
    for (const { kind, sensitive, pattern, isOne } of shapes)
      for (const { 0: written, index } of text.matchAll(pattern))
        if (isOne(written)) found.push({ kind, sensitive, from: index, to: index + written.length });
    return found;
  },
};
