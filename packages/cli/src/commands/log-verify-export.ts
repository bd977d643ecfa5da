import type { ExportProof, ExportRange } from '@gatehouse/protocol';
import type { Policy, RangeReport, Removal } from '@gatehouse/verifier';
import { exitCodes } from '../exit-codes.ts';
import { type ExportLine, linesOf } from '../export-file.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';

interface Checked {
  log: string;
  ok: boolean;
  first: number;
  end: number;
  leftOut: number;
  /** By retention, as records say that have their proofs here. */
  removed: number;
  problem: string | null;
}

/** Reads the file once, and asks nobody: each log's records against the proof behind them. */
export async function verifyExport(job: {
  file: string;
  keys: readonly string[];
  policy: Policy | undefined;
  out: Output;
}): Promise<number> {
  const { file, keys, policy, out } = job;
  const lines = linesOf(file);
  const checked: Checked[] = [];
  let isComplete = false;
  let filter: Record<string, string> = {};
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    const { line } = next.value;
    if ('format' in line) filter = line.filter;
    if ('complete' in line) isComplete = line.logs === checked.length;
    if ('range' in line)
      checked.push(await verifyOne(line.range, lines, { keys, policy, mayLeaveOut: Object.keys(filter).length > 0 }));
  }
  const ok = isComplete && checked.length > 0 && checked.every((each) => each.ok);
  if (out.json) out.printJson({ ok, complete: isComplete, keyGiven: keys.length > 0, filter, logs: checked });
  else {
    for (const { log, first, end, leftOut, removed, problem } of checked)
      out.print(
        problem === null
          ? `${out.style('green', 'Proven')}  ${clean(log)}: records ${first} to ${end} are all there${leftOut > 0 ? `; ${leftOut} by their hash alone` : ''}${removed > 0 ? `; ${removed} were removed by retention, as the log says` : ''}`
          : `${out.style('red', 'Broken')}  ${clean(log)}: ${clean(problem)}`,
      );
    if (!isComplete)
      out.print(
        `${out.style('red', 'Broken')}  the export was cut off: \`gatehouse log export --resume\` goes on with it`,
      );
  }
  if (keys.length === 0)
    out.note(
      'Checked with the key that the export brings itself. Give the one that you have from elsewhere with --key.',
    );
  return ok ? exitCodes.ok : exitCodes.failed;
}

async function verifyOne(
  { log, vkey, first, end }: ExportRange,
  lines: AsyncGenerator<{ line: ExportLine }>,
  { keys, policy, mayLeaveOut }: { keys: readonly string[]; policy: Policy | undefined; mayLeaveOut: boolean },
): Promise<Checked> {
  const [{ emptyAbsences, explained, noteAbsent, verifyRange, parseVerifierKey }, { nodeSha256 }] = await Promise.all([
    import('@gatehouse/verifier'),
    import('@gatehouse/verifier/node'),
  ]);
  const base = { log, first, end };
  const trusted = keys.length === 0 ? vkey : keys.find((key) => parseVerifierKey(key).name === log);
  if (trusted === undefined)
    return { ...base, ok: false, leftOut: 0, removed: 0, problem: 'none of the keys given is of this log' };
  let proof: ExportProof | undefined;
  let problem: string | null = null;
  const absences = emptyAbsences();
  const said: RemovalLine[] = [];
  async function* entries() {
    let at = first;
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const { line } = next.value;
      if ('proof' in line) {
        if (line.log === log) proof = line.proof;
        return;
      }
      if ('removal' in line) {
        said.push(line.removal);
        continue;
      }
      if (!('at' in line) || line.at !== at) {
        problem = `record ${at} is not where it should be`;
        return;
      }
      if ('hash' in line && line.removed) noteAbsent(absences, at);
      else if ('hash' in line && !mayLeaveOut) {
        problem = `record ${at} is left out of an export that says it has all`;
        return;
      }
      at++;
      yield 'hash' in line ? { hash: bytes(line.hash) } : Buffer.from(line.entry);
    }
  }
  let report: RangeReport;
  try {
    report = await verifyRange({
      vkey: trusted,
      ...(policy && { policy }),
      from: first,
      to: end,
      entries: entries(),
      proof: () =>
        proof && { left: proof.left.map(bytes), right: proof.right.map(bytes), checkpoint: proof.checkpoint },
      sha256: nodeSha256,
    });
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CliFailure('noInput', 'verify.key', `The export cannot be checked: ${detail}`, { cause });
  }
  problem ??= report.ok ? null : `${report.fault.kind}: ${report.fault.detail}`;
  for (const each of said) {
    const removal = await provenRemoval(each, { keys, policy });
    if (removal) absences.recorded.push(removal);
  }
  const found = explained(log, absences, []);
  problem ??= found.ok ? null : `${found.fault.kind}: ${found.fault.detail}`;
  const removed = found.ok ? found.removed : 0;
  const leftOut = report.ok ? report.leftOut - removed : 0;
  return { ...base, ok: problem === null, leftOut, removed, problem };
}

type RemovalLine = Extract<ExportLine, { removal: unknown }>['removal'];

/** What a record says was removed, where it is proven to be in a log that is believed. */
async function provenRemoval(
  { log, entry, proof, vkey }: RemovalLine,
  { keys, policy }: { keys: readonly string[]; policy: Policy | undefined },
): Promise<Removal | null> {
  const { parseVerifierKey, removalIn, verifyReceipt } = await import('@gatehouse/verifier');
  const trusted = keys.length === 0 ? vkey : keys.find((key) => parseVerifierKey(key).name === log);
  if (trusted === undefined) return null;
  const bytes = Buffer.from(entry);
  const report = await verifyReceipt({ entry: bytes, proof, vkey: trusted, ...(policy && { policy }) });
  return report.ok ? removalIn(bytes, { log: report.checkpoint.origin, index: report.index }) : null;
}

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
