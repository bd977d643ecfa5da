import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type ActionRecord, type ManifestInput, manifest } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from '../test/support/fixtures.ts';
import { replayOf } from '../test/support/replay-lines.ts';
import { startWorkspace, type Workspace } from '../test/support/workspace.ts';
import { type Measure, median, quantile, table } from './measure.ts';

export const measure: Measure = {
  heading: 'Replay',
  options: { actions: '1000000', tasks: '900', policies: '100' },
  async run({ actions, tasks, policies }) {
    const workspace = await startWorkspace();
    try {
      // On a busy machine a change can take longer than it is given.
      const apply = () => workspace.apply(manifests({ policies: written(Number(policies)) }));
      await apply().catch(apply).catch(apply);
      const wrote = await generate(workspace, Number(actions), Number(tasks));
      const quiet = await whileWorking(workspace, new Promise((resolve) => setTimeout(resolve, 5_000)));
      const rows: { what: string; seconds: number; cpuSeconds: number; perSecond: number; differs: number }[] = [];
      let busy: number[] = [];
      for (const [what, change] of Object.entries(changes)) {
        const token = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
        const from = performance.now();
        const worked = process.cpuUsage();
        const asked = replayOf(
          workspace.url,
          { authorization: `Operator ${token}` },
          { manifests: change.map((each) => manifest.parse(each)) },
        );
        const answered = await whileWorking(workspace, asked);
        if (change.length > 0) busy = answered;
        const { result } = await asked;
        const seconds = (performance.now() - from) / 1_000;
        const { user, system } = process.cpuUsage(worked);
        const cpuSeconds = (user + system) / 1e6;
        if (result.replayed < Number(actions)) throw new Error(`${result.replayed} of ${actions} were decided again`);
        if (result.decidedOtherwise.count > 0) throw new Error('what was recorded is not what the same set decides');
        const differs = result.stops.count + result.runs.count + result.waits.count;
        rows.push({ what, seconds, cpuSeconds, perSecond: Math.round(result.replayed / seconds), differs });
      }
      const latency = (all: number[]) => [
        median(all).toFixed(1),
        quantile(
          [...all].sort((a, b) => a - b),
          0.99,
        ).toFixed(1),
      ];
      return {
        rows: { rows, quiet: latency(quiet), busy: latency(busy) },
        how: `${actions} recorded calls of ${tasks} tasks on four tools, each with its outcome and its arguments, on SQLite (${wrote.megabytes} MB), written beside a real
server from records that its gate had written; ${policies} written policies. Asked over HTTP, from the request to the result. Each call is decided twice, as now
and with the change; where nothing is changed, once, and compared with what was recorded: no difference. Meanwhile one client asks the server for its status,
one request after the other; CPU time is that of the whole server with it, which other work on the machine changes little.`,
        tables: `${table(
          ['what', 'seconds', 'CPU seconds', 'decisions per second', 'differ'],
          rows.map(({ what, seconds, cpuSeconds, perSecond, differs }) => [
            what,
            seconds.toFixed(1),
            cpuSeconds.toFixed(1),
            perSecond,
            differs,
          ]),
        )}\n\n${table(
          ['status requests', 'p50 ms', 'p99 ms'],
          [
            ['nothing else', ...latency(quiet)],
            ['during a replay', ...latency(busy)],
          ],
        )}`,
      };
    } finally {
      await workspace.close();
    }
  },
};

const changes: Record<string, ManifestInput[]> = {
  'no change': [],
  'a policy is added': [
    {
      kind: 'Policy',
      name: 'added',
      cedar:
        '@id("large") forbid (principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > 4500 };',
    },
  ],
};

const written = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `policy-${at}`,
      `forbid (principal, action == Gatehouse::Action::"shop/${at % 2 ? 'refund_order' : 'get_order'}", resource) when { context.arguments.order == ${900_000 + at} };`,
    ]),
  );

