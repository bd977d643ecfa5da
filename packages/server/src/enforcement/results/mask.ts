import { createHmac } from 'node:crypto';
import { credentials } from './credentials.ts';
import type { Detector, Finding } from './detector.ts';
import { resultLimits } from './limits.ts';
import { personalData } from './personal.ts';
import { count, type Tally } from './tally.ts';

/** Those that need nobody's service. */
export const builtInDetectors: readonly Detector[] = [credentials, personalData];

/** Gives each value its name within one task. */
export type Placeholder = (kind: string, value: string) => string;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * The same value has the same placeholder for a whole task, on every replica and after a restart, so that an agent can refer to it. It
 * follows from the value by a key that no agent has: whoever sees it can't guess the value, and no other task has the same one.
 */
export function placeholdersOf(key: Uint8Array, task: string): Placeholder {
  return (kind, value) => {
    const hash = createHmac('sha256', key).update(`${task}\n${kind}\n${value}`).digest();
    let name = '';
    for (let at = 0; at < 7; at++) name += alphabet[(hash[at] as number) % 32];
    return `[${kind} #${name}]`;
  };
}

/** A text with what is to be masked named instead of shown. */
export function maskText(
  text: string,
  mask: ReadonlySet<string>,
  placeholder: Placeholder,
  tally: Tally,
  detectors: readonly Detector[] = builtInDetectors,
): string {
  if (text.length < 5) return text;
  const found: Finding[] = [];
  for (const { sensitive, detect } of detectors) {
    if (!sensitive.some((each) => mask.has(each))) continue;
    for (const finding of detect(text)) if (finding.sensitive.some((each) => mask.has(each))) found.push(finding);
  }
  if (found.length === 0) return text;
  if (found.length > resultLimits.findingsPerText) {
    count(tally.masked, 'text');
    return '[withheld: too much sensitive data in one text]';
  }
  const parts: string[] = [];
  let at = 0;
  for (const { kind, from, to } of found.sort((a, b) => a.from - b.from || b.to - a.to)) {
    if (to <= at) continue;
    parts.push(text.slice(at, Math.max(at, from)), placeholder(kind, text.slice(from, to)));
    count(tally.masked, kind);
    at = to;
  }
  parts.push(text.slice(at));
  return parts.join('');
}
