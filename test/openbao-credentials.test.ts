import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type CredentialSource, narrowScope, type OpenBaoScope, type OpenBaoSource } from '@gatehouse/protocol';
import fc from 'fast-check';
import pg from 'pg';
import { type CredentialScene, startCredentialScene, until } from './support/credential-scene.ts';
import { startOpenBao, type TestOpenBao } from './support/openbao.ts';
import { startPostgres, type TestDatabase, type TestPostgres } from './support/postgres.ts';

/** Law 3 with a real OpenBao, which trusts Gatehouse's identity tokens, makes users of a real PostgreSQL, and signs with a key that nobody has. */
const bao = await startOpenBao();
const postgres = bao && (await startPostgres());
const isThere = bao !== undefined && postgres !== undefined;

describe('credentials of OpenBao', { skip: isThere ? false : 'OpenBao or PostgreSQL is missing: see above' }, () => {
  const { url, write, rootToken } = bao as TestOpenBao;
  let database: TestDatabase;
  let owner: pg.Client;
  const scenes: CredentialScene[] = [];

  before(async () => {
    database = await (postgres as TestPostgres).createDatabase();
    owner = new pg.Client(database.url);
    await owner.connect();
    await owner.query('create table orders (id int, total int); insert into orders values (1042, 40)');
    await write('sys/mounts/transit', { type: 'transit' });
    await write('transit/keys/receipts', { type: 'ed25519' });
    await write('transit/keys/payroll', { type: 'ed25519' });
    await write('sys/mounts/database', { type: 'database' });
    const at = new URL(database.url);
    await write('database/config/shop', {
      ...{ plugin_name: 'postgresql-database-plugin', allowed_roles: '*' },
      connection_url: `postgresql://{{username}}:{{password}}@${at.host}${at.pathname}?sslmode=disable`,
      ...{ username: decodeURIComponent(at.username), password: decodeURIComponent(at.password) },
    });
    await write('database/roles/orders', {
      db_name: 'shop',
      creation_statements: [
        `create role "{{name}}" with login password '{{password}}' valid until '{{expiration}}'; grant select on orders to "{{name}}"`,
      ],
      revocation_statements: ['drop owned by "{{name}}"; drop role "{{name}}"'],
      ...{ default_ttl: '1h', max_ttl: '24h' },
    });
    await write('secret/data/mailer', { data: { api_key: 'a-key-that-is-stored', region: 'eu' } });
    const policy = (name: string, text: string) => write(`sys/policies/acl/${name}`, { policy: text });
    await policy('gatehouse', 'path "auth/token/create" { capabilities = ["update"] }');
    await policy('orders', 'path "database/creds/orders" { capabilities = ["read"] }');
    await policy('mailer', 'path "secret/data/mailer" { capabilities = ["read"] }');
    await policy('sign-receipts', 'path "transit/sign/receipts" { capabilities = ["update"] }');
    await policy('sign-payroll', 'path "transit/sign/payroll" { capabilities = ["update"] }');
    await write('sys/auth/jwt', { type: 'jwt' });
  });
  after(async () => {
    for (const { workspace } of scenes) await workspace.close();
    await bao?.close();
    await owner?.end();
    await database?.drop();
    await postgres?.close();
  });

  const from = (issue: object) => ({
    ...{ type: 'openbao', url, role: 'agents', allowPrivateAddress: true, issue },
  });
  async function begin(scene: Omit<Parameters<typeof startCredentialScene>[0], 'secret'>, role: object = {}) {
    const started = await startCredentialScene(scene);
    scenes.push(started);
    const issuer = `${started.workspace.url}/identity`;
    await write('auth/jwt/config', { oidc_discovery_url: issuer, bound_issuer: issuer });
    await write('auth/jwt/role/agents', {
      ...{ role_type: 'jwt', user_claim: 'sub', bound_audiences: ['openbao'] },
      ...{ bound_claims_type: 'glob', bound_claims: { environment: 'production' } },
      token_policies: ['gatehouse', 'orders', 'mailer', 'sign-receipts', 'sign-payroll'],
      ...{ token_ttl: '20m', token_max_ttl: '1h' },
      ...role,
    });
    return started;
  }
  const asRoot = async (method: string, path: string) => {
    const answer = await fetch(`${url}/v1/${path}`, { method, headers: { 'x-vault-token': rootToken } });
    return { status: answer.status, body: (await answer.json().catch(() => ({}))) as { data?: { keys?: string[] } } };
  };
  const leasesThere = async () =>
    (await asRoot('LIST', 'sys/leases/lookup/database/creds/orders')).body.data?.keys ?? [];
  /** All but root's own. */
  const tokensThere = async () => ((await asRoot('LIST', 'auth/token/accessors')).body.data?.keys ?? []).length - 1;
  const roles = async () =>
    (await owner.query("select rolname from pg_roles where rolname like 'v-%'")).rows.map(({ rolname }) => rolname);

  /** @proves lease.openbao */
  test('a user that OpenBao’s database engine makes is a task’s own, ends at the lease’s time, and is gone there after the task', async () => {
    const scene = await begin({
      from: from({ type: 'dynamic', paths: ['database/creds/orders'] }),
      env: { DATABASE_URL: `postgres://{username}:{password}@${new URL(database.url).host}/${database.name}` },
    });
    const { task, client } = await scene.begin();
    assert.match(await scene.call(client, 'postgres', { text: 'select total from orders' }), /40/);
    assert.match(await scene.call(client, 'postgres', { text: 'create table t (id int)' }), /permission denied/);
    const [role] = await roles();
    const [there] = await leasesThere();
    assert.ok(role && there);
    assert.match(await scene.call(client, 'leak'), /DATABASE_URL\W+postgres:\/\/\S*:\[credential\]@/);
    const [lease] = await scene.leasesOf(task.id);
    const { rows } = await owner.query('select rolvaliduntil from pg_roles where rolname = $1', [role]);
    assert.ok(rows[0].rolvaliduntil.getTime() > Date.now());
    assert.ok((lease?.expiresAt ?? 0) <= Date.now() + 900_000);
    await client.close();
    await task.end();
    await scene.gone(task.id);
    assert.deepEqual([await leasesThere(), await roles(), await tokensThere()], [[], [], 0]);

    // While the database refuses to drop it, it is not said to be gone.
    const second = await scene.begin();
    await scene.call(second.client, 'postgres', { text: 'select 1' });
    const [stays = ''] = await roles();
    await owner.query(`grant create on schema public to "${stays}"; alter role "${stays}" rename to held`);
    await second.task.end();
    await until(async () => ((await scene.leasesOf(second.task.id))[0]?.attempts ?? 0) > 0);
    assert.match((await scene.leasesOf(second.task.id))[0]?.state ?? '', /revoking|stuck/);
    await owner.query(`alter role held rename to "${stays}"`);
    const lookup = await asRoot('PUT', `sys/leases/revoke/database/creds/orders/${(await leasesThere())[0]}`);
    assert.ok(lookup.status < 300);
    await scene.gone(second.task.id);
    assert.deepEqual(await roles(), []);

    const tested = await scene.workspace.operator('POST /providers/:name/test', { params: { name: 'system' } });
    assert.deepEqual([tested.ok, tested.problem], [true, null]);
    assert.deepEqual([await leasesThere(), await roles(), await tokensThere()], [[], [], 0]);
  });

  /** @proves lease.openbao-token */
  test('a token signs with the one key that was asked for, and is refused after a kill', async () => {
    const scene = await begin({
      from: from({ type: 'token', policies: ['sign-receipts', 'sign-payroll'] }),
      scope: { policies: ['sign-receipts'] },
      env: { HTTP_HEADER: 'X-Vault-Token: {token}' },
    });
    const { task, client } = await scene.begin('agent-b');
    const sign = (key: string) =>
      scene.call(client, 'http', { text: `POST ${url}/v1/transit/sign/${key} {"input":"aGVsbG8="}` });
    assert.match(await sign('receipts'), /200 .*vault:v1:/);
    assert.match(await sign('payroll'), /403/);
    assert.match(await scene.call(client, 'http', { text: `POST ${url}/v1/auth/token/create {}` }), /403/);
    assert.equal(await tokensThere(), 2);
    const killed = await scene.workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.equal(killed.endedLeases, 1);
    await scene.gone(task.id);
    assert.equal(await tokensThere(), 0);
    const { items } = await scene.workspace.operator('GET /providers');
    assert.equal(items[0]?.ok, true, items[0]?.problem ?? '');
  });

  test('a stored value is read for a task, and is said to work on', async () => {
    const scene = await begin({
      from: from({ type: 'kv', paths: ['secret/data/mailer'], parts: { apiKey: 'api_key' } }),
      env: { MAILER: 'key {apiKey}' },
    });
    const { task, client } = await scene.begin();
    const leak = await scene.call(client, 'leak');
    assert.match(leak, /MAILER\W+key \[credential\]/);
    assert.doesNotMatch(leak, /a-key-that-is-stored/);
    await task.end();
    await until(async () => /works until somebody changes it/.test((await scene.leasesOf(task.id))[0]?.problem ?? ''));
    assert.equal(await tokensThere(), 0);
    const { items } = await scene.workspace.operator('GET /providers');
    assert.equal(items[0]?.abilities.canRevoke, false);
  });

  test('whom OpenBao does not trust gets nothing, and what it refuses leaves nothing behind', async () => {
    const of = (path: string) => ({
      from: from({ type: 'dynamic', paths: [path] }),
      env: { PGUSER: '{username}', PGPASSWORD: '{password}' },
    });
    const refused = async (scene: CredentialScene, why: RegExp) => {
      const { task, client } = await scene.begin();
      assert.match(await scene.call(client, 'leak'), why);
      assert.deepEqual(
        (await scene.leasesOf(task.id)).map(({ state }) => state),
        ['revoked'],
      );
      assert.equal(await tokensThere(), 0);
    };
    const scene = await begin(of('database/creds/orders'), { bound_claims: { environment: 'staging' } });
    await refused(scene, /Does the role take this issuer, audience and subject/);
    const role = {
      ...{ role_type: 'jwt', user_claim: 'sub', bound_audiences: ['openbao'], token_policies: ['gatehouse'] },
      bound_claims: { environment: 'production' },
    };
    await write('auth/jwt/role/agents', { ...role, bound_audiences: ['somebody-else'] });
    await refused(scene, /Does the role take this issuer, audience and subject/);
    await write('auth/jwt/role/agents', { ...role, token_ttl: '20m', token_max_ttl: '1h' });
    await refused(scene, /policies must let it read database/);
    await write('auth/jwt/role/agents', { ...role, token_ttl: '5h', token_max_ttl: '5h' });
    await refused(scene, /live 18000 s/);
    await write('auth/jwt/role/agents', {
      ...role,
      token_ttl: '20m',
      token_max_ttl: '1h',
      token_no_default_policy: true,
    });
    assert.match(await scene.call((await scene.begin()).client, 'leak'), /need the default policy/);
  });
});

