import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestJson, type Json, type JsonObject } from '../platform/index.ts';
import { compilePolicies } from './compile.ts';
import { unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';

const string = { type: 'string' };

/** The workspace with one more tool, `shop/send`, of this schema, in the group `send` beside `post_message`. */
function withSend(inputSchema: JsonObject, cedar?: string, when?: Record<string, string>) {
  const workspace = shopWorkspace(cedar === undefined ? {} : { mine: cedar });
  const server = workspace.servers.get('shop');
  const template = workspace.templates.get('refund-order');
  assert.ok(server && template);
  server.manifest.tools.send = { tier: 1, effects: ['send'] };
  const definition: JsonObject = { name: 'send', inputSchema };
  const tool = { ...workspace.tool('post_message'), ref: 'shop/send', name: 'send', tier: 1 as const, definition };
  server.tools.set('send', { ...tool, digest: digestJson(definition) });
  template.allow = [{ tools: ['shop/send'], ...(when && { when }) }];
  const set = compilePolicies(workspace);
  const { agent, task } = workspace;
  return (args: Json) =>
    set.decide({ agent, task, tool: workspace.tool('send'), arguments: args, situation: unknownSituation(0) }).code;
}

const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({ type: 'object', properties, ...more });

/** Ways to declare an argument that leave it without one plain type. */
const untyped: Record<string, JsonObject> = {
  'two types': object({ to: { type: ['string', 'null'] } }),
  'no type': object({ to: {} }),
  'an enumeration': object({ to: { enum: ['a', 'b'] } }),
  anyOf: object({ to: { anyOf: [string, { type: 'integer' }] } }),
  'a reference': object({ to: { $ref: '#/$defs/to' } }, { $defs: { to: string } }),
  'part of allOf': object({}, { allOf: [object({ to: string })] }),
  'part of oneOf': object({}, { oneOf: [object({ to: string })] }),
  'a pattern': object({}, { patternProperties: { '^t': string } }),
  'an additional property': object({}, { additionalProperties: true }),
  'a fraction': object({ to: { type: 'number' } }),
};

/** @proves law-2.default-deny */
for (const [how, schema] of Object.entries(untyped)) {
  test(`an argument that is declared as ${how}: neither a template nor a policy can pass it by`, () => {
    assert.throws(
      () => withSend(schema, undefined, { to: 'a' }),
      /no argument "to" of a type that policies can compare/,
    );
    const one =
      'forbid(principal, action == Gatehouse::Action::"shop/send", resource) when { context.arguments has to && context.arguments.to == "evil" };';
    assert.throws(() => withSend(schema, one), /Policy mine, line 1, column 100: .*argument "to"/);
    // In a group the same policy is good for the tools that type the argument, and refuses on the others when it is given.
    const group = one
      .replace('== Gatehouse::Action::"shop/send"', 'in Gatehouse::Action::"send"')
      .replaceAll('to', 'text');
    const renamed = JSON.parse(JSON.stringify(schema).replaceAll('"to"', '"text"')) as JsonObject;
    const decide = withSend(renamed, group);
    assert.equal(decide({ text: 'evil' }), 'policy.unseen-argument');
    assert.equal(decide({}), 'allowed');
  });
}

test('what lies deeper, and what is used as a whole, is not passed by either', () => {
  const nested = object({ to: object({ name: string, iban: { type: ['string', 'null'] } }) });
  const has = 'forbid(principal, action, resource) when { context.arguments has to && context.arguments.to has iban };';
  assert.throws(
    () => withSend(nested, has.replace('action,', 'action == Gatehouse::Action::"shop/send",')),
    /"to.iban"/,
  );
  const whole =
    'permit(principal, action == Gatehouse::Action::"shop/send", resource) when { context.arguments has to && context.arguments.to.name == "a" } unless { [context.arguments.to].contains(context.arguments.to) };';
  const decide = withSend(object({ to: object({ name: string }, { required: ['name'] }) }), whole);
  assert.equal(decide({ to: { name: 'a' } }), 'allowed');
  assert.equal(decide({ to: { name: 'a', iban: 'x' } }), 'policy.unseen-argument');
  const list = object({ items: { type: 'array', items: object({ sku: string }, { required: ['sku'] }) } });
  const any =
    'forbid(principal, action == Gatehouse::Action::"shop/send", resource) when { context.arguments has items && context.arguments.items.contains({ sku: "x" }) };';
  const ofList = withSend(list, any);
  assert.equal(ofList({ items: [{ sku: 'y' }] }), 'allowed');
  assert.equal(ofList({ items: [{ sku: 'x' }] }), 'policy.forbidden');
  assert.equal(ofList({ items: [{ sku: 'x', quantity: 2 }] }), 'policy.unseen-argument');
});

test('names that every object inherits are no arguments, and Cedar escapes in a schema are no values', () => {
  const schema = object({ to: string });
  for (const argument of ['constructor', 'toString', '__proto__'])
    assert.throws(() => withSend(schema, undefined, JSON.parse(`{"${argument}":"x"}`)), /no argument/, argument);
  assert.throws(() => withSend(schema, undefined, { to: '$constructor' }), /no parameter/);
  const escaping = object({ to: object({ __entity: object({ type: string, id: string }), name: string }) });
  const decide = withSend(
    escaping,
    'forbid(principal, action == Gatehouse::Action::"shop/send", resource) when { context.arguments has to && context.arguments.to has name && context.arguments.to.name == "evil" };',
  );
  assert.equal(decide({ to: { __entity: { type: 'Gatehouse::Tool', id: 'x' }, name: 'evil' } }), 'policy.forbidden');
});
