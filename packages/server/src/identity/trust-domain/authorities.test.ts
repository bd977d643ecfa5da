import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openLedger } from '../../ledger/index.ts';
import { createLog } from '../../platform/index.ts';
import { createSealer, openStorage, type RecordChange, type Storage } from '../../storage/index.ts';
import { onEachDatabase } from '../people/testing/databases.ts';
import { openAuthorities } from './authorities.ts';
import { PUBLISH_LEAD_MS } from './limits.ts';
import { createRoot } from './testing/certificates.ts';
import { ECDSA_P256, loadX509 } from './x509.ts';

onEachDatabase('authorities', (database) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-authorities-'));
  let now = Date.now();
  const clock = { now: () => now };
  const log = createLog('error', () => {});
  const sealer = createSealer(Buffer.alloc(32, 7));
  const by = 'person:owner@example.test';
  let storage: Storage;
  let recordChange: RecordChange;
  let ledger: Awaited<ReturnType<typeof openLedger>>;
  let authorities: Awaited<ReturnType<typeof open>>;
  const open = () => openAuthorities({ storage, recordChange, sealer, clock, trustDomain: 'example.test' });

  before(async () => {
    storage = await openStorage({ database: await database(), dataDir, log, clock });
    ledger = await openLedger({ storage, sealer, clock, log, replica: 'one', origin: 'localhost' });
    recordChange = ledger.recordChange;
    authorities = await open();
  });
  after(async () => {
    await ledger.close();
    await storage.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** Signs a request as the keeper of a root would, with tools of their own. */
  async function signRequest(
    csr: string,
    root: string,
    key: string,
    passphrase: string,
    change: { ca?: boolean } = {},
  ) {
    const x509 = await loadX509();
    const request = new x509.Pkcs10CertificateRequest(csr);
    const pkcs8 = createPrivateKey({ key, passphrase }).export({ type: 'pkcs8', format: 'der' });
    const certificate = await x509.X509CertificateGenerator.create({
      subject: request.subject,
      issuer: new x509.X509Certificate(root).subjectName,
      publicKey: request.publicKey,
      signingKey: await crypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), ECDSA_P256, false, ['sign']),
      signingAlgorithm: ECDSA_P256,
      notBefore: new Date(now - 1_000),
      notAfter: new Date(now + 90 * 86_400_000),
      extensions: [
        new x509.BasicConstraintsExtension(change.ca ?? true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    return `${certificate.toString('pem')}\n${root}`;
  }

  describe('authorities', () => {
    test('are made once, whoever comes first, and all replicas sign with the same', async () => {
      const other = await open();
      await Promise.all([authorities.ensure(), other.ensure()]);
      await authorities.refresh();
      assert.equal(authorities.list().length, 2);
      assert.equal(authorities.signer().id, other.signer().id);
    });

    test('are followed by one, however many replicas find the rotation due at once', async () => {
      const others = await Promise.all(Array.from({ length: 4 }, open));
      const before = authorities.list().length;
      const made = await Promise.all(others.map((each) => each.rotate({ by })));
      assert.equal(new Set(made.map(({ id }) => id)).size, 1, 'all name the one that was made');
      await authorities.refresh();
      assert.equal(authorities.list().length, before + 1);
      now += PUBLISH_LEAD_MS;
      assert.equal(authorities.signer().id, made[0]?.id);
    });

    test('are in the database only sealed, and one that was moved or written there by hand is none', async () => {
      const rows = await storage.db
        .selectFrom('signing_keys')
        .selectAll()
        .where('purpose', 'in', ['x509-root', 'x509-intermediate'])
        .execute();
      for (const row of rows) assert.equal(Buffer.from(row.sealed_private).includes('PRIVATE KEY'), false);
      const [row] = rows;
      assert.ok(row);
      await storage.db
        .insertInto('signing_keys')
        .values({ ...row, kid: 'forged' })
        .execute();
      await assert.rejects(open());
      await storage.db.deleteFrom('signing_keys').where('kid', '=', 'forged').execute();
    });

    test('the key of the root is exported encrypted, forgotten, and signs the next intermediate from outside', async () => {
      await assert.rejects(authorities.exportRoot({ by, passphrase: 'short' }), { code: 'trust-domain.passphrase' });
      const passphrase = 'correct horse battery';
      const { id, certificate, key } = await authorities.exportRoot({ by, passphrase });
      assert.match(key, /BEGIN ENCRYPTED PRIVATE KEY/);
      assert.throws(() => createPrivateKey({ key, passphrase: 'another one' }));
      await assert.rejects(authorities.forgetRootKey({ by, id: 'another' }), { code: 'trust-domain.root-elsewhere' });
      await authorities.forgetRootKey({ by, id });
      const again = await open();
      assert.equal(again.list().find(({ kind }) => kind === 'root')?.key, null);
      now += 1_000;
      await assert.rejects(again.rotate({ by }), { code: 'trust-domain.root-elsewhere' });
      const before = again.signer().id;
      const { csr } = await again.requestIntermediate({ by });
      const chain = await signRequest(csr, certificate, key, passphrase);
      const { id: imported, signsFrom } = await again.importIntermediate({ by, chain });
      assert.equal(signsFrom, now + PUBLISH_LEAD_MS);
      assert.equal(again.signer().id, before);
      now = signsFrom;
      await authorities.refresh();
      assert.equal(authorities.signer().id, imported);
      assert.ok(authorities.signer().certificate.verify(new X509Certificate(certificate).publicKey));
      await assert.rejects(again.importIntermediate({ by, chain }), { message: /nothing was requested/ });
      const operations = await storage.db
        .selectFrom('records')
        .select('operation')
        .where('operation', 'like', 'key.%')
        .execute();
      for (const operation of ['key.rotate', 'key.export', 'key.forget', 'key.request', 'key.import'])
        assert.ok(
          operations.some((each) => each.operation === operation),
          operation,
        );
    });

    test('what was not asked for, is no authority, or leads to another root is not imported', async () => {
      const passphrase = 'correct horse battery';
      const fresh = await open();
      await fresh.rotate({ by, compromised: true });
      const { certificate, key } = await fresh.exportRoot({ by, passphrase });
      const { csr: old } = await fresh.requestIntermediate({ by });
      const { csr } = await fresh.requestIntermediate({ by });
      const other = await createRoot('example.test');
      const otherPem = new X509Certificate(other.bundle.roots[0]?.der as Buffer).toString();
      const good = await signRequest(csr, certificate, key, passphrase);
      const cases: [string, RegExp][] = [
        ['nonsense', /PEM of two certificates/],
        [certificate, /PEM of two certificates/],
        [await signRequest(old, certificate, key, passphrase), /not for the key of the last request/],
        [await signRequest(csr, certificate, key, passphrase, { ca: false }), /cA=true/],
        [good.replace(certificate, otherPem), /not signed by that root/],
      ];
      for (const [chain, says] of cases)
        await assert.rejects(fresh.importIntermediate({ by, chain }), { code: 'trust-domain.import', message: says });
      await fresh.importIntermediate({ by, chain: good });
    });

    test('a compromise of what an external root has signed makes a new root here at once', async () => {
      const fresh = await open();
      const old = fresh.list();
      const { signsFrom } = await fresh.rotate({ by, compromised: true });
      assert.ok(signsFrom <= now);
      assert.equal(fresh.list().length, 2);
      for (const { der } of old) assert.equal(fresh.isKnown(der), false);
    });

    test('a change that cannot be recorded is not made', async () => {
      const failing = await openAuthorities({
        storage,
        recordChange: async () => Promise.reject(new Error('full')),
        sealer,
        clock,
        trustDomain: 'example.test',
      });
      const before = failing.list().map(({ id }) => id);
      await assert.rejects(failing.rotate({ by, compromised: true }));
      await assert.rejects(failing.exportRoot({ by, passphrase: 'correct horse battery' }));
      assert.deepEqual(
        (await open()).list().map(({ id }) => id),
        before,
      );
    });
  });
});
