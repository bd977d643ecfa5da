import { GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction } from '../../storage/index.ts';
import type { LeaseRow } from './rows.ts';
import type { LeaseRequest } from './types.ts';

const HOUR_MS = 3_600_000;

/** Counts what was handed out, in the transaction that intends one more, or before it is asked for: also what has ended since. */
export async function withinQuota(
  transaction: DatabaseTransaction | Database,
  { task, agent, provider, intended_at: now }: Pick<LeaseRow, 'task' | 'agent' | 'provider' | 'intended_at'>,
  { perTask, perHour }: NonNullable<LeaseRequest['quota']>,
): Promise<void> {
  const handedOut = transaction
    .selectFrom('leases')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('provider', '=', provider)
    .where('ungated', '=', 1)
    // What was never made was handed to nobody.
    .where((where) => where.or([where('created_at', 'is not', null), where('state', '<>', 'revoked')]));
  const ofTask = await handedOut.where('task', '=', task).executeTakeFirstOrThrow();
  if (Number(ofTask.count) >= perTask)
    throw tooMany(
      `Task ${task} was handed ${ofTask.count} credentials of ${provider}, and is handed no more. Start another task.`,
    );
  const ofAgent = await handedOut
    .where('agent', '=', agent)
    .where('intended_at', '>', now - HOUR_MS)
    .executeTakeFirstOrThrow();
  if (Number(ofAgent.count) >= perHour)
    throw tooMany(
      `The agent ${agent} was handed ${ofAgent.count} credentials of ${provider} within an hour. Try again later.`,
    );
}

const tooMany = (detail: string) => new GatehouseError('too-many', 'credential.limit', detail);
