import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { startWorkspace } from '../test/support/workspace.ts';

/**
 * The official suite can't send credentials, so a shim stands in front of the gate that adds a task's token and a fresh proof to
 * each request and passes everything else on as it is: Host, Origin, bodies and streams.
 */
export async function startGateBefore(upstreamUrl: string): Promise<{ url: string; close(): Promise<void> }> {
  const workspace = await startWorkspace({ streamRestMs: 60 });
  await workspace.apply(await manifestsFor(upstreamUrl));
  const agent = await workspace.agent('agent-suite');
  const task = await agent.startTask({ template: 'suite', intent: 'run the conformance suite' });
  const shim = await startShim(task, workspace.url, 'fixture');
  return {
    url: shim.url,
    async close() {
      await shim.close();
      await workspace.close();
    },
  };
}

async function manifestsFor(url: string): Promise<ManifestInput[]> {
  const client = new Client(
    { name: 'conformance', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' }, capabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const { tools } = await client.listTools();
  await client.close();
  return [
    { kind: 'Environment', name: 'suite' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    { kind: 'Blueprint', name: 'suite', templates: ['suite'] },
    {
      kind: 'Agent',
      name: 'agent-suite',
      owner: 'owner@example.test',
      purpose: 'conformance',
      environment: 'suite',
      blueprint: 'suite',
    },
    {
      kind: 'ToolServer',
      name: 'fixture',
      environments: ['suite'],
      transport: { type: 'http', url, allowPrivateAddress: true },
      tools: Object.fromEntries(tools.map(({ name }) => [name, { tier: 1 as const, effects: ['read' as const] }])),
      resources: { tier: 1 },
      prompts: { tier: 1 },
      clientRequests: { sampling: true, elicitation: true, urlElicitation: true, roots: true },
    },
    { kind: 'Template', name: 'suite', allow: [{ tools: ['fixture/*', 'fixture#resources', 'fixture#prompts'] }] },
  ];
}

async function startShim(
  task: AgentTask,
  gateUrl: string,
  server: string,
): Promise<{ url: string; close(): Promise<void> }> {
  const gate = new URL(gateUrl);
  const target = `${gateUrl}/mcp/${server}`;
  const shim = createServer(async (incoming, outgoing) => {
    const credentials = await task.headersFor(target, incoming.method ?? 'POST');
    const host = incoming.headers.host?.replace(/:\d+$/, `:${gate.port}`);
    const headers = { ...incoming.headers, ...(host && { host }), ...credentials };
    const origin = incoming.headers.origin?.replace(/:\d+$/, `:${gate.port}`);
    const forwarded = httpRequest(
      {
        host: '127.0.0.1',
        port: gate.port,
        method: incoming.method,
        path: `/mcp/${server}`,
        headers: { ...headers, ...(origin && { origin }) },
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
        answer.on('error', () => outgoing.destroy());
      },
    );
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => shim.listen(0, '127.0.0.1', resolve));
  const { port } = shim.address() as AddressInfo;
  return {
    url: `http://localhost:${port}/mcp`,
    close: () =>
      new Promise((resolve) => {
        shim.close(() => resolve());
        shim.closeAllConnections();
      }),
  };
}
