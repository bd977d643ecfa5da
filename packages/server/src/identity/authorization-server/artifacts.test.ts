import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type House, openHouse } from '../testing/house.ts';
import { artifactKey } from './artifact-key.ts';
import { artifactAdapter } from './artifacts.ts';
import { findDynamicClient, keepDynamicClient } from './dynamic-clients.ts';
import { authorizationLimits } from './limits.ts';
import { createUnfinishedRequests } from './unfinished-requests.ts';
import { DYNAMIC_CLIENT, useDynamicClient } from './used-client.ts';

onEachDatabase('what the authorization server keeps', (database) => {
  let house: House;
  const ended: unknown[] = [];
  let endingFails: Error | undefined;
  before(async () => {
    house = await openHouse({ database: await database() });
  });
  after(() => house.close());

  const adapter = (model: string, limits = authorizationLimits) => {
    const { storage, clock } = house;
    const unfinished = createUnfinishedRequests(clock, limits);
    const onGrantRevoked = async (_transaction: unknown, payload: unknown) => {
      if (endingFails) throw endingFails;
      ended.push(payload);
    };
    const made = artifactAdapter(model, { storage, clock, unfinished, onGrantRevoked });
    assert.ok(made);
    return made;
  };
  const count = async (model: string) =>
    (await house.storage.db.selectFrom('oauth_artifacts').select('id').where('model', '=', model).execute()).length;

  /** @proves oauth.unfinished-bound */
  test('of requests that anybody can begin no more are kept than the bound, whatever comes', async () => {
    const few = { ...authorizationLimits, requestsPerClient: 5, requestsInAll: 5 };
    for (const model of ['Interaction', 'DeviceCode', 'PushedAuthorizationRequest']) {
      const kept = adapter(model, few);
      for (let at = 0; at < 20; at++) await kept.upsert(`${model}-${at}`, { uid: `${model}-${at}` }, 600);
      assert.equal(await count(model), 5);
      assert.equal(await kept.find(`${model}-0`), undefined);
      assert.ok(await kept.find(`${model}-19`));
      await kept.destroy(`${model}-19`);
      await kept.upsert(`${model}-20`, {}, 600);
      assert.ok(await kept.find(`${model}-15`), 'what was answered has made room');
    }
  });

  /** @proves rfc6749.code-once */
  test('of two at once only one uses a code, and the other ends everything that came of it', async () => {
    const codes = adapter('AuthorizationCode');
    await adapter('Grant').upsert('grant', { rar: [{ type: 'consent', agent: 'agent-a' }] }, 600);
    await codes.upsert('code', { grantId: 'grant' }, 60);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => codes.consume('code')));
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(await adapter('Grant').find('grant'), undefined);
    assert.equal(await codes.find('code'), undefined);
    assert.equal(ended.length, 1, 'its task is ended once');
  });

  test('a family that is revoked goes with the end of its task or not at all', async () => {
    const grants = adapter('Grant');
    await grants.upsert('half', { rar: [{ type: 'consent', agent: 'agent-a' }] }, 600);
    await adapter('RefreshToken').upsert('its', { grantId: 'half' }, 600);
    endingFails = new Error('the disk is full');
    await assert.rejects(grants.destroy('half'));
    endingFails = undefined;
    assert.ok(await grants.find('half'), 'nothing is lost: it can be revoked again');
    assert.ok(await adapter('RefreshToken').find('its'));
    const before = ended.length;
    await grants.destroy('half');
    assert.equal(ended.length, before + 1);
    assert.equal(await adapter('RefreshToken').find('its'), undefined);
  });

  test('an id stands nowhere in the table', async () => {
    await adapter('RefreshToken').upsert('refresh-token-of-somebody', { grantId: 'other', jti: 'x' }, 60);
    const rows = await house.storage.db.selectFrom('oauth_artifacts').selectAll().execute();
    assert.doesNotMatch(JSON.stringify(rows), /refresh-token-of-somebody/);
  });

  const metadata = { client_id: 'x', redirect_uris: ['http://127.0.0.1/callback'], client_name: 'Many' };
  const id = (at: number) => `dyn-${at.toString(16).padStart(32, '0')}`;

  /** @proves rfc7591.bound */
  test('of clients that registered themselves the bound are kept: those go that nobody has used', async () => {
    const { storage, clock } = house;
    const first = id(1);
    await keepDynamicClient(house, first, metadata);
    await storage.transaction((transaction) => useDynamicClient(transaction, first, clock.now()));
    const rows = Array.from({ length: authorizationLimits.dynamicClients + 20 }, (_, at) => ({
      model: 'Client',
      id: artifactKey(id(at + 2)),
      payload: '{}',
      expires_at: clock.now() + at + 1_000_000,
      consumed_at: null,
      uid: null,
      grant_id: null,
      user_code: null,
    }));
    for (let at = 0; at < rows.length; at += 100)
      await storage.db
        .insertInto('oauth_artifacts')
        .values(rows.slice(at, at + 100))
        .execute();
    await keepDynamicClient(house, id(9_999), metadata);
    assert.equal(await count('Client'), authorizationLimits.dynamicClients);
    assert.ok(await findDynamicClient(house, first), 'the one that a person has consented to');
    assert.ok(await findDynamicClient(house, id(9_999)), 'the one that came last');
    assert.equal(await findDynamicClient(house, id(2)), undefined);
  });

  /** @proves rfc7591.bound */
  test('one that nobody consents to is forgotten in a day, one that was used in thirty', async () => {
    const [unused, used] = [id(20_001), id(20_002)];
    for (const each of [unused, used]) await keepDynamicClient(house, each, metadata);
    await house.storage.transaction((transaction) => useDynamicClient(transaction, used, house.clock.now()));
    house.pass((authorizationLimits.unusedClientTtlSeconds + 1) * 1000);
    assert.equal(await findDynamicClient(house, unused), undefined);
    assert.ok(await findDynamicClient(house, used));
    house.pass(authorizationLimits.usedClientTtlSeconds * 1000);
    assert.equal(await findDynamicClient(house, used), undefined);
    assert.match(used, DYNAMIC_CLIENT);
  });

  /** @proves oauth.limits */
  test('metadata of a client that registers itself are bounded', async () => {
    const big = { ...metadata, client_name: 'x'.repeat(authorizationLimits.clientMetadataChars) };
    await assert.rejects(keepDynamicClient(house, id(30_000), big), { error: 'invalid_client_metadata' });
  });
});
