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
  let record: { kind?: unknown; operation?: unknown; changes?: unknown };
  try {
    record = JSON.parse(text);
  } catch {
    // It is read before it is proven: what was garbled is told by the proof.
    return [];
  }
  if (record.kind !== 'change' || !OPERATIONS.includes(String(record.operation)) || !Array.isArray(record.changes))
    return [];
  return record.changes.flatMap((line: unknown) => {
    const [, id, vkey, size] = NAMED.exec(String(line)) ?? [];
    return id !== undefined && vkey !== undefined ? [{ id, vkey, size: Number(size) }] : [];
  });
}

/**
 * Of several places, whether a log is missing: one of which a checkpoint was kept, or one that another names. One log alone that is
 * published says nothing of where the others are.
 */
export function absentLog(of: {
  checkpoints: readonly string[];
  named: readonly NamedLog[];
  here: readonly NamedLog[];
}): string | null {
  const origins = of.checkpoints.map((note) => note.split('\n', 1)[0] ?? '');
  const gone = origins.find((origin) => !of.here.some(({ id }) => id === origin));
  if (gone !== undefined) return `there is no log "${gone}" here, and a checkpoint of it was kept`;
  return of.here.length > 1 ? missingLog(of.named, of.here) : null;
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
