import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest, ManifestInput } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { agentInput, baseInputs, by, manifests, newKey, openWorkspace, shopInput, tool } from './testing/workspace.ts';

const options = { prune: false, by };
const agentName = agentInput.name;
type Inputs = Parameters<typeof manifests>;

async function openApplied(...more: Inputs) {
  const workspace = await openWorkspace();
  await workspace.registry.apply(manifests(...baseInputs(), ...more), options);
  return workspace;
}

async function problemsOf(work: Promise<unknown>): Promise<string[]> {
  const error = await work.then(
    () => assert.fail('was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof GatehouseError && error.code === 'manifest.invalid', String(error));
  const problems = error.extra.problems as { kind: string; name: string; path: string; message: string }[];
  return problems.map(({ kind, name, path, message }) => `${kind} ${name} ${path}: ${message}`);
}

test("what is applied is in the snapshot at once, with the agent's SPIFFE ID and the tools' tiers", async () => {
  await using workspace = await openWorkspace();
  const changes = await workspace.registry.apply(manifests(...baseInputs()), options);
  assert.ok(changes.every(({ operation }) => operation === 'create'));
  const snapshot = workspace.registry.snapshot();
  assert.equal(
    snapshot.agents.get(agentName)?.spiffeId,
    'spiffe://example.test/env/production/agent/agent-support-refunds-prod',
  );
  assert.equal(snapshot.servers.get('shop')?.tools.get('refund_order')?.tier, 3);
  assert.equal(snapshot.servers.get('shop')?.tools.get('refund_order')?.state, 'missing');
});

test('a second apply says that everything is unchanged, and writes nothing', async () => {
  await using workspace = await openApplied();
  const before = await workspace.everything();
  const changes = await workspace.registry.apply(manifests(...baseInputs()), { prune: true, by });
  assert.ok(changes.every(({ operation }) => operation === 'unchanged'));
  assert.equal(await workspace.everything(), before);
});

const dangling: [what: string, input: Inputs[number], problem: RegExp][] = [
  ['an environment', { ...agentInput, environment: 'prod' }, /^Agent agent-support-refunds-prod environment: .*"prod"/],
  ['a blueprint', { ...agentInput, blueprint: 'suport' }, /^Agent \S+ blueprint: There is no Blueprint "suport"/],
  ['an owner who is no person', { ...agentInput, owner: 'team@example.test' }, /^Agent \S+ owner: .*owned by a person/],
  ['a template', { kind: 'Blueprint', name: 'support', templates: ['refund'] }, /^Blueprint support templates\[0\]: /],
  ["a server's environment", { ...shopInput, environments: ['prod'] }, /^ToolServer shop environments\[0\]: /],
  [
    'a tool server',
    { kind: 'Template', name: 'other', allow: [{ tools: ['shop/get_order', 'shp/*'] }] },
    /^Template other allow\[0\]\.tools\[1\]: "shp\/\*": There is no ToolServer "shp"/,
  ],
  [
    'a tool that its server does not name',
    { kind: 'Template', name: 'other', allow: [{ tools: ['shop/get_ordr'] }] },
    /allow\[0\]\.tools\[0\]: .*It names: get_order, refund_order/,
  ],
  [
    'resources that are not granted',
    { kind: 'Template', name: 'other', allow: [{ tools: ['shop#resources'] }] },
    /allow\[0\]\.tools\[0\]: .*grants no resources/,
  ],
  [
    'a parameter of a template',
    { kind: 'Template', name: 'other', allow: [{ tools: ['shop/*'], when: { order: '$ordr' } }] },
    /allow\[0\]\.when\.order: The template has no parameter "ordr"/,
  ],
];
for (const [what, input, expected] of dangling) {
  test(`a reference to what does not exist (${what}) is refused with kind, name and path, and nothing is changed`, async () => {
    await using workspace = await openApplied();
    const before = await workspace.everything();
    const also: Inputs[number] = { kind: 'Environment', name: 'fine' };
    const [problem, ...more] = await problemsOf(workspace.registry.apply(manifests(also, input), options));
    assert.match(problem ?? '', expected);
    assert.deepEqual(more, []);
    assert.equal(await workspace.everything(), before);
    assert.equal(workspace.registry.snapshot().environments.has('fine'), false);
  });
}

test('removing a tool that a template allows is refused: the template would allow nothing', async () => {
  await using workspace = await openApplied();
  const { refund_order } = shopInput.tools;
  const problems = await problemsOf(
    workspace.registry.apply(manifests({ ...shopInput, tools: { refund_order } }), options),
  );
  assert.match(problems[0] ?? '', /^Template refund-order allow\[0\]\.tools\[0\]/);
});

test('all that is wrong is said at once', async () => {
  await using workspace = await openWorkspace();
  const problems = await problemsOf(workspace.registry.apply(manifests(agentInput, shopInput), options));
  assert.equal(problems.length, 4);
});

test('unknown members, wrong types and two manifests of one name are refused, also from callers that did not parse them', async () => {
  await using workspace = await openWorkspace();
  const apply = (...given: unknown[]) => problemsOf(workspace.registry.apply(given as Manifest[], options));
  const environment = { kind: 'Environment', name: 'dev' };
  assert.match((await apply({ ...environment, prodution: true }))[0] ?? '', /^Environment dev : .*prodution/);
  assert.match((await apply(environment, environment))[0] ?? '', /It is there twice/);
  assert.match((await apply({ kind: 'Enviroment', name: 'dev' }))[0] ?? '', /^Enviroment dev kind/);
  assert.match((await apply(null))[0] ?? '', /^manifest 1/);
});

test('a name that looks like another of its kind is refused', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  for (const name of ['agent-supportrefunds-prod', 'agentsupport-refunds-prod'])
    assert.match(
      (await problemsOf(registry.apply(manifests({ ...agentInput, name }), options)))[0] ?? '',
      /looks like/,
    );
  const person: Inputs[number] = { kind: 'Person', email: 'Owner@example.test', displayName: 'O', roles: ['admin'] };
  assert.match((await problemsOf(registry.apply(manifests(person), options)))[0] ?? '', /looks like/);
  const numbered = ['job-1-11', 'job-11-1'].map((name) => ({ ...agentInput, name }));
  assert.equal((await registry.apply(manifests(...numbered), options)).length, 2);
  const tools = { get_order: shopInput.tools.get_order, 'get-order': shopInput.tools.get_order };
  const template: Inputs[number] = { kind: 'Template', name: 'refund-order' };
  const problems = await problemsOf(registry.apply(manifests({ ...shopInput, tools }, template), options));
  assert.match(problems.join(), /ToolServer shop tools.get-order: "get-order" looks like "get_order"/);
});

test('a validation that throws refuses the apply, and sees the workspace as it would be, with tools as they are served', async () => {
  const seen: string[] = [];
  await using workspace = await openWorkspace({
    validate(snapshot) {
      const description = snapshot.servers.get('shop')?.tools.get('get_order')?.definition?.description;
      seen.push(`${[...snapshot.policies.keys()].join()} ${description}`);
      if (snapshot.policies.has('bad')) throw new GatehouseError('bad-request', 'policy.invalid', 'line 1');
    },
  });
  const { registry } = workspace;
  await registry.apply(manifests(...baseInputs()), { ...options, served: new Map([['shop', [tool('get_order')]]]) });
  const before = await workspace.everything();
  const bad: Inputs[number] = { kind: 'Policy', name: 'bad', cedar: 'nonsense' };
  await assert.rejects(registry.apply(manifests(bad), options), { code: 'policy.invalid' });
  await assert.rejects(registry.plan(manifests(bad), options), { code: 'policy.invalid' });
  assert.deepEqual(seen, ['caps Does get_order.', ...Array(2).fill('caps,bad Does get_order.')]);
  assert.equal(await workspace.everything(), before);
  assert.equal(registry.snapshot().policies.has('bad'), false);
});

test('a change that cannot be recorded is not made', async () => {
  await using workspace = await openApplied();
  const registry = await workspace.another({
    recordChange: async () => {
      throw new GatehouseError('unavailable', 'ledger.unavailable', 'no space left');
    },
  });
  const before = await workspace.everything();
  const policy: Inputs[number] = { kind: 'Policy', name: 'new', cedar: '' };
  const unrecorded = { code: 'ledger.unavailable' };
  await assert.rejects(registry.apply(manifests(policy), options), unrecorded);
  await assert.rejects(registry.addAgentKey(agentName, newKey(), by), unrecorded);
  await assert.rejects(registry.setAgentState(agentName, 'suspended', by), unrecorded);
  await assert.rejects(registry.observeDefinitions('shop', [tool('get_order')], by), unrecorded);
  await assert.rejects(registry.revokeToken({ id: 'tok_1', expiresAt: workspace.clock.nowMs + 1_000 }, by), unrecorded);
  const details = {
    type: 'urn:gatehouse:task',
    template: 'refund-order',
    parameters: { order: 1, customer: 'c' },
  } as const;
  await assert.rejects(registry.startTask(agentName, { ...details, intent: 'x' }), unrecorded);
  assert.equal(await workspace.everything(), before);
});

test('each change is recorded with who did it and what differs', async () => {
  await using workspace = await openApplied();
  await workspace.registry.apply(manifests({ ...agentInput, risk: 'high' }), options);
  const last = (await workspace.records()).at(-1);
  assert.equal(last?.operation, 'manifest.apply');
  assert.equal(last.entry.by, by);
  assert.deepEqual(last.entry.changes, [`updated Agent ${agentName}`, 'risk: "medium" → "high"']);
});

test("a value in a server's environment is in no plan and no record", async () => {
  await using workspace = await openApplied();
  const withKey = (key: string) => ({
    ...shopInput,
    transport: { ...shopInput.transport, env: { API_KEY: `canary-${key}` } },
  });
  const first = await workspace.registry.apply(manifests(withKey('one')), options);
  const second = await workspace.registry.plan(manifests(withKey('two')), options);
  await workspace.registry.apply(manifests(withKey('two')), options);
  assert.deepEqual(
    second[0]?.differences?.map(({ path }) => path),
    ['transport.env.API_KEY'],
  );
  const shown = JSON.stringify([first, second, await workspace.records()]);
  assert.equal(shown.includes('canary'), false);
});

test('a plan shows what an apply then does, path by path, and writes nothing', async () => {
  await using workspace = await openApplied();
  const wanted = manifests({ ...agentInput, risk: 'high' }, { kind: 'Environment', name: 'new' }, shopInput);
  const before = await workspace.everything();
  const planned = await workspace.registry.plan(wanted, { prune: false });
  assert.equal(await workspace.everything(), before);
  assert.deepEqual(planned, [
    {
      operation: 'update',
      kind: 'Agent',
      name: agentName,
      differences: [{ path: 'risk', before: 'medium', after: 'high' }],
    },
    { operation: 'create', kind: 'Environment', name: 'new' },
    { operation: 'unchanged', kind: 'ToolServer', name: 'shop' },
  ]);
  assert.deepEqual(await workspace.registry.apply(wanted, options), planned);
});

test('prune deletes what is not named, and retires agents, whose name is then never used again', async () => {
  await using workspace = await openApplied({ ...agentInput, name: 'agent-old' });
  const { registry } = workspace;
  const kept = manifests(...baseInputs()).filter(({ kind }) => kind !== 'Policy');
  const changes = await registry.apply(kept, { prune: true, by });
  assert.deepEqual(
    changes.filter(({ operation }) => operation === 'delete').map(({ kind, name }) => `${kind} ${name}`),
    ['Policy caps', 'Agent agent-old'],
  );
  assert.equal(registry.snapshot().policies.size, 0);
  assert.equal(registry.snapshot().agents.get('agent-old')?.state, 'retired');
  const [change] = await registry.apply(manifests({ ...agentInput, name: 'agent-old', purpose: 'New.' }), options);
  assert.equal(change?.operation, 'unchanged');
  assert.match(change.note ?? '', /retired.*not used again/);
  assert.equal(registry.snapshot().agents.get('agent-old')?.state, 'retired');
});

test('an apply that would leave nobody with the role admin is refused', async () => {
  await using workspace = await openApplied();
  const without = manifests(...baseInputs()).filter((each) => each.kind !== 'Person' || each.email !== by.slice(7));
  for (const whoever of [by, 'operator'])
    await assert.rejects(workspace.registry.apply(without, { prune: true, by: whoever }), {
      code: 'people.last-admin',
    });
});

test('an apply never reactivates an agent that was killed or suspended, and says so', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const { agent } = await registry.setAgentState(agentName, 'suspended', by, { killed: true });
  const [same] = await registry.apply(manifests(agentInput), options);
  assert.equal(same?.operation, 'unchanged');
  assert.match(same.note ?? '', /stays suspended/);
  const [changed] = await registry.apply(manifests({ ...agentInput, purpose: 'Other.' }), options);
  assert.equal(changed?.operation, 'update');
  const now = registry.snapshot().agents.get(agentName);
  assert.equal(now?.state, 'suspended');
  assert.equal(now.killedAt, agent.killedAt);
  assert.notEqual(now.killedAt, null);
});

