import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import pg from 'pg';
import { askFor, type DirectScene, directScene } from './support/direct-scene.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';

/** Law 3: a credential is handed to an agent only as an action of its own, and where provider, template and policy all say so. */
const postgres = await startPostgres();

describe('credentials that agents use themselves', {
  skip: postgres ? false : 'there is no PostgreSQL on this machine',
}, () => {
  let scene: DirectScene;
  before(async () => {
    scene = await directScene(postgres as TestPostgres, [
      {
        kind: 'Policy',
        name: 'no-long-ones',
        cedar: `@id("no-long-ones")
forbid (principal, action == Gatehouse::Action::"orders#credential", resource)
when { context.arguments.seconds > 300 };`,
      },
      {
        ...{
          kind: 'Agent',
          name: 'agent-brief',
          owner: 'owner@example.test',
          purpose: 'tests',
          environment: 'production',
        },
        ...{ blueprint: 'support', credentialSeconds: 200 },
      },
      { kind: 'Policy', name: 'wide', cedar: '@id("wide") permit (principal, action, resource);' },
    ]);
  });
  after(async () => {
    await scene?.[Symbol.asyncDispose]();
    await postgres?.close();
  });

  const agents = new Map<string, ReturnType<DirectScene['workspace']['agent']>>();
  async function begin(template: string, name = 'agent-a') {
    const agent = agents.get(name) ?? scene.workspace.agent(name);
    agents.set(name, agent);
    return (await agent).startTask({ template, intent: 'look up an order' });
  }
  let signedIn: ReturnType<DirectScene['workspace']['person']> | undefined;
  const approver = () => (signedIn ??= scene.workspace.person('approver@example.test'));
  const ask = (task: Pick<AgentTask, 'fetch'>, body: object, headers?: Record<string, string>) =>
    askFor(task, scene.workspace, { seconds: 300, ...body }, headers);
  const signIn = async ({ username = '', password = '' }: Record<string, string> = {}) => {
    const url = new URL(scene.database.url);
    const client = new pg.Client({
      host: url.hostname,
      port: Number(url.port),
      database: scene.database.name,
      user: username,
      password,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const leasesOf = async (task: string) => (await scene.workspace.operator('GET /leases', { query: { task } })).items;
  const recordsOf = async (task: string) =>
    (await scene.workspace.operator('GET /records', { query: { task } })).items.map(({ record }) => record);
  async function until(what: () => Promise<boolean>): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20)) assert.ok(Date.now() < giveUpAt);
  }

  /** @proves direct.recorded, direct.ends */
  test('a task that may have one gets it, recorded and marked as ungated, and loses it with its session as it ends', async () => {
    const task = await begin('reads');
    const { status, body } = await ask(task, { provider: 'orders' });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.ungated, true);
    const client = await signIn(body.credential);
    assert.deepEqual((await client.query('select total from orders')).rows, [{ total: 40 }]);
    await assert.rejects(client.query('select * from refunds'), /permission denied/);

    // The outcome is written behind the answer.
    await until(async () => (await recordsOf(task.id)).some(({ kind }) => kind === 'outcome'));
    const records = (await recordsOf(task.id)).filter(({ kind }) => kind !== 'change');
    assert.deepEqual(records.map(({ kind }) => kind).sort(), ['dispatch', 'outcome']);
    for (const record of records) {
      assert.ok(record.labels.includes('ungated'), record.kind);
      assert.equal(record.tool, 'orders#credential');
      assert.deepEqual(record.credentials, [{ lease: body.lease, provider: 'orders', state: 'issued' }]);
    }
    const [lease] = await leasesOf(task.id);
    assert.equal(lease?.ungated, true);
    assert.equal(lease?.handedBy, body.action_id);
    const everything = [
      records,
      lease,
      await scene.workspace.operator('GET /actions/:id', { params: { id: String(body.action_id) } }),
    ];
    assert.ok(!JSON.stringify(everything).includes(body.credential?.password as string), 'the password is in a record');

    await task.end();
    await until(async () => !(await scene.roles()).includes(lease?.name ?? ''));
    await assert.rejects(client.query('select 1'));
    await assert.rejects(signIn(body.credential));
  });

  /** @proves direct.off */
  test('nobody gets one where the provider, the template or a policy does not say so, whatever else is permitted', async () => {
    const refused = async (
      template: string,
      body: { provider: string; seconds?: number },
      code: string,
      status = 403,
    ) => {
      const task = await begin(template);
      const answer = await ask(task, body);
      assert.deepEqual([answer.status, answer.body.title], [status, code], JSON.stringify(answer.body));
      for (const { kind, tool } of await recordsOf(task.id))
        if (kind === 'request') assert.equal(tool, `${body.provider}#credential`);
    };
    await refused('all', { provider: 'orders' }, 'credential.not-in-template');
    await refused('gate-only', { provider: 'orders' }, 'credential.not-in-template');
    await refused('reads', { provider: 'grave' }, 'credential.not-in-template');
    await refused('reads', { provider: 'inside' }, 'credential.not-direct');
    await refused('reads', { provider: 'nothing' }, 'provider.unknown', 404);
    await refused('reads', { provider: 'orders', seconds: 301 }, 'policy.forbidden');
    assert.deepEqual(await scene.roles(), []);
  });

  /** @proves direct.recorded */
  test('the SDK asks for one, and says in its own errors what is refused and what waits', async () => {
    const task = await begin('reads');
    const { parts, lease, expiresAt, maxResidualSeconds } = await task.credential({ provider: 'orders', seconds: 240 });
    assert.match(lease, /^lse_/);
    assert.ok(expiresAt > Date.now());
    assert.equal(maxResidualSeconds, 0);
    await (await signIn(parts)).end();
    await assert.rejects(task.credential({ provider: 'grave' }), { code: 'credential.not-in-template' });
    await task.end();
    const careful = await begin('careful');
    await assert.rejects(careful.credential({ provider: 'grave' }), { name: 'ApprovalPending', retryAfterSeconds: 5 });
    await careful.end();
    await until(async () => (await scene.roles()).length === 0);
  });

  /** @proves direct.bad-input */
  test('bad input gets a clear answer', async () => {
    const task = await begin('reads');
    const url = `${scene.workspace.url}/task/credentials`;
    const send = async (body: string, headers: Record<string, string> = {}, at = url, method = 'POST') => {
      const response = await task.fetch(at, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(method === 'POST' && { body }),
      });
      assert.equal(response.headers.get('content-type'), 'application/problem+json');
      return [response.status, ((await response.json()) as { title: string }).title];
    };
    const good = '{"provider":"orders","seconds":60}';
    assert.deepEqual(await send('{"provider":'), [400, 'json.malformed']);
    assert.deepEqual(await send('{"provider":"orders","provider":"grave"}'), [400, 'json.duplicate-key']);
    assert.deepEqual(await send('{"provider":"orders","more":1}'), [400, 'body.invalid']);
    assert.deepEqual(await send('{"provider":"../orders"}'), [400, 'body.invalid']);
    assert.deepEqual(await send(`{"provider":"orders","scope":{"x":"${'y'.repeat(70_000)}"}}`), [
      413,
      'body.too-large',
    ]);
    assert.deepEqual(await send(good, { 'content-type': 'text/plain' }), [400, 'body.type']);
    assert.deepEqual(await send(good, { 'idempotency-key': 'x'.repeat(300) }), [400, 'idempotency.key']);
    assert.deepEqual(await send('', {}, url, 'GET'), [400, 'route.method']);
    assert.deepEqual(await send('', {}, `${url}/nothing`), [404, 'route.unknown']);
    assert.deepEqual(await send('', {}, `${url}/lse_0000/end`), [404, 'lease.unknown']);
    assert.deepEqual(await leasesOf(task.id), []);
    await task.end();
  });

  /** @proves direct.narrow */
  test('more than the scope gets none, and says so', async () => {
    const task = await begin('reads');
    for (const grants of [
      [{ tables: ['orders', 'refunds'], privileges: ['SELECT'] }],
      [{ tables: ['salaries'], privileges: ['SELECT'] }],
      [{ tables: '*', privileges: ['SELECT'] }],
      [{ tables: ['orders'], privileges: ['SELECT', 'DELETE'] }],
    ]) {
      const { status, body } = await ask(task, { provider: 'orders', scope: { grants } });
      assert.deepEqual([status, body.title], [403, 'credential.scope'], JSON.stringify(body));
    }
    assert.deepEqual(await scene.roles(), []);
    const strange = await ask(task, { provider: 'orders', scope: { tables: 1 } });
    assert.equal(strange.status, 403);
    const long = await ask(task, { provider: 'orders', seconds: 100_000 });
    assert.equal(long.status, 400);
  });

  /** @proves direct.bound */
  test('a stolen token without its key gets none, nor does a bearer token, one for a single server, or one of another task', async () => {
    const { workspace } = scene;
    const task = await begin('reads');
    const mine = await ask(task, { provider: 'orders' });
    assert.equal(mine.status, 200);
    const token = await task.token();
    const url = `${workspace.url}/task/credentials`;
    const init = { method: 'POST', body: JSON.stringify({ provider: 'orders' }) };
    const type = { 'content-type': 'application/json' };
    const thief = await begin('reads', 'agent-b');
    const stolen: Record<string, string>[] = [
      {},
      { authorization: `Bearer ${token}` },
      { authorization: `DPoP ${token}` },
      { authorization: `DPoP ${token}`, dpop: (await thief.headersFor(url, 'POST')).dpop ?? '' },
      { authorization: `DPoP ${token}`, dpop: (await task.headersFor(`${workspace.url}/mcp`, 'POST')).dpop ?? '' },
    ];
    for (const headers of stolen)
      assert.equal((await fetch(url, { ...init, headers: { ...type, ...headers } })).status, 401);
    const bearer = await (await workspace.agent('agent-bearer', { bearerOnly: true })).startTask({
      template: 'reads',
      intent: 'x',
    });
    assert.equal((await ask(bearer, { provider: 'orders' })).body.title, 'token.unbound');
    const other = await thief.fetch(`${url}/${mine.body.lease}`);
    assert.equal(other.status, 404);
    assert.equal((await thief.fetch(`${url}/${mine.body.lease}/end`, { method: 'POST' })).status, 404);
    const own = await task.fetch(`${url}/${mine.body.lease}`);
    assert.equal(((await own.json()) as { state: string }).state, 'active');
    const ended = await task.fetch(`${url}/${mine.body.lease}/end`, { method: 'POST' });
    assert.equal(ended.status, 200);
    await until(async () => (await scene.roles()).length === 0);
  });

  /** @proves direct.approved */
  test('at tier 3 a person approves provider, scope and life; the same is given again while it is good, and anything else waits anew', async () => {
    const { workspace } = scene;
    const task = await begin('careful');
    const waiting = await ask(task, { provider: 'grave' });
    assert.equal(waiting.status, 202, JSON.stringify(waiting.body));
    assert.equal(waiting.headers.get('retry-after'), '5');
    const { id = '', url } = waiting.body.approval ?? {};
    assert.equal(url, `${workspace.url}/approvals/${id}`);
    assert.deepEqual((await ask(task, { provider: 'grave' })).body.approval?.id, id, 'asked twice is one question');
    const person = await approver();
    const asked = await person.api('GET /approvals/:id', { params: { id } });
    assert.match(asked.decision.reason, /on no record here.*ends with its task/);
    assert.deepEqual(asked.arguments, {
      scope: { grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }] },
      seconds: 300,
      residual: 'It ends with its task, by a kill, or when it is revoked.',
    });
    // Shown from what was asked for, not from a tool server that has the provider's name.
    const { credential } = await person.api('GET /approvals/:id/context', { params: { id } });
    assert.deepEqual(
      [credential?.provider, credential?.scope, credential?.problem],
      ['grave', (asked.arguments as { scope: unknown }).scope, null],
    );
    assert.deepEqual(await scene.roles(), [], 'nothing is made before somebody said yes');
    await person.approve(id);

    const longer = await ask(task, { provider: 'grave', seconds: 301 });
    assert.equal(longer.status, 202, 'the yes is to 300 s');
    const first = await ask(task, { provider: 'grave' });
    assert.equal(first.status, 200);
    const again = await ask(task, { provider: 'grave' });
    assert.equal(again.body.lease, first.body.lease);
    assert.deepEqual(again.body.credential, first.body.credential);
    assert.notEqual(again.body.action_id, first.body.action_id);
    const records = (await recordsOf(task.id)).filter(({ kind }) => kind === 'dispatch');
    assert.deepEqual(
      records.map(({ approval }) => approval),
      [id, id],
    );

    await workspace.operator('POST /leases/:id/revoke', { params: { id: String(first.body.lease) }, body: {} });
    const next = await ask(task, { provider: 'grave' });
    assert.equal(next.status, 202, 'what was revoked is not made again on the same yes');
    assert.notEqual(next.body.approval?.id, id);
    await person.api('POST /approvals/:id/deny', {
      params: { id: next.body.approval?.id ?? '' },
      body: { reason: 'no' },
    });
    const denied = await ask(task, { provider: 'grave' });
    assert.ok([202, 403].includes(denied.status), JSON.stringify(denied.body));
    await task.end();
  });

  /** @proves direct.approved */
  test('one yes is one credential, however often it is asked for at once', async () => {
    const task = await begin('careful');
    const { body } = await ask(task, { provider: 'grave', seconds: 120 });
    await (await approver()).approve(body.approval?.id ?? '');
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(task, { provider: 'grave', seconds: 120 })));
    const given = answers.filter(({ status }) => status === 200);
    assert.ok(given.length > 0);
    assert.equal(new Set(given.map((each) => each.body.lease)).size, 1);
    assert.deepEqual(
      answers.filter(({ status }) => status !== 200 && status !== 202).map((each) => each.body),
      [],
    );
    assert.equal((await leasesOf(task.id)).length, 1);
    await task.end();
  });

  /** @proves direct.off */
  test('a task that was handed on gets what those before it could have had as well, and no more', async () => {
    const worker = await (agents.get('agent-b') ?? scene.workspace.agent('agent-b'));
    const taken = async (from: string) =>
      worker.takeOver(await (await begin(from)).token(), { template: 'reads', intent: 'help' });
    const refused = await ask(await taken('all'), { provider: 'orders' });
    assert.deepEqual(
      [refused.status, refused.body.title],
      [403, 'credential.not-in-template'],
      JSON.stringify(refused.body),
    );
    const both = await taken('reads');
    assert.equal((await ask(both, { provider: 'orders' })).status, 200);
    await both.end();
  });

  /** @proves direct.ends */
  test('a suspended task gets none', async () => {
    const task = await begin('reads');
    await scene.workspace.operator('POST /tasks/:id/suspend', { params: { id: task.id }, body: { reason: 'test' } });
    const { status, body } = await ask(task, { provider: 'orders' });
    assert.deepEqual([status, body.title], [403, 'task.suspended'], JSON.stringify(body));
    assert.deepEqual(await leasesOf(task.id), []);
    await task.end().catch(() => undefined);
  });

  /** @proves direct.idempotent */
  test('asked again with its idempotency key it is the same; another request with that key is an error', async () => {
    const task = await begin('reads');
    const headers = { 'idempotency-key': 'one' };
    const [a, b] = await Promise.all([
      ask(task, { provider: 'orders' }, headers),
      ask(task, { provider: 'orders' }, headers),
    ]);
    assert.deepEqual([a.status, b.status], [200, 200], JSON.stringify([a.body, b.body]));
    assert.equal(a.body.lease, b.body.lease);
    const other = await ask(task, { provider: 'orders', seconds: 200 }, headers);
    assert.deepEqual([other.status, other.body.title], [409, 'idempotency.differs']);
    await task.end();
  });

  /** @proves lease.clamped */
  test('shorter than was asked for is said: to whoever asks, in the lease, on record, and to whoever approves it', async () => {
    const { workspace } = scene;
    const task = await begin('reads', 'agent-brief');
    const { body } = await ask(task, { provider: 'orders', seconds: 3_000 });
    const owners = "the agent's owner allows 200 s";
    const why = ['no more than 600 s are handed out', owners];
    assert.deepEqual(body.clamped, why, JSON.stringify(body));
    assert.deepEqual(
      (await leasesOf(task.id)).map(({ clamped }) => clamped),
      [why],
    );
    assert.match(JSON.stringify(await recordsOf(task.id)), /"no longer, as no more than 600 s are handed out"/);
    assert.equal((await ask(task, { provider: 'orders', seconds: 100 })).body.clamped, undefined);
    await task.end();
    const careful = await begin('careful', 'agent-brief');
    const waiting = await ask(careful, { provider: 'grave', seconds: 800 });
    const id = waiting.body.approval?.id ?? '';
    const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
    const { seconds, clamped } = approval.arguments as { seconds: number; clamped: string[] };
    assert.deepEqual([seconds, clamped], [200, [owners]]);
    await careful.end();
  });

  /** @proves direct.idempotent */
  test('nobody is asked to approve what its idempotency key can’t get', async () => {
    const { workspace } = scene;
    const task = await begin('careful');
    const headers = { 'idempotency-key': 'one' };
    const { body } = await ask(task, { provider: 'grave', seconds: 250 }, headers);
    await (await approver()).approve(body.approval?.id ?? '');
    const given = await ask(task, { provider: 'grave', seconds: 250 }, headers);
    assert.equal(given.status, 200, JSON.stringify(given.body));
    const other = await ask(task, { provider: 'grave', seconds: 200 }, headers);
    assert.deepEqual([other.status, other.body.title], [409, 'idempotency.differs']);
    await workspace.operator('POST /leases/:id/revoke', { params: { id: String(given.body.lease) }, body: {} });
    const over = await ask(task, { provider: 'grave', seconds: 250 }, headers);
    assert.deepEqual([over.status, over.body.title], [409, 'lease.ended']);
    assert.match(String(over.body.detail), /Ask with a new key/);
    await task.end();
  });

  /** @proves direct.limited */
  test('a task is handed so many and no more', async () => {
    const task = await begin('reads');
    const answers = [];
    for (const seconds of [100, 101, 102, 103]) answers.push(await ask(task, { provider: 'orders', seconds }));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 429],
    );
    assert.equal(answers[3]?.body.title, 'credential.limit');
    assert.equal((await ask(task, { provider: 'orders', seconds: 100 })).status, 200, 'what it has is given again');
    await task.end();
  });

  /** @proves direct.ends */
  test('a suspended agent gets none, and a kill ends what it has, with the sessions', async () => {
    const { workspace } = scene;
    const task = await begin('reads', 'agent-b');
    const { body } = await ask(task, { provider: 'orders' });
    const client = await signIn(body.credential);
    await workspace.operator('POST /agents/:name/state', {
      params: { name: 'agent-b' },
      body: { state: 'suspended', reason: 'test' },
    });
    assert.equal((await ask(task, { provider: 'orders' })).status, 401);
    await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.equal((await ask(task, { provider: 'orders' })).status, 401);
    await until(async () => (await scene.roles()).length === 0);
    await assert.rejects(client.query('select 1'));
    await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-b' }, body: { state: 'active' } });
  });

  /** @proves direct.off */
  test('a task that has read untrusted content and sensitive data waits for a person, also at tier 2', async () => {
    const task = await begin('reads');
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const call = (name: string, args: Record<string, unknown>) => client.callTool({ name, arguments: args });
    await call('shop__get_order', { order: 1042 });
    assert.equal((await ask(task, { provider: 'orders' })).status, 200, 'sensitive data alone');
    await call('shop__get_ticket', { ticket: 7 });
    const { status, body } = await ask(task, { provider: 'orders', seconds: 60 });
    assert.equal(status, 202, JSON.stringify(body));
    assert.match(String(body.detail), /reaches out|untrusted/);
    await client.close();
    await task.end();
  });
});
