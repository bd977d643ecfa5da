import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { credentialProviderManifest, type MariadbGrant, type MariadbSource, narrowScope } from '@gatehouse/protocol';
import fc from 'fast-check';
import { type Connection, createConnection } from 'mysql2/promise';
import type { Made, Provider } from '../packages/server/src/credentials/leases/types.ts';
import { openMariadbProvider } from '../packages/server/src/credentials/providers/mariadb.ts';
import { createAuthority } from '../packages/server/src/identity/client-certificate/testing/authority.ts';
import { Secret } from '../packages/server/src/platform/index.ts';
import { canary } from './support/canary.ts';
import {
  type CredentialScene,
  leftOf,
  orderOf,
  patiently,
  startCredentialScene,
  until,
} from './support/credential-scene.ts';
import { startMariadb, type TestMariadb } from './support/mariadb.ts';

const authority = await createAuthority('mariadb.test');
const secret = canary();
const { cert, key } = await authority.issue({ dns: ['localhost'] });
const mariadb = await startMariadb({ ca: authority.root, cert, key });

describe('MariaDB users', { skip: mariadb ? false : 'there is no MariaDB on this machine' }, () => {
  const { port, owner, statements } = mariadb as TestMariadb;
  const grants: MariadbGrant[] = [
    { tables: ['orders', 'or`ders; drop table orders'], privileges: ['SELECT', 'INSERT'] },
    { tables: ['salaries'], privileges: ['SELECT'] },
  ];
  const source: MariadbSource = {
    ...{ type: 'mariadb', url: `mariadb://broker@localhost:${port}/shop_1`, secret: 'broker', grants },
    ...{ connectionLimit: 2, statementTimeoutSeconds: 30, tls: { ca: authority.root } },
  };
  let provider: Provider;
  let scene: CredentialScene;

  before(async () => {
    await owner.query(`create database shop_1; create database shopx1; create table shopx1.orders (id int); use shop_1;
      create table orders (id int, total int); create table salaries (person text); create table \`or\`\`ders; drop table orders\` (id int);
      insert into orders values (1042, 40);
      create user broker identified by '${secret}' require ssl;
      grant create user, process, connection admin on *.* to broker;
      grant select, insert, update, delete on shop_1.* to broker with grant option;
      grant select (User, Host) on mysql.user to broker`);
    provider = openMariadbProvider(source, async () => new Secret(secret));
    scene = await startCredentialScene({
      from: { ...source, tls: { ca: authority.root } },
      secret: { value: secret, origins: [`mariadb://localhost:${port}`] },
      env: {
        DATABASE_URL: `mysql://{username}:{password}@localhost:${port}/shop_1?ssl=${encodeURIComponent('{"rejectUnauthorized":false}')}`,
      },
      scope: { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] },
    });
  });
  after(async () => {
    await scene?.workspace.close();
    await mariadb?.close();
  });

  const ask = (tables: MariadbGrant['tables'], ...privileges: MariadbGrant['privileges']) =>
    orderOf(source, { grants: [{ tables, privileges }] });
  const signIn = ({ credential }: Made, ssl: object | null = { ca: authority.root }): Promise<Connection> =>
    createConnection({
      ...{ host: 'localhost', port, database: 'shop_1' },
      ...{ user: credential.username?.reveal(), password: credential.password?.reveal() },
      ...(ssl && { ssl }),
    });
  const users = async () =>
    ((await owner.query("select User from mysql.user where User like 'gh\\_%'"))[0] as unknown[]).length;

  test('a user is issued, used over TLS only, sees only what was asked for, and is verified to be gone', async () => {
    const asked = ask(['orders'], 'SELECT');
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    assert.deepEqual((await session.query('select total from orders'))[0], [{ total: 40 }]);
    for (const more of [
      'select * from salaries',
      'insert into orders values (2, 1)',
      'select * from shopx1.orders',
      'create table mine (id int)',
      'select authentication_string from mysql.user',
      `grant select on shop_1.orders to broker`,
    ])
      await assert.rejects(session.query(more), /denied/, more);
    const [rows] = await session.query('select @@max_statement_time as seconds');
    assert.deepEqual(rows, [{ seconds: 30 }]);
    session.destroy();
    await assert.rejects(signIn(made, null), /Access denied/);
    await provider.revoke(leftOf(asked, made), patiently());
    assert.equal(await users(), 0);
    await assert.rejects(signIn(made), /Access denied/);
  });

  test('more connections than allowed are refused', async () => {
    const asked = ask(['orders'], 'SELECT');
    const made = await provider.create(asked, patiently());
    const open = [await signIn(made), await signIn(made)];
    await assert.rejects(signIn(made), /max_user_connections/);
    for (const each of open) each.destroy();
    await provider.revoke(leftOf(asked, made), patiently());
  });

  test('an open connection ends with it, also in the middle of a statement', async () => {
    const asked = ask(['orders'], 'SELECT');
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    session.on('error', () => undefined);
    const cut = assert.rejects(session.query('select sleep(25) from orders'), /closed|lost|killed/i);
    await provider.revoke(leftOf(asked, made), patiently());
    await cut;
    const [rows] = await owner.query('select 1 from information_schema.processlist where user = ?', [asked.name]);
    assert.deepEqual(rows, []);
  });

  test('half made, made twice, never made, ended twice: each is right', async () => {
    const asked = ask(['salaries'], 'SELECT');
    await provider.revoke(leftOf(asked), patiently());
    // As a crash after the first statement leaves it.
    await owner.query(`create user '${asked.name}'@'%' identified by 'unknown'`);
    const made = await provider.create(asked, patiently());
    (await signIn(made)).destroy();
    assert.deepEqual(await provider.renew?.(leftOf(asked), Date.now() + 90_000, patiently()), {});
    const again = await provider.create(asked, patiently());
    await assert.rejects(signIn(made), /Access denied/);
    await owner.query(`alter user '${asked.name}'@'%' account lock`);
    await provider.revoke(leftOf(asked), patiently());
    await provider.revoke(leftOf(asked, again), patiently());
    assert.equal(await users(), 0);
    await assert.rejects(async () => provider.renew?.(leftOf(asked), Date.now() + 90_000, patiently()), /no user/);
  });

  test('dropped by another, its open connection is ended all the same', async () => {
    const asked = ask(['orders'], 'SELECT');
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    session.on('error', () => undefined);
    await owner.query(`drop user '${asked.name}'@'%'`);
    await provider.revoke(leftOf(asked, made), patiently());
    await assert.rejects(session.query('select 1'));
  });

  test('all tables are those that there are, and a name with quotes in it stays a name', async () => {
    const all: MariadbSource = { ...source, grants: [{ tables: '*', privileges: ['SELECT'] }] };
    const asked = orderOf(all);
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    assert.deepEqual((await session.query('select * from `or``ders; drop table orders`'))[0], []);
    await assert.rejects(session.query('select * from shopx1.orders'), /denied/);
    session.destroy();
    await provider.revoke(leftOf(asked, made), patiently());
  });

  test('the password is in no statement that the server could log', async () => {
    const asked = ask(['orders'], 'SELECT');
    const made = await provider.create(asked, patiently());
    assert.match(statements(), new RegExp(asked.name));
    assert.ok(!statements().includes(made.credential.password?.reveal() ?? ''));
    await provider.revoke(leftOf(asked, made), patiently());
  });

  test('a server with another certificate, and a broker without the rights, are said', async () => {
    const other = await createAuthority('other.test');
    const wary = openMariadbProvider({ ...source, tls: { ca: other.root } }, async () => new Secret(secret));
    await assert.rejects(wary.check(patiently()), /certificate/);
    const misnamed = (host: string) =>
      credentialProviderManifest.safeParse({
        ...{ kind: 'CredentialProvider', name: 'orders', environments: ['production'] },
        from: { ...source, url: `mariadb://broker@${host}:${port}/shop_1` },
      }).error?.message ?? '';
    assert.match(misnamed('127.0.0.1'), /names its host/);
    assert.match(misnamed('[::1]'), /names its host/);
    const elsewhere = openMariadbProvider(
      { ...source, url: `mariadb://broker@0x7f000001:${port}/shop_1` },
      async () => new Secret(secret),
    );
    await assert.rejects(elsewhere.check(patiently()), /altnames/);
    await owner.query("create user weak identified by 'weak-password'; grant process on *.* to weak");
    const weak = openMariadbProvider(
      { ...source, url: `mariadb://weak@localhost:${port}/shop_1` },
      async () => new Secret('weak-password'),
    );
    await assert.rejects(weak.check(patiently()), /weak lacks CREATE USER, CONNECTION ADMIN/);
    await provider.check(patiently());
  });

  /** @proves lease.mariadb */
  test('a task’s tools sign in as a user of their own, which nothing shows, and a kill ends it in the middle of a statement', async () => {
    const { task, client } = await scene.begin('agent-b');
    assert.match(
      await scene.call(client, 'sql', { text: 'select current_user() as me, total from orders' }),
      /gh_.*40/,
    );
    assert.match(await scene.call(client, 'sql', { text: 'select * from salaries' }), /denied/);
    const leaked = await scene.call(client, 'leak');
    assert.match(leaked, /mysql:\/\/gh_\w+:\[credential\]@/);
    const [lease] = await scene.leasesOf(task.id);
    const sleeping = scene.call(client, 'sql', { text: 'select sleep(25) from orders' });
    const asleep = async () => {
      const [rows] = await owner.query(
        "select 1 from information_schema.processlist where user = ? and info like '%sleep(25)%'",
        [lease?.name],
      );
      return (rows as unknown[]).length;
    };
    await until(async () => (await asleep()) === 1);
    const killed = await scene.workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.equal(killed.endedLeases, 1);
    await scene.gone(task.id);
    assert.equal(await asleep(), 0);
    assert.equal(await users(), 0);
    await sleeping;
  });

  test('it is tested by issuing one for nobody, and says that only Gatehouse ends what it issues', async () => {
    const tested = await scene.workspace.operator('POST /providers/:name/test', { params: { name: 'system' } });
    assert.deepEqual({ ok: tested.ok, problem: tested.problem }, { ok: true, problem: null });
    const { items } = await scene.workspace.operator('GET /providers');
    assert.equal(items[0]?.ok, true);
    assert.equal(items[0]?.abilities.endsOnlyByGatehouse, true);
    assert.equal(await users(), 0);
  });

  /** @proves secrets.rotated */
  test('its own password is changed, saved as a hash, and of two that are kept the one that works is used', async () => {
    const kept: { value: string; next: string | null } = { value: secret, next: canary() };
    const restarted = () =>
      openMariadbProvider(source, async () => new Secret(kept.value), {
        pending: async () => (kept.next === null ? null : new Secret(kept.next)),
        settle: async (next) => void Object.assign(kept, { value: next.reveal(), next: null }),
      });
    await restarted().check(patiently());
    assert.equal(kept.value, secret, 'the one before works, and stays');
    const next = kept.next as string;
    await restarted().rotate?.(new Secret(next), patiently());
    await assert.rejects(provider.check(patiently()), /Access denied/);
    await restarted().check(patiently());
    assert.deepEqual(kept, { value: next, next: null });
    Object.assign(kept, { next: 'never put in place' });
    await restarted().check(patiently());
    kept.value = 'wrong';
    await assert.rejects(restarted().check(patiently()), /Access denied/);
    assert.ok(!JSON.stringify(await statements()).includes(next));
    await owner.query(`set password for broker = password('${secret}')`);
    await provider.check(patiently());
  });
});

