import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startV2Http } from '../../../test/peers/v2-server.ts';
import { startTown } from './support.ts';

async function open(t: TestContext) {
  const peer = await startV2Http();
  t.after(() => peer.close());
  const town = await startTown(t, peer.url);
  assert.equal((await town.run('agent', 'enroll', town.agentName)).code, 0);
  const issued = async () =>
    (await town.workspace.operator('GET /records', { query: { operation: 'token.issue' } })).items.length;
  const token = (...more: string[]) =>
    town.run('token', '--agent', town.agentName, '--template', 'try-out', '--intent', 'try it', ...more);
  const cache = join(town.directory, '.cache', 'gatehouse', 'tokens');
  const entries = () => readdirSync(cache).filter((name) => name.endsWith('.json'));
  /** As if the server had been asked long ago. */
  const age = () => {
    for (const name of entries()) {
      const entry = JSON.parse(readFileSync(join(cache, name), 'utf8')) as object;
      writeFileSync(join(cache, name), JSON.stringify({ ...entry, checkedAt: 0 }));
    }
  };
  return { ...town, token, issued, cache, entries, age };
}

interface Printed {
  task: string;
  token: string;
  tokenType: string;
  expiresAt: string;
}

describe('gatehouse token', () => {
  /** @proves cache.one-request */
  it('makes one request for many processes that ask together', async (t) => {
    const { token, issued } = await open(t);
    const all = await Promise.all(Array.from({ length: 20 }, () => token('--json')));
    for (const { code, stderr } of all) assert.equal(code, 0, stderr);
    assert.equal(new Set(all.map((each) => each.json<Printed>().token)).size, 1);
    assert.equal(await issued(), 1);
  });

  it('tells requests apart by everything that a task is started with', async (t) => {
    const { token, issued } = await open(t);
    const first = (await token('--json')).json<Printed>();
    const other = (await token('--json', '--ticket', 'SUP-1')).json<Printed>();
    assert.notEqual(first.task, other.task);
    assert.equal((await token('--json')).json<Printed>().task, first.task);
    assert.equal(await issued(), 2);
  });

  it('prints headers with which one request goes through, and keeps token and key for this user only', async (t) => {
    const { token, workspace, cache } = await open(t);
    const printed = await token('--proof', `POST ${workspace.url}/mcp`);
    assert.equal(printed.code, 0, printed.stderr);
    const headers = Object.fromEntries(
      printed.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
    );
    const call = () =>
      fetch(`${workspace.url}/mcp`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
        }),
      });
    assert.equal((await call()).status, 200);
    assert.equal((await call()).status, 401, 'a proof is for one request');
    for (const name of readdirSync(cache)) assert.equal(statSync(join(cache, name)).mode & 0o777, 0o600, name);
  });

  /** @proves cache.refused */
  it('hands out no cached token once the server has refused the agent', async (t) => {
    const { token, run, agentName, cache } = await open(t);
    const first = (await token('--json')).json<Printed>();
    assert.equal((await run('kill', agentName)).code, 0);
    const refused = await token('--renew');
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, /killed/);
    assert.equal(readdirSync(cache).filter((name) => name.endsWith('.json')).length, 0);
    const after = await token();
    assert.equal(after.code, 2);
    assert.doesNotMatch(after.stdout, new RegExp(first.token));
  });

  /** @proves cache.asked */
  it('asks before it prints a token that the server has not just vouched for, and goes on with it', async (t) => {
    const { token, issued, age, cache, entries } = await open(t);
    const first = (await token('--json')).json<Printed>();
    age();
    const all = await Promise.all(Array.from({ length: 8 }, () => token('--json')));
    for (const each of all) assert.equal(each.json<Printed>().token, first.token, each.stderr);
    const [entry = ''] = entries();
    const { checkedAt } = JSON.parse(readFileSync(join(cache, entry), 'utf8')) as { checkedAt: number };
    assert.ok(checkedAt > 0, 'the next need not ask');
    assert.equal(await issued(), 1);
  });

  /** @proves cache.asked */
  it('prints no token of a killed agent that it asks about, and keeps none; of a task that is over it prints the next', async (t) => {
    const { token, run, agentName, entries, age } = await open(t);
    const first = (await token('--json')).json<Printed>();
    assert.equal((await run('tasks', 'end', first.task)).code, 0);
    age();
    const second = (await token('--json')).json<Printed>();
    assert.notEqual(second.task, first.task);

    assert.equal((await run('kill', agentName)).code, 0);
    const offline = await token('--offline');
    assert.equal(offline.stdout.trim(), second.token, 'it was told not to ask');
    age();
    const proven = await token('--proof', 'POST http://localhost/mcp');
    assert.equal(proven.code, 2, proven.stderr);
    for (const more of [[], ['--json']]) {
      const refused = await token(...more);
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /killed/);
      assert.ok(!refused.stdout.includes(second.token));
    }
    assert.deepEqual(entries(), []);
    assert.equal((await token('--offline')).code, 66);
  });

  it('says when nobody can be asked, and what prints the token all the same', async (t) => {
    const { token, age, workspace } = await open(t);
    const first = (await token('--json')).json<Printed>();
    age();
    await workspace.server.close();
    const refused = await token();
    assert.equal(refused.code, 69, refused.stderr);
    assert.match(refused.stderr, /--offline prints it all the same/);
    assert.equal(refused.stdout, '');
    assert.equal((await token('--offline')).stdout.trim(), first.token);
    const odd = await token('--offline', '--renew');
    assert.equal(odd.code, 64);
    assert.match(odd.stderr, /--renew/);
  });

  it('goes on with a new task when the last one is over, and gets another token on demand', async (t) => {
    const { token, run } = await open(t);
    const first = (await token('--json')).json<Printed>();
    const second = (await token('--json', '--renew')).json<Printed>();
    assert.equal(second.task, first.task);
    assert.notEqual(second.token, first.token);
    assert.equal((await run('tasks', 'end', first.task)).code, 0);
    const third = await token('--json', '--renew');
    assert.equal(third.code, 2);
    assert.notEqual((await token('--json')).json<Printed>().task, first.task);
  });

  it('says what is wrong with a key file that others can read, and how to put it right', async (t) => {
    const { token, directory } = await open(t);
    const path = join(directory, 'config', 'gatehouse', 'agents', 'agent-tester-dev.jwk');
    assert.ok(readFileSync(path, 'utf8').includes('"d"'));
    const { chmodSync } = await import('node:fs');
    chmodSync(path, 0o640);
    const refused = await token();
    assert.equal(refused.code, 66);
    assert.match(refused.stderr, /chmod 600/);
  });
});