const calls: [string, (at: number) => Record<string, unknown>][] = [
  ['get_order', (at) => ({ order: 1_000 + (at % 500) })],
  ['list_orders', (at) => ({ customer: `customer-${at % 300}` })],
  [
    'post_message',
    (at) => ({ channel: 'support', text: `Order ${at} is on its way, and will be there on ${at % 28} March.` }),
  ],
  ['refund_order', (at) => ({ order: 1_000 + (at % 500), amount_cents: at % 5_000, currency: 'EUR' })],
];

/** Copies of records that the gate has written, with other tasks, arguments and times. */
async function generate(workspace: Workspace, actions: number, tasks: number) {
  const { tasks: items } = await workspace.operator('POST /tasks', {
    body: {
      tasks: Array.from({ length: tasks }, () => ({
        agent: 'agent-a',
        template: 'all',
        intent: 'look after the orders of the day',
      })),
    },
  });
  const agent = await workspace.agent('agent-a');
  const client = new Client({ name: 'bench', version: '1' });
  await client.connect(
    createMcpTransport(await agent.startTask({ template: 'all', intent: 'look after the orders of the day' })),
  );
  const kinds: { tool: string; args: (at: number) => Record<string, unknown>; records: ActionRecord[] }[] = [];
  for (const [tool, args] of calls) {
    await client.callTool({ name: `shop__${tool}`, arguments: args(42) });
    const { items: found } = await workspace.operator('GET /records', { query: { tool: `shop/${tool}`, limit: '10' } });
    kinds.push({
      tool,
      args,
      records: found
        .map(({ record }) => record)
        .filter(({ kind }) => kind !== 'change')
        .reverse(),
    });
  }
  await client.close();
  await workspace.server.close();
  const file = join(workspace.dataDir, 'gatehouse.db');
  const database = new DatabaseSync(file);
  database.exec('pragma synchronous = off');
  const record = database.prepare(
    `insert into records (log, sequence, leaf_hash, kind, action_id, at, operation, agent, task, person, tool, resource,
       effect, result, approval, ticket, entry) values ('generated', ?, ?, ?, ?, ?, ?, ?, ?, null, ?, ?, ?, ?, null, null, ?)`,
  );
  const body = database.prepare(
    "insert into bodies (action_id, kind, salt, body, created_at) values (?, 'arguments', ?, ?, ?)",
  );
  const now = Date.now();
  const hash = randomBytes(32);
  let sequence = 0;
  for (let at = 0; at < actions; ) {
    database.exec('begin');
    for (const end = Math.min(actions, at + 20_000); at < end; at++) {
      const { tool, args, records } = kinds[at % kinds.length] as (typeof kinds)[number];
      const time = now - 29 * 24 * 3_600_000 + Math.floor((at / actions) * 28 * 24 * 3_600_000);
      const action = `act_${at.toString(36).padStart(12, '0')}`;
      const task = items[at % items.length]?.id ?? '';
      for (const each of records) {
        const entry = JSON.stringify({ ...each, action_id: action, task, time: new Date(time).toISOString() });
        const { kind, operation, decision, result, resource } = each;
        record.run(
          sequence++,
          hash,
          kind,
          action,
          time,
          operation,
          'agent-a',
          task,
          `shop/${tool}`,
          resource,
          decision?.effect ?? null,
          result,
          entry,
        );
      }
      body.run(action, randomBytes(16), JSON.stringify(args(at)), time);
    }
    database.exec('commit');
  }
  database.exec('pragma wal_checkpoint(truncate)');
  const { bytes } = database
    .prepare('select page_count * page_size as bytes from pragma_page_count, pragma_page_size')
    .get() as { bytes: number };
  database.close();
  await workspace.restart();
  return { megabytes: Math.round(bytes / 1e6) };
}

/** Milliseconds of one request after the other, until the work is done. */
async function whileWorking(workspace: Workspace, work: Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  let isDone = false;
  work.then(
    () => (isDone = true),
    () => (isDone = true),
  );
  while (!isDone) {
    const from = performance.now();
    await workspace.operator('GET /status');
    took.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return took;
}
