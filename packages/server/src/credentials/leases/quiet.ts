import type { Json } from '../../platform/index.ts';
import { rowSealProblem, type Sealer, sealRow } from '../../storage/index.ts';
import type { LeaseRow } from './rows.ts';

type Left = Pick<LeaseRow, 'id' | 'state' | 'created_at' | 'next_try_at'>;

const toSeal = ({ state, created_at: made, next_try_at: nextTryAt }: Left): Json => ({
  ...{ v: 1, quiet: true, state, made: made !== null, nextTryAt },
});

/**
 * Over that nobody has to look after it: it is over, or nothing can be done about it before its next attempt. Who can write to the database says so of
 * none.
 */
export const quietSeal = (sealer: Sealer, row: Left): Uint8Array => sealRow(sealer, 'leases', row.id, toSeal(row));

export const isQuiet = (sealer: Sealer, row: Left & Pick<LeaseRow, 'seal'>): boolean =>
  rowSealProblem(sealer, 'leases', row.id, toSeal(row), row.seal) === null;
