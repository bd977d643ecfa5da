import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Api, role } from '@gatehouse/protocol';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Who may do what at the control API: the table in docs/reference/roles.md against the running server, and a workspace's own policies. */
let workspace: Workspace;
const people = new Map<string, SignedInPerson>();

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply([
    ...manifests(),
    ...role.options.map((one) => ({
      kind: 'Person' as const,
      email: `only-${one}@example.test`,
      displayName: one,
      roles: [one],
    })),
  ]);
  for (const one of role.options) people.set(one, await workspace.person(`only-${one}@example.test`));
  // No manifest declares somebody without a role; a directory may name one.
  const { token } = await workspace.operator('POST /scim/tokens', { body: { name: 'directory' } });
  const made = await fetch(`${workspace.url}/scim/v2/Users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
    body: JSON.stringify({
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
      userName: 'nobody@example.test',
    }),
  });
  assert.equal(made.status, 201, await made.text());
  people.set('nobody', await workspace.person('nobody@example.test'));
});
after(() => workspace.close());

const person = (one: string) => people.get(one) as SignedInPerson;
const refusals = new Set(['role.missing', 'agent.not-owner', 'approval.not-approver', 'control-policy.forbidden']);

async function call(route: string, headers: Record<string, string>) {
  const [method = '', path = ''] = route.split(' ');
  const response = await fetch(`${workspace.url}/api/v1${path.replaceAll(/:\w+/g, 'x')}`, {
    method,
    headers: { origin: workspace.url, ...(method !== 'GET' && { 'content-type': 'application/json' }), ...headers },
    ...(method !== 'GET' && { body: '{}' }),
  });
  const body = (await response.json()) as { title?: string; detail?: string };
  return { status: response.status, ...body };
}

/** @proves roles.table, law-4.operator */
test('every route lets in the roles that the reference names, and nobody else', async () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/reference/roles.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Z]+ [^`]+)` \| (\w+) \| (.*) \|$/gm)];
  const header = /^\| route \| action \| (.*) \|$/m.exec(page)?.[1]?.split(' | ') ?? [];
  assert.ok(rows.length > 35);
  const operator = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
  for (const [, route = '', , cells = ''] of rows) {
    const reaches = cells.split('|').map((cell) => cell.trim());
    for (const [at, who] of header.entries()) {
      const headers: Record<string, string> =
        who === 'operator' ? { authorization: `Operator ${operator}` } : { cookie: person(who).cookie };
      const { status, title = '' } = await call(route, headers);
      const isRefused = status === 403 && refusals.has(title);
      // What does not exist is decided as if it were one's own.
      assert.equal(isRefused, reaches[at] === '', `${route} as ${who}: ${status} ${title}`);
    }
  }
});

/** @proves roles.denied-recorded */
test('who tries to change what they may not is told which role is missing, and is on record', async () => {
  const auditor = person('auditor');
  await assert.rejects(
    auditor.api('POST /apply', { body: { manifests: [] } }),
    /role\.missing: This needs one of the roles admin; auditor has auditor/,
  );
  const { items } = await workspace.operator('GET /records', { query: { operation: 'control.refuse', limit: '5' } });
  const record = items.find(({ record }) => record.changes.includes('POST /apply'))?.record;
  assert.equal(record?.requested_by ?? record?.actor_chain[0]?.sub, 'person:only-auditor@example.test');
  assert.match(record?.detail ?? '', /role\.missing/);
});

test('a policy of the workspace narrows by environment, and says why', async () => {
  await workspace.apply([
    {
      kind: 'ControlPolicy',
      name: 'no-keys-in-prod',
      cedar: `@id("keys") @reason("Keys of production agents come from the platform team.")
forbid (principal in Role::"owner", action in Action::"operate", resource) when { resource.environment == Environment::"production" };`,
    },
  ]);
  const owner = await workspace.person('owner@example.test');
  await assert.rejects(
    owner.api('POST /agents/:name/keys', { params: { name: 'agent-a' } }),
    /control-policy\.forbidden: The policy no-keys-in-prod#keys forbids this. Keys of production agents come.*Ask an admin if it should not\.$/,
  );
});

/** @proves roles.laws-stay */
test('no policy of the workspace gives the operator a yes, or takes the workspace from its host', async () => {
  const apply = (cedar: string) => workspace.apply([{ kind: 'ControlPolicy', name: 'wide', cedar }]);
  await apply('permit (principal, action, resource);');
  assert.equal((await person('auditor').api('GET /export')).manifests.length > 0, true);
  const operator = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
  const approve = await call('POST /approvals/:id/approve', { authorization: `Operator ${operator}` });
  assert.deepEqual([approve.status, approve.title], [403, 'control-policy.forbidden']);
  assert.match(approve.detail ?? '', /law-4/);
  // Nobody can lift it, so nobody is sent to ask.
  assert.doesNotMatch(approve.detail ?? '', /Ask an admin/);
  for (const [cedar, problem] of [
    ['forbid (principal, action, resource);', /control-policy\.locks-out/],
    ['permit (principal is Agent, action, resource);', /control-policy\.invalid/],
    ['permit (principal, action == Action::"launch", resource);', /control-policy\.invalid/],
    ['permit (principal, action, resource) when { resource.owner == principal };', /control-policy\.invalid/],
    ['permit (', /control-policy\.invalid: Control policy wide, line 1/],
  ] as const)
    await assert.rejects(apply(cedar), problem, cedar);
  const { manifests: all } = await workspace.operator('GET /export');
  const kept = (all as { kind: string; cedar?: string }[]).filter(({ kind }) => kind === 'ControlPolicy');
  assert.ok(kept.some(({ cedar }) => cedar === 'permit (principal, action, resource);'));
  await apply('');
  await assert.rejects(person('auditor').api('POST /apply', { body: { manifests: [] } }), { status: 403 });
});

test('roles are told in words that follow from the policies', async () => {
  const { items } = await person('auditor').api('GET /roles');
  const may = Object.fromEntries(items.map((each) => [each.name, each.may.map(({ action }) => action)]));
  assert.deepEqual(may.auditor, ['read', 'self', 'passkeys', 'consent', 'inspect', 'oversee']);
  assert.ok(may.approver?.includes('approve'));
  assert.ok(!may.operator?.includes('approve'));
  const own: Api['GET /roles']['items'][number]['may'] = items.find(({ name }) => name === 'owner')?.may ?? [];
  assert.equal(own.find(({ action }) => action === 'kill')?.onOwn, true);
});
