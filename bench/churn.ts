import type { AgentManifest, ManifestInput } from '@gatehouse/protocol';
import { BULK_ENTRIES } from '@gatehouse/protocol';
import { startWorkspace, type Workspace } from '../test/support/workspace.ts';
import { median } from './call.ts';

/** P8: agents enrolled and retired, tasks started and ended, through the API in requests of 1,000, one request at a time. */
export interface ChurnRow {
  what: string;
  /** Per second, median of the requests. */
  perSecond: number;
  requests: number;
}

const OWNER = 'owner@example.test';

export async function benchChurn(requests: number): Promise<ChurnRow[]> {
  const workspace = await startWorkspace();
  try {
    await workspace.apply(ground);
    const rates: Record<string, number[]> = {};
    const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      const from = performance.now();
      const result = await work();
      rates[what] = [...(rates[what] ?? []), BULK_ENTRIES / ((performance.now() - from) / 1_000)];
      return result;
    };
    for (let request = 0; request < requests; request++) {
      const agents = agentsOf(request);
      const names = agents.map(({ name }) => name);
      await timed('agents enrolled', () => workspace.operator('POST /agents', { body: { agents } }));
      const { tasks } = await timed('tasks started', () =>
        workspace.operator('POST /tasks', {
          body: { tasks: names.map((agent) => ({ agent, template: 'churn', intent: 'churn', parameters: {} })) },
        }),
      );
      await timed('tasks ended', () =>
        workspace.operator('POST /tasks/end', { body: { ids: tasks.map(({ id }) => id) } }),
      );
      await timed('agents retired', () =>
        workspace.operator('POST /agents/state', { body: { names, state: 'retired' } }),
      );
    }
    return Object.entries(rates).map(([what, all]) => ({ what, perSecond: median(all), requests: all.length }));
  } finally {
    await workspace.close();
  }
}

/** A workspace with many agents beside those that work: `count` of them, enrolled like any. */
export async function enrolCrowd(
  workspace: Workspace,
  count: number,
  onProgress: (done: number) => void,
): Promise<void> {
  await workspace.apply(ground);
  for (let done = 0; done < count; done += BULK_ENTRIES) {
    await workspace.operator('POST /agents', { body: { agents: agentsOf(done) } });
    onProgress(done + BULK_ENTRIES);
  }
}

const ground: ManifestInput[] = [
  { kind: 'Environment', name: 'churn' },
  { kind: 'Person', email: OWNER, displayName: 'Owner', roles: ['admin'] },
  { kind: 'Blueprint', name: 'churn', templates: ['churn'] },
  { kind: 'Template', name: 'churn' },
];

function agentsOf(series: number): (Partial<AgentManifest> & { name: string })[] {
  return Array.from({ length: BULK_ENTRIES }, (_, at) => ({
    kind: 'Agent',
    name: `agent-churn-${series}-${at}`,
    owner: OWNER,
    purpose: 'bench',
    environment: 'churn',
    blueprint: 'churn',
  }));
}
