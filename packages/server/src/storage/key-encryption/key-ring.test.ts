import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { systemClock } from '../../platform/index.ts';
import { keyEncryptionKey } from '../sealer.ts';
import type { Storage } from '../storage.ts';
import { onEachBackend, onSqlite } from '../suite.ts';
import { openKeyRing } from './key-ring.ts';

const key = () => randomBytes(32).toString('base64');
const [A, B, C] = [key(), key(), key()];
const environment = { A, B, C, VERSION_1: Buffer.alloc(32, 7).toString('base64') };
const idOf = (text: string) => keyEncryptionKey(Buffer.from(text, 'base64')).id;
const ring = (storage: Storage, ...specs: string[]) =>
  openKeyRing({ storage, clock: systemClock, dataDir: '/nonexistent', environment, specs });

onEachBackend('the first key becomes current and stays so, whatever is preferred later', async ({ open }) => {
  const storage = await open();
  const first = await ring(storage, 'env:A');
  assert.equal(first.current().id, idOf(A));
  assert.deepEqual(
    first.added.map(({ id }) => id),
    [idOf(A)],
  );
  const second = await ring(storage, 'env:B', 'env:A');
  assert.equal(second.current().id, idOf(A));
  assert.deepEqual(
    (await second.list()).map(({ id, source, state, held }) => ({ id, source, state, held })),
    [
      { id: idOf(A), source: 'env:A', state: 'current', held: true },
      { id: idOf(B), source: 'env:B', state: 'held', held: true },
    ],
  );
  assert.equal(second.find(undefined).id, idOf(B));
  assert.throws(() => second.find('env:C'), { code: 'key-encryption.unknown' });
});

/** @proves keys.missing-key */
onEachBackend(
  'without the key that the database is sealed with nothing starts, and nothing is written',
  async ({ open }) => {
    const storage = await open();
    await ring(storage, 'env:A');
    const rows = () => storage.db.selectFrom('key_encryption_keys').selectAll().execute();
    const before = await rows();
    await assert.rejects(ring(storage, 'env:B'), (error: Error & { code: string }) => {
      assert.equal(error.code, 'key-encryption.missing');
      assert.match(
        error.message,
        new RegExp(`sealed with the key-encryption key ${idOf(A)} \\(env:A\\); this server has ${idOf(B)}`),
      );
      return !error.message.includes(A) && !error.message.includes(B);
    });
    assert.deepEqual(await rows(), before);
  },
);

onSqlite(
  'a database from before keys had names is taken over by the key that opens it, and by no other',
  async ({ open }) => {
    const storage = await open();
    const row = {
      kid: 'k',
      purpose: 'access-token' as const,
      algorithm: 'ES256',
      public_jwk: '',
      state: 'immediate',
      created_at: 1,
    };
    const sealed_private = Buffer.from(
      'AW9OPwm32LHOuKJALJghiW92TbtPFJmWFPBzR2jZShQDTa2e9paOXDWo5MeZnqegms/lKTQUHKQKha54bh6PcBR+MN6qrbHwYpPLlVjERdEQtLFBFQs51eSijra1WcIH',
      'base64',
    );
    await storage.db
      .insertInto('signing_keys')
      .values({ ...row, sealed_private })
      .execute();
    await assert.rejects(ring(storage, 'env:B'), { code: 'key-encryption.missing' });
    assert.equal((await ring(storage, 'env:B', 'env:VERSION_1')).current().id, idOf(environment.VERSION_1));
  },
);

onSqlite(
  'a process that does not hold the key that became current finds out, and goes no further',
  async ({ open }) => {
    const storage = await open();
    const old = await ring(storage, 'env:A');
    await ring(storage, 'env:A', 'env:B');
    await storage.db.updateTable('key_encryption_keys').set({ state: 'retiring' }).where('id', '=', idOf(A)).execute();
    await storage.db.updateTable('key_encryption_keys').set({ state: 'current' }).where('id', '=', idOf(B)).execute();
    await assert.rejects(old.refresh(), { code: 'key-encryption.missing' });
    await assert.rejects(
      ring(storage, 'env:B'),
      /sealed with the key-encryption key .* \(env:A\)/,
      'the retiring one is needed too',
    );
    assert.equal((await ring(storage, 'env:A', 'env:B')).current().id, idOf(B));
  },
);

/** A stand-in for a key service, to make it lie; the real one is in sources.test.ts. */
onSqlite(
  'a key service keeps the key wrapped in the database; one that answers with another key is not believed',
  async ({ open }, t) => {
    let answer: ((body: { plaintext?: string; ciphertext?: string }) => object) | undefined;
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = JSON.parse(Buffer.concat(chunks).toString());
      const data =
        answer?.(body) ??
        (body.plaintext ? { ciphertext: `fake:${body.plaintext}` } : { plaintext: body.ciphertext.slice(5) });
      response.end(JSON.stringify({ data }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    t.after(() => server.close());
    const spec = `openbao:http://127.0.0.1:${(server.address() as { port: number }).port}#transit/keys/x`;
    const storage = await open();
    const remote = () =>
      openKeyRing({
        storage,
        clock: systemClock,
        dataDir: '/nonexistent',
        environment: { BAO_TOKEN: 't' },
        specs: [spec],
      });
    answer = (body) => (body.ciphertext ? { plaintext: key() } : { ciphertext: 'fake:x' });
    await assert.rejects(remote(), /does not give back what it has wrapped/);
    const rows = await storage.db.selectFrom('key_encryption_keys').selectAll().execute();
    assert.deepEqual(rows, [], 'and nothing is ever sealed with such a key');
    answer = undefined;
    const first = await remote();
    assert.equal((await remote()).current().id, first.current().id);
    answer = () => ({ plaintext: key() });
    await assert.rejects(remote(), /gave another key than/);
    answer = () => ({ plaintext: '' });
    await assert.rejects(remote(), { code: 'key-encryption.unavailable' });
  },
);
