import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, type ManifestInput, manifest, type ToolDefinitions } from '@gatehouse/protocol';
import { digestJson, type Json } from '../../platform/index.ts';
import { differenceOf } from './index.ts';

const tools = {
  list_orders: { customer: { type: 'string' } },
  refund_order: {
    order: { type: 'integer' },
    amount_cents: { type: 'integer', minimum: 1 },
    currency: { type: 'string', pattern: '^[A-Z]{3}$' },
  },
  post_message: { channel: { type: 'string' }, text: { type: 'string' } },
};

function definitionsOf(all: Record<string, Record<string, object>>): ToolDefinitions {
  const shop = Object.entries(all).map(([name, properties]) => {
    const inputSchema = { type: 'object', properties, required: Object.keys(properties) };
    return [name, { digest: digestJson(inputSchema as unknown as Json), inputSchema }];
  });
  return { kind: 'ToolDefinitions', servers: { shop: Object.fromEntries(shop) } };
}

const base: ManifestInput[] = [
  { kind: 'Environment', name: 'production' },
  { kind: 'Environment', name: 'staging' },
  { kind: 'Person', email: 'a@example.test', displayName: 'A', roles: ['owner'] },
  { kind: 'Blueprint', name: 'support', templates: ['refund'] },
  {
    kind: 'Template',
    name: 'refund',
    parameters: { order: { type: 'integer' }, customer: { type: 'string' } },
    allow: [
      { tools: ['shop/list_orders'], when: { customer: '$customer' } },
      { tools: ['shop/refund_order'], when: { order: '$order' } },
      { tools: ['shop/post_message'], when: { channel: 'support' } },
    ],
  },
  {
    kind: 'ToolServer',
    name: 'shop',
    environments: ['production'],
    transport: { type: 'stdio', command: 'shop' },
    tools: {
      list_orders: { tier: 1, effects: ['read'], returns: { trust: 'untrusted', sensitive: ['personal'] } },
      refund_order: {
        tier: 3,
        effects: ['pay'],
        arguments: { order: { role: 'identifier' }, amount_cents: { role: 'amount' } },
      },
      post_message: { tier: 2, effects: ['send'], arguments: { channel: { role: 'recipient' } } },
    },
  },
  {
    kind: 'Policy',
    name: 'refunds',
    cedar:
      '@id("cap") @reason("too much") forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > 50000 };',
  },
  {
    kind: 'Budget',
    name: 'daily',
    tools: ['shop/refund_order'],
    per: ['agent'],
    window: 'day',
    limit: { count: 20 },
  },
];

// biome-ignore lint/suspicious/noExplicitAny: what a case changes is wherever it is
type Fields = Record<string, any>;
type Change = (of: (kind: string, name: string) => Fields) => void;

function changed(change: Change | undefined, added: ManifestInput[] = [], removed: string[] = []): Manifest[] {
  const all = structuredClone([...base, ...added]) as (ManifestInput & { name?: string })[];
  const left = all.filter(({ kind, name }) => !removed.includes(`${kind}/${name}`));
  change?.((kind, name) => left.find((each) => each.kind === kind && each.name === name) as unknown as Fields);
  return left.map((each) => manifest.parse(each));
}

function difference(
  change?: Change,
  {
    added = [],
    removed = [],
    before = base,
  }: { added?: ManifestInput[]; removed?: string[]; before?: ManifestInput[] } = {},
) {
  const definitions = definitionsOf(tools);
  return differenceOf(
    { manifests: before.map((each) => manifest.parse(each)), definitions },
    { manifests: changed(change, added, removed), definitions },
  );
}

const only = (found: ReturnType<typeof difference>) => {
  assert.equal(found.changes.length, 1, JSON.stringify(found.changes.map(({ kind, name }) => `${kind} ${name}`)));
  return found.changes[0] as (typeof found.changes)[0];
};

/** @proves policy.diff */
test('a bound that moves is shown in words and by the first call that it stops', () => {
  const found = difference((of) => {
    const policy = of('Policy', 'refunds') as { cedar: string };
    policy.cedar = policy.cedar.replace('50000', '20000');
  });
  assert.equal(found.same, false);
  const change = only(found);
  assert.equal(change.permits, 'less');
  assert.ok(change.what.includes('refunds#cap newly asks that "amount_cents" is more than 20000'), String(change.what));
  const [example] = change.examples;
  assert.equal(example?.before.decision, 'needs-approval');
  assert.equal(example?.after.decision, 'deny');
  assert.equal(example?.call.arguments?.amount_cents, 20_001);
  assert.match(String(example?.call.arguments?.currency), /^[A-Z]{3}$/, 'the tool would take it');
  assert.equal(found.tried.answers.stops > 0, true);
  assert.equal(found.tried.answers.runs, 0);
});

type Case = [what: string, permits: string, Change | undefined, Parameters<typeof difference>[1]?];
const raise = (id: string, condition: string) =>
  `@id("${id}") @tier("3") forbid(principal, action == Gatehouse::Action::"shop/post_message", resource) when { ${condition} };`;

