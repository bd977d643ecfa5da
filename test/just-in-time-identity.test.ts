import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { createAuthority } from '../packages/server/src/identity/client-certificate/testing/authority.ts';
import { until } from './support/credential-scene.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const AUDIENCE = 'https://billing.example.test';
/** What AWS is told to take from the issuer that gives its credentials. */
const CLOUD = 'sts.amazonaws.com';

describe('what a task’s tools show of themselves', () => {
  let workspace: Workspace;
  /** Names in the certificates that a service saw. */
  const shown: string[] = [];
  /** What another service was given, and took for true. */
  const taken: { token: string; claims: JWTPayload }[] = [];
  const servers: { close(): void; closeAllConnections(): void }[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse, said: string): Promise<void> {
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    const result =
      method === 'server/discover'
        ? { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
        : method === 'tools/list'
          ? { tools: [{ name: 'who', inputSchema: { type: 'object' } }] }
          : { content: [{ type: 'text', text: said }] };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } }));
  }
  async function listen(server: ReturnType<typeof createServer>): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    return (server.address() as AddressInfo).port;
  }
  const toolServer = (name: string, url: string, credential: object): ManifestInput =>
    ({
      ...{ kind: 'ToolServer', name, environments: ['production'] },
      transport: { type: 'http', url, allowPrivateAddress: true, credential: { provider: name, ...credential } },
      tools: { who: { tier: 1, effects: ['read'] } },
    }) as ManifestInput;
  const provider = (name: string, from: object): ManifestInput =>
    ({ kind: 'CredentialProvider', name, environments: ['production'], from }) as ManifestInput;

  before(async () => {
    workspace = await startWorkspace();
    await workspace.apply([
      ...manifests(),
      provider('vault', { type: 'x509-svid' }),
      provider('billing', { type: 'signed-jwt', audience: AUDIENCE }),
      provider('cloud', { type: 'signed-jwt', audience: CLOUD }),
    ]);
    const { items } = await workspace.operator('GET /providers');
    const bundle = items.find(({ name }) => name === 'vault')?.trust ?? '';
    assert.match(bundle, /BEGIN CERTIFICATE/);

    const authority = await createAuthority('services.test');
    const { cert, key } = await authority.issue({ dns: ['localhost'] });
    const strict = createTlsServer(
      { cert, key, ca: bundle, requestCert: true, rejectUnauthorized: true },
      async (request, response) => {
        const { subjectaltname = '' } = (request.socket as TLSSocket).getPeerCertificate();
        shown.push(subjectaltname);
        await answer(request, response, subjectaltname);
      },
    );
    const jwks = createRemoteJWKSet(new URL('/signed/jwks', workspace.url));
    const billing = createServer(async (request, response) => {
      const token = (request.headers.authorization ?? '').replace('Bearer ', '');
      const verified = await jwtVerify(token, jwks, {
        ...{ audience: [AUDIENCE, CLOUD], issuer: `${workspace.url}/signed` },
      }).catch(() => undefined);
      if (verified) taken.push({ token, claims: verified.payload });
      // What is served it says to everybody.
      await answer(request, response, verified ? `taken from ${verified.payload.agent}` : 'refused');
    });
    const ports = [await listen(strict), await listen(billing)];
    await workspace.apply([
      { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*', 'vault/*', 'billing/*', 'cloud/*'] }] },
      toolServer('billing', `http://127.0.0.1:${ports[1]}/mcp`, { headers: { Authorization: 'Bearer {token}' } }),
      toolServer('cloud', `http://127.0.0.1:${ports[1]}/mcp`, { headers: { Authorization: 'Bearer {token}' } }),
      toolServer('vault', `https://localhost:${ports[0]}/mcp`, { clientCertificate: { ca: authority.root } }),
    ]);
  });
  after(async () => {
    await workspace?.close();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function begin() {
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'look something up' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const who = async (server: string) =>
      JSON.stringify(
        await client.callTool({ name: `${server}__who`, arguments: {} }).catch((error: Error) => error.message),
      );
    return { task, who };
  }
  const leaseOf = async (task: string) => (await workspace.operator('GET /leases', { query: { task } })).items[0];

  /** @proves lease.svid */
  test('a certificate of the task’s own, which ends with its lease, is on record, and is said to remain until then', async () => {
    const { task, who } = await begin();
    const name = `spiffe://example.test/env/production/agent/agent-a/task/${task.id}/credential/vault`;
    assert.match(await who('vault'), new RegExp(`URI:${name}`));
    // What the server serves is asked for nobody, by a name that is nobody's.
    const nobody = 'spiffe://example.test/env/production/gatehouse/test';
    assert.deepEqual(new Set(shown), new Set([nobody, name].map((each) => `URI:${each}`)));
    const { items } = await workspace.operator('GET /records', { query: { task: task.id } });
    const issued = items.find(({ record }) => record.operation === 'svid.issue')?.record;
    assert.equal(issued?.agent, 'agent-a');
    assert.match(String(issued?.changes), /for tools, via vault/);
    await task.end();
    await until(async () => /until it expires/.test((await leaseOf(task.id))?.problem ?? ''));
    const lease = await leaseOf(task.id);
    assert.equal(lease?.maxResidualSeconds, null);
    assert.ok((lease?.expiresAt ?? 0) <= (lease?.intendedAt ?? 0) + 900_000);
  });

  /** @proves lease.signed-jwt */
  test('a token for one audience says which agent in which task, is ended in minutes, and no door of Gatehouse takes it', async () => {
    const { task, who } = await begin();
    assert.match(await who('billing'), /taken from agent-a/);
    const { token, claims } = taken.at(-1) ?? { token: '', claims: {} };
    assert.deepEqual([claims.aud, claims.agent, claims.task], [AUDIENCE, 'agent-a', task.id]);
    assert.ok((claims.exp ?? 0) <= Date.now() / 1_000 + 300);
    for (const [path, body] of [
      ['/mcp', { jsonrpc: '2.0', id: 1, method: 'tools/list' }],
      ['/svid/jwt', { audience: [AUDIENCE] }],
      ['/api/v1/agents', undefined],
    ] as const) {
      const { status } = await fetch(workspace.url + path, {
        method: body ? 'POST' : 'GET',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        ...(body && { body: JSON.stringify(body) }),
      });
      assert.ok(status === 401 || status === 403, `${path}: ${status}`);
    }
    assert.equal(decodeJwt(token).iss, `${workspace.url}/signed`);
    const said = JSON.stringify(await workspace.operator('GET /records', { query: { task: task.id } }));
    assert.ok(!said.includes(token));
    await task.end();
  });

  /** @proves identity-token.own-issuer */
  test('a token for the audience that a cloud takes is of another issuer and key than the one that the cloud trusts', async () => {
    const { task, who } = await begin();
    assert.match(await who('cloud'), /taken from agent-a/);
    const { token, claims } = taken.at(-1) ?? { token: '', claims: {} };
    assert.equal(claims.aud, CLOUD);
    const issuer = `${workspace.url}/identity`;
    assert.notEqual(claims.iss, issuer);
    const trusted = await fetch(`${issuer}/jwks`);
    const { keys } = (await trusted.json()) as { keys: { kid: string }[] };
    assert.ok(!keys.some(({ kid }) => kid === decodeProtectedHeader(token).kid));
    await assert.rejects(jwtVerify(token, createRemoteJWKSet(new URL(`${issuer}/jwks`)), { audience: CLOUD, issuer }));
    await task.end();
  });

  test('both are tested by issuing one for nobody', async () => {
    for (const name of ['vault', 'billing']) {
      const tested = await workspace.operator('POST /providers/:name/test', { params: { name } });
      assert.deepEqual({ ok: tested.ok, problem: tested.problem }, { ok: true, problem: null });
    }
  });
});
