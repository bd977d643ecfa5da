import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { explainBody, type SupposedCall } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { compilePolicies } from '../policy/index.ts';
import { shopWorkspace } from '../policy/testing/workspace.ts';
import { checkDirectory, explainCall, lintDirectory, readDirectory, suppose } from './index.ts';

const special = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
const base: SupposedCall = {
  agent: 'agent-support-refunds-prod',
  template: 'refund-order',
  parameters: { order: 1042, customer: 'z' },
  tool: 'shop/post_message',
  arguments: { channel: 'support', text: 'x' },
};

function explain(call: Partial<SupposedCall>) {
  const workspace = shopWorkspace({
    text: '@id("t") forbid(principal, action == Gatehouse::Action::"shop/post_message", resource) when { context.arguments.text like "*a*a*a*a*a*b" };',
  });
  const set = compilePolicies(workspace, { validated: true });
  return explainCall(workspace, set, suppose(workspace, { ...base, ...call }, 0));
}

function refusedOf(call: Partial<SupposedCall>): string {
  try {
    const { decision } = explain(call);
    return `${decision.effect} ${decision.code}`;
  } catch (error) {
    assert.ok(error instanceof GatehouseError && error.kind === 'bad-request', String(error));
    return error.code;
  }
}

/** @proves policy.bad-input */
test('arguments of a megabyte, a thousand deep, or of no plain sort are explained or refused, and nothing breaks', () => {
  assert.equal(refusedOf({ arguments: { channel: 'support', text: 'a'.repeat(1_000_000) } }), 'allow allowed');
  let deep: unknown = 'x';
  for (let level = 0; level < 1_000; level++) deep = { deep };
  assert.equal(refusedOf({ arguments: { channel: 'support', text: deep } }), 'deny arguments.invalid');
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 70, null, [], {}, 10n])
    assert.equal(refusedOf({ arguments: { channel: 'support', text: odd } }), 'deny arguments.invalid', String(odd));
  assert.equal(refusedOf({ arguments: { channel: 'support', text: '\ud800 half' } }), 'deny arguments.invalid');
  assert.equal(refusedOf({ parameters: { order: 1042, customer: '\udfff' } }), 'suppose.invalid');
  for (const name of special) {
    const args = JSON.parse(`{"channel":"support","text":"x","${name}":"y"}`) as Record<string, unknown>;
    assert.equal(refusedOf({ arguments: args }), 'deny arguments.invalid', name);
  }
});

/** @proves policy.bad-input */
test('what every object has is no template, agent, tool, server, parameter or person', () => {
  for (const name of special) {
    assert.equal(refusedOf({ template: name }), 'suppose.invalid', name);
    assert.equal(refusedOf({ agent: name }), 'suppose.invalid', name);
    assert.equal(refusedOf({ tool: `shop/${name}` }), 'deny tool.unknown', name);
    assert.equal(refusedOf({ tool: `${name}/x` }), 'deny server.unknown', name);
    assert.equal(refusedOf({ tool: `shop#${name}` }), 'deny operation.unknown', name);
    const parameters = JSON.parse(`{"order":1042,"customer":"z","${name}":"y"}`) as Record<string, string>;
    assert.notEqual(refusedOf({ parameters }), 'allow allowed', name);
    assert.equal(refusedOf({ user: { email: `${name}@example.test`, groups: [name] } }).split(' ')[0], 'deny', name);
  }
  assert.equal(explainBody.safeParse({ call: { ...base, template: '__proto__' } }).success, false);
});

function directoryOf(t: TestContext, files: Record<string, string>) {
  const path = mkdtempSync(join(tmpdir(), 'bad-input-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  const directory = readDirectory(path);
  const checked = checkDirectory(directory, { kind: 'ToolDefinitions', servers: {} });
  if (checked.workspace && checked.problems.every(({ severity }) => severity !== 'error'))
    lintDirectory(directory, checked.workspace);
  return checked.problems.filter(({ severity }) => severity === 'error');
}

/** @proves policy.bad-input */
test('files of tests that grow without end, say a thing twice or are no tests are named with their line', (t) => {
  const laughs = [
    'a: &a [x, x, x, x, x, x, x, x, x, x]',
    ...Array.from({ length: 12 }, (_, at) => {
      const [name, before] = [String.fromCharCode(98 + at), String.fromCharCode(97 + at)];
      return `${name}: &${name} [${`*${before}, `.repeat(9)}*${before}]`;
    }),
  ].join('\n');
  const cases: Record<string, [string, RegExp]> = {
    'aliases.test.yaml': [laughs, /alias/i],
    'twice.test.yaml': ['tests: []\ntests: []\n', /unique/i],
    'deep.test.yaml': [`tests: ${'['.repeat(2_000)}${']'.repeat(2_000)}\n`, /./],
    'strange.test.yaml': ['tests:\n  - name: x\n    tool: a/b\n    expect: allow\n    __proto__: 1\n', /./],
    'manifest.test.yaml': ['kind: Policy\nname: hidden\ncedar: ""\n', /./],
  };
  for (const [file, [text, said]] of Object.entries(cases)) {
    const problems = directoryOf(t, { [file]: text });
    assert.ok(problems.length > 0, file);
    assert.equal(problems[0]?.file, file);
    assert.ok((problems[0]?.at?.line ?? 0) > 0, file);
    assert.match(problems[0]?.message ?? '', said, file);
  }
});

/** @proves policy.bad-input */
test('manifests called like what every object has are read, checked and linted as any other', (t) => {
  const problems = directoryOf(t, {
    'all.yaml': special
      .filter((name) => name === 'constructor')
      .map(
        (name) =>
          `kind: Template\nname: ${name}\nparameters: { toString: { type: string } }\nallow: [{ effects: [read] }]\n`,
      )
      .join('---\n'),
    'constructor.cedar':
      'forbid(principal in Gatehouse::Template::"constructor", action, resource) when { principal.parameters has toString && principal.parameters.toString == "x" };',
  });
  assert.deepEqual(
    problems.map(({ message }) => message),
    [],
  );
});
