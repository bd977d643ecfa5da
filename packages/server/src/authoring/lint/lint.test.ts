import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  approvalRuleManifest,
  groupManifest,
  personManifest,
  type TemplateManifest,
  type ToolSetting,
} from '@gatehouse/protocol';
import type { JsonObject } from '../../platform/index.ts';
import { shopWorkspace } from '../../policy/testing/workspace.ts';
import { labelsOf } from '../../registry/index.ts';
import { checkPolicies } from '../check.ts';
import { lint } from './index.ts';

type Shop = ReturnType<typeof shopWorkspace>;

function findings(cedar: string, change: (workspace: Shop) => void = () => undefined) {
  const workspace = shopWorkspace(cedar ? { mine: cedar } : {});
  // Of the fixture itself: what is tested here is one policy at a time.
  template(workspace).allow = [{ tools: ['shop/get_order'], when: { order: '$order' } }];
  change(workspace);
  assert.deepEqual(checkPolicies(workspace), [], 'it loads');
  return lint(workspace);
}

const template = ({ templates }: Shop) => templates.get('refund-order') as TemplateManifest;

/** Codes, without notes and without those that the fixture's tools have anyway. */
const codes = (cedar: string, change?: (workspace: Shop) => void) =>
  findings(cedar, change)
    .filter(({ severity, kind }) => severity !== 'info' && kind !== 'ToolServer')
    .map(({ code }) => code.replace('lint.', ''));

const scope = (tool: string) =>
  `(principal in Gatehouse::Template::"refund-order", action == Gatehouse::Action::"shop/${tool}", resource)`;
const permit = (tool: string, rest = '') => `permit${scope(tool)} ${rest};`;
const forbid = (tool: string, rest = '') => `forbid${scope(tool)} ${rest};`;

/** @proves policy.lint */
test('each fault is found by its code, and what has it not is passed', () => {
  const order = 'when { context.arguments.order == 7 }';
  const cap = (amount: number) => `when { context.arguments.amount_cents > ${amount} }`;
  const cases: [string, string, string[]][] = [
    ['an ordinary cap', forbid('refund_order', cap(500)), []],
    ['a permit with a condition', permit('list_orders', 'when { context.arguments.customer == "z" }'), []],
    ['a permit that a forbid beats', permit('list_orders') + forbid('list_orders'), ['shadowed']],
    [
      'a permit that a wider condition of a forbid beats',
      permit('refund_order', 'when { context.arguments.amount_cents > 900 }') + forbid('refund_order', cap(500)),
      ['shadowed'],
    ],
    [
      'a permit that a forbid beats in part',
      permit('refund_order', 'when { context.arguments.amount_cents > 300 }') + forbid('refund_order', cap(500)),
      [],
    ],
    ['the same twice', forbid('refund_order', cap(500)) + forbid('refund_order', cap(500)), ['duplicate']],
    ['a forbid within another', forbid('refund_order', cap(500)) + forbid('refund_order', cap(900)), ['redundant']],
    [
      'a permit beside one without its condition',
      permit('get_order', order) + permit('get_order'),
      ['condition-bypassed', 'condition-bypassed'],
    ],
    ['a permit with a higher tier beside another', `${permit('list_orders')}@tier("3") ${permit('list_orders')}`, []],
    [
      'permitted when and when not',
      permit('list_orders', 'when { context.arguments.customer == "z" }') +
        permit('list_orders', 'unless { context.arguments.customer == "z" }'),
      ['complementary'],
    ],
    [
      'a permit of everything to everybody',
      'permit(principal, action, resource);',
      ['condition-bypassed', 'broad-permit'],
    ],
    [
      'a permit of one grave action to everybody',
      'permit(principal, action == Gatehouse::Action::"shop/refund_order", resource);',
      ['broad-permit'],
    ],
    ['a condition that always holds', permit('list_orders', 'when { true }'), ['always-true']],
    ['a condition that never holds', forbid('list_orders', 'when { false }'), ['impossible']],
    [
      'two that contradict each other',
      forbid('refund_order', 'when { context.arguments.amount_cents > 5 && context.arguments.amount_cents < 3 }'),
      ['impossible'],
    ],
    [
      'two values at once',
      forbid('list_orders', 'when { context.arguments.customer == "a" && context.arguments.customer == "b" }'),
      ['impossible'],
    ],
    [
      'a template that there is not',
      'forbid(principal in Gatehouse::Template::"refnd-order", action, resource);',
      ['unknown-name'],
    ],
    ['what says that it is not finished', `// TODO the limit\n${forbid('refund_order', cap(500))}`, ['unfinished']],
    [
      'a branch that is always the same',
      forbid(
        'refund_order',
        'when { if context.arguments.currency == "EUR" then context.arguments.amount_cents > 500 else false }',
      ),
      ['unfinished'],
    ],
    [
      'what forbids the task’s own order',
      forbid(
        'refund_order',
        'when { principal.parameters has order && context.arguments.order == principal.parameters.order }',
      ),
      ['inverted'],
    ],
    [
      'what forbids any other order',
      forbid(
        'refund_order',
        'unless { principal.parameters has order && context.arguments.order == principal.parameters.order }',
      ),
      [],
    ],
    [
      'what permits only after untrusted content',
      permit('list_orders', 'when { context.flow.untrusted }'),
      ['inverted'],
    ],
    ['what forbids after untrusted content', forbid('post_message', 'when { context.flow.untrusted }'), []],
    [
      'what asks about usual calls',
      `@tier("3") ${forbid('post_message', 'unless { context.flow.untrusted }')}`,
      ['inverted'],
    ],
  ];
  for (const [what, cedar, expected] of cases) assert.deepEqual(codes(cedar).sort(), expected.sort(), what);
});

