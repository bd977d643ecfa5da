import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { connectV1, connectV2 } from './clients.ts';
import { hugeBytes, type LookAround } from './hostile-behaviour.ts';
import { type HostileHandle, prepareHostileStdio, startHostileHttp } from './hostile-server.ts';
import { harmlessMutations, honest, type MutationName, mutate, mutations } from './hostile-tools.ts';

const timeout = 60_000;

describe('the hostile server over HTTP does what its tools are named for:', { timeout }, () => {
  let hostile: HostileHandle;
  before(async () => {
    hostile = await startHostileHttp();
  });
  after(() => hostile.close());

  let id = 0;
  const post = (name: string, args: Record<string, unknown> = {}, signal?: AbortSignal) => {
    id += 1;
    return fetch(hostile.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } }),
      redirect: 'manual',
      ...(signal && { signal }),
    });
  };
  const frames = async (name: string, args?: Record<string, unknown>) =>
    [...(await (await post(name, args)).text()).matchAll(/^data: (.*)$/gm)].map(([, data]) => data ?? '');

  for (const connect of [connectV1, connectV2]) {
    test(`it looks like any server to ${connect.name}`, async () => {
      const client = await connect(hostile);
      assert.equal((await client.call('well_behaved', { text: 'hi' })).content[0]?.text, 'hi');
      assert.ok((await client.listTools()).some(({ name }) => name === 'transfer'));
      assert.match((await client.call('phish_form')).content[0]?.text ?? '', /accept/);
      assert.match((await client.call('sample')).content[0]?.text ?? '', /sampled/);
      assert.equal(client.asked.length, 2);
      await client.close();
    });
  }

  test('hang and hang_open never answer', async () => {
    for (const name of ['hang', 'hang_open', 'drip']) {
      const controller = new AbortController();
      const answered = post(name, {}, controller.signal).then((response) => response.text());
      await hostile.log.until('called', name);
      controller.abort();
      await assert.rejects(answered, { name: 'AbortError' });
    }
  });

  test('die and die_mid_response cut the connection', async () => {
    await assert.rejects(post('die'));
    const response = await post('die_mid_response');
    assert.equal(response.status, 200);
    await assert.rejects(response.text());
  });

  test('flood sends as many notifications as it was told to', async () => {
    const sent = await frames('flood', { count: 500 });
    assert.equal(sent.filter((data) => data.includes('notifications/message')).length, 500);
  });

  test('ids are wrong, retyped, answered twice, or those of others', async () => {
    const ids = async (name: string) => (await frames(name)).map((data) => (JSON.parse(data) as { id: unknown }).id);
    assert.deepEqual(await ids('duplicate_answer'), [id, id]);
    const controller = new AbortController();
    const hanging = post('hang', {}, controller.signal);
    const hangingId = id;
    await hostile.log.until('called', 'hang', 2);
    assert.ok((await ids('answer_for_others')).includes(hangingId));
    controller.abort();
    await assert.rejects(hanging);
    for (const [name, wrong] of [
      ['wrong_id', 987_654_321],
      ['retyped_id', String(id + 2)],
    ] as const) {
      const response = await post(name);
      const { value } = await (response.body as ReadableStream<Uint8Array>).getReader().read();
      assert.match(Buffer.from(value ?? []).toString(), new RegExp(`"id":${JSON.stringify(wrong)}`));
    }
  });

  test('huge is as long as it says, endless longer', async () => {
    let received = 0;
    for await (const chunk of (await post('huge')).body ?? []) received += chunk.length;
    assert.ok(received > hugeBytes);
    received = 0;
    for await (const chunk of (await post('endless')).body ?? []) {
      received += chunk.length;
      if (received > 20_000_000) break;
    }
    assert.ok(received > 20_000_000);
  });

  test('what is not JSON is not JSON, and what parsers disagree about is there', async () => {
    const [invalid = ''] = await frames('invalid_json');
    assert.throws(() => JSON.parse(invalid));
    assert.equal((await frames('duplicate_keys'))[0]?.split('"result"').length, 3);
    assert.ok((await frames('deep_json'))[0]?.includes('['.repeat(100_000)));
    assert.ok((await frames('proto_key'))[0]?.includes('"__proto__"'));
    const bytes = Buffer.from(await (await post('invalid_utf8')).arrayBuffer());
    assert.ok(bytes.includes(Buffer.from([0xc3, 0x28, 0xff])));
  });

  test('it redirects, fails and answers with a page', async () => {
    const redirect = await post('redirect', { location: 'http://127.0.0.1:1/' });
    assert.equal(redirect.status, 307);
    assert.equal(redirect.headers.get('location'), 'http://127.0.0.1:1/');
    assert.equal((await post('http_500')).status, 500);
    assert.equal((await post('html')).headers.get('content-type'), 'text/html');
  });
});

