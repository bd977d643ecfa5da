import { domainToASCII } from 'node:url';
import type { ArgumentRole } from '@gatehouse/protocol';

/**
 * How values are compared before one of them vouches for another: two writings of the same thing are equal, and nothing else is. What only
 * looks like it (another script's letters, a longer host, another user at a host) differs. Null: it can't be read, so that nothing vouches
 * for it.
 */
export function canonical(value: string | number, role: ArgumentRole): string | null {
  const text = String(value).normalize('NFC').trim();
  if (text === '') return null;
  switch (role) {
    case 'recipient':
      return canonicalRecipient(text);
    case 'account':
      return text.includes('@') ? canonicalRecipient(text) : text.replace(/[\s\-._]+/g, '').toLowerCase();
    case 'url':
      return canonicalUrl(text);
    case 'path':
      return canonicalPath(text);
    case 'amount':
      return canonicalAmount(value);
    case 'credential':
    case 'command':
      return text;
    case 'identifier':
      return text.replace(/^#/, '').toLowerCase();
    default:
      return text.replace(/\s+/g, ' ').toLowerCase();
  }
}

/** Addresses with the sign `@`, wherever they stand in a text. Looked for from that sign, so that it takes as long as the text is. */
export function addressesIn(text: string): string[] {
  const found: string[] = [];
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let from = at;
    while (from > 0 && at - from < LOCAL_CHARS && inAddress(text, from - 1)) from--;
    let to = at + 1;
    while (to < text.length && to - at <= HOST_CHARS && inAddress(text, to)) to++;
    if (from < at && to > at + 1) found.push(text.slice(from, to));
  }
  return found;
}

/** Longer than any address may be: what is cut off is no address, and equals none. */
const LOCAL_CHARS = 128;
const HOST_CHARS = 300;

const notInAddress = /[\s<>,;:"'()[\]{}|\\@]/u;
const inAddress = (text: string, at: number) => !notInAddress.test(text[at] as string);

function canonicalRecipient(text: string): string | null {
  if (!/.@./.test(text)) {
    if (/^\+?[\d\s().\-/]{6,}$/.test(text)) return text.replace(/[^\d+]/g, '');
    return text.replace(/^[@#]/, '').replace(/\s+/g, ' ').toLowerCase();
  }
  const plain = text.replace(/^mailto:/i, '').replace(/[.,;:!?]+$/, '');
  const at = plain.lastIndexOf('@');
  const host = canonicalHost(plain.slice(at + 1));
  const local = plain.slice(0, at).toLowerCase();
  if (host === null || local === '' || /[\s<>,;"@]/.test(local)) return null;
  return `${local}@${host}`;
}

function canonicalHost(host: string): string | null {
  const ascii = domainToASCII(host.toLowerCase().replace(/\.$/, ''));
  return ascii === '' ? null : ascii;
}

/** An absolute URL. One without a scheme is taken for https, as people write them; http and https of a host are one place. */
export function canonicalUrl(text: string): string | null {
  const url = parseUrl(text);
  if (!url) return null;
  url.hostname = url.hostname.replace(/\.$/, '');
  const scheme = url.protocol === 'http:' ? 'https:' : url.protocol;
  const port = url.port === '' ? '' : `:${url.port}`;
  const user = url.username || url.password ? `${url.username}:${url.password}@` : '';
  const path = sameEscapes(url.pathname).replace(/\/+$/, '');
  return `${scheme}//${user}${url.hostname}${port}${path}${sameEscapes(url.search)}${sameEscapes(url.hash)}`;
}

export function parseUrl(text: string): URL | null {
  if (/[\s<>"\\]/.test(text)) return null;
  const absolute = /^[a-z][a-z0-9+.-]*:/i.test(text) && !/^[^/:]+:\d+(\/|$)/.test(text) ? text : `https://${text}`;
  const url = URL.parse(absolute);
  return url && (url.hostname !== '' || url.protocol === 'file:') ? url : null;
}

/** Escapes of what needs none are undone; the rest is written in one way. */
function sameEscapes(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (all, hex) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : all.toUpperCase();
  });
}

/** `..` never reaches above where it began: such a path is not the one that was stated. */
export function canonicalPath(text: string): string | null {
  const plain = text.replace(/\\/g, '/');
  const isAbsolute = plain.startsWith('/');
  const parts: string[] = [];
  for (const part of plain.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return null;
  }
  if (parts.length === 0) return isAbsolute ? '/' : null;
  return `${isAbsolute ? '/' : ''}${parts.join('/')}`;
}

/** `1,000.50`, `1.000,50 €` and 1000.5 are one amount; the sign does not matter to whose it is. */
function canonicalAmount(value: string | number): string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? String(Math.abs(value)) : null;
  const digits = value.replace(/[\p{Sc}\p{L}\s'’]+/gu, '');
  if (!/^[+-]?\d[\d.,]*$/.test(digits)) return null;
  return String(Math.abs(parseAmount(digits)));
}

function parseAmount(digits: string): number {
  const last = Math.max(digits.lastIndexOf('.'), digits.lastIndexOf(','));
  if (last < 0) return Number(digits);
  const separator = digits[last] as string;
  const isGrouping =
    digits.length - last - 1 === 3 &&
    (separator === ',' || digits.indexOf(separator) !== last) &&
    !/[.,]/.test(digits.slice(0, last).replaceAll(separator, ''));
  if (isGrouping) return Number(digits.replace(/[.,]/g, ''));
  return Number(`${digits.slice(0, last).replace(/[.,]/g, '')}.${digits.slice(last + 1)}`);
}

/** Amounts that a text names. */
export function* amountsIn(text: string): Iterable<string> {
  for (const [number] of text.matchAll(/(?<!\d)\d+(?:[.,'’\u00a0\u202f ]\d{3})*(?:[.,]\d+)?(?![\p{L}\d%])/gu)) {
    for (const each of new Set([number, ...number.split(/[\s\u00a0\u202f]/)])) {
      const amount = canonicalAmount(each);
      if (amount !== null) yield amount;
    }
  }
}
