import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, type ManifestInput, manifest } from '@gatehouse/protocol';
import { relaxationsOf } from './relaxations.ts';

const parse = (input: ManifestInput | null): Manifest | null => (input === null ? null : manifest.parse(input));

/** Why a change relaxes something; empty where it does not. */
function why(...changes: [ManifestInput | null, ManifestInput | null][]): string[] {
  const steps = changes.map(([was, is]) => {
    const [before, after] = [parse(was), parse(is)];
    const some = (after ?? before) as Manifest & { name: string };
    const operation = !before ? 'create' : !after ? 'delete' : 'update';
    return {
      change: { operation, kind: some.kind, name: some.kind === 'Person' ? 'x' : some.name },
      before,
      after,
    } as const;
  });
  return relaxationsOf(steps).map((each) => each.why);
}

const cedar = (text: string, mode?: 'observe' | 'enforce'): ManifestInput => ({
  kind: 'Policy',
  name: 'p',
  cedar: text,
  ...(mode && { mode }),
});
const forbid = 'forbid (principal, action, resource) when { context.flow.untrusted };';
const permit = 'permit (principal, action, resource) when { context.flow.untrusted };';

/** @proves policy.second-person */
test('policies: what is permitted anew, or not forbidden any more, relaxes; the rest does not', () => {
  const relaxing: [string | null, string | null][] = [
    [null, permit],
    [permit, permit.replace('flow.untrusted', 'flow.sensitive.contains("health")')],
    [forbid, null],
    [forbid, forbid.replace('flow.untrusted', 'flow.sensitive.contains("health")')],
    [forbid, `@tier("3") ${forbid}`],
    [`@tier("3") ${forbid}`, `@tier("2") ${forbid}`],
    // On a forbid this is no raising: it refuses.
    [`@tier("1") ${forbid}`, `@tier("3") ${forbid}`],
    [forbid, `@mode("observe") ${forbid}`],
    [`@mode("observe") ${permit}`, permit],
    // What permits sets the tier as well: without it the others permit below that.
    [`@tier("3") ${permit}`, null],
    [`@tier("3") ${permit}`, permit],
    [`@mask("personal") ${permit}`, permit],
    [`@mask("personal") ${permit}`, `@mask("health") ${permit}`],
  ];
  for (const [was, is] of relaxing)
    assert.equal(why([was && cedar(was), is && cedar(is)] as never).length > 0, true, `${was} → ${is}`);
  const tightening: [string | null, string | null][] = [
    [null, forbid],
    [permit, null],
    [permit, `@tier("3") ${permit}`],
    [`@tier("3") ${forbid}`, forbid],
    [`@mode("observe") ${forbid}`, forbid],
    [permit, `@mode("observe") ${permit}`],
    [null, `@mode("observe") ${permit}`],
    [forbid, `@id("named") @reason("said") ${forbid}`],
    [forbid, `@tier("1") ${forbid}`],
    [`${permit} ${forbid}`, `${forbid}\n\n${permit}`],
  ];
  for (const [was, is] of tightening)
    assert.deepEqual(why([was && cedar(was), is && cedar(is)] as never), [], `${was} → ${is}`);
  assert.equal(why([cedar(forbid), cedar(forbid, 'observe')]).length, 1);
  // From one manifest to another it is the same policy.
  assert.deepEqual(why([cedar(permit), null], [null, { kind: 'Policy', name: 'q', cedar: permit }]), []);
});

const template = (allow: object[], more: object = {}): ManifestInput =>
  ({ kind: 'Template', name: 't', parameters: { order: { type: 'integer' } }, allow, ...more }) as ManifestInput;

/** @proves policy.second-person */
test('templates: an entry that is not plainly narrower than one that was there relaxes', () => {
  const narrow = { tools: ['shop/get'], when: { order: '$order' } };
  const relaxing: [object[], object[]][] = [
    [[narrow], [{ tools: ['shop/get'] }]],
    [[narrow], [{ ...narrow, tools: ['shop/get', 'shop/put'] }]],
    [[narrow], [{ ...narrow, when: { order: 7 } }]],
    [[{ tools: ['shop/*'] }], [{ tools: ['*'] }]],
    [[{ effects: ['read'], domains: ['files'] }], [{ effects: ['read'] }]],
    [[{ effects: ['read'] }], [{ effects: ['read', 'write'] }]],
    [[], [narrow]],
  ];
  for (const [was, is] of relaxing)
    assert.equal(why([template(was), template(is)]).length, 1, `${JSON.stringify(was)} → ${JSON.stringify(is)}`);
  const tightening: [object[], object[]][] = [
    [[{ tools: ['shop/get', 'shop/put'] }], [{ tools: ['shop/put'] }]],
    [[{ tools: ['shop/get'] }], [narrow]],
    [[{ tools: ['*'] }], [{ tools: ['shop/get'] }]],
    [[narrow], []],
    [[{ effects: ['read', 'write'] }], [{ effects: ['read'], domains: ['files'] }]],
  ];
  for (const [was, is] of tightening)
    assert.deepEqual(why([template(was), template(is)]), [], `${JSON.stringify(was)} → ${JSON.stringify(is)}`);
  assert.equal(why([template([], { ttlSeconds: 60 }), template([], { ttlSeconds: 61 })]).length, 1);
  assert.equal(why([null, template([narrow])]).length, 1);
  assert.deepEqual(why([template([narrow]), null]), []);
});

