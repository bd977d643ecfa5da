import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentTask } from '@gatehouse/sdk';
import { enrol, type Message, signIn } from './chaos/house.ts';
import { seeded } from './chaos/random.ts';
import { type Member, startReplicas } from './chaos/replicas.ts';
import { startPostgres } from './support/postgres.ts';

/**
 * One approved payment under fire: 64 clients send it again and again to three replicas, some as MCP tasks, the yes comes in between, and a
 * replica is killed while it dispatches. `SEED=n` repeats a run.
 */
const CLIENTS = 64;
const tasksExtension = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const PAY = 'over-http__pay';

interface Came {
  ran: boolean;
  approval?: string;
  taskId?: string;
}

function cameOf(message: Message | undefined): Came {
  const { isError, taskId, _meta } = (message?.result ?? {}) as {
    isError?: boolean;
    taskId?: string;
    _meta?: { 'gatehouse/approval'?: { id: string } };
  };
  const approval = _meta?.['gatehouse/approval']?.id;
  const ran = message?.result !== undefined && !isError && taskId === undefined && approval === undefined;
  return { ran, ...(approval !== undefined && { approval }), ...(taskId !== undefined && { taskId }) };
}

/** @proves law-4.once-under-fire */
test('an approved call runs once, or is shown as unknown, whoever retries it, whichever replica dies', async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(postgres.close);
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  const random = seeded(seed);
  const { url } = await postgres.createDatabase();
  const replicas = await startReplicas([url, url, url]);
  t.after(replicas.close);
  const { members, publicUrl } = replicas;
  const operator = members[0].operator;
  const agent = await enrol(operator, 'agent-bearer', { bearerOnly: true, url: publicUrl });
  const approver = await signIn(operator, 'approver@example.test', publicUrl);
  const task = await agent.startTask({ template: 'all', intent: 'pay' });
  const alive = new Set<Member>(members);
  const pick = <T>(of: Iterable<T>): T => [...of][Math.floor(random() * [...of].length)] as T;

  /** Sends one payment until it is told that it ran, or that this is enough. */
  async function retry(id: string, isOver: () => boolean, came: (what: Came) => void): Promise<void> {
    const capabilities = random() < 0.25 ? tasksExtension : {};
    while (!isOver()) {
      const { caller } = pick(members);
      const what = cameOf(await caller.send(task, 'tools/call', { name: PAY, arguments: { id } }, capabilities));
      came(what);
      if (what.ran) return;
      await sleep(random() * 500);
    }
  }

  /** How a task stands in the end, by whichever replica. */
  async function ended(of: AgentTask, taskId: string): Promise<Record<string, unknown>> {
    for (let turn = 0; turn < 200; turn++) {
      const { result } = (await pick(alive).caller.send(of, 'tasks/get', { taskId }, tasksExtension)) ?? {};
      if (result && result.status !== 'working') return result;
      await sleep(100);
    }
    assert.fail(`the task ${taskId} never ended`);
  }

  for (const [round, isForced] of [true, false].entries()) {
    await t.test(isForced ? 'the replica that dispatches dies' : 'any replica dies', async (s) => {
      const id = `payment-${round}`;
      const [at, ...others] = members.toSorted(() => random() - 0.5) as [Member, ...Member[]];
      const approvals = new Set<string>();
      const taskIds = new Set<string>();
      let first = '';
      let ran = 0;
      let isOver = false;
      const came = (what: Came) => {
        if (what.ran) ran++;
        if (what.approval !== undefined) approvals.add(what.approval);
        if (what.taskId !== undefined && what.approval === first) taskIds.add(what.taskId);
      };
      const asked = cameOf(
        await pick(members).caller.send(task, 'tools/call', { name: PAY, arguments: { id } }, tasksExtension),
      );
      first = asked.approval ?? '';
      came(asked);
      const clients = Array.from({ length: CLIENTS }, () => retry(id, () => isOver, came));
      await sleep(random() * 200);

      const died = new Promise<void>((resolve) => {
        const die = () => at.replica.kill().then(resolve);
        if (!isForced) return void setTimeout(die, random() * 60);
        const stop = replicas.onCall(() => {
          stop();
          die();
        });
      });
      replicas.lead(at);
      // The others stand still until it has sent the call, so that it is this one that dies of it.
      if (isForced) for (const { replica } of others) replica.signal('SIGSTOP');
      const approved = approver.approve(first).catch(() => false);
      await died;
      alive.delete(at);
      if (isForced) for (const { replica } of others) replica.signal('SIGCONT');
      replicas.lead(others[0] as Member);
      if (!(await approved)) await approver.approve(first).catch(() => false);
      // It comes back while they are at it; in the last round it is gone for good.
      if (isForced) {
        await at.replica.start();
        alive.add(at);
      }

      // Until the record says what came of it.
      const { actionId } = await operatorOf(others).call('GET /approvals/:id', { params: { id: first } });
      const status = async () =>
        (await operatorOf(others).call('GET /actions/:id', { params: { id: actionId } })).summary.status;
      for (let turn = 0; turn < 150 && ['waiting', 'running'].includes(await status()); turn++) await sleep(100);
      isOver = true;
      await Promise.all(clients);
      const known = await status();
      const { items } = await operatorOf(others).call('GET /unknown-actions', {
        query: { agent: 'agent-bearer', limit: 200 },
      });
      const isShown = items.some((item) => item.actionId === actionId);
      const times = replicas.seen().filter((each) => each === id).length;
      s.diagnostic(`${known}, seen ${times}, ran ${ran}, tasks ${taskIds.size}`);
      if (known === 'unknown') assert.ok(isShown && times <= 1);
      else assert.deepEqual([known, times], ['success', 1]);
      assert.ok(ran <= 1);

      // The task of that question has ended for its client, at any replica, and says the same.
      assert.equal(taskIds.size, 1);
      for (const taskId of taskIds) {
        const { status: came, error } = await ended(task, taskId);
        if (came === 'completed') assert.deepEqual([known, ran], ['success', 0]);
        else assert.match(JSON.stringify(error), known === 'unknown' ? /Nobody knows/ : /It has run/);
      }
      for (const approval of approvals) if (approval !== first) await approver.deny(approval);
    });
  }
});

const operatorOf = ([member]: Member[]) => (member as Member).operator;
