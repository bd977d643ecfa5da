import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type ManifestInput, manifest, role } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { createSoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { Client } from '@modelcontextprotocol/client';
import type { ActionGroup } from '../packages/server/src/api/authorization/index.ts';
import { apiRoutes } from '../packages/server/src/api/index.ts';
import { manifests } from './support/fixtures.ts';
import { requestOf, signInAtTerminal, type Terminal, terminals } from './support/terminal.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Law 4 for the command line: an agent that shares the shell has its user's session with its key, and the user may have every role
 * that there is. It reads and administers; it says yes to nothing, and makes nobody who could.
 */
let workspace: Workspace;
let person: SignedInPerson;
let terminal: Terminal;
const everything = 'everything@example.test';

const routes = apiRoutes({ config: {} } as Parameters<typeof apiRoutes>[0]);

/** Every route that changes something is in one of these, or this test says that somebody has to think. */
const open = [
  ...['POST /signout', 'POST /logs/verify', 'POST /plan', 'POST /trust-rules/test', 'POST /servers/:name/refresh'],
  ...['POST /grants/:id/revoke', 'POST /break-glass', 'POST /break-glass/:id/end', 'POST /break-glass/:id/review'],
  // Within bounds that were fixed when it was issued.
  ...['POST /leases/:id/revoke', 'POST /leases/:id/renew'],
  'POST /providers/:name/test',
  'POST /channels/:name/test',
  ...[
    'DELETE /sessions/:id',
    'DELETE /push/subscriptions/:id',
    'POST /push/subscriptions/:id/test',
    'DELETE /delegations/:id',
    'DELETE /accounts/:id',
    'DELETE /deputies/:id',
    'POST /confirmations/:id/refuse',
    'POST /approvals/:id/deny',
  ],
  ...['POST /agents/:name/kill', 'POST /workloads/:name/kill', 'POST /tasks/:id/end', 'POST /tasks/end'],
  ...['DELETE /agents/:name/keys/:thumbprint', 'DELETE /agents/:name/join-tokens/:id', 'DELETE /scim/tokens/:id'],
  ...['DELETE /people/:email/sessions', 'DELETE /people/:email/sessions/:id', 'DELETE /secrets/:name'],
  ...[
    'POST /policy/explain',
    'POST /decide',
    'POST /evidence',
    'POST /results/:id/discard',
    'POST /policy/replay',
    'POST /policy/versions/:number/plan',
    'POST /tasks/:id/suspend',
  ],
  ...['POST /policy/check', 'POST /policy/proposals/:number/reject'],
  ...['POST /keys/:purpose/rotate', 'POST /trust-domain/rotate', 'POST /servers/:name/disconnect'],
  ...['POST /sinks/:name/test', 'POST /sinks/:name/resume'],
];
/** Open while they narrow, with this body; confirmed with the other. */
const byBody: Record<string, [open: object, confirmed: object]> = {
  'POST /agents/:name/state': [{ state: 'suspended' }, { state: 'active' }],
  'POST /workloads/:name/state': [{ state: 'suspended' }, { state: 'active' }],
  'POST /agents/state': [
    { names: ['agent-none'], state: 'retired' },
    { names: ['agent-none'], state: 'active' },
  ],
  'POST /people/:email/offboard': [{}, { successor: 'owner@example.test' }],
};
/** With a body that the route takes. */
const confirmed: Record<string, object> = {
  'POST /holds': { scope: { agent: 'agent-a' }, reason: 'litigation' },
  'POST /holds/:id/end': {},
  'POST /leases/:id/drop': { reason: 'a test' },
  'POST /leases/take-over': {},
  'POST /erasures': { scope: { agent: 'agent-a' }, reason: 'asked for' },
  'POST /erasures/:id/reject': {},
  'POST /retention/:name/withdraw': {},
  'POST /agents/:name/keys': { key: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } },
  'POST /actions/:id/resolve': { what: 'not-happened', note: 'a test' },
  'POST /agents/:name/baseline/accept': { tool: 'shop/get_order', reason: 'a test' },
  'POST /agents/:name/baseline/reset': { reason: 'a test' },
  'POST /agents/:name/join-tokens': { ttlSeconds: 60, addresses: [] },
  'POST /agents': {
    agents: [
      {
        kind: 'Agent',
        name: 'agent-new',
        owner: everything,
        purpose: 'tests',
        environment: 'production',
        blueprint: 'support',
      },
    ],
  },
  'POST /tasks': { tasks: [{ agent: 'agent-own', template: 'all', parameters: {}, intent: 'test' }] },
  'POST /tasks/:id/resume': {},
  'POST /policies/:name/remove': {},
  'POST /policy/versions/:number/rollback': {},
  'POST /apply': { manifests: [{ kind: 'Template', name: 'x-new', allow: [{ tools: ['shop/get_order'] }] }] },
  'POST /backup': {},
  'POST /keys/rewrap': {},
  'POST /servers/:name/connect': {},
  'POST /trust-domain/intermediate/request': {},
  'POST /trust-domain/intermediate/import': { chain: 'x' },
  'POST /trust-domain/root/forget': { id: 'x' },
  'POST /sinks/:name/pause': {},
  'POST /sinks/:name/let-go': {},
  'POST /sinks/:name/replay': { time: '2026-11-27T00:00:00Z' },
  'POST /secrets/:name/rotate': {},
  'PUT /secrets/:name': { value: 'correct horse', origins: ['https://a.example'] },
};
const refused: ActionGroup[] = ['erase', 'approve', 'consent', 'review', 'passkeys', 'admit', 'ship', 'break-glass'];
const openOnTheWayIn = ['GET /session', 'POST /signout'];
const neverOut = ['POST /trust-domain/root/export', 'POST /push/subscriptions'];
const notDone = new Set(['confirmation.needed', 'control-policy.forbidden', 'session.restricted', 'role.missing']);
const isRefused = ({ name, access }: { name: string; access: string }) =>
  neverOut.includes(name) ||
  (access === 'enrolling' ? !openOnTheWayIn.includes(name) : refused.includes(access as ActionGroup));

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply([
    ...manifests(),
    { kind: 'Person', email: everything, displayName: 'Everything', roles: [...role.options] },
    {
      kind: 'Agent',
      name: 'agent-own',
      owner: everything,
      purpose: 'tests',
      environment: 'production',
      blueprint: 'support',
    },
  ]);
  // So that there is a version to go back to.
  await workspace.apply([{ kind: 'Template', name: 'later', allow: [{ tools: ['shop/get_order'] }] }]);
  // And a policy to take away.
  await workspace.apply([
    {
      kind: 'Policy',
      name: 'x',
      cedar: 'permit (principal, action == Gatehouse::Action::"shop/get_order", resource);',
    },
  ]);
  person = await workspace.person(everything);
  terminal = await signInAtTerminal(workspace, person);
});
after(() => workspace.close());

