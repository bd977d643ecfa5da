import { verifyLog } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import type { Journal } from './journal.ts';
import type { StoredReader } from './stored.ts';

/** Compares what the upstreams saw and the callers know with what is recorded. */
export interface Audit {
  /**
   * To be called when the server has started again and no call is under way. Gives what is wrong, in words; nothing is right.
   * `openAllowed`: dispatches without outcome may be there, because the server was stopped and not started since.
   */
  check(seen: string[], options?: { openAllowed: boolean }): Promise<string[]>;
  /** Verifies each whole log with the public key and every checkpoint that was ever handed out, without the server. */
  verify(logs: { id: string; vkey: string }[], checkpoints: string[]): Promise<string[]>;
  /** Dispatches that were closed as unknown by a start, by action. */
  readonly unknownAfterRestart: ReadonlySet<string>;
  readonly records: number;
}

interface ActionState {
  id: string | undefined;
  tool: string | null;
  dispatches: number;
  outcomes: (string | null)[];
  approval: string | null;
}

const AFTER_RESTART = 'The gate stopped before the outcome was known';

export function createAudit(stored: StoredReader, journal: Journal): Audit {
  const actions = new Map<string, ActionState>();
  const dispatchesOf = new Map<string, Set<string>>();
  const unknownAfterRestart = new Set<string>();
  const next = new Map<string, number>();
  let count = 0;

  async function readOn(): Promise<string[]> {
    const wrong: string[] = [];
    for (const log of await stored.logs()) {
      const from = next.get(log) ?? 0;
      const records = await stored.records(log, from);
      for (const [at, record] of records.entries()) {
        if (record.sequence !== from + at) {
          wrong.push(`${log} has record ${record.sequence} where ${from + at} is due`);
          break;
        }
        const state = stateOf(record.action);
        state.tool ??= record.tool;
        if (record.kind === 'dispatch') {
          state.dispatches++;
          state.approval = record.approval;
        } else if (record.kind === 'outcome') {
          state.outcomes.push(record.result);
          if (record.result === 'unknown' && record.entry.includes(AFTER_RESTART))
            unknownAfterRestart.add(record.action);
        }
      }
      for (const { action, body } of await stored.arguments(log, from)) {
        const { id } = JSON.parse(body) as { id?: string };
        if (id === undefined) continue;
        stateOf(action).id = id;
      }
      next.set(log, from + records.length);
      count += records.length;
    }
    for (const [action, { id, dispatches }] of actions) {
      if (id !== undefined && dispatches > 0) dispatchesOf.set(id, (dispatchesOf.get(id) ?? new Set()).add(action));
    }
    return wrong;
  }

  function stateOf(action: string): ActionState {
    const known = actions.get(action);
    if (known) return known;
    const state: ActionState = { id: undefined, tool: null, dispatches: 0, outcomes: [], approval: null };
    actions.set(action, state);
    return state;
  }

  return {
    unknownAfterRestart,
    get records() {
      return count;
    },
    async check(seenInOrder, { openAllowed } = { openAllowed: false }) {
      const wrong = await readOn();
      const seen = new Set<string>();
      for (const id of seenInOrder) {
        if (seen.has(id)) wrong.push(`the upstream saw ${id} twice`);
        seen.add(id);
        if (!dispatchesOf.has(id)) wrong.push(`the upstream saw ${id}, and there is no dispatch record of it`);
      }
      for (const id of journal.ran) if (!seen.has(id)) wrong.push(`${id} was answered, and never reached the upstream`);

      const approvals = new Map((await stored.approvals()).map((row) => [row.id, row]));
      const usedBy = new Map<string, string>();
      for (const [action, { id, tool, dispatches, outcomes, approval }] of actions) {
        if (dispatches === 0) continue;
        const name = `${id} (${action})`;
        if (dispatches > 1) wrong.push(`${name} was dispatched ${dispatches} times`);
        if (outcomes.length > 1) wrong.push(`${name} has ${outcomes.length} outcomes: ${outcomes}`);
        if (outcomes.length === 0 && !openAllowed) wrong.push(`${name} has neither an outcome nor shows as unknown`);
        const [outcome] = outcomes;
        if (id !== undefined && outcome === 'success' && !seen.has(id))
          wrong.push(`${name} is recorded as a success, and the upstream never saw it`);
        if (id !== undefined && outcome === 'failure' && seen.has(id))
          wrong.push(`${name} is recorded as failed, and the upstream saw it`);
        if (!tool?.endsWith('/pay')) continue;
        const row = approval === null ? undefined : approvals.get(approval);
        if (row?.state !== 'consumed' || row.consumedBy !== action)
          wrong.push(`${name} ran on the approval ${approval}, which is ${row?.state}, of ${row?.consumedBy}`);
        const other = approval === null ? undefined : usedBy.get(approval);
        if (other !== undefined) wrong.push(`the approval ${approval} was used by ${other} and by ${action}`);
        usedBy.set(approval ?? '', action);
        if (id !== undefined && !journal.payments.get(id)?.asked)
          wrong.push(`${name} was dispatched, and nobody approved it`);
      }
      for (const [id, { approval, acknowledged }] of journal.payments) {
        const state = approvals.get(approval)?.state;
        if (acknowledged && state !== 'approved' && state !== 'consumed')
          wrong.push(`the approval ${approval} of ${id} was given, and is ${state}`);
      }
      return wrong;
    },

    async verify(logs, checkpoints) {
      const wrong: string[] = [];
      for (const { id, vkey } of logs) {
        const records = await stored.records(id, 0);
        const report = await verifyLog({
          vkey,
          entries: records.map(({ entry }) => Buffer.from(entry)),
          checkpoints: checkpoints.filter((note) => note.startsWith(`${id}\n`)),
          sha256: nodeSha256,
        });
        if (!report.ok) wrong.push(`${id} does not verify: ${report.fault.kind}: ${report.fault.detail}`);
      }
      return wrong;
    },
  };
}
