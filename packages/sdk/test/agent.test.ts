import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request as forward, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import {
  createAgent,
  createOperator,
  createTokenCache,
  GatehouseRequestError,
  generateAgentKey,
  type Operator,
  readAgentKey,
} from '@gatehouse/sdk';
import { createLog, type RunningServer, startServer } from '@gatehouse/server';
import { freePort } from '../../../test/support/free-port.ts';

const agentName = 'agent-tester-dev';
const manifests: ManifestInput[] = [
  { kind: 'Environment', name: 'dev' },
  { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin', 'owner'] },
  { kind: 'Blueprint', name: 'tester', templates: ['try-out'] },
  { kind: 'Template', name: 'try-out' },
  {
    kind: 'Agent',
    name: agentName,
    owner: 'owner@example.test',
    purpose: 'Tries the SDK',
    environment: 'dev',
    blueprint: 'tester',
  },
];

/** A reverse proxy in front of the server, at its public address, so that the way to it can fail and say more than it should. */
const way = { isOpen: true, extraHeaders: {} as Record<string, string>, statuses: [] as number[], busy: [] as Busy[] };
interface Busy {
  status: number;
  headers: Record<string, string>;
}
let server: RunningServer;
let operator: Operator;
let url = '';
let directory = '';
let keyFile = '';
let closeProxy = () => undefined as unknown;
before(async () => {
  const [port, publicPort] = [await freePort(), await freePort()];
  url = `http://localhost:${publicPort}`;
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-sdk-'));
  const proxy = createServer((incoming, outgoing: ServerResponse) => {
    if (!way.isOpen) return void incoming.socket.destroy();
    const { method, url: path, headers } = incoming;
    const busy = path === '/oauth/token' ? way.busy.shift() : undefined;
    if (busy) return void outgoing.writeHead(busy.status, busy.headers).end();
    const passed = forward({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      way.statuses.push(answer.statusCode ?? 0);
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...way.extraHeaders });
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(publicPort, 'localhost', resolve));
  closeProxy = () => {
    proxy.closeAllConnections();
    proxy.close();
  };
  const dataDir = join(directory, 'data');
  const config = {
    dataDir,
    database: 'sqlite',
    host: '127.0.0.1',
    port,
    publicUrl: url,
    trustDomain: 'example.test',
    replica: 'one',
  };
  server = await startServer(config, { log: createLog('error') });
  await server.apply(
    manifests.map((each) => manifest.parse(each)),
    'test',
  );
  operator = createOperator({ url, dataDir });
  keyFile = join(directory, 'new', 'agent.jwk');
  const { publicJwk } = await generateAgentKey(keyFile);
  await operator.call('POST /agents/:name/keys', { params: { name: agentName }, body: { key: publicJwk } });
});
after(async () => {
  closeProxy();
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A script in a process of its own, in which only the clock is wrong. */
function run(script: string): Promise<{ code: number | null; out: string }> {
  const args = ['--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { cwd: join(import.meta.dirname, '..'), stdio: 'pipe' });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk));
  child.stderr.on('data', (chunk: Buffer) => (out += chunk));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
}

const request = { template: 'try-out', intent: 'try the SDK' };
/** Only the time when tokens are refreshed; the server keeps its own. */
const clockAt = (nowMs: number) => ({
  nowMs,
  now() {
    return this.nowMs;
  },
});
const issued = async (task: string) =>
  (await operator.call('GET /records', { query: { task, operation: 'token.issue' } })).items.length;

const isUnreachable = (error: unknown) => error instanceof GatehouseRequestError && error.code === 'server.unreachable';

const initialize = (id = 1) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'sdk', version: '1' } },
  }),
});