/** @proves policy.second-person */
test('templates: a parameter that comes or goes relaxes where a policy could ask for it', () => {
  const without = template([], { parameters: {} });
  const asking = cedar('forbid (principal, action, resource) when { principal.parameters has order };');
  for (const change of [
    [template([]), without],
    [without, template([])],
  ] as [ManifestInput, ManifestInput][]) {
    assert.deepEqual(why(change), []);
    assert.equal(why(change, [asking, asking]).length, 1);
  }
  assert.equal(why([template([]), template([], { parameters: { order: { type: 'string' } } })]).length, 1);
  const described = template([], { parameters: { order: { type: 'integer', description: 'Which.' } } });
  assert.deepEqual(why([template([]), described], [asking, asking]), []);
});

const shop = (setting: object, more: object = {}): ManifestInput =>
  ({
    kind: 'ToolServer',
    name: 'shop',
    environments: ['prod'],
    transport: { type: 'http', url: 'https://shop.example.test' },
    tools: { pay: { tier: 3, effects: ['pay'], ...setting } },
    ...more,
  }) as ManifestInput;

/** @proves policy.second-person */
test('tools: a lower tier, gone labels and more trust relax; their opposites do not', () => {
  const pairs: [object, object][] = [
    [{}, { tier: 2 }],
    [{}, { effects: ['read'] }],
    [{ arguments: { to: { role: 'account' } } }, {}],
    [{ arguments: { to: { role: 'account' } } }, { arguments: { to: { role: 'content' } } }],
    [{}, { returns: { trust: 'trusted' } }],
    [{ returns: { sensitive: ['personal'] } }, { returns: {} }],
    [{ hold: { items: 10 } }, { hold: { items: 11 } }],
    [{ hold: { items: 10 } }, {}],
    [{ store: 'notes' }, {}],
  ];
  for (const [was, is] of pairs) {
    assert.equal(why([shop(was), shop(is)]).length, 1, `${JSON.stringify(was)} → ${JSON.stringify(is)}`);
    if ('effects' in is || (was as { arguments?: { to: unknown } }).arguments) continue;
    assert.deepEqual(why([shop(is), shop(was)]), [], `${JSON.stringify(is)} → ${JSON.stringify(was)}`);
  }
  // The role of an argument that is never given ends what is asked of calls that do not say to whom they go.
  assert.equal(why([shop({}), shop({ arguments: { cc: { role: 'recipient' } } })]).length, 1);
  assert.equal(why([shop({}), shop({ arguments: { to: { role: 'content' } } })]).length, 1);
  const gives = (...sensitive: string[]) => shop({ returns: { sensitive } });
  assert.equal(why([shop({}), gives('credentials')]).length, 1, 'a permit that reveals them was of no effect');
  assert.equal(why([gives('personal'), gives('personal', 'credentials')]).length, 1);
  assert.deepEqual(why([gives('credentials'), gives('credentials', 'personal')]), []);
  assert.equal(why([shop({}), shop({}, { resources: { tier: 1 } })]).length, 1);
  assert.equal(why([shop({}), shop({}, { clientRequests: { sampling: true } })]).length, 1);
  assert.equal(why([shop({}), shop({}, { environments: ['prod', 'dev'] })]).length, 1);
  assert.equal(why([null, shop({})]).length, 1);
  assert.deepEqual(why([shop({}), null]), []);
});

