import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GroupManifest, groupManifest, type Narrowing, type Task, templateManifest } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { Agent } from '../registry/index.ts';
import { compilePolicies } from './compile.ts';
import { unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';

/** Law 5: delegation only narrows. The engine is the real one; what should come out is computed here from the random workspace. */
const USER = 'z@example.test';
const tools = ['get_order', 'list_orders', 'post_message', 'refund_order', 'drop_table'] as const;
type ToolName = (typeof tools)[number];
const tiers: Record<ToolName, number> = {
  get_order: 1,
  list_orders: 1,
  post_message: 2,
  refund_order: 3,
  drop_table: 4,
};
const argumentsOf: Record<ToolName, Record<string, string | number>> = {
  get_order: { order: 1 },
  list_orders: { customer: 'c' },
  post_message: { channel: 'x', text: 't' },
  refund_order: { order: 1, amount_cents: 5, currency: 'EUR' },
  drop_table: { table: 't' },
};

interface Allow {
  tools: string[];
}
const pattern = fc.oneof(
  fc.constant('*'),
  fc.constant('shop/*'),
  fc.constantFrom(...tools.map((tool) => `shop/${tool}`)),
);
const allow: fc.Arbitrary<Allow[]> = fc.array(fc.record({ tools: fc.array(pattern, { minLength: 1, maxLength: 2 }) }), {
  maxLength: 3,
});
const narrowing: fc.Arbitrary<Narrowing | null> = fc.option(fc.record({ tools: fc.array(pattern, { maxLength: 3 }) }), {
  freq: 2,
});
const link = fc.record({ allow, narrowing });

const covers = (patterns: string[], tool: ToolName) =>
  patterns.some((each) => each === '*' || each === 'shop/*' || each === `shop/${tool}`);
const allows = (entries: Allow[], tool: ToolName) => entries.some((entry) => covers(entry.tools, tool));

interface Link {
  allow: Allow[];
  narrowing: Narrowing | null;
}

/** A chain of agents, each with a template of its own, the presenting one first; for a user if `groups` are given. */
function chainOf(links: Link[], groups: Allow[][] | null, policies: Record<string, string> = {}) {
  const shop = shopWorkspace(policies);
  const agents = links.map(
    (_, at): Agent => ({
      ...shop.agent,
      name: `agent-${at}`,
      manifest: { ...shop.agent.manifest, name: `agent-${at}` },
    }),
  );
  const templates = new Map(
    links.map(({ allow }, at) => [
      `template-${at}`,
      templateManifest.parse({ kind: 'Template', name: `template-${at}`, allow }),
    ]),
  );
  const tasks = links.map(
    ({ narrowing }, at): Task => ({
      ...shop.task,
      id: `tsk_${at}`,
      agent: `agent-${at}`,
      template: `template-${at}`,
      parameters: {},
      narrowing,
      user: groups ? USER : null,
      parent: at + 1 < links.length ? `tsk_${at + 1}` : null,
    }),
  );
  const named = new Map<string, GroupManifest>(
    (groups ?? []).map((allow, at) => [
      `group-${at}`,
      groupManifest.parse({ kind: 'Group', name: `group-${at}`, members: [USER], allow }),
    ]),
  );
  const set = compilePolicies({ ...shop, templates, groups: named });
  const pairs = links.map((_, at) => ({ agent: agents[at] as Agent, task: tasks[at] as Task }));
  const user = groups ? { email: USER, roles: ['owner'], groups: [...named.keys()] } : null;
  const authority = (from: number) => {
    const [own, ...chain] = pairs.slice(from);
    return { ...(own as (typeof pairs)[number]), chain, user };
  };
  return {
    set,
    authority,
    decide: (tool: ToolName, from = 0) =>
      set.decide({
        ...authority(from),
        tool: shop.tool(tool),
        arguments: argumentsOf[tool],
        situation: unknownSituation(0),
      }),
    mayEverUse: (tool: ToolName, from = 0) => set.mayEverUse(authority(from), shop.tool(tool)),
  };
}

const rank = { allow: 0, 'needs-approval': 1, deny: 2 } as const;

/** @proves law-5.narrows */
test('what is permitted to a delegated task is permitted to each task of its chain, at no lower tier, and to its user', () => {
  fc.assert(
    fc.property(
      fc.array(link, { minLength: 1, maxLength: 5 }),
      fc.option(fc.array(allow, { maxLength: 2 })),
      (links, groups) => {
        const world = chainOf(links, groups);
        for (const tool of tools) {
          const decision = world.decide(tool);
          const all =
            links.every(
              (each) => allows(each.allow, tool) && (!each.narrowing || covers(each.narrowing.tools, tool)),
            ) &&
            (!groups || groups.some((entries) => allows(entries, tool)));
          const expected = !all || tiers[tool] === 4 ? 'deny' : tiers[tool] === 3 ? 'needs-approval' : 'allow';
          assert.equal(decision.effect, expected, `${tool}: ${decision.reason}`);
          if (expected !== 'deny') assert.ok(world.mayEverUse(tool), 'allowed, and not listed');
          if (!all) assert.ok(!world.mayEverUse(tool), 'listed, and never allowed');
          for (let above = 1; above < links.length; above++) {
            assert.ok(
              rank[decision.effect] >= rank[world.decide(tool, above).effect],
              'a child may more than its parent',
            );
            assert.ok(decision.tier >= world.decide(tool, above).tier, 'a child has a lower tier than its parent');
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a policy that raises the tier for one agent of the chain raises it for all that it handed on', () => {
  const everything = { allow: [{ tools: ['*'] }], narrowing: null };
  const careful = `@tier("3") permit(principal in Gatehouse::Agent::"agent-2", action == Gatehouse::Action::"shop/get_order", resource);`;
  const world = chainOf([everything, everything, everything], null, { careful });
  assert.equal(world.decide('get_order').effect, 'needs-approval');
  assert.equal(world.decide('list_orders').effect, 'allow');
  const forbids = `forbid(principal in Gatehouse::Agent::"agent-1", action, resource == Gatehouse::Tool::"shop/list_orders");`;
  const forbidden = chainOf([everything, everything], null, { forbids }).decide('list_orders');
  assert.equal(forbidden.effect, 'deny');
  assert.match(forbidden.reason, /agent-1 handed this task on/);
  assert.equal(forbidden.code, 'delegation.chain');
});

/** @proves law-5.both */
test('a person whom no group or policy permits anything grants nothing, and the refusal names the side and what to ask for', () => {
  const everything = { allow: [{ tools: ['*'] }], narrowing: null };
  const world = chainOf([everything], [], {
    all: 'permit(principal, action, resource);',
    agents: 'permit(principal in Gatehouse::Agent::"agent-0", action, resource);',
  });
  const refused = world.decide('get_order');
  assert.equal(refused.effect, 'deny');
  assert.equal(refused.code, 'delegation.user');
  assert.match(
    refused.reason,
    /z@example\.test, for whom this task acts, may not use shop\/get_order.*no group.*Ask an admin/,
  );

  const nobody = world.set.decide({
    ...world.authority(0),
    user: null,
    tool: shopWorkspace().tool('get_order'),
    arguments: { order: 1 },
    situation: unknownSituation(0),
  });
  assert.match(nobody.reason, /is not a person of this workspace/);

  const offered = chainOf([{ allow: [], narrowing: null }], [[{ tools: ['*'] }]]).decide('get_order');
  assert.equal(offered.effect, 'deny', 'what the person may do is not thereby the agent’s');
  assert.equal(offered.code, 'policy.no-permit');
});

test('policies about people: one user, a group with conditions, roles, and forbids that win', () => {
  const everything = { allow: [{ tools: ['*'] }], narrowing: null };
  const one = `permit(principal == Gatehouse::User::"${USER}", action, resource);`;
  assert.equal(chainOf([everything], [], { one }).decide('list_orders').effect, 'allow');
  const another = `permit(principal == Gatehouse::User::"a@example.test", action, resource);`;
  assert.equal(chainOf([everything], [], { another }).decide('list_orders').effect, 'deny');
  const roles = `permit(principal is Gatehouse::User, action in Gatehouse::Action::"read", resource) when { principal.roles.contains("owner") };`;
  assert.equal(chainOf([everything], [], { roles }).decide('list_orders').effect, 'allow');
  assert.equal(chainOf([everything], [], { roles }).decide('post_message').effect, 'deny');
  const never = `@reason("no refunds in a user’s name") forbid(principal in Gatehouse::Group::"group-0", action == Gatehouse::Action::"shop/refund_order", resource);`;
  const forbidden = chainOf([everything], [[{ tools: ['*'] }]], { never }).decide('refund_order');
  assert.equal(forbidden.code, 'delegation.user');
  assert.match(forbidden.reason, /no refunds/);

  const shop = shopWorkspace();
  const group = groupManifest.parse({
    kind: 'Group',
    name: 'support',
    members: [USER],
    allow: [{ tools: ['shop/get_order'], when: { order: 7 } }],
  });
  const set = compilePolicies({ ...shop, groups: new Map([['support', group]]) });
  const ask = (order: number) =>
    set.decide({
      agent: shop.agent,
      task: { ...shop.task, user: USER, parameters: { order, customer: 'c' } },
      user: { email: USER, roles: [], groups: ['support'] },
      tool: shop.tool('get_order'),
      arguments: { order },
      situation: unknownSituation(0),
    });
  assert.equal(ask(7).effect, 'allow');
  assert.match(ask(8).reason, /"order" must be 7, not 8/);
});

test('policies on tasks may go on using what only tasks have, and a policy on users is checked against what users have', () => {
  const shop = (cedar: string) => () => compilePolicies(shopWorkspace({ policy: cedar }));
  assert.doesNotThrow(shop('forbid(principal, action, resource) when { principal.risk == "high" };'));
  assert.throws(
    shop('forbid(principal is Gatehouse::User, action, resource) when { principal.risk == "high" };'),
    /attribute `risk`/,
  );
});

test('a task that was handed on is refused when it is not known by whom', () => {
  const everything = { allow: [{ tools: ['*'] }], narrowing: null };
  const world = chainOf([everything, everything, everything], null);
  const { chain, ...alone } = world.authority(0);
  const ask = (links: typeof chain) =>
    world.set.decide({
      ...alone,
      chain: links,
      tool: shopWorkspace().tool('get_order'),
      arguments: { order: 1 },
      situation: unknownSituation(0),
    }).code;
  assert.equal(ask(chain), 'allowed');
  assert.equal(ask([]), 'delegation.chain');
  assert.equal(ask(chain.slice(0, 1)), 'delegation.chain');
  assert.equal(ask([...chain].reverse()), 'delegation.chain');
});

test('a narrowed task is told to what it was narrowed', () => {
  const everything = [{ tools: ['*'] }];
  const refused = chainOf([{ allow: everything, narrowing: { tools: ['shop/list_orders'] } }], null).decide(
    'get_order',
  );
  assert.equal(refused.code, 'task.narrowed');
  assert.match(refused.reason, /narrowed to shop\/list_orders/);
  assert.match(
    chainOf([{ allow: everything, narrowing: { tools: [] } }], null).decide('get_order').reason,
    /narrowed to no tools at all/,
  );
});
