import type { ProposedChange, Relaxation } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError } from '../../platform/index.ts';
import { newestVersion, type Step } from '../../registry/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { secondPersonLimits as limits } from './limits.ts';
import {
  newSalt,
  type ProposalRow,
  type ProposedWork,
  proposalDigest,
  recordProposal,
  shownChanges,
  urlOf,
} from './proposal-rows.ts';
import type { ChangeRequest, PolicyChangesDependencies } from './types.ts';

/** Thrown in the transaction of an apply, which is thereby taken back. */
export class SecondPersonNeeded extends Error {
  readonly steps: readonly Step[];
  readonly relaxes: Relaxation[];

  constructor(steps: readonly Step[], relaxes: Relaxation[]) {
    super('a second person has to agree');
    this.steps = steps;
    this.relaxes = relaxes;
  }
}

/** Keeps what was not applied for somebody else to look at. */
export async function propose(
  { storage, recordChange, clock, publicUrl, onProposed }: PolicyChangesDependencies,
  request: ChangeRequest,
  needed: SecondPersonNeeded,
): Promise<ProposedChange> {
  const { manifests, prune, remove = [], rollbackTo = null, note, by } = request;
  for (const step of needed.steps) request.mayPropose?.(step);
  const work: ProposedWork = { manifests, prune, remove, rollbackTo, salt: newSalt() };
  const change = canonicalJson(JSON.parse(JSON.stringify(work)));
  const shown = JSON.stringify({ changes: shownChanges(needed.steps), relaxes: needed.relaxes });
  if (Buffer.byteLength(change) + Buffer.byteLength(shown) > limits.proposalBytes)
    throw new GatehouseError(
      'too-large',
      'proposal.too-large',
      'This is more than anybody reads through before a yes. Propose it in parts.',
    );
  const now = clock.now();
  const row = await storage.transaction(async (transaction) => {
    const head = {
      number: await nextNumber(transaction, now),
      author: by,
      note,
      base: (await newestVersion(transaction))?.number ?? 0,
      change,
      shown,
    };
    const added: ProposalRow = {
      ...head,
      digest: proposalDigest(head),
      state: 'open',
      created_at: now,
      expires_at: now + limits.proposalTtlMs,
      decided_at: null,
      decided_by: null,
      reason: null,
      assertion: null,
      agreed_by: null,
      agreed_assertion: null,
      replay: null,
    };
    await transaction.insertInto('policy_proposals').values(added).execute();
    await recordProposal(recordChange, transaction, added, 'propose', by, [
      ...needed.relaxes.slice(0, 20).map(({ kind, name, why }) => `${kind} ${name}: ${why}`.slice(0, 300)),
    ]);
    return added;
  });
  onProposed?.(row.number);
  return {
    number: row.number,
    url: urlOf(publicUrl, row.number),
    relaxes: needed.relaxes,
    expiresAt: row.expires_at,
  };
}

async function nextNumber(transaction: DatabaseTransaction, now: number): Promise<number> {
  const open = await transaction
    .selectFrom('policy_proposals')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '=', 'open')
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow();
  if (Number(open.count) >= limits.openProposals)
    throw new GatehouseError(
      'too-many',
      'proposal.too-many',
      `${limits.openProposals} proposed changes wait already. Have some of them shipped or rejected first.`,
    );
  const last = await transaction
    .selectFrom('policy_proposals')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst();
  return Number(last?.number ?? 0) + 1;
}
