import type { Kysely } from 'kysely';
import { leaveToOriginal } from '../credentials/index.ts';
import type { Ledger } from '../ledger/index.ts';
import type { Clock } from '../platform/index.ts';
import { RESTORE_LEAP, settleAgents, settleWorkloads } from '../registry/index.ts';
import type {
  DatabaseTransaction,
  RecordChange,
  Sealer,
  SigningKeyPurpose,
  Storage,
  Tables,
} from '../storage/index.ts';

/**
 * What becomes of each table when a backup is restored. `keep`: as it was. `empty`: it gave somebody access or stood for something
 * under way, and what became of that since the backup is not known. `settle`: rows are changed, below. A new table has to say which.
 */
const afterRestore: Record<keyof Tables, 'keep' | 'empty' | 'settle'> = {
  meta: 'keep',
  objects: 'keep',
  agents: 'settle',
  agent_keys: 'keep',
  definitions: 'keep',
  tasks: 'settle',
  task_actors: 'keep',
  delegations: 'settle',
  enrolled_keys: 'keep',
  flow_labels: 'keep',
  flow_heads: 'keep',
  flow_endorsements: 'keep',
  fences: 'settle',
  changes: 'keep',
  replicas: 'empty',
  approvals: 'settle',
  holds: 'keep',
  // Bodies that were erased after the backup was begun may be in it: what was to be erased is erased again.
  erasures: 'settle',
  standing_grants: 'settle',
  break_glass: 'settle',
  approval_votes: 'keep',
  deputies: 'keep',
  deliveries: 'empty',
  approval_looks: 'empty',
  channel_messages: 'keep',
  logs: 'keep',
  sinks: 'keep',
  sink_positions: 'keep',
  sink_quarantine: 'keep',
  records: 'keep',
  removals: 'keep',
  retention_marks: 'keep',
  retention_agreements: 'keep',
  bodies: 'keep',
  tiles: 'keep',
  checkpoints: 'keep',
  passkeys: 'keep',
  former_deciders: 'keep',
  people_sessions: 'empty',
  push_subscriptions: 'empty',
  person_identities: 'keep',
  provider_sign_ins: 'empty',
  scim_tokens: 'empty',
  scim_users: 'keep',
  scim_groups: 'keep',
  scim_members: 'keep',
  scim_agents: 'settle',
  confirmations: 'empty',
  policy_versions: 'keep',
  policy_objects: 'keep',
  policy_proposals: 'settle',
  signin_links: 'empty',
  mail_links: 'empty',
  webauthn_challenges: 'empty',
  signing_keys: 'settle',
  key_encryption_keys: 'keep',
  foreign_bundles: 'keep',
  secrets: 'keep',
  secret_uses: 'keep',
  upstream_grants: 'settle',
  upstream_demands: 'keep',
  upstream_clients: 'keep',
  upstream_connects: 'empty',
  held_results: 'empty',
  waiting_tasks: 'empty',
  open_calls: 'keep',
  budget_counters: 'keep',
  budget_spends: 'keep',
  baselines: 'keep',
  idempotency_keys: 'empty',
  issuer_keys: 'keep',
  trust_rule_uses: 'keep',
  outside_tokens: 'keep',
  join_tokens: 'empty',
  workload_lives: 'settle',
  revoked_tokens: 'keep',
  oauth_artifacts: 'settle',
  // They are the original's, which may be running: it ends them, and this workspace only when it is told that it replaces it.
  leases: 'settle',
  lease_books: 'keep',
  accounts: 'settle',
};

const LEFT_TO_THE_ORIGINAL =
  'left to the workspace that this was restored from: where that is gone for good, `gatehouse leases take-over` has all of them ended';

/** Registered clients stay, and so do the ids that were used: forgotten, they could be used again. */
const KEPT_ARTIFACTS = ['Client', 'ReplayDetection'];

/** Clouds, services and hosts were told of these by people: who recovers from a loss goes on with them, who tries a copy is told. */
const TRUSTED_ELSEWHERE: SigningKeyPurpose[] = ['identity-token', 'signed-token', 'ssh-ca', 'x509-clouds'];

export interface Settled {
  agents: number;
  suspended: number;
  workloads: number;
  suspendedWorkloads: number;
  /** Standing ones, revoked. */
  delegations: number;
  joinTokens: number;
  tasks: number;
  approvals: number;
  sessions: number;
  /** Codes, refresh tokens, device codes and consents. */
  grants: number;
  directoryTokens: number;
  /** Credentials that were out, left to the workspace that issued them. */
  leases: number;
  signingKeys: number;
  /** The X.509 root is held elsewhere, so that no new authority could be made. */
  keptAuthorities: boolean;
  /** Purposes of keys that other systems were told to trust. They stay, so that these need not be told anew. */
  trustedElsewhere: string[];
}

