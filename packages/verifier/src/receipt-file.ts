/** The file that `gatehouse log receipt` writes: every record of one action with its proof, and the yes that it ran with. */

import { type ApprovalProof, type ProvenRecord, verifyApproval } from './approval.ts';
import { VerifierError } from './merkle.ts';
import type { Policy } from './policy.ts';
import { enrolmentsIn, notEnrolled, type SecondYesSaid, secondYesIn } from './second-yes.ts';
import type { Sha256 } from './sha256.ts';
import { verifyReceipt } from './verify.ts';

const ORDER_NOT_PROVEN = 'order not proven: the yes and the action are in two logs';

export type ReceiptFile = {
  action: string;
  receipts: ProvenRecord[];
  approvals: ApprovalProof[];
  /** Of the passkeys by which a second person has agreed to what its records say was done. */
  enrolments: ProvenRecord[];
};

/** What was checked, in words; `ok` of all of them is the verdict. */
export type Checked = { ok: boolean; what: string; detail: string };

export function parseReceiptFile(text: string): ReceiptFile {
  const bad = () => new VerifierError('format', 'this is no receipt that Gatehouse wrote');
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw bad();
  }
  const {
    format,
    action,
    receipts,
    approvals = [],
    enrolments = [],
  } = (file ?? {}) as Partial<ReceiptFile> & { format?: string };
  const isRecord = (each: unknown) =>
    ['entry', 'proof', 'vkey', 'log'].every(
      (name) => typeof (each as Record<string, unknown> | null)?.[name] === 'string',
    );
  if (format !== 'gatehouse-receipt/1' || typeof action !== 'string' || !Array.isArray(receipts)) throw bad();
  if (receipts.length === 0 || !receipts.every(isRecord) || !Array.isArray(approvals)) throw bad();
  if (!Array.isArray(enrolments) || !enrolments.every(isRecord)) throw bad();
  return { action, receipts, approvals, enrolments };
}

/** Throws on a bad key. `keys`: of logs, from elsewhere than the receipt; without them it is checked with the key that it brings itself. */
export async function verifyReceiptFile(
  { action, receipts, approvals, enrolments }: ReceiptFile,
  { keys = [], policy, sha256 }: { keys?: readonly string[]; policy?: Policy; sha256?: Sha256 },
): Promise<Checked[]> {
  const checked: Checked[] = [];
  const names = new Map<string, ProvenRecord>();
  for (const receipt of receipts) {
    const record = recordOf(receipt.entry);
    if (record.kind === 'dispatch')
      for (const approval of [record.approval ?? []].flat()) names.set(String(approval), receipt);
    const what = `${record.kind ?? 'record'} of ${record.action_id ?? '?'} at ${record.time ?? '?'}`;
    const vkey = keys.length === 0 ? receipt.vkey : keys.find((key) => key.startsWith(`${receipt.log}+`));
    if (vkey === undefined) {
      checked.push({ ok: false, what, detail: `no key of the log ${receipt.log} was given` });
      continue;
    }
    const report = await verifyReceipt({
      entry: new TextEncoder().encode(receipt.entry),
      proof: receipt.proof,
      vkey,
      ...(policy && { policy }),
      ...(sha256 && { sha256 }),
    });
    if (!report.ok) checked.push({ ok: false, what, detail: report.fault.detail });
    else if (record.action_id !== action) checked.push({ ok: false, what, detail: 'the record is of another action' });
    else {
      const by = report.cosignatures.map(
        ({ key, timeSeconds }) => `, cosigned by ${key.name} at ${new Date(timeSeconds * 1_000).toISOString()}`,
      );
      const { origin, size } = report.checkpoint;
      checked.push({ ok: true, what, detail: `record ${report.index} of the ${size} of ${origin}${by.join('')}` });
    }
  }
  for (const { entry } of receipts) {
    const yes = await verifySecondYes(entry, enrolments, keys);
    if (yes) checked.push(yes.ok ? { ok: true, what: yes.what, detail: secondYesInWords(yes.said) } : yes);
  }
  for (const [approval, dispatch] of names) {
    const proof = approvals.find((each) => each.approval === approval);
    const what = `the yes ${approval}`;
    if (!proof) checked.push({ ok: false, what, detail: 'the receipt does not hold it' });
    else {
      const report = await verifyApproval({ dispatch, proof, keys });
      const detail = report.ok
        ? report.yes
            .map(
              ({ person, time, isBefore }) =>
                `${person} at ${time}, with a passkey, for exactly this action${report.argumentsShown ? '' : ', whose arguments are erased'}${isBefore ? '' : ` (${ORDER_NOT_PROVEN})`}`,
            )
            .join('; ')
        : `${report.link}: ${report.detail}`;
      checked.push({ ok: report.ok, what, detail });
    }
  }
  return checked;
}

type CheckedYes = { ok: true; what: string; said: SecondYesSaid } | { ok: false; what: string; detail: string };

/** The yes of a second person that a record of a receipt has, with the record of whose passkey it was; null where it has none. */
export async function verifySecondYes(
  entry: string,
  enrolments: readonly ProvenRecord[],
  keys: readonly string[] = [],
): Promise<CheckedYes | null> {
  const report = await secondYesIn(encoder.encode(entry));
  if (report === null || !report.ok) return report;
  const { said } = report;
  const what = `the second yes to ${said.act} of ${said.id}`;
  for (const each of enrolments) {
    const bytes = encoder.encode(each.entry);
    if (!enrolmentsIn(bytes).some(({ person, key }) => person === said.person && key === said.key)) continue;
    const vkey = keys.length === 0 ? each.vkey : keys.find((key) => key.startsWith(`${each.log}+`));
    if (vkey === undefined) return { ok: false, what, detail: `no key of the log ${each.log} was given` };
    const proven = await verifyReceipt({ entry: bytes, proof: each.proof, vkey });
    return proven.ok ? { ok: true, what, said } : { ok: false, what, detail: proven.fault.detail };
  }
  return { ok: false, what, detail: notEnrolled(said) };
}

export const secondYesInWords = ({ person, askedBy, time, passkey }: SecondYesSaid): string =>
  `${person} at ${time}, with passkey ${passkey.slice(0, 12)}, for exactly what ${askedBy} had asked for`;

const encoder = new TextEncoder();

function recordOf(entry: string): Record<string, unknown> {
  try {
    const record: unknown = JSON.parse(entry);
    return typeof record === 'object' && record !== null ? (record as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
