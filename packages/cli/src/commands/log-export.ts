import { existsSync } from 'node:fs';
import { type FileHandle, open, truncate } from 'node:fs/promises';
import type { ActionRecord, ExportRemovals } from '@gatehouse/protocol';
import type { Operator } from '@gatehouse/sdk/operator';
import { EXPORT_FORMAT, type ExportLine, linesOf } from '../export-file.ts';
import { CliFailure } from '../failure.ts';
import { type FilterOptions, fits, toFilter } from '../record-filter.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions, FilterOptions {
  output: string;
  log?: string;
  resume?: boolean;
}

/** How far a file has come. */
interface Reached {
  bytes: number;
  done: Set<string>;
  open: { log: string; first: number; end: number; next: number } | undefined;
  complete: boolean;
}

export const exportRecords: Run<Options> = async ({ options, out }) => {
  const operator = operatorOf(options);
  const { from, to, zone, ...filter } = toFilter(options);
  const times = { ...(from && { from }), ...(to && { to }), ...(zone && { zone }) };
  const file = options.output;
  if (existsSync(file) && !options.resume)
    throw new CliFailure(
      'usage',
      'export.exists',
      `${file} is there already. Go on with it by --resume, or name another.`,
    );
  const reached = options.resume && existsSync(file) ? await readReached(file) : undefined;
  if (reached?.complete) return out.note(`${file} is complete.`);
  if (reached) await truncate(file, reached.bytes);
  const handle = await open(file, reached ? 'a' : 'wx', 0o600);
  const write = (line: ExportLine) => handle.write(`${JSON.stringify(line)}\n`);
  try {
    if (!reached) await write({ format: EXPORT_FORMAT, from: from ?? null, to: to ?? null, filter });
    const { items } = await operator.call('GET /logs');
    const logs = items.map(({ id }) => id).filter((id) => options.log === undefined || id === options.log);
    if (logs.length === 0) throw new CliFailure('noInput', 'log.unknown', `There is no log "${options.log}".`);
    let records = 0;
    for (const log of logs) {
      if (reached?.done.has(log)) continue;
      records += await exportLog({ operator, handle, log, times, filter, reached, note: (text) => out.note(text) });
    }
    await write({ complete: true, logs: logs.length });
    await handle.sync();
    if (out.json) out.printJson({ file, logs: logs.length, records });
    else
      out.print(
        `${records} records of ${logs.length} logs with their proofs in ${file}. Check it with \`gatehouse log verify ${file}\`.`,
      );
  } finally {
    await handle.close();
  }
};

async function exportLog(job: {
  operator: Operator;
  handle: FileHandle;
  log: string;
  times: Record<string, string>;
  filter: Record<string, string>;
  reached: Reached | undefined;
  note: (text: string) => void;
}): Promise<number> {
  const { operator, handle, log, filter, reached } = job;
  const params = { log };
  const begun = reached?.open?.log === log ? reached.open : undefined;
  const range = begun ?? (await operator.call('GET /logs/:log/range', { params, query: job.times }));
  const { first, end } = range;
  if (!begun) await handle.write(`${JSON.stringify({ range })}\n`);
  const [{ leafHash }, { nodeSha256 }] = await Promise.all([
    import('@gatehouse/verifier'),
    import('@gatehouse/verifier/node'),
  ]);
  const isFiltered = Object.keys(filter).length > 0;
  let written = 0;
  // One that was begun may have some already.
  let removed = begun !== undefined;
  for (let at = begun?.next ?? first; at < end; ) {
    const { entries } = await operator.call('GET /logs/:log/entries', { params, query: { first: at, end } });
    if (entries.length === 0)
      throw new CliFailure('failed', 'export.gap', `The server has not record ${at} of ${log}.`);
    const lines = entries.map((each, offset): ExportLine => {
      if (each.hash !== undefined) {
        removed ||= true;
        return { at: at + offset, hash: each.hash, removed: true };
      }
      if (!isFiltered || isWanted(each.entry, filter)) return { at: at + offset, entry: each.entry };
      return { at: at + offset, hash: Buffer.from(leafHash(Buffer.from(each.entry), nodeSha256)).toString('base64') };
    });
    await handle.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    written += lines.filter((line) => 'entry' in line).length;
    at += entries.length;
    if (at < end) job.note(`${log}: ${at - first} of ${end - first} records …`);
  }
  for (let after: string | null | undefined; removed && after !== null; ) {
    const query = { first, end, ...(after !== undefined && { after }) };
    const page: ExportRemovals = await operator.call('GET /logs/:log/removals', { params, query });
    await handle.write(page.items.map((removal) => `${JSON.stringify({ removal })}\n`).join(''));
    after = page.next;
  }
  const proof = await operator.call('GET /logs/:log/range-proof', { params, query: { first, end } });
  await handle.write(`${JSON.stringify({ proof, log })}\n`);
  return written;
}

/** What can't be read is no record that was left out: it is in the export as it stands, and whoever verifies that finds it. */
function isWanted(entry: string, filter: Record<string, string>): boolean {
  try {
    return fits(JSON.parse(entry) as ActionRecord, { reads: 'shown', ...filter });
  } catch (error) {
    if (error instanceof SyntaxError) return true;
    throw error;
  }
}

async function readReached(file: string): Promise<Reached> {
  const reached: Reached = { bytes: 0, done: new Set(), open: undefined, complete: false };
  for await (const { line, bytes } of linesOf(file)) {
    if ('range' in line) {
      const { log, first, end } = line.range;
      reached.open = { log, first, end, next: first };
    } else if ('at' in line && reached.open) reached.open.next = line.at + 1;
    else if ('proof' in line) {
      reached.done.add(line.log);
      reached.open = undefined;
    } else if ('complete' in line) reached.complete = true;
    reached.bytes = bytes;
  }
  return reached;
}