const privilege = fc.constantFrom<MariadbGrant['privileges'][number]>('SELECT', 'INSERT', 'UPDATE', 'DELETE');
const grant: fc.Arbitrary<MariadbGrant> = fc.record({
  tables: fc.oneof(fc.constant('*' as const), fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 })),
  privileges: fc.uniqueArray(privilege, { minLength: 1 }),
});
const grantsOf = fc.array(grant, { minLength: 1, maxLength: 4 });
const reach = (grants: readonly MariadbGrant[] = []) =>
  new Set(
    grants.flatMap(({ tables, privileges }) =>
      (tables === '*' ? ['a', 'b', 'c', 'any other'] : tables).flatMap((table) =>
        privileges.map((each) => `${table} ${each}`),
      ),
    ),
  );

test('issued is within asked, within what tasks may be given, and within allowed', () => {
  fc.assert(
    fc.property(grantsOf, grantsOf, fc.option(grantsOf, { nil: undefined }), (allowed, asked, within) => {
      const source: MariadbSource = {
        ...{ type: 'mariadb', url: 'mariadb://broker@db/shop', secret: 'broker', grants: allowed },
        ...{ connectionLimit: 1, statementTimeoutSeconds: 1, tls: 'off' },
      };
      const narrowed = narrowScope(source, { grants: asked }, within && [{ grants: within }]);
      const [most, wanted] = [reach(allowed), reach(asked)];
      const bound = within ? reach(within) : wanted;
      const isPart = (a: Set<string>, b: Set<string>) => [...a].every((each) => b.has(each));
      const common = new Set([...wanted].filter((each) => bound.has(each)));
      const isWithin = isPart(wanted, most) && isPart(bound, most) && common.size > 0;
      assert.equal('scope' in narrowed, isWithin);
      if ('scope' in narrowed) assert.deepEqual(reach(narrowed.scope.grants as MariadbGrant[]), common);
    }),
  );
});