/** @proves law-4.terminal */
test('no route on which somebody says yes, or is let in, takes a session of a terminal, whatever its person’s roles', async () => {
  const closed = routes.filter(isRefused);
  assert.ok(closed.length >= 16, String(closed.length));
  for (const { name, access } of closed) {
    const { status, title, detail } = await terminal.raw(name);
    assert.equal(status, 403, `${name} (${access}): ${status} ${title}`);
    assert.match(title, /^(control-policy\.forbidden|session\.restricted)$/, name);
    assert.match(detail, /browser/, `${name} says where it can be done`);
  }
  const { items } = await workspace.operator('GET /records', { query: { operation: 'control.refuse', limit: '200' } });
  assert.match(JSON.stringify(items), /POST \/people\/signin-links/, 'and who tried is on record');
});

/** @proves law-4.confirmation */
test('every other route that changes something is done at once where it narrows, and waits for the browser where it does not', async () => {
  const changing = routes.filter(
    ({ name, access }) => access !== 'public' && !name.startsWith('GET ') && !isRefused({ name, access }),
  );
  assert.deepEqual(
    changing.map(({ name }) => name as string).sort(),
    [...open, ...Object.keys(byBody), ...Object.keys(confirmed)].sort(),
    'a route is not classified: say in at-terminal.ts, and here, whether it could widen what agents or people may do',
  );
  // One session asks only so often.
  const own = await signInAtTerminal(workspace, person);
  const last = new Set(['POST /signout', 'DELETE /people/:email/sessions']);
  const atOnce = [
    ...open.filter((name) => !last.has(name)).map((name): [string, object] => [name, {}]),
    ...Object.entries(byBody).map(([name, [body]]): [string, object] => [name, body]),
  ];
  for (const [name, body] of atOnce) {
    const { status, title } = await own.raw(name, {}, body);
    assert.ok(status !== 401 && !notDone.has(title), `${name}: ${title}`);
  }
  const waiting = [
    ...Object.entries(confirmed),
    ...Object.entries(byBody).map(([name, [, body]]): [string, object] => [name, body]),
  ];
  const before = await workspace.operator('GET /export');
  const another = await signInAtTerminal(workspace, person);
  for (const [at, [name, body]] of waiting.entries()) {
    const { status, title, detail } = await (at % 2 === 0 ? own : another).raw(name, {}, body);
    assert.deepEqual([status, title], [403, 'confirmation.needed'], `${name}: ${detail}`);
    assert.match(detail, /http:\/\/localhost:\d+\/confirm\/cfm_/, name);
  }
  assert.deepEqual(await workspace.operator('GET /export'), before, 'and nothing was done');
});