/** @proves policy.second-person */
test('whoever could decide about such changes, and what asks for a second person, is guarded alike', () => {
  const person = (...roles: string[]): ManifestInput =>
    ({ kind: 'Person', email: 'x@example.test', displayName: 'X', roles }) as ManifestInput;
  assert.equal(why([null, person('admin')]).length, 1);
  assert.equal(why([person('owner'), person('owner', 'security')]).length, 1);
  assert.equal(why([null, person('approver')]).length, 1, 'who approves actions is made up');
  assert.equal(why([person('admin', 'owner'), person('owner')]).length, 1, 'nobody else would be left to ship');
  assert.equal(why([person('security'), null]).length, 1);
  assert.deepEqual(why([null, person('auditor')]), []);
  assert.deepEqual(why([person('approver', 'auditor'), person('auditor')]), []);
  const environment = (more: object): ManifestInput =>
    ({ kind: 'Environment', name: 'prod', ...more }) as ManifestInput;
  assert.equal(why([environment({ production: true }), environment({})]).length, 2);
  assert.equal(
    why([environment({ production: true }), environment({ production: true, policyChanges: 'direct' })]).length,
    1,
  );
  assert.deepEqual(why([environment({}), environment({ production: true })]), []);
  const without = (...flowRulesOff: string[]) => environment({ production: true, flowRulesOff });
  assert.equal(why([without(), without('unknown-amount')]).length, 1);
  assert.deepEqual(why([without('unknown-amount'), without()]), []);
  const learning = (baseline: object) => environment({ production: true, baseline });
  assert.equal(why([learning({}), learning({ rulesOff: ['unusual-call'] })]).length, 1);
  assert.equal(why([environment({ production: true }), learning({ days: 30 })]).length, 1);
  assert.equal(why([learning({}), learning({ calls: 1_000_000 })]).length, 1);
  assert.equal(why([learning({ zone: 'UTC' }), learning({ zone: 'Asia/Tokyo' })]).length, 1);
  assert.deepEqual(why([learning({ rulesOff: ['unusual-call'], days: 30 }), learning({})]), []);
  const control = (text: string): ManifestInput => ({ kind: 'ControlPolicy', name: 'c', cedar: text });
  assert.equal(why([control('forbid (principal, action, resource);'), null]).length, 1);
  assert.equal(why([null, control('permit (principal, action, resource);')]).length, 1);
});

/** @proves policy.second-person */
test('budgets: only lower numbers, more limits and a plain no are no relaxing', () => {
  const budget = (limit: object, more: object = {}): ManifestInput =>
    ({ kind: 'Budget', name: 'b', effects: ['pay'], window: 'day', limit, ...more }) as ManifestInput;
  assert.deepEqual(why([budget({ count: 10 }), budget({ count: 9 })]), []);
  assert.deepEqual(why([budget({ count: 10 }), budget({ count: 10, concurrent: 2 })]), []);
  assert.deepEqual(why([null, budget({ count: 10 })]), []);
  for (const changed of [
    budget({ count: 11 }),
    budget({ concurrent: 2 }),
    budget({ count: 10 }, { over: 'approval' }),
    budget({ count: 10 }, { window: 'hour' }),
    budget({ count: 10 }, { templates: ['t'] }),
    null,
  ])
    assert.equal(why([budget({ count: 10 }), changed]).length, 1, JSON.stringify(changed));
});

const environmentOf = (more: object): ManifestInput =>
  ({ kind: 'Environment', name: 'prod', ...more }) as ManifestInput;

