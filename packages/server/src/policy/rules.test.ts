import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CedarValueJson, type EntityJson, isAuthorized, type PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';
import type { Json } from '../platform/index.ts';
import { compilePolicies } from './compile.ts';
import { NAMESPACE, subjectsOf } from './schema.ts';
import { unknownSituation } from './situation.ts';
import { templatePermits } from './templates.ts';
import { shopWorkspace } from './testing/workspace.ts';

const uid = (type: string, id: string) => ({ type: `${NAMESPACE}::${type}`, id });

/**
 * The reference: the official engine with every policy and every entity of the workspace, asked without any slicing. The hierarchy
 * is written down here once more, so that a mistake in one of the two shows.
 */
const entities = (workspace: ReturnType<typeof shopWorkspace>): EntityJson[] => {
  const { agent, task } = workspace;
  const leaf = (type: string, id: string, parents = [] as EntityJson['parents']): EntityJson => ({
    uid: uid(type, id),
    parents,
    attrs: {},
  });
  const reference = (type: string, id: string) => ({ __entity: uid(type, id) });
  const environment = uid('Environment', agent.manifest.environment);
  const blueprint = uid('Blueprint', agent.manifest.blueprint);
  const subjects = [...workspace.servers.values()].flatMap(subjectsOf);
  return [
    leaf('Environment', 'production'),
    leaf('Environment', 'staging'),
    leaf('Blueprint', 'support'),
    leaf('Blueprint', 'coding'),
    leaf('Template', 'refund-order'),
    leaf('Template', 'other'),
    leaf('ToolServer', 'shop'),
    leaf('ToolServer', 'elsewhere'),
    leaf('Agent', agent.name, [blueprint, environment]),
    {
      uid: uid('Task', task.id),
      parents: [uid('Agent', agent.name), uid('Template', task.template), blueprint, environment],
      attrs: {
        agent: reference('Agent', agent.name),
        template: reference('Template', task.template),
        environment: reference('Environment', agent.manifest.environment),
        owner: agent.manifest.owner,
        risk: agent.manifest.risk,
        parameters: task.parameters,
      },
    },
    ...subjects.map((subject) => ({
      uid: uid('Tool', subject.ref),
      parents: [uid('ToolServer', subject.server)],
      attrs: { tier: subject.tier, effects: [...subject.effects] },
    })),
    ...subjects.map((subject) =>
      leaf(
        'Action',
        subject.ref,
        subject.effects.map((effect) => uid('Action', effect)),
      ),
    ),
    ...['read', 'write', 'delete', 'send', 'pay', 'export', 'deploy', 'administer'].map((id) => leaf('Action', id)),
  ];
};

const G = 'Gatehouse::';
const principals = [
  `${G}Agent::"agent-support-refunds-prod"`,
  `${G}Agent::"agent-other"`,
  `${G}Template::"refund-order"`,
  `${G}Template::"other"`,
  `${G}Blueprint::"support"`,
  `${G}Blueprint::"coding"`,
  `${G}Environment::"production"`,
  `${G}Environment::"staging"`,
  `${G}Task::"tsk_1"`,
  `${G}Task::"tsk_2"`,
];
const tools = ['get_order', 'list_orders', 'post_message', 'refund_order', 'drop_table'];
const actions = [...tools.map((name) => `${G}Action::"shop/${name}"`), `${G}Action::"shop#resources"`];
const groups = ['read', 'delete', 'send', 'pay', 'export'].map((id) => `${G}Action::"${id}"`);
const resources = [...tools.map((name) => `${G}Tool::"shop/${name}"`), `${G}Tool::"shop#resources"`];
const servers = [`${G}ToolServer::"shop"`, `${G}ToolServer::"elsewhere"`];

