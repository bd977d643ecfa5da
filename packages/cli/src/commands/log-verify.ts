import { existsSync, readFileSync } from 'node:fs';
import type { Receipt } from '@gatehouse/protocol';
import type { ApprovalReport, YesLink } from '@gatehouse/verifier';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { readReceiptFile } from '../receipt-file.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  receipt?: string[];
  key?: string;
  log?: string;
  checkpoint?: string[];
}

export const verify: Run<Options> = async ({ options, out }) => {
  if (options.receipt !== undefined) return verifyReceipts(options.receipt, options.key, out);
  if (options.key !== undefined)
    throw new CliFailure('usage', 'verify.key', '--key is for receipts: name them with --receipt.');
  const body = {
    ...(options.log !== undefined && { log: options.log }),
    ...(options.checkpoint !== undefined && { checkpoints: options.checkpoint.map(readCheckpoint) }),
  };
  const report = await operatorOf(options).call('POST /logs/verify', { body });
  if (out.json) out.printJson(report);
  else if (report.ok)
    out.print(
      `${out.style('green', 'Intact')}: ${report.size} records; the tree recomputed from them is the one that was signed.`,
    );
  else out.print(`${out.style('red', 'Broken')}: ${clean(report.problem ?? '')}`);
  return report.ok ? exitCodes.ok : exitCodes.failed;
};

function readCheckpoint(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliFailure('noInput', 'file.unreadable', `${file} cannot be read (${code}).`, { cause });
  }
}

interface CheckedApproval {
  file: string;
  action: string;
  approval: string;
  ok: boolean;
  /** Which link of the chain is broken. */
  link: YesLink | null;
  problem: string | null;
  by: { person: string; passkey: string; time: string; origin: string; signedWith: number }[];
  argumentsShown: boolean;
}

interface Checked {
  file: string;
  action: string;
  log: string;
  ok: boolean;
  index: number | null;
  kind: string | null;
  time: string | null;
  problem: string | null;
}

async function verifyReceipts(files: string[], key: string | undefined, out: Output): Promise<number> {
  const [{ verifyApproval, verifyReceipt }, { nodeSha256 }] = await Promise.all([
    import('@gatehouse/verifier'),
    import('@gatehouse/verifier/node'),
  ]);
  const trusted = key === undefined ? undefined : existsSync(key) ? readFileSync(key, 'utf8').trim() : key;
  const checked: Checked[] = [];
  const approvals: CheckedApproval[] = [];
  for (const file of files) {
    const { action, receipts, approvals: proofs = [] } = await readReceiptFile(file);
    for (const { entry, proof, vkey, log } of receipts) {
      const bytes = Buffer.from(entry);
      const record = recordOf(entry);
      const base = { file, action, log, kind: record?.kind ?? null, time: record?.time ?? null };
      try {
        const report = await verifyReceipt({ entry: bytes, proof, vkey: trusted ?? vkey, sha256: nodeSha256 });
        const isOther = report.ok && record?.action_id !== action;
        checked.push({
          ...base,
          ok: report.ok && !isOther,
          index: report.ok ? report.index : null,
          problem: report.ok
            ? isOther
              ? `the record is of another action, ${record?.action_id}`
              : null
            : report.fault.detail,
        });
      } catch (cause) {
        // A key that is none says nothing about the receipt: that is the caller's to put right.
        const detail = cause instanceof Error ? cause.message : String(cause);
        throw new CliFailure('noInput', 'verify.key', `The public key cannot be used: ${detail}`, { cause });
      }
    }
    for (const approval of namedBy(receipts)) {
      const proof = proofs.find((each) => each.approval === approval);
      const dispatch = receipts.find(({ entry }) => isDispatchWith(approval, entry));
      const report: ApprovalReport =
        proof && dispatch
          ? await verifyApproval({ dispatch, proof, ...(trusted !== undefined && { vkey: trusted }) })
          : {
              ok: false,
              link: 'format',
              detail: 'the receipt does not hold the yes; make it again with `gatehouse log receipt`',
            };
      const base = { file, action, approval };
      approvals.push(
        report.ok
          ? { ...base, ok: true, link: null, problem: null, by: report.yes, argumentsShown: report.argumentsShown }
          : { ...base, ok: false, link: report.link, problem: report.detail, by: [], argumentsShown: false },
      );
    }
  }
  const ok = [...checked, ...approvals].every((each) => each.ok);
  if (out.json) out.printJson({ ok, keyGiven: trusted !== undefined, receipts: checked, approvals });
  else
    for (const line of [...checked.map((each) => lineOf(each, out)), ...approvals.map((each) => yesLine(each, out))])
      out.print(line);
  if (trusted === undefined)
    out.note(
      'Checked with the key that each receipt brings itself. Give the one that you have from elsewhere with --key.',
    );
  return ok ? exitCodes.ok : exitCodes.failed;
}

function lineOf({ file, action, ok, index, kind, time, problem }: Checked, out: Output): string {
  if (!ok) return `${out.style('red', 'Not proven')}  ${file}  ${clean(action)}: ${clean(problem ?? '')}`;
  return `${out.style('green', 'Proven')}  ${file}  ${clean(`${action} ${kind} at ${time}`)} is record ${index} of the log`;
}

function yesLine(
  { file, action, approval, ok, link, problem, by, argumentsShown }: CheckedApproval,
  out: Output,
): string {
  if (!ok) return `${out.style('red', 'Not proven')}  ${file}  ${clean(`the yes ${approval} (${link}): ${problem}`)}`;
  const what = argumentsShown
    ? 'exactly this action with these arguments'
    : 'exactly this action; its arguments are erased';
  const words = by.map(
    ({ person, passkey, time, signedWith }) =>
      `${person}, with passkey ${passkey.slice(0, 12)}, at ${time}${signedWith > 0 ? `, together with ${signedWith} others` : ''}`,
  );
  return `${out.style('green', 'Approved')}  ${file}  ${clean(`${action} by ${words.join(' and ')}: signed ${what}`)}`;
}

/** Approvals that what ran names. */
const namedBy = (receipts: Receipt[]): string[] => [
  ...new Set(receipts.flatMap(({ entry }) => (isDispatch(entry) ? [recordOf(entry)?.approval ?? []].flat() : []))),
];
const isDispatch = (entry: string) => recordOf(entry)?.kind === 'dispatch';
const isDispatchWith = (approval: string, entry: string) => isDispatch(entry) && recordOf(entry)?.approval === approval;

function recordOf(
  entry: string,
): { action_id?: string; kind?: string; time?: string; approval?: string | null } | null {
  try {
    const value: unknown = JSON.parse(entry);
    return typeof value === 'object' && value !== null ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
