import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import { type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import pg from 'pg';
import { type ProviderProxy, startProxy } from './chaos/leases/proxy.ts';
import { manifests } from './support/fixtures.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Law 3 with a real database behind a real tool server: a task's tools get a role of their own, and it is gone afterwards. */
const postgres = await startPostgres();
const program = join(import.meta.dirname, 'support', 'orders-server.ts');

describe('just-in-time credentials', { skip: postgres ? false : 'there is no PostgreSQL on this machine' }, () => {
  let database: TestDatabase;
  let owner: pg.Client;
  let workspace: Workspace;
  let at: URL;
  /** Between Gatehouse and the database. */
  let proxy: ProviderProxy;
  /** What a web service was sent, by call. */
  const sent: { key: string | undefined; method: unknown }[] = [];
  const web = createServer(async (request, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    const key = request.headers['x-api-key'];
    sent.push({ key: typeof key === 'string' ? key : undefined, method });
    const result =
      method === 'server/discover'
        ? { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
        : method === 'tools/list'
          ? { resultType: 'complete', tools: [{ name: 'ping', inputSchema: { type: 'object' } }] }
          : { resultType: 'complete', content: [{ type: 'text', text: `you said ${key}` }] };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });

  const setting = { tier: 1 as const, effects: ['read' as const] };
  const server = (name: string, more: object = {}, environment: object = {}): ManifestInput => ({
    kind: 'ToolServer',
    name,
    environments: ['production'],
    transport: {
      type: 'stdio',
      command: 'node',
      args: ['--disable-warning=ExperimentalWarning', program],
      env: { PGHOST: at.hostname, PGPORT: at.port, PGDATABASE: database.name },
      credential: {
        provider: 'orders',
        scope: { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] },
        env: {
          PGUSER: '{username}',
          PGPASSWORD: '{password}',
          DATABASE_URL: `postgres://{username}:{password}@${at.host}/${database.name}`,
          ...environment,
        },
        ...more,
      },
    },
    tools: { query: setting, leak: setting },
  });
  /** Asks for all that the provider may give. */
  const wide = (): ManifestInput => ({
    ...(server('wide', { scope: {} }) as Extract<ManifestInput, { kind: 'ToolServer' }>),
    tools: { query: setting, leak: { tier: 3, effects: ['read'] } },
  });
  const narrowing = (credentials: unknown): ManifestInput =>
    ({
      kind: 'Template',
      name: 'one-table',
      allow: [{ tools: ['wide/*'] }],
      parameters: { table: { type: 'string' } },
      credentials,
    }) as ManifestInput;
  const provider = (): ManifestInput => ({
    kind: 'CredentialProvider',
    name: 'orders',
    environments: ['production'],
    from: {
      type: 'postgres',
      url: `postgres://broker_${database.name}@127.0.0.1:${proxy.port}/${database.name}`,
      secret: 'orders-broker',
      grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT'] }],
      tls: 'off',
    },
  });

  before(async () => {
    database = await (postgres as TestPostgres).createDatabase();
    at = new URL(database.url);
    proxy = await startProxy(at.hostname, Number(at.port));
    owner = new pg.Client(database.url);
    owner.on('error', () => undefined);
    await owner.connect();
    const broker = `broker_${database.name}`;
    await owner.query(`create table orders (id int, total int); create table refunds (id int); create table salaries (person text);
      insert into orders values (1042, 40);
      create role ${broker} login createrole password 'broker-password';
      grant connect on database ${database.name} to ${broker} with grant option;
      grant usage on schema public to ${broker} with grant option;
      grant select on orders, refunds to ${broker} with grant option;
      grant pg_signal_backend to ${broker}`);
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    workspace = await startWorkspace();
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'orders-broker' },
      body: { value: 'broker-password', origins: [`postgres://127.0.0.1:${proxy.port}`] },
    });
    await workspace.apply([
      ...manifests()
        .filter((each) => each.kind !== 'Template' || each.name !== 'all')
        .map((each) => {
          if (each.kind === 'Blueprint') return { ...each, templates: [...(each.templates ?? []), 'one-table'] };
          return each.kind === 'Agent' ? { ...each, delegatesTo: { agents: ['agent-b'] } } : each;
        }),
      { kind: 'Person', email: 'developer@example.test', displayName: 'Developer', roles: ['developer'] },
      {
        ...{ kind: 'Agent', name: 'agent-dev', owner: 'developer@example.test', purpose: 'tests' },
        ...{ environment: 'production', blueprint: 'support' },
      },
      { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*', 'orders/*', 'web/*', 'wide/*'] }] },
      narrowing([{ provider: 'orders', scope: { grants: [{ tables: ['$table'], privileges: ['SELECT'] }] } }]),
      provider(),
      server('orders'),
      wide(),
      {
        kind: 'ToolServer',
        name: 'web',
        environments: ['production'],
        transport: {
          type: 'http',
          url: `http://127.0.0.1:${(web.address() as AddressInfo).port}/mcp`,
          allowPrivateAddress: true,
          credential: { provider: 'orders', headers: { 'X-Api-Key': 'key {password}' }, perCall: true },
        },
        tools: { ping: setting },
      },
    ]);
  });
  after(async () => {
    await workspace?.close();
    web.close();
    web.closeAllConnections();
    await proxy?.close();
    await owner?.end();
    await database?.drop();
    await postgres?.close();
  });

  async function begin(agentName = 'agent-a') {
    const agent = await workspace.agent(agentName);
    const task = await agent.startTask({ template: 'all', intent: 'look up an order' });
    return { agent, task, client: await connect(task) };
  }
  async function connect(task: AgentTask): Promise<Client> {
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    return client;
  }
  const call = async (client: Client, name: string, args: Record<string, unknown> = {}) =>
    JSON.stringify(await client.callTool({ name, arguments: args }).catch((error: Error) => error.message));
  const query = (client: Client, sql: string) => call(client, 'orders__query', { sql });
  const roles = async () => {
    const { rows } = await owner.query("select rolname from pg_roles where rolname like 'gh\\_%' order by 1");
    return rows.map(({ rolname }) => rolname as string);
  };
  const leasesOf = async (task: string, more: Record<string, string> = {}) =>
    (await workspace.operator('GET /leases', { query: { task, ...more } })).items;
  const recordsOf = async (task: string) =>
    (await workspace.operator('GET /records', { query: { task } })).items.map(({ record }) => record);
  async function until(what: () => Promise<boolean>): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20)) assert.ok(Date.now() < giveUpAt);
  }
  const gone = (task: string) => until(async () => (await leasesOf(task, { open: 'true' })).length === 0);

  /** @proves lease.issued, lease.ends */
  test('a task’s tools sign in as a role of their own, which sees only what was asked for and is gone after the task', async () => {
    const { task, client } = await begin();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => query(client, 'select current_user, total from orders')),
    );
    const [role = ''] = await roles();
    for (const answer of answers) assert.match(answer, new RegExp(`${role}.*40`));
    assert.deepEqual(await roles(), [role], 'one for the whole task');
    assert.match(await query(client, 'select * from refunds'), /permission denied/);
    assert.match(await query(client, 'select * from salaries'), /permission denied/);

    const [lease] = await leasesOf(task.id);
    assert.equal(lease?.state, 'active');
    assert.equal(lease?.name, role);
    assert.ok(lease.expiresAt <= lease.intendedAt + 900_000);
    const dispatch = (await recordsOf(task.id)).find(({ kind }) => kind === 'dispatch');
    assert.deepEqual(dispatch?.credentials, [{ lease: lease.id, provider: 'orders', state: 'issued' }]);

    await client.close();
    await task.end();
    await gone(task.id);
    assert.deepEqual(await roles(), []);
    assert.match((await leasesOf(task.id))[0]?.reason ?? '', /task/);
  });

  /** @proves lease.kill */
  test('a kill ends the session that is open, in the middle of a statement, and says that nothing is left', async () => {
    const { task, client } = await begin('agent-b');
    await query(client, 'select 1');
    const sleeping = query(client, 'select pg_sleep(60) from orders');
    const role = (await leasesOf(task.id))[0]?.name;
    const sessions = async () =>
      (await owner.query("select 1 from pg_stat_activity where usename = $1 and query like '%pg_sleep%'", [role]))
        .rowCount;
    await until(async () => (await sessions()) === 1);
    const killed = await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.equal(killed.endedLeases, 1);
    await gone(task.id);
    assert.equal(await sessions(), 0);
    assert.deepEqual(await roles(), []);
    assert.equal(killed.residualSeconds, killed.openLeases === 0 ? 0 : null);
    await sleeping;
    await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-b' }, body: { state: 'active' } });
  });

  /** @proves lease.place */
  test('declared elsewhere meanwhile, its role is ended where it was made', async () => {
    const { task, client } = await begin('agent-b');
    await query(client, 'select 1');
    assert.equal((await roles()).length, 1);
    const declared = provider();
    assert.ok(declared.kind === 'CredentialProvider' && declared.from.type === 'postgres');
    await workspace.apply([{ ...declared, from: { ...declared.from, url: 'postgres://other@127.0.0.1:1/other' } }]);
    await task.end();
    await gone(task.id);
    assert.deepEqual(await roles(), []);
    await workspace.apply([provider()]);
  });

  /** Signed in as a task's role, as somebody would be who had its password. */
  async function guestOf(task: string): Promise<pg.Client> {
    const user = (await leasesOf(task))[0]?.name ?? '';
    await owner.query(`alter role ${pg.escapeIdentifier(user)} password 'known'`);
    const guest = new pg.Client({
      ...{ host: at.hostname, port: Number(at.port), database: database.name, user, password: 'known' },
    });
    guest.on('error', () => undefined);
    await guest.connect();
    return guest;
  }
  const activate = (name: string) =>
    workspace.operator('POST /agents/:name/state', { params: { name }, body: { state: 'active' } });

  /** @proves lease.kill */
  test('a session that somebody holds open is gone when a kill has said that nothing is left', async (t) => {
    const { task, client } = await begin('agent-b');
    await query(client, 'select 1');
    const guest = await guestOf(task.id);
    const over = new Promise((resolve) => guest.once('end', resolve));
    const begun = performance.now();
    await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    await over;
    t.diagnostic(`gone ${Math.round(performance.now() - begun)} ms after the kill began`);
    await gone(task.id);
    await activate('agent-b');
  });

  /** @proves lease.residual */
  test('while the database is away a kill says that nobody knows for how long what is open works; it ends once it is back', async () => {
    const { task, client } = await begin('agent-b');
    await query(client, 'select 1');
    const guest = await guestOf(task.id);
    proxy.setAway(true);
    const killed = await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.deepEqual([killed.openLeases, killed.residualSeconds], [1, null]);
    assert.equal((await guest.query('select total from orders')).rowCount, 1, 'that is true');
    const over = new Promise((resolve) => guest.once('end', resolve));
    proxy.setAway(false);
    await over;
    await gone(task.id);
    assert.deepEqual(await roles(), []);
    await activate('agent-b');
  });

  /** @proves lease.owners */
  test('who is neither admin, security nor auditor sees the leases of their own agents, and not what systems say', async () => {
    const [theirs, other] = [await begin('agent-dev'), await begin()];
    for (const { client } of [theirs, other]) await query(client, 'select 1');
    const seen = async (email: string) => {
      const { api } = await workspace.person(email);
      const { items } = await api('GET /leases', { query: { open: 'true' } });
      return { api, agents: [...new Set(items.map(({ agent }) => agent))].sort() };
    };
    const developer = await seen('developer@example.test');
    assert.deepEqual(developer.agents, ['agent-dev']);
    const id = (await leasesOf(other.task.id))[0]?.id ?? '';
    await assert.rejects(developer.api('GET /leases/:id', { params: { id } }), { status: 404 });
    assert.deepEqual((await developer.api('GET /leases', { query: { agent: 'agent-a' } })).items, []);
    assert.deepEqual((await seen('approver@example.test')).agents, []);
    const auditor = await seen('auditor@example.test');
    assert.deepEqual(auditor.agents, ['agent-a', 'agent-dev']);
    assert.equal((await auditor.api('GET /leases/:id', { params: { id } })).id, id);
    // Whoever may stop an agent may end what it holds; nobody else may, nor what is of no agent.
    const end = ({ api }: typeof auditor, of: string) =>
      api('POST /leases/:id/revoke', { params: { id: of }, body: {} });
    const own = (await leasesOf(theirs.task.id))[0]?.id ?? '';
    for (const [who, of] of [
      [developer, id],
      [auditor, id],
      [auditor, own],
    ] as const)
      await assert.rejects(end(who, of), { status: 403 });
    assert.ok((await leasesOf(other.task.id)).some(({ id: of, state }) => of === id && state === 'active'));
    await end(developer, own);
    await gone(theirs.task.id);
    proxy.setAway(true);
    const problemFor = async ({ api }: typeof auditor) => (await api('GET /providers')).items[0]?.problem ?? null;
    assert.match((await problemFor(auditor)) ?? '', /./);
    assert.equal(await problemFor(developer), null);
    proxy.setAway(false);
    for (const { task } of [theirs, other]) {
      await task.end();
      await gone(task.id);
    }
  });

  /** @proves lease.unseen */
  test('the password is in no answer, record or lease, also when the tool says all that it knows', async () => {
    const { task, client } = await begin();
    const answer = await call(client, 'orders__leak');
    assert.match(answer, /\[credential\]/);
    // The one value that nobody is told: found out by a way of the test's own.
    const { rows } = await owner.query('select rolpassword from pg_authid where rolname = $1', [
      (await leasesOf(task.id))[0]?.name,
    ]);
    assert.match(rows[0].rolpassword, /^SCRAM-SHA-256/);
    assert.match(answer, /PGPASSWORD\W+\[credential\]/);
    assert.match(answer, /DATABASE_URL\W+postgres:\/\/gh_\w+:\[credential\]@/);
    assert.match(answer, /"?hex\W+\[credential\]/);
    assert.doesNotMatch(answer, /base64\W+[\w+/]{30}/);
    const all = [await recordsOf(task.id), await leasesOf(task.id), await workspace.operator('GET /providers')];
    assert.doesNotMatch(JSON.stringify(all), /broker-password|PGPASSWORD\W+(?!\[credential\])\w/);
    await task.end();
    await gone(task.id);
  });

  /** @proves lease.required */
  test('without its credential nothing is called while the provider is away', async () => {
    const { task, client } = await begin();
    await owner.query(`alter role broker_${database.name} nologin`);
    await owner.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gatehouse credentials'",
    );
    assert.match(await query(client, 'select 1'), /lease\.provider/);
    const failing = await workspace.operator('GET /providers');
    assert.equal(failing.items[0]?.ok, false);
    await owner.query(`alter role broker_${database.name} login`);
    assert.match(await query(client, 'select total from orders'), /40/);
    const refused = (await recordsOf(task.id)).filter(({ decision }) => decision?.effect === 'deny');
    assert.deepEqual(refused.map(({ decision }) => decision?.code).sort(), ['lease.provider']);
    await task.end();
    await until(async () => (await roles()).length === 0);
  });

  /** @proves lease.per-call */
  test('a header carries one credential for each call, which is ended when the call is answered', async () => {
    const { task, client } = await begin();
    sent.length = 0;
    for (let time = 0; time < 2; time++) assert.match(await call(client, 'web__ping'), /you said key \[credential\]/);
    const keys = sent.filter(({ method }) => method === 'tools/call').map(({ key }) => key);
    assert.equal(new Set(keys).size, 2);
    for (const key of keys) assert.match(key ?? '', /^key [\w-]{32}$/);
    // Only what was sent has it: no record, lease or file of the house does, in clear, base64 or hex.
    const said = JSON.stringify([await recordsOf(task.id), await leasesOf(task.id)]);
    const files = readdirSync(workspace.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    for (const key of keys) {
      const password = (key ?? '').slice('key '.length);
      for (const form of [password, Buffer.from(password).toString('base64'), Buffer.from(password).toString('hex')]) {
        assert.ok(!said.includes(form));
        assert.ok(!files.some((bytes) => bytes.includes(form)));
      }
    }
    await until(async () => (await leasesOf(task.id, { open: 'true' })).length === 0);
    const leases = await leasesOf(task.id);
    assert.deepEqual(new Set(leases.map(({ reason }) => reason)), new Set(['used (gatehouse)']));
    await task.end();
  });

  /** @proves lease.renewed */
  test('renewed, its process and its open session live on past the end that it had', async () => {
    const { task, client } = await begin();
    const first = await query(client, 'select pg_backend_pid(), total from orders');
    const [lease] = await leasesOf(task.id);
    const id = lease?.id ?? '';
    const renewed = await workspace.operator('POST /leases/:id/renew', { params: { id }, body: { ttlSeconds: 3_600 } });
    assert.ok(renewed.expiresAt >= (lease?.expiresAt ?? 0));
    assert.ok(renewed.clamped.length > 0, 'never beyond what it was issued with');
    assert.equal(await query(client, 'select pg_backend_pid(), total from orders'), first);
    await task.end();
    await gone(task.id);
    await assert.rejects(workspace.operator('POST /leases/:id/renew', { params: { id }, body: {} }), /ended/);
  });

  test('revoked by a person, the next call gets another and a process of its own', async () => {
    const { task, client } = await begin();
    const first = await query(client, 'select current_user');
    const [lease] = await leasesOf(task.id);
    await workspace.operator('POST /leases/:id/revoke', { params: { id: lease?.id ?? '' }, body: { reason: 'test' } });
    await gone(task.id);
    const second = await query(client, 'select current_user');
    assert.match(second, /gh_/);
    assert.notEqual(first, second);
    await task.end();
    await gone(task.id);
  });

  /** @proves lease.template */
  test('a template gives its tasks no more than it says, nor those that they hand on, whatever a server asks for', async () => {
    const agent = await workspace.agent('agent-a');
    const taskFor = (parameters: Record<string, string>) =>
      agent.startTask({ template: 'one-table', parameters, intent: 'look it up' });
    const task = await taskFor({ table: 'orders' });
    const client = await connect(task);
    const ask = (sql: string, of = client) => call(of, 'wide__query', { sql });
    assert.match(await ask('select total from orders'), /40/);
    assert.match(await ask('select * from refunds'), /permission denied/);
    const scope = { grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }] };
    assert.deepEqual((await leasesOf(task.id))[0]?.scope, scope);
    // Another agent takes it over under a template that limits nothing.
    const handed = await (await workspace.agent('agent-b')).takeOver(await task.token(), {
      template: 'all',
      intent: 'y',
    });
    const handedClient = await connect(handed);
    assert.match(await ask('select total from orders', handedClient), /40/);
    assert.match(await ask('select * from refunds', handedClient), /permission denied/);
    assert.deepEqual((await leasesOf(handed.id))[0]?.scope, scope);

    // People who decide see it before, in words of the provider's kind.
    const credential = { provider: 'orders', scope, problem: null };
    const pending = await call(client, 'wide__leak');
    const [approval] = (await workspace.operator('GET /approvals', { query: { task: task.id } })).items;
    assert.ok(approval, pending);
    const params = { id: approval.id };
    const { kind, ...made } = (await workspace.operator('GET /approvals/:id/context', { params })).credential ?? {};
    assert.deepEqual(made, credential);
    assert.equal(kind?.abilities.canEndSessions, true);
    const explained = await workspace.operator('POST /policy/explain', {
      body: { call: { agent: 'agent-a', template: 'one-table', parameters: { table: 'orders' }, tool: 'wide/leak' } },
    });
    assert.deepEqual(explained.credential, credential);
    const { policyVersion } = approval.decision;
    await workspace.apply([narrowing(undefined)]);
    const again = await workspace.operator('POST /policy/explain', { body: { action: approval.actionId } });
    assert.notEqual(again.decision.policyVersion, policyVersion, 'what was approved was a call with less');
    await workspace.apply([
      narrowing([{ provider: 'orders', scope: { grants: [{ tables: ['$table'], privileges: ['SELECT'] }] } }]),
    ]);

    // Whoever starts the task chooses among what the template's author meant, and gets nothing else.
    for (const [table, why] of [
      ['*', /must name one thing/],
      ['salaries', /issues no SELECT on public\.salaries/],
    ] as const) {
      const other = await taskFor({ table });
      const refused = await ask('select 1', await connect(other));
      assert.match(refused, /lease\.scope/);
      assert.match(refused, why);
      // Nobody is asked about what can't be done.
      assert.match(await call(await connect(other), 'wide__leak'), /lease\.scope/);
      assert.deepEqual(await leasesOf(other.id), []);
      await other.end();
    }
    await handed.end();
    await task.end();
    await gone(task.id);
    await gone(handed.id);

    const refused = (credentials: unknown, why: RegExp) =>
      assert.rejects(workspace.apply([narrowing(credentials)]), why);
    await refused([{ provider: 'none' }], /no CredentialProvider "none"/);
    await refused([{ provider: 'orders' }, { provider: 'orders' }], /named twice/);
    await refused(
      [{ provider: 'orders', scope: { grants: [{ tables: ['$other'], privileges: ['SELECT'] }] } }],
      /no parameter "other"/,
    );
    await refused(
      [{ provider: 'orders', scope: { grants: [{ tables: ['salaries'], privileges: ['SELECT'] }] } }],
      /issues no SELECT/,
    );
  });

  test('a provider is tested by issuing one for nobody, and it is gone', async () => {
    const tested = await workspace.operator('POST /providers/:name/test', { params: { name: 'orders' } });
    assert.deepEqual({ ok: tested.ok, problem: tested.problem }, { ok: true, problem: null });
    assert.deepEqual(await roles(), []);
    const { items } = await workspace.operator('GET /providers');
    assert.deepEqual(items[0]?.abilities, {
      canNarrow: true,
      canRevoke: true,
      canEndSessions: true,
      canRenew: true,
      maxResidualSeconds: 0,
    });
  });

  test('a secret that is set anew is what counts from then on: no connection made with the one before is used', async () => {
    const set = (value: string) =>
      workspace.operator('PUT /secrets/:name', {
        params: { name: 'orders-broker' },
        body: { value, origins: [`postgres://127.0.0.1:${proxy.port}`] },
      });
    const tested = () => workspace.operator('POST /providers/:name/test', { params: { name: 'orders' } });
    assert.equal((await tested()).problem, null);
    await set('mistyped');
    assert.match((await tested()).problem ?? '', /password authentication failed/);
    await set('broker-password');
    assert.equal((await tested()).problem, null);
  });

  /** @proves lease.never-reached */
  test('a test of a provider whose address is wrong says so, and leaves nothing that would have to be ended', async () => {
    const declared = provider();
    assert.ok(declared.kind === 'CredentialProvider' && declared.from.type === 'postgres');
    const { from } = declared;
    const urls = ['postgres://broker@127.0.0.1:1/shop', 'postgres://broker@no-such-host.invalid/shop'];
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'wrong-address' },
      body: { value: 'broker-password', origins: ['postgres://127.0.0.1:1', 'postgres://no-such-host.invalid'] },
    });
    for (const url of urls) {
      await workspace.apply([{ ...declared, name: 'wrong-address', from: { ...from, url, secret: 'wrong-address' } }]);
      const { ok, problem } = await workspace.operator('POST /providers/:name/test', {
        params: { name: 'wrong-address' },
      });
      assert.equal(ok, false);
      assert.match(problem ?? '', /can't be reached, and nothing was sent: .*(ECONNREFUSED|ENOTFOUND|EAI_AGAIN)/);
    }
    const { items } = await workspace.operator('GET /leases', { query: { provider: 'wrong-address' } });
    assert.deepEqual(
      items.map(({ state, reason, attempts }) => [state, reason, attempts]),
      urls.map(() => ['revoked', 'it was not issued', 0]),
    );
  });

  test('a manifest that could not be kept is refused, and says why', async () => {
    const refused = (changed: ManifestInput, why: RegExp) => assert.rejects(workspace.apply([changed]), why);
    const orders = server('orders') as Extract<ManifestInput, { kind: 'ToolServer' }>;
    await refused({ ...orders, stateless: true }, /credential is one task’s/);
    await refused(
      server('orders', { scope: { grants: [{ tables: ['salaries'], privileges: ['SELECT'] }] } }),
      /This provider issues no SELECT on public\.salaries/,
    );
    await refused(
      server('orders', { scope: { roles: ['all'] } }),
      /not what a provider of the kind postgres is asked for/,
    );
    await refused(server('orders', { provider: 'none' }), /no CredentialProvider "none"/);
    await refused(server('orders', {}, { KEY: '{token}' }), /no part "token"/);
    await refused(server('orders', {}, { KEY: 'plain' }), /Nothing of the credential/);
    await refused(server('orders', {}, { NODE_OPTIONS: '{password}' }), /meaning of its own/);
  });
});
