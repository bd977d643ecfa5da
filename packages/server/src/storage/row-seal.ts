import type { SecondYesAct } from '@gatehouse/protocol';
import { digestJson, type Json, Secret } from '../platform/index.ts';
import type { Sealer } from './sealer.ts';

type SealedTable =
  | 'approvals'
  | 'deputies'
  | 'standing_grants'
  | 'break_glass'
  | 'flow_endorsements'
  | 'flow_heads'
  | 'deliveries'
  | 'approval_looks'
  | 'passkeys'
  | 'enrolled_keys'
  | 'people_sessions'
  | 'signin_links'
  | 'mail_links'
  | 'leases'
  | 'lease_books'
  | 'erasures'
  | 'holds'
  // What one person asks for and another agrees to, by its act.
  | SecondYesAct;

const contextOf = (table: SealedTable, key: string) => `row:${table}:${key}`;

/**
 * A seal over everything in a row that lets something run. Only replicas hold the key: who can write to the database makes no such row, changes
 * none, and moves no seal to another one.
 */
export function sealRow(sealer: Sealer, table: SealedTable, key: string, deciding: Json): Uint8Array {
  return sealer.seal(new Secret(digestJson(deciding)), contextOf(table, key));
}

/** Says what is wrong with the seal of a row, or null. */
export function rowSealProblem(
  sealer: Sealer,
  table: SealedTable,
  key: string,
  deciding: Json,
  seal: Uint8Array | null,
): string | null {
  if (seal === null) return 'it has no seal';
  try {
    const sealed = sealer.open(seal, contextOf(table, key));
    return sealed.equals(digestJson(deciding)) ? null : 'it was changed since it was sealed';
  } catch {
    return 'its seal does not open';
  }
}
