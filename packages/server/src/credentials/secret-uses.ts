import type { Clock } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';

export interface SecretUse {
  lastUsedAt: number;
  /** Since when it is what it is, as whoever keeps it says; null where nobody does. */
  changedAt: number | null;
}

export type SecretUses = ReturnType<typeof createSecretUses>;

/** Of a stored secret, and of a part of a provider that is kept elsewhere. */
export const useOfSecret = (name: string): string => `secret ${name}`;
export const useOfPart = (provider: string, part: string): string => `provider ${provider} ${part}`;

/** When secrets were used last. Noted in memory, and written together now and then: no call waits for it. What is lost with a server is a minute. */
export function createSecretUses({ storage, clock }: { storage: Storage; clock: Clock }) {
  let noted = new Map<string, SecretUse>();

  return {
    note(id: string, changedAt: number | null = null): void {
      noted.set(id, { lastUsedAt: clock.now(), changedAt });
    },

    async flush(): Promise<void> {
      if (noted.size === 0) return;
      const uses = [...noted];
      noted = new Map();
      await storage.transaction(async (transaction) => {
        for (const [id, { lastUsedAt, changedAt }] of uses) {
          const row = { last_used_at: lastUsedAt, changed_at: changedAt };
          await transaction
            .insertInto('secret_uses')
            .values({ id, ...row })
            .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
            .execute();
        }
      });
    },

    /** By id, with what is not written yet. */
    async all(): Promise<ReadonlyMap<string, SecretUse>> {
      const rows = await storage.db.selectFrom('secret_uses').selectAll().execute();
      const written = rows.map(
        ({ id, last_used_at, changed_at }) => [id, { lastUsedAt: last_used_at, changedAt: changed_at }] as const,
      );
      return new Map([...written, ...noted]);
    },
  };
}