describe('a definition changes after the first list:', { timeout }, () => {
  for (const name of [...Object.keys(mutations), ...Object.keys(harmlessMutations)] as MutationName[]) {
    test(name, async () => {
      const hostile = await startHostileHttp({ mutation: name });
      const list = async (method: string) => {
        const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: {} });
        const answer = await (await fetch(hostile.url, { method: 'POST', body })).text();
        return answer.slice(answer.indexOf('{'));
      };
      const whole = async () => [await list('initialize'), await list('prompts/list'), await list('tools/list')];
      const before = await whole();
      assert.notDeepEqual(await whole(), before);
      await hostile.close();
    });
  }

  test('a harmless one changes the text and nothing else', () => {
    const sorted = (shown: typeof honest) => shown.tools.toSorted((one, other) => one.name.localeCompare(other.name));
    for (const name of Object.keys(harmlessMutations) as MutationName[]) {
      assert.deepEqual(sorted(mutate(honest, name)), sorted(honest));
    }
    for (const name of Object.keys(mutations) as MutationName[]) assert.notDeepEqual(mutate(honest, name), honest);
  });
});

describe('the hostile server over stdio', { timeout }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'hostile-'));
  after(() => rmSync(directory, { recursive: true }));

  const start = (options: Parameters<typeof prepareHostileStdio>[0] = {}, env: NodeJS.ProcessEnv = process.env) => {
    const peer = prepareHostileStdio(options);
    const child = spawn(peer.command, peer.args, { stdio: ['pipe', 'pipe', 'ignore'], cwd: directory, env });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const send = (message: unknown) => child.stdin.write(`${JSON.stringify(message)}\n`);
    const call = (id: number, name: string, args: Record<string, unknown> = {}) =>
      send({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
    const next = async () => (await lines.next()).value as string;
    return { peer, child, send, call, next };
  };

  test('tells what it can see of environment and files, and what it can write', async () => {
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'a secret');
    const { peer, child, call, next } = start({}, { ...process.env, CANARY: 'canary-in-the-environment' });
    const missing = join(directory, 'none');
    const written = join(directory, 'written');
    call(1, 'look_around', { paths: [secret, missing, directory], write: [written, '/nowhere/at/all'] });
    const { result } = JSON.parse(await next()) as { result: { content: [{ text: string }] } };
    const seen = JSON.parse(result.content[0].text) as LookAround;
    assert.equal(seen.env.CANARY, 'canary-in-the-environment');
    assert.equal(seen.cwd, directory);
    assert.deepEqual(seen.read[secret], { ok: true, text: 'a secret' });
    assert.deepEqual(seen.read[missing], { ok: false, error: 'ENOENT' });
    assert.deepEqual(seen.read[directory], { ok: true, text: 'secret' });
    assert.equal(seen.written[written]?.ok, true);
    assert.match(readFileSync(written, 'utf8'), /hostile/);
    assert.equal(seen.written['/nowhere/at/all']?.ok, false);
    child.stdin.end();
    await once(child, 'exit');
    await peer.close();
  });

  test('answers for others, dies in the middle of a line', async () => {
    const { peer, child, call, next } = start();
    call(1, 'hang');
    call(2, 'answer_for_others');
    assert.match(await next(), /"id":1,"result":.*stolen/);
    assert.match(await next(), /"id":2,"result":.*mine/);
    call(3, 'die_mid_response');
    assert.throws(JSON.parse.bind(undefined, await next()));
    assert.deepEqual(await once(child, 'exit'), [1, null]);
    assert.deepEqual(
      peer.log.all().map(({ tool }) => tool),
      ['hang', 'answer_for_others', 'die_mid_response'],
    );
    await peer.close();
  });

  test('announces that it changed its tools', async () => {
    const { peer, child, send, next } = start({ mutation: 'description' });
    send({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    assert.doesNotMatch(await next(), /evil\.example/);
    assert.match(await next(), /tools\/list_changed/);
    send({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    assert.match(await next(), /evil\.example/);
    child.kill();
    await once(child, 'exit');
    await peer.close();
  });

  test('stays when it is stubborn: only SIGKILL ends it', async () => {
    const { peer, child, call, next } = start({ stubborn: true });
    call(1, 'well_behaved');
    await next();
    child.kill('SIGTERM');
    call(2, 'well_behaved');
    assert.match(await next(), /"id":2/);
    child.kill('SIGKILL');
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    await peer.close();
  });
});
