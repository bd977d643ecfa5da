import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import { askFor, type DirectScene, directScene } from './support/direct-scene.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';
import { replayOf } from './support/replay-lines.ts';

/** Whoever writes policies asks of a hand-out what they ask of a call. */
const postgres = await startPostgres();
const noLongOnes: ManifestInput = {
  kind: 'Policy',
  name: 'no-long-ones',
  cedar: `@id("no-long-ones") @reason("a report takes five minutes")
forbid (principal, action == Gatehouse::Action::"orders#credential", resource)
when { context.arguments.seconds > 300 };`,
};

describe('what policies and budgets say of credentials that are handed out', {
  skip: postgres ? false : 'there is no PostgreSQL on this machine',
}, () => {
  let scene: DirectScene;
  before(async () => {
    scene = await directScene(postgres as TestPostgres, [noLongOnes]);
  });
  after(async () => {
    await scene?.[Symbol.asyncDispose]();
    await postgres?.close();
  });

  let agent: ReturnType<DirectScene['workspace']['agent']> | undefined;
  const begin = async (template: string, more: object = {}) => {
    agent ??= scene.workspace.agent('agent-a');
    return (await agent).startTask({ template, intent: 'look up an order', ...more });
  };
  const ask = (task: Pick<AgentTask, 'fetch'>, body: object) => askFor(task, scene.workspace, body);
  const explain = (call: object) => scene.workspace.operator('POST /policy/explain', { body: { call } });
  const decide = async (task: string, tool: string, args: object = {}) =>
    (await scene.workspace.operator('POST /decide', { body: { task, tool, arguments: args } })).decision;
  const actions = async () => (await scene.workspace.operator('GET /actions')).items.length;

  /** @proves direct.explained */
  test('it is said whether it would be handed out, with what scope, for how long, what remains, and by which policy not', async () => {
    const before = await actions();
    const call = { template: 'reads', tool: 'orders#credential', arguments: { seconds: 300 } };
    const given = await explain(call);
    assert.deepEqual([given.decision.effect, given.decision.tier], ['allow', 2], given.decision.reason);
    assert.deepEqual(given.credential, {
      provider: 'orders',
      scope: { grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }] },
      problem: null,
    });
    assert.deepEqual(given.handOut, {
      seconds: 300,
      clamped: [],
      residual: 'It ends with its task, by a kill, or when it is revoked.',
    });

    const long = await explain({ ...call, arguments: { seconds: 301 } });
    assert.equal(long.decision.code, 'policy.forbidden');
    assert.match(long.next[0] ?? '', /no-long-ones forbids it because "seconds" is more than 300 \(a report takes/);
    // Its life by default is 900 s, and no more than 600 s are handed out.
    const { handOut: plain } = await explain({ ...call, arguments: {} });
    assert.deepEqual([plain?.seconds, plain?.clamped], [600, ['no more than 600 s are handed out']]);

    const waits = await explain({ ...call, template: 'careful', tool: 'grave#credential' });
    assert.deepEqual([waits.decision.effect, waits.decision.tier], ['needs-approval', 3]);
    assert.match(
      waits.next[0] ?? '',
      /^Ask for it; a person who may approve is then asked for exactly this credential/,
    );

    const codes = async (...calls: object[]) =>
      Promise.all(calls.map(async (each) => (await explain({ ...call, ...each })).decision.code));
    assert.deepEqual(
      await codes(
        { template: 'all' },
        { template: 'gate-only' },
        { tool: 'inside#credential' },
        { tool: 'none#credential' },
        { arguments: { scope: { grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT'] }] } } },
        { arguments: { seconds: 7 } },
        { arguments: { password: 'x' } },
        { narrowedTo: ['shop/*'] },
        { handedOnBy: [{ template: 'all' }] },
        { user: 'approver@example.test' },
      ),
      [
        'credential.not-in-template',
        'credential.not-in-template',
        'credential.not-direct',
        'provider.unknown',
        'credential.scope',
        'arguments.invalid',
        'arguments.invalid',
        'task.narrowed',
        'credential.not-in-template',
        'delegation.user',
      ],
    );
    const seen = { untrusted: true, sensitive: ['personal'] };
    assert.equal((await explain({ ...call, situation: seen })).decision.effect, 'needs-approval');
    assert.equal(await actions(), before, 'nothing is recorded');
    assert.deepEqual(await scene.roles(), [], 'nothing is made');
  });

  /** @proves direct.explained */
  test('of a running task what is foreseen is what then happens, also that it was handed as many as it may have', async () => {
    const task = await begin('reads');
    const foreseen = await decide(task.id, 'orders#credential', { seconds: 100 });
    assert.equal(foreseen.effect, 'allow', foreseen.reason);
    assert.match(foreseen.reason, /on no record here.*ends with its task/);
    const long = await decide(task.id, 'orders#credential', { seconds: 301 });
    assert.deepEqual(
      [long.code, (await ask(task, { provider: 'orders', seconds: 301 })).body.title],
      ['policy.forbidden', 'policy.forbidden'],
    );
    assert.equal((await decide(task.id, 'grave#credential')).code, 'credential.not-in-template');
    await assert.rejects(decide(task.id, 'orders#credential', { seconds: 'long' }), /seconds/);
    await assert.rejects(decide(task.id, 'orders#nothing'), /no SERVER\/TOOL, and no PROVIDER#credential/);
    for (const seconds of [100, 101, 102]) assert.equal((await ask(task, { provider: 'orders', seconds })).status, 200);
    assert.equal((await decide(task.id, 'orders#credential', { seconds: 103 })).code, 'credential.limit');
    assert.match(
      (await decide(task.id, 'orders#credential', { seconds: 100 })).reason,
      /given it again while it is good/,
    );
    await task.end();

    const careful = await begin('careful');
    assert.equal((await decide(careful.id, 'grave#credential')).effect, 'needs-approval');
    await careful.end();
    assert.equal((await decide(careful.id, 'grave#credential')).code, 'task.over');
  });

  /** @proves direct.explained */
  test('an action of the record is explained as what was asked for, and a change is rehearsed over recorded ones', async () => {
    const task = await begin('reads');
    const first = await ask(task, { provider: 'orders', seconds: 200 });
    const refused = await ask(task, { provider: 'orders', seconds: 400 });
    const scope = await ask(task, { provider: 'orders', scope: { grants: [{ tables: '*', privileges: ['SELECT'] }] } });
    const unknown = await ask(task, { provider: 'inside' });
    assert.deepEqual(
      [first, refused, scope, unknown].map(({ status }) => status),
      [200, 403, 403, 403],
    );
    const explained = await Promise.all(
      [first, refused, scope, unknown].map(({ body }) =>
        scene.workspace.operator('POST /policy/explain', { body: { action: String(body.action_id) } }),
      ),
    );
    assert.deepEqual(
      explained.map(({ decision, recorded, call }) => [decision.code, recorded?.code, call.tool]),
      [
        ['allowed', 'allowed', 'orders#credential'],
        ['policy.forbidden', 'policy.forbidden', 'orders#credential'],
        ['credential.scope', 'credential.scope', 'orders#credential'],
        ['credential.not-direct', 'credential.not-direct', 'inside#credential'],
      ],
    );

    const headers = {
      authorization: `Operator ${readFileSync(join(scene.workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim()}`,
    };
    const stricter = manifest.parse({
      ...noLongOnes,
      cedar: (noLongOnes as { cedar: string }).cedar.replace('> 300', '> 150'),
    });
    const { result } = await replayOf(scene.workspace.url, headers, { manifests: [stricter] });
    assert.equal(result.decidedOtherwise.count, 0, JSON.stringify(result.decidedOtherwise));
    assert.ok(result.replayed >= 4, JSON.stringify(result.notPolicy));
    assert.deepEqual(
      result.stops.examples.map(({ actionId, tool, after }) => [actionId, tool, after.code]),
      [[first.body.action_id, 'orders#credential', 'policy.forbidden']],
    );
    await task.end();
  });

  /** @proves direct.budgeted */
  test('a budget counts what an agent is handed, and the seconds that it works; the same one given again counts once', async () => {
    const { workspace } = scene;
    const budget = (name: string, more: object): ManifestInput => ({
      kind: 'Budget',
      name,
      tools: ['*#credential'],
      window: 'task',
      limit: { count: 2 },
      ...more,
    });
    await workspace.apply([
      budget('few', { tools: ['orders#credential'], per: ['agent'] }),
      budget('short', { per: ['task'], limit: { sum: { argument: 'seconds', max: 250 } } }),
    ]);
    const task = await begin('reads');
    const one = await ask(task, { provider: 'orders', seconds: 100 });
    const again = await ask(task, { provider: 'orders', seconds: 100 });
    assert.deepEqual([one.status, again.status, again.body.lease], [200, 200, one.body.lease]);
    const tooLong = await ask(task, { provider: 'orders', seconds: 200 });
    assert.deepEqual([tooLong.status, tooLong.body.title], [403, 'budget.exceeded'], JSON.stringify(tooLong.body));
    assert.match(String(tooLong.body.detail), /100 of 250 used in this task.*needs 200/);
    assert.equal((await decide(task.id, 'orders#credential', { seconds: 200 })).code, 'budget.exceeded');
    assert.equal((await ask(task, { provider: 'orders', seconds: 60 })).status, 200);
    const third = await ask(task, { provider: 'orders', seconds: 61 });
    assert.match(String(third.body.detail), /Budget few: 2 of 2 calls used/);
    assert.equal((await ask(task, { provider: 'orders', seconds: 100 })).status, 200, 'what it has is given again');
    await task.end();

    const problem = async (more: object) => {
      const error = await workspace.apply([budget('wrong', more)]).then(
        () => undefined,
        (thrown: Error) => thrown.message,
      );
      return error ?? 'applied';
    };
    assert.match(await problem({ tools: ['none#credential'] }), /none/);
    assert.match(await problem({ tools: ['inside#credential'] }), /no `direct`/);
    assert.match(await problem({ limit: { concurrent: 1 }, window: undefined }), /none run at the same time/);
    assert.match(await problem({ per: [{ argument: 'scope' }] }), /only `seconds`/);
    assert.match(await problem({ limit: { sum: { role: 'amount', max: 1 } } }), /only `seconds`/);
  });

  /** @proves direct.listed */
  test('what an agent was handed and may ask for is listed with what it can act with, for those who may see its leases', async () => {
    const { workspace } = scene;
    const task = await begin('reads');
    const { body } = await ask(task, { provider: 'orders', seconds: 90 });
    const identity = { params: { name: 'agent-a' } };
    const { handedOut, mayBeHanded } = await workspace.operator('GET /agents/:name/identity', identity);
    const one = handedOut?.find(({ id }) => id === body.lease);
    assert.deepEqual([one?.provider, one?.task, one?.handedBy], ['orders', task.id, body.action_id]);
    assert.ok(!JSON.stringify(handedOut).includes(String(body.credential?.password)));
    assert.deepEqual(mayBeHanded, [
      { provider: 'orders', template: 'reads', type: 'postgres', tier: 2, maxSeconds: 600 },
      { provider: 'grave', template: 'careful', type: 'postgres', tier: 3, maxSeconds: 900 },
    ]);
    const stranger = await workspace.person('approver@example.test');
    assert.equal((await stranger.api('GET /agents/:name/identity', identity)).handedOut, null);
    await task.end();
    for (const giveUpAt = Date.now() + 20_000; ; ) {
      const { handedOut: left } = await workspace.operator('GET /agents/:name/identity', identity);
      if (!left?.some(({ id }) => id === body.lease)) break;
      assert.ok(Date.now() < giveUpAt, 'it is listed though it is gone');
    }
  });
});