test('each kind of change is said to permit more or less, with what shows it', () => {
  const template =
    (change: (allow: Record<string, unknown>[]) => unknown): Change =>
    (of) =>
      void change(of('Template', 'refund').allow);
  const tool =
    (name: string, more: object): Change =>
    (of) =>
      void Object.assign((of('ToolServer', 'shop').tools as Record<string, object>)[name] as object, more);
  const cases: Case[] = [
    ['an entry that is gone', 'less', template((allow) => allow.splice(1, 1))],
    [
      'a new entry',
      'more',
      template((allow) => allow.push({ tools: ['shop/post_message'], when: { channel: 'all' } })),
    ],
    ['a condition that is gone', 'more', template((allow) => delete allow[1]?.when)],
    [
      'a condition with another value',
      'more-and-less',
      template((allow) => Object.assign(allow[2]?.when as object, { channel: 'all' })),
    ],
    ['an obligation', 'less', template((allow) => Object.assign(allow[0] as object, { mask: ['personal'] }))],
    ['a longer life', 'more', (of) => void Object.assign(of('Template', 'refund'), { ttlSeconds: 7_200 })],
    ['a lower tier', 'more', tool('refund_order', { tier: 2 })],
    ['a higher tier', 'less', tool('list_orders', { tier: 2 })],
    ['a role that nobody names', 'more-and-less', tool('post_message', { arguments: {} })],
    [
      'results that are trusted',
      'more',
      tool('list_orders', { returns: { trust: 'trusted', sensitive: ['personal'] } }),
    ],
    ['results that are held', 'less', tool('list_orders', { hold: { items: 10 } })],
    ['another place', 'more', (of) => void (of('ToolServer', 'shop').environments as string[]).push('staging')],
    ['a higher budget', 'more', (of) => void Object.assign(of('Budget', 'daily'), { limit: { count: 21 } })],
    ['a budget that is gone', 'more', undefined, { removed: ['Budget/daily'] }],
    ['a policy that is gone', 'more', undefined, { removed: ['Policy/refunds'] }],
    [
      'another template of a blueprint',
      'less',
      (of) => void Object.assign(of('Blueprint', 'support'), { templates: [] }),
    ],
    [
      'a rule of flow that is off',
      'more',
      (of) => void Object.assign(of('Environment', 'production'), { flowRulesOff: ['untrusted-argument'] }),
    ],
    ['masked in a place', 'less', (of) => void Object.assign(of('Environment', 'production'), { mask: ['personal'] })],
    [
      'a group that allows something',
      'more',
      undefined,
      {
        added: [
          { kind: 'Group', name: 'staff', members: ['a@example.test'], allow: [{ tools: ['shop/list_orders'] }] },
        ],
      },
    ],
    [
      'a policy on what the task has read',
      'less',
      undefined,
      {
        added: [
          {
            kind: 'Policy',
            name: 'read',
            cedar: raise('read', 'context.flow.untrusted && context.arguments.text like "*secret*"'),
          },
        ],
      },
    ],
    [
      'a policy on a change request, the risk and the address',
      'less',
      undefined,
      {
        added: [
          {
            kind: 'Policy',
            name: 'three',
            cedar: raise(
              'three',
              'principal.risk == "high" && context has address && context.address.isInRange(ip("10.1.0.0/16")) && !(context has changeRequest && context.changeRequest.state == "approved")',
            ),
          },
        ],
      },
    ],
    [
      'a policy on what is unusual',
      'less',
      undefined,
      {
        added: [
          {
            kind: 'Policy',
            name: 'odd',
            cedar: raise('odd', 'context.deviations.contains("amount")').replace('post_message', 'list_orders'),
          },
        ],
      },
    ],
    [
      'a policy on the time',
      'less',
      undefined,
      {
        added: [
          { kind: 'Policy', name: 'late', cedar: raise('late', 'context.now >= datetime("2027-01-01T00:00:00Z")') },
        ],
      },
    ],
  ];
  for (const [what, permits, change, more] of cases) {
    const found = only(difference(change, more));
    assert.equal(found.permits, permits, `${what}: ${JSON.stringify(found)}`);
    assert.ok(found.examples.length + found.effects.length > 0, what);
  }
});

test('what a calendar opens is shown by a moment', () => {
  const calendar = (to: string): ManifestInput[] => [
    {
      kind: 'Calendar',
      name: 'hours',
      zone: 'UTC',
      open: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to }],
    },
    {
      kind: 'Policy',
      name: 'hours',
      cedar:
        'forbid(principal, action == Gatehouse::Action::"shop/post_message", resource) unless { context.calendars.contains("hours") };',
    },
  ];
  const found = only(difference(undefined, { before: [...base, ...calendar('17:00')], added: calendar('18:00') }));
  assert.equal(found.kind, 'Calendar');
  assert.equal(found.permits, 'more');
  assert.match(String(found.examples[0]?.call.situation?.now), /T17:/);
});

