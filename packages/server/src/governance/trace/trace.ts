import type { SequencedRecord, Task, TaskTrace, TracedTask, TraceStep, TraceStepKind } from '@gatehouse/protocol';
import type { Approvals } from '../../approvals/index.ts';
import { type Ledger, summarise } from '../../ledger/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { traceLimits as limits } from './limits.ts';

export interface TraceDependencies {
  storage: Pick<Storage, 'db'>;
  registry: Pick<Registry, 'task'>;
  ledger: Pick<Ledger, 'search'>;
  approvals: Pick<Approvals, 'get'>;
}

const PAGE = 200;
/** A kill and the end of its tasks are one transaction, whose times are taken one after the other. */
const KILL_WITHIN_MS = 10_000;

const lastOf = (spiffeId: string) => spiffeId.split('/').at(-1) ?? '';

/**
 * One chain from who asked to the end: start, credentials, each call with its decision, approval and outcome, changes by people, teardown;
 * and the same of every task that was handed on. Made of the record alone, so that each step names where it stands there.
 * Errors: `task.unknown`.
 */
export async function traceTask(deps: TraceDependencies, id: string): Promise<TaskTrace> {
  const { storage, registry, ledger, approvals } = deps;
  const task = await registry.task(id);
  if (!task) throw new GatehouseError('not-found', 'task.unknown', `There is no task "${id}".`);
  let [tasks, steps, records, isCut] = [0, 0, limits.records, false];

  async function read(taskId: string): Promise<{ found: SequencedRecord[]; more: boolean }> {
    const found: SequencedRecord[] = [];
    let left = Math.min(limits.recordsOfTask, records);
    for (let cursor: string | undefined; left > 0; ) {
      const page = await ledger.search({ task: taskId, limit: Math.min(PAGE, left), ...(cursor && { cursor }) });
      found.push(...page.records);
      left -= page.records.length;
      records -= page.records.length;
      if (page.cursor === null) return { found: found.reverse(), more: false };
      cursor = page.cursor;
    }
    return { found: found.reverse(), more: true };
  }

  /** A kill is one record of the agent that it stopped, not one of each task. */
  async function killOf({ agent, actors }: Task, endedAt: number): Promise<SequencedRecord[]> {
    const agents = [agent, ...actors.filter(({ profile }) => profile === 'ai_agent').map(({ sub }) => lastOf(sub))];
    for (const name of agents) {
      const times = { from: endedAt - KILL_WITHIN_MS, to: endedAt + KILL_WITHIN_MS };
      const { records } = await ledger.search({ agent: name, operation: 'agent.kill', ...times, limit: 1 });
      if (records.length > 0) return records;
    }
    return [];
  }

  async function trace(of: Task): Promise<TracedTask> {
    tasks++;
    const { found, more } = await read(of.id);
    const row = await storage.db.selectFrom('tasks').select('ended_at').where('id', '=', of.id).executeTakeFirst();
    if (of.state === 'killed' && row?.ended_at) found.push(...(await killOf(of, row.ended_at)));
    const byAction = Map.groupBy(found, ({ record }) => record.action_id);
    const traced = await Promise.all([...byAction.values()].map((each) => stepOf(each, approvals)));
    traced.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    steps += traced.length;
    const handedOn = await storage.db
      .selectFrom('tasks')
      .select('id')
      .where('parent', '=', of.id)
      .orderBy('started_at')
      .orderBy('id')
      .limit(limits.tasks + 1)
      .execute();
    const children: TracedTask[] = [];
    for (const child of handedOn) {
      if (tasks >= limits.tasks || records <= 0) {
        isCut = true;
        break;
      }
      const childTask = await registry.task(child.id);
      if (childTask) children.push(await trace(childTask));
    }
    return { task: of, endedAt: row?.ended_at ?? null, steps: traced, more, children };
  }

  const above: TaskTrace['above'] = [];
  for (let parent = task.parent; parent !== null; ) {
    const found: Task | undefined = await registry.task(parent);
    if (!found) break;
    const { agent, intent, startedAt, user } = found;
    above.unshift({ id: found.id, agent, intent, startedAt, user });
    parent = found.parent;
  }
  const root = await trace(task);
  return { above, root, tasks, steps, more: isCut };
}

async function stepOf(records: SequencedRecord[], approvals: Pick<Approvals, 'get'>): Promise<TraceStep> {
  const summary = summarise(records);
  const all = records.map(({ record }) => record);
  const first = all[0] as (typeof all)[number];
  const last = all.at(-1) as typeof first;
  const main = all.find(({ kind }) => kind !== 'change') ?? first;
  const approval = summary.approval === null ? undefined : await approvals.get(summary.approval);
  const credentials = new Map(
    all.flatMap((record) => record.credentials.map((each) => [`${each.provider} ${each.lease}`, each] as const)),
  );
  return {
    kind: kindOf(main.kind, main.operation),
    actionId: summary.actionId,
    operation: summary.operation,
    time: first.time,
    durationMs: Math.max(0, Date.parse(last.time) - Date.parse(first.time)),
    by: main.kind === 'change' ? (main.actor_chain[0]?.sub ?? null) : main.agent,
    status: summary.status,
    tool: summary.tool,
    resource: summary.resource,
    decision: summary.decision,
    approval: approval
      ? {
          id: approval.id,
          state: approval.state,
          decidedBy: approval.decidedBy,
          waitedMs: approval.decidedAt === null ? null : approval.decidedAt - approval.createdAt,
          votes: approval.votes.map(({ person, answer, at, channel, reason }) => ({
            ...{ person, answer, at, reason },
            ...(channel !== undefined && { channel }),
          })),
        }
      : null,
    credentials: [...credentials.values()],
    labels: [...new Set(all.flatMap(({ labels }) => labels))],
    changes: [...new Set(all.flatMap(({ changes }) => changes))],
    detail: summary.detail,
    places: records.map(({ log, sequence, record }) => ({ log, sequence, kind: record.kind, time: record.time })),
  };
}

function kindOf(kind: string, operation: string): TraceStepKind {
  if (kind !== 'change') return 'call';
  if (operation === 'task.start') return 'start';
  if (operation === 'task.end' || operation === 'agent.kill') return 'end';
  if (/^(token|svid|secret|lease|join-token)\./.test(operation)) return 'credential';
  return operation.startsWith('approval.') ? 'approval' : 'change';
}