test("a manifest's keys are a minimum: keys enrolled otherwise stay, and an export shows them", async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const [enrolled, declared] = [newKey(), newKey()];
  await registry.addAgentKey(agentName, enrolled, by);
  await registry.apply(manifests({ ...agentInput, keys: [declared] }), options);
  await registry.apply(manifests({ ...agentInput, keys: [] }), options);
  const exported = (await registry.exportManifests()).find(({ kind }) => kind === 'Agent');
  assert.deepEqual(exported?.kind === 'Agent' && exported.keys, [enrolled, declared]);
});

test('a key belongs to one agent', async () => {
  await using workspace = await openApplied({ ...agentInput, name: 'agent-other' });
  const { registry } = workspace;
  const key = newKey();
  await registry.addAgentKey(agentName, key, by);
  await assert.rejects(registry.addAgentKey('agent-other', key, by), { code: 'agent.key-taken' });
  const taken = await problemsOf(
    registry.apply(manifests({ ...agentInput, name: 'agent-other', keys: [key] }), options),
  );
  assert.match(taken[0] ?? '', /^Agent agent-other keys\[0\]: .*"agent-support-refunds-prod" has it already/);
  const twice = ['agent-a', 'agent-b'].map((name) => ({ ...agentInput, name, keys: [newKey()] }));
  if (twice[0] && twice[1]) twice[1].keys = twice[0].keys;
  assert.match((await problemsOf(registry.apply(manifests(...twice), options)))[0] ?? '', /agent-b keys\[0\]/);
});

