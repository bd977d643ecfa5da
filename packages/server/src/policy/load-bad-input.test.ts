import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyProblem } from '@gatehouse/protocol';
import { policyManifest, type TemplateManifest, templateManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { compilePolicies } from './compile.ts';
import { unknownSituation } from './situation.ts';
import { shopWorkspace } from './testing/workspace.ts';
import type { PolicySet } from './types.ts';

const AT = Date.UTC(2026, 0, 15, 12);
const scope = '(principal, action == Gatehouse::Action::"shop/get_order", resource)';

/** What is wrong with these policies; empty: they load. */
function problemsOf(policies: Record<string, string>, validated = false): PolicyProblem[] {
  try {
    compilePolicies(shopWorkspace(policies), { validated });
    return [];
  } catch (error) {
    assert.ok(error instanceof GatehouseError, String(error));
    assert.equal(error.kind, 'bad-request');
    return error.extra.problems as PolicyProblem[];
  }
}

function decideOrder(
  workspace: ReturnType<typeof shopWorkspace>,
  order: number,
  set: PolicySet = compilePolicies(workspace, { validated: true }),
) {
  const { agent, task, tool } = workspace;
  return set.decide({
    agent,
    task,
    tool: tool('get_order'),
    arguments: { order },
    situation: unknownSituation(AT),
  });
}

/** @proves policy.bad-input */
test('a megabyte of one policy loads or is refused with its place, and a comment of that size is no trouble', () => {
  const comment = `// ${'x'.repeat(999_000)}\nforbid${scope} when { context.arguments.order == 7 };`;
  assert.deepEqual(problemsOf({ comment }), []);
  const names = Array.from({ length: 28_000 }, (_, at) => `"${at} ${'x'.repeat(25)}"`).join(', ');
  const list = `forbid${scope} when { [${names}].contains("y") };`;
  assert.ok(list.length > 900_000 && list.length <= 1_000_000, String(list.length));
  assert.deepEqual(problemsOf({ list }), []);
  const [open] = problemsOf({ open: `forbid${scope} when { "${'x'.repeat(999_000)}` });
  assert.equal(open?.name, 'open');
  assert.ok((open?.message.length ?? 0) < 10_000, 'what is wrong is said, and not a megabyte of it');
  const [chain] = problemsOf({ chain: `forbid${scope} when { ${'true && '.repeat(110_000)}true };` });
  assert.match(chain?.message ?? '', /nested more than 500 levels/);
});

/** @proves policy.bad-input */
test('a policy of more than a megabyte is no manifest', () => {
  const result = policyManifest.safeParse({ kind: 'Policy', name: 'big', cedar: 'x'.repeat(1_000_001) });
  assert.deepEqual(result.error?.issues[0]?.path, ['cedar']);
});

/** @proves policy.bad-input */
test('ten thousand policies decide as one of them says', () => {
  const policies = Object.fromEntries(
    Array.from({ length: 100 }, (_, file) => [
      `file-${file}`,
      Array.from(
        { length: 100 },
        (_, at) => `@id("p${at}") forbid${scope} when { context.arguments.order == ${file * 100 + at + 2_000} };`,
      ).join('\n'),
    ]),
  );
  const workspace = shopWorkspace(policies);
  const set = compilePolicies(workspace, { validated: true });
  workspace.task = { ...workspace.task, parameters: { order: 11_999, customer: 'z' } };
  assert.deepEqual(decideOrder(workspace, 11_999, set).policies, ['file-99#p99']);
  workspace.task = { ...workspace.task, parameters: { order: 12_000, customer: 'z' } };
  assert.equal(decideOrder(workspace, 12_000, set).effect, 'allow');
});

/** @proves policy.bad-input */
test('an entity that there is not, one within itself and a name that objects have by themselves match nothing', () => {
  const policies = {
    nobody: `forbid(principal in Gatehouse::Template::"__proto__", action, resource);
      forbid(principal in Gatehouse::Agent::"constructor", action, resource);
      forbid(principal in Gatehouse::Environment::"toString", action, resource);
      forbid(principal, action, resource in Gatehouse::ToolServer::"hasOwnProperty");`,
    itself: 'forbid(principal, action, resource) when { Gatehouse::Environment::"a" in Gatehouse::Environment::"b" };',
  };
  assert.equal(decideOrder(shopWorkspace(policies), 1042).effect, 'allow');
  // An attribute of what is not there is an error of the policy, and an error denies.
  const gone = shopWorkspace({
    gone: 'forbid(principal, action, resource) when { Gatehouse::User::"gone@example.test".email == "x" };',
  });
  const denied = decideOrder(gone, 1042);
  assert.deepEqual([denied.effect, denied.code], ['deny', 'policy.error']);
});

/** @proves policy.bad-input */
test('a policy, template or parameter that is called like something every object has is what it says, and no more', () => {
  for (const name of ['constructor', 'tostring', 'hasownproperty', 'valueof']) {
    const workspace = shopWorkspace({
      [name]: `@id("__proto__") forbid${scope} when { context.arguments.order == 7 };`,
    });
    (workspace.templates as Map<string, TemplateManifest>).set(
      name,
      templateManifest.parse({
        kind: 'Template',
        name,
        parameters: { constructor: { type: 'integer' }, toString: { type: 'string' } },
        allow: [{ tools: ['shop/get_order'], when: { order: '$constructor' } }],
      }),
    );
    workspace.task.template = name;
    workspace.task.parameters = { constructor: 7, toString: 'x' } as never;
    assert.deepEqual(decideOrder(workspace, 7, compilePolicies(workspace)).policies, [`${name}#__proto__`]);
    workspace.task.parameters = {};
    assert.equal(decideOrder(workspace, 8).code, 'policy.conditions-unmet', 'what every object has is no parameter');
  }
  const [twice] = problemsOf({ twice: `@id("__proto__") forbid${scope};\n@id("__proto__") forbid${scope};` });
  assert.match(twice?.message ?? '', /two policies have the id/);
});

/** @proves policy.bad-input */
test('half of a character, control characters and numbers beyond 64 bits are answered with their place', () => {
  const [lone] = problemsOf({ lone: `forbid${scope} when { "\ud800" == "x" };` });
  assert.match(`${lone?.name}: ${lone?.message}`, /lone: it holds half of a character/);
  for (const number of ['9223372036854775808', '-9223372036854775809', '1e3', '1.5', 'NaN', 'Infinity', '0x10']) {
    const [problem] = problemsOf({ numbers: `forbid${scope}\nwhen { context.arguments.order == ${number} };` });
    assert.deepEqual([problem?.name, problem?.place?.line], ['numbers', 2], number);
  }
  assert.deepEqual(
    problemsOf({ least: `forbid${scope} when { context.arguments.order == -9223372036854775808 };` }),
    [],
  );
  const [nothing] = problemsOf({ zero: 'forbid\u0000(principal, action, resource);' });
  assert.equal(nothing?.name, 'zero');
});