test('it reads as far as its person’s roles go, and no further', async () => {
  for (const { name, access } of routes) {
    if (!name.startsWith('GET ') || isRefused({ name, access })) continue;
    const { status, title } = await terminal.raw(name);
    assert.ok(status !== 401 && title !== 'control-policy.forbidden' && title !== 'role.missing', `${name}: ${title}`);
  }
  const auditor = await workspace.person('auditor@example.test');
  const reading = await signInAtTerminal(workspace, auditor);
  assert.equal((await reading.raw('GET /people')).status, 200);
  for (const name of ['POST /apply', 'POST /agents/:name/kill', 'GET /people/:email/sessions'])
    assert.equal((await reading.raw(name)).title, 'role.missing', name);
});

/** @proves terminal.bound */
test('every route refuses the token without its key, with a used proof, and with the proof of another route', async () => {
  const used = await terminal.proof('/status', 'GET');
  const isPublic = routes.filter(({ access }) => access === 'public').map(({ name }) => name as string);
  for (const { name } of routes) {
    if (isPublic.includes(name)) continue;
    for (const dpop of [undefined, used, await terminal.proof('/elsewhere', name.split(' ')[0] ?? '')]) {
      const { status, title } = await terminal.raw(name, { dpop });
      assert.equal(status, 401, `${name}: ${title}`);
      assert.match(title, /^proof\./, name);
    }
  }
});

/** @proves law-4.terminal */
test('with it nobody is made who could approve, unless a passkey confirms it: no person, no role, no provider, no directory, no policy', async () => {
  const apply = (one: ManifestInput) =>
    terminal.call('POST /apply', { body: { manifests: [manifest.parse(one)], prune: false } });
  const attacks: ManifestInput[] = [
    { kind: 'Person', email: 'mallory@evil.test', displayName: 'Mallory', roles: ['approver'] },
    { kind: 'Person', email: 'auditor@example.test', displayName: 'Auditor', roles: ['auditor', 'approver'] },
    { kind: 'RoleMapping', name: 'all', group: 'Everybody', roles: ['approver'] },
    {
      kind: 'IdentityProvider',
      name: 'evil',
      displayName: 'Evil',
      issuer: 'https://evil.test',
      clientId: 'x',
      provision: true,
      groupsClaim: 'groups',
      roles: { all: ['approver'] },
    },
    { kind: 'ControlPolicy', name: 'wide', cedar: 'permit (principal, action, resource);' },
  ];
  for (const attack of attacks) {
    await assert.rejects(apply(attack), { code: 'confirmation.needed' }, attack.kind);
  }
  // All or nothing: what came with it was not applied either.
  const template: ManifestInput = { kind: 'Template', name: 'new-one', allow: [{ tools: ['shop/get_order'] }] };
  const both = [...attacks.slice(0, 1), template].map((each) => manifest.parse(each));
  await assert.rejects(terminal.call('POST /apply', { body: { manifests: both, prune: false } }), {
    code: 'confirmation.needed',
  });
  assert.ok(!(await person.api('GET /templates')).items.some(({ name }) => name === 'new-one'));
  assert.ok((await person.api('GET /people')).items.every(({ email }) => !email.startsWith('mallory')));
  // What it finds unchanged, it may name.
  const same: ManifestInput = {
    kind: 'Person',
    email: everything,
    displayName: 'Everything',
    roles: [...role.options],
  };
  assert.deepEqual(
    (await apply(same)).changes.map(({ operation }) => operation),
    ['unchanged'],
  );
  // A workspace that permits everything to everybody does not permit this.
  await workspace.apply([{ kind: 'ControlPolicy', name: 'wide', cedar: 'permit (principal, action, resource);' }]);
  for (const name of ['POST /people/signin-links', 'POST /scim/tokens', 'POST /approvals/:id/approve'])
    assert.equal((await terminal.raw(name)).title, 'control-policy.forbidden', name);
});

