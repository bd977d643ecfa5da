import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { openLedger } from '../../ledger/index.ts';
import { createLog, limits } from '../../platform/index.ts';
import { createSealer, openStorage, type RecordChange, type Storage } from '../../storage/index.ts';
import { signCompactJws } from '../tokens/jws.ts';
import { openSigningKeys, PUBLISH_LEAD_MS } from './signing-keys.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-keys-'));
let now = Date.now();
const clock = { now: () => now };
const log = createLog('error', () => {});
const sealer = createSealer(Buffer.alloc(32, 7));
let storage: Storage;
let recordChange: RecordChange;
let ledger: Awaited<ReturnType<typeof openLedger>>;
const open = () => openSigningKeys({ storage, recordChange, sealer, clock });
const kids = (keys: Awaited<ReturnType<typeof open>>) => keys.jwks().keys.map(({ kid }) => kid);

before(async () => {
  storage = await openStorage({ database: 'sqlite', dataDir, log, clock });
  ledger = await openLedger({ storage, sealer, clock, log, replica: 'one', origin: 'localhost' });
  recordChange = ledger.recordChange;
});
after(async () => {
  await ledger.close();
  await storage.close();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('token signing keys', () => {
  test('the first start makes one, and the next start finds it', async () => {
    const first = await open();
    const again = await open();
    assert.equal(kids(first).length, 1);
    assert.deepEqual(kids(again), kids(first));
    assert.equal(again.signer().kid, kids(first)[0]);
    const published = JSON.stringify(first.jwks());
    assert.doesNotMatch(published, /"d"/);
  });

  test('the database holds the private part only sealed, and under its own id only', async () => {
    const rows = await storage.db
      .selectFrom('signing_keys')
      .selectAll()
      .where('purpose', '=', 'access-token')
      .execute();
    for (const row of rows) {
      assert.doesNotMatch(row.public_jwk, /"d"/);
      const stored = Buffer.from(row.sealed_private);
      assert.equal(stored.includes('PRIVATE KEY'), false);
      assert.throws(() => sealer.open(stored, 'signing-key:another'));
    }
  });

  test('rotation: published before it signs, the old one kept until its last token has expired, then gone', async () => {
    const keys = await open();
    const replica = await open();
    const old = keys.signer().kid;
    const { kid: next, signsFrom } = await keys.rotate({ by: 'person:owner@example.test' });
    assert.equal(signsFrom, now + PUBLISH_LEAD_MS);
    assert.deepEqual(kids(keys), [old, next]);
    assert.equal(keys.signer().kid, old);
    assert.deepEqual(await keys.rotate({ by: 'gatehouse' }), { kid: next, signsFrom }, 'a second rotation made a key');

    // A replica that missed the news finds the key when it first meets a token signed with it.
    now += PUBLISH_LEAD_MS;
    assert.equal(keys.signer().kid, next);
    assert.ok(await replica.verifier(next));
    assert.equal(replica.signer().kid, next);

    now += limits.tokenTtlSeconds * 1000;
    assert.ok(await keys.verifier(old), 'a token signed by the old key may still be alive');
    assert.deepEqual(kids(keys), [old, next]);
    now += 61_000;
    assert.deepEqual(kids(keys), [next]);
    assert.equal(await keys.verifier(old), undefined, 'a key that was taken from us long ago signs no more');
    const third = await keys.rotate({ by: 'gatehouse' });
    assert.deepEqual(kids(keys), [next, third.kid]);
    assert.equal(await keys.verifier(old), undefined);
    const left = await storage.db.selectFrom('signing_keys').select('kid').where('kid', '=', old).execute();
    assert.deepEqual(left, []);
  });

  test('a compromised key is destroyed at once and nothing it signed is accepted any more', async () => {
    const keys = await open();
    const version = keys.version();
    const before = kids(keys);
    const { kid } = await keys.rotate({ by: 'person:owner@example.test', compromised: true });
    assert.deepEqual(kids(keys), [kid]);
    assert.equal(keys.signer().kid, kid);
    assert.notEqual(keys.version(), version);
    for (const old of before) assert.equal(await keys.verifier(old), undefined);
  });

  test('every rotation is in the log', async () => {
    const rows = await storage.db.selectFrom('records').select('entry').where('operation', '=', 'key.rotate').execute();
    assert.equal(rows.length, 4);
    assert.ok(rows.some(({ entry }) => entry.includes('destroyed')));
  });

  test('a rotation that cannot be recorded changes nothing', async () => {
    const failing = async () => Promise.reject(new Error('the log is full'));
    const keys = await openSigningKeys({ storage, recordChange: failing, sealer, clock });
    const before = kids(keys);
    await assert.rejects(keys.rotate({ by: 'gatehouse' }));
    assert.deepEqual(kids(keys), before);
    assert.deepEqual(kids(await open()), before);
  });

  test('a key moved to another row by hand is not opened', async () => {
    const [row] = await storage.db
      .selectFrom('signing_keys')
      .selectAll()
      .where('purpose', '=', 'access-token')
      .execute();
    assert.ok(row);
    await storage.db
      .insertInto('signing_keys')
      .values({ ...row, kid: 'forged' })
      .execute();
    await assert.rejects(open());
    await storage.db.deleteFrom('signing_keys').where('kid', '=', 'forged').execute();
  });

  test('the signing key signs what the published key verifies', async () => {
    const keys = await open();
    const { kid, key } = keys.signer();
    const text = signCompactJws({ alg: 'ES256', kid }, { sub: 'agent' }, key);
    const { payload } = await jwtVerify(text, createLocalJWKSet(keys.jwks()));
    assert.deepEqual(payload, { sub: 'agent' });
  });
});
