import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startV2Http } from '../../../test/peers/v2-server.ts';
import { createCli, ended, startTown } from './support.ts';

async function open(t: TestContext) {
  const peer = await startV2Http();
  t.after(() => peer.close());
  const town = await startTown(t, peer.url);
  assert.equal((await town.run('agent', 'enroll', town.agentName)).code, 0);
  const records = async (operation: string) =>
    (await town.workspace.operator('GET /records', { query: { operation } })).items;
  const of = ['--agent', town.agentName, '--template', 'try-out', '--intent', 'try it'];
  /** As the agent's own machine has it: no way to be the operator. */
  const agent = createCli(town.directory, { GATEHOUSE_URL: town.workspace.url });
  const exec = (script: string, ...options: string[]) =>
    agent.run('exec', ...of, ...options, '--', process.execPath, '--input-type=module', '-e', script);
  return { ...town, of, agent, exec, records };
}

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'plain', version: '1' } },
};
const plainCall = `
  const answer = await fetch(process.env.GATEHOUSE_MCP_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: ${JSON.stringify(JSON.stringify(initialize))},
  });
  console.log(answer.status, (await answer.text()).includes('serverInfo'));`;

describe('gatehouse exec', () => {
  /** @proves exec.proxy, exec.task */
  it('lets a plain client work, gives its exit code, and ends the task with it', async (t) => {
    const { exec, records } = await open(t);
    const { code, stdout, stderr } = await exec(`${plainCall} process.exit(7)`);
    assert.equal(stdout.trim(), '200 true', stderr);
    assert.equal(code, 7);
    assert.equal((await records('task.end')).length, 1);
    assert.equal((await records('token.issue')).length, 1);
  });

  /** @proves exec.secrets */
  it('gives the token to nobody: not to the command’s environment, not to its output, not to the process list', async (t) => {
    const { exec, directory } = await open(t);
    const script = `
      import { readdirSync, readFileSync } from 'node:fs';
      console.log(JSON.stringify(process.env));
      process.stderr.write(process.env.GATEHOUSE_MCP_URL.slice(0, 40));
      await new Promise((done) => setTimeout(done, 50));
      process.stderr.write(process.env.GATEHOUSE_MCP_URL.slice(40));
      for (const pid of readdirSync('/proc').filter((name) => /^\\d+$/.test(name))) {
        try { console.log(readFileSync('/proc/' + pid + '/cmdline', 'utf8')); } catch {}
      }`;
    const { code, stdout, stderr } = await exec(script);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /http:\/\/127\.0\.0\.1:\d+\/\[redacted\]\/mcp/);
    assert.match(stderr, /http:\/\/127\.0\.0\.1:\d+\/\[redacted\]\/mcp/, 'also across chunks');
    assert.doesNotMatch(stdout + stderr, /eyJ[\w-]{10,}\.eyJ/);
    const cache = join(directory, '.cache');
    assert.deepEqual(
      (() => {
        try {
          return readdirSync(cache);
        } catch {
          return [];
        }
      })(),
      [],
      'a task of its own is in no cache',
    );
  });

  it('lets nobody in who does not know the secret, or comes from a page', async (t) => {
    const { exec } = await open(t);
    const script = `
      import { request } from 'node:http';
      const { origin, pathname } = new URL(process.env.GATEHOUSE_MCP_URL);
      const status = (path, headers = {}) => new Promise((resolve, reject) =>
        request(origin + path, { method: 'POST', headers }, (answer) => { answer.resume(); resolve(answer.statusCode); })
          .on('error', reject).end('{}'));
      console.log(JSON.stringify([
        await status('/mcp'), await status('/' + 'A'.repeat(43) + '/mcp'), await status(pathname + '/../../oauth/token'),
        await status(pathname, { origin: 'https://evil.example' }), await status(pathname, { host: 'evil.example' }),
        await status(pathname.replace('/mcp', '/oauth/token')), await status(pathname.replace('/mcp', '/api/v1/agents')),
      ]));`;
    const { stdout, stderr } = await exec(script);
    assert.deepEqual(JSON.parse(stdout || 'null'), [404, 404, 404, 404, 404, 404, 404], stderr);
  });

  it('passes on what clients say of their connection to nobody: those of Java ask for HTTP/2, curl for a leave to go on', async (t) => {
    const { exec } = await open(t);
    const script = `
      import { request } from 'node:http';
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', connection: 'Upgrade, HTTP2-Settings, Keep-Alive',
        upgrade: 'h2c', 'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA', 'keep-alive': 'timeout=5', expect: '100-continue', te: 'trailers' };
      const sent = request(process.env.GATEHOUSE_MCP_URL, { method: 'POST', headers }, async (answer) => {
        console.log(answer.statusCode, (await answer.setEncoding('utf8').toArray()).join('').includes('serverInfo'));
      });
      sent.on('continue', () => sent.end(${JSON.stringify(JSON.stringify(initialize))}));
      sent.flushHeaders();`;
    const { stdout, stderr } = await exec(script);
    assert.equal(stdout.trim(), '200 true', stderr);
  });

  /** @proves exec.signals */
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const) {
    it(`passes ${signal} on, ends as the command ends, and ends the task`, async (t) => {
      const { agent, of, records } = await open(t);
      const script = 'console.log("ready"); setInterval(() => undefined, 1000)';
      const child = agent.start(['exec', ...of, '--', process.execPath, '-e', script]);
      const done = ended(child);
      await new Promise<void>((resolve) => child.stdout?.on('data', (text) => /ready/.test(text) && resolve()));
      child.kill(signal);
      assert.equal((await done).code, code);
      assert.equal((await records('task.end')).length, 1);
    });
  }

  it('runs nothing for an agent that gets no task, and says what was not found', async (t) => {
    const { exec, run, agentName, agent, of, directory } = await open(t);
    const missing = await agent.run('exec', ...of, '--', 'no-such-command-here');
    assert.equal(missing.code, 127);
    assert.match(missing.stderr, /there is no command no-such-command-here/);
    assert.equal((await run('agent', 'suspend', agentName)).code, 0);
    const path = join(directory, 'ran');
    const refused = await exec(`(await import('node:fs')).writeFileSync(${JSON.stringify(path)}, 'x')`);
    assert.notEqual(refused.code, 0);
    // Said once.
    assert.equal(refused.stderr.match(/suspended/g)?.length, 1, refused.stderr);
    assert.throws(() => readFileSync(path), { code: 'ENOENT' });
  });

  it('is cut off by a kill while the command runs', async (t) => {
    const { agent, of, run, agentName, directory } = await open(t);
    const flag = join(directory, 'killed');
    const script = `${plainCall}
      const { existsSync } = await import('node:fs');
      while (!existsSync(${JSON.stringify(flag)})) await new Promise((done) => setTimeout(done, 50));
      const after = await fetch(process.env.GATEHOUSE_MCP_URL, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }, body: ${JSON.stringify(JSON.stringify(initialize))} });
      console.log('after', after.status);`;
    const child = agent.start(['exec', ...of, '--', process.execPath, '--input-type=module', '-e', script]);
    const done = ended(child);
    await new Promise<void>((resolve) => child.stdout?.on('data', (text) => /200/.test(text) && resolve()));
    assert.equal((await run('kill', agentName)).code, 0);
    writeFileSync(flag, '');
    assert.match((await done).stdout, /after (401|403|502)/);
  });
});
