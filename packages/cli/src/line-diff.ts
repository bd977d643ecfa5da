/** Beyond this many pairs of lines the two are shown one after the other: a definition may be as large as a hostile server likes. */
const MAX_PAIRS = 4_000_000;

/** Lines of both with `-` (only before), `+` (only after) or a blank (both), by their longest common subsequence. */
export function lineDiff(before: string[], after: string[]): ['-' | '+' | ' ', string][] {
  if (before.length * after.length > MAX_PAIRS)
    return [...before.map((line) => ['-', line] as const), ...after.map((line) => ['+', line] as const)].map(
      ([mark, line]) => [mark, line],
    );
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: ['-' | '+' | ' ', string][] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [left, right] = [before[i], after[j]];
    if (left !== undefined && left === right) {
      lines.push([' ', left]);
      i++;
      j++;
    } else if (left !== undefined && (right === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(['-', left]);
      i++;
    } else {
      lines.push(['+', right as string]);
      j++;
    }
  }
  return lines;
}
