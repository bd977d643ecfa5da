import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import { type AgentTask, createMcpTransport, type Operator } from '@gatehouse/sdk';
import { createLog, type RunningServer, startServer } from '@gatehouse/server';
import { Client } from '@modelcontextprotocol/client';
import * as oauth from 'oauth4webapi';
import pg from 'pg';
import { createCli } from '../packages/cli/test/support.ts';
import { operatorOf } from './chaos/house.ts';
import { type Asked, askFor, type DirectScene, directScene } from './support/direct-scene.ts';
import { freePort } from './support/free-port.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';

const program = join(import.meta.dirname, 'support', 'orders-server.ts');

/** Law 3: a permission that is taken away ends what was issued by it, and nothing else. */
const postgres = await startPostgres();

describe('withdrawn permissions', { skip: postgres ? false : 'there is no PostgreSQL on this machine' }, () => {
  let scene: DirectScene;
  let all: ManifestInput[];
  /** Another replica of the workspace. */
  let second: RunningServer;
  let atSecond: Operator;
  let shared: TestDatabase;
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-withdrawn-'));
  before(async () => {
    shared = await (postgres as TestPostgres).createDatabase();
    const dataDir = (name: string) => {
      mkdirSync(join(directory, name), { mode: 0o700 });
      return join(directory, name);
    };
    const database = shared.url;
    scene = await directScene(postgres as TestPostgres, [], { database, dataDir: dataDir('one') });
    const [port, trustDomain] = [await freePort(), 'example.test'];
    cpSync(join(directory, 'one', 'keys'), join(dataDir('two'), 'keys'), { recursive: true });
    second = await startServer(
      {
        ...{ database, port, trustDomain, host: '127.0.0.1', publicUrl: scene.workspace.url },
        ...{ replica: 'two', dataDir: join(directory, 'two') },
      },
      { log: createLog('error') },
    );
    atSecond = operatorOf(`http://127.0.0.1:${port}`, join(directory, 'two'));
    const { hostname: PGHOST, port: PGPORT } = new URL(scene.database.url);
    const setting = { tier: 1 as const, effects: ['read' as const] };
    await scene.workspace.apply([
      {
        kind: 'ToolServer',
        name: 'books',
        environments: ['production'],
        transport: {
          ...{ type: 'stdio', command: 'node', args: [program] },
          env: { PGHOST, PGPORT, PGDATABASE: scene.database.name },
          credential: { provider: 'inside', scope: {}, env: { PGUSER: '{username}', PGPASSWORD: '{password}' } },
        },
        tools: { query: setting, leak: setting },
      },
      {
        ...{ kind: 'Template', name: 'both', allow: [{ tools: ['*'] }] },
        credentials: [{ provider: 'orders', scope: {}, direct: true }],
      },
      {
        ...{ kind: 'Blueprint', name: 'support' },
        templates: ['all', 'refund-order', 'reads', 'careful', 'gate-only', 'both'],
      },
    ]);
    all = (await scene.workspace.operator('GET /export')).manifests as ManifestInput[];
  });
  after(async () => {
    await second?.close();
    await scene?.[Symbol.asyncDispose]();
    await shared?.drop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    await postgres?.close();
  });

  const clients = new Map<string, ReturnType<DirectScene['workspace']['agent']>>();
  async function begin(template: string, name = 'agent-a'): Promise<AgentTask> {
    const client = clients.get(name) ?? scene.workspace.agent(name);
    clients.set(name, client);
    return (await client).startTask({ template, intent: 'look up an order' });
  }

  let signedIn: ReturnType<DirectScene['workspace']['person']> | undefined;
  const approver = () => (signedIn ??= scene.workspace.person('approver@example.test'));

  interface InUse {
    task: AgentTask;
    body: Asked['body'];
    session: pg.Client;
    lease: string;
  }
  /** A task that was handed a credential and has a session open with it. */
  async function inUse(template = 'reads', provider = 'orders', more: object = {}, agent?: string): Promise<InUse> {
    return inUseOf(await begin(template, agent), provider, more);
  }
  async function inUseOf(task: AgentTask, provider: string, more: object = {}): Promise<InUse> {
    const ask = () => askFor(task, scene.workspace, { provider, seconds: 300, ...more });
    let answer = await ask();
    if (answer.status === 202) {
      await (await approver()).approve(answer.body.approval?.id ?? '');
      answer = await ask();
    }
    const { status, body } = answer;
    assert.equal(status, 200, JSON.stringify(body));
    return { task, body, session: await signIn(body.credential), lease: String(body.lease) };
  }
  async function signIn({ username = '', password = '' }: Record<string, string> = {}): Promise<pg.Client> {
    const { hostname: host, port } = new URL(scene.database.url);
    const client = new pg.Client({
      ...{ host, port: Number(port), database: scene.database.name, user: username, password },
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
  const stateOf = async (lease: string) =>
    (await scene.workspace.operator('GET /leases/:id', { params: { id: lease } })) as unknown as {
      state: string;
      reason: string | null;
      expiresAt: number;
      clamped: string[];
      name: string;
    };
  const works = ({ session }: InUse): Promise<boolean> =>
    session.query('select total from orders').then(
      () => true,
      () => false,
    );
  async function until(what: () => Promise<boolean>, words: string): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20))
      assert.ok(Date.now() < giveUpAt, words);
  }
  async function isGone(used: InUse, why: RegExp): Promise<void> {
    await until(async () => (await stateOf(used.lease)).state === 'revoked', `${used.lease} is not ended`);
    const lease = await stateOf(used.lease);
    assert.match(lease.reason ?? '', why);
    assert.equal(await works(used), false, 'its session is open');
    assert.ok(!(await scene.roles()).includes(lease.name));
    await assert.rejects(signIn(used.body.credential));
    const { items } = await scene.workspace.operator('GET /records', {
      query: { operation: 'lease.revoke', task: used.task.id },
    });
    const lines = items.flatMap(({ record }) => record.changes).filter((line) => line.includes(used.lease));
    assert.equal(lines.length, 1, 'both replicas judge, and one ends it');
    assert.match(lines[0] ?? '', why);
  }
  /** What was judged meanwhile is over when a later withdrawal has been seen to be carried out. */
  async function stands(used: InUse): Promise<void> {
    assert.equal((await stateOf(used.lease)).state, 'active');
    assert.equal(await works(used), true);
  }
  type Giving = ManifestInput & { credentials: { provider: string }[] };
  const named = (kind: string, name: string): ManifestInput => {
    const found = all.find((each) => each.kind === kind && 'name' in each && each.name === name);
    assert.ok(found);
    return structuredClone(found);
  };
  const change = (from: ManifestInput, members: object) => ({ ...from, ...members }) as ManifestInput;
  const back = () => scene.workspace.apply(all);

  /** @proves lease.withdrawn, lease.unrelated */
  test('a provider that hands out nothing any more: what it handed out is gone with its sessions, and nothing else is', async () => {
    const used = await inUse();
    const approved = await inUse('careful', 'grave');
    await scene.workspace.apply([
      change(named('Template', 'reads'), { description: 'Nothing that anybody is given changes.' }),
      { kind: 'Policy', name: 'unrelated', cedar: '@id("unrelated") permit (principal, action, resource);' },
      change(named('Agent', 'agent-a'), { purpose: 'tests, and more' }),
    ]);
    await stands(used);
    const { direct: _, ...provider } = named('CredentialProvider', 'orders') as ManifestInput & { direct: object };
    const manifests = [manifest.parse(provider)];
    const ending = { items: [{ provider: 'orders', count: 1 }], isWhole: true };
    const none = { items: [], isWhole: true };
    const body = { manifests, prune: false };
    assert.deepEqual((await scene.workspace.operator('POST /plan', { body })).ends, ending);
    const { manifests: same } = await scene.workspace.operator('GET /export');
    assert.deepEqual((await scene.workspace.operator('POST /plan', { body: { manifests: same } })).ends, none);
    const file = join(directory, 'provider.yaml');
    writeFileSync(file, JSON.stringify(provider));
    const cli = createCli(directory, {
      ...{ GATEHOUSE_URL: scene.workspace.url, GATEHOUSE_DATA_DIR: scene.workspace.dataDir },
    });
    const planned = await cli.run('plan', '-f', file);
    assert.match(planned.stdout, /^! Would end 1 live credential of orders$/m, planned.stderr);
    await stands(used);
    const applied = await cli.run('apply', '-f', file, '--json');
    assert.deepEqual(applied.json<{ ended: unknown }>().ended, ending, applied.stderr);
    await isGone(used, /its permission was withdrawn: Credentials of "orders" are used by the gate alone/);
    await stands(approved);
    assert.deepEqual((await back()).ended, none);
    await stands(approved);
    const retired = await inUse('reads', 'orders', {}, 'agent-b');
    const without = all.filter((each) => !(each.kind === 'Agent' && each.name === 'agent-b'));
    const pruned = { body: { manifests: without.map((each) => manifest.parse(each)), prune: true } };
    assert.deepEqual((await scene.workspace.operator('POST /plan', pruned)).ends, ending);
    await stands(retired);
    await approved.task.end();
    await retired.task.end();
  });

  /** @proves lease.withdrawn */
  test('a template that gives it no more, or less of it', async () => {
    const all = await inUse('both');
    const one = await inUse();
    const [both, reads] = [named('Template', 'both'), named('Template', 'reads')] as [Giving, Giving];
    const [first] = both.credentials;
    const less = { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] };
    await scene.workspace.apply([change(both, { credentials: [{ ...first, scope: less }] })]);
    await isGone(all, /its permission was withdrawn: .*given less of "orders"/);
    await stands(one);
    const others = reads.credentials.filter(({ provider }) => provider !== 'orders');
    await scene.workspace.apply([change(reads, { credentials: others })]);
    await isGone(one, /its permission was withdrawn: Tasks of the template "reads" are handed no credentials/);
    await back();
  });

  /** @proves lease.withdrawn */
  test('a provider that issues less, and one that is removed', async () => {
    const [orders, refunds] = ['orders', 'refunds'].map((table) => ({
      scope: { grants: [{ tables: [table], privileges: ['SELECT'] }] },
    }));
    const [lost, kept] = [await inUse('both', 'orders', refunds), await inUse('both', 'orders', orders)];
    const provider = named('CredentialProvider', 'orders') as { from: object } & ManifestInput;
    const grants = [{ tables: ['orders'], privileges: ['SELECT'] }];
    await scene.workspace.apply([change(provider, { from: { ...provider.from, grants } })]);
    await isGone(lost, /its permission was withdrawn: This provider issues no SELECT on public.refunds/);
    await stands(kept);
    const without = (credentials: { provider: string }[]) => credentials.filter((each) => each.provider !== 'orders');
    const left = all
      .filter((each) => !(each.kind === 'CredentialProvider' && each.name === 'orders'))
      .map((each) => {
        if (each.kind !== 'Template' || !each.credentials) return each;
        const credentials = without(each.credentials as { provider: string }[]);
        const { credentials: _, ...plain } = each;
        return (credentials.length > 0 ? { ...each, credentials } : plain) as ManifestInput;
      });
    await scene.workspace.operator('POST /apply', { body: { manifests: left, prune: true } });
    await isGone(kept, /its permission was withdrawn: There is no credential provider "orders"/);
    await back();
  });

  /** @proves lease.withdrawn */
  test('a policy that forbids it, and one that wants a person’s yes: an approved one stays', async () => {
    const [used, approved] = [await inUse(), await inUse('careful', 'grave')];
    const forbid = `@id("not-now") forbid (principal, action == Gatehouse::Action::"orders#credential", resource);`;
    await atSecond.call('POST /apply', {
      body: { manifests: [manifest.parse({ kind: 'Policy', name: 'not-now', cedar: forbid })] },
    });
    await isGone(used, /its permission was withdrawn: .*not-now/);
    await scene.workspace.operator('POST /apply', { body: { manifests: all, prune: true } });

    const another = await inUse();
    const [orders, grave] = [named('CredentialProvider', 'orders'), named('CredentialProvider', 'grave')];
    await scene.workspace.apply([
      change(orders, { direct: { tier: 3, maxSeconds: 600, perTask: 3, perHour: 20 } }),
      change(grave, { description: 'Changed after somebody had said yes.' }),
    ]);
    await isGone(another, /its permission was withdrawn: a person has to say yes to it now/);
    await stands(approved);
    await approved.task.end();
    await back();
  });

  /** @proves lease.shortened */
  test('where less time is given, it ends earlier, and says so', async () => {
    const used = await inUse();
    const { intendedAt } = (await stateOf(used.lease)) as unknown as { intendedAt: number };
    const direct = { tier: 2, maxSeconds: 120, perTask: 3, perHour: 20 };
    await scene.workspace.apply([change(named('CredentialProvider', 'orders'), { direct })]);
    await until(async () => (await stateOf(used.lease)).expiresAt === intendedAt + 120_000, 'it is not shorter');
    assert.match((await stateOf(used.lease)).clamped.join(), /no more than 120 s are handed out/);
    await stands(used);
    await back();
    await used.task.end();
  });

  /** @proves lease.token */
  test('a token that is revoked takes what its task has in its own hands with it, and nothing of another task', async () => {
    const [used, other] = [await inUse(), await inUse()];
    const agent = await (clients.get('agent-a') as ReturnType<DirectScene['workspace']['agent']>);
    const { url } = scene.workspace;
    const insecure = { [oauth.allowInsecureRequests]: true };
    const found = await oauth.discoveryRequest(new URL(url), { algorithm: 'oauth2', ...insecure });
    const server = await oauth.processDiscoveryResponse(new URL(url), found);
    const client = { client_id: 'agent-a' };
    const proof = oauth.PrivateKeyJwt(agent.key.privateKey);
    const answer = await oauth.revocationRequest(server, client, proof, await used.task.token(), insecure);
    await oauth.processRevocationResponse(answer);
    await isGone(used, /a token of its task was revoked/);
    await stands(other);
    await other.task.end();
  });

  /** @proves lease.withdrawn */
  test('a task that was handed on loses it when its agent is no longer one to hand on to', async () => {
    const worker = await (clients.get('agent-b') ?? scene.workspace.agent('agent-b'));
    const above = await begin('reads');
    const task = await worker.takeOver(await above.token(), { template: 'reads', intent: 'help' });
    const used = await inUseOf(task, 'orders');
    const { delegatesTo: _, ...alone } = named('Agent', 'agent-a') as ManifestInput & { delegatesTo: object };
    await scene.workspace.apply([{ ...alone, delegatesTo: { agents: [] } } as ManifestInput]);
    await isGone(used, /its permission was withdrawn: .*may not hand tasks on/);
    await back();
    await above.end();
  });

  /** @proves lease.withdrawn */
  test('a tool server that the task may use no more: what the gate holds for it ends, and is made anew when it may again', async () => {
    const task = await begin('reads');
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const call = async () => {
      const { content, isError } = await client.callTool({
        ...{ name: 'books__query', arguments: { sql: 'select total from orders' } },
      });
      return isError ? 'refused' : (content as { text: string }[])[0]?.text;
    };
    const leases = async () =>
      (await scene.workspace.operator('GET /leases', { query: { task: task.id } })).items.map(({ state }) => state);
    assert.equal(await call(), '[{"total":40}]');
    assert.deepEqual(await leases(), ['active']);
    await scene.workspace.apply([change(named('Template', 'reads'), { allow: [{ tools: ['shop/*'] }] })]);
    await until(async () => (await leases()).every((state) => state === 'revoked'), 'it is not ended');
    await back();
    await until(async () => (await call()) === '[{"total":40}]', 'no new one is made');
    assert.deepEqual((await leases()).sort(), ['active', 'revoked']);
    await client.close();
    await task.end();
  });
});
