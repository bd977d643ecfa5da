import { isJsonObject, type Json, type JsonObject, type Secret } from '../../platform/index.ts';
import { formsOf } from './authorization/echo.ts';
import { writtenWays } from './written.ts';

/** Shorter ones stand in any text by chance. */
const minChars = 8;
export const hiddenMark = '[credential]';

/** A key in PEM may be shown line by line, as a log does. What every key begins and ends with is nothing to hide. */
const linesOf = (value: string) =>
  value.includes('\n') ? value.split('\n').filter((line) => line.length >= 16 && !line.startsWith('-----')) : [];

/**
 * Takes what was injected out of a text, in every way that JSON, URLs, HTML, base64 and hexadecimal write it. A server that wants to hide it otherwise
 * can; it is good for one task, and ends with it.
 */
export function hiderOf(secrets: readonly Secret[]): (text: string) => string {
  const values = [...new Set(secrets.map((secret) => secret.reveal()))].filter((value) => value.length >= minChars);
  // The longest first: a shorter one may be a part of it.
  const ways = values.sort((a, b) => b.length - a.length).flatMap(writtenWays);
  const lines = values.flatMap(linesOf).flatMap(formsOf);
  return (text) => {
    if (text.length < minChars) return text;
    let left = text;
    for (const { head, whole } of ways) if (head.test(left)) left = left.replace(whole(), hiddenMark);
    for (const form of lines) if (left.includes(form)) left = left.replaceAll(form, hiddenMark);
    return left;
  };
}

/** The same in every text and name of a message. What needs no change is given back as it is. */
export function hideIn<T extends Json | undefined>(value: T, hide: (text: string) => string): T {
  if (typeof value === 'string') return hide(value) as T;
  if (Array.isArray(value)) return value.map((each) => hideIn(each, hide)) as T;
  if (!isJsonObject(value)) return value;
  // Entries and not assignments: `__proto__` is a name like any other.
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [hide(name), hideIn(each, hide)]),
  ) as JsonObject as T;
}
