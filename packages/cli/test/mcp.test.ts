import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { connectV1, connectV2, type Target, type TestClient } from '../../../test/peers/clients.ts';
import { startV1Http } from '../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../test/peers/v2-server.ts';
import { nodeArgs, startTown } from './support.ts';

const clients: [string, (target: Target) => Promise<TestClient>][] = [
  ['SDK v1, 2025-11-25', connectV1],
  ['SDK v2, 2025-11-25', (target) => connectV2(target, '2025-11-25')],
  ['SDK v2, 2026-07-28', (target) => connectV2(target, '2026-07-28')],
];

async function open(t: Parameters<typeof startTown>[0], startPeer = startV2Http) {
  const peer = await startPeer();
  t.after(() => peer.close());
  const town = await startTown(t, peer.url);
  const enrolled = await town.run('agent', 'enroll', town.agentName);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const env = { GATEHOUSE_URL: town.workspace.url, HOME: town.directory, XDG_CONFIG_HOME: `${town.directory}/config` };
  const args = [...nodeArgs, 'mcp', '--agent', town.agentName, '--template', 'try-out', '--intent', 'try the bridge'];
  const target = {
    command: process.execPath,
    args,
    env: { PATH: process.env.PATH ?? '', ...env },
    cwd: town.directory,
  };
  return { ...town, peer, target };
}

