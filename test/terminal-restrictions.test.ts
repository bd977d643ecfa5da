import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type ManifestInput, manifest, role } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { createSoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { Client } from '@modelcontextprotocol/client';
import { type ActionGroup, controlActions } from '../packages/server/src/api/authorization/index.ts';
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

/** Every group of actions is in one of these, or this test says that somebody has to think. */
const refused: ActionGroup[] = ['approve', 'consent', 'review', 'passkeys', 'admit'];
const open: ActionGroup[] = [
  ...(['read', 'self', 'inspect', 'refresh', 'kill', 'operate', 'lifecycle', 'deny', 'people'] as const),
  ...(['secure', 'oversee', 'provision', 'administer'] as const),
];
const openOnTheWayIn = ['GET /session', 'POST /signout'];
const neverOut = ['POST /trust-domain/root/export'];

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
  person = await workspace.person(everything);
  terminal = await signInAtTerminal(workspace, person);
});
after(() => workspace.close());

test('the groups of actions are all thought about', () => {
  assert.deepEqual([...refused, ...open].sort(), Object.keys(controlActions).sort());
});

/** @proves law-4.terminal */
test('no route on which somebody says yes, or is let in, takes a session of a terminal, whatever its person’s roles', async () => {
  const closed = routes.filter(
    ({ name, access }) =>
      neverOut.includes(name) ||
      (access === 'enrolling' ? !openOnTheWayIn.includes(name) : refused.includes(access as ActionGroup)),
  );
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

test('every other route takes it as far as its person’s roles go', async () => {
  const last = new Set(['POST /signout', 'DELETE /people/:email/sessions']);
  for (const { name, access } of routes) {
    const isOpen = open.includes(access as ActionGroup) || openOnTheWayIn.includes(name);
    if (!isOpen || neverOut.includes(name) || last.has(name)) continue;
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
test('with it nobody is made who could approve: no person, no role, no provider, no directory, no policy', async () => {
  const apply = (one: ManifestInput, prune = false) =>
    terminal.call('POST /apply', { body: { manifests: [manifest.parse(one)], prune } });
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
    await assert.rejects(apply(attack), /session.*host/, attack.kind);
    await assert.rejects(apply(attack, true), /session/, `${attack.kind}, and everybody else pruned`);
  }
  // All or nothing: what came with it was not applied either.
  const template: ManifestInput = { kind: 'Template', name: 'new-one', allow: [{ tools: ['shop/get_order'] }] };
  const both = [...attacks.slice(0, 1), template].map((each) => manifest.parse(each));
  await assert.rejects(terminal.call('POST /apply', { body: { manifests: both, prune: false } }), /session/);
  assert.ok(!(await person.api('GET /templates')).items.some(({ name }) => name === 'new-one'));
  assert.ok((await person.api('GET /people')).items.every(({ email }) => !email.startsWith('mallory')));
  // What it finds unchanged, it may name; and the rest is administration.
  const same: ManifestInput = {
    kind: 'Person',
    email: everything,
    displayName: 'Everything',
    roles: [...role.options],
  };
  await apply(same);
  assert.deepEqual(
    (await apply(template)).changes.map(({ operation }) => operation),
    ['create'],
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
  // The tiers of one that runs there already are administration.
  const tiers = { ...shop, tools: { ...shop.tools, get_ticket: { tier: 2 as const, effects: ['read' as const] } } };
  const { changes, problems } = await terminal.call('POST /apply', {
    body: { manifests: [manifest.parse(tiers)], prune: false },
  });
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
