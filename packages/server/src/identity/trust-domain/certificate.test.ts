import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { type Certificate, oids, readCertificate } from './certificate.ts';
import { createRoot } from './testing/certificates.ts';
import { parseCertificate, type X509 } from './x509.ts';

type Root = Awaited<ReturnType<typeof createRoot>>;

/** @proves spiffe.certificate-reader */
describe('a certificate', () => {
  let root: Root;
  let all: Buffer[];
  before(async () => {
    root = await createRoot('example.test');
    const { Extension, ExtendedKeyUsageExtension } = root.x509;
    const url = (value: string) => ({ type: 'url' as const, value });
    const changes: NonNullable<Parameters<Root['issue']>[0]>[] = [
      {},
      { ca: true, pathLength: 0, usage: root.flags.keyCertSign | root.flags.cRLSign, names: [] },
      { ca: true, pathLength: 5, usage: root.flags.keyCertSign, names: [url('spiffe://example.test')] },
      { ca: true, usage: null },
      { usage: 0x1ff },
      { usage: root.flags.decipherOnly },
      { names: [url('spiffe://example.test/a'), url('spiffe://example.test/b'), { type: 'dns', value: 'a.example' }] },
      { extra: [new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '2.999.3', '1.3.6.1.4.1.311.20.2.2'], true)] },
      {
        extra: [
          new Extension('1.2.3.4', true, new Uint8Array([5, 0])),
          new Extension('2.5.29.30', false, new Uint8Array([48, 0])),
        ],
      },
    ];
    all = await Promise.all(changes.map(async (change) => (await root.issue(change)).der));
  });

  test('is read as @peculiar/x509 reads it', () => {
    for (const der of all) assert.deepEqual(shown(readCertificate(der)), shownOf(root.x509, der));
  });

  test('with any bit changed is read in the same way by both, or refused by us', () => {
    let [read, refused, unread] = [0, 0, 0];
    for (const der of all)
      for (let at = 0; at < der.length; at++) {
        const changed = Buffer.from(der);
        changed[at] = (changed[at] as number) ^ ([0x01, 0x04, 0x10, 0x80][at % 4] as number);
        let ours: ReturnType<typeof shown>;
        try {
          ours = shown(readCertificate(changed));
        } catch {
          refused++;
          continue;
        }
        let theirs: ReturnType<typeof shown>;
        try {
          theirs = shownOf(root.x509, changed);
        } catch {
          // It reads what we do not: names, and extensions that nothing is decided by.
          unread++;
          continue;
        }
        read++;
        assert.deepEqual(ours, theirs, `byte ${at} of ${der.toString('hex')}`);
      }
    assert.ok(read > 500 && refused > 500 && unread < read / 20, `${read}, ${refused}, ${unread}`);
  });

  test('with something behind it, cut off, or with lengths that are not DER is refused', () => {
    const [der] = all as [Buffer];
    assert.throws(() => readCertificate(Buffer.concat([der, Buffer.of(0)])));
    for (let length = 0; length < der.length; length++) assert.throws(() => readCertificate(der.subarray(0, length)));
    const indefinite = Buffer.concat([Buffer.of(0x30, 0x80), der.subarray(4), Buffer.of(0, 0)]);
    assert.throws(() => readCertificate(indefinite));
  });
});

/** What is decided by. */
function shown({ extensions, basicConstraints, keyUsage, extendedKeyUsage, uris, serial }: Certificate) {
  return {
    // One that begins with a zero byte for its sign is shown without it there.
    serial: serial.toString('hex').replace(/^00(?=.)/, ''),
    extensions: [...extensions].map(([type, { critical }]) => `${type} ${critical}`),
    constraints: basicConstraints && [basicConstraints.ca, basicConstraints.pathLength],
    usage: keyUsage && [keyUsage.critical, keyUsage.digitalSignature, keyUsage.keyCertSign, keyUsage.cRLSign],
    extendedKeyUsage,
    uris,
  };
}

function shownOf(x509: X509, der: Buffer): ReturnType<typeof shown> {
  const parsed = parseCertificate(x509, der);
  const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
  const usage = parsed.getExtension(x509.KeyUsagesExtension);
  const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const has = (flag: number) => ((usage?.usages ?? 0) & flag) !== 0;
  const names = parsed.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  const extended = parsed.extensions.some(({ type }) => type === oids.extKeyUsage);
  return {
    serial: parsed.serialNumber.replace(/^00(?=.)/, ''),
    extensions: Array.from(parsed.extensions).map(({ type, critical }) => `${type} ${critical}`),
    constraints: constraints ? [constraints.ca, constraints.pathLength] : undefined,
    usage: usage ? [usage.critical, has(digitalSignature), has(keyCertSign), has(cRLSign)] : undefined,
    extendedKeyUsage: extended
      ? Array.from(parsed.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [], String)
      : undefined,
    uris: names.filter(({ type }) => type === 'url').map(({ value }) => value),
  };
}
