import type { EvidenceCheck } from '@gatehouse/protocol';
import type { Compilable } from 'kysely';
import type { Approvals } from '../../approvals/index.ts';
import type { Ledger } from '../../ledger/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Database } from '../../storage/index.ts';

/** What checks look at. */
export interface Sources {
  db: Database;
  ledger: Pick<Ledger, 'logs' | 'verifyAll'>;
  approvals: Pick<Approvals, 'inspect'>;
  snapshot: Snapshot;
  publicUrl: string;
  /** Milliseconds since the epoch: `to` is not in the period. */
  from: number;
  to: number;
  now: number;
}

export type Found = Pick<EvidenceCheck, 'status' | 'finding'> & Partial<EvidenceCheck>;

export interface Check {
  id: string;
  claim: string;
  run(sources: Sources, ask: Ask): Promise<Found>;
}

/** Runs a query and keeps its text for the report. */
export type Ask = <Row>(query: Compilable<Row> & { execute(): Promise<Row[]> }) => Promise<Row[]>;

const MAX_EXAMPLES = 20;
const MAX_QUERY_CHARS = 4_000;

/** One that fails is not met: what can't be looked at is not shown. */
export async function runCheck(check: Check, sources: Sources): Promise<EvidenceCheck> {
  const queries: string[] = [];
  const ask: Ask = async (query) => {
    const { sql, parameters } = query.compile();
    queries.push(`${sql}\n-- ${JSON.stringify(parameters)}`.slice(0, MAX_QUERY_CHARS));
    return query.execute();
  };
  const { id, claim } = check;
  const found: Found = await check.run(sources, ask).catch((error: unknown) => ({
    status: 'not-met',
    finding: `This could not be looked at: ${error instanceof Error ? error.message : String(error)}`,
  }));
  const { status, finding, figures = {}, examples = [], records = [] } = found;
  return { id, claim, queries, status, finding, figures, examples: examples.slice(0, MAX_EXAMPLES), records };
}

/** Met when there is something to look at and nothing speaks against it. */
export function verdict(
  { of, against }: { of: number; against: number },
  words: { none: string; met: string; not: string },
): Pick<Found, 'status' | 'finding'> {
  if (against > 0) return { status: 'not-met', finding: words.not };
  return of === 0 ? { status: 'no-data', finding: words.none } : { status: 'met', finding: words.met };
}

export const day = (at: number) => new Date(at).toISOString().slice(0, 10);
export const DAY_MS = 86_400_000;

/** `1 call`, `2 calls`. */
export const count = (number: number, one: string, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
