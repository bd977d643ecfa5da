import type { RegisteredTool } from '../../registry/index.ts';
import { mostCareful, type Part } from './parts.ts';

export const UNTRUSTED = 'untrusted';
export const SENSITIVE = 'sensitive:';

/** What a result brings that was looked at field by field. */
export function labelsOfParts(parts: readonly Part[], isWhole: boolean): string[] {
  const found = new Set<string>();
  for (const { isTrusted, sensitive } of parts) {
    if (!isTrusted) found.add(UNTRUSTED);
    for (const kind of sensitive) found.add(`${SENSITIVE}${kind}`);
  }
  if (!isWhole) found.add(UNTRUSTED);
  return [...found].sort();
}

type Returns = RegisteredTool['labels']['returns'];

/** Every label that a result could have that goes to the agent by another way. */
export function labelsOfUnseen(returns: Returns): string[] {
  const { isTrusted, sensitive } = mostCareful(returns);
  return [...(isTrusted ? [] : [UNTRUSTED]), ...sensitive.map((kind) => `${SENSITIVE}${kind}`)].sort();
}
