import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { clientAddress, noteClientAddress, trustedProxies } from './client-address.ts';

function seen(remoteAddress: string | undefined, forwarded: string | undefined, proxies: string[]) {
  const request = {
    socket: { remoteAddress },
    headers: { 'x-forwarded-for': forwarded },
  } as unknown as IncomingMessage;
  noteClientAddress(request, trustedProxies(proxies));
  return clientAddress(request);
}

/** @proves network.trusted-proxies */
test('the header of a stranger counts for nothing, and that of a trusted proxy up to the last stranger', () => {
  const proxies = ['10.0.0.0/8', '2001:db8::/32'];
  assert.equal(seen('198.51.100.7', '203.0.113.1', proxies), '198.51.100.7');
  assert.equal(seen('10.0.0.1', '203.0.113.1', proxies), '203.0.113.1');
  assert.equal(seen('::ffff:10.0.0.1', '203.0.113.1', proxies), '203.0.113.1');
  assert.equal(seen('10.0.0.1', '10.9.9.9, 203.0.113.1, 10.0.0.2', proxies), '203.0.113.1');
  assert.equal(seen('10.0.0.1', '192.0.2.66, 203.0.113.1', proxies), '203.0.113.1');
  assert.equal(seen('2001:db8::1', '203.0.113.1', proxies), '203.0.113.1');
  assert.equal(seen('10.0.0.1', 'unknown', proxies), '10.0.0.1');
  assert.equal(seen('10.0.0.1', undefined, proxies), '10.0.0.1');
  assert.equal(seen('10.0.0.1', '203.0.113.1', []), '10.0.0.1');
  assert.equal(seen('fe80::1%eth0', undefined, []), 'fe80::1');
  assert.equal(seen(undefined, '203.0.113.1', proxies), undefined);
});

test('what is no address or range is refused', () => {
  for (const range of [
    '',
    'proxy.example',
    '10.0.0.0/33',
    '10.0.0.0/8/8',
    '2001:db8::/129',
    '10.0.0.0/-1',
    '10.0.0.0/',
  ])
    assert.throws(() => trustedProxies([range]), { code: 'config.trusted-proxy' }, range);
});
