import type { Approval } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { toApproval } from './rows.ts';
import { votesOn } from './votes.ts';

export interface InboxFilter {
  agent?: string | undefined;
  tool?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

/** Rows looked through for one page, however few of them are for whoever asks. */
const LOOKED_THROUGH = 1_000;
const ROWS_AT_ONCE = 200;

/** What waits, the gravest first and of the same risk the oldest, as far as it is `for` somebody. */
export async function inboxOf(
  { db }: Pick<Storage, 'db'>,
  clock: Clock,
  { agent, tool, cursor, limit }: InboxFilter,
  isFor: (approval: Approval) => boolean = () => true,
): Promise<{ items: Approval[]; cursor: string | null }> {
  const items: Approval[] = [];
  let after = cursor === undefined ? undefined : placeOf(cursor);
  for (let looked = 0; looked < LOOKED_THROUGH; looked += ROWS_AT_ONCE) {
    const now = clock.now();
    let query = db.selectFrom('approvals').selectAll().where('state', '=', 'pending').where('expires_at', '>', now);
    if (agent !== undefined) query = query.where('agent', '=', agent);
    if (tool !== undefined) query = query.where('tool', '=', tool);
    const last = after;
    if (last)
      query = query.where(({ or, and, eb }) =>
        or([eb('risk', '<', last.risk), and([eb('risk', '=', last.risk), eb('id', '>', last.id)])]),
      );
    const rows = await query.orderBy('risk', 'desc').orderBy('id').limit(ROWS_AT_ONCE).execute();
    const votes = await votesOn(db, rows);
    for (const row of rows) {
      after = { risk: row.risk, id: row.id };
      const approval = toApproval(row, votes.get(row.id) ?? [], now);
      if (isFor(approval)) items.push(approval);
      if (items.length === limit) return { items, cursor: cursorOf(after) };
    }
    if (rows.length < ROWS_AT_ONCE) return { items, cursor: null };
  }
  return { items, cursor: after ? cursorOf(after) : null };
}

const cursorOf = ({ risk, id }: { risk: number; id: string }) => `${risk}.${id}`;

function placeOf(cursor: string): { risk: number; id: string } {
  const [, risk, id] = /^(\d{1,6})\.(apr_[0-9a-z]{1,60})$/.exec(cursor) ?? [];
  if (risk === undefined || id === undefined)
    throw new GatehouseError(
      'bad-request',
      'cursor.malformed',
      'The cursor is not one that this API gave out. Begin again without it.',
    );
  return { risk: Number(risk), id };
}
