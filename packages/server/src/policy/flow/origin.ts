import type { ArgumentRole, EndorsedValue } from '@gatehouse/protocol';
import type { Json } from '../../platform/index.ts';
import type { Provenance } from '../situation.ts';
import { addressesIn, canonical, canonicalPath, parseUrl } from './canonical.ts';
import { type Effort, newEffort } from './effort.ts';
import type { Source } from './fields.ts';
import { flowLimits } from './limits.ts';
import type { Others } from './memory.ts';
import type { Seen } from './seen.ts';
import { holdsValue, urlsIn } from './statement.ts';
import { unitOf } from './units.ts';
import { couldQuote } from './untrusted.ts';

/** What somebody who vouches for it has told a task: texts, and values that stand for themselves. */
export interface Told {
  texts: readonly string[];
  values: readonly (string | number)[];
}

/** Where a value came from. */
interface ValueOrigin {
  provenance: Provenance;
  value: string;
  source?: Source;
  /** Of a text: the value is an address in it, which can be endorsed, and no piece of the text. */
  isWhole?: boolean;
}

/** Where the value of an argument came from, and which value it was that decided. */
export interface Origin extends ValueOrigin {
  /** All values from untrusted content or from nowhere known, as far as a person can be asked about them. */
  held: EndorsedValue[];
}

export interface Known {
  told: Told;
  /** Of the task and of those that it was handed on from. */
  seen: readonly Seen[];
  /** Of other tasks of its agent, where nobody stands behind this one. */
  others?: Others;
  endorsed(role: ArgumentRole, value: string): boolean;
  /** The task has read untrusted content, and not all of it is here: what is not found may have been in it. */
  hasForgotten?: boolean;
}

/** From the best to the worst: of several values the worst decides. */
const order: readonly Provenance[] = ['stated', 'endorsed', 'derived', 'trusted', 'unknown', 'untrusted'];

/** Undefined: the argument holds no value (null, an empty text, an empty list, yes or no). */
export function originOfArgument(
  name: string,
  value: Json,
  role: ArgumentRole,
  known: Known,
  effort: Effort = newEffort(),
): Origin | undefined {
  const values: (string | number)[] = [];
  if (!collect(value, role, values, 0)) return { provenance: 'unknown', value: '(too many values)', held: [] };
  let worst: ValueOrigin | undefined;
  const held = new Map<string, EndorsedValue>();
  for (const each of values) {
    const origin = originOf(name, each, role, known, effort);
    if (!worst || order.indexOf(origin.provenance) > order.indexOf(worst.provenance)) worst = origin;
    const canBeHeld = role !== 'content' || origin.isWhole;
    if (
      order.indexOf(origin.provenance) >= order.indexOf('unknown') &&
      canBeHeld &&
      origin.value.length <= flowLimits.heldChars
    )
      held.set(origin.value, { role, value: origin.value });
  }
  return worst && { ...worst, held: [...held.values()].slice(0, flowLimits.heldValues) };
}

/** The single values of an argument; more than are looked at are left out. */
export function namesIn(value: Json | undefined, role: ArgumentRole): (string | number)[] {
  const values: (string | number)[] = [];
  if (value !== undefined) collect(value, role, values, 0);
  return values;
}

/** False when there are too many. */
function collect(value: Json, role: ArgumentRole, into: (string | number)[], depth: number): boolean {
  if (into.length > flowLimits.valuesPerCall || depth > flowLimits.depth) return false;
  if (typeof value === 'string') {
    if (value.trim() !== '') into.push(...(role === 'recipient' ? recipientsIn(value) : [value]));
  } else if (typeof value === 'number') into.push(value);
  else if (typeof value === 'object' && value !== null)
    for (const member of Object.values(value)) if (!collect(member, role, into, depth + 1)) return false;
  return into.length <= flowLimits.valuesPerCall;
}

