import type { AgentManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import { inChunks } from './chunks.ts';
import { thumbprint } from './keys.ts';

/** Keys of one agent, before and after a change. */
export interface KeyChange {
  agent: string;
  before: AgentManifest['keys'];
  after: AgentManifest['keys'];
}

/**
 * INVARIANT: no key is written into an agent but through here, in the transaction that does it. Which agent has a key is looked up in the
 * snapshot first, for a better answer; what decides between two replicas is the primary key of `agent_keys`.
 */
export async function changeKeys(transaction: DatabaseTransaction, changes: readonly KeyChange[]): Promise<void> {
  const [gone, come] = [new Map<string, string>(), new Map<string, string>()];
  for (const { agent, before, after } of changes) {
    const [were, are] = [new Set(before.map(thumbprint)), new Set(after.map(thumbprint))];
    for (const print of were) if (!are.has(print)) gone.set(print, agent);
    for (const print of are) if (!were.has(print)) come.set(print, agent);
  }
  for (const [print, agent] of gone)
    await transaction.deleteFrom('agent_keys').where('thumbprint', '=', print).where('agent', '=', agent).execute();
  // In one order, so that two who want the same keys wait for each other instead of for ever.
  const rows = [...come].sort().map(([thumbprint, agent]) => ({ thumbprint, agent }));
  const holders = await inChunks(rows, async (some) => {
    await transaction
      .insertInto('agent_keys')
      .values(some)
      .onConflict((conflict) => conflict.column('thumbprint').doNothing())
      .execute();
    const prints = some.map((row) => row.thumbprint);
    return transaction.selectFrom('agent_keys').selectAll().where('thumbprint', 'in', prints).execute();
  });
  if (holders.some((row) => come.get(row.thumbprint) !== row.agent)) throw keyTaken();
}

export const keyTaken = () =>
  new GatehouseError(
    'conflict',
    'agent.key-taken',
    'Another agent has this key already, and a key belongs to one agent. Make a new key pair for this one.',
  );