/** @proves lease.openbao-token */
test('of OpenBao too, issued is within asked, asked within allowed, and a template takes away', () => {
  const some = fc.uniqueArray(fc.constantFrom<string>('a', 'b', 'c', 'd'), { minLength: 1 });
  const source = (policies: string[]): CredentialSource =>
    ({
      ...{
        type: 'openbao',
        url: 'https://bao',
        mount: 'jwt',
        role: 'r',
        audience: 'openbao',
        allowPrivateAddress: false,
      },
      issue: { type: 'token', policies },
    }) satisfies OpenBaoSource;
  fc.assert(
    fc.property(some, some, some, (allowed, asked, given) => {
      const alone = narrowScope(source(allowed), { policies: asked });
      assert.equal(
        'scope' in alone,
        asked.every((each) => allowed.includes(each)),
      );
      const narrowed = narrowScope(source(allowed), { policies: asked }, [{ policies: given }]);
      if (!('scope' in narrowed)) return;
      const { policies = [] } = narrowed.scope as OpenBaoScope;
      assert.ok(policies.length > 0);
      for (const most of [allowed, asked, given]) assert.ok(policies.every((each) => most.includes(each)));
    }),
  );
  for (const bad of [
    { policies: ['root'] },
    { paths: ['sys/raw/x'] },
    { paths: ['database/../sys/x'] },
    { paths: ['a'] },
  ])
    assert.ok('problem' in narrowScope(source(['a']), bad));
});