/** @proves policy.second-person */
test('what a relaxation could be split into, or hidden in, relaxes by itself', () => {
  const person = (...roles: string[]) => ({ group: 'security team', roles });
  const mapping = (more: object): ManifestInput =>
    ({ kind: 'RoleMapping', name: 'm', ...person('security'), ...more }) as ManifestInput;
  assert.equal(why([mapping({}), mapping({ group: 'everyone' })]).length, 1, 'the role goes to another group');
  assert.equal(why([mapping({}), mapping({ roles: ['auditor'] })]).length, 1, 'nobody else would be left to ship');
  assert.deepEqual(why([mapping({ roles: ['approver'] }), mapping({ roles: ['auditor'] })]), []);
  const provider = (more: object): ManifestInput =>
    ({
      kind: 'IdentityProvider',
      name: 'company',
      displayName: 'Company',
      issuer: 'https://id.example.test',
      clientId: 'c',
      roles: { admins: ['admin'] },
      ...more,
    }) as ManifestInput;
  assert.equal(why([provider({}), provider({ roles: { everyone: ['admin'] } })]).length, 2);
  assert.equal(why([provider({}), provider({ issuer: 'https://other.example.test' })]).length, 1);
  assert.equal(why([null, provider({ roles: {} })]).length, 1);
  assert.equal(why([provider({}), provider({ roles: {} })]).length, 1);
  assert.deepEqual(why([provider({}), provider({ displayName: 'Sign in' })]), []);

  const production = environmentOf({ production: true, mask: ['personal'] });
  assert.equal(why([production, null]).length, 1, 'it comes back as one that asks nobody');
  assert.deepEqual(why([environmentOf({}), null]), []);
  assert.equal(why([production, environmentOf({ production: true })]).length, 1);
  const breaker = { refusals: { count: 1_000, seconds: 60 } };
  assert.equal(why([production, environmentOf({ production: true, mask: ['personal'], breaker })]).length, 1);

  const group = (...members: string[]): ManifestInput => ({ kind: 'Group', name: 'payers', members, allow: [] });
  assert.equal(why([group(), group('x@example.test')]).length, 1, 'a written policy permits what its members may');

  const workload = (more: object): ManifestInput =>
    ({
      kind: 'Workload',
      name: 'edge',
      owner: 'x@example.test',
      purpose: 'Asks.',
      environment: 'prod',
      ...more,
    }) as ManifestInput;
  assert.equal(why([workload({}), workload({ gateway: { servers: ['shop'] } })]).length, 1);
  assert.equal(why([null, workload({ starts: ['agent-a'] })]).length, 1);
  assert.deepEqual(why([workload({ starts: ['agent-a'], gateway: { servers: ['shop'] } }), workload({})]), []);

  const agent = (risk: string): ManifestInput =>
    ({
      kind: 'Agent',
      name: 'agent-a',
      owner: 'x@example.test',
      purpose: 'Answers.',
      environment: 'prod',
      blueprint: 'b',
      risk,
    }) as ManifestInput;
  assert.equal(why([agent('high'), agent('low')]).length, 1, 'a policy looks at the risk of the agent');
  assert.deepEqual(why([agent('low'), agent('high')]), []);
});

/** @proves policy.second-person */
test('who leaves a group is out of reach of what forbids it something, where a policy could say so', () => {
  const group = (...members: string[]): ManifestInput => ({ kind: 'Group', name: 'interns', members, allow: [] });
  const named = cedar('forbid (principal in Gatehouse::Group::"interns", action, resource);');
  const leave: [ManifestInput | null, ManifestInput | null] = [group('x@example.test'), group()];
  assert.deepEqual(why(leave), []);
  assert.equal(why(leave, [named, named]).length, 1);
  assert.equal(why([group('x@example.test'), null], [named, named]).length, 1);
});

/** @proves policy.second-person */
test('whom an agent belongs to, what vouches for one, and where a tool is, are guarded', () => {
  const agent = (more: object): ManifestInput =>
    ({
      kind: 'Agent',
      name: 'agent-a',
      owner: 'x@example.test',
      purpose: 'Answers.',
      environment: 'prod',
      blueprint: 'b',
      ...more,
    }) as ManifestInput;
  assert.match(why([agent({}), agent({ owner: 'y@example.test' })])[0] ?? '', /becomes y@example.test/);
  assert.equal(why([null, agent({ delegatesTo: { agents: ['agent-b'] } })]).length, 1);
  assert.deepEqual(why([null, agent({})]), []);
  assert.equal(why([agent({}), agent({ bearerOnly: true })]).length, 1);
  const rule = (more: object): ManifestInput =>
    ({
      kind: 'TrustRule',
      name: 'ci',
      issuer: { type: 'oidc', url: 'https://ci.example.test' },
      claims: { repository: 'a/b' },
      agent: 'agent-a',
      ...more,
    }) as ManifestInput;
  assert.equal(why([null, rule({})]).length, 1);
  assert.equal(why([rule({}), rule({ claims: {} })]).length, 1);
  assert.equal(why([rule({}), rule({ agent: 'agent-b' })]).length, 1);
  assert.equal(why([rule({ state: 'suspended' }), rule({})]).length, 1);
  assert.deepEqual(why([rule({}), rule({ claims: { repository: 'a/b', ref: 'main' } })]), []);
  assert.deepEqual(why([rule({}), null]), []);
  const mapping: ManifestInput = {
    kind: 'AgentMapping',
    name: 'bots',
    agentType: 'bot',
    environment: 'prod',
    blueprint: 'b',
  };
  assert.equal(why([null, mapping]).length, 1);
  assert.equal(why([mapping, { ...mapping, blueprint: 'c' }]).length, 1);
  const elsewhere = shop({}, { transport: { type: 'http', url: 'https://other.example.test' } });
  assert.match(why([shop({}), elsewhere])[0] ?? '', /where and how it is reached is changed: url/);
  const program = (env: object) => shop({}, { transport: { type: 'stdio', command: 'node', args: ['shop.js'], env } });
  assert.match(why([program({ HOST: 'a' }), program({ HOST: 'b' })])[0] ?? '', /other values: HOST/);
  // Beside an environment that asks, one that does not is a way round it.
  assert.equal(why([null, environmentOf({})]).length, 1);
  assert.deepEqual(why([null, environmentOf({ production: true })]), []);
  assert.equal(why([null, environmentOf({ production: true, flowRulesOff: ['unknown-amount'] })]).length, 1);
});

