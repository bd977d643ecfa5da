import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { type FakeGitHub, startFakeGitHub } from './fakes/github.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Law 3 with GitHub: a tool server calls its API with a token that is the task's own, and that can do what was asked for and nothing else. */
describe('tools that call GitHub', () => {
  let github: FakeGitHub;
  let workspace: Workspace;
  /** A tool server of its own over HTTP, which calls GitHub with the token that it is sent, and tells it to whoever asks. */
  const server = createServer(async (request, response) => {
    const { id, method, params } = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    const authorization = request.headers.authorization ?? '';
    const inputSchema = { type: 'object', properties: { repo: { type: 'string' } } };
    const call = async () => {
      const { name, arguments: args } = params;
      const path = `/repos/acme/${args.repo ?? 'shop'}`;
      const answer =
        name === 'read'
          ? await fetch(`${github.origin}${path}/contents/README.md`, { headers: { authorization } })
          : await fetch(`${github.origin}${path}/issues`, {
              ...{ method: 'POST', headers: { authorization }, body: JSON.stringify({ title: 'x' }) },
            });
      return { content: [{ type: 'text', text: `${answer.status} ${await answer.text()} ${authorization}` }] };
    };
    const result =
      method === 'server/discover'
        ? { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
        : method === 'tools/list'
          ? {
              tools: [
                { name: 'read', inputSchema },
                { name: 'open_issue', inputSchema },
              ],
            }
          : await call();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } }));
  });

  before(async () => {
    github = await startFakeGitHub();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    workspace = await startWorkspace();
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'github-app' },
      body: { value: github.app.privateKey, origins: [github.origin] },
    });
    const setting = { tier: 1 as const, effects: ['read' as const] };
    await workspace.apply([
      ...manifests().filter(({ kind, name }: { kind: string; name?: string }) => kind !== 'Template' || name !== 'all'),
      { kind: 'Template', name: 'all', allow: [{ tools: ['github/*'] }] },
      {
        kind: 'CredentialProvider',
        name: 'github',
        environments: ['production'],
        from: {
          ...{
            type: 'github-app',
            url: github.origin,
            app: github.app.clientId,
            installation: github.app.installation,
          },
          ...{ owner: 'acme', secret: 'github-app', repositories: ['shop', 'infra'], allowPrivateAddress: true },
          permissions: { contents: 'write', issues: 'write' },
        },
      },
      {
        kind: 'ToolServer',
        name: 'github',
        environments: ['production'],
        transport: {
          type: 'http',
          url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
          allowPrivateAddress: true,
          credential: {
            provider: 'github',
            scope: { repositories: ['shop'], permissions: { contents: 'read' } },
            headers: { Authorization: 'Bearer {token}' },
          },
        },
        tools: { read: setting, open_issue: setting },
      },
    ]);
  });
  after(async () => {
    await workspace?.close();
    github?.close();
    server.close();
    server.closeAllConnections();
  });

  async function begin(): Promise<{
    task: AgentTask;
    call(tool: string, args?: Record<string, unknown>): Promise<string>;
  }> {
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'look at the code' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    return {
      task,
      call: async (tool, args = {}) =>
        JSON.stringify(
          await client.callTool({ name: `github__${tool}`, arguments: args }).catch((error: Error) => error.message),
        ),
    };
  }
  const leasesOf = async (task: string, open = false) =>
    (await workspace.operator('GET /leases', { query: { task, ...(open && { open: 'true' }) } })).items;
  async function until(what: () => Promise<boolean>): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20)) assert.ok(Date.now() < giveUpAt);
  }

  /** @proves lease.github */
  test('a task’s token reads the repository that was asked for, is seen by nobody, and GitHub refuses it afterwards', async () => {
    const { task, call } = await begin();
    const read = await call('read');
    assert.match(read, /200 .*Bearer \[credential\]/);
    assert.match(await call('open_issue'), /403 .*not accessible by integration/);
    assert.match(await call('read', { repo: 'infra' }), /404 /);
    const [token = '', ...others] = github.living();
    assert.deepEqual(others, [], 'one for the whole task');
    assert.deepEqual(github.tokens.get(token)?.permissions, { contents: 'read', metadata: 'read' });

    const records = (await workspace.operator('GET /records', { query: { task: task.id } })).items;
    const said = JSON.stringify([read, records, await leasesOf(task.id), await workspace.operator('GET /providers')]);
    const files = readdirSync(workspace.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    for (const form of [token, Buffer.from(token).toString('base64'), Buffer.from(token).toString('hex')]) {
      assert.ok(!said.includes(form));
      assert.ok(!files.some((bytes) => bytes.includes(form)));
    }
    await task.end();
    await until(async () => (await leasesOf(task.id, true)).length === 0);
    assert.deepEqual(github.living(), []);
  });

  /** @proves lease.remains */
  test('a token whose answer was lost keeps its lease open until its hour is over, and kill says so', async () => {
    github.trouble.loseAnswer = true;
    const { task, call } = await begin();
    assert.match(await call('read'), /provider\.unreachable/);
    github.trouble.loseAnswer = false;
    const lost = github.living();
    assert.equal(lost.length, 1);
    await until(async () => (await leasesOf(task.id, true)).some(({ problem }) => /nobody has it/.test(problem ?? '')));
    assert.match(await call('read'), /200 /, 'the next call has another');
    const killed = await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: {} });
    await until(async () => (await leasesOf(task.id, true)).length === 1);
    assert.deepEqual(github.living(), lost);
    const residual = killed.residualSeconds ?? 0;
    assert.ok(residual > 3_000 && residual < 3_700, String(residual));
    await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-a' }, body: { state: 'active' } });
  });

  test('a provider is tested by a token for nobody, which is ended', async () => {
    const before = github.living().length;
    const tested = await workspace.operator('POST /providers/:name/test', { params: { name: 'github' } });
    assert.deepEqual({ ok: tested.ok, problem: tested.problem }, { ok: true, problem: null });
    assert.equal(github.living().length, before);
    const { items } = await workspace.operator('GET /providers');
    assert.equal(items[0]?.problem, null);
  });
});