/** @proves policy.published-defects */
test('the faults of a published set of policies: an inverted check, swapped field names, a branch that nobody finished', () => {
  // Deleting was refused when the id came from where it may come from.
  const inverted = forbid('drop_table', 'when { context.provenance.trusted.contains("table") }');
  assert.deepEqual(codes(inverted), ['inverted']);
  assert.deepEqual(codes(forbid('drop_table', 'when { context.provenance.untrusted.contains("table") }')), []);

  // Two sibling tools, each compared by the other's field: neither loads, and each says whose field it is.
  const workspace = shopWorkspace({
    swapped:
      forbid('list_orders', 'when { context.arguments has channel && context.arguments.channel == "x" }') +
      forbid('post_message', 'when { context.arguments has customer && context.arguments.customer == "x" }'),
  });
  const said = checkPolicies(workspace);
  assert.equal(said.length, 2);
  assert.match(said[0]?.help ?? '', /shop\/post_message has it/);
  assert.match(said[1]?.help ?? '', /shop\/list_orders has it/);
  // And within one tool, where both fields are of one type.
  const names = codes('', (shop) => {
    template(shop).parameters = {
      text: { type: 'string', required: true },
      channel: { type: 'string', required: true },
    };
    template(shop).allow = [{ tools: ['shop/post_message'], when: { channel: '$text', text: '$channel' } }];
  });
  assert.deepEqual(names, ['swapped']);

  assert.deepEqual(
    codes(`@reason("not implemented") ${forbid('post_message', 'when { context.arguments.text == "" }')}`),
    ['unfinished'],
  );
});

test('one of several that asks the opposite of its siblings is shown', () => {
  const guard = (tool: string, kind: string) => forbid(tool, `${kind} { context.flow.sensitive.contains("personal") }`);
  assert.deepEqual(
    codes(guard('post_message', 'when') + guard('refund_order', 'when') + guard('drop_table', 'unless')),
    ['inverted-sibling'],
  );
});

test('a comparison that the schema of every tool rules out is shown', () => {
  const limited = (cedar: string) =>
    codes(cedar, ({ servers }) => {
      const definition = servers.get('shop')?.tools.get('refund_order')?.definition as JsonObject;
      const { properties } = definition.inputSchema as { properties: JsonObject };
      properties.currency = { type: 'string', enum: ['EUR', 'USD'] };
      properties.amount_cents = { type: 'integer', minimum: 1, maximum: 10_000 };
    });
  assert.deepEqual(limited(forbid('refund_order', 'when { context.arguments.currency == "eur" }')), ['impossible']);
  assert.deepEqual(limited(forbid('refund_order', 'unless { context.arguments.currency == "eur" }')), ['always-true']);
  assert.deepEqual(limited(forbid('refund_order', 'when { context.arguments.amount_cents > 10000 }')), ['impossible']);
  assert.deepEqual(limited(forbid('refund_order', 'when { context.arguments.amount_cents > 9999 }')), []);
});

