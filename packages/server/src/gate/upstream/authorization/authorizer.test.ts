import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLog, type OutboundRequest, Secret, systemClock } from '../../../platform/index.ts';
import { createSealer, openStorage } from '../../../storage/index.ts';
import { upstreamLimits } from '../limits.ts';
import { createAuthorizer } from './authorizer.ts';
import { bindingOf, createGrantStore } from './grant-store.ts';
import type { Attempt, AuthorizedTransport } from './types.ts';

const url = 'http://crm.test/mcp';
const transport = {
  type: 'http',
  url,
  allowPrivateAddress: true,
  authorization: { grant: 'authorization_code', clientId: 'gatehouse' },
} as AuthorizedTransport;
const place = { server: 'crm', environment: 'production', transport };
const by = 'person:operator@example.test';

/** One server that a person connects, and its authorization servers, `one` and `two`, in this process. */
async function open(t: TestContext) {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-authorizer-'));
  const log = createLog('error', () => undefined);
  const storage = await openStorage({ database: 'sqlite', dataDir, log, clock: systemClock });
  t.after(async () => {
    await storage.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const hooks: { between?: (() => Promise<unknown>) | undefined; beforeToken?: (() => Promise<unknown>) | undefined } =
    {};
  /** Runs something between a read and its answer. */
  const db = storage.db.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      const now = hooks.between;
      hooks.between = undefined;
      await now?.();
      return result;
    },
  });
  const common = {
    recordChange: async () => undefined,
    clock: systemClock,
    limits: upstreamLimits,
    sealer: createSealer(Buffer.alloc(32, 7)),
  };
  const store = createGrantStore({ ...common, storage });
  const peer = { issuer: 'http://crm.test/one', requests: [] as string[] };
  const answer = (json: object) => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(json)),
  });
  const outbound = {
    async fetch(asked: string, options: OutboundRequest = {}) {
      const { pathname } = new URL(asked);
      const issuer = `http://crm.test/${pathname.split('/').at(-1)}`;
      if (pathname.startsWith('/.well-known/oauth-protected-resource'))
        return answer({ resource: url, authorization_servers: [peer.issuer] });
      if (pathname.startsWith('/.well-known/oauth-authorization-server'))
        return answer({
          issuer,
          token_endpoint: `${issuer}/token`,
          revocation_endpoint: `${issuer}/revoke`,
          response_types_supported: ['code'],
        });
      peer.requests.push(`${pathname} ${options.body}`);
      if (pathname.endsWith('/revoke')) return answer({});
      await hooks.beforeToken?.();
      return answer({ access_token: 'renewed', token_type: 'bearer', refresh_token: 'next' });
    },
    fetchJson: () => assert.fail(),
    close: async () => undefined,
  };
  const authorizer = createAuthorizer(
    {
      ...common,
      storage,
      log,
      outbound,
      grants: createGrantStore({ ...common, storage: { ...storage, db } }),
      trustDomain: 'test',
      publicUrl: 'http://gate.test',
      secrets: undefined as never,
      ownKey: () => assert.fail(),
    },
    place,
  );
  let connections = 0;
  return {
    authorizer,
    hooks,
    peer,
    store,
    connect: (value: string, refreshToken?: string) =>
      storage.transaction((transaction) =>
        store.put(transaction, place, {
          token: {
            value: new Secret(value),
            refreshToken: refreshToken === undefined ? undefined : new Secret(refreshToken),
            key: undefined,
            issuer: 'http://crm.test/one',
            resource: url,
            clientId: 'gatehouse',
            scopes: [],
            expiresAt: null,
          },
          registered: undefined,
          binding: bindingOf(transport),
          connectedBy: by,
          connectedAt: ++connections,
        }),
      ),
    disconnect: () =>
      storage.transaction(async (transaction) => store.remove(transaction, place, await store.read(place))),
    attempt: (): Attempt => ({
      token: undefined,
      nonce: undefined,
      nonceRetries: 0,
      adopted: false,
      renewed: false,
      stepUps: 0,
    }),
  };
}

const unauthorized = { 'www-authenticate': 'Bearer error="invalid_token"' };

