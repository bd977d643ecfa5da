import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PolicyManifest, type PolicyProblem, policyManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { policyLimits } from './cedar/limits.ts';
import { compilePolicies } from './compile.ts';
import { shopWorkspace } from './testing/workspace.ts';
import { prepareToCompile, readWritten } from './written.ts';

function problemsOf(
  policies: Record<string, string>,
  change: (workspace: ReturnType<typeof shopWorkspace>) => void = () => undefined,
) {
  const workspace = shopWorkspace(policies);
  change(workspace);
  try {
    compilePolicies(workspace);
    return [];
  } catch (error) {
    assert.ok(error instanceof GatehouseError);
    return error.extra.problems as PolicyProblem[];
  }
}

const at = ({ name, place }: PolicyProblem) => `${name}:${place?.line}:${place?.column}-${place?.endColumn}`;

/** @proves policy.problems */
test('everything that is wrong is said at once, each with its place and with what was probably meant', () => {
  const problems = problemsOf(
    {
      first: 'permit(principal, action, resource)\nwhen { context.arguments.amount_cents > "5" };',
      second: [
        '// grüße 🙂, so that bytes, letters and columns differ',
        '@id("typo")',
        'forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource)',
        'when { /* no comment in Cedar */ true };',
      ].join('\n'),
      third:
        '// grüße 🙂\nforbid(principal, action == Gatehouse::Action::"shop/refund_order", resource)\nwhen { "grüße 🙂" == "x" && context.arguments.amont_cents > 5 };\nforbid(principal, action == Gatehouse::Action::"shop/get_ordr", resource);',
    },
    ({ templates }) => {
      const template = templates.get('refund-order');
      assert.ok(template);
      template.allow.push({ tools: ['shop/get_order'], when: { ordr: '$order' } });
    },
  );
  const said = problems.map((problem) => `${at(problem)} ${problem.path} ${problem.message} | ${problem.help}`);
  assert.match(said.join('\n'), /first:2:\d+-\d+ cedar /);
  assert.match(said.join('\n'), /second:4:8-/, 'what cannot be parsed');
  assert.match(said.join('\n'), /third:3:47-58 cedar .*"amont_cents".* \| did you mean "amount_cents"\?/);
  assert.match(said.join('\n'), /third:4:29-63 cedar unrecognized action.* \| did you mean .*shop\/get_order/);
  assert.match(said.join('\n'), /refund-order:undefined:.* allow\[4\]\.when\.ordr .*| did you mean "order"\?/);
  assert.equal(problems.filter(({ name }) => name === 'first').length, 2, 'one for all tools that lack the argument');
  const lines = problems.filter(({ name }) => name === 'third').map(({ place }) => place?.line);
  assert.deepEqual(lines, [3, 4]);
  const amount = problems.find(({ message }) => message.includes('amont_cents'));
  const before = 'when { "grüße 🙂" == "x" && context.arguments.';
  assert.equal(amount?.place?.column, before.length + 1, 'columns count characters, not bytes');
});

test('the eleventh policy of a file without ids is told apart from the third', () => {
  const policy = (argument: string) =>
    `forbid(principal, action == Gatehouse::Action::"shop/get_order", resource) when { context.arguments.${argument} == 1 };`;
  const text = [...Array.from({ length: 10 }, () => policy('order')), policy('x'), policy('order')].join('\n');
  const [problem, ...others] = problemsOf({ many: text });
  assert.equal(problem?.place?.line, 11);
  assert.equal(problem?.policy, 'many#10');
  assert.deepEqual(others, []);
});

/** @proves policy.problems */
test('of policies that look the same but for a name or a value each has its own problem, and only those that have one', () => {
  const order = 'action == Gatehouse::Action::"shop/get_order", resource';
  const problems = problemsOf({
    types: [
      `forbid(principal, ${order}) when { context.arguments.order == "a" };`,
      `forbid(principal, ${order}) when { context.arguments.order == 1 };`,
      `forbid(principal, ${order}) when { context.arguments.order == "b" };`,
    ].join('\n'),
    literals: [
      `forbid(principal, ${order}) when { 1 == 2 && principal.nothing == 1 };`,
      `forbid(principal, ${order}) when { 1 == 1 && principal.nothing == 1 };`,
    ].join('\n'),
    elsewhere: [
      `forbid(principal, ${order}) when { action == Gatehouse::Action::"shop/refund_order" };`,
      `forbid(principal, ${order}) when { action in Gatehouse::Action::"shop/refund_ordr" };`,
    ].join('\n'),
    principals: [
      `forbid(principal in Gatehouse::Template::"a", ${order}) when { principal.nothing == 1 };`,
      `forbid(principal in Gatehouse::Template::"b", ${order}) when { principal.nothing == 1 };`,
    ].join('\n'),
  });
  const lines = Map.groupBy(problems, ({ name }) => name);
  const linesOf = (name: string) => lines.get(name)?.map(({ place }) => place?.line);
  assert.deepEqual(linesOf('types'), [1, 3]);
  assert.deepEqual(linesOf('literals'), [2]);
  assert.deepEqual(linesOf('elsewhere'), [2]);
  assert.deepEqual(linesOf('principals'), [1, 2]);
});

test('a template that is wrong in the same way as another is named too', () => {
  const problems = problemsOf({}, (workspace) => {
    const template = workspace.templates.get('refund-order');
    assert.ok(template);
    const allow = [{ tools: ['shop/get_order'], when: { order: 'a text' } }];
    const templates = new Map(['first', 'second'].map((name) => [name, { ...template, name, allow }]));
    Object.assign(workspace, { templates });
  });
  assert.deepEqual(problems.map(({ name }) => name).sort(), ['first', 'second']);
});

test('a commented-out copy of a policy is not where its problem is', () => {
  const policy = 'forbid(principal, action == Gatehouse::Action::"shop/nothing", resource);';
  const [problem] = problemsOf({ copy: `// ${policy}\n"a;b" // no policy\n`.replace('"a;b" ', '') + policy });
  assert.equal(problem?.place?.line, 3);
});

test('what was parsed before is taken for the same text under the same name and mode alone, and as long as there is room', async () => {
  const cedar = 'forbid(principal, action, resource);';
  const file = (name: string, more: Partial<PolicyManifest> = {}) =>
    policyManifest.parse({ kind: 'Policy', name, cedar, ...more });
  const named = [file('one'), file('two'), file('one', { mode: 'observe' })];
  await prepareToCompile([...named, { ...file('wrong'), cedar: 'forbid(principal, action, resource)' }]);
  const found = named.flatMap((each) => readWritten(each, []));
  assert.deepEqual(
    found.map(({ id, observeOnly }) => [id, observeOnly]),
    [
      ['one#0', false],
      ['two#0', false],
      ['one#0', true],
    ],
  );
  assert.equal(readWritten(file('one'), [])[0], found[0]);
  const problems: PolicyProblem[] = [];
  readWritten({ ...file('wrong'), cedar: 'forbid(principal, action, resource)' }, problems);
  assert.equal(problems.length, 1, 'what is wrong is said each time');

  readWritten({ ...file('large'), cedar: `// ${'x'.repeat(policyLimits.parsedChars)}\n${cedar}` }, []);
  const again = readWritten(file('one'), [])[0];
  assert.notEqual(again, found[0]);
  assert.deepEqual(again, found[0]);
});
