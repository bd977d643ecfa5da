import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput, SecretView } from '@gatehouse/protocol';
import pg from 'pg';
import { createCli } from '../packages/cli/test/support.ts';
import { canary } from './support/canary.ts';
import { type CredentialScene, startCredentialScene } from './support/credential-scene.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';

const postgres = await startPostgres();

/** The password of a provider's own user, changed by one command. */
describe('rotating a secret', { skip: postgres ? false : 'there is no PostgreSQL on this machine' }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-rotated-'));
  const secret = canary();
  const DAY_MS = 86_400_000;
  let database: TestDatabase;
  let owner: pg.Client;
  let scene: CredentialScene;
  let cli: ReturnType<typeof createCli>;
  let address: string;

  before(async () => {
    database = await (postgres as TestPostgres).createDatabase();
    owner = new pg.Client(database.url);
    await owner.connect();
    const broker = `broker_${database.name}`;
    await owner.query(`create table orders (id int, total int); insert into orders values (1042, 40);
      create role ${broker} login createrole password '${secret}';
      grant connect on database ${database.name} to ${broker} with grant option;
      grant usage on schema public to ${broker} with grant option;
      grant select on orders to ${broker} with grant option;
      grant pg_signal_backend to ${broker}`);
    const { host } = new URL(database.url);
    address = `postgres://${broker}@${host}/${database.name}`;
    scene = await startCredentialScene({
      from: {
        ...{ type: 'postgres', url: address, secret: 'broker', tls: 'off' },
        grants: [{ tables: ['orders'], privileges: ['SELECT'] }],
      },
      secret: { value: secret, origins: [`postgres://${host}`] },
      env: { DATABASE_URL: `postgres://{username}:{password}@${host}/${database.name}` },
    });
    const { url, dataDir } = scene.workspace;
    cli = createCli(directory, { GATEHOUSE_URL: url, GATEHOUSE_DATA_DIR: dataDir });
    await scene.workspace.operator('PUT /secrets/:name', {
      params: { name: 'broker' },
      body: { value: secret, origins: [`postgres://${host}`], owner: 'owner@example.test', rotateDays: 30 },
    });
  });
  after(async () => {
    await scene?.workspace.close();
    await owner?.end();
    await database?.drop();
    await postgres?.close();
    rmSync(directory, { recursive: true });
  });

  /** @proves secrets.rotated */
  test('leases go on and begin, the password before opens nothing, and the next is due so many days later', async () => {
    const { workspace, begin, call } = scene;
    const { client } = await begin();
    assert.match(await call(client, 'postgres', { text: 'select total from orders' }), /40/);
    const stored = new DatabaseSync(join(workspace.dataDir, 'gatehouse.db'));
    stored.exec(`update secrets set updated_at = updated_at - ${31 * DAY_MS} where name = 'broker'`);
    stored.close();
    assert.deepEqual((await workspace.operator('GET /status')).secretsDue, ['broker']);

    const begun = Date.now();
    const rotated = await cli.run('secrets', 'rotate', 'broker', '--json');
    assert.equal(rotated.code, 0, rotated.stderr);
    const view = rotated.json<SecretView>();
    assert.ok(view.updatedAt >= begun && view.rotationDueAt === view.updatedAt + 30 * DAY_MS);
    assert.deepEqual([view.owner, view.usedBy, view.canRotate], ['owner@example.test', ['system'], true]);
    assert.deepEqual((await workspace.operator('GET /status')).secretsDue, []);
    const { items } = await workspace.operator('GET /secrets');
    assert.deepEqual(items.find(({ name }) => name === 'broker')?.rotationDueAt, view.rotationDueAt);

    const before = new pg.Client(Object.assign(new URL(address), { password: secret }).href);
    await assert.rejects(before.connect(), { code: '28P01' });
    assert.match(await call(client, 'postgres', { text: 'select total from orders' }), /40/);
    const another = await begin('agent-b');
    assert.match(await call(another.client, 'postgres', { text: 'select total from orders' }), /40/);
    await another.client.close();
    await another.task.end();
    await scene.gone(another.task.id);

    const again = await cli.run('secrets', 'rotate', 'broker');
    assert.match(again.stdout, /^broker is rotated: system signs in with a new one\. The next is due /);
    for (const [operation, times] of [
      ['secret.rotate', 2],
      ['secret.rotated', 2],
    ] as const)
      assert.equal((await workspace.operator('GET /records', { query: { operation } })).items.length, times, operation);
    await client.close();
  });

  /** @proves secrets.rotated */
  test('who may not set secrets may not rotate one, and what Gatehouse can’t rotate says how it is done', async () => {
    const { workspace } = scene;
    const rotate = (name: string) => workspace.operator('POST /secrets/:name/rotate', { params: { name } });
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'key' },
      body: { value: canary(), origins: ['https://api.example'] },
    });
    await workspace.apply([
      {
        ...{ kind: 'CredentialProvider', name: 'payments', environments: ['production'] },
        from: { type: 'static', in: { type: 'files' }, parts: { token: 'token' }, for: ['https://api.example'] },
      },
      { kind: 'Person', email: 'security@example.test', displayName: 'Security', roles: ['security'] },
    ] as ManifestInput[]);
    const person = await workspace.person('security@example.test');
    await assert.rejects(person.api('POST /secrets/:name/rotate', { params: { name: 'broker' } }), { status: 403 });
    await assert.rejects(
      rotate('key'),
      /exactly one provider \(nothing names it\).*secrets set key --for https:\/\/api\.example/,
    );
    await assert.rejects(rotate('payments/token'), /it is kept elsewhere \(files\)\. Rotate it there/);
    await assert.rejects(rotate('none'), /There is no secret "none"/);
    const refused = await cli.run('secrets', 'rotate', 'key');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /can't rotate "key"/);
  });
});
