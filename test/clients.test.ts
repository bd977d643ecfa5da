import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { AgentTask } from '@gatehouse/sdk';
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Real clients, unchanged (C3): each lists, calls, waits for an approval, is refused, and is cut off by kill.
 * Inspector's CLI and mcp-remote can't do DPoP, so their agent is registered as bearer-only.
 */
const run = promisify(execFile);
const modules = join(import.meta.dirname, '..', 'node_modules');
let workspace: Workspace;
let approver: SignedInPerson;
let amount = 100;

before(async () => {
  workspace = await startWorkspace();
  const cap =
    '@reason("refunds above 900.00 are done by finance") forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > 90000 };';
  await workspace.apply(manifests({ policies: { cap } }));
  approver = await workspace.person('approver@example.test');
});
after(() => workspace.close());

interface CallResult {
  isError?: boolean | undefined;
  content?: unknown;
  structuredContent?: unknown;
}

interface PeerClient {
  list(): Promise<string[]>;
  /** Rejects when the client is cut off. */
  call(name: string, args: Record<string, unknown>): Promise<CallResult>;
  close(): Promise<void>;
}

/** A client's identity ends with it: a killed agent is activated again for the next. */
const clients: { name: string; agent: string; connect(task: AgentTask): Promise<PeerClient> }[] = [
  {
    name: 'SDK v1 (2025-11-25)',
    agent: 'agent-a',
    async connect(task) {
      const client = new ClientV1({ name: 'v1', version: '1' });
      await client.connect(new HttpV1(task.mcpUrl(), { fetch: task.fetch }));
      return fromSdk(client);
    },
  },
  ...(['2025-11-25', '2026-07-28'] as const).map((era) => ({
    name: `SDK v2 (${era})`,
    agent: 'agent-a',
    async connect(task: AgentTask) {
      const client = new ClientV2(
        { name: 'v2', version: '1' },
        { versionNegotiation: { mode: era === '2026-07-28' ? { pin: era } : 'legacy' } },
      );
      await client.connect(new HttpV2(task.mcpUrl(), { fetch: task.fetch }));
      assert.equal(client.getNegotiatedProtocolVersion(), era);
      return fromSdk(client);
    },
  })),
  {
    name: 'mcp-remote',
    agent: 'agent-bearer',
    async connect(task) {
      const client = new ClientV1({ name: 'v1', version: '1' });
      const args = [
        join(modules, 'mcp-remote/dist/proxy.js'),
        task.mcpUrl().href,
        '--allow-http',
        '--transport',
        'http-only',
        '--header',
        `Authorization:Bearer ${await task.token()}`,
      ];
      await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
      return fromSdk(client);
    },
  },
  {
    name: 'Inspector CLI',
    agent: 'agent-bearer',
    async connect(task) {
      const token = await task.token();
      const inspect = async (...args: string[]): Promise<Record<string, unknown>> => {
        const cli = join(modules, '@modelcontextprotocol/inspector/clients/launcher/build/index.js');
        const command = [
          cli,
          '--cli',
          task.mcpUrl().href,
          '--transport',
          'http',
          '--header',
          `Authorization: Bearer ${token}`,
          ...args,
        ];
        // A tool error is its exit code 5, with the result on standard output all the same.
        const { stdout } = await run(process.execPath, command, { timeout: 60_000 }).catch(
          (error: { stdout?: string }) => {
            if (error.stdout?.trim().startsWith('{')) return { stdout: error.stdout };
            throw error;
          },
        );
        const answer = JSON.parse(stdout) as Record<string, unknown>;
        if (answer.error) throw new Error(JSON.stringify(answer.error));
        return answer;
      };
      return {
        async list() {
          const { tools } = (await inspect('--method', 'tools/list')) as { tools: { name: string }[] };
          return tools.map(({ name }) => name);
        },
        call: (name, args) =>
          inspect(
            '--method',
            'tools/call',
            '--tool-name',
            name,
            ...Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]),
          ),
        close: async () => undefined,
      };
    },
  },
];

for (const { name, agent: agentName, connect } of clients) {
  test(`${name}: lists, calls, waits for an approval, is refused, and is cut off by kill`, async () => {
    const agent = await workspace.agent(agentName, { bearerOnly: agentName === 'agent-bearer' });
    const task = await agent.startTask({ template: 'all', intent: name });
    const client = await connect(task);
    try {
      const names = await client.list();
      assert.ok(names.includes('shop__get_order') && names.includes('shop__refund_order'));
      assert.ok(!names.includes('shop__drop_table'), 'what this task can never use is not listed');

      const order = await client.call('shop__get_order', { order: 1042 });
      assert.ok(!order.isError && JSON.stringify(order.content).includes('customer-z'), JSON.stringify(order));

      const refund = { order: 1042, amount_cents: amount++, currency: 'EUR', reason: name };
      const waiting = await client.call('shop__refund_order', refund);
      assert.ok(
        waiting.isError && /Waiting for approval/.test(JSON.stringify(waiting.content)),
        JSON.stringify(waiting),
      );
      const { items } = await approver.api('GET /approvals', { query: { state: 'pending', task: task.id } });
      await approver.approve(items[0]?.id ?? '');
      const refunded = await client.call('shop__refund_order', refund);
      assert.ok(!refunded.isError, JSON.stringify(refunded));

      const refused = await client.call('shop__refund_order', { ...refund, amount_cents: 90_001 });
      assert.ok(refused.isError && /done by finance/.test(JSON.stringify(refused.content)), JSON.stringify(refused));

      await workspace.operator('POST /agents/:name/kill', { params: { name: agentName }, body: {} });
      const cutOff = await client.call('shop__get_order', { order: 1042 }).then(
        (result) => Boolean(result.isError),
        () => true,
      );
      assert.ok(cutOff, 'a killed agent still got an answer');
      const { items: actions } = await workspace.operator('GET /actions', { query: { task: task.id } });
      assert.equal(
        actions.filter(({ status }) => status === 'success').length,
        2,
        'one read and one refund, and nothing after the kill',
      );
    } finally {
      await client.close().catch(() => undefined);
      await workspace.operator('POST /agents/:name/state', { params: { name: agentName }, body: { state: 'active' } });
    }
  });
}

function fromSdk(client: {
  listTools(): Promise<{ tools: { name: string }[] }>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  close(): Promise<void>;
}): PeerClient {
  return {
    list: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args) => (await client.callTool({ name, arguments: args })) as CallResult,
    close: () => client.close(),
  };
}
