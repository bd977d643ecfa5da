/** A map of at most `2 * generationSize` entries that forgets what has not been used for longest. */
export interface BoundedCache<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
  clear(): void;
}

/**
 * Two generations instead of a linked list: when the young one is full it becomes the old one, and what was in the old one and
 * was not read meanwhile is gone. A read costs one or two lookups and no bookkeeping.
 */
export function createBoundedCache<V>(generationSize: number): BoundedCache<V> {
  let young = new Map<string, V>();
  let old = new Map<string, V>();
  const set = (key: string, value: V) => {
    if (young.size >= generationSize && !young.has(key)) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  };
  return {
    get(key) {
      const recent = young.get(key);
      if (recent !== undefined) return recent;
      const earlier = old.get(key);
      if (earlier !== undefined) {
        old.delete(key);
        set(key, earlier);
      }
      return earlier;
    },
    set,
    delete(key) {
      young.delete(key);
      old.delete(key);
    },
    clear() {
      young.clear();
      old.clear();
    },
  };
}
