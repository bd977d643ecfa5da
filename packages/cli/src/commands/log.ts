import { writeFile } from 'node:fs/promises';
import type { ApprovalProof, RecordedResolution, SequencedRecord } from '@gatehouse/protocol';
import { GatehouseRequestError } from '@gatehouse/sdk/errors';
import { takeUpTo } from '../items.ts';
import { clean, cleanJson } from '../output.ts';
import type { ReceiptFile } from '../receipt-file.ts';
import { type FilterOptions, toFilter } from '../record-filter.ts';
import { recordLine } from '../record-line.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

export const search: Run<ServerOptions & FilterOptions & { limit: string }> = async ({ options, out }) => {
  const query = toFilter(options);
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /actions', { query }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('Nothing fits.');
  out.table(
    ['TIME', 'ACTION', 'STATUS', 'AGENT', 'OPERATION', 'TOOL', 'DETAIL'],
    items.map((each) => [
      each.time,
      each.actionId,
      each.status,
      each.agent ?? '-',
      each.operation,
      each.tool ?? each.resource ?? '-',
      each.detail ?? (each.status === 'refused' ? (each.decision?.code ?? '') : ''),
    ]),
  );
};

export const show: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const action = await operatorOf(options).call('GET /actions/:id', { params: { id } });
  if (out.json) return out.printJson(action);
  const { summary, records } = action;
  const first = records[0]?.record;
  const decision = summary.decision;
  out.facts([
    ['Action', summary.actionId],
    ['Status', summary.status],
    ['Agent', summary.agent],
    ['Acting for', first?.actor_chain.map(({ sub }) => sub).join(' ← ')],
    ['Requested by (declared)', first?.requested_by],
    ['On behalf of (declared)', first?.on_behalf_of],
    ['Intent (declared)', first?.intent],
    ['Model (declared)', [first?.model_provider, first?.model].filter(Boolean).join(' ')],
    ['Ticket', first?.ticket],
    ['Change request', first?.change_request],
    ['Task', summary.task],
    ['Template', first?.template],
    ['Environment', first?.environment],
    ['Operation', summary.operation],
    ['Tool', summary.tool],
    ['Definition', first?.tool_definition],
    ['Resource', summary.resource],
    ['Decision', decision && `${decision.effect} (tier ${decision.tier}, ${decision.code}): ${decision.reason}`],
    ['Policies', decision?.policies.join(', ')],
    [
      'Approval',
      action.approval && `${action.approval.id} ${action.approval.state} ${action.approval.decidedBy ?? ''}`,
    ],
    ['Detail', summary.detail],
    ['Resolved', summary.resolution && resolvedInWords(summary.resolution)],
  ]);
  if (action.arguments !== null && action.arguments !== undefined)
    out.print(`${out.style('bold', 'Arguments')}\n${cleanJson(action.arguments, '  ')}`);
  out.print(out.style('bold', 'Records'));
  for (const each of records) out.print(`  ${clean(each.log)} #${each.sequence}  ${recordLine(each, out)}`);
};

export const receipt: Run<ServerOptions & { output?: string }> = async ({ args: [id = ''], options, out }) => {
  const operator = operatorOf(options);
  const { records } = await operator.call('GET /actions/:id', { params: { id } });
  const file: ReceiptFile = { format: 'gatehouse-receipt/1', action: id, receipts: [] };
  for (const { log, sequence } of records) {
    const params = { log, sequence: String(sequence) };
    file.receipts.push(await operator.call('GET /records/:log/:sequence/receipt', { params }));
  }
  const approvals = await Promise.all(approvalsOf(records).map((each) => proofOf(operator, each)));
  if (approvals.length > 0) file.approvals = approvals.filter((each) => each !== null);
  const { items: enrolments } = await operator.call('GET /actions/:id/enrolments', { params: { id } });
  if (enrolments.length > 0) file.enrolments = enrolments;
  if (options.output === undefined) return out.printJson(file);
  await writeFile(options.output, `${JSON.stringify(file, null, 2)}\n`);
  if (out.json) out.printJson({ action: id, file: options.output, records: file.receipts.length });
  else out.print(`${file.receipts.length} records of ${clean(id)} with their proofs in ${options.output}`);
};

/** Named by what ran; a standing grant is no yes to one action. */
const approvalsOf = (records: SequencedRecord[]): string[] => [
  ...new Set(
    records.flatMap(({ record }) =>
      record.kind === 'dispatch' && record.approval?.startsWith('apr_') ? [record.approval] : [],
    ),
  ),
];

/** Null where no passkey has signed. */
async function proofOf(operator: ReturnType<typeof operatorOf>, id: string): Promise<ApprovalProof | null> {
  try {
    return await operator.call('GET /approvals/:id/proof', { params: { id } });
  } catch (error) {
    if (error instanceof GatehouseRequestError && error.code === 'approval.not-signed') return null;
    throw error;
  }
}
const resolvedInWords = ({ what, by, note, reference }: RecordedResolution) =>
  `${what}, says ${by}: ${note}${reference === undefined ? '' : ` (${reference})`}`;
