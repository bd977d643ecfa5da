import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { Guard, Sealer, Storage } from '../../storage/index.ts';
import { leaseLimits } from './limits.ts';
import type { Make, OpenedProvider, Wanted } from './make.ts';
import { type LeaseRow, nameOf, openCredential } from './rows.ts';
import type { Sealing } from './seals.ts';
import { type Held, isLive } from './types.ts';

export interface KeyedDependencies {
  storage: Storage;
  sealer: Sealer;
  make: Make;
  sealing: Sealing;
  clock: Clock;
}

const POLL_MS = 50;

/** Why a request gets nothing under a key that its task has used before: known before anybody is asked to approve it. */
export function keyProblem(row: LeaseRow, digest: string, now: number): GatehouseError | undefined {
  if (row.request_digest !== digest)
    return new GatehouseError(
      'conflict',
      'idempotency.differs',
      'This idempotency key was used for another request. Send a new key with a new request.',
    );
  const isOver = isLive(row.state) ? row.expires_at <= now : row.state !== 'intended' && row.created_at !== null;
  if (!isOver) return undefined;
  return new GatehouseError(
    'conflict',
    'lease.ended',
    'What was issued under this idempotency key has ended. Ask with a new key.',
  );
}

/** One lease for an idempotency key of a task: whoever got no answer asks again, and gets what was made the first time. */
export function createKeyedIssuing({ storage, sealer, make, sealing, clock }: KeyedDependencies) {
  return async function issueOnce(
    wanted: Wanted & { idempotencyKey: string },
    opened: OpenedProvider,
    guards: readonly Guard[],
  ): Promise<Held> {
    const { task, idempotencyKey: key, digest, provider } = wanted;
    if (key.length === 0 || key.length > leaseLimits.idempotencyKeyCharacters)
      throw new GatehouseError(
        'bad-request',
        'idempotency.key',
        `An idempotency key has 1 to ${leaseLimits.idempotencyKeyCharacters} characters.`,
      );
    for (const giveUpAt = clock.now() + leaseLimits.createMs; ; ) {
      const row = await storage.db
        .selectFrom('leases')
        .selectAll()
        .where('task', '=', task)
        .where('idempotency_key', '=', key)
        .executeTakeFirst();
      if (row && (row.state === 'intended' || isLive(row.state)) && !(await sealing.isIntact(row))) continue;
      const problem = row && keyProblem(row, digest, clock.now());
      if (problem) throw problem;
      if (row && isLive(row.state) && row.sealed_credential) {
        const { id, provider: of, expires_at: expiresAt } = row;
        return {
          lease: { id, provider: of, expiresAt, name: nameOf(id) },
          credential: openCredential(sealer, id, row.sealed_credential),
        };
      }
      if (row && row.state !== 'intended') await release(row);
      if (row?.state !== 'intended') {
        try {
          return await make(wanted, opened, guards);
        } catch (error) {
          if (!(error instanceof GatehouseError && error.code === 'lease.elsewhere')) throw error;
        }
      }
      if (clock.now() > giveUpAt)
        throw new GatehouseError(
          'timeout',
          'lease.timeout',
          `No credential of ${provider} was there in time. Try again with the same key.`,
        );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };

  /** Nothing was given out under it: whoever tries again means a credential, and not the same failure. */
  async function release(row: LeaseRow): Promise<void> {
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ idempotency_key: null })
        .where('id', '=', row.id)
        .where('created_at', 'is', null)
        .execute();
    });
  }
}
