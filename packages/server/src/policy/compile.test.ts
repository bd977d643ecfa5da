import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../platform/index.ts';
import { compilePolicies } from './compile.ts';
import { officialEngine } from './official.ts';
import { unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';

function decide(name: string, args: Json, policies: Record<string, string> = {}) {
  const workspace = shopWorkspace(policies);
  const set = compilePolicies(workspace);
  return set.decide({
    agent: workspace.agent,
    task: workspace.task,
    tool: workspace.tool(name),
    arguments: args,
    situation: unknownSituation(0),
  });
}

test('a template permits its tool with the task parameters, and nothing else', () => {
  assert.equal(decide('get_order', { order: 1042 }).effect, 'allow');
  const other = decide('get_order', { order: 1043 });
  assert.equal(other.code, 'policy.conditions-unmet');
  assert.match(other.reason, /"order" must be 1042 \(the task's parameter "order"\), not 1043/);
});

test('tiers: 3 waits for a person, 4 is refused although a template permits it', () => {
  assert.equal(decide('refund_order', { order: 1042, amount_cents: 4000, currency: 'EUR' }).effect, 'needs-approval');
  const dropped = decide('drop_table', { table: 'orders' });
  assert.equal(dropped.effect, 'deny');
  assert.equal(dropped.code, 'tier.prohibited');
});

test('forbid wins over a permit and gives its reason', () => {
  const policies = {
    caps: `@id("refund-cap") @reason("refunds above 500.00 are done by finance")
forbid(principal, action in Gatehouse::Action::"pay", resource) when { context.arguments.amount_cents > 50000 };`,
  };
  const refused = decide('refund_order', { order: 1042, amount_cents: 50001, currency: 'EUR' }, policies);
  assert.equal(refused.effect, 'deny');
  assert.match(refused.reason, /refunds above 500.00 are done by finance/);
  assert.deepEqual(refused.policies, ['caps#refund-cap']);
  assert.equal(
    decide('refund_order', { order: 1042, amount_cents: 50000, currency: 'EUR' }, policies).effect,
    'needs-approval',
  );
});

test('an annotation raises the tier and can never lower it', () => {
  const raise = { raise: '@tier("3") permit(principal, action == Gatehouse::Action::"shop/get_order", resource);' };
  assert.equal(decide('get_order', { order: 1042 }, raise).effect, 'needs-approval');
  const lower = { lower: '@tier("1") permit(principal, action == Gatehouse::Action::"shop/refund_order", resource);' };
  assert.equal(
    decide('refund_order', { order: 1042, amount_cents: 1, currency: 'EUR' }, lower).effect,
    'needs-approval',
  );
});

test('a policy that names an unknown tool, or compares an argument with another type, does not load; the message has line and column', () => {
  const load = (cedar: string) => () => compilePolicies(shopWorkspace({ mine: cedar }));
  assert.throws(
    load('\n\nforbid(principal, action == Gatehouse::Action::"shop/refund_ordr", resource);'),
    /Policy mine, line 3, column 29: unrecognized action .*did you mean `Gatehouse::Action::"shop\/refund_order"`/,
  );
  assert.throws(
    load(
      'permit(principal, action, resource);\nforbid(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > "5" };',
    ),
    /Policy mine, line 2, column \d+/,
  );
  assert.throws(load('permit(principal, action);'), /Policy mine, line 1/);
  assert.throws(
    load('\nforbid(principal, action == Gatehouse::Action::"pay", resource);'),
    /Policy mine, line 2, column 19: .*write `action in`/,
  );
});

/** @proves law-2.policy-error */
test('a policy that fails while it is evaluated denies, even beside a permit', () => {
  const overflow = {
    overflow:
      'forbid(principal, action == Gatehouse::Action::"shop/get_order", resource) when { context.arguments.order + 9223372036854775807 > 0 };',
  };
  assert.equal(decide('get_order', { order: 1042 }, overflow).code, 'policy.error');
});

test('arguments that do not fit their declared type are refused before any policy sees them', () => {
  for (const order of ['1042', 1042.5, 2 ** 53, null, [1042], undefined]) {
    assert.equal(decide('get_order', order === undefined ? {} : { order }).code, 'arguments.invalid');
  }
});

test('listing: only tools that some permit could allow this task', () => {
  const workspace = shopWorkspace({
    no: 'forbid(principal, action == Gatehouse::Action::"shop/post_message", resource);',
  });
  const set = compilePolicies(workspace);
  const usable = ['get_order', 'list_orders', 'post_message', 'refund_order'].filter((name) =>
    set.mayEverUse({ agent: workspace.agent, task: workspace.task }, workspace.tool(name)),
  );
  assert.deepEqual(usable, ['get_order', 'list_orders', 'refund_order']);
  assert.equal(
    set.mayEverUse(
      { agent: workspace.agent, task: { ...workspace.task, template: 'other' } },
      workspace.tool('get_order'),
    ),
    false,
  );
});

/** @proves law-2.default-deny */
test('property: without a permit whose conditions hold nothing is ever allowed (default deny)', () => {
  const workspace = shopWorkspace();
  const set = compilePolicies(workspace);
  fc.assert(
    fc.property(fc.integer(), fc.string(), fc.constantFrom('refund-order', 'other'), (order, channel, template) => {
      const task = { ...workspace.task, template };
      const read = set.decide({
        agent: workspace.agent,
        task,
        tool: workspace.tool('get_order'),
        arguments: { order },
        situation: unknownSituation(0),
      });
      assert.equal(read.effect === 'allow', template === 'refund-order' && order === 1042);
      const post = set.decide({
        agent: workspace.agent,
        task,
        tool: workspace.tool('post_message'),
        arguments: { channel, text: 'x' },
        situation: unknownSituation(0),
      });
      assert.equal(post.effect === 'allow', template === 'refund-order' && channel === 'support');
    }),
    { numRuns: 200 },
  );
});

test('the version changes with any policy, template or tool definition', () => {
  const version = compilePolicies(shopWorkspace()).version;
  assert.notEqual(
    compilePolicies(shopWorkspace({ a: 'permit(principal, action == Gatehouse::Action::"shop/get_order", resource);' }))
      .version,
    version,
  );
  assert.equal(compilePolicies(shopWorkspace()).version, version);
});

test('a tool that a server adds by itself changes nothing: policies load as before, in the same version', () => {
  const load = (added: boolean) => {
    const workspace = shopWorkspace();
    const server = workspace.servers.get('shop');
    const template = workspace.templates.get('refund-order');
    const tool = server?.tools.get('drop_table');
    if (!server || !template || !tool) throw new Error('the workspace has no shop');
    template.allow = [{ tools: ['shop/*'] }];
    if (added)
      server.tools.set('added', { ...tool, ref: 'shop/added', name: 'added', state: 'held', definition: null });
    return compilePolicies(workspace).version;
  };
  assert.equal(load(true), load(false));
});

test('an agent that is moved to another blueprint or environment is judged by the policies of that one at once', () => {
  const cedar =
    'forbid(principal in Gatehouse::Blueprint::"coding", action, resource); forbid(principal in Gatehouse::Environment::"staging", action, resource);';
  const { agent, task, tool, ...workspace } = shopWorkspace({ mine: cedar });
  const set = compilePolicies(workspace);
  const code = (change: Partial<typeof agent.manifest>) => {
    const moved = { ...agent, manifest: { ...agent.manifest, ...change } };
    return set.decide({
      agent: moved,
      task,
      tool: tool('get_order'),
      arguments: { order: 1042 },
      situation: unknownSituation(0),
    }).code;
  };
  assert.equal(code({}), 'allowed');
  assert.equal(code({ blueprint: 'coding' }), 'policy.forbidden');
  assert.equal(code({ environment: 'staging' }), 'policy.forbidden');
});

test('a policy about one task hides no tool from the others', () => {
  const workspace = shopWorkspace({
    mine: 'forbid(principal == Gatehouse::Task::"tsk_2", action, resource); forbid(principal is Gatehouse::Task in Gatehouse::Task::"tsk_2", action, resource);',
  });
  const set = compilePolicies(workspace);
  const { agent, task } = workspace;
  const tool = workspace.tool('get_order');
  const code = (id: string) =>
    set.decide({ agent, task: { ...task, id }, tool, arguments: { order: 1042 }, situation: unknownSituation(0) }).code;
  assert.ok(set.mayEverUse({ agent: agent, task: task }, tool));
  assert.equal(code('tsk_1'), 'allowed');
  assert.equal(code('tsk_2'), 'policy.forbidden');
});

/** @proves policy.engines-differ */
test('a decision that the official engine would not take is refused and told; the first of each kind is compared, and some of the others', () => {
  const workspace = shopWorkspace();
  const heard: unknown[] = [];
  const asked: string[] = [];
  let agrees = true;
  const set = compilePolicies(workspace, {
    enginesDiffer: (difference) => heard.push(difference),
    officialEngine: (policies) => {
      const { authorize } = officialEngine(policies);
      return {
        authorize(environment, entities) {
          asked.push(environment.resource.id);
          const answer = authorize(environment, entities);
          return agrees ? answer : { ...answer, decision: answer.decision === 'allow' ? 'deny' : 'allow' };
        },
      };
    },
  });
  const call = (name: string, args: Json) =>
    set.decide({
      agent: workspace.agent,
      task: workspace.task,
      tool: workspace.tool(name),
      arguments: args,
      situation: unknownSituation(0),
    });
  for (let times = 0; times < 1_500; times++) assert.equal(call('get_order', { order: 1042 }).effect, 'allow');
  // Each time those that decide, and those that raise.
  assert.deepEqual(asked, Array(8).fill('shop/get_order'));
  agrees = false;
  const refused = call('list_orders', { customer: 'customer-z' });
  assert.equal(refused.effect, 'deny');
  assert.equal(refused.code, 'policy.engines-differ');
  assert.equal(heard.length, 1);
  assert.equal(call('get_order', { order: 1042 }).effect, 'allow');
});

test('a decision that is given again cannot have been changed by whoever got it first', () => {
  const workspace = shopWorkspace();
  const set = compilePolicies(workspace);
  const ask = (tier: 1 | 4) =>
    set.decide({
      agent: workspace.agent,
      task: workspace.task,
      tool: { ...workspace.tool('get_order'), tier },
      arguments: { order: 1042 },
      situation: unknownSituation(0),
    });
  const first = ask(1);
  assert.throws(() => {
    first.effect = 'deny';
  }, TypeError);
  assert.throws(() => first.policies.push('another'), TypeError);
  assert.equal(ask(4).code, 'tier.prohibited', 'the tier is of the call');
  assert.equal(ask(1).effect, 'allow');
});
