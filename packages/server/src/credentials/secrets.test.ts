import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLog, Secret, systemClock } from '../platform/index.ts';
import { createSealer, openStorage, type Storage } from '../storage/index.ts';
import { createSecretUses } from './secret-uses.ts';
import { createSecrets, type Secrets } from './secrets.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-secrets-'));
const by = 'person:owner@example.test';
let storage: Storage;
let secrets: Secrets;

before(async () => {
  const log = createLog('error', () => undefined);
  storage = await openStorage({ database: 'sqlite', dataDir, log, clock: systemClock });
  const sealer = createSealer(Buffer.alloc(32, 7));
  secrets = createSecrets({
    storage,
    sealer,
    recordChange: async () => undefined,
    uses: createSecretUses({ storage, clock: systemClock }),
    clock: systemClock,
  });
});
after(async () => {
  await storage.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** @proves law-3.secrets-stay */
describe('a secret', () => {
  test('is opened for the very origins that it was set for, and for none that looks like one', async () => {
    await secrets.set('crm', new Secret('value of crm'), ['https://crm.example'], by);
    for (const destination of ['https://crm.example', 'https://CRM.example:443/token?x', 'https://user@crm.example/'])
      assert.equal((await secrets.open('crm', destination)).reveal(), 'value of crm', destination);
    for (const destination of [
      'http://crm.example/',
      'https://crm.example:8443/',
      'https://crm.example.evil.test/',
      'https://crm.example@evil.test/',
      'https://a.crm.example/',
      'https://crm.example./',
      'https://сrm.example/',
    ])
      await assert.rejects(secrets.open('crm', destination), { code: 'secret.destination' }, destination);
    await assert.rejects(secrets.open('unknown', 'https://crm.example'), { code: 'secret.unknown' });
  });

  test('goes nowhere else because somebody has edited its row, or put it in place of another', async () => {
    await secrets.set('bank', new Secret('value of bank'), ['https://bank.example'], by);
    await secrets.set('free', new Secret('value of free'), ['https://free.example'], by);
    await storage.db.updateTable('secrets').set({ origins: '["https://evil.test"]' }).execute();
    await assert.rejects(secrets.open('bank', 'https://evil.test'), { code: 'secret.destination' });
    const { sealed } = await storage.db
      .selectFrom('secrets')
      .select('sealed')
      .where('name', '=', 'bank')
      .executeTakeFirstOrThrow();
    await storage.db.updateTable('secrets').set({ sealed }).where('name', '=', 'free').execute();
    for (const destination of ['https://bank.example', 'https://free.example'])
      await assert.rejects(secrets.open('free', destination), (error: Error) => !error.message.includes('value of'));
  });

  test('is listed, and set again, without its value', async () => {
    const set = await secrets.set(
      'listed',
      new Secret('value of listed'),
      ['https://b.example', 'https://a.example'],
      by,
    );
    assert.deepEqual(set.origins, ['https://a.example', 'https://b.example']);
    assert.doesNotMatch(JSON.stringify([set, await secrets.list()]), /value of/);
    await secrets.delete('listed', by);
    await assert.rejects(secrets.open('listed', 'https://a.example'), { code: 'secret.unknown' });
  });
});