/** `Ann <ann@a.example>, bob@b.example` is two addresses; what else stands there is a name that nothing is sent to. */
function recipientsIn(text: string): string[] {
  if (!text.includes('@')) return [text];
  const found = addressesIn(text);
  // A sign that belongs to no address, or to two of them: it is not known what is meant.
  const isPlain = found.length === text.split('@').length - 1 && !/@[^\s,;<>]*@/.test(text);
  return found.length > 0 && isPlain ? found : [text];
}

function originOf(name: string, value: string | number, role: ArgumentRole, known: Known, effort: Effort): ValueOrigin {
  const shown = String(value);
  if (shown.length > flowLimits.valueChars && role !== 'content') return { provenance: 'unknown', value: shown };
  if (role === 'content') return originOfContent(shown, known, effort);
  if (isTold(name, value, role, known.told)) return { provenance: 'stated', value: shown };
  const writing = canonical(value, role);
  if (writing !== null && known.endorsed(role, writing)) return { provenance: 'endorsed', value: shown };
  const found = (provenance: Provenance, source: Source): ValueOrigin => ({ provenance, value: shown, source });
  const own = (look: (seen: Seen) => Source | undefined) => firstOf(known.seen, look);
  const any = (look: (seen: Seen) => Source | undefined) => firstOf(allOf(known), look);

  const inMade = own((seen) => seen.inMade(value, role));
  if (inMade) return found('derived', inMade);
  const searched = role === 'url' ? shown.replace(/^[a-z][a-z0-9+.-]*:\/*/i, '') : value;
  const inText = any((seen) => seen.inUntrustedText(searched, role, effort));
  if (inText) return found('untrusted', inText);
  const isComplete = (known.others?.isComplete ?? true) && known.seen.every((each) => each.isComplete);
  const inTrusted = isComplete && own((seen) => seen.inTrusted(value, role, effort, unitOf(name)));
  if (inTrusted) return found('trusted', inTrusted);
  const inField = any((seen) => seen.inUntrustedField(value, role));
  if (inField) return found('untrusted', inField);
  const built =
    role === 'url'
      ? originOfBuilt(shown, known, effort)
      : role === 'path'
        ? originWithin(shown, known, effort)
        : undefined;
  if (built) return built;
  if (role !== 'amount' && allOf(known).some((seen) => seen.inPieces(searched, effort)))
    return { provenance: 'untrusted', value: shown };
  return { provenance: 'unknown', value: shown };
}

const allOf = ({ seen, others }: Known): readonly Seen[] => (others ? [...seen, ...others.seen] : seen);

function firstOf(all: readonly Seen[], look: (seen: Seen) => Source | undefined): Source | undefined {
  for (const seen of all) {
    const source = look(seen);
    if (source) return source;
  }
  return undefined;
}

function isTold(name: string, value: string | number, role: ArgumentRole, { texts, values }: Told): boolean {
  const numbers =
    role === 'amount' && typeof value === 'number' && unitOf(name) === 'cents' ? [value, value / 100] : [value];
  return numbers.some((number) => {
    const wanted = canonical(number, role);
    if (wanted === null) return false;
    return (
      values.some((each) => canonical(each, role) === wanted) || texts.some((text) => holdsValue(text, wanted, role))
    );
  });
}

/** A free text has no origin of its own; what counts is whether it carries an address, or a passage, that untrusted content brought. */
function originOfContent(text: string, known: Known, effort: Effort): ValueOrigin {
  const value = text.slice(0, 100);
  if (text.length > flowLimits.contentChars) return originOfTooMuch(value, known);
  const carried: [string, ArgumentRole][] = [
    ...addressesIn(text).map((each): [string, ArgumentRole] => [each, 'recipient']),
    ...urlsIn(text).map((each): [string, ArgumentRole] => [each, 'url']),
  ];
  const values = new Map(carried);
  if (values.size > flowLimits.valuesPerContent) return originOfTooMuch(value, known);
  for (const [carried, role] of values) {
    const value = carried.replace(/[.,;:!?]+$/, '');
    // That a text may say it is another thing than that something may go there.
    const writing = canonical(value, 'content');
    if (writing !== null && known.endorsed('content', writing)) continue;
    const origin = originOf('', value, role, { ...known, endorsed: () => false }, effort);
    if (origin.provenance === 'untrusted' || (known.hasForgotten && origin.provenance === 'unknown'))
      return { ...origin, provenance: 'untrusted', isWhole: true };
  }
  if (known.told.texts.some((told) => holdsValue(told, canonical(text, 'content') ?? '\0', 'content')))
    return { provenance: 'stated', value };
  const source = firstOf(allOf(known), (seen) => seen.quotes(text, effort));
  if (source) return { provenance: 'untrusted', value, source };
  return { provenance: known.hasForgotten && couldQuote(text) ? 'untrusted' : 'unknown', value };
}

/** More than is looked through: it may hold anything that was read. */
function originOfTooMuch(value: string, known: Known): ValueOrigin {
  const source = firstOf(allOf(known), ({ lastUntrusted }) => lastUntrusted);
  if (source) return { provenance: 'untrusted', value, source };
  return { provenance: known.hasForgotten ? 'untrusted' : 'unknown', value };
}

/**
 * A URL below one that was stated. Its host is the one that was meant, but what is added may carry data there: each added piece has to be
 * stated as well, or to be a small number.
 */
function originOfBuilt(text: string, known: Known, effort: Effort): ValueOrigin | undefined {
  const { told } = known;
  const url = parseUrl(text);
  if (!url) return undefined;
  const base = [...told.texts.flatMap(urlsIn), ...told.values.map(String)]
    .map((each) => parseUrl(each))
    .find((each) => each && isBelow(url, each));
  if (!base) return undefined;
  const added = [url.pathname.slice(base.pathname.length), url.search, url.hash]
    .flatMap((part) => part.split(/[/?&=#+;,]+/))
    .map((piece) => decoded(piece))
    .filter((piece) => piece !== '');
  const carrying = added.filter(
    (piece) =>
      !/^\d{1,3}$/.test(piece) &&
      !told.texts.some((each) => holdsValue(each, canonical(piece, 'name') ?? '\0', 'name')) &&
      !told.values.some((each) => canonical(each, 'name') === canonical(piece, 'name')),
  );
  if (carrying.length === 0 && added.length <= MAX_ADDED) return { provenance: 'stated', value: text };
  for (const piece of carrying.slice(0, MAX_ADDED)) {
    const source = firstOf(allOf(known), (each) => each.inUntrustedText(piece, 'name', effort));
    if (source) return { provenance: 'untrusted', value: text, source };
  }
  return { provenance: 'unknown', value: text };
}

const MAX_ADDED = 12;

function isBelow(url: URL, base: URL): boolean {
  const isSamePlace =
    url.host.replace(/\.(?=:|$)/, '') === base.host && url.username === '' && url.password === '' && base.search === '';
  if (!isSamePlace || (url.protocol !== base.protocol && base.protocol !== 'https:')) return false;
  const path = base.pathname.replace(/\/+$/, '');
  return url.pathname === path || url.pathname.startsWith(`${path}/`);
}

function decoded(piece: string): string {
  try {
    return decodeURIComponent(piece);
  } catch {
    return piece;
  }
}

/** A file in a directory that was stated; its name may be the agent's own, and not what untrusted content says. */
function originWithin(text: string, known: Known, effort: Effort): ValueOrigin | undefined {
  const { told } = known;
  const path = canonicalPath(text);
  if (path === null) return undefined;
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const directory = path.slice(0, end);
    if (!directory.includes('/')) break;
    const isStated =
      told.texts.some((each) => holdsValue(each, directory, 'path')) ||
      told.values.some((each) => canonicalPath(String(each)) === directory);
    if (!isStated) continue;
    const rest = path.slice(end + 1);
    const source = firstOf(allOf(known), (each) => each.inUntrustedText(rest, 'name', effort));
    return source ? { provenance: 'untrusted', value: text, source } : { provenance: 'stated', value: text };
  }
  return undefined;
}
