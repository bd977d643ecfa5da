import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { SpiffeBundle } from './bundle.ts';
import { createRoot } from './testing/certificates.ts';
import { verifyChain } from './verify-svid.ts';

let own: Awaited<ReturnType<typeof createRoot>>;
let foreign: Awaited<ReturnType<typeof createRoot>>;
const bundles = new Map<string, SpiffeBundle>();
const verify = (...chain: Uint8Array[]) =>
  verifyChain(chain, { bundleOf: (name) => bundles.get(name), now: Date.now() });
type Change = Parameters<typeof own.issue>[0];
const refuse = async (change: Change, code: string, says: RegExp) =>
  assert.rejects(verify((await own.issue(change)).der), { code: `svid.${code}`, message: says });
const url = (value: string) => ({ type: 'url' as const, value });

before(async () => {
  own = await createRoot('example.test');
  foreign = await createRoot('foreign.test');
  bundles.set('example.test', own.bundle).set('foreign.test', foreign.bundle);
});

/** @proves spiffe.x509-leaf */
describe('an X.509-SVID', () => {
  test('verifies by the bundle of its own trust domain, also through an intermediate', async () => {
    const leaf = await own.issue({
      names: [url('spiffe://example.test/a/B_c.9-'), { type: 'dns', value: 'a.example' }],
    });
    assert.equal((await verify(leaf.der)).spiffeId, 'spiffe://example.test/a/B_c.9-');
    assert.equal((await verify((await foreign.issue()).der)).trustDomain, 'foreign.test');
    const middle = await own.issue({
      ca: true,
      pathLength: 0,
      usage: own.flags.keyCertSign,
      subject: 'CN=middle',
      names: [url('spiffe://example.test')],
    });
    const below = await own.issue({ issuer: middle });
    assert.equal((await verify(below.der, middle.der)).intermediates.length, 1);
    await assert.rejects(verify(below.der), { code: 'svid.untrusted' });
  });

  test('with another number of URI SANs than one is refused', async () => {
    await refuse({ names: [] }, 'leaf', /0 URI SANs/);
    await refuse({ names: [{ type: 'dns', value: 'a.example' }] }, 'leaf', /0 URI SANs/);
    await refuse({ names: [url('spiffe://example.test/a'), url('spiffe://example.test/b')] }, 'leaf', /2 URI SANs/);
    await refuse({ names: [url('spiffe://example.test/a'), url('https://example.test/')] }, 'leaf', /2 URI SANs/);
  });

  test('with a name that is no SPIFFE ID, or not that of anybody, is refused', async () => {
    for (const path of ['/a/../b', '/a/./b', '/a//b', '/a/', '/a%2fb', '/a b', '/ä', '/a?q', '/a#f', '/a:b', '/a\\b'])
      await refuse({ names: [url(`spiffe://example.test${path}`)] }, 'leaf', /no SPIFFE ID/);
    for (const name of [
      'spiffe://EXAMPLE.test/a',
      'SPIFFE://example.test/a',
      'spiffe://example.test:80/a',
      'spiffe://u@example.test/a',
      'spiffe:///a',
      'https://example.test/a',
      `spiffe://example.test/${'a'.repeat(2_100)}`,
    ])
      await refuse({ names: [url(name)] }, 'leaf', /no SPIFFE ID/);
    await refuse({ names: [url('spiffe://example.test')] }, 'leaf', /no path/);
  });

  test('that is an authority’s, or may sign certificates, or may not sign at all, is refused', async () => {
    const { digitalSignature, keyCertSign, cRLSign, keyEncipherment } = own.flags;
    await refuse({ ca: true }, 'leaf', /authority/);
    await refuse({ usage: digitalSignature | keyCertSign }, 'leaf', /keyCertSign or cRLSign/);
    await refuse({ usage: digitalSignature | cRLSign }, 'leaf', /keyCertSign or cRLSign/);
    await refuse({ usage: keyEncipherment }, 'leaf', /lacks digitalSignature/);
    await refuse({ usage: null }, 'leaf', /no critical keyUsage/);
    const { ExtendedKeyUsageExtension: Extended } = own.x509;
    await refuse({ extra: [new Extended(['1.3.6.1.5.5.7.3.4'])] }, 'leaf', /extKeyUsage/);
  });

  test('that is expired or not valid yet, itself or an issuer above it, is refused', async () => {
    const now = Date.now();
    await refuse({ notBefore: now - 10_000_000, notAfter: now - 1_000 }, 'expired', /expired/);
    await refuse({ notBefore: now + 120_000 }, 'not-yet', /not valid yet/);
    const old = await own.issue({
      ca: true,
      usage: own.flags.keyCertSign,
      subject: 'CN=old',
      names: [],
      notBefore: now - 10_000_000,
      notAfter: now - 1_000,
    });
    await assert.rejects(verify((await own.issue({ issuer: old })).der, old.der), { code: 'svid.expired' });
  });

  test('with a critical extension that is not understood, or one that stands twice, is refused', async () => {
    const { Extension, SubjectAlternativeNameExtension } = own.x509;
    await refuse(
      { extra: [new Extension('1.2.3.4', true, new Uint8Array([5, 0]))] },
      'chain',
      /critical extension 1\.2\.3\.4/,
    );
    await refuse(
      { extra: [new SubjectAlternativeNameExtension([url('spiffe://example.test/admin')])] },
      'leaf',
      /twice/,
    );
  });
});

/** @proves spiffe.own-bundle */
describe('a trust domain', () => {
  test('vouches for its own IDs only: neither a known foreign root nor an unknown domain gets anybody in', async () => {
    const lied = await foreign.issue({ names: [url('spiffe://example.test/a')] });
    await assert.rejects(verify(lied.der), { code: 'svid.untrusted' });
    const stranger = await (await createRoot('stranger.test')).issue();
    await assert.rejects(verify(stranger.der), {
      code: 'svid.trust-domain',
      message: /stranger\.test is neither ours/,
    });
    const asOwn = await (await createRoot('example.test')).issue();
    await assert.rejects(verify(asOwn.der), { code: 'svid.untrusted' });
  });

  test('lets a leaf sign nobody, and an intermediate no further than it may', async () => {
    const leaf = await own.issue({ subject: 'CN=signer' });
    await assert.rejects(verify((await own.issue({ issuer: leaf })).der, leaf.der), {
      code: /svid\.(chain|untrusted)/,
    });
    const usage = own.flags.keyCertSign;
    const first = await own.issue({ ca: true, pathLength: 0, usage, subject: 'CN=first', names: [] });
    const second = await own.issue({ ca: true, usage, subject: 'CN=second', names: [], issuer: first });
    await assert.rejects(verify((await own.issue({ issuer: second })).der, second.der, first.der), {
      message: /longer than/,
    });
    const other = await own.issue({ ca: true, usage, subject: 'CN=other', names: [url('spiffe://foreign.test')] });
    await assert.rejects(verify((await own.issue({ issuer: other })).der, other.der), { message: /another SPIFFE ID/ });
  });

  test('looks at no more than a few certificates of bounded size, and at nothing that is none', async () => {
    const { der } = await own.issue();
    await assert.rejects(verify(...Array.from({ length: 6 }, () => der)), {
      code: 'svid.chain',
      message: /more than 5/,
    });
    await assert.rejects(verify(der, Buffer.alloc(9_000)), { code: 'svid.chain', message: /more than 8192/ });
    await assert.rejects(verify(Buffer.from('not a certificate')), { code: 'svid.chain' });
    await assert.rejects(verify(), { code: 'svid.chain' });
  });
});