describe('the token of a task', () => {
  it('is asked for once when 50 callers find it too old together', async () => {
    const clock = clockAt(Date.now());
    const agent = await createAgent({ url, agent: agentName, key: keyFile, clock });
    const task = await agent.startTask(request);
    const first = await task.token();
    clock.nowMs += 890_000;
    const tokens = await Promise.all(Array.from({ length: 50 }, () => task.token()));
    assert.equal(new Set(tokens).size, 1);
    assert.notEqual(tokens[0], first);
    assert.equal(await issued(task.id), 2, 'the first one and one more');
  });

  it('is replaced once when 5 requests are refused with it together', async () => {
    const agent = await createAgent({ url, agent: agentName, key: keyFile });
    const task = await agent.startTask(request);
    await task.revokeToken();
    const answers = await Promise.all(Array.from({ length: 5 }, (_, id) => task.fetch(task.mcpUrl(), initialize(id))));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(await issued(task.id), 2);
  });

  /** @proves cache.one-request */
  it('is asked for once by 100 callers who share a cache, and replaced once when it gets old', async () => {
    const clock = clockAt(Date.now());
    const shelves = Array.from({ length: 4 }, () => createTokenCache(join(directory, 'shared')));
    const agents = await Promise.all(
      shelves.map((cache) => createAgent({ url, agent: agentName, key: keyFile, clock, cache })),
    );
    const started = () => Promise.all(Array.from({ length: 100 }, (_, at) => agents[at % 4]?.startTask(request)));
    const tasks = await started();
    const [task] = tasks;
    assert.ok(task);
    assert.equal(new Set(tasks.map((each) => each?.id)).size, 1);
    assert.equal(await issued(task.id), 1);
    assert.equal((await task.fetch(task.mcpUrl(), initialize())).status, 200);
    clock.nowMs += 700_000;
    await Promise.all(tasks.map((each) => each?.token()));
    assert.equal(await issued(task.id), 2);
    await started();
    assert.equal(await issued(task.id), 2, 'whoever comes later takes what is there');
  });

  it('is asked for again after the pause that a busy server asks for', async () => {
    const agent = await createAgent({ url, agent: agentName, key: keyFile });
    way.busy = [
      { status: 429, headers: { 'retry-after': '1' } },
      { status: 503, headers: {} },
    ];
    const before = Date.now();
    assert.ok(await agent.startTask(request));
    assert.ok(Date.now() - before >= 1_000);
    assert.equal(way.busy.length, 0);
    way.busy = [{ status: 503, headers: { 'retry-after': '3600' } }];
    await assert.rejects(agent.startTask(request), /busy.*3600 seconds/s, 'nobody waits for an hour');
  });

  it('is of no use after its agent has ended the task', async () => {
    const agent = await createAgent({ url, agent: agentName, key: keyFile });
    const task = await agent.startTask(request);
    await task.end();
    assert.equal((await task.fetch(task.mcpUrl(), initialize())).status, 401);
    assert.equal(await issued(task.id), 1);
  });

  it('is used on while the server is away for a moment, and then refreshed', async () => {
    const clock = clockAt(Date.now());
    const agent = await createAgent({ url, agent: agentName, key: keyFile, clock });
    const task = await agent.startTask(request);
    const first = await task.token();
    clock.nowMs += 700_000;
    way.isOpen = false;
    try {
      assert.equal(await task.token(), first);
      clock.nowMs += 201_000;
      await assert.rejects(task.token(), isUnreachable, 'a dead token is nobody’s');
      await assert.rejects(createAgent({ url, agent: agentName, key: keyFile }), isUnreachable);
    } finally {
      way.isOpen = true;
    }
    assert.notEqual(await task.token(), first);
  });

  it('is got again for a task that another process started, by its id', async () => {
    const key = await readAgentKey(keyFile);
    const one = await createAgent({ url, agent: agentName, key });
    const started = await one.startTask(request);
    const two = await createAgent({ url, agent: agentName, key });
    const resumed = await two.resumeTask(started.id);
    assert.equal(resumed.id, started.id);
    assert.equal((await resumed.fetch(resumed.mcpUrl(), initialize())).status, 200);
    await assert.rejects(
      two.resumeTask('tsk_0000000000'),
      (error) => error instanceof GatehouseRequestError && error.code === 'invalid_authorization_details',
    );
  });

  it('is sent to the server that gave it and to nobody else', async () => {
    const agent = await createAgent({ url, agent: agentName, key: keyFile });
    const task = await agent.startTask(request);
    await assert.rejects(task.fetch('http://127.0.0.1:9/elsewhere'), /is not sent to/);
  });

  for (const [seconds, word] of [
    [-55, 'slow'],
    [55, 'fast'],
    [-600, 'ten minutes slow'],
    [600, 'ten minutes fast'],
    [-3_600, 'an hour slow'],
  ] as const) {
    it(`is got and used with a clock that is ${word} (${seconds} s)`, () => {
      const script = `
        const real = Date.now;
        const shift = ${seconds * 1_000};
        Date.now = () => real() + shift;
        const RealDate = Date;
        globalThis.Date = class extends RealDate { constructor(...args) { args.length ? super(...args) : super(real() + shift); } };
        Date.now = () => real() + shift;
        const { createAgent } = await import('@gatehouse/sdk');
        const agent = await createAgent({ url: ${JSON.stringify(url)}, agent: ${JSON.stringify(agentName)}, key: ${JSON.stringify(keyFile)} });
        const task = await agent.startTask(${JSON.stringify(request)});
        const { status } = await task.fetch(task.mcpUrl(), ${JSON.stringify(initialize())});
        console.log(status);`;
      // The server runs in this process, so the child must not block it.
      return run(script).then(({ code, out }) => {
        assert.equal(code, 0, out);
        assert.equal(out.trim(), '200');
      });
    });
  }

  it('is used with the nonce that the server asks for', async () => {
    const agent = await createAgent({ url, agent: agentName, key: keyFile });
    const task = await agent.startTask(request);
    way.extraHeaders = { 'dpop-nonce': 'of-somebody-else' };
    assert.equal((await task.fetch(task.mcpUrl(), initialize())).status, 200);
    way.extraHeaders = {};
    way.statuses = [];
    assert.equal((await task.fetch(task.mcpUrl(), initialize())).status, 200);
    assert.deepEqual(way.statuses, [401, 200], 'refused for its nonce, and sent again with the right one');
    assert.equal(await issued(task.id), 1, 'a nonce is no reason for a new token');
  });
});

