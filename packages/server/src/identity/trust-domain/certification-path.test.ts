import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createRoot } from './testing/certificates.ts';
import { verifyChain } from './verify-svid.ts';

const DAY_MS = 86_400_000;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
type Root = Awaited<ReturnType<typeof createRoot>>;
type Change = NonNullable<Parameters<Root['issue']>[0]>;

/**
 * What an authority under a federated root could try (RFC 5280 §6.1): each chain here is good but for one thing.
 * @proves spiffe.certification-path
 */
describe('a chain', () => {
  let root: Root;
  before(async () => {
    root = await createRoot('example.test');
  });

  const verify = (chain: Buffer[], now = Date.now()) =>
    verifyChain(chain, { bundleOf: (name) => (name === 'example.test' ? root.bundle : undefined), now });
  const authority = (change: Change = {}) =>
    root.issue({ ca: true, usage: root.flags.keyCertSign, subject: 'CN=middle', names: [], ...change });
  const refuse = async (change: Change, says: RegExp) => {
    const middle = await authority(change);
    const leaf = await root.issue({ issuer: middle });
    await assert.rejects(verify([leaf.der, middle.der]), { code: /^svid\./, message: says });
  };
  const extension = (type: string, critical: boolean, bytes: number[] = [0x30, 0x00]) =>
    new root.x509.Extension(type, critical, new Uint8Array(bytes));

  test('is verified when nothing is wrong with it', async () => {
    const middle = await authority();
    assert.ok(await verify([(await root.issue({ issuer: middle })).der, middle.der]));
  });

  test('through somebody who may sign certificates but is no authority is refused', async () => {
    await refuse({ ca: false }, /no authority/);
  });

  test('through an authority whose limits are not processed here is refused, and not taken for unlimited', async () => {
    // Permitted: URIs of other.test. RFC 5280 has this critical always; marked otherwise it limits all the same.
    const names = [0x30, 0x10, 0xa0, 0x0e, 0x30, 0x0c, 0x86, 0x0a, ...Buffer.from('other.test')];
    await refuse({ extra: [extension('2.5.29.30', true, names)] }, /2\.5\.29\.30/);
    await refuse({ extra: [extension('2.5.29.30', false, names)] }, /2\.5\.29\.30/);
    await refuse({ extra: [extension('2.5.29.36', true)] }, /2\.5\.29\.36/);
    await refuse({ extra: [extension('1.2.3.4', false), extension('1.2.3.4', false)] }, /twice/);
  });

  test('whose issuer has another name than the certificate above it is refused, though the key fits', async () => {
    const middle = await authority();
    const leaf = await root.issue({ issuer: { ...middle, subject: 'CN=another' } });
    await assert.rejects(verify([leaf.der, middle.der]), { code: 'svid.untrusted' });
  });

  test('under a root whose time is over is refused, and so is one that begins before its root', async () => {
    const leaf = await root.issue({ notBefore: Date.now() - 20 * DAY_MS, notAfter: Date.now() + 20 * DAY_MS });
    assert.ok(await verify([leaf.der]));
    await assert.rejects(verify([leaf.der], Date.now() + 12 * DAY_MS), { code: 'svid.expired' });
    await assert.rejects(verify([leaf.der], Date.now() - 2 * DAY_MS), { code: 'svid.not-yet' });
  });

  test('in a circle ends', async () => {
    const one = await authority({ subject: 'CN=one' });
    const two = await authority({ subject: 'CN=two', issuer: one });
    const back = await authority({ subject: 'CN=one', issuer: two });
    const leaf = await root.issue({ issuer: { subject: 'CN=one', privateKey: back.privateKey } });
    await assert.rejects(verify([leaf.der, back.der, two.der, back.der, two.der]), { code: 'svid.untrusted' });
  });

  test('to a leaf whose keyUsage is not critical is refused', async () => {
    const { KeyUsagesExtension: Usage } = root.x509;
    const leaf = await root.issue({ usage: null, extra: [new Usage(root.flags.digitalSignature, false)] });
    await assert.rejects(verify([leaf.der]), { message: /no critical keyUsage/ });
  });

  test('with a byte changed is refused as such, and never fails inside', async () => {
    const middle = await authority();
    const leaf = await root.issue({ issuer: middle, extra: [new root.x509.ExtendedKeyUsageExtension([CLIENT_AUTH])] });
    for (const [at, one] of [leaf.der, middle.der].entries()) {
      for (let place = 0; place < one.length; place += 2) {
        const changed = Buffer.from(one);
        changed[place] = (changed[place] as number) ^ (place % 4 === 0 ? 0x80 : 0x01);
        const chain = at === 0 ? [changed, middle.der] : [leaf.der, changed];
        await assert.rejects(verify(chain), { code: /^svid\./ }, `certificate ${at}, byte ${place}`);
      }
    }
  });
});
