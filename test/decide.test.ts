import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { ForeseenDecision } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { startPostgres } from './support/postgres.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** `gatehouse decide`: what would be decided of a call, by exit code, on both databases. */
const postgres = await startPostgres();
after(() => postgres?.close());
const cli = join(import.meta.dirname, '..', 'packages', 'cli', 'src', 'main.ts');

for (const database of ['SQLite', 'PostgreSQL'] as const)
  describe(`gatehouse decide, on ${database}`, () => {
    const isMissing = database === 'PostgreSQL' && !postgres;
    let workspace: Workspace;
    before(async () => {
      if (isMissing) return;
      const url = database === 'PostgreSQL' ? (await postgres?.createDatabase())?.url : undefined;
      workspace = await startWorkspace(url === undefined ? {} : { database: url });
      await workspace.apply([
        ...manifests(),
        { kind: 'Budget', name: 'few-orders', tools: ['shop/get_order'], window: 'day', limit: { count: 1 } },
      ]);
    });
    after(() => workspace?.close());

    async function decide(...args: string[]) {
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, 'decide', ...args], {
        env: {
          PATH: process.env.PATH ?? '',
          HOME: workspace.dataDir,
          GATEHOUSE_URL: workspace.url,
          GATEHOUSE_DATA_DIR: workspace.dataDir,
          NO_COLOR: '1',
        },
      });
      const said = await Promise.all([text(child.stdout), text(child.stderr)]);
      const code = await new Promise((resolve) =>
        child.exitCode === null ? child.once('close', resolve) : resolve(child.exitCode),
      );
      return { code, out: said[0], error: said[1] };
    }

    /** @proves decide.answers */
    test('says by its exit code whether a call of a running task would run, wait or be refused, and does nothing', async (t) => {
      if (isMissing) return t.skip('PostgreSQL is missing: see above');
      const agent = await workspace.agent('agent-a');
      const task = await agent.startTask({ template: 'all', intent: 'asked about' });
      const recorded = async () => (await workspace.operator('GET /actions', {})).items.length;
      const before = await recorded();
      const of = (tool: string, ...args: string[]) => decide('--task', task.id, '--tool', tool, '--arg', ...args);
      const order = await of('shop/get_order', 'order=1042', '--json');
      assert.equal(order.code, 0, order.error);
      const { call, decision } = JSON.parse(order.out) as ForeseenDecision;
      assert.deepEqual([call.agent, call.task, decision.effect], ['agent-a', task.id, 'allow']);
      assert.equal((await of('shop/refund_order', 'order=1042', 'amount_cents=1', 'currency=EUR', 'reason=x')).code, 3);
      const dropped = await of('shop/drop_table', 'table=orders');
      assert.deepEqual([dropped.code, /tier\.prohibited/.test(dropped.out)], [2, true], dropped.out);
      assert.match((await of('shop/get_order', 'order:=many')).out, /arguments\.invalid/);
      assert.match((await of('shop/no_such_tool', 'a=1')).out, /tool\.unknown/);
      assert.equal(await recorded(), before, 'nothing is recorded');

      const client = new Client({ name: 't', version: '1' });
      await client.connect(createMcpTransport(task));
      assert.ok(!(await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } })).isError);
      await client.close();
      const used = await of('shop/get_order', 'order=1042');
      assert.deepEqual([used.code, /budget/.test(used.out)], [2, true], 'what a budget has left counts');

      await task.end();
      const over = await of('shop/get_order', 'order=1042');
      assert.deepEqual([over.code, /task\.over/.test(over.out)], [2, true], over.out);
    });

    test('answers of a task that is only thought of, and says what is missing', async (t) => {
      if (isMissing) return t.skip('PostgreSQL is missing: see above');
      const thought = ['--template', 'refund-order', '--param', 'order=1042', 'customer=z', '--tool', 'shop/get_order'];
      assert.equal((await decide(...thought, '--arg', 'order=1042')).code, 0);
      assert.equal((await decide(...thought, '--arg', 'order=7')).code, 2);
      for (const args of [[], ['--tool', 'shop/get_order'], ['--tool', 'x/y', '--task', 't', '--template', 'all']])
        assert.equal((await decide(...args)).code, 64);
      const unknown = await decide('--task', 'task_none', '--tool', 'shop/get_order');
      assert.notEqual(unknown.code, 0);
      assert.match(unknown.error, /no task "task_none"/);
      const approver = await workspace.person('approver@example.test');
      await assert.rejects(approver.api('POST /decide', { body: { task: 't', tool: 'a/b' } }), { status: 403 });
    });
  });
