import type { Approval, ApprovalProof, SequencedRecord, YesEvidence } from '@gatehouse/protocol';
import type { Ledger, SearchQuery } from '../../ledger/index.ts';
import { digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';

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
  const digestOf = (value: unknown) => digestJson(value as Json);
  const records = (await ledger.action(actionId))?.records ?? [];
  const said = records.find(
    ({ record }) => record.approval === id && record.changes.includes(`assertion ${digestOf(evidence)}`),
  );
  if (!said)
    throw new GatehouseError(
      'not-found',
      'approval.not-recorded',
      'The record of this yes is not in the database any more.',
    );
  const enrolled = await find(
    ledger,
    { operation: 'passkey.enrol', person: `person:${evidence.person}` },
    `key ${digestOf(evidence.publicKey)}`,
  );
  const receiptOf = async ({ log, sequence }: SequencedRecord) => {
    const receipt = await ledger.receipt(log, sequence);
    if (!receipt)
      throw new GatehouseError('unavailable', 'record.not-yet', 'The record is not in the tree yet. Try again.');
    return { log, sequence, ...receipt };
  };
  return { evidence, record: await receiptOf(said), enrolment: enrolled ? await receiptOf(enrolled) : null };
}

/** The newest record that says this among its changes. */
async function find(ledger: Ledger, of: Partial<SearchQuery>, change: string): Promise<SequencedRecord | undefined> {
  let cursor: string | null | undefined;
  do {
    const page = await ledger.search({ ...of, limit: 200, ...(cursor && { cursor }) });
    const found = page.records.find(({ record }) => record.kind === 'change' && record.changes.includes(change));
    if (found) return found;
    cursor = page.cursor;
  } while (cursor);
  return undefined;
}