describe('an agent’s key', () => {
  it('is in a file for this user only, is never replaced, and is refused when others can read it', async () => {
    assert.equal(statSync(keyFile).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, 'new')).mode & 0o777, 0o700);
    await assert.rejects(generateAgentKey(keyFile), { code: 'EEXIST' });
    chmodSync(keyFile, 0o644);
    await assert.rejects(readAgentKey(keyFile), /can be read by others.*chmod 600/);
    chmodSync(keyFile, 0o600);
  });

  it('is refused when another user has made the file: they have the key as well', {
    skip: process.getuid?.() !== 0 && 'only root can read such a file',
  }, async () => {
    const path = join(directory, 'planted.jwk');
    await generateAgentKey(path);
    chownSync(path, 65_534, 65_534);
    await assert.rejects(readAgentKey(path), /belongs to another user/);
    chownSync(path, 0, 0);
    assert.equal((await readAgentKey(path)).publicJwk.kty, 'EC');
  });

  it('is refused when it is none', async () => {
    const path = join(directory, 'other.jwk');
    for (const text of ['{}', '{"kty":"RSA","d":"x"}', 'not json']) {
      writeFileSync(path, text, { mode: 0o600 });
      await assert.rejects(readAgentKey(path));
    }
  });
});

describe('errors', () => {
  it('tell apart a refusal, a wrong address and one that is not protected', async () => {
    const stranger = await createAgent({ url, agent: 'agent-nobody', key: keyFile });
    const codeOf = (promise: Promise<unknown>) =>
      promise.then(
        () => 'none',
        (error: { code: string }) => error.code,
      );
    assert.equal(await codeOf(stranger.startTask(request)), 'invalid_client');
    const other = url.replace('localhost', '127.0.0.1');
    assert.equal(await codeOf(createAgent({ url: other, agent: agentName, key: keyFile })), 'server.not-gatehouse');
    const clear = createAgent({ url: 'http://gatehouse.example', agent: agentName, key: keyFile });
    assert.equal(await codeOf(clear), 'server.insecure');
    assert.equal(
      await codeOf(operator.call('GET /agents/:name', { params: { name: 'agent-nobody' } })),
      'agent.unknown',
    );
  });
});

describe('the operator', () => {
  it('reads all pages of a list, in order, each item once', async () => {
    const sequences: number[] = [];
    for await (const { sequence } of operator.list('GET /records', { query: { limit: 2 } })) sequences.push(sequence);
    assert.ok(sequences.length > 4);
    assert.deepEqual(
      sequences,
      [...new Set(sequences)].sort((a, b) => b - a),
    );
  });

  it('hears of records as they become durable', async () => {
    const stop = new AbortController();
    const params = { name: agentName };
    let acting: Promise<unknown> | undefined;
    const onOpen = () => {
      acting = operator.call('POST /agents/:name/state', { params, body: { state: 'suspended' } });
    };
    for await (const event of operator.events({ signal: stop.signal, onOpen })) {
      if (event.type !== 'record') continue;
      assert.equal(event.record.record.operation, 'agent.suspend');
      break;
    }
    stop.abort();
    await acting;
    await operator.call('POST /agents/:name/state', { params, body: { state: 'active' } });
  });
});
