import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type CredentialProviderManifest, manifest as manifestSchema, type PostgresSource } from '@gatehouse/protocol';
import pg from 'pg';
import { canary } from '../../../../test/support/canary.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../../test/support/postgres.ts';
import { createLog, Secret, systemClock } from '../platform/index.ts';
import { createSealer, openStorage, type Storage } from '../storage/index.ts';
import type { Provider } from './leases/types.ts';
import { openPostgresProvider } from './providers/postgres.ts';
import { rotateSecret } from './rotate-secret.ts';
import { createSecretUses } from './secret-uses.ts';
import { createSecrets, type Secrets } from './secrets.ts';

const postgres = await startPostgres();

/** @proves secrets.rotated */
describe('a rotated secret', { skip: postgres ? false : 'there is no PostgreSQL on this machine' }, () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-rotate-'));
  const by = 'person:owner@example.test';
  const first = canary();
  let recorded: string[] = [];
  let database: TestDatabase;
  let owner: pg.Client;
  let broker: string;
  let origin: string;
  let storage: Storage;
  let secrets: Secrets;
  let source: PostgresSource;
  let manifest: CredentialProviderManifest;
  const opened: Provider[] = [];

  before(async () => {
    database = await (postgres as TestPostgres).createDatabase();
    owner = new pg.Client(database.url);
    await owner.connect();
    broker = `broker_${database.name}`;
    await owner.query(`create role ${broker} login createrole; grant pg_signal_backend to ${broker}`);
    const log = createLog('error', () => undefined);
    storage = await openStorage({ database: 'sqlite', dataDir, log, clock: systemClock });
    secrets = createSecrets({
      ...{ storage, sealer: createSealer(Buffer.alloc(32, 7)), clock: systemClock },
      recordChange: async (_, ...changes) => {
        recorded.push(...changes.map((each) => `${each.operation} by ${each.by}: ${each.changes?.join('; ')}`));
      },
      uses: createSecretUses({ storage, clock: systemClock }),
    });
    const at = new URL(database.url);
    origin = `postgres://${at.host}`;
    source = {
      ...{ type: 'postgres', secret: 'broker', url: `postgres://${broker}@${at.host}${at.pathname}`, grants: [] },
      ...{ connectionLimit: 2, statementTimeoutSeconds: 30, tls: 'off' },
    };
    const from = { ...source, grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT' as const] }] };
    manifest = manifestSchema.parse({
      ...{ kind: 'CredentialProvider', name: 'orders', environments: ['prod'], from },
    }) as CredentialProviderManifest;
  });
  after(async () => {
    for (const each of opened) await each.close();
    await owner?.end();
    await database?.drop();
    await postgres?.close();
    await storage?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await owner.query(`alter role ${broker} password '${first}'`);
    if ((await secrets.list()).length > 0) await secrets.delete('broker', by);
    await secrets.set('broker', new Secret(first), [origin], by);
    recorded = [];
  });

  /** As a replica that has just started has it. */
  function replica(): Provider {
    const provider = openPostgresProvider(source, () => secrets.open('broker', source.url), {
      pending: () => secrets.pending('broker', source.url),
      settle: async (next) => {
        await secrets.settle('broker', next, 'gatehouse');
      },
    });
    opened.push(provider);
    return provider;
  }
  const rotate = (provider: Provider, more: Partial<Secrets> = {}, usedBy = ['orders']) =>
    rotateSecret(
      { secrets: { ...secrets, ...more }, providers: [manifest], open: () => provider },
      { name: 'broker', usedBy, by },
    );
  const works = (provider: Provider) => provider.check(AbortSignal.timeout(10_000));
  const now = async () => (await secrets.open('broker', source.url)).reveal();
  async function accepts(password: string): Promise<boolean> {
    const client = new pg.Client(Object.assign(new URL(source.url), { password }).href);
    client.on('error', () => undefined);
    const isIn = await client.connect().then(
      () => true,
      (error) => {
        assert.equal(error.code, '28P01');
        return false;
      },
    );
    await client.end().catch(() => undefined);
    return isIn;
  }
  const died = () => Promise.reject(new Error('it died here'));

  test('the new one works, the one before does not, and a replica that was connected goes on', async () => {
    const [one, other] = [replica(), replica()];
    await works(other);
    await rotate(one);
    assert.notEqual(await now(), first);
    assert.deepEqual([await accepts(first), await accepts(await now())], [false, true]);
    assert.equal(await secrets.pending('broker', source.url), null);
    for (const each of [one, other, replica()]) await works(each);
    assert.deepEqual(recorded, [
      `secret.rotate by ${by}: secret broker: a new one is kept, and is being put in place`,
      `secret.rotated by ${by}: secret broker: the new one works, and is in use`,
    ]);
    assert.ok(
      !(await owner.query('select rolpassword from pg_authid')).rows.some((row) => JSON.stringify(row).includes(first)),
    );
  });

  for (const [step, dying] of Object.entries({
    'before a new one is kept': { prepare: died },
    'before the database has it': { rotate: died },
    'after the database has it, before it was tried': {
      rotate: async (next: Secret, signal: AbortSignal) => {
        await replica().rotate?.(next, signal);
        throw new Error('it died here');
      },
    },
    'after it was tried, before it is in use': { settle: died },
  } as Record<string, { rotate?: Provider['rotate']; prepare?: typeof died; settle?: typeof died }>))
    test(`dead ${step}: the one that works is used, and done again it ends`, async () => {
      const { rotate: instead, ...more } = dying;
      const provider = replica();
      await assert.rejects(rotate(instead ? { ...provider, rotate: instead } : provider, more), /it died here/);
      const hasIt = !(await accepts(first));
      await works(replica());
      await works(provider);
      assert.equal(await accepts(await now()), true);
      assert.equal(hasIt, (await now()) !== first);
      if (hasIt) assert.match(recorded.at(-1) ?? '', /secret\.rotated by gatehouse/);
      const before = await now();
      await rotate(replica());
      assert.equal(await accepts(await now()), true);
      assert.equal(await accepts(first), false);
      if (!hasIt || step.includes('tried')) assert.notEqual(await now(), before);
      assert.equal(await secrets.pending('broker', source.url), null);
    });

  test('whoever waits for a connection meanwhile gets one', async () => {
    const provider = replica();
    let isOver = false;
    const waiting = Array.from({ length: 30 }, async () => {
      while (!isOver) await works(provider);
    });
    for (let round = 0; round < 3; round++) await rotate(provider);
    isOver = true;
    await Promise.all(waiting);
  });

  test('two at once, and again and again, end with one that works', async () => {
    const replicas = [replica(), replica()];
    for (let round = 0; round < 5; round++) {
      await Promise.allSettled(replicas.map((each) => rotate(each)));
      for (const each of replicas) await works(each);
      assert.equal(await accepts(await now()), true);
    }
  });

  test('a password that is simply wrong stays refused, and nothing is tried in its place', async () => {
    await secrets.set('broker', new Secret('mistyped'), [origin], by);
    await assert.rejects(works(replica()), { code: '28P01' });
    await assert.rejects(rotate(replica()), { code: 'secret.not-rotated' });
    assert.equal(await accepts(first), true);
    assert.equal(await now(), 'mistyped');
  });

  test('one that is being put in place is sent nowhere else, also when the secret is set for another place', async () => {
    await secrets.prepare('broker', new Secret(canary()), by);
    await assert.rejects(secrets.pending('broker', 'postgres://evil.test:5432'), { code: 'secret.destination' });
    await secrets.set('broker', new Secret(first), ['postgres://evil.test:5432'], by);
    assert.equal(await secrets.pending('broker', 'postgres://evil.test:5432'), null);
  });

  test('what nothing can change, or more than one uses, is refused with what to do, and nothing is kept', async () => {
    const { rotate: _, ...without } = replica();
    const refusals: [() => Promise<void>, RegExp][] = [
      [
        () => rotate(without),
        /of the kind postgres can't change it\. Make a new one there, and `gatehouse secrets set broker --for postgres:/,
      ],
      [() => rotate(replica(), {}, ['orders', 'crm']), /exactly one provider \(named by orders, crm\)/],
      [() => rotate(replica(), { list: async () => [] }), /There is no secret "broker"/],
    ];
    for (const [refused, why] of refusals) await assert.rejects(refused(), why);
    const sameUser = { ...manifest, name: 'reports', from: { ...source, url: `${source.url}_2`, secret: 'other' } };
    await assert.rejects(
      rotateSecret(
        { secrets, providers: [manifest, sameUser], open: replica },
        { name: 'broker', usedBy: ['orders'], by },
      ),
      /reports signs in as the same user/,
    );
    await secrets.set('broker', new Secret(first), [origin, 'https://crm.example'], by);
    await assert.rejects(rotate(replica()), /sent to https:\/\/crm\.example too/);
    assert.equal(await secrets.pending('broker', source.url), null);
    assert.equal(await accepts(first), true);
  });
});
