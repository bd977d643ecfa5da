import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCsr } from '../testing/svid-client.ts';
import { makeIntermediate, makeRoot } from './authority-certificates.ts';
import { readCsr } from './csr.ts';
import { elementsOf } from './der.ts';
import { signLeaf } from './leaf.ts';
import { ECDSA_P256, loadX509, parseCertificate } from './x509.ts';

const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const trustDomain = 'example.test';
const now = Date.now();

async function issuers() {
  const rootKeys = pair();
  const keys = pair();
  const times = { notBefore: now - 60_000, notAfter: now + 86_400_000 };
  const root = await makeRoot({ trustDomain, keys: rootKeys, ...times });
  const certificate = await makeIntermediate(
    { trustDomain, keys, ...times },
    { certificate: root.der, key: rootKeys.privateKey },
  );
  return { keys, certificate };
}

const signedPart = (der: Buffer) => {
  const [outer] = elementsOf(der, 1);
  const [tbs] = elementsOf(outer?.content as Buffer, 3);
  return tbs?.raw as Buffer;
};

test('what the template writes is, byte for byte, what @peculiar/x509 writes, for all names, serials and times', async () => {
  const x509 = await loadX509();
  const { keys, certificate } = await issuers();
  const intermediate = parseCertificate(x509, certificate.der);
  const signingKey = await crypto.subtle.importKey(
    'pkcs8',
    new Uint8Array(keys.privateKey.export({ type: 'pkcs8', format: 'der' })),
    ECDSA_P256,
    false,
    ['sign'],
  );
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,60}$/);
  await fc.assert(
    fc.asyncProperty(
      name,
      name,
      fc.integer({ min: 0, max: 60 * 365 * 86_400 }),
      fc.array(name, { maxLength: 3 }),
      async (env, agent, after, dns) => {
        const leafKeys = pair();
        const spki = leafKeys.publicKey.export({ type: 'spki', format: 'der' });
        const uri = `spiffe://${trustDomain}/env/${env}/agent/${agent}`;
        const serial = Buffer.concat([Buffer.of(1), randomBytes(19)]);
        const [notBefore, notAfter] = [Math.floor(now / 1000) * 1000, Math.floor(now / 1000 + after) * 1000];
        const ours = signLeaf(
          { spki, uri, dns, serial, notBefore, notAfter },
          { key: keys.privateKey, name: certificate.name, keyId: certificate.keyId },
        );
        const publicKey = await crypto.subtle.importKey('spki', new Uint8Array(spki), ECDSA_P256, true, ['verify']);
        const theirs = await x509.X509CertificateGenerator.create({
          serialNumber: serial.toString('hex'),
          subject: [{ O: [{ utf8String: 'Gatehouse' } as never] }],
          issuer: intermediate.subjectName,
          publicKey,
          signingKey,
          signingAlgorithm: ECDSA_P256,
          notBefore: new Date(notBefore),
          notAfter: new Date(notAfter),
          extensions: [
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.SubjectAlternativeNameExtension([
              { type: 'url', value: uri },
              ...dns.map((value) => ({ type: 'dns' as const, value })),
            ]),
            await x509.SubjectKeyIdentifierExtension.create(publicKey),
            await x509.AuthorityKeyIdentifierExtension.create(intermediate.publicKey),
          ],
        });
        assert.equal(signedPart(ours).toString('hex'), signedPart(Buffer.from(theirs.rawData)).toString('hex'));
        assert.ok(
          await parseCertificate(x509, ours).verify({ publicKey: intermediate.publicKey, signatureOnly: true }),
        );
      },
    ),
    { numRuns: 25 },
  );
});

test('a request is read as @peculiar/x509 reads it, and one with names gives nothing of them', async () => {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=somebody else, O=Evil',
    keys,
    signingAlgorithm: ECDSA_P256,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://example.test/env/prod/agent/admin' }]),
    ],
  });
  for (const form of [
    request.toString('pem'),
    Buffer.from(request.rawData),
    Buffer.from(request.rawData).toString('base64'),
  ])
    assert.equal(readCsr(form).spki.toString('hex'), Buffer.from(request.publicKey.rawData).toString('hex'));
});

test('requests that are something else are refused, each with what is wrong', async () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { der } = createCsr();
  const cases: [string, string | Uint8Array, RegExp][] = [
    ['P-384', createCsr({ keys: other }).der, /curve P-256/],
    ['RSA', createCsr({ keys: rsa }).der, /curve P-256/],
    ['another key', createCsr({ signer: pair().privateKey }).der, /does not verify/],
    ['nothing', '', /neither PEM nor base64/],
    ['text', 'not a request!', /neither PEM nor base64/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /neither PEM/],
    ['cut off', der.subarray(0, 100), /ends within/],
    ['with something behind', Buffer.concat([der, der]), /more elements/],
    ['large', Buffer.alloc(5_000), /more than 4096/],
    ['large text', 'A'.repeat(100_000), /more than 4096/],
    ['indefinite length', Buffer.from('30800000', 'hex'), /not DER/],
  ];
  for (const [name, csr, says] of cases) assert.throws(() => readCsr(csr), { code: 'svid.csr', message: says }, name);
  const [bit] = [der.length - 5];
  const changed = Buffer.from(der);
  changed[bit] = (changed[bit] as number) ^ 1;
  assert.throws(() => readCsr(changed), { code: 'svid.csr' });
});

test('no bytes make the reader fail in another way, or accept a key that did not sign', () => {
  const { der } = createCsr();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(der.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      (edits) => {
        const bytes = Buffer.from(der);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          const { spki } = readCsr(bytes);
          const [outer] = elementsOf(bytes, 1);
          const [info, , signature] = elementsOf(outer?.content as Buffer, 3);
          const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
          assert.ok(verify('sha256', info?.raw as Buffer, key, signature?.content.subarray(1) as Buffer));
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'svid.csr', String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});
