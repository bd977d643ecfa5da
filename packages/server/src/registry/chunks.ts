/** SQLite takes 32,766 parameters in one statement; PostgreSQL 65,535. Far fewer keep the statement cache small. */
const KEYS_PER_QUERY = 500;

/** Runs a query for many keys, some hundred at a time. */
export async function inChunks<K, R>(keys: Iterable<K>, query: (some: K[]) => Promise<R[]>): Promise<R[]> {
  const all = [...keys];
  const rows: R[] = [];
  for (let at = 0; at < all.length; at += KEYS_PER_QUERY) {
    for (const row of await query(all.slice(at, at + KEYS_PER_QUERY))) rows.push(row);
  }
  return rows;
}
