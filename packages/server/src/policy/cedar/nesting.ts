import { policyLimits as limits } from './limits.ts';

/**
 * Why a text is none for the official parser: it is no Unicode, or nested too deep for it, which has a small stack of its own and is of no use any more once that has
 * overflowed: no text goes to it unasked. Counts brackets, and `if` within one policy, outside of strings and comments.
 */
export function nestingProblem(text: string): string | undefined {
  if (!text.isWellFormed()) return 'it holds half of a character (a lone surrogate), which is no text';
  let depth = 0;
  let conditionals = 0;
  const chains: Chain[] = [];
  let chain = { ...NONE };
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === ';') conditionals = 0;
    if (token === 'if') conditionals++;
    else if (/^\w/.test(token)) continue;
    if ('([{'.includes(token)) {
      depth++;
      chains.push(chain);
      chain = { ...NONE };
    } else if (')]}'.includes(token)) {
      depth--;
      chain = chains.pop() ?? { ...NONE };
    } else follow(chain, token);
    if (depth > limits.nestedBrackets) return `brackets are nested more than ${limits.nestedBrackets} levels deep`;
    if (conditionals > limits.conditionals) return `one policy has more than ${limits.conditionals} conditionals (if)`;
    if (Math.max(chain.joins, chain.sums, chain.members) > limits.chainedOperators)
      return `expressions are nested more than ${limits.expressionDepth} levels deep: one has more than ${limits.chainedOperators} operators in a row`;
  }
  return undefined;
}

/** Operators in a row, of which each is one level more: `a && b && c`, `1 + 2 + 3`, `a.b.c`. */
interface Chain {
  joins: number;
  sums: number;
  members: number;
}

const NONE: Chain = { joins: 0, sums: 0, members: 0 };
const TOKENS = /"(?:[^"\\]|\\.)*"?|\/\/[^\n]*|&&|\|\||[<>=!]=?|[-+*.,;()[\]{}]|\w+/gs;

function follow(chain: Chain, token: string): void {
  if (token === '.') chain.members++;
  else chain.members = 0;
  if ('-+*'.includes(token)) chain.sums++;
  else if (token !== '.') chain.sums = 0;
  if (token === '&&' || token === '||') chain.joins++;
  else if (token === ',' || token === ';') chain.joins = 0;
}
