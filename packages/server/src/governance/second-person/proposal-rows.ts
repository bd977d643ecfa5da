import { createHash, randomBytes } from 'node:crypto';
import type { Manifest, PlanChange, ProposalState, Relaxation, ReplayResult } from '@gatehouse/protocol';
import { canonicalJson, digestJson, GatehouseError } from '../../platform/index.ts';
import { newestVersion, type Step } from '../../registry/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Tables } from '../../storage/index.ts';

export type ProposalRow = Tables['policy_proposals'];

/** What is to be applied, as it was sent. */
export interface ProposedWork {
  manifests: Manifest[];
  prune: boolean;
  remove: readonly string[];
  rollbackTo: number | null;
  /** So that the digest, which is on record, tells nothing of values in the manifests that could be guessed. */
  salt: string;
}

export interface ProposedShown {
  changes: PlanChange[];
  relaxes: Relaxation[];
}

export const workOf = ({ change }: ProposalRow): ProposedWork => JSON.parse(change) as ProposedWork;
export const shownOf = ({ shown }: ProposalRow): ProposedShown => JSON.parse(shown) as ProposedShown;
export const replayOf = ({ replay }: ProposalRow): ReplayResult | null =>
  replay === null ? null : (JSON.parse(replay) as ReplayResult);

export const newSalt = () => randomBytes(32).toString('base64url');

export function proposalDigest(
  row: Pick<ProposalRow, 'number' | 'author' | 'note' | 'base' | 'change' | 'shown'>,
): string {
  const { number, author, note, base, change, shown } = row;
  return digestJson({
    v: 1,
    proposal: number,
    author,
    note,
    base,
    change: digestJson(JSON.parse(change)),
    shown: JSON.parse(shown),
  });
}

/** What the passkey signs. */
export function proposalChallenge(number: number, digest: string): Uint8Array {
  return createHash('sha256')
    .update(canonicalJson({ v: 1, policyProposal: number, digest }))
    .digest();
}

export const urlOf = (publicUrl: string, number: number) => `${publicUrl}/policy/proposals/${number}`;

export const recordProposal = (
  recordChange: RecordChange,
  transaction: DatabaseTransaction,
  row: ProposalRow,
  what: string,
  by: string,
  words: string[],
): Promise<unknown> =>
  recordChange(transaction, {
    operation: `policy.${what}`,
    by,
    changes: [`proposal ${row.number} of ${row.author}`, `digest ${row.digest}`, ...words],
    ...(row.note && { detail: row.note }),
  });

/** As it is stored, and without what only explains it. */
export function keyOfChange({ operation, kind, name, differences }: PlanChange): string {
  return canonicalJson(JSON.parse(JSON.stringify({ operation, kind, name, differences })));
}

export const shownChanges = (steps: readonly Step[]): PlanChange[] =>
  steps.filter(({ change }) => change.operation !== 'unchanged').map(({ change }) => change);

export async function readProposal(db: Database | DatabaseTransaction, number: number): Promise<ProposalRow> {
  const row = await db.selectFrom('policy_proposals').selectAll().where('number', '=', number).executeTakeFirst();
  if (row) return row;
  throw new GatehouseError(
    'not-found',
    'proposal.unknown',
    `There is no proposed change ${number}. \`gatehouse policy proposals\` lists them.`,
  );
}

export async function stateOf(
  db: Database | DatabaseTransaction,
  row: ProposalRow,
  now: number,
): Promise<ProposalState> {
  if (row.state !== 'open') return row.state as ProposalState;
  if (row.expires_at <= now) return 'expired';
  const base = (await newestVersion(db))?.number ?? 0;
  return base === row.base ? 'open' : 'stale';
}

/** What processes get in their environment is where people put keys: nobody is shown it, and nothing keeps it longer than it is needed. */
export function withoutValues(manifests: readonly Manifest[]): Manifest[] {
  return manifests.map((manifest) =>
    manifest.kind === 'ToolServer' && manifest.transport.type === 'stdio'
      ? {
          ...manifest,
          transport: {
            ...manifest.transport,
            env: Object.fromEntries(Object.keys(manifest.transport.env).map((name) => [name, '[hidden]'])),
          },
        }
      : manifest,
  );
}
