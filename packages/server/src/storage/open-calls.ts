/**
 * Calls of which it is not known yet what came of them. Pure: both databases load rows and ask here whether a call does again what another
 * may have done, in the transaction that writes the dispatch.
 */

/** A call that may change something, as its dispatch leaves it. */
export interface OpenCall {
  actionId: string;
  /** Keyed digest of what it does: the same for whoever repeats it. */
  call: string;
  /** Keyed digest of the value by which its tool knows a repetition. */
  key: string | null;
  agent: string;
  task: string;
  environment: string;
  tool: string;
  at: number;
  /** The earlier call that it may repeat, although nobody knows whether that ran. */
  repeats: string | null;
}

/** `unknown`: nobody knows what came of it, and it stays until a person says; null: that is known. */
export interface CallEnd {
  actionId: string;
  unknown: { at: number; detail: string } | null;
}

export interface OpenCallRow {
  action_id: string;
  call_digest: string;
  key_digest: string | null;
  log: string;
  agent: string;
  task: string;
  environment: string;
  tool: string;
  sent_at: number;
  /** Null while it runs, as far as its replica has said. */
  unknown_at: number | null;
  detail: string | null;
  /** What a person has said of it; it stays for its task, in which the same call is a repetition. */
  resolution: string | null;
  resolved_by: string | null;
  resolved_at: number | null;
  note: string | null;
}

export type Twin = Pick<
  OpenCallRow,
  'action_id' | 'key_digest' | 'task' | 'sent_at' | 'unknown_at' | 'detail' | 'resolution' | 'resolved_by' | 'note'
>;

/**
 * What stands in the way of a call, of those that do the same: one that another replica has not ended (it may have died), else the newest of
 * which nobody knows whether it ran. What runs on this replica is known to run, and is another call.
 */
export function twinOf(
  rows: readonly OpenCallRow[],
  log: string,
  { task, repeats }: Pick<OpenCall, 'task' | 'repeats'>,
): Twin | undefined {
  const elsewhere = rows.find((row) => row.unknown_at === null && row.log !== log);
  if (elsewhere) return elsewhere;
  let newest: OpenCallRow | undefined;
  for (const row of rows) {
    if (row.unknown_at === null || (row.resolution !== null && row.task !== task)) continue;
    if (!newest || row.action_id > newest.action_id) newest = row;
  }
  return newest?.action_id === repeats ? undefined : newest;
}
