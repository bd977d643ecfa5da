import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createPeerState, type HttpPeerHandle } from '../../../../../test/peers/peer.ts';
import { startV2Http } from '../../../../../test/peers/v2-server.ts';
import { GatehouseError, isJsonObject, type JsonObject, limits, readBody } from '../../platform/index.ts';
import { codes } from './rpc.ts';
import { as, post, postModern, startGate, type TestGate } from './testing/gate.ts';

const codeOf = (body: JsonObject) => (isJsonObject(body.error) ? body.error.code : undefined);
const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };

/** @proves law-10.json, mcp.origin, mcp.header-body */
describe('the MCP door, badly spoken to', () => {
  let peer: HttpPeerHandle;
  let gate: TestGate;
  const url = () => gate.url('peer');

  before(async () => {
    peer = await startV2Http(createPeerState());
    gate = await startGate({ peer: { url: peer.url } });
  });
  after(async () => {
    assert.equal(gate.enforcement.decided.length, 0, 'nothing of this is an action');
    assert.ok(!gate.logged.some((line) => line.includes('"level":"error"')), 'none of this is a fault of the gate');
    await gate.close();
    await peer.close();
  });

  /** Bytes as they are, and all that comes back until the gate closes the connection. */
  async function raw(text: string | Buffer, options: { end?: boolean } = {}): Promise<string> {
    const { hostname, port } = new URL(gate.origin);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write(text);
    if (options.end) socket.end();
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    await once(socket, 'close');
    return answer;
  }
  const head = (path: string, headers: Record<string, string>, method = 'POST') =>
    `${method} ${path} HTTP/1.1\r\n${Object.entries({
      Host: new URL(gate.origin).host,
      Connection: 'close',
      ...headers,
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`;
  const json = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
  const bearer = { Authorization: as().authorization };

  describe('by somebody without a valid token', () => {
    const challenge = 'Bearer resource_metadata="here"';
    for (const [who, authorization] of Object.entries({
      'no token': undefined,
      'another scheme': 'Basic YTpi',
      'a made-up token': 'Bearer made-up',
    })) {
      test(`${who}: 401 with the challenge, on every method`, async () => {
        for (const method of ['POST', 'GET', 'DELETE', 'PUT', 'OPTIONS']) {
          const headers = { ...json, ...(authorization && { authorization }) };
          const response = await fetch(url(), { method, headers });
          assert.deepEqual([response.status, response.headers.get('www-authenticate')], [401, challenge]);
        }
      });
    }

    test('a token in the query is not read, even a valid one', async () => {
      const { status, text } = await post(`${url()}?access_token=agent.tsk_1`, ping);
      assert.equal(status, 400);
      assert.ok(!text.includes('agent.tsk_1'));
    });
  });

  describe('from somewhere else', () => {
    test('a foreign Host is refused, so that a rebound name reaches nothing', async () => {
      for (const host of ['evil.example', 'evil.example:80', 'localhost.evil.example', '127.0.0.1:1', '127.0.0.1']) {
        const answer = await raw(head('/mcp/peer', { ...json, ...bearer, Host: host, 'Content-Length': '0' }));
        assert.match(answer, /^HTTP\/1\.1 403 /);
      }
    });

    test('a foreign Origin is refused, ours and loopback are not', async () => {
      const { port } = new URL(gate.origin);
      for (const origin of [
        'https://evil.example',
        'null',
        `https://127.0.0.1:${port}`,
        'http://127.0.0.1:1',
        `${gate.origin}.evil.example`,
      ])
        assert.equal((await postModern(url(), 'server/discover', {}, { headers: { origin } })).status, 403);
      for (const origin of [gate.origin, `http://localhost:${port}`])
        assert.equal((await postModern(url(), 'server/discover', {}, { headers: { origin } })).status, 200);
    });
  });

  describe('with a body that is no JSON-RPC', () => {
    const bodies: Record<string, [string | Uint8Array<ArrayBuffer>, number]> = {
      'no JSON': ['{"jsonrpc":', codes.parse],
      nothing: ['', codes.parse],
      'not UTF-8': [new Uint8Array([0x22, 0xff, 0xfe, 0x22]), codes.parse],
      'a key twice': ['{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', codes.parse],
      'a key twice, once escaped': ['{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"x"}', codes.parse],
      'deeply nested': [
        `{"jsonrpc":"2.0","id":1,"method":"ping","params":${'{"a":'.repeat(100)}1${'}'.repeat(101)}`,
        codes.parse,
      ],
      'a prototype': ['{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{}}}', codes.parse],
      'a string': ['"ping"', codes.invalidRequest],
      'another version': ['{"jsonrpc":"1.0","id":1,"method":"ping"}', codes.invalidRequest],
      'a null id': ['{"jsonrpc":"2.0","id":null,"method":"ping"}', codes.invalidRequest],
      'a fractional id': ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', codes.invalidRequest],
      'parameters by position': ['{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', codes.invalidRequest],
      'a method that is no string': ['{"jsonrpc":"2.0","id":1,"method":{}}', codes.invalidRequest],
      'a request that is a response': ['{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', codes.invalidRequest],
      neither: ['{"jsonrpc":"2.0","id":1}', codes.invalidRequest],
    };
    for (const [what, [body, code]] of Object.entries(bodies)) {
      test(`${what}: 400 and ${code}`, async () => {
        const response = await fetch(url(), { method: 'POST', headers: { ...json, ...as() }, body });
        const answer = (await response.json()) as JsonObject;
        assert.deepEqual([response.status, codeOf(answer)], [400, code]);
        assert.equal(response.headers.get('cache-control'), 'no-store');
      });
    }

    test('larger than allowed: 413 before it is read', async () => {
      const { status, body } = await post(url(), `"${'x'.repeat(limits.requestBodyBytes)}"`);
      assert.deepEqual([status, codeOf(body)], [413, codes.limit]);
    });

    test('larger than allowed without saying so: 413 as soon as it is', async () => {
      const chunk = 'x'.repeat(65_536);
      const framed = `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
      const count = limits.requestBodyBytes / chunk.length + 1;
      const answer = await raw(
        head('/mcp/peer', { ...json, ...bearer, 'Transfer-Encoding': 'chunked' }) + framed.repeat(count),
      );
      assert.match(answer, /^HTTP\/1\.1 413 /);
    });

    test('cut off in the middle: 400', async () => {
      const answer = await raw(`${head('/mcp/peer', { ...json, ...bearer, 'Content-Length': '100' })}{"jsonrpc"`, {
        end: true,
      });
      assert.match(answer, /^HTTP\/1\.1 400 /);
    });

    test('that never comes: 408 instead of a connection held for ever', async () => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const server = createServer((request) =>
        readBody(request, { requestBodyBytes: 10, requestBodyTimeoutMs: 20 }).catch(resolve),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab');
      const error = await promise;
      assert.ok(error instanceof GatehouseError);
      assert.deepEqual([error.kind, error.code], ['timeout', 'body.slow']);
      socket.destroy();
      server.close();
    });

    test('of another type: 415', async () => {
      for (const type of ['text/plain', 'application/jsonp', 'multipart/form-data; boundary=x'])
        assert.equal((await post(url(), ping, { 'content-type': type })).status, 415);
      assert.notEqual((await post(url(), ping, { 'content-type': 'application/json; charset=utf-8' })).status, 415);
    });

    test('that no client could read the answer of: 406', async () => {
      assert.equal((await post(url(), ping, { accept: 'text/html' })).status, 406);
      assert.equal(
        (await postModern(url(), 'server/discover', {}, { headers: { accept: 'application/json' } })).status,
        406,
      );
    });
  });

  describe('in 2026-07-28', () => {
    const tool = { name: 'echo', arguments: { text: 'x' } };
    const rejects: Record<
      string,
      { headers?: Record<string, string>; meta?: JsonObject; code: number; status: number }
    > = {
      'another method in the header': {
        headers: { 'mcp-method': 'tools/list' },
        code: codes.headerMismatch,
        status: 400,
      },
      'a method in other letters': { headers: { 'mcp-method': 'TOOLS/CALL' }, code: codes.headerMismatch, status: 400 },
      'another name in the header': { headers: { 'mcp-name': 'add' }, code: codes.headerMismatch, status: 400 },
      'another name, encoded': { headers: { 'mcp-name': '=?base64?YWRk?=' }, code: codes.headerMismatch, status: 400 },
      'a name that is not decodable': {
        headers: { 'mcp-name': '=?base64?!!?=' },
        code: codes.headerMismatch,
        status: 400,
      },
      'no name': { headers: { 'mcp-name': '' }, code: codes.headerMismatch, status: 400 },
      'an older version in the header': {
        headers: { 'mcp-protocol-version': '2025-11-25' },
        code: codes.headerMismatch,
        status: 400,
      },
      'an unknown version': {
        headers: { 'mcp-protocol-version': '2099-01-01' },
        meta: { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' },
        code: codes.unsupportedVersion,
        status: 400,
      },
      'capabilities that are no object': {
        meta: { 'io.modelcontextprotocol/clientCapabilities': 'all' },
        code: codes.invalidParams,
        status: 400,
      },
      'an unknown log level': {
        meta: { 'io.modelcontextprotocol/logLevel': 'loud' },
        code: codes.invalidParams,
        status: 400,
      },
    };
    for (const [what, { headers, meta, code, status }] of Object.entries(rejects)) {
      test(`${what}: ${status} and ${code}`, async () => {
        const answer = await postModern(url(), 'tools/call', tool, { headers, meta });
        assert.deepEqual([answer.status, codeOf(answer.body), answer.body.id], [status, code, 1]);
      });
    }

    test('accepts the same name, encoded', async () => {
      const answer = await postModern(url(), 'tools/list', {}, { headers: { 'mcp-name': '=?base64?ZWNobw==?=' } });
      assert.equal(answer.status, 200);
    });

    test('the supported versions are named', async () => {
      const version = { 'io.modelcontextprotocol/protocolVersion': '1' };
      const { body } = await postModern(
        url(),
        'server/discover',
        {},
        { meta: version, headers: { 'mcp-protocol-version': '1' } },
      );
      assert.deepEqual((body.error as JsonObject).data, { supported: ['2026-07-28'], requested: '1' });
    });

    test('methods of the other era, and of none: 404', async () => {
      for (const method of [
        'initialize',
        'ping',
        'logging/setLevel',
        'resources/subscribe',
        'tasks/list',
        'x/y',
        'toString',
      ]) {
        const { status, body } = await postModern(url(), method);
        assert.deepEqual([status, codeOf(body)], [404, codes.methodNotFound]);
      }
    });

    test('a task needs the extension', async () => {
      const { status, body } = await postModern(url(), 'tasks/get', { taskId: 'x' });
      assert.deepEqual([status, codeOf(body)], [400, codes.missingCapability]);
    });

    test('responses are not taken, notifications are', async () => {
      const modern = { 'mcp-protocol-version': '2026-07-28' };
      assert.equal((await post(url(), { jsonrpc: '2.0', id: 1, result: {} }, modern)).status, 400);
      assert.equal((await post(url(), { jsonrpc: '2.0', method: 'notifications/cancelled' }, modern)).status, 202);
    });

    test('a cursor of nobody, a state of nobody and answers of the wrong kind are invalid', async () => {
      const invalid: [string, JsonObject][] = [
        ['tools/list', { cursor: 'x' }],
        ['tools/list', { cursor: 7 }],
        ['tools/call', { ...tool, requestState: 'AAAA' }],
        ['tools/call', { ...tool, requestState: 7 }],
        ['tools/call', { ...tool, inputResponses: { a: 1 } }],
        ['tools/call', { ...tool, inputResponses: null }],
        ['tools/call', { name: 'echo', arguments: 'x' }],
        ['completion/complete', { ref: { type: 'ref/other' }, argument: { name: 'a', value: '' } }],
        ['subscriptions/listen', {}],
        ['subscriptions/listen', { notifications: { resourceSubscriptions: [1] } }],
      ];
      for (const [method, params] of invalid)
        assert.equal(
          codeOf((await postModern(url(), method, params)).body),
          codes.invalidParams,
          JSON.stringify(params),
        );
    });
  });

  test('what is not there: 404, without telling other environments apart', async () => {
    for (const path of ['/mcp/nobody', '/mcp/UPPER', '/mcp/a__b', '/mcp/%2e%2e', '/mcp/x+y'])
      assert.equal((await post(`${gate.origin}${path}`, ping)).status, 404);
    assert.equal((await post(`${gate.origin}/mcp/peer/more`, ping)).status, 404);
  });

  test('methods of HTTP that MCP does not use: 405', async () => {
    for (const method of ['PUT', 'PATCH', 'OPTIONS'])
      assert.equal((await fetch(url(), { method, headers: as() })).status, 405);
  });

  test('metadata of the resource is for everybody, by GET', async () => {
    for (const path of ['', '/mcp', '/mcp/peer']) {
      const response = await fetch(`${gate.origin}/.well-known/oauth-protected-resource${path}`);
      assert.deepEqual(await response.json(), { resource: `${gate.origin}${path || '/mcp'}` });
      assert.equal((await fetch(response.url, { method: 'POST' })).status, 405);
    }
  });
});
