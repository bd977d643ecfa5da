import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ToolDefinitions } from '@gatehouse/protocol';
import { createUpstreams, type Upstreams } from '../../packages/server/src/gate/upstream/index.ts';
import { createLog, systemClock } from '../../packages/server/src/platform/index.ts';
import { compilePolicies, type PolicySet, unknownSituation } from '../../packages/server/src/policy/index.ts';
import { loadManifests, type ServedDefinition } from '../../packages/server/src/registry/index.ts';
import { openWorkspace, type Workspace } from '../../packages/server/src/registry/testing/workspace.ts';

const by = 'person:owner@example.test';
const manifests = loadManifests(import.meta.dirname);
const servers = manifests.filter((manifest) => manifest.kind === 'ToolServer');

describe('the quick-start workspace, on its real servers', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'quickstart-'));
  const served = new Map<string, ServedDefinition[]>();
  let upstreams: Upstreams;
  let workspace: Workspace;

  before(async () => {
    const log = createLog('error');
    upstreams = createUpstreams({ dataDir, log, clock: systemClock, isProduction: () => false });
    for (const server of servers) served.set(server.name, await upstreams.describe(server));
    workspace = await openWorkspace({ validate: compilePolicies });
    await workspace.registry.apply(manifests, { prune: false, by, served });
  });
  after(async () => {
    await workspace[Symbol.asyncDispose]();
    await upstreams.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('an operator has given every served tool a tier, and nothing waits for review', async () => {
    assert.deepEqual(await workspace.registry.listDefinitions({ state: 'held' }), []);
    for (const { name, tools } of workspace.registry.snapshot().servers.values()) {
      const approved = [...tools.values()].filter(({ state }) => state === 'approved');
      assert.equal(approved.length, served.get(name)?.filter(({ kind }) => kind === 'tool').length, name);
    }
  });

  test('servers serve the same the second time, so that nothing is held by accident', async () => {
    for (const server of servers) {
      const again = await upstreams.describe(server);
      assert.deepEqual(await workspace.registry.observeDefinitions(server.name, again, 'gatehouse'), [], server.name);
    }
  });

  test('what the file of definitions says the tools take and give is what is served', () => {
    const file = JSON.parse(readFileSync(join(import.meta.dirname, 'definitions.json'), 'utf8')) as ToolDefinitions;
    const now = Object.fromEntries(
      [...workspace.registry.snapshot().servers.values()].map(({ name, tools }) => [
        name,
        Object.fromEntries(
          [...tools.values()].flatMap((tool) => {
            if (!tool.definition) return [];
            const { inputSchema, outputSchema } = tool.definition as Record<string, unknown>;
            return [
              [tool.name, { digest: tool.digest, inputSchema, ...(outputSchema !== undefined && { outputSchema }) }],
            ];
          }),
        ),
      ]),
    );
    assert.deepEqual(
      file.servers,
      now,
      'write it again: gatehouse definitions pull -o examples/quickstart/definitions.json',
    );
  });

  test('a second apply changes nothing', async () => {
    const changes = await workspace.registry.apply(manifests, { prune: true, by, served });
    assert.ok(changes.every(({ operation }) => operation === 'unchanged'));
  });

  describe('its policies', () => {
    let policies: PolicySet;
    before(() => {
      policies = compilePolicies(workspace.registry.snapshot());
    });

    async function decide(agentName: string, template: string, parameters: object, ref: string, args: object) {
      const snapshot = workspace.registry.snapshot();
      const agent = snapshot.agents.get(agentName);
      const [server = '', name = ''] = ref.split('/');
      const tool = snapshot.servers.get(server)?.tools.get(name);
      assert.ok(agent && tool, ref);
      const task = await workspace.registry.startTask(agentName, {
        type: 'urn:gatehouse:task',
        template,
        parameters: { ...parameters },
        intent: 'try the quick start',
      });
      const decision = policies.decide({
        agent,
        task,
        tool,
        arguments: { ...args },
        situation: unknownSituation(task.startedAt),
      });
      return `${decision.effect} ${decision.code}`;
    }

    const support = (ref: string, args: object) =>
      decide('agent-support-refunds-prod', 'refund-order', { order: 1042, customer: 'customer-z' }, ref, args);
    const refund = (amount_cents: number, order = 1042) =>
      support('shop/refund_order', { order, amount_cents, currency: 'EUR', reason: 'two dead keys' });

    test('a refund task reads its own order and customer, and no other', async () => {
      assert.match(await support('shop/get_order', { order: 1042 }), /^allow/);
      assert.match(await support('shop/get_order', { order: 1043 }), /^deny/);
      assert.match(await support('shop/list_orders', { customer: 'customer-a' }), /^deny/);
    });

    test('a refund waits for a person; above the cap, or of another order, it is refused', async () => {
      assert.match(await refund(4_000), /^needs-approval/);
      assert.equal(await refund(50_001), 'deny policy.forbidden');
      assert.match(await refund(4_000, 1043), /^deny/);
    });

    test('no task of support exports customers or drops a table', async () => {
      assert.match(await support('shop/export_customers', { destination: 'https://evil.example/upload' }), /^deny/);
      assert.match(await support('shop/drop_table', { table: 'orders' }), /^deny/);
    });

    test('operations may ask to export to the warehouse, and to write to finance; nowhere else', async () => {
      const operations = (ref: string, args: object) =>
        decide('agent-operations-runner-prod', 'operations-report', {}, ref, args);
      const post = (channel: string) => operations('shop/post_message', { channel, text: 'Weekly report' });
      const sendTo = (destination: string) => operations('shop/export_customers', { destination });
      assert.match(await sendTo('warehouse.example.test'), /^needs-approval/);
      assert.equal(await sendTo('evil.example'), 'deny policy.forbidden');
      assert.match(await post('operations'), /^allow/);
      assert.match(await post('finance'), /^needs-approval/);
      assert.match(await post('support'), /^deny/);
    });

    test('a review writes nothing, and a fix that could make a file disappear waits for a person', async () => {
      const coding = (template: string, parameters: object, tool: string, args: object) =>
        decide('agent-coding-copilot-staging', template, parameters, `filesystem/${tool}`, args);
      const edit = { path: 'files/src/cart.js', edits: [] };
      assert.match(await coding('code-review', {}, 'read_text_file', { path: 'files/src/cart.js' }), /^allow/);
      assert.match(await coding('code-review', {}, 'edit_file', edit), /^deny/);
      assert.match(await coding('autofix', { ticket: 'T-1' }, 'edit_file', edit), /^allow/);
      const write = { path: 'files/src/cart.js', content: '' };
      assert.match(await coding('autofix', { ticket: 'T-1' }, 'write_file', write), /^needs-approval/);
    });
  });
});
