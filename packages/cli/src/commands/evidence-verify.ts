import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActionRecord, EvidenceReceipt, EvidenceReport } from '@gatehouse/protocol';
import canonicalize from 'canonicalize';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import type { Run } from '../verb.ts';
import { keysIn } from './log-verify.ts';

interface Receipts {
  format: string;
  receipt: EvidenceReceipt | null;
  receipts: EvidenceReceipt[];
}

/** Whether a report is the one that is on record, and whether what it names is in the log. Asks no server. */
export const verify: Run<{ key?: string[] }> = async ({ args: [directory = '.'], options, out }) => {
  const report = (await readJson(join(directory, 'evidence.json'))) as EvidenceReport;
  const { format, receipt, receipts } = (await readJson(join(directory, 'receipts.json'))) as Receipts;
  if (format !== 'gatehouse-evidence-receipts/1' || !Array.isArray(receipts))
    throw new CliFailure(
      'noInput',
      'evidence.receipts',
      `${join(directory, 'receipts.json')} is no file of receipts of a report.`,
    );
  if (receipt === null)
    throw new CliFailure(
      'failed',
      'evidence.unsigned',
      'The log was broken when this report was made, so that nothing proves it. It says which log.',
    );
  const keys = (options.key ?? []).flatMap(keysIn);
  if (keys.length === 0)
    throw new CliFailure(
      'usage',
      'verify.key',
      'A report vouches for nothing itself: give the keys of the logs with --key. The server’s operator prints them with gatehouse log list.',
    );
  const [{ verifyReceipt }, { nodeSha256 }] = await Promise.all([
    import('@gatehouse/verifier'),
    import('@gatehouse/verifier/node'),
  ]);
  const problems: string[] = [];
  const prove = async (name: string, { log, sequence, entry, proof }: EvidenceReceipt) => {
    const vkey = keys.find((key) => key.startsWith(`${log}+`));
    if (vkey === undefined) return void problems.push(`${name}: no key of the log ${log} was given`);
    const result = await verifyReceipt({ entry: Buffer.from(entry), proof, vkey, sha256: nodeSha256 }).catch(
      (cause: Error) => {
        throw new CliFailure('noInput', 'verify.key', `The key of ${log} cannot be used: ${cause.message}.`, { cause });
      },
    );
    if (!result.ok) problems.push(`${name}: ${result.fault.detail}`);
    else if (result.index !== sequence) problems.push(`${name}: the receipt is of record ${result.index}`);
  };
  await prove('the record of the report', receipt);
  const record = JSON.parse(receipt.entry) as ActionRecord;
  const digest = `sha256-${createHash('sha256')
    .update(canonicalize(report) ?? '')
    .digest('hex')}`;
  if (record.operation !== 'evidence.export') problems.push('the receipt is of another record');
  else if (!record.changes.includes(`report ${digest}`))
    problems.push('evidence.json is not the report that is on record');
  for (const each of receipts) await prove(`record ${each.sequence} of ${each.log}`, each);
  const named = report.checks.flatMap(({ records }) => records);
  const missing = named.filter(
    ({ log, sequence }) => !receipts.some((each) => each.log === log && each.sequence === sequence),
  );
  if (missing.length > 0) problems.push(`${missing.length} of the records that the report names have no receipt here`);

  const ok = problems.length === 0;
  if (out.json)
    out.printJson({
      ok,
      digest,
      madeAt: record.time,
      receipts: receipts.length + 1,
      problems,
    });
  else if (ok)
    out.print(
      `${out.style('green', 'Proven')}: ${clean(report.framework.title)}, made at ${clean(record.time)}, is on record; ${receipts.length} records that it names are in the log.`,
    );
  else for (const problem of problems) out.print(`${out.style('red', 'Not proven')}: ${clean(problem)}`);
  return ok ? exitCodes.ok : exitCodes.failed;
};

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === undefined ? 'is no JSON' : `cannot be read (${code})`;
    throw new CliFailure('noInput', 'evidence.unreadable', `${path} ${why}.`, { cause });
  }
}