/** @proves policy.second-person */
test('a rule that accepts a channel in place of a passkey relaxes, and one that accepts it no more does not', () => {
  const rule = (accept?: string[]): ManifestInput => ({
    kind: 'ApprovalRule',
    name: 'r',
    steps: [{ from: ['owner'] }],
    ...(accept && { accept: accept as never }),
  });
  assert.match(why([rule(), rule(['channel:slack'])]).join(), /without a passkey: channel:slack/);
  assert.deepEqual(why([rule(['channel:slack']), rule()]), []);
  assert.deepEqual(why([rule(), rule(['passkey'])]), []);
});

const rule = (more: object = {}): ManifestInput =>
  ({
    kind: 'ApprovalRule',
    name: 'r',
    steps: [{ approve: 2, from: ['group:finance', 'owner'] }],
    ...more,
  }) as ManifestInput;

/** @proves policy.second-person */
test('who approves: fewer, others, sooner or for longer relaxes; more of the same does not', () => {
  const base = { exclude: ['policy-author'], order: 'serial', expiresAfterSeconds: 600, yesLastsSeconds: 60 };
  for (const more of [
    { steps: [{ approve: 1, from: ['group:finance', 'owner'] }] },
    { steps: [{ approve: 2, from: ['group:finance', 'role:auditor'] }] },
    { deny: 2 },
    { exclude: [] },
    { order: 'parallel' },
    { expiresAfterSeconds: 601 },
    { expiresAfterSeconds: undefined },
    { yesLastsSeconds: undefined },
    { escalate: [{ afterSeconds: 60, to: ['role:auditor'] }] },
  ])
    assert.equal(why([rule(base), rule({ ...base, ...more })]).length, 1, JSON.stringify(more));
  for (const more of [
    { steps: [{ approve: 3, from: ['group:finance'], distinct: false }] },
    { steps: [{ approve: 2, from: ['group:finance', 'owner'] }, { from: ['role:security'] }] },
    { exclude: ['policy-author', 'owner'] },
    { expiresAfterSeconds: 300, yesLastsSeconds: 30 },
    { description: 'other words' },
  ])
    assert.deepEqual(why([rule(base), rule({ ...base, ...more })]), [], JSON.stringify(more));
  assert.deepEqual(why([null, rule()]), []);
  // Who names it decides: without a rule it is the owner or an approver.
  const asking = (who: string) => cedar(`@tier("3") ${who} ${forbid}`);
  for (const [was, is] of [
    ['', '@approvers("r")'],
    ['@approvers("r")', ''],
    ['@approvers("r")', '@approvers("s")'],
  ] as const)
    assert.equal(why([asking(was), asking(is)]).length, 1, `${was} → ${is}`);
  assert.equal(why([null, asking('@approvers("r")')]).length, 1);
  assert.deepEqual(why([asking('@approvers("r,s")'), asking('@approvers("s, r")')]), []);
});

/** @proves policy.second-person */
test('who is on call is decided by whoever may decide who approves', () => {
  const rota = (more: object = {}): ManifestInput =>
    ({
      kind: 'OnCall',
      name: 'o',
      zone: 'UTC',
      people: ['a@example.test', 'b@example.test'],
      startsOn: '2026-01-05',
      handOverAt: '09:00',
      ...more,
    }) as ManifestInput;
  const during = { from: '2026-01-06T00:00:00Z', until: '2026-01-07T00:00:00Z' };
  const nobody = { overrides: [{ person: null, ...during }] };
  assert.deepEqual(why([rota(), rota(nobody)]), []);
  assert.equal(why([rota(nobody), rota()]).length, 1);
  assert.equal(why([rota(), rota({ overrides: [{ person: 'c@example.test', ...during }] })]).length, 1);
  for (const more of [
    { people: ['c@example.test'] },
    { zone: 'Europe/Berlin' },
    { everyDays: 1 },
    { handOverAt: '10:00' },
  ])
    assert.equal(why([rota(), rota(more)]).length, 1, JSON.stringify(more));
});