for (const [name, connect] of clients) {
  describe(`gatehouse mcp with ${name}`, () => {
    it('passes calls, progress, cancellation, server requests, resources, prompts and changes', async (t) => {
      const { target, peer } = await open(t, name.startsWith('SDK v1') ? startV1Http : startV2Http);
      const client = await connect(target);
      t.after(() => client.close());

      const tools = await client.listTools();
      assert.ok(tools.some((tool) => tool.name === 'peer__echo'));
      const echoed = await client.call('peer__echo', { text: 'über den Steg\n\u2028' });
      assert.match(echoed.content[0]?.text ?? '', /über den Steg\n\u2028/);

      const steps: number[] = [];
      // The SDKs drop progress that they read in one piece with the answer; that it is written in time is shown below.
      while (steps.length === 0)
        await client.call('peer__progress', { steps: 3 }, { onProgress: (step) => steps.push(step) });

      await client.call('peer__ask_form', { message: 'a question' });
      assert.equal(client.asked.at(-1)?.method, 'elicitation/create');

      const abort = new AbortController();
      const waiting = client.call('peer__wait_until_cancelled', { label: 'one' }, { signal: abort.signal });
      const refused = assert.rejects(waiting);
      await peer.state.log.until('waiting', 'wait_until_cancelled');
      abort.abort();
      await refused;
      await peer.state.log.until('cancelled', 'wait_until_cancelled');

      const resources = await client.listResources();
      const note = resources.find((uri) => uri.endsWith('note')) ?? '';
      assert.equal(await client.readResource(note), 'first note');
      assert.ok(await client.getPrompt('peer__greet', { name: 'ada' }));

      await client.subscribe(note);
      await client.call('peer__set_note', { text: 'second note' });
      while (client.updated.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(await client.readResource(note), 'second note');
    });

    it('goes on after the server was restarted, and says clearly when it is away', async (t) => {
      const { target, workspace } = await open(t);
      const client = await connect(target);
      t.after(() => client.close());
      await client.listTools();
      await workspace.restart();
      const echoed = await client.call('peer__echo', { text: 'still here' });
      assert.match(echoed.content[0]?.text ?? '', /still here/);
    });

    it('is cut off by a kill', async (t) => {
      const { target, run, agentName } = await open(t);
      const client = await connect(target);
      t.after(() => client.close());
      await client.call('peer__echo', { text: 'alive' });
      assert.equal((await run('kill', agentName)).code, 0);
      await assert.rejects(client.call('peer__echo', { text: 'dead' }), /killed|unauthenti|no task/i);
    });
  });
}

describe('gatehouse mcp as a process', () => {
  async function talk(t: Parameters<typeof startTown>[0]) {
    const opened = await open(t);
    const child = opened.start(opened.target.args.slice(nodeArgs.length));
    t.after(() => child.kill());
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk));
    const lines: Record<string, unknown>[] = [];
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    reader.on('line', (line) => lines.push(JSON.parse(line)));
    const say = (value: unknown) =>
      child.stdin?.write(`${typeof value === 'string' ? value : JSON.stringify(value)}\n`);
    const hear = async (
      id: unknown,
    ): Promise<{ result?: unknown; error?: { code: number; message: string; data?: unknown } }> => {
      for (;;) {
        const found = lines.find((line) => line.id === id);
        if (found) return found;
        await once(reader, 'line');
      }
    };
    return { ...opened, child, say, hear, lines, stderr: () => stderr };
  }
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
  };

  it('writes progress before the answer, in order, under the token of the client', async (t) => {
    const { say, hear, lines } = await talk(t);
    say(initialize);
    await hear(1);
    say({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const params = { name: 'peer__progress', arguments: { steps: 3 }, _meta: { progressToken: 'mine' } };
    say({ jsonrpc: '2.0', id: 'call', method: 'tools/call', params });
    assert.ok((await hear('call')).result);
    const before = lines.slice(
      0,
      lines.findIndex(({ id }) => id === 'call'),
    );
    const steps = before.filter(({ method }) => method === 'notifications/progress');
    assert.deepEqual(
      steps.map((each) => each.params as { progressToken: string; progress: number }),
      [1, 2, 3].map((progress) => ({ ...(steps[progress - 1]?.params as object), progressToken: 'mine', progress })),
    );
    assert.equal(steps.length, 3);
  });

  it('answers what it cannot deliver, and delivers again when the server is back', async (t) => {
    const { say, hear, workspace } = await talk(t);
    say(initialize);
    assert.ok((await hear(1)).result);
    say({ jsonrpc: '2.0', method: 'notifications/initialized' });
    await workspace.server.close();
    say({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'peer__echo', arguments: { text: 'x' } } });
    const { error } = await hear(2);
    assert.equal(error?.code, 1004);
    assert.match(error?.message ?? '', /No Gatehouse server answers.*safe to try again/);
    await workspace.restart();
    say({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'peer__echo', arguments: { text: 'back' } } });
    assert.match(JSON.stringify(await hear(3)), /back/);
  });

  it('names lines that are no messages and messages that are too large, and goes on', async (t) => {
    const { say, hear, lines } = await talk(t);
    say('{"jsonrpc": "2.0", "id": 1, ');
    say(JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'ping', params: { fill: 'x'.repeat(5 * 1024 * 1024) } }));
    say(initialize);
    assert.ok((await hear(1)).result);
    assert.deepEqual(
      lines.slice(0, 2).map(({ error }) => (error as { code: number }).code),
      [-32700, 1007],
    );
  });

  it('ends when its input ends: answers what was asked, ends the task, exit code 0', async (t) => {
    const { say, hear, child, workspace } = await talk(t);
    say(initialize);
    await hear(1);
    say({ jsonrpc: '2.0', method: 'notifications/initialized' });
    say({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'peer__slow', arguments: { ms: 300 } } });
    child.stdin?.end();
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    assert.ok((await hear(2)).result);
    const { items } = await workspace.operator('GET /records', { query: { operation: 'task.end' } });
    assert.equal(items.length, 1);
  });

  it('tells the client why it gets no task', async (t) => {
    const { say, hear, child, run, agentName, stderr } = await talk(t);
    assert.equal((await run('agent', 'suspend', agentName)).code, 0);
    say(initialize);
    assert.match((await hear(1)).error?.message ?? '', /no task.*suspended/s);
    child.stdin?.end();
    const [code] = await once(child, 'close');
    assert.equal(code, 69);
    assert.match(stderr(), /suspended/);
  });
});
