import { type Receipt, type SecondYesEvidence, type SequencedRecord, secondYesEvidence } from '@gatehouse/protocol';
import type { Ledger } from '../../ledger/index.ts';
import { digestJson, GatehouseError, type Json } from '../../platform/index.ts';

/** The record that says whose passkey it was, with its proof: of its enrolment, or of those that were noted later. Null where there is none any more. */
export async function enrolmentOf(
  ledger: Ledger,
  { person, publicKey }: Pick<SecondYesEvidence, 'person' | 'publicKey'>,
): Promise<Receipt | null> {
  const key = `key ${digestJson(publicKey as Json)}`;
  const found =
    (await saying(ledger, { operation: 'passkey.enrol', person: `person:${person}` }, key)) ??
    (await saying(ledger, { operation: 'passkey.keys' }, `${key} of ${person} noted`));
  return found && receiptOf(ledger, found);
}

async function saying(
  ledger: Ledger,
  of: { operation: string; person?: string },
  change: string,
): Promise<SequencedRecord | null> {
  let cursor: string | null | undefined;
  do {
    const page = await ledger.search({ ...of, limit: 200, ...(cursor && { cursor }) });
    const found = page.records.find(({ record }) => record.kind === 'change' && record.changes.includes(change));
    if (found) return found;
    cursor = page.cursor;
  } while (cursor);
  return null;
}

export async function receiptOf(
  ledger: Ledger,
  { log, sequence }: Pick<SequencedRecord, 'log' | 'sequence'>,
): Promise<Receipt> {
  const receipt = await ledger.receipt(log, sequence);
  if (!receipt)
    throw new GatehouseError('unavailable', 'record.not-yet', 'The record is not in the tree yet. Try again.');
  return { log, sequence, ...receipt };
}

/** Of the passkeys by which a second person has agreed to what these records say was done. */
export async function enrolmentsBehind(ledger: Ledger, records: readonly SequencedRecord[]): Promise<Receipt[]> {
  const signed = records.flatMap(({ record }) => secondYesEvidence(record) ?? []);
  return (await Promise.all(signed.map((each) => enrolmentOf(ledger, each)))).filter((each) => each !== null);
}
