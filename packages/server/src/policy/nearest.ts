/** Of some names the one that was probably meant, if one is near enough: a third of its letters may differ. */
export function nearest(given: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of names) {
    if (name === given || Math.abs(name.length - given.length) >= least) continue;
    const distance = editsBetween(given.toLowerCase(), name.toLowerCase());
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Letters to insert, leave out, replace or swap with their neighbour. */
function editsBetween(left: string, right: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: right.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let at = 1; at <= right.length; at++) {
      const cost = left[row - 1] === right[at - 1] ? 0 : 1;
      let edits = Math.min((last[at] ?? 0) + 1, (current[at - 1] ?? 0) + 1, (last[at - 1] ?? 0) + cost);
      if (row > 1 && at > 1 && left[row - 1] === right[at - 2] && left[row - 2] === right[at - 1])
        edits = Math.min(edits, (before[at - 2] ?? 0) + 1);
      current.push(edits);
    }
    [before, last] = [last, current];
  }
  return last[right.length] ?? 0;
}
