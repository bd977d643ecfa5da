import { amountsIn } from './canonical.ts';
import type { Source } from './fields.ts';
import { decodings, fold, squeeze, squeezeSpelledOut } from './fold.ts';
import { flowLimits } from './limits.ts';

/** What stood in untrusted parts of one result, in the ways in which it is looked for. */
export interface Untrusted extends Source {
  folded: string;
  squeezed: string;
  /** Both found when first asked for. */
  amounts?: Amounts;
  passages?: Set<string>;
}

/** Some texts, each decoded and written in the ways in which values hide. */
export function searchable(texts: readonly string[]): Pick<Untrusted, 'folded' | 'squeezed'> {
  const plain = texts.join('\n');
  const all = [plain, ...decodings(plain.slice(0, flowLimits.decodedChars))].map(fold);
  const squeezed = all.flatMap((text) => [squeeze(text), squeezeSpelledOut(text) ?? []].flat()).join('\n');
  return { folded: all.join('\n'), squeezed };
}

type Amounts = Pick<ReadonlySet<string>, 'has'>;
const everyAmount: Amounts = { has: () => true };

export function amountsOf(result: Untrusted): Amounts {
  if (result.amounts) return result.amounts;
  const amounts = new Set<string>();
  let looked = 0;
  for (const amount of amountsIn(result.folded)) {
    amounts.add(amount);
    // Whoever names so many hides one among them.
    if (++looked > flowLimits.amountsPerResult) {
      result.amounts = everyAmount;
      return everyAmount;
    }
  }
  result.amounts = amounts;
  return amounts;
}

/** Words that stand in two places by chance are shorter than this. */
export const PASSAGE_CHARS = 28;
const PASSAGE_STEP = 12;

/** It is long enough to hold a passage. */
export const couldQuote = (text: string): boolean => spacedOut(fold(text)).length >= PASSAGE_CHARS;

export const spacedOut = (folded: string) => folded.replace(/\s+/g, ' ');

/** So many that any run of forty characters holds a whole one, wherever it begins. */
export function passagesOf(result: Untrusted): ReadonlySet<string> {
  if (result.passages) return result.passages;
  const text = spacedOut(result.folded);
  result.passages = new Set();
  for (let at = 0; at + PASSAGE_CHARS <= text.length; at += PASSAGE_STEP)
    result.passages.add(text.slice(at, at + PASSAGE_CHARS));
  return result.passages;
}
