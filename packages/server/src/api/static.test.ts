import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { serveConsole } from './static.ts';

const root = mkdtempSync(join(tmpdir(), 'gatehouse-static-'));
const directory = join(root, 'console');
const server = createServer((incoming, response) => {
  serveConsole(directory, incoming, response, (incoming.url ?? '/').split('?')[0] ?? '/').catch((error: Error) => {
    response.writeHead(500).end(error.message);
  });
});

before(async () => {
  mkdirSync(join(directory, 'assets'), { recursive: true });
  mkdirSync(join(root, 'console-other'));
  writeFileSync(join(directory, 'index.html'), '<!doctype html>page');
  writeFileSync(join(directory, 'assets', 'a.js'), 'script');
  writeFileSync(join(root, 'operator.token'), 'secret');
  writeFileSync(join(root, 'console-other', 'x'), 'secret');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => {
  server.close();
  rmSync(root, { recursive: true });
});

/** The path as written: `fetch` would tidy it up first. */
function get(path: string): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    })
      .on('error', reject)
      .end();
  });
}

test('no path leads out of the console, or makes the server fail', async () => {
  const paths = [
    '/../operator.token',
    '/..%2foperator.token',
    '/%2e%2e/operator.token',
    '/assets/../../operator.token',
    '/assets/..%2f..%2foperator.token',
    '/assets/%2e%2e%2f%2e%2e%2foperator.token',
    '/..\\operator.token',
    '/../console-other/x',
    '//etc/passwd',
    '/%00',
    '/assets/a.js%00.html',
    '/%',
    '/%ff',
    '/%E0%A4%A',
    '/assets',
    '/assets/',
    '/assets/a.js/x',
    `/${'a'.repeat(5_000)}`,
    'http://elsewhere.example/operator.token',
  ];
  for (const path of paths) {
    const { status, body } = await get(path);
    assert.deepEqual([status, body], [200, '<!doctype html>page'], path);
  }
});

test('files have their type, nothing is sniffed, framed or loaded from elsewhere', async () => {
  const { body, headers } = await get('/assets/a.js');
  assert.equal(body, 'script');
  assert.equal(headers['content-type'], 'text/javascript; charset=utf-8');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  const policy = String((await get('/approvals/apr_1')).headers['content-security-policy']);
  for (const directive of ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"])
    assert.ok(policy.includes(directive), directive);
  assert.doesNotMatch(policy, /script-src|unsafe-eval/);
});

test('a browser that has gone before its file is opened is no failure', async () => {
  const slow = createServer();
  await once(slow.listen(0, '127.0.0.1'), 'listening');
  try {
    for (const encoding of ['gzip', 'identity']) {
      const socket = connect((slow.address() as AddressInfo).port, '127.0.0.1');
      socket.write(`GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${encoding}\r\n\r\n`);
      const [incoming, response] = await once(slow, 'request');
      const gone = once(response, 'close');
      socket.destroy();
      await gone;
      await assert.doesNotReject(serveConsole(directory, incoming, response, '/assets/a.js'));
    }
  } finally {
    slow.close();
  }
});
