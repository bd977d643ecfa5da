/** Names in order, for pages of them: with a million names a page costs a search, and not a sort of them all. */
export interface NameIndex {
  /** Each name once. */
  add(name: string): void;
  /** The first names after this one, or of all. */
  after(name: string | undefined, limit: number): string[];
}

export function createNameIndex(): NameIndex {
  let sorted: string[] = [];
  let added: string[] = [];

  // Names come by the thousand and are read a page at a time, so they are put in their places when somebody reads.
  function settle(): void {
    if (added.length === 0) return;
    const all: string[] = [];
    let at = 0;
    for (const name of added.sort()) {
      const place = placeAfter(sorted, name, at);
      for (; at < place; at++) all.push(sorted[at] as string);
      all.push(name);
    }
    for (; at < sorted.length; at++) all.push(sorted[at] as string);
    sorted = all;
    added = [];
  }

  return {
    add(name) {
      added.push(name);
    },
    after(name, limit) {
      settle();
      const from = name === undefined ? 0 : placeAfter(sorted, name, 0);
      return sorted.slice(from, from + limit);
    },
  };
}

/** Where the first name stands that comes after this one. */
function placeAfter(sorted: readonly string[], name: string, from: number): number {
  let [low, high] = [from, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) > name) high = middle;
    else low = middle + 1;
  }
  return low;
}
