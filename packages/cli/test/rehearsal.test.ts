import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReplayResult } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from '../../../test/support/fixtures.ts';
import { startWorkspace } from '../../../test/support/workspace.ts';
import { createCli, scratch } from './support.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/how-to/rehearse-a-policy-change.md'), 'utf8');

/** The command lines of the page's shell blocks, in their order, with the numbers of this workspace. */
function commandLines(numbers: Record<string, string>): string[][] {
  const blocks = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block.trim());
  return blocks
    .flatMap((block) => block.split('\n'))
    .map((line) =>
      (line.match(/"[^"]*"|\S+/g) ?? []).slice(1).map((word) => numbers[word] ?? word.replaceAll('"', '')),
    );
}

/** @proves policy.replay, policy.versions, policy.second-person, policy.observe, policy.rollback */
test('the commands of the how-to, one after the other, on a production workspace', async (t) => {
  const workspace = await startWorkspace();
  t.after(() => workspace.close());
  await workspace.apply(manifests({ production: true }));
  const agent = await workspace.agent('agent-a');
  const client = new Client({ name: 't', version: '1' });
  await client.connect(
    createMcpTransport(
      await agent.startTask({ template: 'refund-order', parameters: { order: 1001, customer: 'a' }, intent: 'test' }),
    ),
  );
  assert.ok((await client.callTool({ name: 'shop__list_orders', arguments: { customer: 'a' } })).isError);
  const directory = scratch(t);
  mkdirSync(join(directory, 'workspace'));
  writeFileSync(
    join(directory, 'workspace', 'listing.cedar'),
    '@id("list") permit (principal in Gatehouse::Template::"refund-order", action == Gatehouse::Action::"shop/list_orders", resource);\n',
  );
  await workspace.person('owner@example.test');
  const { run } = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });

  const json = await run('policy', 'replay', '--with', 'workspace', '--json');
  assert.equal(json.code, 1, json.stderr);
  const result = json.json<ReplayResult>();
  assert.equal(result.runs.count, 1);
  assert.equal(result.runs.examples[0]?.after.policies[0], 'listing#list');

  const expected: Record<string, [number, RegExp]> = {
    replay: [1, /Would newly run: 1\n {2}by agents: agent-a 1\n[\s\S]*shop\/list_orders/],
    diff: [1, /Policy listing added: permits more/],
    observed: [0, /^$/],
    apply: [
      3,
      /Nothing was applied yet: proposed as change 1, which waits for a second person: http.*\/policy\/proposals\/1/,
    ],
    proposals: [0, /open +operator[\s\S]*permit listing#list is new or changed/],
    ship: [3, /ships it with a passkey at http/],
    reject: [0, /1: rejected/],
    versions: [0, /1 \(now\) /],
    show: [0, /Made of +\d+ manifests/],
    rollback: [0, /./],
  };
  for (const words of commandLines({ 12: '1', 11: '1' })) {
    const [group, verb] = words;
    const [code, shown] = expected[group === 'policy' ? (verb ?? '') : (group ?? '')] ?? [0, /./];
    const browser = verb === 'ship' ? ['--no-browser'] : [];
    const done = await run(...words, ...browser);
    assert.equal(done.code, code, `gatehouse ${words.join(' ')}: ${done.stdout}${done.stderr}`);
    if (verb !== 'rollback') assert.match(done.stdout, shown, `gatehouse ${words.join(' ')}`);
  }
  const { items } = (await run('policy', 'proposals', '--all', '--json')).json<{ items: { state: string }[] }>();
  assert.deepEqual(
    items.map(({ state }) => state),
    ['rejected'],
  );
  const unknown = await run('policy', 'show', '99', '--json');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /policy-version\.unknown/);
  await client.close();
});
