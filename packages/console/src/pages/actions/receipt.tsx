import type { SequencedRecord } from '@gatehouse/protocol';
import { notifications } from '@mantine/notifications';
import { IconAlertTriangle, IconCheck, IconDownload, IconShieldCheck } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { saveAs } from '../../lib/save.ts';
import classes from './steps.module.css';

/** A record's place in its log, and the proof that it stands there: to take away, or to check at once in this browser. */
export function ReceiptButtons({ entry: { log, sequence } }: { entry: SequencedRecord }) {
  const fetchReceipt = () => call('GET /records/:log/:sequence/receipt', { params: { log, sequence } });
  const save = useMutation({
    mutationFn: fetchReceipt,
    onSuccess: (receipt) => saveAs(`receipt-${log.replaceAll('/', '-')}-${sequence}.json`, receipt),
    onError: (error) =>
      notifications.show({ color: 'red', title: explain(error).title, message: explain(error).detail }),
  });
  const verify = useMutation({
    mutationFn: async () => {
      const [receipt, { verifyReceipt }] = await Promise.all([fetchReceipt(), import('@gatehouse/verifier')]);
      return verifyReceipt({
        vkey: receipt.vkey,
        proof: receipt.proof,
        entry: new TextEncoder().encode(receipt.entry),
      });
    },
  });
  return (
    <div className={classes.receipt}>
      <span title={`Record ${sequence} of the log ${log}`}>
        <code>
          {log} #{sequence}
        </code>
      </span>
      <button type="button" onClick={() => save.mutate()} disabled={save.isPending}>
        <IconDownload size={13} aria-hidden /> Receipt
      </button>
      {verify.data === undefined && (
        <button type="button" onClick={() => verify.mutate()} disabled={verify.isPending}>
          <IconShieldCheck size={13} aria-hidden /> Verify here
        </button>
      )}
      {verify.data?.ok && (
        <span
          className={classes.ok}
          role="status"
          title="This browser checked the signature of the checkpoint and the record’s path in the Merkle tree"
        >
          <IconCheck size={13} aria-hidden /> in the log, as signed
        </span>
      )}
      {verify.data?.ok === false && (
        <span className={classes.bad} role="alert">
          <IconAlertTriangle size={13} aria-hidden /> {verify.data.fault.detail}
        </span>
      )}
      {verify.error && (
        <span className={classes.bad} role="alert">
          <IconAlertTriangle size={13} aria-hidden /> {explain(verify.error).detail}
        </span>
      )}
    </div>
  );
}
