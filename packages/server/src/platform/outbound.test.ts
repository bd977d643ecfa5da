import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createOutbound } from './outbound.ts';

describe('a call to an address from outside', () => {
  const outbound = createOutbound();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end('{}');
  });
  let port = 0;
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    await outbound.close();
    server.close();
  });

  /** However loopback is written, it is loopback. */
  test('reaches nothing of the own machine unless an operator has said so, however that is written', async () => {
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '127.0.0.1.', '[::1]'])
      await assert.rejects(outbound.fetch(`https://${host}:${port}/`), { code: 'outbound.address-refused' }, host);
    for (const host of [
      '[::ffff:127.0.0.1]',
      '[::ffff:0:127.0.0.1]',
      '[::127.0.0.1]',
      '[64:ff9b::7f00:1]',
      'localhost',
    ])
      await assert.rejects(outbound.fetch(`https://${host}:${port}/`), { code: 'outbound.address-refused' }, host);
    for (const scheme of ['http', 'ftp', 'file', 'data', 'javascript'])
      await assert.rejects(outbound.fetch(`${scheme}://127.0.0.1:${port}/`), { code: 'outbound.url' }, scheme);
    assert.deepEqual(asked, []);
    assert.equal((await outbound.fetch(`http://127.0.0.1:${port}/own`, { allowPrivateAddress: true })).status, 200);
  });

  test('goes nowhere else than it seems to', async () => {
    for (const url of [
      `http://127.0.0.1:${port}@1.1.1.1/`,
      `http://user@127.0.0.1:${port}/`,
      `http://:pw@127.0.0.1:${port}/`,
    ])
      await assert.rejects(outbound.fetch(url, { allowPrivateAddress: true }), { code: 'outbound.url' }, url);
  });

  test('is never made without TLS to a public address, whatever an operator allows of private ones', async () => {
    for (const host of ['1.1.1.1', '[2606:4700::1111]'])
      await assert.rejects(outbound.fetch(`http://${host}/`, { allowPrivateAddress: true, timeoutMs: 500 }), {
        code: 'outbound.address-refused',
        message: /over https only/,
      });
  });
});
