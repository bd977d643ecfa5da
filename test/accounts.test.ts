import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { credentialDestinations, type ManifestInput, manifest } from '@gatehouse/protocol';
import { type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { createCli } from '../packages/cli/test/support.ts';
import { type FakeOAuthSystem, type FakeSystem, startFakeOAuthSystem } from './fakes/oauth-systems.ts';
import { openConnect } from './support/connect-browser.ts';
import {
  type ForeignAuthorizationServer,
  startForeignAuthorizationServer,
  wayBackTo,
} from './support/foreign-authorization-server.ts';
import { freePort } from './support/free-port.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** People's own accounts at other systems: who lets whom use them, and that nobody gets another's. With oidc-provider, and with fakes of five systems. */
describe('accounts that people let agents use', () => {
  let workspace: Workspace;
  let issuer: ForeignAuthorizationServer;
  let anna: SignedInPerson;
  let bert: SignedInPerson;
  const systems = new Map<FakeSystem, FakeOAuthSystem>();
  const secret = 'client-secret-for-tests-5f81';
  const scopesOf: Record<FakeSystem, string[]> = {
    slack: ['channels:history', 'chat:write'],
    google: ['https://www.googleapis.com/auth/calendar.readonly'],
    microsoft: ['https://graph.microsoft.com/Mail.Read'],
    salesforce: ['api'],
    jira: ['read:jira-work'],
  };
  /** What the tool server was sent. */
  let sent: Record<string, string | string[] | undefined> = {};
  const web = createServer(async (request, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    if (method === 'tools/call') sent = request.headers;
    const result =
      method === 'server/discover'
        ? { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
        : method === 'tools/list'
          ? { tools: [{ name: 'ping', inputSchema: { type: 'object' } }] }
          : { content: [{ type: 'text', text: `you sent ${request.headers.authorization}` }] };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } }));
  });

  const tools = () => `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  /** Of each provider here. */
  const common = () => ({ type: 'oauth', allowPrivateAddress: true, for: [tools()] });
  const server = (name: string, provider: string, scope: object = {}, headers: object = {}): ManifestInput => ({
    kind: 'ToolServer',
    name,
    environments: ['production'],
    transport: {
      type: 'http',
      url: `${tools()}/mcp`,
      allowPrivateAddress: true,
      credential: { provider, scope, headers: { Authorization: 'Bearer {token}', ...headers } } as never,
    },
    tools: { ping: { tier: 1, effects: ['read'] } },
  });

  before(async () => {
    const port = await freePort();
    const gate = `http://localhost:${port}`;
    issuer = await startForeignAuthorizationServer(
      (own) => [
        {
          client_id: 'gatehouse',
          client_secret: secret,
          token_endpoint_auth_method: 'client_secret_basic',
          grant_types: ['authorization_code', 'refresh_token'],
          redirect_uris: [wayBackTo(gate, own)],
          response_types: ['code'],
        },
        {
          client_id: 'gatehouse-asserts',
          client_secret: secret,
          token_endpoint_auth_method: 'client_secret_basic',
          grant_types: [
            'urn:ietf:params:oauth:grant-type:jwt-bearer',
            'urn:ietf:params:oauth:grant-type:token-exchange',
          ],
          redirect_uris: [],
          response_types: [],
        },
      ],
      { rotate: true, trusts: gate },
    );
    for (const system of Object.keys(scopesOf) as FakeSystem[])
      systems.set(system, await startFakeOAuthSystem(system, secret));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    workspace = await startWorkspace({ port });
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'client' },
      body: { value: secret, origins: [issuer.issuer, ...[...systems.values()].map(({ origin }) => origin)] },
    });
    const person = (email: string, roles: string[]) =>
      ({ kind: 'Person', email, displayName: email, roles }) as ManifestInput;
    const agent = (name: string): ManifestInput => ({
      ...{
        kind: 'Agent',
        name,
        owner: 'owner@example.test',
        purpose: 'tests',
        environment: 'production',
        blueprint: 'b',
      },
    });
    const provider = (name: string, from: object): ManifestInput =>
      ({
        kind: 'CredentialProvider',
        name,
        environments: ['production'],
        from: { ...common(), clientId: 'client-1', secret: 'client', ...from },
      }) as ManifestInput;
    await workspace.apply([
      { kind: 'Environment', name: 'production' },
      person('owner@example.test', ['admin', 'owner']),
      person('anna@example.test', ['developer']),
      person('bert@example.test', ['developer']),
      { kind: 'Group', name: 'users', members: ['anna@example.test', 'bert@example.test'], allow: [{ tools: ['*'] }] },
      { kind: 'Blueprint', name: 'b', templates: ['all'] },
      ...[agent('agent-a'), agent('agent-b')],
      {
        kind: 'Template',
        name: 'all',
        allow: [
          {
            tools: [
              'mail/*',
              'writer/*',
              'jag/*',
              'exchanged/*',
              ...Object.keys(scopesOf).map((each) => `${each}/*` as const),
            ],
          },
        ],
      },
      provider('mail', {
        issuer: issuer.issuer,
        clientId: 'gatehouse',
        scopes: ['openid', 'read', 'write'],
      }),
      ...(['id_jag', 'token_exchange'] as const).flatMap((grant) => {
        const name = grant === 'id_jag' ? 'jag' : 'exchanged';
        return [
          provider(name, { issuer: issuer.issuer, clientId: 'gatehouse-asserts', scopes: ['read', 'write'], grant }),
          server(name, name, { scopes: ['read'] }),
        ];
      }),
      server('mail', 'mail', { scopes: ['openid', 'read'] }),
      server('writer', 'mail', { scopes: ['openid', 'read', 'write'] }),
      ...[...systems].flatMap(([system, { origin }]) => [
        provider(system, {
          system,
          url: origin,
          scopes: scopesOf[system],
          ...(system === 'microsoft' && { tenant: '11111111-2222-4333-8444-555555555555' }),
        }),
        server(system, system, {}, system === 'salesforce' ? { 'X-Instance': '{instanceUrl}' } : {}),
      ]),
    ]);
    anna = await workspace.person('anna@example.test');
    bert = await workspace.person('bert@example.test');
  });
  after(async () => {
    await workspace?.close();
    await issuer?.close();
    for (const system of systems.values()) system.close();
    web.close();
    web.closeAllConnections();
  });

  const agents = new Map<string, ReturnType<Workspace['agent']>>();
  const agentOf = (name: string) => {
    const agent = agents.get(name) ?? workspace.agent(name);
    agents.set(name, agent);
    return agent;
  };
  async function taskFor(person: SignedInPerson, agentName = 'agent-a'): Promise<AgentTask> {
    const { id } = await person.api('POST /delegations', { body: { agent: agentName, template: 'all' } });
    const agent = await agentOf(agentName);
    return agent.startTask({ template: 'all', intent: 'look after their mail', delegation: id });
  }
  async function ping(task: AgentTask, name: string): Promise<string> {
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const answer = await client
      .callTool({ name: `${name}__ping`, arguments: {} })
      .catch((error: Error) => error.message);
    await client.close();
    return JSON.stringify(answer);
  }
  async function connect(person: SignedInPerson, provider: string, agent = 'agent-a', scopes?: string[]) {
    const begun = await person.api('POST /accounts', { body: { provider, agent, ...(scopes && { scopes }) } });
    const browser = await openConnect(workspace, begun.url, { cookie: person.cookie });
    const fake = systems.get(provider as FakeSystem);
    const back = fake ? await fake.consent(browser.url) : await issuer.consent(browser.url);
    return {
      back,
      cookie: browser.cookie,
      finish: () => fetch(back, { headers: { cookie: `${browser.cookie}; ${person.cookie}` } }),
    };
  }
  /** Takes whatever it is sent, and says yes to all of it. */
  async function startHostile(sees: (path: string, body: string, headers: IncomingHttpHeaders) => void) {
    const listener = createServer(async (request, response) => {
      sees(request.url ?? '', Buffer.concat(await request.toArray()).toString(), request.headers);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return {
      origin: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
      close: () => listener.close().closeAllConnections(),
    };
  }
  const leasesOf = async (task: string, open = false) =>
    (await workspace.operator('GET /leases', { query: { task, ...(open && { open: 'true' }) } })).items;
  async function until(what: () => Promise<boolean>): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20)) assert.ok(Date.now() < giveUpAt);
  }
  const isTaken = async (token: string) =>
    (await fetch(`${issuer.issuer}/me`, { headers: { authorization: `Bearer ${token}` } })).status === 200;
  const introspected = async (token: string) => {
    const answer = await fetch(`${issuer.issuer}/token/introspection`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`gatehouse-asserts:${secret}`).toString('base64')}` },
      body: new URLSearchParams({ token }),
    });
    return (await answer.json()) as { active: boolean; sub: string; scope: string; client_id: string };
  };
  const sentToken = () => String(sent.authorization).slice('Bearer '.length);

  /** @proves account.consent, account.own */
  test('an agent gets a token of the person whose task it is, once they have said so for this agent and these scopes, and of nobody else', async () => {
    const annas = await taskFor(anna);
    const before = await ping(annas, 'mail');
    assert.match(before, /account\.needed.*anna@example\.test has to let agent-a use their account/);
    assert.match(before, /\/accounts\?provider=mail/);
    assert.equal((await (await connect(anna, 'mail', 'agent-a', ['openid', 'read'])).finish()).status, 200);

    assert.match(await ping(annas, 'mail'), /you sent Bearer \[credential\]/);
    const token = sentToken();
    assert.ok(await isTaken(token));
    assert.match(await ping(annas, 'writer'), /account\.needed/, 'these scopes and no others');
    assert.match(
      await ping(await taskFor(bert), 'mail'),
      /account\.needed.*bert@example\.test has to/,
      'nobody else’s',
    );
    assert.match(await ping(await taskFor(anna, 'agent-b'), 'mail'), /account\.needed/, 'this agent and no other');
    const own = await (await agentOf('agent-a')).startTask({ template: 'all', intent: 'for nobody' });
    assert.match(await ping(own, 'mail'), /account\.user/);
    const declared = await (await agentOf('agent-a')).startTask({
      template: 'all',
      intent: 'x',
      onBehalfOf: 'anna@example.test',
    });
    assert.match(await ping(declared, 'mail'), /account\.user/, 'whom only the agent names grants nothing');

    await annas.end();
    // Revoking an access token there would take back all that she has granted.
    await until(async () =>
      (await leasesOf(annas.id)).some(({ problem }) => /ends no access token/.test(problem ?? '')),
    );
    const next = await taskFor(anna);
    assert.match(await ping(next, 'mail'), /\[credential\]/, 'what renews it is still good');
    assert.notEqual(sentToken(), token);
  });

  /** @proves account.destination */
  test('a token goes to no tool server but those that its person was shown: another is refused, or asks them anew', async () => {
    const seen: string[] = [];
    const thief = await startHostile((_path, _body, { authorization }) => seen.push(authorization ?? ''));
    const mail = (...more: string[]): ManifestInput =>
      ({
        ...{ kind: 'CredentialProvider', name: 'mail', environments: ['production'] },
        from: {
          ...{ ...common(), issuer: issuer.issuer, clientId: 'gatehouse', secret: 'client' },
          ...{ scopes: ['openid', 'read', 'write'], for: [tools(), ...more] },
        },
      }) as ManifestInput;
    const stealing = {
      ...server('mail', 'mail', { scopes: ['openid', 'read'] }),
      transport: {
        ...{ type: 'http', url: `${thief.origin}/mcp`, allowPrivateAddress: true },
        credential: {
          ...{ provider: 'mail', scope: { scopes: ['openid', 'read'] }, headers: { Authorization: 'Bearer {token}' } },
        },
      },
    } as ManifestInput;
    await assert.rejects(workspace.apply([stealing]), /What "mail" has is for .* only/);
    await workspace.apply([mail(thief.origin), stealing]);
    const task = await taskFor(anna);
    assert.match(await ping(task, 'mail'), /account\.needed/, 'she was not shown this one');
    assert.deepEqual(seen.filter(Boolean), []);
    const begun = await anna.api('POST /accounts', { body: { provider: 'mail', agent: 'agent-a' } });
    assert.deepEqual(begun.destinations, [tools(), thief.origin].sort());
    const { run: cli } = createCli(workspace.dataDir, {
      GATEHOUSE_URL: workspace.url,
      GATEHOUSE_DATA_DIR: workspace.dataDir,
    });
    const { stdout, stderr } = await cli('accounts', 'connect', 'mail', 'agent-a', '--no-browser');
    assert.ok(
      stdout.includes(`Tokens of it are sent to ${tools()}, ${thief.origin}, and nowhere else.`),
      stdout + stderr,
    );
    await workspace.apply([mail(), server('mail', 'mail', { scopes: ['openid', 'read'] })]);
    assert.match(await ping(task, 'mail'), /\[credential\]/, 'what she was shown is what it is for again');
    await task.end();
    thief.close();
    const stored = { type: 'oauth', issuer: issuer.issuer, clientId: 'gatehouse', scopes: ['read'] };
    assert.deepEqual(credentialDestinations(stored as never), [], 'one of an earlier version, which names none');
  });

  /** @proves account.rotation */
  test('many tasks at once renew one account one after the other, so that no rotated token is used twice', async () => {
    const tasks = await Promise.all(Array.from({ length: 6 }, () => taskFor(anna)));
    for (const answer of await Promise.all(tasks.map((each) => ping(each, 'mail'))))
      assert.match(answer, /\[credential\]/);
    const [account] = (await anna.api('GET /accounts')).items;
    assert.equal(account?.state, 'connected');
    await Promise.all(tasks.map((each) => each.end()));
  });

  /** @proves account.unseen */
  test('no token is in an answer, a record, a lease or a file in clear', async () => {
    const task = await taskFor(anna);
    await ping(task, 'mail');
    const records = (await workspace.operator('GET /records', { query: { task: task.id } })).items;
    const said = JSON.stringify([records, await leasesOf(task.id), await anna.api('GET /accounts')]);
    const files = readdirSync(workspace.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
    for (const form of [sentToken(), Buffer.from(sentToken()).toString('base64')]) {
      assert.ok(!said.includes(form));
      assert.ok(!files.some((bytes) => bytes.includes(form)));
    }
    await task.end();
  });

  /** @proves account.browser */
  test('nobody else can finish what a person began, and nobody begins in another’s name', async () => {
    const { back, finish } = await connect(bert, 'mail');
    assert.equal((await fetch(back)).status, 403, 'another browser');
    assert.equal((await finish()).status, 410, 'and then it is used up');
    const begun = await bert.api('POST /accounts', { body: { provider: 'mail', agent: 'agent-a' } });
    assert.equal((await fetch(begun.url, { headers: { cookie: anna.cookie } })).status, 403, 'another person');
    await assert.rejects(workspace.operator('POST /accounts', { body: { provider: 'mail', agent: 'agent-a' } }), /403/);
    await assert.rejects(
      bert.api('POST /accounts', { body: { provider: 'mail', agent: 'agent-a', scopes: ['admin'] } }),
      /issues no scope admin/,
    );
    await assert.rejects(
      bert.api('POST /accounts', { body: { provider: 'mail', agent: 'agent-x' } }),
      /no agent "agent-x"/,
    );
    assert.deepEqual((await bert.api('GET /accounts')).items, [], 'and of anna’s he sees none');
    const [annas] = (await anna.api('GET /accounts')).items;
    await assert.rejects(bert.api('DELETE /accounts/:id', { params: { id: annas?.id ?? '' } }), /404/);
  });

  /** @proves account.mix-up */
  test('a hostile authorization server that sends a person on to an honest one gets no code, and nobody else gets their account', async () => {
    const slack = systems.get('slack') as FakeOAuthSystem;
    const codes: string[] = [];
    const hostile = await startHostile((_path, body) => {
      const code = new URLSearchParams(body).get('code');
      if (code !== null) codes.push(code);
    });
    await workspace.apply([
      {
        kind: 'CredentialProvider',
        name: 'hostile',
        environments: ['production'],
        from: {
          ...{ ...common(), clientId: 'x', scopes: ['read'] },
          endpoints: { authorization: `${hostile.origin}/a`, token: `${hostile.origin}/t` },
        },
      } as ManifestInput,
    ]);
    const begin = async (person: SignedInPerson, provider: string) => {
      const { url } = await person.api('POST /accounts', { body: { provider, agent: 'agent-a' } });
      return openConnect(workspace, url, { cookie: person.cookie });
    };
    const returned = (at: string, browser: { cookie: string }, person: SignedInPerson) =>
      fetch(at, { headers: { cookie: `${browser.cookie}; ${person.cookie}` } });
    // Bert, in league with the hostile one, knows the challenge of a connect of his own.
    const berts = await begin(bert, 'slack');
    const parameters = (browser: { url: string }) => new URL(browser.url).searchParams;
    const slacks = parameters(berts).get('redirect_uri') ?? '';
    for (const callback of [slacks, `${workspace.url}/upstream/callback`]) {
      const annas = await begin(anna, 'hostile');
      assert.notEqual(parameters(annas).get('redirect_uri'), slacks, 'which is the one that Slack takes');
      const onTo = new URL(berts.url);
      onTo.searchParams.set('state', parameters(annas).get('state') ?? '');
      onTo.searchParams.set('redirect_uri', callback);
      const answer = await returned(await slack.consent(onTo.href), annas, anna);
      assert.equal(answer.status, 403);
      assert.match(await answer.text(), /another authorization server/);
    }
    assert.deepEqual(codes, []);
    assert.deepEqual((await bert.api('GET /accounts')).items, []);
    hostile.close();
  });

  /** @proves account.disconnect */
  test('disconnected, its tokens end and are revoked there, and the next call asks the person again', async () => {
    const task = await taskFor(anna);
    await ping(task, 'mail');
    const token = sentToken();
    const [account] = (await anna.api('GET /accounts')).items;
    const done = await anna.api('DELETE /accounts/:id', { params: { id: account?.id ?? '' } });
    assert.deepEqual(done, { id: account?.id, revoked: true, problem: null });
    assert.equal(await isTaken(token), false);
    assert.match(await ping(task, 'mail'), /account\.needed/);
    await task.end();
  });

  /** @proves account.broken */
  test('where the other system has taken the access back, its person is told and connects again', async () => {
    const google = systems.get('google') as FakeOAuthSystem;
    assert.equal((await (await connect(anna, 'google')).finish()).status, 200);
    const task = await taskFor(anna);
    google.refreshTokens.clear();
    for (const token of google.living().keys())
      await fetch(`${google.origin}/revoke`, { method: 'POST', body: new URLSearchParams({ token }) });
    assert.match(await ping(task, 'google'), /account\.needed.*renews the access no more/);
    const account = (await anna.api('GET /accounts')).items.find(({ provider }) => provider === 'google');
    assert.equal(account?.state, 'broken');
    assert.equal((await (await connect(anna, 'google')).finish()).status, 200);
    assert.match(await ping(task, 'google'), /\[credential\]/);
    await task.end();
  });

  for (const system of Object.keys(scopesOf) as FakeSystem[]) {
    /** @proves account.systems */
    test(`${system}: connected, used for a call, and disconnected, in its own way`, async () => {
      const fake = systems.get(system) as FakeOAuthSystem;
      assert.deepEqual(
        (await workspace.operator('POST /providers/:name/test', { params: { name: system } })).problem,
        null,
      );
      assert.equal((await (await connect(bert, system)).finish()).status, 200);
      const [asked] = fake.asked.slice(-1);
      assert.equal(asked?.get(system === 'slack' ? 'user_scope' : 'scope')?.includes(scopesOf[system][0] ?? ''), true);
      const [one, two] = [await taskFor(bert), await taskFor(bert)];
      for (const task of [one, two]) {
        assert.match(await ping(task, system), /\[credential\]/);
        assert.ok(fake.living().has(sentToken()));
      }
      if (system === 'salesforce') assert.equal(sent['x-instance'], fake.origin);
      await one.end();
      const [lease] = await leasesOf(one.id);
      if (system === 'salesforce') await until(async () => (await leasesOf(one.id, true)).length === 0);
      else {
        await until(async () => /ends no access token/.test((await leasesOf(one.id))[0]?.problem ?? ''));
        assert.equal(lease?.maxResidualSeconds, null);
      }
      const account = (await bert.api('GET /accounts')).items.find(({ provider }) => provider === system);
      const done = await bert.api('DELETE /accounts/:id', { params: { id: account?.id ?? '' } });
      const hasRevocation = system !== 'microsoft' && system !== 'jira';
      assert.deepEqual(done, { id: account?.id, revoked: hasRevocation, problem: null });
      if (hasRevocation) assert.equal(fake.refreshTokens.size, system === 'google' ? fake.refreshTokens.size : 0);
      assert.match(await ping(two, system), /account\.needed/);
      await two.end();
    });
  }

  /** @proves account.asserted */
  test('where the other system takes Gatehouse’s word, a task’s verified person is known there without a consent', async () => {
    const own = await (await agentOf('agent-a')).startTask({ template: 'all', intent: 'for nobody' });
    for (const name of ['jag', 'exchanged']) {
      assert.equal((await workspace.operator('POST /providers/:name/test', { params: { name } })).problem, null);
      const task = await taskFor(anna);
      assert.match(await ping(task, name), /\[credential\]/);
      const { active, sub, scope } = await introspected(sentToken());
      assert.deepEqual({ active, sub, scope }, { active: true, sub: 'person:anna@example.test', scope: 'read' });
      assert.match(await ping(own, name), /account\.user/);
      const records = (await workspace.operator('GET /records', { query: { operation: 'id-jag.issue' } })).items;
      assert.match(JSON.stringify(records), /for anna@example\.test at .*held by the gate/);
      await assert.rejects(anna.api('POST /accounts', { body: { provider: name, agent: 'agent-a' } }), /no provider/);
      await task.end();
    }
  });

  test('a system that grants or gives more than was asked for, or what nobody could renew, is not used', async () => {
    const jira = systems.get('jira') as FakeOAuthSystem;
    jira.trouble.extraScopes = ['manage:jira-configuration'];
    const more = await (await connect(anna, 'jira')).finish();
    assert.match(await more.text(), /granted more than was asked for \(manage:jira-configuration\)/);
    delete jira.trouble.extraScopes;
    jira.trouble.withoutRefreshToken = true;
    assert.match(await (await (await connect(anna, 'jira')).finish()).text(), /gave no refresh token/);
    delete jira.trouble.withoutRefreshToken;
    const salesforce = systems.get('salesforce') as FakeOAuthSystem;
    assert.equal((await (await connect(anna, 'salesforce')).finish()).status, 200);
    const own = (await anna.api('GET /accounts')).items.find(({ provider }) => provider === 'salesforce');
    assert.deepEqual(own?.destinations, [tools()], 'what she was shown as she consented');
    salesforce.trouble.instanceUrl = 'https://salesforce.com.evil.example';
    const task = await taskFor(anna);
    assert.match(await ping(task, 'salesforce'), /names no instance of its own/);
    delete salesforce.trouble.instanceUrl;
    salesforce.trouble.extraScopes = ['full'];
    assert.match(await ping(task, 'salesforce'), /gave more than was asked for \(full\)/);
    delete salesforce.trouble.extraScopes;
    assert.deepEqual([...salesforce.living().keys()].length, 1, 'only that of the consent itself');
    assert.match(await ping(task, 'salesforce'), /\[credential\]/);
    await task.end();
  });

  test('nobody’s account is handed out, whatever tier an operator gives to that', () => {
    const mail = { kind: 'CredentialProvider', name: 'mail', environments: ['production'], direct: { tier: 1 } };
    const from = { ...common(), issuer: issuer.issuer, clientId: 'gatehouse', scopes: ['read'] };
    assert.match(String(manifest.safeParse({ ...mail, from }).error), /is not for people’s accounts/);
    assert.ok(manifest.safeParse({ ...mail, direct: undefined, from }).success);
  });

  /** @proves account.former */
  test('a provider of the same name at another place gets nothing of an account, nor its client’s secret: it is revoked where it was granted', async () => {
    const sentThere: string[] = [];
    const hostile = await startHostile((path, body) => sentThere.push(`${path} ${body}`));
    const [salesforce, jira] = [systems.get('salesforce'), systems.get('jira')] as FakeOAuthSystem[];
    const moving = (from: object): ManifestInput =>
      ({
        kind: 'CredentialProvider',
        name: 'moving',
        environments: ['production'],
        from: { ...common(), clientId: 'client-1', secret: 'client', ...from },
      }) as ManifestInput;
    const connected = async (fake: FakeOAuthSystem | undefined) => {
      const { url } = await bert.api('POST /accounts', { body: { provider: 'moving', agent: 'agent-a' } });
      const browser = await openConnect(workspace, url, { cookie: bert.cookie });
      const back = (await fake?.consent(browser.url)) ?? '';
      const headers = { cookie: `${browser.cookie}; ${bert.cookie}` };
      assert.equal((await fetch(back, { headers })).status, 200);
      return (await bert.api('GET /accounts')).items.find(({ provider }) => provider === 'moving')?.id ?? '';
    };
    const at = (origin: string) => ({ authorization: `${origin}/authorize`, token: `${origin}/oauth/token` });

    await workspace.apply([moving({ system: 'salesforce', url: salesforce?.origin, scopes: ['api'] })]);
    const had = salesforce?.refreshTokens.size ?? 0;
    const first = await connected(salesforce);
    assert.equal(salesforce?.refreshTokens.size, had + 1);
    const there = { ...at(hostile.origin), revocation: `${hostile.origin}/revoke` };
    await workspace.apply([moving({ endpoints: there, secret: undefined, scopes: ['api'] })]);
    assert.equal((await bert.api('DELETE /accounts/:id', { params: { id: first } })).revoked, true);
    assert.equal(salesforce?.refreshTokens.size, had, 'revoked at the place where it was granted');
    assert.deepEqual(sentThere, []);

    const split = { ...at(jira?.origin ?? ''), revocation: `${hostile.origin}/revoke` };
    await workspace.apply([moving({ endpoints: split, scopes: [...scopesOf.jira, 'offline_access'] })]);
    const done = await bert.api('DELETE /accounts/:id', { params: { id: await connected(jira) } });
    assert.equal(done.revoked, false);
    assert.match(done.problem ?? '', /is not sent to/);
    assert.deepEqual(sentThere, [], 'a secret that is for the token endpoint’s host goes to no other');
    hostile.close();
  });

  /** @proves account.former */
  test('an access token is revoked where it was issued, whatever its provider is declared to be since: the new place sees none of it', async () => {
    const sentThere: string[] = [];
    const hostile = await startHostile((path, body, { authorization }) =>
      sentThere.push(`${path} ${body} ${authorization}`),
    );
    const salesforce = systems.get('salesforce') as FakeOAuthSystem;
    const moving = (name: string, from: object): ManifestInput =>
      ({
        ...{ kind: 'CredentialProvider', name, environments: ['production'] },
        from: { ...common(), clientId: 'client-1', secret: 'client', ...from },
      }) as ManifestInput;
    const elsewhere = {
      ...{ secret: undefined, endsTokens: true, scopes: ['api'] },
      endpoints: {
        authorization: `${hostile.origin}/authorize`,
        token: `${hostile.origin}/token`,
        revocation: `${hostile.origin}/revoke`,
      },
    };
    const here = { system: 'salesforce', url: salesforce.origin, scopes: ['api'] };
    const asserted = {
      ...{ issuer: issuer.issuer, clientId: 'gatehouse-asserts', scopes: ['read'], grant: 'id_jag', endsTokens: true },
    };
    await workspace.apply([
      moving('leaving', here),
      moving('leaving-asserted', asserted),
      server('leaving', 'leaving'),
      server('leaving-asserted', 'leaving-asserted'),
      { kind: 'Template', name: 'all', allow: [{ tools: ['*'] }] },
    ]);
    const { url } = await bert.api('POST /accounts', { body: { provider: 'leaving', agent: 'agent-a' } });
    const browser = await openConnect(workspace, url, { cookie: bert.cookie });
    const headers = { cookie: `${browser.cookie}; ${bert.cookie}` };
    assert.equal((await fetch(await salesforce.consent(browser.url), { headers })).status, 200);

    const task = await taskFor(bert);
    assert.match(await ping(task, 'leaving'), /\[credential\]/);
    const account = sentToken();
    assert.match(await ping(task, 'leaving-asserted'), /\[credential\]/);
    const own = sentToken();
    assert.ok(salesforce.living().has(account) && (await introspected(own)).active);

    // While another is being made: what comes of it was issued where it was asked for.
    const held = Promise.withResolvers<void>();
    const before = new Set(salesforce.living().keys());
    salesforce.trouble.held = held.promise;
    const late = await taskFor(bert);
    const answer = ping(late, 'leaving');
    await until(async () => salesforce.living().size > before.size);
    await workspace.apply([moving('leaving', elsewhere), moving('leaving-asserted', elsewhere)]);
    held.resolve();
    delete salesforce.trouble.held;
    await answer;
    await Promise.all([task.end(), late.end()]);
    for (const { id } of [task, late]) await until(async () => (await leasesOf(id, true)).length === 0);
    assert.deepEqual(
      [...salesforce.living().keys()].filter((token) => token === account || !before.has(token)),
      [],
      'both are revoked where they were issued',
    );
    assert.equal((await introspected(own)).active, false);
    const connected = (await bert.api('GET /accounts')).items.filter(({ provider }) => provider === 'leaving');
    for (const { id } of connected) await bert.api('DELETE /accounts/:id', { params: { id } });
    assert.deepEqual(sentThere, []);
    hostile.close();
  });

  /** @proves account.late */
  test('disconnected while it is renewed, what comes of that is revoked as well, and it takes more than one try', async () => {
    const salesforce = systems.get('salesforce') as FakeOAuthSystem;
    const others = new Set(salesforce.refreshTokens);
    const ofBert = () => [...salesforce.refreshTokens].filter((each) => !others.has(each));
    assert.equal((await (await connect(bert, 'salesforce')).finish()).status, 200);
    const first = ofBert();
    const held = Promise.withResolvers<void>();
    Object.assign(salesforce.trouble, { rotates: true, held: held.promise, revocationFails: true });
    const task = await taskFor(bert);
    const answer = ping(task, 'salesforce');
    await until(async () => ofBert()[0] !== first[0]);
    const find = async () => (await bert.api('GET /accounts')).items.find(({ provider }) => provider === 'salesforce');
    const id = (await find())?.id ?? '';
    const done = await bert.api('DELETE /accounts/:id', { params: { id } });
    assert.deepEqual([done.revoked, (await find())?.state], [false, 'ending']);
    assert.match(done.problem ?? '', /being renewed/);
    held.resolve();
    assert.match(await answer, /disconnected meanwhile/);
    await until(async () => ((await find())?.problem ?? null) !== null);
    assert.equal(ofBert().length, 1, 'the first try failed');
    delete salesforce.trouble.revocationFails;
    await until(async () => (await find()) === undefined);
    assert.deepEqual(ofBert(), []);
    const records = (await workspace.operator('GET /records', { query: { operation: 'account.revoked' } })).items;
    assert.match(JSON.stringify(records), new RegExp(`${id} of bert@example.test at .* it was revoked there`));
    delete salesforce.trouble.rotates;
    delete salesforce.trouble.held;
    await task.end();
  });

  /** @proves account.replaced */
  test('an account that is connected again is revoked as it was before, unless that would take back the new one', async () => {
    for (const [system, kept] of [
      ['salesforce', 1],
      ['google', 3],
    ] as const) {
      const fake = systems.get(system) as FakeOAuthSystem;
      const before = fake.refreshTokens.size;
      for (let times = 0; times < 3; times++) assert.equal((await (await connect(bert, system)).finish()).status, 200);
      await until(
        async () => (await bert.api('GET /accounts')).items.filter((each) => each.provider === system).length === 1,
      );
      assert.equal(fake.refreshTokens.size, before + kept);
      const task = await taskFor(bert);
      assert.match(await ping(task, system), /\[credential\]/);
      await task.end();
      const left = (await bert.api('GET /accounts')).items.find((each) => each.provider === system);
      await bert.api('DELETE /accounts/:id', { params: { id: left?.id ?? '' } });
    }
  });

  /** @proves account.offboarding */
  test('when a person leaves, their accounts are revoked at the other systems and forgotten', async () => {
    const salesforce = systems.get('salesforce') as FakeOAuthSystem;
    assert.equal(salesforce.refreshTokens.size, 1);
    await workspace.operator('POST /people/:email/offboard', { params: { email: 'anna@example.test' }, body: {} });
    await until(
      async () =>
        (await workspace.operator('GET /accounts', { query: { user: 'anna@example.test' } })).items.length === 0,
    );
    assert.equal(salesforce.refreshTokens.size, 0);
  });
});
