import type { ActionView, SequencedRecord } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconAlertTriangle, IconCheck, IconDownload, IconShieldCheck } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { commands } from '../../lib/commands.ts';
import { canonicalJson } from '../../lib/exact-action.ts';
import { receiptFile } from '../../lib/receipt-file.ts';
import { saveAs } from '../../lib/save.ts';
import { notify } from '../../ui/notices.tsx';
import { fetchProof, signedApprovals } from './approval-proof.tsx';
import { fetchReceipt } from './receipts.ts';
import classes from './steps.module.css';

/** All records of the action with their proofs, in one file that verifies offline. */
export function DownloadReceipt({ view: { summary, records } }: { view: ActionView }) {
  const save = useMutation({
    mutationFn: () =>
      Promise.all([
        Promise.all(records.map(fetchReceipt)),
        Promise.all(signedApprovals(records).map(fetchProof)),
        call('GET /actions/:id/enrolments', { params: { id: summary.actionId } }),
      ]),
    onSuccess: ([receipts, proofs, { items: enrolments }]) => {
      const approvals = proofs.flatMap((each) => each ?? []);
      saveAs(`receipt-${summary.actionId}.json`, receiptFile(summary.actionId, receipts, { approvals, enrolments }));
    },
    onError: (error) => notify({ color: 'red', title: explain(error).title, message: explain(error).detail }),
  });
  return (
    <Button
      variant="default"
      leftSection={<IconDownload size={14} />}
      loading={save.isPending}
      onClick={() => save.mutate()}
      title={`Verifies offline: ${commands.verifyReceipt}`}
    >
      Receipt
    </Button>
  );
}

/** A record's place in its log, and whether it stands there as it is shown here. */
export function LogPosition({ entry }: { entry: SequencedRecord }) {
  const verify = useMutation({ mutationFn: () => verifyHere(entry) });
  return (
    <div className={classes.receipt}>
      <code title={`Record ${entry.sequence} of the log ${entry.log}; leaf hash ${entry.leafHash}`}>
        {entry.log} #{entry.sequence}
      </code>
      {verify.data === undefined && !verify.error && (
        <button type="button" onClick={() => verify.mutate()} disabled={verify.isPending}>
          <IconShieldCheck size={13} aria-hidden /> Verify here
        </button>
      )}
      {verify.data === null && (
        <span
          className={classes.ok}
          role="status"
          title="This browser checked the checkpoint’s signature with the key that this server gives, and the record’s path in the Merkle tree. To trust the server less, verify the receipt offline with a key that you have kept."
        >
          <IconCheck size={13} aria-hidden /> in the log, as signed
        </span>
      )}
      {(verify.data ?? verify.error) && (
        <span className={classes.bad} role="alert">
          <IconAlertTriangle size={13} aria-hidden /> {verify.data ?? explain(verify.error).detail}
        </span>
      )}
    </div>
  );
}

/** What is wrong, or null. The record shown must be the record proven, byte for byte. */
async function verifyHere(entry: SequencedRecord): Promise<string | null> {
  const [receipt, { verifyReceipt }] = await Promise.all([fetchReceipt(entry), import('@gatehouse/verifier')]);
  const { vkey, proof } = receipt;
  if (receipt.entry !== canonicalJson(entry.record)) return 'The log holds another record here than the one shown.';
  const report = await verifyReceipt({ vkey, proof, entry: new TextEncoder().encode(receipt.entry) });
  if (!report.ok) return report.fault.detail;
  return report.index === entry.sequence ? null : `The proof is for record ${report.index}, not for this one.`;
}
