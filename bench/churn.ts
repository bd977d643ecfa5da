import type { AgentManifest, ManifestInput } from '@gatehouse/protocol';
import { BULK_ENTRIES } from '@gatehouse/protocol';
import { startWorkspace, type Workspace } from '../test/support/workspace.ts';
import { type Measure, median, table } from './measure.ts';
import { runLoad, startTarget, usageOf } from './processes.ts';

export const measure: Measure = {
  heading: 'P8: agents that come and go',
  options: { requests: '10', agents: '100000', seconds: '3', rounds: '3' },
  async run({ requests, agents, seconds, rounds }) {
    const churn = await benchChurn(Number(requests));
    const sizes = [100, Number(agents)];
    const crowds = await benchCrowds(sizes, { seconds: Number(seconds), rounds: Number(rounds) });
    return {
      rows: { churn, crowds },
      how: `Through the API in requests of ${BULK_ENTRIES}, one at a time; a record for each agent and each task; SQLite (fsync), client and server in one process. Medians of
${requests} requests. Below, a gate of its own for each number of agents, in turn; the calls are of one agent, with a bearer token, 8 at once.`,
      tables: [
        table(
          ['what', 'per second', 'per second of CPU'],
          churn.map((row) => [row.what, Math.round(row.perSecond), Math.round(row.perCpuSecond)]),
        ),
        table(
          ['agents', 'enrolled/s', 'gated calls/s', 'CPU ms a call', 'kill ms', 'page of agents ms', 'memory MB'],
          crowds.map((row) => [
            row.agents.toLocaleString('en'),
            Math.round(row.enrolledPerSecond),
            Math.round(row.callsPerSecond),
            row.cpuMsPerCall.toFixed(2),
            row.killMs.toFixed(1),
            row.pageMs.toFixed(1),
            Math.round(row.residentBytes / 1024 / 1024),
          ]),
        ),
      ].join('\n\n'),
    };
  },
};

interface ChurnRow {
  what: string;
  /** Median of the requests. */
  perSecond: number;
  /** Of all threads, client and server; other work on the machine does not change it much. */
  perCpuSecond: number;
}

interface CrowdRow {
  agents: number;
  enrolledPerSecond: number;
  callsPerSecond: number;
  /** Of the gate's process. */
  cpuMsPerCall: number;
  killMs: number;
  pageMs: number;
  residentBytes: number;
}

const OWNER = 'owner@example.test';
const CALLERS = 8;

async function benchChurn(requests: number): Promise<ChurnRow[]> {
  const workspace = await startWorkspace();
  try {
    await workspace.apply(ground);
    const times: Record<string, { wall: number; cpu: number }[]> = {};
    const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      const [from, cpuFrom] = [performance.now(), process.cpuUsage()];
      const result = await work();
      const { user, system } = process.cpuUsage(cpuFrom);
      const time = { wall: (performance.now() - from) / 1e3, cpu: (user + system) / 1e6 };
      times[what] = [...(times[what] ?? []), time];
      return result;
    };
    for (let request = 0; request < requests; request++) {
      const agents = agentsOf(request, BULK_ENTRIES);
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
    return Object.entries(times).map(([what, all]) => ({
      what,
      perSecond: BULK_ENTRIES / median(all.map(({ wall }) => wall)),
      perCpuSecond: BULK_ENTRIES / median(all.map(({ cpu }) => cpu)),
    }));
  } finally {
    await workspace.close();
  }
}

async function benchCrowds(sizes: number[], { seconds, rounds }: { seconds: number; rounds: number }) {
  const upstream = await startTarget('echo-http');
  const gates = [];
  try {
    for (const size of sizes) {
      process.stderr.write(`enrolling ${size} agents …\n`);
      const gate = await startTarget('gate', ['http', upstream.line, '20', String(size)]);
      gates.push({
        size,
        gate,
        told: JSON.parse(gate.line) as Told,
        results: [] as Omit<CrowdRow, 'agents' | 'enrolledPerSecond'>[],
      });
    }
    for (let round = 0; round < rounds; round++)
      for (const { gate, told, results } of round % 2 === 0 ? gates : gates.toReversed()) {
        const before = usageOf(gate.child);
        const calls = await runLoad({
          url: told.url,
          era: '2026-07-28',
          headers: { authorization: `Bearer ${told.bearer}` },
          concurrency: CALLERS,
          seconds,
        });
        if (calls.firstError) throw new Error(calls.firstError);
        const { cpuMs, residentBytes } = usageOf(gate.child);
        const { killMs, pageMs } = await new Promise<{ killMs: number[]; pageMs: number[] }>((resolve) => {
          gate.child.once('message', (message) => resolve(message as never));
          gate.child.send({ kills: 10 });
        });
        results.push({
          callsPerSecond: calls.perSecond,
          cpuMsPerCall: (cpuMs - before.cpuMs) / calls.answered,
          killMs: median(killMs),
          pageMs: median(pageMs),
          residentBytes,
        });
      }
    return gates.map(({ size, told, results }): CrowdRow => {
      const of = (member: keyof (typeof results)[number]) => median(results.map((each) => each[member]));
      return {
        agents: size,
        enrolledPerSecond: told.enrolledPerSecond,
        callsPerSecond: of('callsPerSecond'),
        cpuMsPerCall: of('cpuMsPerCall'),
        killMs: of('killMs'),
        pageMs: of('pageMs'),
        residentBytes: of('residentBytes'),
      };
    });
  } finally {
    for (const { gate } of gates) await gate.stop();
    await upstream.stop();
  }
}

interface Told {
  url: string;
  bearer: string;
  enrolledPerSecond: number;
}

/** Many agents beside those that work, enrolled like any. Gives how many a second. */
export async function enrolCrowd(workspace: Workspace, count: number): Promise<number> {
  await workspace.apply(ground);
  const from = performance.now();
  for (let done = 0; done < count; done += BULK_ENTRIES) {
    const agents = agentsOf(done, Math.min(BULK_ENTRIES, count - done));
    await workspace.operator('POST /agents', { body: { agents } });
  }
  return count / ((performance.now() - from) / 1_000);
}

const ground: ManifestInput[] = [
  { kind: 'Environment', name: 'churn' },
  { kind: 'Person', email: OWNER, displayName: 'Owner', roles: ['admin'] },
  { kind: 'Blueprint', name: 'churn', templates: ['churn'] },
  { kind: 'Template', name: 'churn' },
];

function agentsOf(series: number, count: number): (Partial<AgentManifest> & { name: string })[] {
  return Array.from({ length: count }, (_, at) => ({
    kind: 'Agent',
    name: `agent-churn-${series}-${at}`,
    owner: OWNER,
    purpose: 'bench',
    environment: 'churn',
    blueprint: 'churn',
  }));
}
