import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import { type AgentClient, type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose';
import { canonicalJson } from '../packages/server/src/platform/index.ts';
import { manifests } from './support/fixtures.ts';
import {
  startVerifyingV1,
  startVerifyingV2,
  transactionsOfHowTo,
  type VerifyingServer,
} from './support/verifying-server.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Tool servers that verify who a call is for, with the very code of the how-to, on both SDKs. What they do not verify, they refuse.
 */
const USER = 'customer@example.test';
let workspace: Workspace;
let user: SignedInPerson;
let owner: SignedInPerson;
let planner: AgentClient;
let worker: AgentClient;
let task: AgentTask;
let client: Client;

let modern: VerifyingServer;
let legacy: VerifyingServer;
let plain: VerifyingServer;

const registered = (name: string, url: string, txnToken: boolean | undefined): ManifestInput => ({
  kind: 'ToolServer',
  name,
  environments: ['production'],
  transport: { type: 'http', url, allowPrivateAddress: true, ...(txnToken !== undefined && { txnToken }) },
  tools: {
    close: { tier: 1, effects: ['write'] },
    approve_me: { tier: 3, effects: ['pay'] },
    leak: { tier: 1, effects: ['read'] },
  },
  resources: { tier: 1 },
});

before(async () => {
  workspace = await startWorkspace();
  const transactions = await transactionsOfHowTo();
  modern = await startVerifyingV2('modern', workspace.url, transactions);
  legacy = await startVerifyingV1('legacy', workspace.url, transactions);
  plain = await startVerifyingV2('plain', workspace.url, transactions);
  const all = manifests().map((each) => {
    if (each.kind === 'Agent' && each.name === 'agent-a') return { ...each, delegatesTo: { agents: ['agent-b'] } };
    if (each.kind === 'Blueprint') return { ...each, templates: ['all', 'refund-order', 'brief'] };
    if (each.kind === 'Template' && each.name === 'all')
      return { ...each, allow: [{ tools: ['shop/*', 'modern/*', 'modern#resources', 'legacy/*', 'plain/*'] }] };
    return each;
  });
  await workspace.apply([
    ...all,
    registered('modern', modern.url, true),
    registered('legacy', legacy.url, true),
    registered('plain', plain.url, undefined),
    { kind: 'Template', name: 'brief', allow: [{ tools: ['modern/*'] }], ttlSeconds: 60 },
    { kind: 'Person', email: USER, displayName: 'Customer', roles: ['owner'] },
    { kind: 'Group', name: 'customers', members: [USER], allow: [{ tools: ['modern/*'] }] },
  ]);
  user = await workspace.person(USER);
  owner = await workspace.person('owner@example.test');
  planner = await workspace.agent('agent-a');
  worker = await workspace.agent('agent-b');
  task = await planner.startTask({ template: 'all', intent: 'close tickets' });
  client = await connect(task);
});
after(async () => {
  await client?.close();
  await workspace.close();
  await Promise.all([modern, legacy, plain].map((peer) => peer.close()));
});

async function connect(of: AgentTask): Promise<Client> {
  const made = new Client({ name: 't', version: '1' });
  await made.connect(createMcpTransport(of));
  return made;
}

const call = (tool: string, args: Record<string, unknown> = {}, by = client) =>
  by.callTool({ name: tool, arguments: args }).catch((error: Error) => ({ isError: true, content: error.message }));
const lastToken = ({ requests }: VerifyingServer) => requests.findLast(({ token }) => token !== null)?.token ?? '';
const said = (result: unknown) => JSON.stringify(result);
const recordsOf = async (action: string) =>
  (await workspace.operator('GET /actions/:id', { params: { id: action } })).records.map(({ record }) => record);

describe('a server that wants transaction tokens', () => {
  /** @proves txn-token.verified */
  test('gets one with each call, and its own check of it lets the call through: both eras', async () => {
    for (const [name, peer] of [
      ['modern', modern],
      ['legacy', legacy],
    ] as const) {
      const args = { ticket: 7, note: 'ü "€" \u2028' };
      const result = await call(`${name}__close`, args);
      assert.match(said(result), /done for spiffe:\/\/example.test\/env\/production\/agent\/agent-a/, said(result));
      const token = lastToken(peer);
      assert.deepEqual(Object.keys(decodeProtectedHeader(token)).sort(), ['alg', 'kid', 'typ']);
      const claims = peer.verified.at(-1) as JWTPayload & { tctx: Record<string, string>; rctx: object };
      assert.equal(claims.aud, new URL(peer.url).origin);
      assert.equal(claims.iss, workspace.url);
      assert.equal(claims.scope, `${name}/close`);
      assert.match(String(claims.req_wl), /agent-a$/);
      assert.equal(claims.act, undefined, 'the agent acts for itself');
      assert.deepEqual(claims.rctx, { task: task.id, template: 'all', environment: 'production' });
      assert.equal(claims.tctx.operation, 'tools/call');
      assert.equal(claims.tctx.arguments, `sha256-${createHash('sha256').update(canonicalJson(args)).digest('hex')}`);
      const life = (claims.exp ?? 0) - (claims.iat ?? 0);
      assert.ok(life > 0 && life <= 60, String(life));
      // Law 1: it is that action, and its dispatch stands in the record.
      const [dispatch] = await recordsOf(String(claims.txn));
      assert.deepEqual([dispatch?.kind, dispatch?.tool, dispatch?.task], ['dispatch', `${name}/close`, task.id]);
      assert.equal(claims.tctx.definition, dispatch?.tool_definition);
    }
  });

  test('gets another one for each call, and never one that outlives its task', async () => {
    const brief = await planner.startTask({ template: 'brief', intent: 'be quick' });
    const { expiresAt } = await workspace.operator('GET /tasks/:id', { params: { id: brief.id } });
    const other = await connect(brief);
    await call('modern__close', {}, other);
    await call('modern__close', {}, other);
    await other.close();
    const [first, second] = modern.verified.slice(-2) as [JWTPayload, JWTPayload];
    assert.notEqual(first.txn, second.txn);
    assert.notEqual(first.jti, second.jti);
    for (const { exp } of [first, second]) assert.ok((exp ?? 0) * 1000 <= expiresAt);
  });

  /** @proves txn-token.context */
  test('is told the person, the chain of agents, and the approval', async () => {
    const { id } = await user.api('POST /delegations', { body: { agent: 'agent-a', template: 'all' } });
    const first = await planner.startTask({ template: 'all', intent: 'help', delegation: id });
    const handed = await worker.takeOver(await first.token(), { template: 'all', intent: 'help more' });
    const other = await connect(handed);
    await call('modern__close', {}, other);
    const claims = modern.verified.at(-1) as JWTPayload & { act: { sub: string; act: { sub: string } } };
    assert.equal(claims.sub, `person:${USER}`);
    assert.match(claims.act.sub, /agent-b$/);
    assert.match(claims.act.act.sub, /agent-a$/);
    assert.match(String(claims.req_wl), /agent-b$/);
    await other.close();

    await call('modern__approve_me', { ticket: 1 });
    const [asked] = (await owner.api('GET /approvals', { query: { state: 'pending' } })).items;
    const approval = String(asked?.id);
    await owner.approve(approval);
    assert.match(said(await call('modern__approve_me', { ticket: 1 })), /done for/);
    assert.equal((modern.verified.at(-1) as { tctx?: { approval?: string } }).tctx?.approval, approval);
  });

  test('is told what is read, too', async () => {
    const { resources } = await client.listResources();
    await client.readResource({ uri: resources.find(({ name }) => name.includes('note'))?.uri ?? '' });
    const claims = decodeJwt(lastToken(modern)) as JWTPayload & { tctx: object };
    assert.equal(claims.scope, 'modern#resources');
    assert.deepEqual(
      { ...claims.tctx, definition: '' },
      {
        operation: 'resources/read',
        tool: 'modern#resources',
        definition: '',
        name: 'note://one',
      },
    );
  });

  /** @proves txn-token.only-there */
  test('gets it with actions only: no handshake, no list and no other server has one', async () => {
    await call('plain__close', {});
    const withToken = new Set(
      [...modern.requests, ...legacy.requests].filter(({ token }) => token !== null).map(({ method }) => method),
    );
    assert.deepEqual([...withToken].sort(), ['resources/read', 'tools/call']);
    for (const { method, token } of [...modern.requests, ...legacy.requests])
      if (method === 'tools/call') assert.notEqual(token, null);
    assert.ok(plain.requests.some(({ method }) => method === 'tools/call'));
    assert.ok(plain.requests.every(({ token }) => token === null));
  });

  /** @proves txn-token.verified */
  test('refuses whoever comes without one, with one for another tool or server, or with one that somebody else signed', async () => {
    await call('modern__close', {});
    const good = lastToken(modern);
    const direct = async (tool: string, token?: string) => {
      const answer = await fetch(modern.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': tool,
          ...(token !== undefined && { 'txn-token': token }),
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: {
            name: tool,
            arguments: {},
            _meta: {
              'io.modelcontextprotocol/protocolVersion': '2026-07-28',
              'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
              'io.modelcontextprotocol/clientCapabilities': {},
            },
          },
        }),
      });
      return answer.text();
    };
    const before = modern.verified.length;
    const refused = /"isError":true/;
    assert.match(await direct('close'), refused, 'none');
    assert.match(await direct('leak', good), refused, 'for another tool');
    await call('legacy__close', {});
    assert.match(await direct('close', lastToken(legacy)), refused, 'for another server');
    const [head, body, signature = ''] = good.split('.');
    assert.match(await direct('close', `${head}.${body}.${signature.slice(0, -4)}AAAA`), refused, 'another signature');
    assert.match(await direct('close', await task.token()), refused, 'an access token');
    assert.equal(modern.verified.length, before);
    assert.doesNotMatch(await direct('close', good), refused, 'the check does let good ones through');
  });

  /** @proves txn-token.only-there */
  test('that redirects takes it nowhere; moved in the manifest, the new address has one for itself', async () => {
    const elsewhere: string[] = [];
    const target = createServer((request, response) => {
      elsewhere.push(String(request.headers['txn-token']));
      response.writeHead(500).end();
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const { port } = target.address() as AddressInfo;
    let redirects = false;
    const redirecting = createServer(async (request, response) => {
      if (redirects) return response.writeHead(307, { location: `http://127.0.0.1:${port}/mcp` }).end();
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(modern.url, {
        method: 'POST',
        headers: Object.entries(request.headers)
          .filter(([name]) => !['host', 'connection', 'content-length'].includes(name))
          .map(([name, value]): [string, string] => [name, String(value)]),
        body: Buffer.concat(chunks),
      });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      await pipeline(answer.body ?? [], response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => redirecting.listen(0, '127.0.0.1', resolve));
    const moved = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}/mcp`;
    try {
      await workspace.apply([registered('modern', moved, true)]);
      const seen = modern.verified.length;
      const result = await call('modern__close', {});
      assert.equal(decodeJwt(lastToken(modern)).aud, new URL(moved).origin, said(result));
      assert.equal(modern.verified.length, seen, 'the old address takes none that is for the new one');
      redirects = true;
      assert.match(said(await call('modern__close', {})), /redirect/);
      assert.deepEqual(elsewhere, []);
    } finally {
      await workspace.apply([registered('modern', modern.url, true)]);
      target.close();
      redirecting.closeAllConnections();
      redirecting.close();
    }
  });

  test('cannot be one over stdio: the manifest is refused', () => {
    const stdio = { type: 'stdio', command: 'node', args: [], txnToken: true };
    const given = { kind: 'ToolServer', name: 'local', environments: ['production'], transport: stdio };
    assert.match(JSON.stringify(manifest.safeParse(given).error?.issues), /txnToken/);
  });

  /** @proves txn-token.kept */
  test('that shows it in an answer is cut off, and no record has it', async () => {
    const result = await call('modern__leak', {});
    const token = lastToken(modern);
    const { txn } = decodeJwt(token);
    const signature = token.split('.')[2] as string;
    assert.match(said(result), /sent back the transaction token/);
    assert.ok(!said(result).includes(signature));
    assert.ok(
      !JSON.stringify(await workspace.operator('GET /actions/:id', { params: { id: String(txn) } })).includes(
        signature,
      ),
    );
    assert.match(said(await call('modern__close', {})), /done for/, 'the next call is served');
  });

  /** @proves law-6.final */
  test('gets none after a kill', async () => {
    const agent = await workspace.agent('agent-b');
    const killed = await connect(await agent.startTask({ template: 'all', intent: 'too late' }));
    await call('modern__close', {}, killed);
    const before = lastToken(modern);
    await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'test' } });
    await call('modern__close', {}, killed);
    assert.equal(lastToken(modern), before);
    await killed.close().catch(() => undefined);
  });
});

/** @proves txn-token.no-credential */
test('at no door of ours is it a credential', async () => {
  await call('modern__close', {});
  const token = lastToken(modern);
  const agent = await workspace.agent('agent-a');
  const own = await agent.startTask({ template: 'all', intent: 'present it' });
  for (const path of [
    '/mcp',
    '/mcp/modern',
    '/task/end',
    '/svid/x509',
    '/svid/jwt',
    '/svid/bundles',
    '/scim/v2/Users',
    '/api/v1/agents',
    '/enrol',
    '/workload/tasks',
  ])
    for (const scheme of ['DPoP', 'Bearer', 'Operator']) {
      const { dpop = '' } = await own.headersFor(workspace.url + path, 'POST');
      const response = await fetch(workspace.url + path, {
        method: path.startsWith('/api') || path.startsWith('/scim') ? 'GET' : 'POST',
        headers: { authorization: `${scheme} ${token}`, dpop, 'content-type': 'application/json', 'txn-token': token },
        ...(!path.startsWith('/api') &&
          !path.startsWith('/scim') && {
            body: JSON.stringify({ token, proof: { token }, agent: 'agent-a', audience: ['a'], task: {} }),
          }),
      });
      assert.ok(
        [400, 401, 403, 404].includes(response.status),
        `${scheme} at ${path}: ${response.status} ${await response.text()}`,
      );
    }
  const post = async (form: Record<string, string>) => {
    const response = await fetch(`${workspace.url}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const forms: Record<string, string>[] = [
    {
      grant_type: 'client_credentials',
      client_assertion: token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    },
    {
      grant_type: 'client_credentials',
      client_assertion: token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    },
    { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: token },
  ];
  for (const form of forms) {
    const { status, body } = await post(form);
    assert.ok(status === 400 || status === 401, JSON.stringify(body));
    assert.equal(body.access_token, undefined);
  }
});
