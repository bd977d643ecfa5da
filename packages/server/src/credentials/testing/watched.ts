import type { Storage } from '../../storage/index.ts';

/** A storage with all that is read from it outside of transactions, answer by answer. */
export function watched(storage: Storage) {
  const results: Record<string, unknown>[][] = [];
  const db = storage.db.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      results.push(result.rows);
      return result;
    },
  });
  return { storage: { ...storage, db }, results };
}
