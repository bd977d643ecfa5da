import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { type AgentTask, createAgent, createMcpTransport, outsideTokenCredential } from '@gatehouse/sdk';
import { createSvidSource, type SvidSource } from '@gatehouse/sdk/svid';
import { Client } from '@modelcontextprotocol/client';
import * as dpop from 'dpop';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Two workspaces, each a trust domain of its own. There, an agent of here calls tools with the SVIDs that it has from here, and with nothing
 * else.
 */
let here: Workspace;
let there: Workspace;
let source: SvidSource;
let directory: string;
const subject = 'spiffe://here.test/env/production/agent/agent-a';

const rule = (name: string, change: object = {}): ManifestInput => ({
  kind: 'TrustRule',
  name,
  issuer: { type: 'spiffe', trustDomain: 'here.test' },
  claims: { sub: subject },
  agent: 'agent-b',
  ...change,
});

async function rootsOf({ url }: Workspace): Promise<string> {
  const bundle = (await (await fetch(`${url}/.well-known/spiffe/bundle`)).json()) as {
    keys: { use: string; x5c?: string[] }[];
  };
  const roots = bundle.keys.filter(({ use }) => use === 'x509-svid').flatMap(({ x5c = [] }) => x5c);
  return roots.map((der) => new X509Certificate(Buffer.from(der, 'base64')).toString()).join('');
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-federated-'));
  here = await startWorkspace({ mutualTls: true, trustDomain: 'here.test' });
  there = await startWorkspace({ mutualTls: true, trustDomain: 'there.test', replica: 'there' });
  await here.apply(manifests());
  const { key } = await here.agent('agent-a');
  source = createSvidSource({ url: here.url, agent: 'agent-a', key });
  await there.apply([
    ...manifests(),
    {
      kind: 'TrustDomain',
      name: 'here.test',
      bundleUrl: `${here.mutualTlsUrl}/.well-known/spiffe/bundle`,
      ca: await rootsOf(here),
      allowPrivateAddress: true,
    },
    rule('agent-of-here'),
  ]);
  const isFetched = async () => {
    const { federated } = await there.operator('GET /trust-domain');
    return federated[0]?.state === 'fresh' && federated[0].jwtKeys > 0;
  };
  while (!(await isFetched())) await new Promise((resolve) => setTimeout(resolve, 250));
});
after(async () => {
  source.close();
  await here.close();
  await there.close();
  rmSync(directory, { recursive: true, force: true });
});

/** In the files that a client of mutual TLS takes, with what it knows the other side by. */
async function svidFiles() {
  const { certificates, privateKey } = await source.x509();
  const write = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return {
    cert: write(
      'svid.pem',
      certificates.map((der) => new X509Certificate(Buffer.from(der, 'base64')).toString()).join(''),
    ),
    key: write('svid.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    ca: write('bundle.pem', await rootsOf(there)),
  };
}

const start = { template: 'all', intent: 'called from another trust domain' };

async function callTool(task: AgentTask): Promise<void> {
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  try {
    const { isError } = await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
    assert.ok(!isError);
  } finally {
    await client.close();
  }
}

async function recorded(): Promise<string> {
  return JSON.stringify(await there.operator('GET /actions', { query: { agent: 'agent-b' } }));
}

/** @proves spiffe.two-servers */
test('an agent of one Gatehouse calls a tool behind another with its X.509-SVID, until the rule for it is suspended', async () => {
  const agent = await createAgent({ url: there.url, agent: 'agent-b', svid: await svidFiles() });
  const task = await agent.startTask(start);
  await callTool(task);
  assert.match(await recorded(), /shop\/get_order/);
  await there.apply([rule('agent-of-here', { state: 'suspended' })]);
  await assert.rejects(callTool(task));
  await assert.rejects(agent.startTask(start), /No trust rule lets spiffe:\/\/here\.test/);
  await there.apply([rule('agent-of-here')]);
  await callTool(await agent.startTask(start));
});

/** @proves federation.single-use */
test('the JWT-SVID that its SPIRE agent gives out twice starts two tasks, with the key of the first and no other', async () => {
  const url = `${there.url}/oauth/token`;
  const { token: assertion } = await source.jwt([there.url]);
  const present = async (keys: dpop.KeyPair | undefined) => {
    const response = await fetch(url, {
      method: 'POST',
      ...(keys && { headers: { dpop: await dpop.generateProof(keys, url, 'POST') } }),
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion,
        authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', ...start }]),
      }),
    });
    return response.status;
  };
  const [own, thief] = [await dpop.generateKeyPair('ES256'), await dpop.generateKeyPair('ES256')];
  assert.deepEqual(
    [await present(own), await present(own), await present(thief), await present(undefined), await present(own)],
    [200, 200, 400, 400, 200],
  );
  await there.apply([rule('agent-of-here', { reuse: 'once' })]);
  assert.equal(await present(own), 400, 'where the rule says once');
  await there.apply([rule('agent-of-here')]);
});

test('and with its JWT-SVID, as the SDK presents outside tokens and as client assertion', async () => {
  const credential = outsideTokenCredential(async (audience) => (await source.jwt([audience])).token);
  const agent = await createAgent({ url: there.url, agent: 'agent-b', credential });
  const task = await agent.startTask(start);
  await callTool(task);

  const keys = await dpop.generateKeyPair('ES256');
  const url = `${there.url}/oauth/token`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { dpop: await dpop.generateProof(keys, url, 'POST') },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: (await source.jwt([there.url])).token,
      authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', ...start }]),
    }),
  });
  const body = (await response.json()) as { access_token: string };
  assert.equal(response.status, 200, JSON.stringify(body));
  const mcp = `${there.url}/mcp`;
  const called = await fetch(mcp, {
    method: 'POST',
    headers: {
      authorization: `DPoP ${body.access_token}`,
      dpop: await dpop.generateProof(keys, mcp, 'POST', undefined, body.access_token),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    }),
  });
  assert.equal(called.status, 200, await called.text());
});

test('is nobody there that no rule names: neither the agent of the same name, nor another agent of its own trust domain', async () => {
  const { key } = await here.agent('agent-b');
  const other = createSvidSource({ url: here.url, agent: 'agent-b', key });
  const credential = outsideTokenCredential(async (audience) => (await other.jwt([audience])).token);
  for (const agent of ['agent-b', 'agent-a'])
    await assert.rejects(async () => {
      await (await createAgent({ url: there.url, agent, credential })).startTask(start);
    }, /No trust rule/);
  const svid = await svidFiles();
  const asItself = await createAgent({ url: there.url, agent: 'agent-a', svid });
  await assert.rejects(asItself.startTask(start), /authentication failed/i);
  other.close();
});

test('is stopped here, and so gets no more SVIDs; and stopped there, and so has no more tokens', async () => {
  const agent = await createAgent({ url: there.url, agent: 'agent-b', svid: await svidFiles() });
  const task = await agent.startTask(start);
  await here.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'test' } });
  await assert.rejects(source.jwt([there.url]), /killed/);
  await there.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'test' } });
  await assert.rejects(callTool(task));
  await assert.rejects(agent.startTask(start), /killed/);
});
