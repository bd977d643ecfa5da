import { randomBytes } from 'node:crypto';
import type { ScimTokenView } from '@gatehouse/protocol';
import { type Clock, GatehouseError, newId, Secret, sha256Hex } from '../../../platform/index.ts';
import type { RecordChange, Storage } from '../../../storage/index.ts';
import { scimLimits as limits } from './limits.ts';

const DAY_MS = 24 * 3_600_000;
const USED_EVERY_MS = 60_000;

export interface ScimTokens {
  /** The token is given out here and never again; stored is its digest. */
  create(options: {
    name: string;
    expiresInDays?: number;
    by: string;
  }): Promise<{ token: Secret; view: ScimTokenView }>;
  list(): Promise<ScimTokenView[]>;
  revoke(id: string, by: string): Promise<void>;
  /** Who carries this `Authorization` header; undefined for nobody. */
  authenticate(authorization: string | undefined): Promise<ScimTokenView | undefined>;
}

/** Bearers of directories: good at `/scim/v2` and nowhere else. */
export function createScimTokens({
  storage,
  recordChange,
  clock,
}: {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
}): ScimTokens {
  return {
    async create({ name, expiresInDays, by }) {
      const token = `scim_${randomBytes(32).toString('base64url')}`;
      const now = clock.now();
      const row = {
        id: newId('tok', now),
        name,
        token_digest: sha256Hex(token),
        created_at: now,
        created_by: by,
        last_used_at: null,
        expires_at: expiresInDays === undefined ? null : now + expiresInDays * DAY_MS,
      };
      await storage.transaction(async (transaction) => {
        const all = await transaction.selectFrom('scim_tokens').select('id').execute();
        if (all.length >= limits.tokens)
          throw new GatehouseError(
            'too-many',
            'scim-token.too-many',
            `There are ${limits.tokens} tokens. Revoke one first.`,
          );
        await transaction.insertInto('scim_tokens').values(row).execute();
        await recordChange(transaction, {
          operation: 'scim-token.create',
          by,
          changes: [`token ${row.id} for the directory "${name}"`],
        });
      });
      return { token: new Secret(token), view: viewOf(row) };
    },
    async list() {
      return (await storage.db.selectFrom('scim_tokens').selectAll().orderBy('created_at').execute()).map(viewOf);
    },
    async revoke(id, by) {
      await storage.transaction(async (transaction) => {
        const gone = await transaction
          .deleteFrom('scim_tokens')
          .where('id', '=', id)
          .returning('name')
          .executeTakeFirst();
        if (!gone) throw new GatehouseError('not-found', 'scim-token.unknown', 'There is no such token.');
        await recordChange(transaction, {
          operation: 'scim-token.revoke',
          by,
          changes: [`token ${id} of the directory "${gone.name}" revoked`],
        });
      });
    },
    async authenticate(authorization) {
      const token = /^Bearer (scim_[\w-]{43})$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) return undefined;
      const now = clock.now();
      const row = await storage.db
        .selectFrom('scim_tokens')
        .selectAll()
        .where('token_digest', '=', sha256Hex(token))
        .executeTakeFirst();
      if (!row || (row.expires_at !== null && row.expires_at <= now)) return undefined;
      if (now - (row.last_used_at ?? 0) >= USED_EVERY_MS)
        await storage.transaction((transaction) =>
          transaction.updateTable('scim_tokens').set({ last_used_at: now }).where('id', '=', row.id).execute(),
        );
      return viewOf(row);
    },
  };
}

function viewOf(row: {
  id: string;
  name: string;
  created_at: number;
  created_by: string;
  last_used_at: number | null;
  expires_at: number | null;
}): ScimTokenView {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at,
    createdBy: row.created_by,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
  };
}
