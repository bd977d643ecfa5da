/**
 * An immutable map of many entries (agents, fences) of which few change at a time: `with` copies only the shards it touches, so
 * that one change costs the same with a thousand entries as with a million. Iteration order is by shard, not by insertion.
 */
export class ShardedMap<V> implements ReadonlyMap<string, V> {
  readonly size: number;
  readonly #shards: readonly (ReadonlyMap<string, V> | undefined)[];

  private constructor(shards: readonly (ReadonlyMap<string, V> | undefined)[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static from<V>(entries: Iterable<readonly [string, V]>): ShardedMap<V> {
    return new ShardedMap<V>(new Array(SHARDS).fill(undefined), 0).with(entries);
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key)]?.has(key) ?? false;
  }

  with(set: Iterable<readonly [string, V]>, remove: Iterable<string> = []): ShardedMap<V> {
    const shards = [...this.#shards];
    const copied = new Map<number, Map<string, V>>();
    let size = this.size;
    const shardFor = (key: string): Map<string, V> => {
      const at = shardOf(key);
      let shard = copied.get(at);
      if (!shard) {
        shard = new Map(shards[at]);
        copied.set(at, shard);
        shards[at] = shard;
      }
      return shard;
    };
    for (const [key, value] of set) {
      const shard = shardFor(key);
      size -= shard.size;
      shard.set(key, value);
      size += shard.size;
    }
    for (const key of remove) if (shardFor(key).delete(key)) size--;
    return copied.size === 0 ? this : new ShardedMap(shards, size);
  }

  *entries(): Generator<[string, V], undefined, unknown> {
    for (const shard of this.#shards) if (shard) yield* shard.entries();
    return undefined;
  }

  *keys(): Generator<string, undefined, unknown> {
    for (const shard of this.#shards) if (shard) yield* shard.keys();
    return undefined;
  }

  *values(): Generator<V, undefined, unknown> {
    for (const shard of this.#shards) if (shard) yield* shard.values();
    return undefined;
  }

  [Symbol.iterator](): Generator<[string, V], undefined, unknown> {
    return this.entries();
  }

  forEach(visit: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }
}

const SHARDS = 1_024;

/** FNV-1a: spreads names that differ only at their end. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}
