import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { authorize } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** MCP clients that know the address of the gate and nothing else (C3): 401, metadata, registration, browser, token, call. */
let workspace: Workspace;
let owner: SignedInPerson;
const modules = join(import.meta.dirname, '..', 'node_modules');

before(async () => {
  workspace = await startWorkspace({ clients: { dynamic: true } });
  await workspace.apply([
    ...manifests(),
    { kind: 'Group', name: 'shopkeepers', members: ['owner@example.test'], allow: [{ tools: ['shop/*'] }] },
  ]);
  owner = await workspace.person('owner@example.test');
});
after(() => workspace.close());

const bearer = { choose: <T extends { agent: string }>(all: T[]) => all.find(({ agent }) => agent === 'agent-bearer') };

/** What the SDKs ask an application to keep; nothing in it is ours. */
function keeper(redirectUrl: string) {
  const kept: Record<string, unknown> = {};
  let url: URL | undefined;
  return {
    provider: {
      redirectUrl,
      clientMetadata: {
        client_name: 'SDK client',
        redirect_uris: [redirectUrl],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
      },
      clientInformation: () => kept.client as never,
      saveClientInformation: (client: unknown) => {
        kept.client = client;
      },
      tokens: () => kept.tokens as never,
      saveTokens: (tokens: unknown) => {
        kept.tokens = tokens;
      },
      redirectToAuthorization: (to: URL) => {
        url = to;
      },
      saveCodeVerifier: (verifier: string) => {
        kept.verifier = verifier;
      },
      codeVerifier: () => kept.verifier as string,
    },
    url: () => url as URL,
  };
}

const order = { name: 'shop__get_order', arguments: { order: 1042 } };

/** @proves clients.just-the-url */
for (const version of ['v1', 'v2'] as const)
  test(`the official SDK ${version} connects with nothing but the address`, async () => {
    const { provider, url } = keeper('http://127.0.0.1:9/callback');
    const address = new URL(`${workspace.url}/mcp`);
    const transport = () =>
      version === 'v1'
        ? new HttpV1(address, { authProvider: provider })
        : new HttpV2(address, { authProvider: provider });
    const client = () =>
      version === 'v1' ? new ClientV1({ name: 'v1', version: '1' }) : new ClientV2({ name: 'v2', version: '1' });
    const first = transport();
    await assert.rejects(client().connect(first as never), /Unauthorized/i);
    const back = await authorize(url(), owner, bearer);
    await first.finishAuth(version === 'v1' ? (back.searchParams.get('code') ?? '') : (back.searchParams as never));
    const connected = client();
    await connected.connect(transport() as never);
    const { tools } = await connected.listTools();
    assert.ok(tools.some(({ name }) => name === order.name));
    assert.ok(!(await connected.callTool(order)).isError);
    await connected.close();
  });

test('mcp-remote connects with nothing but the address, and its call is recorded for the person', async () => {
  const home = mkdtempSync(join(tmpdir(), 'mcp-remote-'));
  const client = new ClientV1({ name: 'through mcp-remote', version: '1' });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [
      join(modules, 'mcp-remote/dist/proxy.js'),
      `${workspace.url}/mcp`,
      String(await freeCallbackPort()),
      '--allow-http',
      '--transport',
      'http-only',
    ],
    env: { PATH: '/nowhere', HOME: home, MCP_REMOTE_CONFIG_DIR: home },
    stderr: 'pipe',
  });
  const answered = new Promise<void>((resolve, reject) => {
    let said = '';
    transport.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const url = /(http\S+\/oauth\/authorize\S+)/.exec(said)?.[1];
      if (url === undefined) return;
      transport.stderr?.removeAllListeners('data');
      authorize(url, owner, bearer)
        .then((back) => fetch(back))
        .then(() => resolve(), reject);
    });
  });
  await Promise.all([client.connect(transport, { timeout: 60_000 }), answered]);
  assert.ok(!(await client.callTool(order)).isError);
  await client.close();
  rmSync(home, { recursive: true, force: true });
  const { items } = await workspace.operator('GET /actions', { query: { tool: 'shop/get_order', limit: '1' } });
  assert.equal(items[0]?.agent, 'agent-bearer');
});

async function freeCallbackPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
