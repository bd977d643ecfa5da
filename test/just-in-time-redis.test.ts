import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isWithinPattern, narrowScope, type RedisKeys, type RedisSource } from '@gatehouse/protocol';
import { createClient } from '@redis/client';
import fc from 'fast-check';
import type { Made, Provider } from '../packages/server/src/credentials/leases/types.ts';
import { openRedisProvider } from '../packages/server/src/credentials/providers/redis.ts';
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
import { startRedis, type TestRedis } from './support/redis.ts';

const secret = canary();
const authority = await createAuthority('redis.test');
const { cert, key } = await authority.issue({ dns: ['localhost'] });
const redis = await startRedis({ ca: authority.root, cert, key });

describe('Redis users', { skip: redis ? false : 'there is no Redis on this machine' }, () => {
  const { port, run, savedUsers, restart } = redis as TestRedis;
  const both: RedisKeys['access'] = ['read', 'write'];
  const source: RedisSource = {
    ...{ type: 'redis', url: `redis://broker@localhost:${port}`, secret: 'broker', tls: { ca: authority.root } },
    keys: [
      { pattern: 'orders:*', access: both },
      { pattern: 'prices:*', access: ['read'] },
    ],
    commands: ['@read', '@write', '@blocking', 'client', 'get', 'set', 'ping', 'publish'],
    channels: ['orders.*'],
  };
  let provider: Provider;
  let scene: CredentialScene;
  const makeBroker = () =>
    run(
      ...['ACL', 'SETUSER', 'broker', 'reset', 'on', `>${secret}`, '+acl|setuser', '+acl|getuser', '+acl|deluser'],
      ...['+acl|save', '+client|list', '+client|kill'],
    );

  before(async () => {
    await makeBroker();
    await run('MSET', 'orders:1042', '40', 'prices:1', '5', 'salaries:zoe', '1000');
    provider = openRedisProvider(source, async () => new Secret(secret));
    scene = await startCredentialScene({
      from: { ...source, tls: { ca: authority.root } },
      secret: { value: secret, origins: [`redis://localhost:${port}`] },
      env: { REDIS_URL: `rediss://{username}:{password}@localhost:${port}` },
      plainEnv: { REDIS_CA: authority.root },
      scope: { keys: [{ pattern: 'orders:*', access: ['read'] }], commands: ['get', '@blocking'], channels: [] },
    });
  });
  after(async () => {
    await scene?.workspace.close();
    await redis?.close();
  });

  async function signIn({ credential }: Made) {
    const client = createClient({
      ...{ username: credential.username?.reveal() ?? '', password: credential.password?.reveal() ?? '' },
      socket: { host: 'localhost', port, tls: true, ca: authority.root, reconnectStrategy: false },
    });
    client.on('error', () => undefined);
    await client.connect();
    return { run: (...words: string[]) => client.sendCommand(words), end: () => client.destroy() };
  }
  const users = async () => ((await run('ACL', 'USERS')) as string[]).filter((name) => name.startsWith('gh_')).length;

  test('a user is issued, used, has only the keys and commands that were asked for, and is verified to be gone', async () => {
    const asked = orderOf(source, { keys: [{ pattern: 'orders:1*' }], commands: ['get', 'set'], channels: [] });
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    assert.equal(await session.run('GET', 'orders:1042'), '40');
    for (const more of ['GET orders:2', 'GET salaries:zoe', 'DEL orders:1042', 'PUBLISH orders.new x', 'ACL WHOAMI'])
      await assert.rejects(session.run(...more.split(' ')), /NOPERM/, more);
    session.end();
    await provider.revoke(leftOf(asked, made), patiently());
    assert.equal(await users(), 0);
    await assert.rejects(signIn(made), /WRONGPASS/);
  });

  test('whole categories bring nothing that is dangerous, makes users, or goes beyond the patterns; read is not write', async () => {
    const asked = orderOf(source);
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    assert.equal(await session.run('GET', 'prices:1'), '5');
    assert.equal(await session.run('PUBLISH', 'orders.new', 'x'), 0);
    for (const more of [
      ...['SET prices:1 0', 'GETSET prices:1 0', 'COPY salaries:zoe orders:2', 'PUBLISH salaries x'],
      ...['FLUSHALL', 'FLUSHDB', 'SWAPDB 0 1', 'KEYS *', 'SCAN 0', 'DBSIZE', 'RANDOMKEY'],
      ...[
        'CLIENT KILL USER default',
        'CLIENT LIST',
        'CONFIG GET requirepass',
        'MIGRATE h 1 orders:1042 0 1',
        'EVAL 1 0',
      ],
    ])
      await assert.rejects(session.run(...more.split(' ')), /NOPERM/, more);
    session.end();
    await provider.revoke(leftOf(asked, made), patiently());
  });

  test('no category brings code that others run with their rights, or word of keys beyond the patterns', async () => {
    const names = (await run('ACL', 'CAT')) as string[];
    const commands = names.filter((each) => each !== 'admin' && each !== 'dangerous').map((each) => `@${each}`);
    const all = { ...source, commands: [...commands, 'client'] };
    const asked = orderOf(all);
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    for (const more of [
      ...['FUNCTION LOAD x', 'FUNCTION DELETE x', 'FUNCTION FLUSH', 'FUNCTION LIST', 'SCRIPT FLUSH', 'SCRIPT KILL'],
      ...['CLIENT TRACKING ON BCAST', 'PUBSUB CHANNELS', 'SCAN 0', 'DBSIZE'],
    ])
      await assert.rejects(session.run(...more.split(' ')), /NOPERM/, more);
    session.end();
    await provider.revoke(leftOf(asked, made), patiently());
    for (const command of ['function', 'function|load', 'client|tracking', 'script|flush'])
      assert.ok('problem' in narrowScope({ ...source, commands: [command] }, { commands: [command] }), command);
  });

  test('an open connection ends with it, also one that waits', async () => {
    const asked = orderOf(source);
    const made = await provider.create(asked, patiently());
    const session = await signIn(made);
    const cut = assert.rejects(session.run('BLPOP', 'orders:none', '25'));
    await provider.revoke(leftOf(asked, made), patiently());
    await cut;
    assert.ok(!String(await run('CLIENT', 'LIST')).includes(asked.name));
  });

  test('made twice, never made, half ended, ended twice: each is right', async () => {
    const asked = orderOf(source);
    await provider.revoke(leftOf(asked), patiently());
    assert.equal(await users(), 0);
    const made = await provider.create(asked, patiently());
    assert.deepEqual(await provider.renew?.(leftOf(asked), Date.now() + 90_000, patiently()), {});
    await provider.create(asked, patiently());
    await assert.rejects(signIn(made), /WRONGPASS/);
    await run('ACL', 'SETUSER', asked.name, 'off');
    await provider.revoke(leftOf(asked), patiently());
    await provider.revoke(leftOf(asked), patiently());
    assert.equal(await users(), 0);
    await assert.rejects(async () => provider.renew?.(leftOf(asked), Date.now() + 90_000, patiently()), /no user/);
  });

  test('it outlives a restart of a Redis that keeps users in a file, and its end does as well', async () => {
    const asked = orderOf(source);
    const made = await provider.create(asked, patiently());
    assert.ok(!savedUsers().includes(made.credential.password?.reveal() ?? ''));
    await restart();
    (await signIn(made)).end();
    await provider.revoke(leftOf(asked, made), patiently());
    await restart();
    assert.equal(await users(), 0);
    assert.ok(!savedUsers().includes(asked.name));
    // Deleted by a server that died before it could save: the file would bring it back.
    const other = orderOf(source);
    await provider.create(other, patiently());
    await run('ACL', 'DELUSER', other.name);
    await provider.revoke(leftOf(other), patiently());
    await restart();
    assert.equal(await users(), 0);
  });

  test('another certificate is refused', async () => {
    const other = await createAuthority('other.test');
    for (const wary of [
      { ...source, tls: { ca: other.root } },
      { ...source, url: `redis://broker@127.0.0.1:${port}` },
    ])
      await assert.rejects(
        openRedisProvider(wary, async () => new Secret(secret)).check(patiently()),
        /certificate|altnames/i,
      );
    await provider.check(patiently());
  });

  /** @proves lease.redis */
  test('a task’s tools sign in as a user of their own, which nothing shows, and a kill ends the command that waits', async () => {
    const { task, client } = await scene.begin('agent-b');
    await run('MSET', 'orders:1042', '40');
    assert.match(await scene.call(client, 'redis', { text: 'GET orders:1042' }), /40/);
    assert.match(await scene.call(client, 'redis', { text: 'GET salaries:zoe' }), /NOPERM/);
    assert.match(await scene.call(client, 'redis', { text: 'SET orders:1042 0' }), /NOPERM/);
    assert.match(await scene.call(client, 'leak'), /rediss:\/\/gh_\w+:\[credential\]@/);
    const [lease] = await scene.leasesOf(task.id);
    const waiting = scene.call(client, 'redis', { text: 'XREAD BLOCK 25000 STREAMS orders:new $' });
    const isConnected = async () => String(await run('CLIENT', 'LIST')).includes(`user=${lease?.name} `);
    await until(isConnected);
    const killed = await scene.workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: {} });
    assert.equal(killed.endedLeases, 1);
    await scene.gone(task.id);
    assert.equal(await isConnected(), false);
    assert.equal(await users(), 0);
    await waiting;
  });

  test('it is tested by issuing one for nobody', async () => {
    const tested = await scene.workspace.operator('POST /providers/:name/test', { params: { name: 'system' } });
    assert.deepEqual({ ok: tested.ok, problem: tested.problem }, { ok: true, problem: null });
    assert.equal(await users(), 0);
  });

  const pattern = fc
    .array(fc.constantFrom('*', '?', 'a', 'b', ':', '**'), { minLength: 1, maxLength: 6 })
    .map((signs) => signs.join(''));

  test('a pattern that counts as within another matches nothing that the other does not, says Redis', async () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', ':', '*', '?'), { minLength: 1, maxLength: 6 })
      .map((signs) => signs.join(''));
    let within = 0;
    const matches = async (user: string, key: string) => (await run('ACL', 'DRYRUN', user, 'GET', key)) === 'OK';
    await fc.assert(
      fc.asyncProperty(
        pattern,
        pattern,
        fc.array(text, { minLength: 12, maxLength: 12 }),
        async (narrow, wide, keys) => {
          if (!isWithinPattern(narrow, wide)) return;
          within++;
          for (const [user, one] of [
            ['narrow', narrow],
            ['wide', wide],
          ] as const)
            await run('ACL', 'SETUSER', user, 'reset', `~${one}`, '+get');
          // What it matches for sure: each sign for itself, or something for it.
          const own = [narrow, narrow.replaceAll('*', ''), narrow.replaceAll('*', 'ab').replaceAll('?', 'b')];
          for (const key of [...keys, ...own.filter(Boolean)])
            if (await matches('narrow', key))
              assert.ok(await matches('wide', key), `${key}: ${narrow} is not within ${wide}`);
        },
      ),
      { numRuns: 300 },
    );
    assert.ok(within > 20, `only ${within} were within`);
    await run('ACL', 'DELUSER', 'narrow', 'wide');
  });

  test('what two scopes have in common is within both; issued is within asked, and asked within allowed', () => {
    const keys: fc.Arbitrary<RedisKeys[]> = fc.array(
      fc.record(
        { pattern, access: fc.constantFrom<RedisKeys['access']>(['read'], ['write'], ['read', 'write']) },
        { noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 3 },
    );
    const commands = fc.uniqueArray(fc.constantFrom('@read', '@write', 'get', 'object', 'object|encoding', 'set'), {
      minLength: 1,
    });
    const channels = fc.array(pattern, { maxLength: 2 });
    const scope = fc.record({ keys, commands, channels }, { noNullPrototype: true });
    fc.assert(
      fc.property(scope, scope, scope, (allowed, asked, within) => {
        const narrowed = narrowScope({ ...source, ...allowed }, asked);
        if ('scope' in narrowed) assert.deepEqual(narrowed.scope, asked);
        // All that each of two may have, as bounds of one another.
        const anything: RedisSource = {
          ...source,
          keys: [{ pattern: '*', access: both }],
          commands: ['@read', '@write', 'get', 'set', 'object'],
          channels: ['*'],
        };
        const common = narrowScope(anything, asked, [within]);
        if (!('scope' in common)) return;
        for (const each of [asked, within]) assert.ok('scope' in narrowScope({ ...source, ...each }, common.scope));
      }),
      { numRuns: 500 },
    );
  });

  test('what makes users, or moves data out, is in no manifest', () => {
    for (const command of ['acl', 'acl|setuser', '@admin', '@all', '@dangerous', 'config|set', 'module', 'migrate'])
      assert.ok('problem' in narrowScope(source, { commands: [command] }), command);
    assert.match((narrowScope(source, { keys: [{ pattern: 'a b' }] }) as { problem: string }).problem, /ASCII/);
    assert.match((narrowScope(source, { commands: ['scan'] }) as { problem: string }).problem, /issues no scan/);
  });

  /** @proves secrets.rotated */
  test('its own password is changed, saved as a hash, and of two that are kept the one that works is used', async () => {
    const kept: { value: string; next: string | null } = { value: secret, next: canary() };
    const restarted = () =>
      openRedisProvider(source, async () => new Secret(kept.value), {
        pending: async () => (kept.next === null ? null : new Secret(kept.next)),
        settle: async (next) => void Object.assign(kept, { value: next.reveal(), next: null }),
      });
    await restarted().check(patiently());
    assert.equal(kept.value, secret, 'the one before works, and stays');
    const next = kept.next as string;
    await restarted().rotate?.(new Secret(next), patiently());
    await assert.rejects(provider.check(patiently()), /WRONGPASS/);
    await restarted().check(patiently());
    assert.deepEqual(kept, { value: next, next: null });
    Object.assign(kept, { next: 'never put in place' });
    await restarted().check(patiently());
    kept.value = 'wrong';
    await assert.rejects(restarted().check(patiently()), /WRONGPASS/);
    kept.value = next;
    await restart();
    await restarted().check(patiently());
    assert.ok(!(await savedUsers()).includes(next));
    await makeBroker();
    await run('ACL', 'SAVE');
    await provider.check(patiently());
  });
});
