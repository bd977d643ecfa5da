import {
  type Erasure,
  erasureStatement,
  holdEndStatement,
  type KeepingScope,
  type LegalHold,
} from '@gatehouse/protocol';
import type { Json } from '../../platform/index.ts';
import { rowSealProblem, type Sealer, sealRow, type Tables } from '../../storage/index.ts';

type ErasureRow = Tables['erasures'];
type HoldRow = Tables['holds'];

export function toErasure(row: ErasureRow): Erasure {
  return {
    id: row.id,
    scope: JSON.parse(row.scope) as KeepingScope,
    reason: row.reason,
    state: row.state as Erasure['state'],
    askedBy: row.asked_by,
    askedAt: row.asked_at,
    agreedBy: row.agreed_by,
    erased: row.erased,
    held: row.held,
    endedAt: row.ended_at,
  };
}

export function toHold(row: HoldRow): LegalHold {
  return {
    id: row.id,
    scope: JSON.parse(row.scope) as KeepingScope,
    reason: row.reason,
    placedBy: row.placed_by,
    placedAt: row.placed_at,
    endAskedBy: row.end_asked_by,
    endedBy: row.ended_by,
    endedAt: row.ended_at,
  };
}

const agreedTo = (row: ErasureRow) =>
  ({
    v: 1,
    statement: erasureStatement(toErasure(row)),
    agreedBy: row.agreed_by,
    bounds: row.bounds,
  }) as unknown as Json;

const endAgreedTo = (row: HoldRow) =>
  ({ v: 1, statement: holdEndStatement(toHold(row)), endedBy: row.ended_by, endedAt: row.ended_at }) as unknown as Json;

/** Over what two people agreed to, and how far it goes: nothing is erased by what stands in the row alone. */
export const sealAgreed = (sealer: Sealer, row: ErasureRow): Uint8Array =>
  sealRow(sealer, 'erasures', row.id, agreedTo(row));

/** Why this is not what two people agreed to, or null. */
export function agreedProblem(sealer: Sealer, row: ErasureRow): string | null {
  try {
    return rowSealProblem(sealer, 'erasures', row.id, agreedTo(row), row.agreed_seal);
  } catch {
    return 'it can’t be read';
  }
}

export const sealEnded = (sealer: Sealer, row: HoldRow): Uint8Array =>
  sealRow(sealer, 'holds', row.id, endAgreedTo(row));

/** Whether two people have ended it: one whose row alone says so still holds. */
export const hasEnded = (sealer: Sealer, row: HoldRow): boolean =>
  row.ended_at !== null && rowSealProblem(sealer, 'holds', row.id, endAgreedTo(row), row.ended_seal) === null;
