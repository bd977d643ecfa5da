import type { Clock } from '../platform/index.ts';
import type { AdministrativeChange, RecordChange, Storage } from '../storage/index.ts';
import { columnsOf } from './apply.ts';
import { agentManifestOf } from './plan.ts';
import { readWorkloads } from './workloads.ts';

/** One record for each agent, all of a transaction that ends well within its time. */
const AGENTS_PER_TRANSACTION = 500;
/**
 * What epochs and fences are raised by: more than they can have moved between the backup and its restore, so that nothing which was
 * given out in that time fits again later.
 */
export const RESTORE_LEAP = 2 ** 20;

/**
 * Every agent of a restored workspace: its epoch leaps, and unless `keepsActive` an active one is suspended, because whether it was
 * killed or suspended since the backup is not in there. Gives how many were suspended.
 */
export async function settleAgents(
  { storage, recordChange, clock }: { storage: Storage; recordChange: RecordChange; clock: Clock },
  { by, keepsActive }: { by: string; keepsActive: boolean },
): Promise<{ agents: number; suspended: number }> {
  let [agents, suspended] = [0, 0];
  for (let after = ''; ; ) {
    const rows = await storage.db
      .selectFrom('agents')
      .selectAll()
      .where('name', '>', after)
      .orderBy('name')
      .limit(AGENTS_PER_TRANSACTION)
      .execute();
    if (rows.length === 0) return { agents, suspended };
    await storage.transaction(async (transaction) => {
      const now = clock.now();
      const records: AdministrativeChange[] = [];
      for (const row of rows) {
        const ends = row.state === 'active' && !keepsActive;
        const columns = ends ? columnsOf({ ...agentManifestOf(row), state: 'suspended' }, now) : {};
        await transaction
          .updateTable('agents')
          .set({ ...columns, epoch: row.epoch + RESTORE_LEAP })
          .where('name', '=', row.name)
          .execute();
        if (!ends) continue;
        records.push({
          operation: 'agent.suspend',
          by,
          agent: row.name,
          environment: row.environment,
          changes: ['state: active → suspended', 'what happened to it since the backup is not known'],
        });
      }
      if (records.length > 0) await recordChange(transaction, ...records);
    });
    agents += rows.length;
    if (!keepsActive) suspended += rows.filter(({ state }) => state === 'active').length;
    after = rows.at(-1)?.name ?? after;
  }
}

/** The same for services that are not agents. */
export async function settleWorkloads(
  { storage, recordChange }: { storage: Storage; recordChange: RecordChange },
  { by, keepsActive }: { by: string; keepsActive: boolean },
): Promise<{ workloads: number; suspendedWorkloads: number }> {
  // Their names are all that is needed, and those of the SPIFFE IDs are not in the database.
  const workloads = await readWorkloads(storage.db, '');
  const active = workloads.filter(({ state }) => state === 'active' && !keepsActive);
  for (let at = 0; at < workloads.length; at += AGENTS_PER_TRANSACTION)
    await storage.transaction(async (transaction) => {
      const records: AdministrativeChange[] = [];
      for (const workload of workloads.slice(at, at + AGENTS_PER_TRANSACTION)) {
        const { name, manifest, state, epoch, killedAt } = workload;
        const ends = active.includes(workload);
        const life = { state: ends ? 'suspended' : state, epoch: epoch + RESTORE_LEAP, killed_at: killedAt };
        await transaction
          .insertInto('workload_lives')
          .values({ name, ...life })
          .onConflict((conflict) => conflict.column('name').doUpdateSet(life))
          .execute();
        if (!ends) continue;
        records.push({
          operation: 'workload.suspend',
          by,
          environment: manifest.environment,
          changes: [`workload ${name}: active → suspended`, 'what happened to it since the backup is not known'],
        });
      }
      if (records.length > 0) await recordChange(transaction, ...records);
    });
  return { workloads: workloads.length, suspendedWorkloads: active.length };
}
