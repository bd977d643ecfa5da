import { agentManifest, policyManifest, type Task, templateManifest, toolServerManifest } from '@gatehouse/protocol';
import { digestJson, type JsonObject } from '../../platform/index.ts';
import {
  type Agent,
  labelsOf,
  type RegisteredServer,
  type RegisteredTool,
  type Snapshot,
} from '../../registry/index.ts';

/** A small workspace in memory, for tests of rooms that take a snapshot. */
export function shopWorkspace(
  policies: Record<string, string> = {},
): Snapshot & { agent: Agent; task: Task; tool(name: string): RegisteredTool } {
  const manifest = toolServerManifest.parse({
    kind: 'ToolServer',
    name: 'shop',
    environments: ['production'],
    transport: { type: 'stdio', command: 'node' },
    tools: {},
  });
  const string = { type: 'string' };
  const integer = { type: 'integer' };
  const tools = new Map<string, RegisteredTool>();
  const add = (
    name: string,
    tier: RegisteredTool['tier'],
    effects: RegisteredTool['effects'],
    properties: JsonObject,
    required = Object.keys(properties),
  ) => {
    manifest.tools[name] = { tier, effects };
    const definition: JsonObject = { name, inputSchema: { type: 'object', properties, required } };
    tools.set(name, {
      ref: `shop/${name}`,
      server: 'shop',
      name,
      tier,
      effects,
      resourceArgument: 'order' in properties ? 'order' : null,
      state: 'approved',
      digest: digestJson(definition),
      labels: labelsOf(manifest.tools[name]),
      definition,
    });
  };
  add('get_order', 1, ['read'], { order: integer });
  add('list_orders', 1, ['read'], { customer: string });
  add('post_message', 2, ['send'], { channel: string, text: string });
  add('refund_order', 3, ['pay'], { order: integer, amount_cents: integer, currency: string });
  add('drop_table', 4, ['delete'], { table: string });
  const server: RegisteredServer = { name: 'shop', manifest, tools, definitions: [] };
  const template = templateManifest.parse({
    kind: 'Template',
    name: 'refund-order',
    parameters: { order: { type: 'integer' }, customer: { type: 'string' } },
    allow: [
      { tools: ['shop/get_order', 'shop/refund_order'], when: { order: '$order' } },
      { tools: ['shop/list_orders'], when: { customer: '$customer' } },
      { tools: ['shop/post_message'], when: { channel: 'support' } },
      { tools: ['shop/drop_table'] },
    ],
  });
  const agent: Agent = {
    manifest: agentManifest.parse({
      kind: 'Agent',
      name: 'agent-support-refunds-prod',
      owner: 'owner@example.test',
      purpose: 'refunds',
      environment: 'production',
      blueprint: 'support',
    }),
    name: 'agent-support-refunds-prod',
    spiffeId: 'spiffe://example.test/env/production/agent/agent-support-refunds-prod',
    state: 'active',
    epoch: 1,
    killedAt: null,
  };
  const task: Task = {
    id: 'tsk_1',
    agent: agent.name,
    environment: 'production',
    template: 'refund-order',
    parameters: { order: 1042, customer: 'customer-z' },
    intent: 'refund order 1042',
    onBehalfOf: null,
    requestedBy: null,
    ticket: null,
    changeRequest: null,
    modelProvider: null,
    model: null,
    user: null,
    delegation: null,
    parent: null,
    actors: [],
    narrowing: null,
    vouchedBy: null,
    state: 'active',
    startedAt: 0,
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
  return {
    agents: new Map([[agent.name, agent]]),
    blueprints: new Map(),
    budgets: new Map(),
    onCall: new Map(),
    approvalRules: new Map(),
    environments: new Map(),
    trustRules: new Map(),
    workloads: new Map(),
    people: new Map(),
    groups: new Map(),
    trustDomains: new Map(),
    directory: new Map(),
    roleMappings: new Map(),
    calendars: new Map(),
    ticketSystems: new Map(),
    channels: new Map(),
    credentialProviders: new Map(),
    detectors: new Map(),
    sinks: new Map(),
    retention: new Map(),
    agentMappings: new Map(),
    identityProviders: new Map(),
    resourceServers: new Map(),
    controlPolicies: new Map(),
    servers: new Map([['shop', server]]),
    templates: new Map([['refund-order', template]]),
    clients: new Map(),
    policies: new Map(
      Object.entries(policies).map(([name, cedar]) => [name, policyManifest.parse({ kind: 'Policy', name, cedar })]),
    ),
    revokedTokens: new Map(),
    fences: new Map(),
    agent,
    task,
    tool(name) {
      const tool = tools.get(name);
      if (!tool) throw new Error(`no tool ${name}`);
      return tool;
    },
  };
}