test('what is only written otherwise means the same', () => {
  const found = difference((of) => {
    const policy = of('Policy', 'refunds') as { cedar: string };
    policy.cedar = `// The cap.\n${policy.cedar.replace('too much', 'far too much').replaceAll(' ', '\n')}`.replace(
      'far\ntoo\nmuch',
      'far too much',
    );
    Object.assign(of('Template', 'refund'), { description: 'Refunds.' });
    (of('Template', 'refund').allow as unknown[]).reverse();
  });
  assert.equal(found.same, false, 'entries in another order are other entries');
  const text = difference((of) => {
    const policy = of('Policy', 'refunds') as { cedar: string };
    policy.cedar = `// The cap.\n${policy.cedar.replace('too much', 'far too much')}\n`;
    Object.assign(of('Template', 'refund'), { description: 'Refunds.' });
    Object.assign(of('ToolServer', 'shop'), { transport: { type: 'stdio', command: 'another' } });
  });
  assert.equal(text.same, true);
  assert.deepEqual(
    text.changes.map(({ kind, permits }) => [kind, permits]),
    [
      ['Template', 'same'],
      ['Policy', 'same'],
    ],
  );
  assert.ok(text.changes[1]?.what.includes('refunds#cap: its reason reads "far too much"'));
  assert.deepEqual(difference().changes, []);
});

test('what only several changes do together is not said of one of them', () => {
  const twice = ['one', 'two'].map(
    (name): ManifestInput => ({
      kind: 'Policy',
      name,
      cedar: `@id("${name}") forbid(principal, action == Gatehouse::Action::"shop/post_message", resource) when { context.arguments.text == "stop" };`,
    }),
  );
  const found = difference(undefined, { before: [...base, ...twice] });
  assert.deepEqual(
    found.changes.map(({ permits }) => permits),
    ['unseen', 'unseen'],
  );
  assert.equal(found.together[0]?.call.arguments?.text, 'stop');
  assert.equal(found.together[0]?.permits, 'more');
});

test('a set that would not load is refused, and says why', () => {
  assert.throws(
    () =>
      difference((of) => {
        (of('Policy', 'refunds') as { cedar: string }).cedar = 'forbid(principal, action, resource) when {';
      }),
    { code: 'policy.invalid' },
  );
});

test('dozens of templates on dozens of tools are tried as far as there is room, and the rest is counted', () => {
  const many = Object.fromEntries(
    Array.from({ length: 20 }, (_, at) => [`t${at}`, { a: { type: 'string' }, b: { type: 'string' } }]),
  );
  const definitions = definitionsOf(many);
  const clauses = Array.from({ length: 30 }, (_, at) => `context.arguments.a like "*${at}*${at}"`).join(' || ');
  const given = (policies: string) =>
    [
      { kind: 'Environment', name: 'production' } as const,
      {
        kind: 'ToolServer',
        name: 'shop',
        environments: ['production'],
        transport: { type: 'stdio', command: 'shop' },
        tools: Object.fromEntries(Object.keys(many).map((name) => [name, { tier: 1, effects: ['read'] }])),
      } as ManifestInput,
      ...Array.from(
        { length: 200 },
        (_, at): ManifestInput => ({ kind: 'Template', name: `k${at}`, allow: [{ effects: ['read'] }] }),
      ),
      { kind: 'Policy', name: 'p', cedar: `forbid(principal, action, resource) when { ${policies} };` } as const,
    ].map((each) => manifest.parse(each));
  const found = differenceOf(
    { manifests: given('context.arguments has a && context.arguments.a == "x"'), definitions },
    { manifests: given(`context.arguments has a && (${clauses})`), definitions },
    { calls: 1_000 },
  );
  assert.equal(found.changes[0]?.permits, 'more-and-less');
  assert.equal(found.tried.calls, 1_000);
  assert.ok(found.tried.left > 0);
});

test('names that objects have by themselves are names like any other', () => {
  const odd = { t: { __proto__x: { type: 'string' }, constructor: { type: 'string' }, toString: { type: 'integer' } } };
  const properties = JSON.parse(
    '{"__proto__":{"type":"string"},"constructor":{"type":"string"},"toString":{"type":"integer"}}',
  );
  const definitions = definitionsOf({ ...odd, t: properties });
  const given = (value: string) =>
    [
      { kind: 'Environment', name: 'production' } as const,
      {
        kind: 'ToolServer',
        name: 'shop',
        environments: ['production'],
        transport: { type: 'stdio', command: 'shop' },
        tools: { t: { tier: 1, effects: ['read'] } },
      } as ManifestInput,
      {
        kind: 'Template',
        name: 'constructor',
        parameters: { constructor: { type: 'string' } },
        allow: [{ tools: ['shop/t'], when: { constructor: '$constructor', toString: value === 'a' ? 1 : 2 } }],
      } as unknown as ManifestInput,
    ].map((each) => manifest.parse(each));
  const found = differenceOf({ manifests: given('a'), definitions }, { manifests: given('b'), definitions });
  assert.equal(found.changes[0]?.permits, 'more-and-less', JSON.stringify(found));
  assert.equal(({} as Record<string, unknown>).constructor, Object);
});
