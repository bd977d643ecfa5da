import type { Receipt } from '@gatehouse/protocol';
import type { ApprovalReport, Policy, SecondYesSaid, YesLink } from '@gatehouse/verifier';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { readReceiptFile } from '../receipt-file.ts';

interface CheckedApproval {
  file: string;
  action: string;
  approval: string;
  ok: boolean;
  /** Which link of the chain is broken. */
  link: YesLink | null;
  problem: string | null;
  by: { person: string; passkey: string; time: string; origin: string; signedWith: number; isBefore: boolean }[];
  argumentsShown: boolean;
}

interface CheckedSecondYes {
  file: string;
  action: string;
  ok: boolean;
  what: string;
  said: SecondYesSaid | null;
  words: string;
}

interface Checked {
  file: string;
  action: string;
  log: string;
  ok: boolean;
  index: number | null;
  kind: string | null;
  time: string | null;
  cosigned: { by: string; at: string }[];
  problem: string | null;
}

interface Asked {
  files: string[];
  /** Of logs, from elsewhere than the receipts. */
  keys: string[];
  policy: Policy | undefined;
  out: Output;
}

export async function verifyReceipts({ files, keys, policy, out }: Asked): Promise<number> {
  const [{ secondYesInWords, verifyApproval, verifyReceipt, verifySecondYes }, { nodeSha256 }] = await Promise.all([
    import('@gatehouse/verifier'),
    import('@gatehouse/verifier/node'),
  ]);
  const keyOf = (log: string): string | undefined => keys.find((key) => key.startsWith(`${log}+`));
  const checked: Checked[] = [];
  const approvals: CheckedApproval[] = [];
  const secondYeses: CheckedSecondYes[] = [];
  const notes: string[] = [];
  for (const file of files) {
    const { action, receipts, approvals: proofs = [], enrolments = [] } = await readReceiptFile(file);
    for (const { entry, proof, vkey, log } of receipts) {
      const bytes = Buffer.from(entry);
      const record = recordOf(entry);
      const base = { file, action, log, kind: record?.kind ?? null, time: record?.time ?? null };
      const trusted = keys.length === 0 ? vkey : keyOf(log);
      if (trusted === undefined) {
        const problem = `no key of the log ${log} was given`;
        checked.push({ ...base, ok: false, index: null, cosigned: [], problem });
        continue;
      }
      try {
        const report = await verifyReceipt({
          entry: bytes,
          proof,
          vkey: trusted,
          sha256: nodeSha256,
          ...(policy && { policy }),
        });
        const isOther = report.ok && record?.action_id !== action;
        checked.push({
          ...base,
          ok: report.ok && !isOther,
          index: report.ok ? report.index : null,
          cosigned: report.ok
            ? report.cosignatures.map(({ key, timeSeconds }) => ({
                by: key.name,
                at: new Date(timeSeconds * 1_000).toISOString(),
              }))
            : [],
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
    for (const { entry } of receipts) {
      const yes = await verifySecondYes(entry, enrolments, keys);
      if (!yes) continue;
      const said = yes.ok ? { said: yes.said, words: secondYesInWords(yes.said) } : { said: null, words: yes.detail };
      secondYeses.push({ file, action, ok: yes.ok, what: yes.what, ...said });
    }
    for (const approval of namedBy(receipts)) {
      const otherwise = withoutPasskey(approval, receipts);
      if (otherwise !== undefined && !proofs.some((each) => each.approval === approval)) {
        notes.push(`${file}  ${action}: ${otherwise}, so that there is no passkey to prove.`);
        continue;
      }
      const proof = proofs.find((each) => each.approval === approval);
      const dispatch = receipts.find(({ entry }) => isDispatchWith(approval, entry));
      const report: ApprovalReport =
        proof && dispatch
          ? await verifyApproval({ dispatch, proof, keys })
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
  const ok = [...checked, ...approvals, ...secondYeses].every((each) => each.ok);
  if (out.json) out.printJson({ ok, keyGiven: keys.length > 0, receipts: checked, approvals, secondYeses });
  else
    for (const line of [
      ...checked.map((each) => lineOf(each, out)),
      ...approvals.map((each) => yesLine(each, out)),
      ...secondYeses.map((each) => secondYesLine(each, out)),
    ])
      out.print(line);
  if (keys.length === 0)
    out.note(
      'Checked with the key that each receipt brings itself. Give the one that you have from elsewhere with --key.',
    );
  return ok ? exitCodes.ok : exitCodes.failed;
}

function lineOf({ file, action, ok, index, kind, time, cosigned, problem }: Checked, out: Output): string {
  if (!ok) return `${out.style('red', 'Not proven')}  ${file}  ${clean(action)}: ${clean(problem ?? '')}`;
  return `${out.style('green', 'Proven')}  ${file}  ${clean(`${action} ${kind} at ${time}`)} is record ${index} of the log${cosigned.map(({ by, at }) => `, cosigned by ${clean(by)} at ${at}`).join('')}`;
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
    ({ person, passkey, time, signedWith, isBefore }) =>
      `${person}, with passkey ${passkey.slice(0, 12)}, at ${time}${signedWith > 0 ? `, together with ${signedWith} others` : ''}${isBefore ? '' : ' (order not proven: the yes and the action are in two logs)'}`,
  );
  return `${out.style('green', 'Approved')}  ${file}  ${clean(`${action} by ${words.join(' and ')}: signed ${what}`)}`;
}

const secondYesLine = ({ file, ok, what, words }: CheckedSecondYes, out: Output): string =>
  `${ok ? out.style('green', 'Agreed') : out.style('red', 'Not proven')}  ${file}  ${clean(`${what}: ${words}`)}`;

/** How else somebody let it run, as the log says: under a grant for more like it, or in a channel that a rule accepts. */
function withoutPasskey(approval: string, receipts: Receipt[]): string | undefined {
  if (!approval.startsWith('apr_')) return `the standing grant ${approval} covers it`;
  for (const record of receipts.map(({ entry }) => recordOf(entry))) {
    const said = record?.changes?.find((change) => change.startsWith('said in channel '));
    if (said !== undefined && record?.operation === 'approval.approve' && record.approval === approval) return said;
  }
  return undefined;
}

/** Approvals that what ran names. */
const namedBy = (receipts: Receipt[]): string[] => [
  ...new Set(receipts.flatMap(({ entry }) => (isDispatch(entry) ? [recordOf(entry)?.approval ?? []].flat() : []))),
];
const isDispatch = (entry: string) => recordOf(entry)?.kind === 'dispatch';
const isDispatchWith = (approval: string, entry: string) => isDispatch(entry) && recordOf(entry)?.approval === approval;

interface Logged {
  action_id?: string;
  kind?: string;
  time?: string;
  operation?: string;
  approval?: string | null;
  changes?: string[];
}

function recordOf(entry: string): Logged | null {
  try {
    const value: unknown = JSON.parse(entry);
    return typeof value === 'object' && value !== null ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
