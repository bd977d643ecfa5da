import type {
  Evidence,
  EvidenceControl,
  EvidenceFramework,
  EvidenceReceipt,
  EvidenceReport,
} from '@gatehouse/protocol';
import type { Approvals } from '../../approvals/index.ts';
import type { Ledger } from '../../ledger/index.ts';
import { type Clock, digestJson, GatehouseError, type Json, type Log } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import { type Database, openReports, type Storage } from '../../storage/index.ts';
import { runCheck } from './check.ts';
import { checks } from './checks/index.ts';
import { type Control, frameworks } from './frameworks/index.ts';
import { toHtml } from './render/html.ts';

export interface EvidenceDependencies {
  storage: Storage;
  ledger: Pick<Ledger, 'logs' | 'verifyAll' | 'search' | 'receipt' | 'recordChange'>;
  registry: Pick<Registry, 'snapshot'>;
  approvals: Pick<Approvals, 'inspect'>;
  clock: Clock;
  publicUrl: string;
  log: Log;
}

export interface EvidenceRequest {
  framework: EvidenceFramework;
  /** Milliseconds since the epoch; `to` is not in the period. */
  from: number;
  to: number;
  /** As records name who asks. */
  by: string;
}

/**
 * Looks at the workspace's own data, control by control, and says what it shows. The report is signed by being logged: its digest is in the
 * record `evidence.export`, which is written before the report is given out, and whose receipt comes with it.
 */
export async function makeEvidence(deps: EvidenceDependencies, request: EvidenceRequest): Promise<Evidence> {
  const { storage, log } = deps;
  if (underWay.has(storage))
    throw new GatehouseError('conflict', 'evidence.busy', 'Another report is being made. Ask again when it is ready.');
  underWay.add(storage);
  try {
    const reports = await openReports(storage.place, log);
    try {
      return await make(deps, request, reports.db);
    } finally {
      await reports.close();
    }
  } finally {
    underWay.delete(storage);
  }
}

/** A report reads all records of its period: one at a time, however many ask. */
const underWay = new WeakSet<Storage>();

async function make(deps: EvidenceDependencies, request: EvidenceRequest, db: Database): Promise<Evidence> {
  const { storage, ledger, registry, approvals, clock, publicUrl } = deps;
  const { framework: id, from, to, by } = request;
  const now = clock.now();
  if (from >= to || from > now)
    throw new GatehouseError(
      'bad-request',
      'evidence.period',
      'The period has to begin before it ends, and before now.',
    );
  const framework = frameworks[id];
  // Each record is hashed once for all that ask whether the logs are whole.
  let verified: ReturnType<Ledger['verifyAll']> | undefined;
  const sources = {
    db,
    ledger: { logs: () => ledger.logs(), verifyAll: () => (verified ??= ledger.verifyAll()) },
    approvals,
    snapshot: registry.snapshot(),
    publicUrl,
    from,
    to: Math.min(to, now + 1),
    now,
  };
  const wanted = new Set(framework.controls.flatMap((control) => ('checks' in control ? control.checks : [])));
  const found: EvidenceReport['checks'] = [];
  // One after the other: an audit is not to be felt by the gate.
  for (const check of checks.values()) if (wanted.has(check.id)) found.push(await runCheck(check, sources));

  const report: EvidenceReport = {
    v: 1,
    framework: { id, title: framework.title },
    workspace: publicUrl,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    madeAt: new Date(now).toISOString(),
    madeBy: by,
    logs: (await ledger.logs()).map(({ id: log, vkey, size }) => ({ id: log, vkey, size })),
    controls: framework.controls.map((control) => judged(control, found)),
    checks: found,
  };
  const digest = digestJson(report as unknown as Json);
  await storage.transaction((transaction) =>
    ledger.recordChange(transaction, {
      operation: 'evidence.export',
      by,
      changes: [`report ${digest}`, `framework ${id}`, `from ${report.from}`, `to ${report.to}`],
    }),
  );
  const receipt = await receiptOf(ledger, digest);
  const named = found.flatMap(({ records }) => records);
  const unique = [...new Map(named.map((record) => [`${record.log} ${record.sequence}`, record])).values()];
  const receipts: EvidenceReceipt[] = [];
  for (const each of unique) {
    const proven = await proofOf(ledger, each);
    if (proven) receipts.push(proven);
  }
  const { toPdf } = await import('./render/pdf.ts');
  return {
    report,
    digest,
    receipt,
    receipts,
    html: toHtml(report, digest),
    pdf: (await toPdf(report, digest)).toString('base64'),
  };
}

async function receiptOf(ledger: EvidenceDependencies['ledger'], digest: string): Promise<EvidenceReceipt | null> {
  const { records } = await ledger.search({ operation: 'evidence.export', limit: 20 });
  const own = records.find(({ record }) => record.changes.includes(`report ${digest}`));
  return own ? proofOf(ledger, own) : null;
}

/** Null where a log lacks records: it proves nothing then, and the report says that it is broken. */
async function proofOf(
  ledger: EvidenceDependencies['ledger'],
  { log, sequence }: { log: string; sequence: number },
): Promise<EvidenceReceipt | null> {
  try {
    const proven = await ledger.receipt(log, sequence);
    return proven ? { log, sequence, ...proven } : null;
  } catch (error) {
    if (error instanceof GatehouseError) return null;
    throw error;
  }
}

function judged(control: Control, found: EvidenceReport['checks']): EvidenceControl {
  const { id, title } = control;
  if ('notCovered' in control) return { id, title, status: 'not-covered', checks: [], remark: control.notCovered };
  const own = found.filter((check) => control.checks.includes(check.id));
  const statuses = new Set(own.map(({ status }) => status));
  const status = statuses.has('not-met') ? 'not-met' : statuses.has('met') ? 'met' : 'no-data';
  return { id, title, status, checks: [...control.checks], remark: control.remark ?? null };
}
