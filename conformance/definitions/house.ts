import type { DefinitionView, ManifestInput } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import { startWorkspace, type Workspace } from '../../test/support/workspace.ts';
import { fittingArguments } from './malformed.ts';
import { type RealServer, readReal, realServers } from './real.ts';
import { type Json, type Named, type Served, type Serving, startServing } from './serving.ts';

interface StandIn {
  /** As it was approved. */
  served: Served;
  serving: Serving;
}

/** Real servers' definitions behind a running gate, approved as they are, and one agent that may use all of it. */
export interface House {
  workspace: Workspace;
  real: ReadonlyMap<RealServer, StandIn>;
  of(server: RealServer): StandIn;
  /** Definitions of real servers that were not approved at first sight. */
  notTaken: DefinitionView[];
  /** What the gate makes of what the server serves now. */
  look(server: string): Promise<DefinitionView[]>;
  /** What the agent sees of the server: of each list its entries, and the instructions. */
  seen(server: string): Promise<Record<keyof Served, unknown>>;
  seenTools(server: string): Promise<Named[]>;
  /** `args`: as they go over the wire. */
  call(server: string, tool: string, args: string): Promise<{ refused: boolean; text: string }>;
  /** With arguments that fit. */
  callTool(server: string, tool: Named): Promise<{ refused: boolean; text: string }>;
  close(): Promise<void>;
}

type ToolServerInput = Extract<ManifestInput, { kind: 'ToolServer' }>;
const setting: NonNullable<ToolServerInput['tools']>[string] = {
  tier: 1,
  effects: ['read'],
  returns: { trust: 'trusted' },
};

export const serverManifest = (name: string, url: string, tools: readonly string[]): ManifestInput => ({
  kind: 'ToolServer',
  name,
  environments: ['production'],
  transport: { type: 'http', url, allowPrivateAddress: true },
  stateless: true,
  tools: Object.fromEntries(tools.map((tool) => [tool, setting])),
  resources: { tier: 1 },
  prompts: { tier: 1 },
});

export async function startHouse(): Promise<House> {
  const workspace = await startWorkspace();
  const real = new Map<RealServer, StandIn>();
  for (const name of realServers) {
    const served = await readReal(name);
    real.set(name, { served, serving: await startServing(served) });
  }
  const breaker = { refusals: 'off', grave: 'off', burst: 'off', tasks: 'off' } as const;
  await workspace.apply([
    { kind: 'Environment', name: 'production', breaker },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    ...[...real].map(([name, { served, serving }]) =>
      serverManifest(
        name,
        serving.url,
        served.tools.map((tool) => tool.name),
      ),
    ),
    {
      kind: 'Template',
      name: 'all',
      allow: [{ tools: realServers.flatMap((name) => [`${name}/*`, `${name}#resources`, `${name}#prompts`]) }],
    },
    { kind: 'Blueprint', name: 'reader', templates: ['all'] },
    {
      kind: 'Agent',
      name: 'agent-reader',
      owner: 'owner@example.test',
      purpose: 'definitions',
      environment: 'production',
      blueprint: 'reader',
    },
  ]);
  const { items } = await workspace.operator('GET /definitions');
  const agent = await workspace.agent('agent-reader');
  const task = await agent.startTask({ template: 'all', intent: 'definitions' });
  const rpc = createRpc(task);

  const list = async <Entry>(server: string, method: string, member: string): Promise<Entry[]> => {
    const entries: Entry[] = [];
    for (let cursor: unknown; ; ) {
      const { result } = await rpc(server, method, cursor === undefined ? '{}' : JSON.stringify({ cursor }));
      entries.push(...((result?.[member] ?? []) as Entry[]));
      cursor = result?.nextCursor;
      if (cursor === undefined) return entries;
    }
  };
  const call: House['call'] = async (server, tool, args) => {
    const { result, text } = await rpc(
      server,
      'tools/call',
      `{"name":${JSON.stringify(tool)},"arguments":${args}}`,
      tool,
    );
    return { refused: result === undefined || result.isError === true, text };
  };
  return {
    workspace,
    real,
    of: (server) => real.get(server) as StandIn,
    notTaken: items.filter(({ state }) => state !== 'approved'),
    async look(server) {
      await workspace.operator('POST /servers/:name/refresh', { params: { name: server } });
      return (await workspace.operator('GET /definitions', { query: { server } })).items;
    },
    seenTools: (server) => list(server, 'tools/list', 'tools'),
    async seen(server) {
      return {
        instructions: (await rpc(server, 'server/discover', '{}')).result?.instructions,
        tools: await list(server, 'tools/list', 'tools'),
        prompts: await list(server, 'prompts/list', 'prompts'),
        resources: await list(server, 'resources/list', 'resources'),
        resourceTemplates: await list(server, 'resources/templates/list', 'resourceTemplates'),
      };
    },
    call,
    callTool: (server, tool) => call(server, tool.name, JSON.stringify(fittingArguments(tool))),
    async close() {
      for (const { serving } of real.values()) await serving.close();
      await workspace.close();
    },
  };
}

const meta =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"definitions","version":"1"}}';

/** One request of MCP 2026-07-28, whose parameters are text: what no client library would send has to be sent, too. */
function createRpc(task: AgentTask) {
  let id = 0;
  return async (server: string, method: string, params: string, name?: string) => {
    const inner = params.slice(1, -1);
    const body = `{"jsonrpc":"2.0","id":${++id},"method":"${method}","params":{${inner}${inner === '' ? '' : ','}${meta}}}`;
    const response = await task.fetch(task.mcpUrl(server), {
      method: 'POST',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(name !== undefined && { 'mcp-name': headerOf(name) }),
      },
      body,
    });
    const text = await response.text();
    return { ...messageOf(text), text };
  };
}

function messageOf(text: string): { result?: Json; error?: unknown } {
  const json = /^data: (\{.*"(result|error)".*\})$/m.exec(text)?.[1] ?? text;
  try {
    return JSON.parse(json) as { result?: Json };
  } catch {
    return { error: text };
  }
}

/** 2026-07-28: what a header cannot carry as it is goes in base64. */
const headerOf = (name: string) =>
  /^[\x21-\x7e]+$/.test(name) ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`;