const fenced: [what: string, input: Inputs[number], raised: string[]][] = [
  ["an agent's owner", { ...agentInput, owner: 'admin@example.test' }, [`agent:${agentName}`]],
  ["an agent's risk", { ...agentInput, risk: 'high' }, [`agent:${agentName}`]],
  ["an agent's environment", { ...agentInput, environment: 'staging' }, [`agent:${agentName}`]],
  ["an agent's proof", { ...agentInput, bearerOnly: true }, [`agent:${agentName}`]],
  ["an agent's purpose", { ...agentInput, purpose: 'Other.' }, []],
  ['a policy', { kind: 'Policy', name: 'caps', cedar: '' }, ['policy']],
  ['a template', { kind: 'Template', name: 'refund-order' }, ['policy']],
  [
    "a tool's tier",
    {
      ...shopInput,
      tools: { ...shopInput.tools, get_order: { tier: 2, effects: ['read'], resourceArgument: 'order' } },
    },
    ['policy', 'server:shop', 'tool:shop/get_order'],
  ],
  ["a server's command", { ...shopInput, transport: { type: 'stdio', command: 'deno' } }, ['server:shop']],
  ["a server's prompts", { ...shopInput, prompts: { tier: 1 } }, ['policy', 'server:shop']],
  ['an environment', { kind: 'Environment', name: 'production' }, []],
  [
    'the flow rules of an environment',
    { kind: 'Environment', name: 'production', production: true, flowRulesOff: ['unknown-amount'] },
    ['policy'],
  ],
  [
    'a person',
    { kind: 'Person', email: 'owner@example.test', displayName: 'New', roles: ['owner'] },
    ['person:owner@example.test'],
  ],
];
for (const [what, input, raised] of fenced) {
  test(`changing ${what} raises ${raised.join(', ') || 'no fence'}, so that a dispatch decided before it is refused`, async () => {
    await using workspace = await openApplied();
    const before = await workspace.fences();
    const [change] = await workspace.registry.apply(manifests(input), options);
    assert.equal(change?.operation, 'update');
    const after = await workspace.fences();
    const keys = Object.keys(after).filter((key) => after[key] !== before[key]);
    assert.deepEqual(keys.sort(), raised);
    for (const key of keys) assert.equal(workspace.registry.snapshot().fences.get(key), after[key]);
  });
}

