import { canonicalJson, type Json } from '../platform/index.ts';
import type { Tables } from '../storage/index.ts';
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

export function toDefinitionRow(definition: StoredDefinition): DefinitionRow {
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
