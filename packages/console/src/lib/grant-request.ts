import type { Approval, ArgumentBound, GrantRequest, GrantTerms } from '@gatehouse/protocol';
import { canonicalJson } from './exact-action.ts';

/** How one argument of further calls may differ from the approved one. */
export type Kind = 'exactly' | 'one-of' | 'between' | 'under';

export interface Draft {
  at: string[];
  value: string | number | boolean;
  kind: Kind;
  /** One value a line, as the argument is written. */
  values: string;
  least: string;
  most: string;
  under: string;
}

const AMOUNT = /^(0|[1-9]\d{0,9})(\.\d{1,6})?$/;
const MOST_DRAFTS = 20;

/** One for each plain argument of the call that was approved, also of members of objects; lists stay as they are. */
export function draftsOf(args: unknown, at: string[] = []): Draft[] {
  if (typeof args !== 'object' || args === null || Array.isArray(args) || at.length >= 5) return [];
  return Object.entries(args)
    .flatMap(([name, value]): Draft[] => {
      const here = [...at, name];
      if (typeof value === 'object') return draftsOf(value, here);
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return [];
      const text = String(value);
      return [
        {
          at: here,
          value,
          kind: 'exactly',
          values: text,
          least: AMOUNT.test(text) ? '0' : '',
          most: AMOUNT.test(text) ? text : '',
          under: typeof value === 'string' && value.includes('/') ? value.slice(0, value.lastIndexOf('/') + 1) : '',
        },
      ];
    })
    .slice(0, MOST_DRAFTS);
}

export const kindsOf = ({ value, most, under }: Draft): Kind[] => [
  'exactly',
  ...(typeof value === 'boolean' ? [] : (['one-of'] as const)),
  ...(most === '' && !AMOUNT.test(String(value)) ? [] : (['between'] as const)),
  ...(under === '' ? [] : (['under'] as const)),
];

/** Of numbers and amounts a sum can be bounded. */
export const isAmount = ({ value }: Draft): boolean => typeof value !== 'boolean' && AMOUNT.test(String(value));

function boundOf({ at, value, kind, values, least, most, under }: Draft): ArgumentBound[] {
  if (kind === 'exactly') return [];
  if (kind === 'between') return [{ at, min: least.trim(), max: most.trim() }];
  if (kind === 'under') return [{ at, under }];
  const lines = [...new Set(values.split('\n').filter((line) => line !== ''))];
  return [{ at, oneOf: lines.map((line) => (typeof value === 'number' ? Number(line) : line)) }];
}

export function requestOf(
  drafts: readonly Draft[],
  { calls, minutes, sumOf, sumMax }: { calls: number; minutes: number; sumOf: string; sumMax: string },
): GrantRequest {
  const sum = drafts.find(({ at }) => at.join('.') === sumOf);
  return {
    calls,
    seconds: minutes * 60,
    bounds: drafts.flatMap(boundOf),
    ...(sum && sumMax.trim() !== '' && { sum: { at: sum.at, max: sumMax.trim() } }),
  };
}

/** What the server wants to have signed is what was asked for, and no more. */
export function isAsWanted(terms: GrantTerms | null, request: GrantRequest | undefined): boolean {
  if (!terms || !request) return !terms && !request;
  const { calls, bounds, sum, seconds } = request;
  const { from, until, ...rest } = terms;
  return until - from <= seconds * 1_000 && canonicalJson(rest) === canonicalJson({ calls, bounds, sum });
}

/** In words, for lists. */
export function boundInWords(bound: ArgumentBound): string {
  const name = bound.at.join('.');
  if ('oneOf' in bound) return `${name} is one of ${bound.oneOf.map((value) => JSON.stringify(value)).join(', ')}`;
  if ('under' in bound) return `${name} is under ${bound.under}`;
  return `${name} is ${bound.min} to ${bound.max}`;
}

/** Whether policy lets more calls like this one be granted. */
export const mayBeGranted = ({ state, decision }: Pick<Approval, 'state' | 'decision'>): boolean =>
  state === 'pending' && decision.grantable !== undefined;
