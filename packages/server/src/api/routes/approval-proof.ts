import type { Approval, ApprovalProof, YesEvidence } from '@gatehouse/protocol';
import type { Ledger } from '../../ledger/index.ts';
import { digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { enrolmentOf, receiptOf } from './enrolments.ts';

/** Version of a subject from which on the arguments are in it by their salted digest. */
const SALTED = 5;

/** Everything that whoever verifies a yes without us needs. */
export async function proofOf(
  id: string,
  { approvals, ledger }: Pick<ApiDependencies, 'approvals' | 'ledger'>,
): Promise<ApprovalProof> {
  const [approval, signed] = await Promise.all([approvals.get(id), approvals.signed(id)]);
  if (!approval) throw new GatehouseError('not-found', 'approval.unknown', `There is no approval "${id}".`);
  if (!signed)
    throw new GatehouseError('not-found', 'approval.not-signed', 'Nobody has said yes to this with a passkey.');
  const subject = signed.subject as Record<string, unknown> | null;
  const yes = await Promise.all(signed.yes.map((evidence) => provenYes(ledger, approval, evidence)));
  if (subject?.v === SALTED) {
    const { arguments: args = null, salt = null } = signed.salted ?? {};
    return { approval: id, subject, arguments: args, argumentsSalt: salt, yes };
  }
  const salt = await ledger.argumentsSalt(approval.actionId);
  const argumentsSalt = salt && Buffer.from(salt).toString('base64url');
  return { approval: id, subject: salt && subject, argumentsSalt, yes };
}

async function provenYes(
  ledger: Ledger,
  { id, actionId }: Approval,
  evidence: YesEvidence,
): Promise<ApprovalProof['yes'][number]> {
  const records = (await ledger.action(actionId))?.records ?? [];
  const said = records.find(
    ({ record }) =>
      record.approval === id && record.changes.includes(`assertion ${digestJson(evidence as unknown as Json)}`),
  );
  if (!said)
    throw new GatehouseError(
      'not-found',
      'approval.not-recorded',
      'The record of this yes is not in the database any more.',
    );
  const [record, enrolment] = await Promise.all([receiptOf(ledger, said), enrolmentOf(ledger, evidence)]);
  return { evidence, record, enrolment };
}