/** @proves law-4.deputy-guarded */
test('a changed rota raises the fence of policies: whose yes counts follows from it', async () => {
  await using workspace = await openApplied();
  const rota = {
    kind: 'OnCall',
    name: 'sre',
    zone: 'UTC',
    people: ['owner@example.test'],
    startsOn: '2026-01-05',
    handOverAt: '09:00',
  };
  await workspace.registry.apply(manifests(rota as never), options);
  const before = await workspace.fence('policy');
  await workspace.registry.apply(manifests({ ...rota, everyDays: 1 } as never), options);
  assert.equal(await workspace.fence('policy'), (before ?? 0) + 1);
});

test("keys, state, environment and proof raise the agent's epoch: tokens made before are worthless", async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const epoch = () => registry.snapshot().agents.get(agentName)?.epoch;
  const applied = (more: object) => registry.apply(manifests({ ...agentInput, ...more }), options);
  assert.equal(epoch(), 1);
  await applied({ risk: 'high', owner: 'admin@example.test' });
  assert.equal(epoch(), 1);
  await applied({ keys: [newKey()] });
  assert.equal(epoch(), 2);
  await applied({ bearerOnly: true });
  assert.equal(epoch(), 3);
  await applied({ bearerOnly: true, environment: 'staging' });
  assert.equal(epoch(), 4);
  await applied({ bearerOnly: true, environment: 'staging', state: 'suspended' });
  assert.equal(epoch(), 5);
});

