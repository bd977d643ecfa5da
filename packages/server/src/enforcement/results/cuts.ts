import type { RemovedKind } from './tally.ts';

/** A part of a text that is taken out, with what stands there instead. */
export interface Cut {
  from: number;
  to: number;
  kind: RemovedKind;
  instead?: string;
}

/** Where one cut lies in another, the outer one counts; of two that overlap, both go. */
export function applyCuts(text: string, cuts: Cut[], onCut: (cut: Cut) => void): string {
  if (cuts.length === 0) return text;
  const parts: string[] = [];
  let at = 0;
  for (const cut of cuts.sort((a, b) => a.from - b.from || b.to - a.to)) {
    if (cut.to <= at) continue;
    parts.push(text.slice(at, Math.max(at, cut.from)), cut.instead ?? '');
    at = cut.to;
    onCut(cut);
  }
  parts.push(text.slice(at));
  return parts.join('');
}
