import type { ActionView, ApprovalProof, SequencedRecord } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconAlertTriangle, IconFingerprint } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { ApiError, explain } from '../../api/problem.ts';
import { Card, Fact, Facts, Section } from '../../ui/page.tsx';
import { Identifier } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { fetchReceipt } from './receipts.ts';
import classes from './steps.module.css';

/** Who said yes to what ran, checked in this browser: from the record of the dispatch to the passkey that signed. */
export function ApprovalProofs({ view: { records } }: { view: ActionView }) {
  const approvals = signedApprovals(records);
  if (approvals.length === 0) return null;
  return (
    <Section title="Who said yes">
      {approvals.map((id) => (
        <ProofCard key={id} id={id} records={records} />
      ))}
    </Section>
  );
}

function ProofCard({ id, records }: { id: string; records: SequencedRecord[] }) {
  const verify = useMutation({ mutationFn: () => verifyYes(id, records) });
  const report = verify.data;
  const problem =
    report?.ok === false ? `${report.detail} (${report.link})` : verify.error && explain(verify.error).detail;
  return (
    <Card>
      {report?.ok ? (
        <div role="status" className={classes.proof}>
          <p className={classes.ok}>
            Signed exactly this action{report.argumentsShown ? ', with these arguments' : '; its arguments are erased'}
          </p>
          {report.yes.map(({ person, passkey, time, signedWith, isBefore }) => (
            <Facts key={person}>
              <Fact name="Approved by">{person}</Fact>
              <Fact name="With passkey">
                <Identifier value={passkey} what="passkey id" short />
              </Fact>
              <Fact name="When">
                <When at={Date.parse(time)} as="both" />
              </Fact>
              {!isBefore && <Fact name="Order">Not proven: the yes and the action are in two logs</Fact>}
              {signedWith > 0 && <Fact name="Signed together with">{signedWith} others, in one list</Fact>}
            </Facts>
          ))}
        </div>
      ) : (
        <Button
          variant="default"
          leftSection={<IconFingerprint size={15} />}
          loading={verify.isPending}
          onClick={() => verify.mutate()}
        >
          Verify who said yes
        </Button>
      )}
      {problem && (
        <p className={classes.bad} role="alert">
          <IconAlertTriangle size={13} aria-hidden /> Not proven: {problem}
        </p>
      )}
    </Card>
  );
}

/** Approvals that what ran names; a standing grant is no yes to one action. */
export const signedApprovals = (records: SequencedRecord[]): string[] => [
  ...new Set(
    records.flatMap(({ record }) =>
      record.kind === 'dispatch' && record.approval?.startsWith('apr_') ? [record.approval] : [],
    ),
  ),
];

/** Null where no passkey has signed. */
export async function fetchProof(id: string): Promise<ApprovalProof | null> {
  try {
    return await call('GET /approvals/:id/proof', { params: { id } });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function verifyYes(id: string, records: SequencedRecord[]) {
  const entry = records.find(({ record }) => record.kind === 'dispatch' && record.approval === id);
  if (!entry) throw new Error('Nothing that ran names this approval.');
  const [{ verifyApproval }, dispatch, proof] = await Promise.all([
    import('@gatehouse/verifier'),
    fetchReceipt(entry),
    call('GET /approvals/:id/proof', { params: { id } }),
  ]);
  return verifyApproval({ dispatch, proof });
}
