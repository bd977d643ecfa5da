import type { ToolServerManifest } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError, type Json } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { fromObjectRow } from './objects.ts';
import type { DefinitionKind, PinnedDefinition } from './types.ts';

export type DefinitionRow = Tables['definitions'];

/** A definition as it is stored, without the reason that is worked out from the manifest. */
export type StoredDefinition = Omit<PinnedDefinition, 'reason'>;

export function fromDefinitionRow(row: DefinitionRow): StoredDefinition {
  return {
    server: row.server,
    kind: row.kind as DefinitionKind,
    name: row.name,
    state: row.state as PinnedDefinition['state'],
    approved: bodyOf(row.approved_digest, row.approved_body),
    served: bodyOf(row.served_digest, row.served_body),
    reviewedBy: row.reviewed_by,
    reviewedAt: row.reviewed_at,
    seenAt: row.seen_at,
  };
}

function toDefinitionRow(definition: StoredDefinition): DefinitionRow {
  return {
    server: definition.server,
    kind: definition.kind,
    name: definition.name,
    state: definition.state,
    approved_digest: definition.approved?.digest ?? null,
    approved_body: definition.approved && canonicalJson(definition.approved.body),
    served_digest: definition.served?.digest ?? null,
    served_body: definition.served && canonicalJson(definition.served.body),
    reviewed_by: definition.reviewedBy,
    reviewed_at: definition.reviewedAt,
    seen_at: definition.seenAt,
  };
}

function bodyOf(digest: string | null, body: string | null): { digest: string; body: Json } | null {
  return digest === null || body === null ? null : { digest, body: JSON.parse(body) as Json };
}

const ROWS_PER_INSERT = 100;

export async function writeDefinitions(
  transaction: DatabaseTransaction,
  definitions: readonly StoredDefinition[],
): Promise<void> {
  for (let at = 0; at < definitions.length; at += ROWS_PER_INSERT) {
    await transaction
      .insertInto('definitions')
      .values(definitions.slice(at, at + ROWS_PER_INSERT).map(toDefinitionRow))
      .onConflict((conflict) =>
        conflict.columns(['server', 'kind', 'name']).doUpdateSet(({ ref }) => ({
          state: ref('excluded.state'),
          approved_digest: ref('excluded.approved_digest'),
          approved_body: ref('excluded.approved_body'),
          served_digest: ref('excluded.served_digest'),
          served_body: ref('excluded.served_body'),
          reviewed_by: ref('excluded.reviewed_by'),
          reviewed_at: ref('excluded.reviewed_at'),
          seen_at: ref('excluded.seen_at'),
        })),
      )
      .execute();
  }
}

export async function readServer(
  transaction: DatabaseTransaction,
  server: string,
): Promise<{ manifest: ToolServerManifest; appliedBy: string }> {
  const row = await transaction
    .selectFrom('objects')
    .select('body')
    .where('kind', '=', 'ToolServer')
    .where('name', '=', server)
    .executeTakeFirst();
  const object = row && fromObjectRow(row);
  if (object?.manifest.kind !== 'ToolServer')
    throw new GatehouseError(
      'not-found',
      'server.unknown',
      `There is no tool server "${server}". Apply its manifest first.`,
    );
  return { manifest: object.manifest, appliedBy: object.appliedBy };
}

export async function readRows(transaction: DatabaseTransaction, server: string): Promise<StoredDefinition[]> {
  const rows: DefinitionRow[] = await transaction
    .selectFrom('definitions')
    .selectAll()
    .where('server', '=', server)
    .execute();
  return rows.map(fromDefinitionRow);
}