/** @proves law-4.terminal */
test('with it no program is run on the server’s host: not by an apply, not by asking what an apply would change', async (t) => {
  let runs = 0;
  const witness = createServer((_request, response) => {
    runs++;
    response.end();
  });
  await new Promise<void>((resolve) => witness.listen(0, '127.0.0.1', resolve));
  t.after(() => witness.close());
  const program = `fetch('http://127.0.0.1:${(witness.address() as AddressInfo).port}').then(() => process.exit())`;
  const server = (name: string, change: object = {}): ManifestInput => ({
    kind: 'ToolServer',
    name,
    environments: ['staging'],
    transport: { type: 'stdio', command: 'node', args: ['-e', program] },
    ...change,
  });
  const shop = manifests().find((each) => each.kind === 'ToolServer') as ManifestInput & { kind: 'ToolServer' };
  const attacks: ManifestInput[] = [
    server('new-one'),
    server('shop'),
    { ...shop, environments: ['production', 'staging'] },
    { ...shop, transport: { ...shop.transport, directories: [{ path: '/', access: 'ro' }] } as never },
  ];
  for (const attack of attacks) {
    const body = { manifests: [manifest.parse(attack)], prune: false };
    await assert.rejects(terminal.call('POST /apply', { body }), /would run a program on the server's host/);
    await terminal.call('POST /plan', { body }).catch(() => undefined);
  }
  assert.equal(runs, 0);
  // The tiers of one that runs there already can be confirmed.
  const tiers = { ...shop, tools: { ...shop.tools, get_ticket: { tier: 2 as const, effects: ['read' as const] } } };
  const body = { manifests: [manifest.parse(tiers)], prune: false };
  const { changes, problems } = await terminal.confirmed(person, 'POST /apply', { body });
  assert.deepEqual([changes[0]?.operation, problems], ['update', []]);
  // And it does run there for who may have it run: the attack would have worked.
  await workspace.apply([server('new-one')]);
  assert.ok(runs > 0);
});

/** @proves law-4.terminal */
test('an agent that shares the shell asks for a refund and tries everything to have it approved: it waits still', async () => {
  const agent = await workspace.agent('agent-own');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const args = { order: 1042, amount_cents: 10, currency: 'EUR', reason: 'test' };
  const { _meta } = await client.callTool({ name: 'shop__refund_order', arguments: args });
  const { id = '' } = (_meta?.['gatehouse/approval'] ?? {}) as { id?: string };
  const params = { id };
  const passkey = createSoftwarePasskey();
  const tries = {
    'the challenge': () => terminal.call('POST /approvals/:id/options', { params }),
    'a yes': () => terminal.call('POST /approvals/:id/approve', { params, body: { assertion: {} } }),
    'a passkey of its own': () => terminal.call('POST /passkeys/options'),
    'a passkey without asking': () =>
      terminal.call('POST /passkeys', {
        body: {
          name: 'mine',
          attestation: passkey.register(
            { challenge: 'AAAA', rp: { id: 'localhost' }, user: { id: 'AAAA' } },
            workspace.url,
          ),
        },
      }),
    'a link for its user': () => terminal.call('POST /people/signin-links', { body: { email: everything } }),
    'a link for another approver': () =>
      terminal.call('POST /people/signin-links', { body: { email: 'approver@example.test', recovery: true } }),
    'a directory of its own': () => terminal.call('POST /scim/tokens', { body: { name: 'mine' } }),
    'a delegation': () =>
      terminal.call('POST /delegations', { body: { agent: 'agent-own', template: 'all', expiresInDays: 1 } }),
    'another terminal': async () => {
      const begun = await terminals(workspace.url).begin(terminal.key);
      const request = { id: requestOf(begun.body.user_code) };
      const view = await terminal.call('GET /consents/:id', { params: request });
      await terminal.call('POST /consents/:id/sign-in', {
        params: request,
        body: { digest: view.signIn?.digest, assertion: {} },
      });
    },
  };
  for (const [what, attempt] of Object.entries(tries))
    await assert.rejects(attempt(), /browser/, `${what} was not refused`);
  const seen = await terminal.call('GET /approvals/:id', { params });
  assert.equal(seen.state, 'pending', 'it may look');
  assert.equal((await person.api('GET /passkeys')).items.length, 1);
  const denied = await terminal.call('POST /approvals/:id/deny', { params, body: { reason: 'no' } });
  assert.equal(denied.state, 'denied', 'and it may say no');
});
