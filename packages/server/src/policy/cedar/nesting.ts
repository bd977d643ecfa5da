import { policyLimits as limits } from './limits.ts';

/**
 * Why a text is nested too deep for the official parser, which has a small stack of its own and is of no use any more once that has
 * overflowed: no text goes to it unasked. Counts brackets, and `if` within one policy, outside of strings and comments.
 */
export function nestingProblem(text: string): string | undefined {
  let depth = 0;
  let conditionals = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|\/\/[^\n]*|[()[\]{};]|\bif\b/gs)) {
    if (token === ';') conditionals = 0;
    else if (token === 'if') conditionals++;
    else if ('([{'.includes(token)) depth++;
    else if (')]}'.includes(token)) depth--;
    if (depth > limits.nestedBrackets) return `brackets are nested more than ${limits.nestedBrackets} levels deep`;
    if (conditionals > limits.conditionals) return `one policy has more than ${limits.conditionals} conditionals (if)`;
  }
  return undefined;
}
