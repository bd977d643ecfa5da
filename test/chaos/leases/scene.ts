import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentClient, AgentTask, Operator } from '@gatehouse/sdk';
import { freePort } from '../../support/free-port.ts';
import { applyTo, createCaller, enrol, type McpCaller, operatorOf } from '../house.ts';
import { createReplica, type Replica } from '../replica.ts';
import type { ChaosProvider, Values } from './providers.ts';

/** A server process, tool servers that note what they are given, a provider, and an agent at work. */
export interface LeaseScene {
  replica: Replica;
  operator: Operator;
  caller: McpCaller;
  task: AgentTask;
  /** Every credential that a tool server was given with a call, by the call's id. */
  given: Map<string, Values>;
  onGiven: (() => void) | undefined;
  close(): Promise<void>;
}

export async function startLeaseScene(database: string, provider: ChaosProvider): Promise<LeaseScene> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'gatehouse-chaos-')));
  const dataDir = join(directory, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const given: LeaseScene['given'] = new Map();
  const names = Object.keys(provider.headers).map((name) => name.toLowerCase());
  const upstream = createServer(async (request, response) => {
    const message = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    const id = message.params?.arguments?.id as string | undefined;
    if (message.method === 'tools/call' && id !== undefined) {
      const values = Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
      given.set(id, values);
      scene.onGiven?.();
      if (given.size % 4 === 0) void provider.stay(values);
    }
    const result =
      message.method === 'server/discover'
        ? { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
        : message.method === 'tools/list'
          ? { tools: [{ name: 'ping', inputSchema: { type: 'object', properties: { id: { type: 'string' } } } }] }
          : { content: [{ type: 'text', text: 'pong' }] };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { resultType: 'complete', ...result } }));
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;

  const port = await freePort();
  const url = `http://localhost:${port}`;
  const replica = createReplica({
    ...{ dataDir, database, host: '127.0.0.1', port, publicUrl: url, trustDomain: 'example.test', replica: 'one' },
  });
  const caller = createCaller(url, url, 8);
  const scene: LeaseScene = {
    replica,
    operator: operatorOf(url, dataDir),
    caller,
    task: undefined as never,
    given,
    onGiven: undefined,
    async close() {
      await caller.close();
      await replica.kill();
      upstream.closeAllConnections();
      upstream.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await replica.start();
    scene.operator = operatorOf(url, dataDir);
    await scene.operator.call('PUT /secrets/:name', { params: { name: 'chaos-broker' }, body: provider.secret });
    await applyTo(scene.operator, manifests(upstreamUrl, provider));
    const agent: AgentClient = await enrol(scene.operator, 'agent-chaos', { bearerOnly: true });
    scene.task = await agent.startTask({ template: 'all', intent: 'chaos' });
    return scene;
  } catch (error) {
    await scene.close();
    throw error;
  }
}

/** One tool server whose task has one credential, and one with a credential for each call. */
function manifests(url: string, { from, headers }: ChaosProvider): ManifestInput[] {
  const server = (name: string, perCall: boolean): ManifestInput => ({
    kind: 'ToolServer',
    name,
    environments: ['chaos'],
    transport: { type: 'http', url, allowPrivateAddress: true, credential: { provider: 'chaos', headers, perCall } },
    tools: { ping: { tier: 1, effects: ['read'] } },
  });
  return [
    { kind: 'Environment', name: 'chaos' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    { kind: 'Blueprint', name: 'chaos', templates: ['all'] },
    {
      ...{ kind: 'Agent', name: 'agent-chaos', owner: 'owner@example.test', purpose: 'chaos' },
      ...{ environment: 'chaos', blueprint: 'chaos', bearerOnly: true },
    },
    { kind: 'CredentialProvider', name: 'chaos', environments: ['chaos'], from, life: { defaultSeconds: 300 } },
    server('shared', false),
    server('each', true),
    { kind: 'Template', name: 'all', allow: [{ tools: ['shared/*', 'each/*'] }] },
  ];
}