test('templates, groups and tools: what nobody uses, and what is wider than it has to be', () => {
  const all = findings('', (workspace) => {
    Object.assign(workspace, {
      blueprints: new Map([['support', { kind: 'Blueprint', name: 'support', templates: [] }]]),
      groups: new Map([
        ['nobody', groupManifest.parse({ kind: 'Group', name: 'nobody', allow: [{ tools: ['shop/*'] }] })],
      ]),
    });
    template(workspace).allow = [{ tools: ['shop/post_message'] }];
    (workspace.servers.get('shop')?.manifest.tools.post_message as ToolSetting).effects = ['read'];
    const setting = workspace.servers.get('shop')?.manifest.tools.drop_table as ToolSetting;
    setting.tier = 1;
    const tool = workspace.tool('drop_table');
    Object.assign(tool, { tier: 1, labels: labelsOf(setting) });
  });
  const found = all.map(({ code, kind, name, path }) => `${code} ${kind} ${name} ${path}`);
  for (const wanted of [
    'lint.unused-template Template refund-order ',
    'lint.empty-group Group nobody ',
    'lint.broad-pattern Group nobody allow[0].tools[0]',
    'lint.unconditional-grave Template refund-order allow[0]',
    'lint.grave-low-tier ToolServer shop tools.drop_table',
    'lint.effects-understated ToolServer shop tools.post_message',
  ])
    assert.ok(found.includes(wanted), `${wanted}\n${found.join('\n')}`);
});

test('entries by kind that meet in some tools are no fault; one of which nothing is left is', () => {
  const entries = (...effects: string[][]) =>
    codes('', (workspace) => {
      template(workspace).allow = effects.map((each) => ({ effects: each })) as TemplateManifest['allow'];
    }).filter((code) => ['duplicate', 'redundant', 'condition-bypassed'].includes(code));
  assert.deepEqual(entries(['read'], ['read', 'send']), []);
  assert.deepEqual(entries(['read'], ['read']), ['duplicate']);
});

test('an ignored finding needs a reason, and something to ignore', () => {
  const cap = 'when { true }';
  const ignored = (text: string) =>
    findings(`@lint_ignore("${text}") ${permit('list_orders', cap)}`)
      .filter(({ policy }) => policy?.startsWith('mine'))
      .map(({ code }) => code);
  assert.deepEqual(ignored('always-true written out for readers'), []);
  assert.deepEqual(ignored('always-true').sort(), ['lint.always-true', 'lint.ignored-without-reason']);
  assert.deepEqual(ignored('shadowed nothing does'), ['lint.always-true', 'lint.ignored-in-vain']);
});

test('a rule of who approves that not even everybody together could meet is shown, and one that nobody names', () => {
  const rule = (workspace: Shop, more: object) => {
    (workspace.approvalRules as Map<string, unknown>).set(
      'two',
      approvalRuleManifest.parse({ kind: 'ApprovalRule', name: 'two', ...more }),
    );
  };
  const people = (workspace: Shop, ...emails: string[]) => {
    for (const email of emails)
      (workspace.people as Map<string, unknown>).set(
        email,
        personManifest.parse({ kind: 'Person', email, displayName: email, roles: ['approver'] }),
      );
  };
  const named = `@approvers("two") ${permit('refund_order', 'when { context.arguments.amount_cents > 5 }')}`;
  const codesOf = (more: object, ...emails: string[]) =>
    codes(named, (workspace) => {
      people(workspace, ...emails);
      rule(workspace, more);
    });
  const two = { steps: [{ approve: 2, from: ['role:approver'] }] };
  assert.deepEqual(codesOf(two, 'a@example.test'), ['unmeetable-rule']);
  assert.deepEqual(codesOf(two, 'a@example.test', 'b@example.test'), []);
  assert.deepEqual(codesOf({ ...two, exclude: ['person:a@example.test'] }, 'a@example.test', 'b@example.test'), [
    'unmeetable-rule',
  ]);
  assert.deepEqual(codesOf({ ...two, escalate: [{ afterSeconds: 60, to: ['owner'] }] }, 'a@example.test'), []);
  assert.deepEqual(
    codes('', (workspace) => rule(workspace, { steps: [{ from: ['owner'] }] })),
    ['unused-rule'],
  );
});
