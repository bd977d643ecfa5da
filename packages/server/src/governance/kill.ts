import type { KillResult } from '@gatehouse/protocol';
import type { Approvals } from '../approvals/index.ts';
import { type Credentials, leaseLimits } from '../credentials/index.ts';
import { revokeJoinTokensOf } from '../identity/index.ts';
import { type Clock, GatehouseError } from '../platform/index.ts';
import type { Registry, Workload } from '../registry/index.ts';
import type { RecordChange, Storage } from '../storage/index.ts';

export interface KillDependencies {
  storage: Storage;
  registry: Registry;
  approvals: Approvals;
  credentials: { leases: Pick<Credentials['leases'], 'endWithin' | 'endOverWithin' | 'settled'> };
  recordChange: RecordChange;
  clock: Clock;
}

/**
 * The switch (law 6). One transaction raises the agent's epoch, ends its tasks and credentials, cancels its parked approvals, revokes its open join
 * tokens (which would let a key of before in afterwards) and is recorded; the promise resolves when every replica has applied it, or
 * its feed lease has run out and it denies everything by itself.
 * Killing a killed agent does it again: the caller wants certainty, not an error.
 */
export async function killAgent(
  deps: KillDependencies,
  agent: string,
  by: string,
  reason: string,
): Promise<KillResult> {
  const { storage, registry, approvals, recordChange, clock } = deps;
  const { leases } = deps.credentials;
  const startedAt = clock.now();
  if (!registry.snapshot().agents.has(agent)) {
    throw new GatehouseError(
      'not-found',
      'agent.unknown',
      `There is no agent "${agent}". \`gatehouse agents\` lists them.`,
    );
  }
  const { cancelledApprovals, endedTasks, ids } = await storage.transaction(async (transaction) => {
    const cancelled = await approvals.cancelAll(transaction, { agent }, by);
    const { endedTasks } = await registry.setAgentState(agent, 'suspended', by, { killed: true, within: transaction });
    await revokeJoinTokensOf({ recordChange }, transaction, { agent }, by);
    await recordChange(transaction, {
      operation: 'agent.kill',
      by,
      agent,
      changes: [`killed; ${cancelled} pending approvals cancelled`],
      ...(reason && { detail: reason }),
    });
    const why = `the agent ${agent} was killed`;
    const ids = [
      ...(await leases.endWithin(transaction, { agent }, by, why)),
      ...(await leases.endOverWithin(transaction, by, why)),
    ];
    return { cancelledApprovals: cancelled, endedTasks, ids };
  });
  const settled = leases.settled({ agent, ids }, leaseLimits.killWaitMs);
  // The kill's place on the feed is given at the commit, so only now is it known what to wait for.
  const { acknowledged, expired } = await storage.feed.waitForAll(await storage.feed.head());
  const tookMs = clock.now() - startedAt;
  const { open, residualSeconds } = await settled;
  return {
    agent,
    acknowledged,
    expired,
    cancelledApprovals,
    endedTasks,
    tookMs,
    endedLeases: ids.length,
    openLeases: open,
    residualSeconds,
  };
}

/** The same for a service that is not an agent: the tasks that it vouched for end with it, on every replica, before this resolves. */
export async function killWorkload(
  { storage, registry }: Pick<KillDependencies, 'storage' | 'registry'>,
  name: string,
  by: string,
  reason: string,
): Promise<Workload> {
  const workload = await registry.setWorkloadState(name, 'suspended', by, { killed: true, reason });
  await storage.feed.waitForAll(await storage.feed.head());
  return workload;
}