const of = <T>(...values: T[]) => fc.constantFrom(...values);
const principal = fc.oneof(
  of('principal', `principal is ${G}Task`),
  of(...principals).map((each) => `principal in ${each}`),
  of(...principals).map((each) => `principal is ${G}Task in ${each}`),
  of(`principal == ${G}Task::"tsk_1"`, `principal == ${G}Task::"tsk_2"`),
);
const action = fc.oneof(
  of('action'),
  of(...actions).map((each) => `action == ${each}`),
  of(...actions, ...groups).map((each) => `action in ${each}`),
  fc
    .uniqueArray(of(...actions, ...groups), { minLength: 1, maxLength: 4 })
    .map((some) => `action in [${some.join(', ')}]`),
);
const resource = fc.oneof(
  of('resource', `resource is ${G}Tool`),
  of(...resources).map((each) => `resource == ${each}`),
  of(...resources, ...servers).map((each) => `resource in ${each}`),
  of(...servers, ...resources).map((each) => `resource is ${G}Tool in ${each}`),
);
const condition = of(
  '',
  'when { principal.risk == "medium" }',
  'unless { principal.owner == "owner@example.test" }',
  'when { resource.tier < 3 } unless { resource.effects.contains("send") }',
  'when { principal.parameters has order && principal.parameters.order == 1042 }',
  `when { principal in ${G}Blueprint::"support" }`,
  `unless { action in ${G}Action::"pay" }`,
);
const annotation = of('', '@tier("2") ', '@reason("no") ');
const policy = fc
  .tuple(annotation, of('permit', 'permit', 'forbid'), principal, action, resource, condition)
  .map(([note, effect, p, a, r, c]) => `${note}${effect}(${p}, ${a}, ${r}) ${c};`);

const calls: [string, Json][] = [
  ['get_order', { order: 1042 }],
  ['get_order', { order: 1 }],
  ['list_orders', { customer: 'customer-z' }],
  ['post_message', { channel: 'support', text: 'x' }],
  ['post_message', { channel: 'other', text: 'x' }],
  ['refund_order', { order: 1042, amount_cents: 5, currency: 'EUR' }],
  ['drop_table', { table: 'orders' }],
];

/** @proves law-2.default-deny */
test('property: deciding with a slice is deciding with all policies and all entities, for the same reasons', () => {
  const reached = { allow: 0, deny: 0 };
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 6 }),
      of('refund-order', 'other'),
      of('support', 'coding'),
      (cedar, template, blueprint) => {
        const workspace = shopWorkspace(Object.fromEntries(cedar.map((text, at) => [`p${at}`, text])));
        workspace.agent.manifest.blueprint = blueprint;
        workspace.task.template = template;
        const set = compilePolicies(workspace);
        const subjects = new Map([...workspace.servers.values()].flatMap(subjectsOf).map((each) => [each.ref, each]));
        const all: Record<string, PolicyJson | string> = {};
        const raising: Record<string, string> = {};
        for (const each of workspace.templates.values())
          for (const permit of templatePermits(each, subjects)) all[permit.id] = permit.policy;
        cedar.forEach((text, at) => {
          if (text.startsWith('@tier("2") forbid')) raising[`p${at}#0`] = text;
          else all[`p${at}#0`] = text;
        });
        for (const [name, args] of calls) {
          const tool = workspace.tool(name);
          const subject = subjects.get(tool.ref);
          assert.ok(subject);
          const ask = (staticPolicies: Record<string, PolicyJson | string>) => {
            const answer = isAuthorized({
              principal: uid('Task', workspace.task.id),
              action: uid('Action', tool.ref),
              resource: uid('Tool', tool.ref),
              context: { arguments: args as Record<string, CedarValueJson> },
              policies: { staticPolicies },
              entities: entities(workspace),
            });
            assert.ok(answer.type === 'success');
            assert.deepEqual(answer.response.diagnostics.errors, []);
            return { decision: answer.response.decision, reason: answer.response.diagnostics.reason };
          };
          const { decision, reason } = ask(all);
          const raised = decision === 'allow' ? ask(raising).reason : [];
          const mine = set.decide({
            agent: workspace.agent,
            task: workspace.task,
            tool,
            arguments: args,
            situation: unknownSituation(0),
          });
          const cedarAllows = mine.effect !== 'deny' || mine.code === 'tier.prohibited';
          assert.equal(cedarAllows, decision === 'allow', `${tool.ref} ${JSON.stringify(args)}: ${mine.code}`);
          // Where nothing could permit, the forbids are not looked for.
          if (mine.code !== 'policy.no-permit')
            assert.deepEqual([...mine.policies].sort(), [...reason, ...raised].sort());
          if (cedarAllows)
            assert.ok(
              set.mayEverUse({ agent: workspace.agent, task: workspace.task }, tool),
              'allowed, and not listed',
            );
          reached[decision === 'allow' ? 'allow' : 'deny']++;
        }
      },
    ),
    { numRuns: 120 },
  );
  assert.ok(reached.allow > 80 && reached.deny > 80, JSON.stringify(reached));
});
