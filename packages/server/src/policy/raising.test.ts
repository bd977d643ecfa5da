import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  calendarManifest,
  type DeviationKind,
  deviationKind,
  type ToolSetting,
  templateManifest,
} from '@gatehouse/protocol';
import type { GatehouseError, JsonObject } from '../platform/index.ts';
import { labelsOf } from '../registry/index.ts';
import { compilePolicies } from './compile.ts';
import { type Situation, unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';

function decide(cedar: string, args: JsonObject, situation: Partial<Situation> = {}, tool = 'post_message') {
  const workspace = shopWorkspace({ rules: cedar });
  const hours = calendarManifest.parse({
    kind: 'Calendar',
    name: 'business-hours',
    zone: 'Europe/Berlin',
    open: [{ days: ['mon'], from: '09:00', to: '17:00' }],
  });
  const set = compilePolicies({ ...workspace, calendars: new Map([[hours.name, hours]]) });
  return set.decide({
    agent: workspace.agent,
    task: workspace.task,
    tool: workspace.tool(tool),
    arguments: args,
    situation: { ...unknownSituation(Date.UTC(2026, 0, 15, 12)), ...situation },
  });
}

const posting = { channel: 'support', text: 'hello' };
const on = (body: string, annotations = '@tier("3") @reason("long messages are read first")') =>
  `@id("long") ${annotations} forbid(principal, action in Gatehouse::Action::"send", resource) ${body};`;

/** @proves policy.raised */
test('a forbid with a tier asks a person while its conditions hold, and refuses nothing', () => {
  const rule = on('when { context.arguments has text && context.arguments.text like "*!!*" }');
  assert.equal(decide(rule, posting).effect, 'allow');
  const raised = decide(rule, { ...posting, text: 'buy!!' });
  assert.equal(raised.effect, 'needs-approval');
  assert.equal(raised.code, 'policy.raised');
  assert.equal(raised.tier, 3);
  assert.ok(raised.reason.includes('long messages are read first'), raised.reason);
  assert.ok(raised.policies.includes('rules#long'), raised.policies.join());
});

/** @proves policy.raised */
test('what one call raised is not raised for the next, nor the other way round', () => {
  const workspace = shopWorkspace({
    rules: `${on('when { context.arguments.text like "*!!*" }')} ${on('when { context.arguments.text like "*??*" }', '@id("asks") @tier("2")').replace('@id("long") ', '')}`,
  });
  const set = compilePolicies(workspace);
  const tierOf = (text: string) => {
    const { agent, task } = workspace;
    const tool = workspace.tool('post_message');
    return set.decide({ agent, task, tool, arguments: { ...posting, text }, situation: unknownSituation(0) }).tier;
  };
  const own = workspace.tool('post_message').tier;
  for (const [text, tier] of [
    ['hello', own],
    ['buy!!', 3],
    ['hello', own],
    ['why??', 2],
    ['buy!!', 3],
    ['why?? buy!!', 3],
    ['why??', 2],
    ['hello', own],
  ] as const)
    assert.equal(tierOf(text), tier, text);
});

test('what is not permitted stays refused, whatever is raised', () => {
  const refused = decide(on(''), { ...posting, channel: 'elsewhere' });
  assert.equal(refused.effect, 'deny');
  assert.equal(refused.code, 'policy.conditions-unmet');
});

test('tier 2 is noted and goes on; tier 4 and none refuse; a higher tier of the tool stands', () => {
  assert.deepEqual([decide(on('', '@tier("2")'), posting)].map(({ effect, tier }) => [effect, tier])[0], ['allow', 2]);
  assert.equal(decide(on('', '@tier("4")'), posting).code, 'policy.forbidden');
  assert.equal(decide(on('', ''), posting).code, 'policy.forbidden');
  const pay = `@tier("3") forbid(principal, action, resource);`;
  const refund = { order: 1042, amount_cents: 100, currency: 'EUR' };
  assert.equal(decide(pay, refund, {}, 'refund_order').code, 'tier.needs-approval');
});

test('a raising policy that can not be evaluated refuses', () => {
  const overflow = on('when { context.arguments.text == "x" || 9223372036854775807 + 1 > 0 }');
  const refused = decide(overflow, posting);
  assert.equal(refused.code, 'policy.error');
});

/** @proves policy.situation */
test('policies see what is known around a call', () => {
  const when = (condition: string) => (situation: Partial<Situation>) =>
    decide(on(`when { ${condition} }`), posting, situation).effect;
  const flow = (more: Partial<Situation['flow']>) => ({
    flow: { untrusted: false, sensitive: [], textless: false, reachesNobody: false, provenance: {}, ...more },
  });
  const deviating = (...kinds: DeviationKind[]) => ({ deviations: kinds.map((kind) => ({ kind, words: kind })) });
  const cases: [string, Partial<Situation>, Partial<Situation>][] = [
    ['context.calendars.contains("business-hours")', { calendars: ['business-hours'] }, { calendars: [] }],
    [
      'context.now > datetime("2026-01-01")',
      { now: Date.UTC(2026, 5, 1) },
      { now: Date.UTC(2025, 11, 31, 23, 59, 59, 999) },
    ],
    [
      'context has address && context.address.isInRange(ip("10.0.0.0/8"))',
      { address: '10.1.2.3' },
      { address: '192.0.2.1' },
    ],
    ['context has address && context.address == ip("2001:db8::1")', { address: '2001:db8::1' }, { address: null }],
    [
      'context has changeRequest && context.changeRequest.state == "approved"',
      { changeRequest: { id: 'CHG-1', state: 'approved' } },
      { changeRequest: { id: 'CHG-1', state: 'draft' } },
    ],
    ['context has ticket', { ticket: { id: 'T-1', state: 'open' } }, { ticket: null }],
    ['context.firstUse', { firstUse: true }, { firstUse: false }],
    ['context.deviations.contains("hour")', deviating('hour', 'rate'), {}],
    ['context.flow.untrusted', flow({ untrusted: true }), flow({})],
    ['context.flow.sensitive.contains("personal")', flow({ sensitive: ['personal'] }), flow({ sensitive: ['health'] })],
    [
      'context.provenance.untrusted.contains("channel")',
      flow({ provenance: { channel: 'untrusted' } }),
      flow({ provenance: { channel: 'stated' } }),
    ],
  ];
  for (const [condition, holds, holdsNot] of cases) {
    const effect = when(condition);
    assert.equal(effect(holds), 'needs-approval', condition);
    assert.equal(effect(holdsNot), 'allow', condition);
  }
});

/** @proves baseline.raises, baseline.never-lowers */
test('what is unusual is at least tier 2, and 3 where it could do harm; it lowers nothing and lets nothing through', () => {
  const rules = ['permit(principal, action, resource) when { false };', on(''), on('', '')];
  const calls: [string, JsonObject][] = [
    ['get_order', { order: 1042 }],
    ['list_orders', { customer: 'Z' }],
    ['post_message', posting],
    ['post_message', { ...posting, channel: 'elsewhere' }],
    ['refund_order', { order: 1042, amount_cents: 100, currency: 'EUR' }],
    ['drop_table', { table: 'orders' }],
  ];
  const order = { allow: 0, 'needs-approval': 1, deny: 2 };
  for (const rule of rules)
    for (const [tool, args] of calls)
      for (const kind of deviationKind.options) {
        const usual = decide(rule, args, {}, tool);
        const unusual = decide(rule, args, { deviations: [{ kind, words: 'unusual' }] }, tool);
        assert.ok(unusual.tier >= usual.tier && order[unusual.effect] >= order[usual.effect], `${tool} ${rule}`);
        if (unusual.effect === 'deny') continue;
        const isGrave = shopWorkspace()
          .tool(tool)
          .effects.some((effect) => effect !== 'read');
        assert.ok(unusual.tier >= (isGrave ? 3 : 2), tool);
        assert.ok(unusual.policies.includes('gatehouse/baseline#unusual-call'));
      }
});

/** @proves policy.by-kind */
test('a template allows tools of a kind: all effects among those named, the domain too, and the arguments of its conditions', () => {
  const workspace = shopWorkspace();
  const server = workspace.servers.get('shop');
  assert.ok(server);
  const label = (name: string, setting: Partial<ToolSetting>) => {
    const tool = workspace.tool(name);
    Object.assign(server.manifest.tools[name] as ToolSetting, setting);
    tool.effects = server.manifest.tools[name]?.effects ?? [];
    tool.labels = labelsOf(server.manifest.tools[name]);
  };
  label('get_order', { domain: 'orders' });
  label('list_orders', { domain: 'orders', effects: ['read', 'export'] });
  label('post_message', { domain: 'messages' });
  const allowing = (allow: unknown[]) => {
    const template = templateManifest.parse({ kind: 'Template', name: 'refund-order', allow });
    const set = compilePolicies({ ...workspace, templates: new Map([['refund-order', template]]) });
    return [...server.tools.values()]
      .filter((tool) => set.mayEverUse({ agent: workspace.agent, task: workspace.task }, tool))
      .map(({ name }) => name);
  };
  assert.deepEqual(allowing([{ effects: ['read'] }]), ['get_order']);
  assert.deepEqual(allowing([{ effects: ['read', 'export'], domains: ['orders'] }]), ['get_order', 'list_orders']);
  assert.deepEqual(allowing([{ effects: ['send', 'read'], domains: ['messages'] }]), ['post_message']);
  assert.deepEqual(allowing([{ effects: ['send', 'read'], when: { order: 1 } }]), ['get_order']);
  assert.throws(() => allowing([{ domains: ['orders'] }]), /tools.*or.*effects/s);
  assert.throws(() => allowing([{ tools: ['shop/get_order'], effects: ['read'] }]), /tools.*or.*effects/s);
});

test('a role for an argument that the tool does not have is refused: it would protect nothing', () => {
  const workspace = shopWorkspace();
  workspace.tool('post_message').labels = labelsOf({
    tier: 2,
    effects: ['send'],
    arguments: { chanel: { role: 'recipient' } },
  });
  assert.throws(
    () => compilePolicies(workspace),
    (error: GatehouseError) => error.code === 'policy.invalid' && error.message.includes('"chanel"'),
  );
});
