/**
 * The log of logs: at every start, and when another log appears, a log names all that there are and how far they reach. A log that one of
 * them names can't go missing unseen.
 */

const OPERATIONS = ['log.open', 'log.seen'];
const NAMED = /^log (\S+), key (\S+), (\d+) records$/;
const decoder = new TextDecoder();

export type NamedLog = { id: string; vkey: string; size: number };

/** What a record names; nothing for any other record. */
export function logsNamedIn(entry: Uint8Array): NamedLog[] {
  const text = decoder.decode(entry);
  if (!text.includes('"operation":"log.')) return [];
  const record = JSON.parse(text) as { kind?: unknown; operation?: unknown; changes?: unknown };
  if (record.kind !== 'change' || !OPERATIONS.includes(String(record.operation)) || !Array.isArray(record.changes))
    return [];
  return record.changes.flatMap((line: unknown) => {
    const [, id, vkey, size] = NAMED.exec(String(line)) ?? [];
    return id !== undefined && vkey !== undefined ? [{ id, vkey, size: Number(size) }] : [];
  });
}

/** What is wrong with the logs that are here (`size` of what was verified), given what they name; null: nothing. */
export function missingLog(named: readonly NamedLog[], here: readonly NamedLog[]): string | null {
  for (const { id, vkey, size } of named) {
    const found = here.find((log) => log.id === id);
    if (!found) return `the log ${id} is named by another log, and is not here`;
    if (found.vkey !== vkey) return `the log ${id} has another key than the one by which another log names it`;
    if (found.size < size) return `the log ${id} has ${found.size} records, and had ${size} when another log named it`;
  }
  return null;
}
