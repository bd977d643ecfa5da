import { hash } from 'node:crypto';
import type { ActionRecord } from '@gatehouse/protocol';
import type { SearchQuery } from '../types.ts';
import { searchLimits as limits } from './limits.ts';

/** What a record is found by: one word of letters and digits for each value of a field, and one for each word of its text. */
export interface QueryTerms {
  all: string[];
  /** Beginnings of words. */
  prefixes: string[];
}

/** First letter of a field's terms; `w` is a word of the text. */
const FIELDS = {
  agent: 'a',
  task: 't',
  person: 'p',
  tool: 'l',
  resource: 'r',
  effect: 'e',
  result: 'u',
  approval: 'v',
  ticket: 'k',
  operation: 'o',
  label: 'b',
  environment: 'n',
  template: 'm',
  kind: 'd',
  code: 'c',
  credential: 'q',
  server: 's',
  subject: 'x',
} as const;

type Field = keyof typeof FIELDS;

/** Operations by which somebody has looked at the record: they are left out of what is done unless they are asked for. */
export const READ_OPERATION = 'log.read';

/**
 * The terms of a record. INVARIANT: bodies are no part of it, so that what was erased can't be found, and nobody finds by guessing what
 * they may not read.
 */
export function termsOf(record: ActionRecord): string[] {
  const terms = new Set<string>();
  const add = (field: Field, value: string | null | undefined) => {
    if (value) terms.add(termOf(field, value));
  };
  add('agent', record.agent);
  add('task', record.task);
  add('tool', record.tool);
  add('server', record.tool?.split('/', 1)[0]);
  add('resource', record.resource);
  add('operation', record.operation);
  add('result', record.result);
  add('approval', record.approval);
  add('ticket', record.ticket);
  add('ticket', record.change_request);
  add('environment', record.environment);
  add('template', record.template);
  add('kind', record.kind);
  if (record.kind !== 'change') add('effect', record.decision?.effect);
  add('code', record.decision?.code);
  add('subject', record.operation === READ_OPERATION ? 'read' : 'done');
  for (const label of record.labels) add('label', label);
  if (record.result === 'anomalous' || record.decision?.situation?.deviations?.length) add('label', 'anomalous');
  for (const { lease, provider } of record.credentials) {
    add('credential', lease);
    add('credential', provider);
  }
  for (const person of [record.on_behalf_of, record.requested_by, ...record.actor_chain.map(({ sub }) => sub)])
    if (person) add('person', personName(person));
  let words = 0;
  for (const word of textOf(record)) {
    if (words === limits.wordsOfRecord) break;
    const term = `w${word}`;
    if (terms.has(term)) continue;
    terms.add(term);
    words++;
  }
  return [...terms];
}

export function termsOfQuery(query: SearchQuery): QueryTerms {
  const all: string[] = [];
  for (const field of Object.keys(FIELDS) as Field[]) {
    if (field === 'label' || field === 'subject') continue;
    const value = query[field];
    if (value !== undefined) all.push(termOf(field, field === 'person' ? personName(value) : value));
  }
  for (const label of query.label ?? []) all.push(termOf('label', label));
  if (query.reads === false && query.operation === undefined) all.push(termOf('subject', 'done'));
  const prefixes: string[] = [];
  for (const { word, isPrefix } of wordsOfQuery(query.text ?? '')) (isPrefix ? prefixes : all).push(`w${word}`);
  return { all: [...new Set(all)], prefixes };
}

/** A hash, so that a term is short, and letters and digits alone, whatever the value. Of fields whose values come again they are kept. */
const known = new Map<string, string>();
const KNOWN_TERMS = 20_000;
const OWN_TO_FEW = new Set<Field>(['task', 'resource', 'approval', 'ticket', 'credential']);

function termOf(field: Field, value: string): string {
  const key = FIELDS[field] + value.normalize('NFC');
  if (OWN_TO_FEW.has(field)) return hashed(field, key);
  const found = known.get(key);
  if (found !== undefined) return found;
  const term = hashed(field, key);
  if (known.size === KNOWN_TERMS) known.clear();
  known.set(key, term);
  return term;
}

const hashed = (field: Field, key: string) => FIELDS[field] + hash('sha256', key).slice(0, 20);

const personName = (person: string) => person.replace(/^person:/, '').toLowerCase();

/** The fields that are searched by word. The reason of a decision is not: its code is a field. */
function* textOf(record: ActionRecord): Generator<string> {
  const { tool, resource, operation, ticket, change_request, detail, intent, changes, agent } = record;
  for (const text of [tool, resource, operation, ticket, change_request, detail, intent, ...changes, agent])
    if (text) yield* wordsIn(text);
}

/** Letters and digits of any script, in lower case, without accents that compatibility takes apart. */
function wordsIn(text: string): string[] {
  const words = text.normalize('NFKC').toLowerCase();
  return (words.match(isAscii.test(words) ? asciiWords : anyWords) ?? []).map(cut);
}

/** The same for texts without other letters, in a fraction of the time. */
const asciiWords = /[a-z0-9]+/g;
const anyWords = /[\p{L}\p{N}]+/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of them
const isAscii = /^[\x00-\x7f]*$/;

function wordsOfQuery(text: string): { word: string; isPrefix: boolean }[] {
  return [
    ...text
      .normalize('NFKC')
      .toLowerCase()
      .matchAll(/([\p{L}\p{N}]+)(\*?)/gu),
  ].map(([, word = '', star]) => ({
    word: cut(word),
    isPrefix: star === '*',
  }));
}

const cut = (word: string) => word.slice(0, limits.wordCharacters).toWellFormed();

/** What can't be searched for, in words; null where it can. */
export function textProblem(text: string): string | null {
  const words = wordsOfQuery(text);
  if (words.length === 0) return 'It has no letter and no digit.';
  if (words.length > limits.words) return `It has more than ${limits.words} words.`;
  const short = words.find(({ word, isPrefix }) => isPrefix && [...word].length < limits.prefixCharacters);
  return short
    ? `"${short.word}*" is too short a beginning: it needs ${limits.prefixCharacters} characters or more.`
    : null;
}
