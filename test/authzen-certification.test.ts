import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createPlatform, type GatewayClient, openGateway } from './support/gateway.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** The cases of the certification scenario of the AuthZEN Authorization API 1.0 (2026), against a fixture of manifests and policies. */
let workspace: Workspace;
let pdp: GatewayClient;
const server = join(import.meta.dirname, 'support', 'records-server.ts');

before(async () => {
  workspace = await startWorkspace({ mutualTls: true });
  const platform = await createPlatform();
  const from = { id: '$resource.id', status: '$resource.properties.status?', role: '$subject.properties.role?' };
  const tools = Object.fromEntries(
    ['read', 'write', 'delete'].map((name) => [name, { tier: 1 as const, effects: ['read' as const] }]),
  );
  const people = ['alice', 'bob'];
  const agents = people.map(
    (id): ManifestInput => ({
      kind: 'Agent',
      name: `agent-${id}`,
      owner: 'owner@example.test',
      purpose: 'certification',
      environment: 'production',
      blueprint: id,
    }),
  );
  await workspace.apply([
    { kind: 'Environment', name: 'production' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    ...people.map((id): ManifestInput => ({ kind: 'Blueprint', name: id, templates: [id] })),
    ...agents,
    {
      kind: 'ToolServer',
      name: 'records',
      environments: ['production'],
      transport: { type: 'stdio', command: 'node', args: [server] },
      stateless: true,
      tools,
    },
    {
      kind: 'Template',
      name: 'alice',
      allow: [{ tools: ['records/read', 'records/write'] }, { tools: ['records/delete'], when: { soft: true } }],
    },
    {
      kind: 'Template',
      name: 'bob',
      allow: [{ tools: ['records/read'] }, { tools: ['records/write'], when: { role: 'admin', status: 'archived' } }],
    },
    {
      kind: 'Policy',
      name: 'archived',
      cedar:
        'forbid (principal, action == Gatehouse::Action::"records/write", resource) when { context.arguments has status && context.arguments.status == "archived" } unless { context.arguments has role && context.arguments.role == "admin" };',
    },
    ...platform.manifests({
      name: 'pep',
      environment: 'production',
      starts: ['agent-alice', 'agent-bob'],
      gateway: {
        servers: ['records'],
        subjects: people.map((id) => ({
          type: 'user',
          id,
          agent: `agent-${id}`,
          template: id,
          ...(id === 'bob' && { properties: { role: 'admin' } }),
        })),
        resources: [
          {
            type: 'record',
            actions: { read: 'records/read', write: 'records/write', delete: 'records/delete' },
            arguments: { ...from, soft: '$action.properties.soft?' },
            known: [
              { id: 'record-1', properties: { status: 'active' } },
              { id: 'record-2', properties: { status: 'archived' } },
            ],
          },
        ],
      },
    }),
  ]);
  pdp = await openGateway(workspace, platform, 'pep');
});
after(async () => {
  pdp?.close();
  await workspace.close();
});

const user = (id: string, role?: string) => ({ type: 'user', id, ...(role && { properties: { role } }) });
const record = (id: string, status?: string) => ({ type: 'record', id, ...(status && { properties: { status } }) });
const action = (name: string, soft?: boolean) => ({ name, ...(soft !== undefined && { properties: { soft } }) });
const archived = record('record-2', 'archived');
const post = (path: string, body: unknown, headers = {}) => pdp.post(`/access/v1/${path}`, body, headers);
const decisions = async (body: object) =>
  ((await post('evaluations', body)).body.evaluations as { decision: boolean }[]).map(({ decision }) => decision);

/** @proves authzen.certification */
test('Basic: the eight decisions, each as often as it is asked for', async () => {
  const cases: [object, object, object, boolean][] = [
    [user('alice'), action('read'), record('record-1'), true],
    [user('alice'), action('write'), record('record-1'), true],
    [user('bob'), action('read'), record('record-1'), true],
    [user('bob'), action('write'), record('record-1'), false],
    [user('alice'), action('write'), archived, false],
    [user('bob', 'admin'), action('write'), archived, true],
    [user('alice'), action('delete', true), record('record-1'), true],
    [user('alice'), action('delete', false), record('record-1'), false],
  ];
  for (const [subject, act, resource, decision] of cases)
    for (const more of [
      {},
      { context: { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' } },
      { foo: 'bar', futureField: { nested: true } },
    ]) {
      const { status, body } = await post('evaluation', { subject, action: act, resource, ...more });
      assert.deepEqual([status, body.decision], [200, decision], JSON.stringify([subject, act, resource, body]));
    }
});

test('Basic: what is missing, mistyped, malformed or of another type is a 400', async () => {
  const good = { subject: user('alice'), action: action('read'), resource: record('record-1') };
  const bad: unknown[] = [
    ...Object.keys(good).map((name) => ({ ...good, [name]: undefined })),
    { ...good, subject: { id: 'alice' } },
    { ...good, subject: { type: 'user' } },
    { ...good, action: {} },
    { ...good, resource: { id: 'record-1' } },
    { ...good, resource: { type: 'record' } },
    { ...good, subject: 'alice' },
    { ...good, action: { name: 123 } },
    '{"subject":',
    '',
  ];
  for (const body of bad) assert.equal((await post('evaluation', body)).status, 400, JSON.stringify(body));
  assert.equal((await post('evaluation', good, { 'content-type': 'text/plain' })).status, 400);
  assert.equal((await post('evaluation', good, { 'x-request-id': 'r-1' })).headers.get('x-request-id'), 'r-1');
});

test('Batch: defaults, order, properties, and one that fails denies itself alone', async () => {
  const active = record('record-1', 'active');
  assert.deepEqual(
    await decisions({
      subject: user('bob'),
      resource: record('record-1'),
      evaluations: [{ action: action('read') }, { action: action('write') }],
    }),
    [true, false],
  );
  assert.deepEqual(
    await decisions({
      subject: user('alice'),
      action: action('write'),
      resource: active,
      evaluations: [{}, { resource: archived }],
    }),
    [true, false],
  );
  assert.deepEqual(
    await decisions({
      action: action('write'),
      resource: archived,
      evaluations: [{ subject: user('alice') }, { subject: user('bob', 'admin') }],
    }),
    [false, true],
  );
  assert.deepEqual(
    await decisions({
      subject: user('alice'),
      action: action('read'),
      options: { evaluations_semantic: 'execute_all' },
      evaluations: [{ resource: record('record-1') }, {}],
    }),
    [true, false],
  );
  const single = { subject: user('alice'), action: action('read'), resource: record('record-1') };
  for (const body of [single, { ...single, evaluations: [] }])
    assert.equal((await post('evaluations', body)).body.decision, true);
});

test('Search: who, what and how, with an id that is ignored, empty results, and 400s', async () => {
  const search = async (what: string, body: object) => {
    const { status, body: found } = await post(`search/${what}`, body);
    assert.equal(status, 200, JSON.stringify(found));
    return (found.results as { id?: string; name?: string }[]).map(({ id, name }) => id ?? name);
  };
  const [read, write] = [action('read'), action('write')];
  for (const subject of [{ type: 'user' }, user('alice')])
    assert.deepEqual(await search('subject', { subject, action: read, resource: record('record-1') }), [
      'alice',
      'bob',
    ]);
  assert.deepEqual(await search('subject', { subject: { type: 'user' }, action: write, resource: archived }), ['bob']);
  for (const resource of [{ type: 'record' }, record('record-1')])
    assert.deepEqual(await search('resource', { subject: user('alice'), action: read, resource }), [
      'record-1',
      'record-2',
    ]);
  assert.deepEqual(
    await search('resource', { subject: user('bob', 'admin'), action: write, resource: { type: 'record' } }),
    ['record-2'],
  );
  assert.deepEqual(await search('action', { subject: user('alice'), resource: record('record-1') }), ['read', 'write']);
  assert.ok((await search('action', { subject: user('bob', 'admin'), resource: archived })).includes('write'));
  assert.deepEqual(await search('action', { subject: user('nonexistent-user'), resource: record('record-1') }), []);
  assert.deepEqual(
    await search('subject', { subject: { type: 'spaceship' }, action: read, resource: record('record-1') }),
    [],
  );
  for (const [what, body] of [
    ['subject', { subject: { type: 'user' }, resource: record('record-1') }],
    ['resource', { action: read, resource: { type: 'record' } }],
    ['action', { subject: user('alice') }],
    ['subject', { subject: { type: 'user' }, action: read, resource: { type: 'record' } }],
    ['resource', { subject: { type: 'user' }, action: read, resource: { type: 'record' } }],
    ['action', { subject: { type: 'user' }, resource: record('record-1') }],
  ] as const)
    assert.equal((await post(`search/${what}`, body)).status, 400);
});