test('moving an agent to another environment ends its tasks: what they may do belongs to where they started', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const task = await registry.startTask(agentName, {
    type: 'urn:gatehouse:task',
    template: 'refund-order',
    parameters: { order: 1, customer: 'c' },
    intent: 'refund',
  });
  await registry.apply(manifests({ ...agentInput, environment: 'staging' }), options);
  assert.equal((await registry.task(task.id))?.state, 'ended');
  assert.equal(await workspace.fence(`task:${task.id}`), 1);
});

/** @proves workload.moved-agent */
test('an agent does not move away from a workload that starts its tasks, also by an apply of agents alone', async () => {
  await using workspace = await openApplied();
  const workload: ManifestInput = {
    kind: 'Workload',
    name: 'tickets',
    owner: 'owner@example.test',
    purpose: 'ticket system',
    environment: 'production',
    starts: [agentName],
  };
  await workspace.registry.apply(manifests(workload), options);
  const before = await workspace.everything();
  const moved = { ...agentInput, environment: 'staging' };
  await assert.rejects(workspace.registry.apply(manifests(moved), options), {
    code: 'manifest.invalid',
    message: /Workload tickets, starts\[0\]: The agent "agent-support-refunds-prod" is of staging/,
  });
  assert.equal(await workspace.everything(), before);
  await workspace.registry.apply(manifests(moved, { ...workload, starts: [] }), options);
});
