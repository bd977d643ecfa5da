import type { ArgumentRole, EndorsedValue } from '@gatehouse/protocol';
import type { Json } from '../../platform/index.ts';
import type { Provenance } from '../situation.ts';
import { addressesIn, canonical, canonicalPath, parseUrl } from './canonical.ts';
import { flowLimits } from './limits.ts';
import type { Effort, Seen, Source } from './seen.ts';
import { holdsValue, urlsIn } from './statement.ts';

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
  /** What the value stands for, where that is not what its argument does: an address in a text. */
  as?: ArgumentRole;
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
  endorsed(role: ArgumentRole, value: string): boolean;
}

/** From the best to the worst: of several values the worst decides. */
const order: readonly Provenance[] = ['stated', 'endorsed', 'trusted', 'unknown', 'untrusted'];

/** Undefined: the argument holds no value (null, an empty text, an empty list, yes or no). */
export function originOfArgument(name: string, value: Json, role: ArgumentRole, known: Known): Origin | undefined {
  const values: (string | number)[] = [];
  if (!collect(value, role, values, 0)) return { provenance: 'unknown', value: '(too many values)', held: [] };
  let worst: ValueOrigin | undefined;
  const held = new Map<string, EndorsedValue>();
  const effort = { left: flowLimits.piecedChars };
  for (const each of values) {
    const origin = originOf(name, each, role, known, effort);
    if (!worst || order.indexOf(origin.provenance) > order.indexOf(worst.provenance)) worst = origin;
    const canBeHeld = role !== 'content' || origin.as !== undefined;
    if (
      order.indexOf(origin.provenance) >= order.indexOf('unknown') &&
      canBeHeld &&
      origin.value.length <= flowLimits.heldChars
    )
      held.set(origin.value, { role: origin.as ?? role, value: origin.value });
  }
  return worst && { ...worst, held: [...held.values()].slice(0, flowLimits.heldValues) };
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
  const first = (look: (seen: Seen) => Source | undefined) => {
    for (const seen of known.seen) {
      const source = look(seen);
      if (source) return source;
    }
    return undefined;
  };

  const inMade = first((seen) => seen.inMade(value, role));
  if (inMade) return found('trusted', inMade);
  const searched = role === 'url' ? shown.replace(/^[a-z][a-z0-9+.-]*:\/*/i, '') : value;
  const inText = first((seen) => seen.inUntrustedText(searched, role, effort));
  if (inText) return found('untrusted', inText);
  const inTrusted = known.seen.every(({ isComplete }) => isComplete) && first((seen) => seen.inTrusted(value, role));
  if (inTrusted) return found('trusted', inTrusted);
  const inField = first((seen) => seen.inUntrustedField(value, role));
  if (inField) return found('untrusted', inField);
  const built =
    role === 'url'
      ? originOfBuilt(shown, known, effort)
      : role === 'path'
        ? originWithin(shown, known, effort)
        : undefined;
  if (built) return built;
  if (role !== 'amount' && known.seen.some((seen) => seen.inPieces(searched, effort)))
    return { provenance: 'untrusted', value: shown };
  return { provenance: 'unknown', value: shown };
}

/** Amounts in the hundredth part of a currency's unit, which people do not speak in. */
const isInCents = (name: string) => /(^|[_-])(cents?|minor|pence)([_-]|$)|Cents?$/.test(name);

function isTold(name: string, value: string | number, role: ArgumentRole, { texts, values }: Told): boolean {
  const numbers = role === 'amount' && typeof value === 'number' && isInCents(name) ? [value, value / 100] : [value];
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
  for (const [value, role] of values) {
    const origin = originOf('', value, role, known, effort);
    if (origin.provenance === 'untrusted') return { ...origin, as: role };
  }
  if (known.told.texts.some((told) => holdsValue(told, canonical(text, 'content') ?? '\0', 'content')))
    return { provenance: 'stated', value };
  for (const seen of known.seen) {
    const source = seen.quotes(text);
    if (source) return { provenance: 'untrusted', value, source };
  }
  return { provenance: 'unknown', value };
}

/** More than is looked through: it may hold anything that was read. */
function originOfTooMuch(value: string, { seen }: Known): ValueOrigin {
  const source = seen.map((each) => each.lastUntrusted).find(Boolean);
  return source ? { provenance: 'untrusted', value, source } : { provenance: 'unknown', value };
}

/**
 * A URL below one that was stated. Its host is the one that was meant, but what is added may carry data there: each added piece has to be
 * stated as well, or to be a small number.
 */
function originOfBuilt(text: string, { told, seen }: Known, effort: Effort): ValueOrigin | undefined {
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
  for (const piece of carrying.slice(0, MAX_ADDED))
    for (const each of seen) {
      const source = each.inUntrustedText(piece, 'name', effort);
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
function originWithin(text: string, { told, seen }: Known, effort: Effort): ValueOrigin | undefined {
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
    const source = seen.map((each) => each.inUntrustedText(rest, 'name', effort)).find(Boolean);
    return source ? { provenance: 'untrusted', value: text, source } : { provenance: 'stated', value: text };
  }
  return undefined;
}
