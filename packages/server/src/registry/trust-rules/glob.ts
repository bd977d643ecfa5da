/**
 * The patterns of trust rules: `*` is any text without `:` and `/`, which are the joints of subjects, refs and paths; `**` is any text. Anchored
 * at both ends; everything else stands for itself. Matching takes time in proportion to pattern times text, whatever they are.
 */
type Part = string | typeof WITHIN | typeof ACROSS;
const WITHIN = Symbol('*');
const ACROSS = Symbol('**');
const JOINTS = ':/';

function parts(pattern: string): Part[] {
  const found: Part[] = [];
  for (let at = 0; at < pattern.length; at++) {
    if (pattern[at] !== '*') found.push(pattern[at] as string);
    else if (pattern[at + 1] === '*') {
      found.push(ACROSS);
      at++;
    } else found.push(WITHIN);
  }
  return found;
}

const literal = (text: string): Part[] => [...Array(text.length).keys()].map((at) => text[at] as string);

export const globMatches = (pattern: string, text: string): boolean => meet(parts(pattern), literal(text));

/** Whether some text matches both. Exact: the answer is never "perhaps". */
export const globsOverlap = (one: string, other: string): boolean => meet(parts(one), parts(other));

/** Whether some text is in both languages: a walk through the pairs of places, each visited once. */
function meet(a: Part[], b: Part[]): boolean {
  const width = b.length + 1;
  const seen = new Uint8Array((a.length + 1) * width);
  const open: number[] = [];
  const visit = (i: number, j: number) => {
    const place = i * width + j;
    if (seen[place] === 1) return;
    seen[place] = 1;
    open.push(place);
  };
  visit(0, 0);
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const i = Math.floor(place / width);
    const j = place % width;
    if (i === a.length && j === b.length) return true;
    const [left, right] = [a[i], b[j]];
    // A star may stand for nothing.
    if (typeof left === 'symbol') visit(i + 1, j);
    if (typeof right === 'symbol') visit(i, j + 1);
    if (typeof left === 'string' && typeof right === 'string') {
      if (left === right) visit(i + 1, j + 1);
    } else if (typeof left === 'string' && typeof right === 'symbol') {
      if (takes(right, left)) visit(i + 1, j);
    } else if (typeof left === 'symbol' && typeof right === 'string') {
      if (takes(left, right)) visit(i, j + 1);
    }
  }
  return false;
}

const takes = (star: symbol, character: string): boolean => star === ACROSS || !JOINTS.includes(character);
