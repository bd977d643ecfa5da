import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { ExportProof, ExportRange } from '@gatehouse/protocol';
import { CliFailure } from './failure.ts';

export const EXPORT_FORMAT = 'gatehouse-export/1';

/** One line of an export: its head, the head of a log, a record (or the hash of one that is left out, or
 * that retention has removed), the records that say what it has removed, the proof of a log, the end. */
export type ExportLine =
  | { format: typeof EXPORT_FORMAT; from: string | null; to: string | null; filter: Record<string, string> }
  | { range: ExportRange }
  | { at: number; entry: string }
  | { at: number; hash: string; removed?: true }
  | { removal: { log: string; sequence: number; entry: string; proof: string; vkey: string } }
  | { proof: ExportProof; log: string }
  | { complete: true; logs: number };

/** The lines of a file, and how many bytes of it they are. A last line that was cut off is none. */
export async function* linesOf(file: string): AsyncGenerator<{ line: ExportLine; bytes: number }> {
  let bytes = 0;
  const stream = createReadStream(file, 'utf8');
  stream.on('error', () => undefined);
  for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    bytes += Buffer.byteLength(text) + 1;
    let line: ExportLine;
    try {
      line = JSON.parse(text) as ExportLine;
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      return;
    }
    if (bytes === Buffer.byteLength(text) + 1 && !('format' in line && line.format === EXPORT_FORMAT))
      throw new CliFailure('noInput', 'export.unreadable', `${file} is no export that \`gatehouse log export\` wrote.`);
    yield { line, bytes };
  }
}
