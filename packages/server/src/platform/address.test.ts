import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { describe, test } from 'node:test';
import { addressKind, guardedLookup } from './address.ts';

describe('an address', () => {
  const kinds = {
    public: [
      '1.1.1.1',
      '93.184.216.34',
      '172.32.0.1',
      '100.128.0.1',
      '2606:4700::1111',
      '64:ff9b::1.1.1.1',
      '2002:101:101::1',
    ],
    private: [
      ...['127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1'],
      ...['192.0.2.1', '198.18.0.1', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', 'fc00::1', 'fd12::1'],
      ...['64:ff9b::10.0.0.1', '64:ff9b:1::1', '2002:a00:1::1', '2001:db8::1', '2001::1'],
    ],
    never: [
      ...[
        '0.0.0.0',
        '0.1.2.3',
        '169.254.169.254',
        '224.0.0.1',
        '239.255.255.255',
        '240.0.0.1',
        '255.255.255.255',
        '::',
      ],
      ...[
        'fe80::1',
        'fe80::1%eth0',
        'ff02::1',
        '::ffff:169.254.169.254',
        '::ffff:a9fe:a9fe',
        '64:ff9b::169.254.169.254',
      ],
      // Azure's host; translators' addresses (RFC 7915, RFC 5214) of loopback; outside of what is given out.
      ...['168.63.129.16', '::ffff:0:127.0.0.1', '::ffff:0:7f00:1', '4000::1', 'e000::1', '1::7f00:1'],
      ...['2002:a9fe:a9fe::1', 'fd00:ec2::254', '100.100.100.200', 'localhost', '', '127.1', '0x7f.1', '2130706433'],
    ],
  } as const;
  for (const [kind, addresses] of Object.entries(kinds))
    for (const address of addresses)
      test(`${address || '(empty)'} is ${kind}`, () => assert.equal(addressKind(address), kind));
});

describe('a name', () => {
  const resolve = (addresses: string[], allowPrivate: boolean, isPlain = false) =>
    new Promise<unknown>((done) => {
      const answer: LookupAddress[] = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      const lookup = ((_name: string, _options: unknown, callback: (error: null, found: LookupAddress[]) => void) =>
        callback(null, answer)) as unknown as typeof import('node:dns').lookup;
      guardedLookup(allowPrivate, isPlain, lookup)('tools.example', { all: true }, (error, found) =>
        done(error ? error.message : (found as LookupAddress[]).map(({ address }) => address)),
      );
    });

  test('that resolves to the public is connected to', async () => {
    assert.deepEqual(await resolve(['1.1.1.1', '2606:4700::1111'], false), ['1.1.1.1', '2606:4700::1111']);
  });

  test('that also resolves to something private is refused as a whole', async () => {
    assert.match(String(await resolve(['1.1.1.1', '127.0.0.1'], false)), /private address 127\.0\.0\.1/);
    assert.match(String(await resolve(['::ffff:10.0.0.1'], false)), /private address/);
  });

  test('never leads to link-local addresses, whatever the operator allows', async () => {
    assert.match(String(await resolve(['169.254.169.254'], true)), /nothing may be called/);
    assert.deepEqual(await resolve(['10.0.0.1'], true), ['10.0.0.1']);
  });

  test('is called without TLS in private only', async () => {
    assert.deepEqual(await resolve(['10.0.0.1'], true, true), ['10.0.0.1']);
    assert.match(
      String(await resolve(['10.0.0.1', '1.1.1.1'], true, true)),
      /1\.1\.1\.1, which is called over https only/,
    );
  });
});
