import { createHmac } from 'node:crypto';
import {
  type Clock,
  canonicalJson,
  digestJson,
  GatehouseError,
  type Json,
  newId,
  Secret,
} from '../../platform/index.ts';
import type { DatabaseTransaction, Sealer, Storage, Tables } from '../../storage/index.ts';
import { resultLimits } from './limits.ts';
import type { Size } from './size.ts';

type Row = Tables['held_results'];

/** What is known of a result that waits; never what it says. */
export interface Kept {
  id: string;
  approval: string | null;
  agent: string;
  task: string;
  actionId: string;
  tool: string;
  reason: string;
  /** Of the RFC 8785 form of the result, with a key of the replicas: part of what a release is given for, and nothing to guess it by. */
  digest: string;
  bytes: number;
  items: number;
  labels: string[];
  createdAt: number;
  expiresAt: number;
}

export interface NewHeld {
  /** What makes the call this one. */
  call: Json;
  agent: string;
  task: string;
  actionId: string;
  tool: string;
  reason: string;
  size: Size;
  labels: string[];
  body: Json;
}

export type HeldResults = ReturnType<typeof createHeldResults>;

const sealedAs = (id: string) => `held-result:${id}`;
const shown = [
  'id',
  'approval',
  'agent',
  'task',
  'action_id',
  'tool',
  'reason',
  'digest',
  'bytes',
  'items',
  'labels',
  'created_at',
  'expires_at',
] as const;

/** Results that a person has to release: sealed while they wait, and deleted as soon as nobody may release them any more. */
export function createHeldResults(of: { storage: Storage; sealer: Sealer; key: Uint8Array; clock: Clock }) {
  const { storage, sealer, clock } = of;
  /** Who has the database has the key to none of what waits in it. */
  const keyed = (value: Json) => createHmac('sha256', of.key).update(canonicalJson(value)).digest('hex');
  const digestOf = (body: Json) => `hmac-sha256-${keyed(body)}`;
  return {
    /** Throws `result.too-many-held` when the agent has as many as it may. */
    async keep({ size, call, actionId, labels, body, ...more }: NewHeld): Promise<Kept> {
      const now = clock.now();
      const id = newId('hld', now);
      const sealed = sealer.seal(new Secret(JSON.stringify(body)), sealedAs(id));
      const row: Row = {
        id,
        call_digest: keyed(call),
        approval: null,
        action_id: actionId,
        ...more,
        digest: digestOf(body),
        ...size,
        labels: JSON.stringify(labels),
        sealed,
        created_at: now,
        expires_at: now + resultLimits.heldSeconds * 1_000,
      };
      await storage.transaction(async (transaction) => {
        const others = await transaction
          .selectFrom('held_results')
          .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum<number | null>('bytes').as('bytes')])
          .where('agent', '=', row.agent)
          .where('expires_at', '>', now)
          .executeTakeFirst();
        const bytes = Number(others?.bytes ?? 0) + row.bytes;
        if (Number(others?.count ?? 0) >= resultLimits.heldPerAgent || bytes > resultLimits.heldBytesPerAgent)
          throw new GatehouseError(
            'too-many',
            'result.too-many-held',
            `${row.agent} has as many results that wait for a person as it may have. Wait until some are released or discarded.`,
          );
        await transaction.insertInto('held_results').values(row).execute();
      });
      return toKept(row);
    },

    /** The newest that a call left. */
    async find(call: Json): Promise<Kept | undefined> {
      const row = await storage.db
        .selectFrom('held_results')
        .select(shown)
        // What was held before there was a key has a digest without one.
        .where('call_digest', 'in', [keyed(call), digestJson(call)])
        .where('expires_at', '>', clock.now())
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && toKept(row);
    },

    async get(id: string): Promise<Kept | undefined> {
      const row = await storage.db.selectFrom('held_results').select(shown).where('id', '=', id).executeTakeFirst();
      return row && row.expires_at > clock.now() ? toKept(row) : undefined;
    },

    async list({ agent, before, limit }: { agent?: string; before?: string; limit: number }): Promise<Kept[]> {
      let query = storage.db.selectFrom('held_results').select(shown).where('expires_at', '>', clock.now());
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (before !== undefined) query = query.where('id', '<', before);
      const rows = await query.orderBy('id', 'desc').limit(limit).execute();
      return rows.map(toKept);
    },

    /** It lives as long as the question whether it is released. */
    async askedBy(id: string, approval: { id: string; expiresAt: number }): Promise<void> {
      await storage.transaction(async (transaction) => {
        await transaction
          .updateTable('held_results')
          .set({ approval: approval.id, expires_at: approval.expiresAt })
          .where('id', '=', id)
          .execute();
      });
    },

    /** Undefined: it is not there any more. Throws `result.changed` when it is not what was held. */
    async open({ id, digest }: Pick<Kept, 'id' | 'digest'>): Promise<Json | undefined> {
      const row = await storage.db.selectFrom('held_results').select('sealed').where('id', '=', id).executeTakeFirst();
      if (!row) return undefined;
      const body = JSON.parse(sealer.open(row.sealed, sealedAs(id)).reveal()) as Json;
      if (digestOf(body) !== digest && digestJson(body) !== digest)
        throw new GatehouseError('internal', 'result.changed', 'The held result was changed in the database.');
      return body;
    },

    async remove(id: string): Promise<void> {
      await storage.transaction(async (transaction) => {
        await transaction.deleteFrom('held_results').where('id', '=', id).execute();
      });
    },

    /** Part of the transaction in which an approval ends without having been used. */
    async forget(transaction: DatabaseTransaction, approval: string): Promise<void> {
      await transaction.deleteFrom('held_results').where('approval', '=', approval).execute();
    },

    /** Called by a timer. */
    async sweep(): Promise<void> {
      await storage.transaction(async (transaction) => {
        await transaction.deleteFrom('held_results').where('expires_at', '<=', clock.now()).execute();
      });
    },
  };
}

function toKept(row: Pick<Row, (typeof shown)[number]>): Kept {
  const { id, approval, agent, task, tool, reason, digest, bytes, items } = row;
  return {
    id,
    approval,
    agent,
    task,
    actionId: row.action_id,
    tool,
    reason,
    digest,
    bytes,
    items,
    labels: JSON.parse(row.labels) as string[],
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