/** @proves upstream.asks-again */
test('a person is asked when the authorization server has moved, also where the token was read again while the call was under way', async (t) => {
  const { authorizer, attempt, connect, peer } = await open(t);
  await connect('first');
  const [one, two] = [attempt(), attempt()];
  assert.deepEqual(await authorizer.headers('POST', one), { authorization: 'Bearer first' });
  // The feed tells of the connection, and another call reads it.
  authorizer.forget();
  await authorizer.headers('POST', two);
  peer.issuer = 'http://crm.test/two';
  await assert.rejects(authorizer.refused(401, unauthorized, one), /is now http:\/\/crm\.test\/two/);
  assert.equal((await authorizer.view()).state, 'not-connected');
});

/** @proves upstream.asks-again */
test('a call that was refused before a person connected the server is sent again with what they granted', async (t) => {
  const { authorizer, attempt, connect, peer } = await open(t);
  const early = attempt();
  assert.deepEqual(await authorizer.headers('POST', early), {});
  await connect('granted', 'refresh');
  assert.equal(await authorizer.refused(401, unauthorized, early), true);
  assert.deepEqual(await authorizer.headers('POST', early), { authorization: 'Bearer granted' });
  assert.deepEqual(peer.requests, [], 'nothing was renewed');
  assert.equal((await authorizer.view()).state, 'authorized');
});

/** @proves upstream.asks-again */
test('a person who connects a server while it is found that nobody has is not asked once more', async (t) => {
  const { authorizer, attempt, connect, hooks } = await open(t);
  const early = attempt();
  await authorizer.headers('POST', early);
  hooks.between = () => connect('granted');
  await assert.rejects(authorizer.refused(401, unauthorized, early), /Nobody has connected/);
  assert.equal(hooks.between, undefined);
  authorizer.forget();
  assert.equal((await authorizer.view()).state, 'authorized');
});

test('what was read before a change is not taken after it', async (t) => {
  const { authorizer, attempt, connect, hooks } = await open(t);
  await connect('former');
  hooks.between = async () => {
    await connect('new');
    authorizer.forget();
  };
  assert.deepEqual(await authorizer.headers('POST', attempt()), { authorization: 'Bearer new' });
});

/** @proves upstream.consent */
test('a server that is disconnected while its token is renewed stays disconnected, and what came is revoked', async (t) => {
  const { authorizer, attempt, connect, disconnect, hooks, peer } = await open(t);
  await connect('former', 'refresh');
  const call = attempt();
  await authorizer.headers('POST', call);
  hooks.beforeToken = async () => {
    assert.equal(await disconnect(), true);
    authorizer.forget();
  };
  await assert.rejects(authorizer.refused(401, unauthorized, call), /Nobody has connected/);
  assert.match(peer.requests.at(-1) ?? '', /^\/one\/revoke .*token=next/);
  assert.deepEqual(await authorizer.headers('POST', attempt()), {});
  assert.equal((await authorizer.view()).state, 'not-connected');
});

/** @proves upstream.consent */
test('what is renewed of a former connection does not replace the one that a person has made since', async (t) => {
  const { authorizer, attempt, connect, disconnect, hooks, peer, store } = await open(t);
  await connect('former', 'refresh');
  const call = attempt();
  await authorizer.headers('POST', call);
  hooks.beforeToken = async () => {
    await disconnect();
    await connect('new', 'of new');
  };
  assert.equal(await authorizer.refused(401, unauthorized, call), true);
  assert.deepEqual(await authorizer.headers('POST', call), { authorization: 'Bearer new' });
  assert.equal((await store.read(place))?.token.refreshToken?.reveal(), 'of new');
  assert.doesNotMatch(peer.requests.join(), /revoke/, 'to revoke one may end all that this person has granted');
});

/** @proves upstream.consent */
test('a renewal that another replica has overtaken revokes nothing: without rotation both hold what is in use', async (t) => {
  const { authorizer, attempt, connect, hooks, peer, store } = await open(t);
  await connect('former', 'next');
  const call = attempt();
  await authorizer.headers('POST', call);
  hooks.beforeToken = async () => {
    hooks.beforeToken = undefined;
    const grant = await store.read(place);
    assert.ok(grant);
    await store.replace(place, grant, { ...grant.token, value: new Secret('of the other') });
  };
  assert.equal(await authorizer.refused(401, unauthorized, call), true);
  assert.deepEqual(await authorizer.headers('POST', call), { authorization: 'Bearer of the other' });
  assert.doesNotMatch(peer.requests.join(), /revoke/);
  assert.equal((await store.read(place))?.token.refreshToken?.reveal(), 'next');
});
