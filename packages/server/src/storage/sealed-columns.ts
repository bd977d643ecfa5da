import type { Tables } from './schema/index.ts';

/**
 * Every column that holds sealed values: what `gatehouse keys rewrap` goes through. A test fails when a table has bytes that are
 * named neither here nor among what is not secret.
 */
export interface SealedColumn {
  table: keyof Tables;
  /** The primary key: one text column. */
  key: string;
  column: string;
  /** What values of version 1, which bound their data key to it, were sealed as. */
  version1Context?(row: Record<string, unknown>): string;
}

export const sealedColumns: readonly SealedColumn[] = [
  {
    table: 'signing_keys',
    key: 'kid',
    column: 'sealed_private',
    version1Context: ({ kid }) => (String(kid).startsWith('log:') ? String(kid) : `signing-key:${kid}`),
  },
  { table: 'secrets', key: 'name', column: 'sealed' },
  { table: 'upstream_grants', key: 'id', column: 'sealed' },
  { table: 'held_results', key: 'id', column: 'sealed' },
  { table: 'waiting_tasks', key: 'id', column: 'sealed' },
  { table: 'waiting_tasks', key: 'id', column: 'answer' },
  { table: 'upstream_demands', key: 'id', column: 'sealed' },
  { table: 'upstream_clients', key: 'id', column: 'sealed' },
  { table: 'upstream_connects', key: 'state_digest', column: 'sealed' },
  { table: 'approvals', key: 'id', column: 'seal' },
  { table: 'deputies', key: 'id', column: 'seal' },
  { table: 'standing_grants', key: 'id', column: 'seal' },
  { table: 'break_glass', key: 'id', column: 'seal' },
  { table: 'flow_endorsements', key: 'id', column: 'seal' },
  { table: 'flow_heads', key: 'holder', column: 'seal' },
  { table: 'deliveries', key: 'id', column: 'seal' },
  { table: 'approval_looks', key: 'id', column: 'seal' },
  { table: 'push_subscriptions', key: 'id', column: 'sealed' },
  { table: 'passkeys', key: 'id', column: 'seal' },
  { table: 'enrolled_keys', key: 'id', column: 'seal' },
  { table: 'people_sessions', key: 'id_digest', column: 'seal' },
  { table: 'signin_links', key: 'token_digest', column: 'seal' },
  { table: 'mail_links', key: 'token_digest', column: 'seal' },
  { table: 'accounts', key: 'id', column: 'sealed' },
  { table: 'leases', key: 'id', column: 'sealed_credential' },
  { table: 'leases', key: 'id', column: 'sealed_revocation' },
  { table: 'leases', key: 'id', column: 'seal' },
  { table: 'leases', key: 'id', column: 'drop_seal' },
  { table: 'holds', key: 'id', column: 'end_seal' },
  { table: 'holds', key: 'id', column: 'ended_seal' },
  { table: 'erasures', key: 'id', column: 'seal' },
  { table: 'erasures', key: 'id', column: 'agreed_seal' },
  { table: 'lease_books', key: 'id', column: 'seal' },
  { table: 'provider_sign_ins', key: 'state_digest', column: 'sealed_verifier' },
];

/** `table.column` of bytes that are no secret: hashes, salts of what stands beside them, public keys. */
export const openBytes: readonly string[] = ['records.leaf_hash', 'bodies.salt', 'tiles.hashes', 'passkeys.public_key'];