/** Ends all that was given out before (laws 5 and 6): each step is recorded in the transaction that makes it. */
export async function settleRestored(
  deps: { storage: Storage; sealer: Sealer; ledger: Ledger; recordChange: RecordChange; clock: Clock },
  { by, keepsActive }: { by: string; keepsActive: boolean },
): Promise<Settled> {
  const { storage, sealer, recordChange, clock } = deps;
  const agents = await settleAgents(deps, { by, keepsActive });
  const workloads = await settleWorkloads(deps, { by, keepsActive });
  return storage.transaction(async (transaction) => {
    const emptied: Partial<Record<keyof Tables, number>> = {};
    for (const [table, what] of Object.entries(afterRestore))
      if (what === 'empty') emptied[table as keyof Tables] = await empty(transaction, table);
    const now = clock.now();
    const tasks = await transaction
      .updateTable('tasks')
      .set({ state: 'ended', ended_at: now })
      .where('state', '=', 'active')
      .executeTakeFirst();
    await transaction
      .updateTable('erasures')
      .set({ state: 'running', reached: null, ended_at: null })
      .where('state', '=', 'done')
      .execute();
    const delegations = await transaction
      .updateTable('delegations')
      .set({ revoked_at: now, revoked_by: by })
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    const approvals = await transaction
      .updateTable('approvals')
      .set({ state: 'cancelled', decided_at: now, decided_by: by })
      .where('state', 'in', ['pending', 'approved'])
      .executeTakeFirst();
    await transaction
      .updateTable('standing_grants')
      .set({ ended_at: now, ended_by: 'gatehouse', reason: 'the workspace was restored from a backup' })
      .where('ended_at', 'is', null)
      .execute();
    await transaction
      .updateTable('break_glass')
      .set({ ended_at: now, ended_by: by })
      .where('ended_at', 'is', null)
      .execute();
    // What they would change is not what is there now.
    await transaction
      .updateTable('policy_proposals')
      .set({ state: 'stale', decided_at: now, decided_by: by })
      .where('state', '=', 'open')
      .execute();
    await transaction
      .updateTable('fences')
      .set(({ eb }) => ({ version: eb('version', '+', RESTORE_LEAP) }))
      .execute();
    // A directory brings back what it suspended itself, and who suspended an agent after the backup is not known.
    await transaction.updateTable('scim_agents').set({ suspended: 0 }).execute();
    await transaction.updateTable('upstream_grants').set({ renewing_until: 0 }).execute();
    await transaction.updateTable('accounts').set({ renewing_until: 0 }).execute();
    const leases = await transaction
      .updateTable('leases')
      .set((update) => ({
        state: 'revoking',
        revoking_at: update.fn.coalesce('revoking_at', update.val(now)),
        reason: 'the workspace was restored from a backup',
        problem: LEFT_TO_THE_ORIGINAL,
        attempts: 0,
        failing_since: null,
        next_try_at: null,
        sealed_credential: null,
      }))
      .where('state', 'not in', ['revoked', 'dropped'])
      .executeTakeFirst();
    await leaveToOriginal(sealer, transaction, now);
    const artifacts = await transaction
      .deleteFrom('oauth_artifacts')
      .where('model', 'not in', KEPT_ARTIFACTS)
      .executeTakeFirst();
    const keys = await destroySigningKeys(transaction);
    const settled: Settled = {
      ...agents,
      ...workloads,
      delegations: Number(delegations.numUpdatedRows),
      joinTokens: emptied.join_tokens ?? 0,
      tasks: Number(tasks.numUpdatedRows),
      approvals: Number(approvals.numUpdatedRows),
      sessions: emptied.people_sessions ?? 0,
      grants: Number(artifacts.numDeletedRows),
      directoryTokens: emptied.scim_tokens ?? 0,
      leases: Number(leases.numUpdatedRows),
      signingKeys: keys.destroyed,
      keptAuthorities: keys.keptAuthorities,
      trustedElsewhere: keys.trustedElsewhere,
    };
    await recordChange(transaction, {
      operation: 'workspace.settle',
      by,
      changes: [
        `${settled.agents} agents: every epoch raised, ${settled.suspended} suspended`,
        `${settled.workloads} workloads: every epoch raised, ${settled.suspendedWorkloads} suspended`,
        `${settled.tasks} tasks ended, ${settled.approvals} approvals cancelled, ${settled.delegations} delegations revoked`,
        `${settled.sessions} sessions of people, ${settled.grants} codes, refresh tokens and consents, ${settled.directoryTokens} directory tokens, ${settled.joinTokens} join tokens removed`,
        `${settled.signingKeys} signing keys destroyed`,
        `${settled.leases} credentials left to the workspace that issued them`,
        ...(settled.keptAuthorities ? ['X.509 authorities kept: their root is held elsewhere'] : []),
        ...(settled.trustedElsewhere.length > 0
          ? [`keys kept that other systems trust, as the original has them: ${settled.trustedElsewhere.join(', ')}`]
          : []),
      ],
    });
    return settled;
  });
}

/**
 * With its keys everything that they signed is refused, whatever the clock says. Authorities under a root that is held elsewhere stay:
 * their agents' SVIDs are refused for their epoch, and only the root's holder can replace them.
 */
async function destroySigningKeys(transaction: DatabaseTransaction) {
  const external = await transaction
    .selectFrom('signing_keys')
    .select('kid')
    .where('purpose', '=', 'x509-root')
    .where('state', '=', 'external')
    .executeTakeFirst();
  const purposes: SigningKeyPurpose[] = [
    'access-token',
    'jwt-svid',
    'x509-request',
    'identity-provider-client',
    'push',
  ];
  if (!external) purposes.push('x509-root', 'x509-intermediate');
  const { numDeletedRows } = await transaction
    .deleteFrom('signing_keys')
    .where('purpose', 'in', purposes)
    .executeTakeFirst();
  const kept = await transaction
    .selectFrom('signing_keys')
    .select('purpose')
    .distinct()
    .where('purpose', 'in', TRUSTED_ELSEWHERE)
    .orderBy('purpose')
    .execute();
  return {
    destroyed: Number(numDeletedRows),
    keptAuthorities: external !== undefined,
    trustedElsewhere: kept.map(({ purpose }) => purpose),
  };
}

async function empty(transaction: DatabaseTransaction, table: string): Promise<number> {
  const any = transaction as unknown as Kysely<Record<string, object>>;
  return Number((await any.deleteFrom(table).executeTakeFirst()).numDeletedRows);
}
