import { setImmediate as turn } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Clock, Json, Log } from '../../platform/index.ts';
import {
  lackedKey,
  type RecordChange,
  rowSealProblem,
  type Sealer,
  type Storage,
  sealOnce,
  sealRow,
} from '../../storage/index.ts';
import { createEnding } from './end.ts';
import { leaseLimits } from './limits.ts';
import { about, issuedAs, type LeaseRow } from './rows.ts';
import { liveStates } from './types.ts';

const DECIDING = [
  ...(['provider', 'agent', 'task', 'environment', 'purpose', 'holder', 'ungated', 'single_use', 'scope'] as const),
  ...([
    'intended_at',
    'making_until',
    'expires_at',
    'bounds',
    'request_digest',
    'handed_by',
    'ends_by_itself',
  ] as const),
] as const satisfies (keyof LeaseRow)[];
type Deciding = Pick<LeaseRow, (typeof DECIDING)[number]>;
type Sealed = Deciding & Pick<LeaseRow, 'id' | 'seal'>;

/**
 * Whose a lease is, what it may do and until when: sealed with the key that the database does not hold, so that who can write to it moves no
 * credential to another task, and keeps none alive. Not its state, nor when it is looked after next: these are compared with the record.
 */
const deciding = (row: Deciding): Json => ({
  v: 1,
  provider: row.provider,
  agent: row.agent,
  task: row.task,
  environment: row.environment,
  purpose: row.purpose,
  // What comes after it tells apart what is held for itself.
  holder: row.holder.split(' ')[0] as string,
  ungated: row.ungated,
  singleUse: row.single_use,
  scope: row.scope,
  intendedAt: row.intended_at,
  makingUntil: row.making_until,
  expiresAt: row.expires_at,
  bounds: row.bounds,
  request: row.request_digest,
  handedBy: row.handed_by,
  endsByItself: row.ends_by_itself,
});

export const sealedLease = (sealer: Sealer, row: LeaseRow): LeaseRow => ({
  ...row,
  seal: sealRow(sealer, 'leases', row.id, deciding(row)),
});

/** What is wrong with one that may be used, or null. */
export const leaseProblem = (sealer: Sealer, row: Sealed): string | null =>
  rowSealProblem(sealer, 'leases', row.id, deciding(row), row.seal);

export interface SealingDependencies {
  storage: Pick<Storage, 'db' | 'transaction' | 'announce'>;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

export type Sealing = ReturnType<typeof createSealing>;

export function createSealing({ storage, sealer, recordChange, clock, log }: SealingDependencies) {
  /** It is used no more, and ended as what it was issued as, whatever its row says now. */
  async function endChanged(id: string): Promise<'lacked' | undefined> {
    const now = clock.now();
    const ended = await storage.transaction(async (transaction) => {
      const row = await transaction
        .selectFrom('leases')
        .selectAll()
        .where('id', '=', id)
        .where('state', 'in', ['intended', ...liveStates])
        .executeTakeFirst();
      const problem = row && leaseProblem(sealer, row);
      if (!row || !problem) return undefined;
      const lacked = await lackedKey(storage, transaction, sealer, now, row.seal);
      if (lacked !== undefined) return { lacked };
      const issued = issuedAs(row, sealer);
      const differs = Object.entries(issued ?? {}).flatMap(([column, was]) => {
        const is = row[column as keyof LeaseRow];
        return is === was ? [] : [`its ${column} was ${was}, and is made ${is}`.slice(0, MOST_CHARACTERS)];
      });
      await transaction
        .updateTable('leases')
        .set({
          ...issued,
          ...{ state: 'revoking', revoking_at: now, next_try_at: now, sealed_credential: null },
          reason: 'it was changed in the database',
        })
        .where('id', '=', id)
        .execute();
      const whose = about(issued ?? row);
      const { provider } = issued ?? row;
      await recordChange(
        transaction,
        {
          ...{ operation: 'seal.broken', by: 'gatehouse', ...whose },
          changes: [
            `lease ${id} of ${provider} was changed in the database (${problem}); nobody is given it`,
            ...differs,
          ],
        },
        {
          ...{ operation: 'lease.revoke', by: 'gatehouse', ...whose },
          changes: [`lease ${id} of ${provider} is being ended: it was changed in the database`],
        },
      );
      await storage.announce(transaction, 'lease', id, now);
      return { lease: id, provider, problem, differs };
    });
    if (ended?.lacked !== undefined) {
      const { lacked: key } = ended;
      log.warn('a credential is not used: this server does not have the key it is sealed with', { lease: id, key });
      return 'lacked';
    }
    if (ended) log.error('ALARM: a credential was changed in the database, and is ended', ended);
    return undefined;
  }

  async function isIntact(row: Sealed): Promise<boolean> {
    if (leaseProblem(sealer, row) === null) return true;
    await endChanged(row.id);
    return false;
  }

  return {
    /** Whether it is as it was left. One that is not is ended. */
    isIntact,
    /** Also those that nobody asks for: one that was given another task, or a later end, would outlive its own. */
    async look(): Promise<void> {
      let after: string | undefined;
      for (let more = true; more; await turn()) {
        const rows = await storage.db
          .selectFrom('leases')
          .select(['id', 'seal', ...DECIDING])
          // In the order of the index of what may be used, which has these words.
          .where(sql<boolean>`state in ('intended', 'created', 'active')`)
          .$if(after !== undefined, (query) => query.where('holder', '>', after ?? ''))
          .orderBy('holder')
          .limit(leaseLimits.lookedAtOnce)
          .execute();
        for (const row of rows) {
          if (leaseProblem(sealer, row) === null) continue;
          // This replica is about to stop; another one looks.
          if ((await endChanged(row.id)) === 'lacked') return;
        }
        after = rows.at(-1)?.holder ?? after;
        more = rows.length === leaseLimits.lookedAtOnce;
      }
    },
  };
}

const MOST_CHARACTERS = 300;

/** What was issued before there were seals is ended, for nobody knows whose it is; its tasks get others. INVARIANT: a row without a seal is never given one. */
export async function endLeasesOfBefore({
  storage,
  clock,
  ...house
}: Pick<SealingDependencies, 'recordChange' | 'clock' | 'log'> & { storage: Storage }): Promise<void> {
  const ending = createEnding({ storage, clock, recordChange: house.recordChange });
  await sealOnce(
    { storage, ...house },
    {
      what: 'leases',
      operation: 'lease.seal',
      async seal(transaction) {
        const rows = await transaction
          .selectFrom('leases')
          .select(['id', 'provider', 'task'])
          .where('seal', 'is', null)
          .where('state', 'in', ['intended', ...liveStates])
          .execute();
        for (const { id } of rows)
          await ending.within(transaction, { id }, 'gatehouse', 'it was issued before leases were sealed');
        return rows.map(
          ({ id, provider, task }) => `lease ${id} of ${provider} for ${task || 'nobody'} is not sealed, and ended`,
        );
      },
    },
  );
}
