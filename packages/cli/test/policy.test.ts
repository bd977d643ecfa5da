import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { LocatedProblem, PolicyDifference, PolicyTestReport } from '@gatehouse/protocol';

const main = join(import.meta.dirname, '../src/main.ts');
const quickstart = join(import.meta.dirname, '../../../examples/quickstart');

/** Nothing of a server is near. */
function gatehouse(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', GATEHOUSE_URL: 'http://127.0.0.1:9', GATEHOUSE_DATA_DIR: '/nowhere' },
  });
  return { code: status, stdout, stderr };
}

describe('policies of a directory, without a server', () => {
  let directory: string;
  const write = (file: string, text: string) => writeFileSync(join(directory, file), text);
  const edit = (file: string, change: (text: string) => string) =>
    write(file, change(readFileSync(join(directory, file), 'utf8')));

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'policies-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));
  const fresh = () => {
    rmSync(directory, { recursive: true, force: true });
    cpSync(quickstart, directory, { recursive: true, filter: (path) => !path.endsWith('.test.ts') });
    // What its stdio server is started from lies beside the examples; nobody starts it here.
    edit('tools/shop.yaml', (text) => text.replace('file:../../shop/src/main.ts', '/shop/main.ts'));
  };

  it('finds nothing in the quick start, and its tests pass', () => {
    const checked = gatehouse('policy', 'check', quickstart);
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    const tested = gatehouse('policy', 'test', quickstart, '--min-coverage', '90');
    assert.equal(tested.code, 0, tested.stdout + tested.stderr);
    assert.match(tested.stdout, / 0 failed; /);
  });

  /** @proves policy.problems */
  it('shows every problem with file, line, column, the line itself and what was probably meant', () => {
    fresh();
    edit('policies/refunds.cedar', (text) => text.replace('"shop/refund_order"', '"shop/refnd_order"'));
    edit('policies/exports.cedar', (text) => text.replace('arguments.destination ==', 'arguments.destinaton =='));
    edit('templates.yaml', (text) =>
      text.replace('when: { order: $order }', 'when: { order: $ordr }').replace('shop/get_ticket]', 'shop/get_tickt]'),
    );
    edit('agents.yaml', (text) => text.replace('environment: staging', 'environment: stagin'));
    const { code, stdout } = gatehouse('policy', 'check', directory);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^policies\/refunds\.cedar:8:13: error: .*\n {2}8 \| {3}action == Gatehouse::Action::"shop\/refnd_order",\n {4}\| {13}\^{37}\n {2}help: did you mean `Gatehouse::Action::"shop\/refund_order"`\?$/m,
    );
    assert.match(
      stdout,
      /^policies\/exports\.cedar:8:\d+: error: .*\n.*\n.*\^{10,}\n {2}help: did you mean .destination.\?$/m,
    );
    assert.match(stdout, /^templates\.yaml:\d+:\d+: error: .*parameter "ordr"/m);
    assert.match(stdout, /^templates\.yaml:\d+:\d+: error: .*shop\/get_tickt/m);
    assert.match(stdout, /^agents\.yaml:\d+:14: error: .*no Environment "stagin"/m);
    assert.match(stdout, /^5 errors/m);

    const { problems } = JSON.parse(gatehouse('policy', 'check', directory, '--json').stdout) as {
      problems: LocatedProblem[];
    };
    const errors = problems.filter(({ severity }) => severity === 'error');
    assert.equal(errors.length, 5);
    assert.deepEqual(errors.find(({ name }) => name === 'exports')?.at?.line, 8);
  });

  it('finds what an apply would refuse of budgets, calendars, environments and ticket systems', () => {
    fresh();
    write(
      'more.yaml',
      [
        'kind: Budget\nname: sums\ntools: [shop/refund_order]\nwindow: day\nlimit:\n  sum: { argument: cents, max: 5 }',
        'kind: Budget\nname: calls\ntools: [shop/refund_order]\nlimit: { count: 5 }',
        'kind: Calendar\nname: hours\nzone: Europe/Berln\nopen: [{ days: [mon], from: "09:00", to: "17:00" }]',
        'kind: Environment\nname: test\nbaseline: { zone: Nowhere/None }',
        'kind: TicketSystem\nname: one\nprefixes: [CHG-]\nurl: "https://one.example.test/{id}"\nstate: state',
        'kind: TicketSystem\nname: two\nprefixes: [CHG-A]\nurl: "https://two.example.test/{id}"\nstate: state',
      ].join('\n---\n'),
    );
    const { code, stdout } = gatehouse('policy', 'check', directory);
    assert.equal(code, 1);
    assert.match(stdout, /^more\.yaml:6:20: error: .*no argument "cents"/m);
    assert.match(stdout, /^more\.yaml:8:1: error: .*needs a window/m);
    assert.match(stdout, /^more\.yaml:15:7: error: "Europe\/Berln" is no time zone/m);
    assert.match(stdout, /^more\.yaml:20:\d+: error: .*Nowhere\/None/m);
    assert.match(stdout, /^more\.yaml:24:12: error: "CHG-" is looked up in "two" as well/m);
    const nowhere = gatehouse('policy', 'check', '/nowhere/at/all');
    assert.equal(nowhere.code, 66, nowhere.stderr);
  });

  it('finds the line of a policy that is written in YAML', () => {
    fresh();
    write(
      'inline.yaml',
      'kind: Policy\nname: inline\ncedar: |\n  // first\n  forbid(principal, action == Gatehouse::Action::"shop/nothing", resource);\n',
    );
    const { stdout } = gatehouse('policy', 'check', directory);
    assert.match(stdout, /^inline\.yaml:5:31: error: unrecognized action/m);
  });

  it('says that what tools take has to be known, and how to know it', () => {
    fresh();
    rmSync(join(directory, 'definitions.json'));
    const { code, stderr } = gatehouse('policy', 'check', directory);
    assert.ok(code === 69 || code === 77, String(code));
    assert.match(stderr, /gatehouse definitions pull -o .*definitions\.json/);
    write('definitions.json', '{"kind":"ToolDefinitions","servers":{"shop":{"x":{}}}}');
    const invalid = gatehouse('policy', 'check', directory);
    assert.equal(invalid.code, 66, invalid.stderr);
    assert.match(invalid.stderr, /definitions\.json .*servers\.shop\.x\.digest/);
  });

  it('refuses to check against another definition than the one that a manifest pins', () => {
    fresh();
    edit('tools/shop.yaml', (text) =>
      text.replace('effects: [pay]\n', `effects: [pay]\n    definition: sha256-${'0'.repeat(64)}\n`),
    );
    const { code, stdout } = gatehouse('policy', 'check', directory);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /tools\/shop\.yaml:\d+:\d+: error: the manifest pins another definition of shop\/refund_order/,
    );
  });

  /** @proves policy.tests */
  it('explains a test that fails condition by condition, and says which policies no test decides', () => {
    fresh();
    edit('policies/refunds.cedar', (text) => text.replace('> 50000', '> 5000000'));
    const report = join(directory, 'report.xml');
    const { code, stdout } = gatehouse('policy', 'test', directory, '--junit', report);
    assert.equal(code, 1);
    assert.match(stdout, /^FAIL {2}a cent above it nobody is asked +shop\/refund_order +needs-approval/m);
    assert.match(stdout, /tests\/support\.test\.yaml:\d+: a cent above it nobody is asked/);
    assert.match(
      stdout,
      /refunds#refund-cap does not apply \(forbid\)\n +NO +"amount_cents" is more than 5000000 {3}\(context\.arguments\.amount_cents = 50001\)/,
    );
    assert.match(stdout, /Decided by no test:\n(?:.*\n)* {2}refunds#refund-cap\n/);
    const junit = readFileSync(report, 'utf8');
    assert.match(junit, /<testsuite name="tests\/support\.test\.yaml" tests="\d+" failures="1">/);
    assert.match(junit, /<failure message="deny was expected, and it is needs-approval/);

    const json = JSON.parse(gatehouse('policy', 'test', directory, '--json').stdout) as PolicyTestReport;
    assert.deepEqual(
      json.results.filter(({ passed }) => !passed).map(({ name }) => name),
      ['a cent above it nobody is asked'],
    );
    const ofCap = json.coverage.find(({ policy }) => policy === 'refunds#refund-cap');
    assert.equal(ofCap?.applied, 0);
    assert.ok((ofCap?.heldBack ?? 0) > 0);
  });

  it('tests nothing while something is wrong, nor a test that is none', () => {
    fresh();
    write('tests/odd.test.yaml', 'tests:\n  - name: x\n    tool: shop/get_order\n    expect: alow\n');
    const { code, stdout, stderr } = gatehouse('policy', 'test', directory);
    assert.equal(code, 1);
    assert.match(stdout, /tests\/odd\.test\.yaml:4:\d+: error: tests\.0\.expect/);
    assert.match(stderr, /Nothing was tested/);
    write('tests/odd.test.yaml', 'kind: Environment\nname: hidden\n');
    assert.match(gatehouse('policy', 'check', directory).stdout, /odd\.test\.yaml:1:1: error: .*no manifests/);
  });

  it('fails below the wanted coverage, and where there are no tests', () => {
    fresh();
    const low = gatehouse('policy', 'test', directory, '--min-coverage', '99');
    assert.equal(low.code, 1);
    assert.match(low.stdout, /At least 99 % were wanted/);
    assert.equal(gatehouse('policy', 'test', directory, '--min-coverage', 'all').code, 64);
    rmSync(join(directory, 'tests'), { recursive: true });
    const none = gatehouse('policy', 'test', directory);
    assert.equal(none.code, 66);
    assert.match(none.stderr, /\*\.test\.yaml/);
  });

  it('compares two directories by what they mean: 0 alike, 1 not, 66 where one would not load', () => {
    fresh();
    const alike = gatehouse('policy', 'diff', quickstart, directory);
    assert.equal(alike.code, 0, alike.stdout + alike.stderr);
    assert.match(alike.stdout, /They say the same\./);
    edit('policies/refunds.cedar', (text) => text.replace('> 50000', '> 90000'));
    edit('budgets.yaml', (text) => text.replace('count: 20', 'count: 10'));
    const { code, stdout } = gatehouse('policy', 'diff', quickstart, directory);
    assert.equal(code, 1);
    assert.match(stdout, /^Policy refunds changed: permits more$/m);
    assert.match(stdout, /^ {2}refunds#refund-cap newly asks that "amount_cents" is more than 90000$/m);
    assert.match(stdout, /^ {2}is refused → waits: shop\/refund_order \{.*"amount_cents":50001,.*\}$/m);
    assert.match(
      stdout,
      /^Budget refunds-per-day changed: permits less\n(?: .*\n)*? {2}permits less: calls: 20 → 10$/m,
    );
    const json = JSON.parse(gatehouse('policy', 'diff', quickstart, directory, '--json').stdout) as PolicyDifference;
    assert.deepEqual([json.same, json.changes.length], [false, 2]);

    edit('policies/refunds.cedar', (text) => text.replace('shop/refund_order', 'shop/refnd_order'));
    const broken = gatehouse('policy', 'diff', quickstart, directory);
    assert.equal(broken.code, 66);
    assert.match(broken.stdout, /policies\/refunds\.cedar:8:13: error: .*\n.*\n.*\n {2}help: did you mean/);
  });

  it('formats policies as the official formatter does, and with --check changes nothing', () => {
    fresh();
    write('ugly.cedar', '// kept\nforbid(principal,action,resource)when{context.flow.untrusted};\n');
    const before = readFileSync(join(directory, 'ugly.cedar'), 'utf8');
    const checked = gatehouse('policy', 'format', '--check', directory);
    assert.equal(checked.code, 1);
    assert.match(checked.stdout, /not formatted: .*ugly\.cedar/);
    assert.equal(readFileSync(join(directory, 'ugly.cedar'), 'utf8'), before);
    assert.equal(gatehouse('policy', 'format', directory).code, 0);
    assert.match(
      readFileSync(join(directory, 'ugly.cedar'), 'utf8'),
      /^\/\/ kept\nforbid \(principal, action, resource\)\nwhen \{/,
    );
    const again = gatehouse('policy', 'format', '--check', '--json', directory);
    assert.equal(again.code, 0, again.stdout);
    assert.deepEqual((JSON.parse(again.stdout) as { changed: string[] }).changed, []);
    write('broken.cedar', 'forbid(');
    assert.equal(gatehouse('policy', 'format', join(directory, 'broken.cedar')).code, 1);
    assert.equal(gatehouse('policy', 'format', '/nowhere/at/all').code, 66);
  });

  it('compares two, and says so where one or three are named', () => {
    for (const args of [[quickstart], [quickstart, quickstart, quickstart], [quickstart, quickstart, '--live']]) {
      const { code, stderr } = gatehouse('policy', 'diff', ...args);
      assert.equal(code, 64, stderr);
    }
    assert.equal(gatehouse('policy', 'diff', quickstart, '/nowhere/at/all').code, 66);
    const live = gatehouse('policy', 'diff', quickstart, '--live');
    assert.ok(live.code === 69 || live.code === 77, String(live.code));
  });
});
