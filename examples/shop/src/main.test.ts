import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

describe('over HTTP', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shop-'));
  const child = spawn(process.execPath, [main, '--database', join(directory, 'shop.sqlite'), '--http', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  let url: string;

  before(async () => {
    [url] = (await once(createInterface(child.stdout), 'line')) as [string];
  });
  after(async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(directory, { recursive: true });
  });

  test('the printed address answers a 2026-07-28 client', async () => {
    const client = new Client({ name: 'shop-test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    const order = await client.callTool({ name: 'get_order', arguments: { order: 1042 } });
    assert.equal((order.structuredContent as { amount_cents: number }).amount_cents, 4000);
    await client.close();
  });

  test('the same address answers a 2025-11-25 client', async () => {
    const client = new V1Client({ name: 'shop-test', version: '0' });
    await client.connect(new V1Transport(new URL(url)));
    const order = await client.callTool({ name: 'get_order', arguments: { order: 1042 } });
    assert.equal((order.structuredContent as { amount_cents: number }).amount_cents, 4000);
    await client.close();
  });

  test('a web page on another origin is refused', async () => {
    const response = await fetch(url, { method: 'POST', headers: { origin: 'https://evil.example' }, body: '{}' });
    assert.equal(response.status, 403);
  });

  test('SIGTERM ends it with code 0', async () => {
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
  });
});
