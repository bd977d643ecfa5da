import type { Json } from '../../platform/index.ts';

/** Of ECMAScript's JSON.parse source text access, which TypeScript does not know yet. */
interface RawJson {
  parse(text: string, reviver: (name: string, value: unknown, context: { source?: string }) => unknown): Json;
  rawJSON(text: string): Json;
  isRawJSON(value: unknown): boolean;
}
const raw = JSON as unknown as RawJson;

/** A number with the digits that it was written with. */
export const isExactNumber = (value: unknown): boolean => raw.isRawJSON(value);

/** A JSON text with its value changed: numbers keep their digits, lines their depth. */
export function exactJson(text: string, change: (value: Json) => Json): string {
  const parsed = raw.parse(text, (_name, value, { source }) =>
    typeof value === 'number' && source !== undefined ? raw.rawJSON(source) : value,
  );
  const changed = change(parsed);
  if (changed === parsed) return text;
  const indent = /^\s*[[{]\r?\n([ \t]+)/.exec(text)?.[1];
  return JSON.stringify(changed, null, indent);
}
