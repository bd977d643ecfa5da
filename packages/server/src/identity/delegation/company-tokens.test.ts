import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type IdentityProviderManifest, identityProviderManifest } from '@gatehouse/protocol';
import { decodeJwt } from 'jose';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { type House, openHouse } from '../testing/house.ts';
import { ID_TOKEN, JWT_BEARER, TOKEN_EXCHANGE } from '../testing/oauth-names.ts';
import { assertCleanLog, assertRefused, type RequestChange } from '../testing/refusals.ts';

onEachDatabase('what a company’s provider says of a person', (database) => {
  /** What the company's identity provider says of a person, brought by an agent: as ID token (RFC 8693), and as ID-JAG (RFC 7523). */
  const USER = 'user@example.test';
  const OTHER = 'other@example.test';
  const AGENT = 'agent-mail-prod';
  const STRANGER = 'agent-stranger-prod';
  const APP = 'mail-application';

  let house: House;
  let idp: ForeignIssuer;
  let disabled: ForeignIssuer;
  let client: AgentClient;
  let stranger: AgentClient;

  const provider = (more: Partial<IdentityProviderManifest> = {}) =>
    identityProviderManifest.parse({
      kind: 'IdentityProvider',
      name: 'company',
      displayName: 'Company',
      issuer: idp.url,
      clientId: 'gatehouse',
      allowPrivateAddress: true,
      tokenExchange: { audiences: [APP] },
      idJag: { agents: [AGENT], scopes: { 'mail.read': ['mail/*'] } },
      ...more,
    });
  const delegate = (more: object = {}, user = USER) =>
    house.identity.delegations.create(
      user,
      { agent: AGENT, template: 'support', parameters: {}, days: 30, ...more },
      'console',
    );

  before(async () => {
    house = await openHouse({ database: await database() });
    idp = await openForeignIssuer('unused');
    disabled = await openForeignIssuer('unused');
    await house.furnish();
    for (const email of [USER, OTHER])
      await house.apply({ kind: 'Person', email, displayName: email, roles: ['owner'] });
    await house.apply(
      provider(),
      provider({ name: 'disabled', issuer: disabled.url, tokenExchange: undefined, idJag: undefined }),
    );
    client = await createAgentClient(house, await house.enrol(AGENT));
    stranger = await createAgentClient(house, await house.enrol(STRANGER));
    await delegate();
  });
  after(async () => {
    await house.close();
    await idp.close();
    await disabled.close();
  });

  const person = (more: object = {}) => ({ sub: 'u-1', email: USER, email_verified: true, ...more });
  const exchange = (token: string, more: Record<string, string | undefined> = {}): RequestChange => ({
    form: {
      grant_type: TOKEN_EXCHANGE,
      subject_token: token,
      subject_token_type: ID_TOKEN,
      resource: undefined,
      ...more,
    },
  });
  const idTokenOf = (more: object = {}, how: Parameters<ForeignIssuer['sign']>[1] = {}) =>
    idp.sign({ aud: APP, ...person(), ...more }, how);
  const jagHeader = { header: { typ: 'oauth-id-jag+jwt' } };
  const idJagOf = (more: object = {}, how: Parameters<ForeignIssuer['sign']>[1] = jagHeader) =>
    idp.sign({ aud: house.publicUrl, client_id: AGENT, ...person(), ...more }, how);
  const present = (assertion: string, more: Record<string, string | undefined> = {}): RequestChange => ({
    form: { grant_type: JWT_BEARER, assertion, resource: undefined, ...more },
  });
  const taskOf = (body: Awaited<ReturnType<AgentClient['post']>>['body']) =>
    house.registry.task(body.authorization_details?.[0].task ?? '');

  /** @proves rfc8693.id-token */
  test('an ID token of the company’s provider and the person’s delegation make a task for that person', async () => {
    for (const type of [ID_TOKEN, 'urn:ietf:params:oauth:token-type:jwt'])
      for (const aud of [APP, 'gatehouse']) {
        const { status, body } = await client.post(
          exchange(await idTokenOf({ aud }), {
            subject_token_type: type,
            authorization_details: JSON.stringify([{ ...supportTask, on_behalf_of: OTHER }]),
          }),
        );
        assert.equal(status, 200, JSON.stringify(body));
        const claims = decodeJwt(String(body.access_token));
        assert.equal(claims.sub, `person:${USER}`);
        assert.equal((claims.act as { sub: string }).sub, `spiffe://example.test/env/prod/agent/${AGENT}`);
        const task = await taskOf(body);
        assert.equal(task?.user, USER);
        assert.equal(task?.onBehalfOf, OTHER);
        assert.match(task?.delegation ?? '', /^dlg_/);
        assert.equal((await client.call(String(body.access_token))).status, 200);
      }
    assert.ok((await house.records('person.link')).length === 1);
  });

  /** @proves law-5.audience-of-task */
  test('a task that an ID token is exchanged for one server’s address is for that server, whatever a later token is asked for', async () => {
    const resource = `${house.resource}/shop`;
    const { status, body } = await client.post(exchange(await idTokenOf(), { resource }));
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(decodeJwt(String(body.access_token)).aud, resource);
    assert.deepEqual((await taskOf(body))?.narrowing, { tools: ['shop/*', 'shop#resources', 'shop#prompts'] });
  });

  test('may_act names who may act, and nobody else does', async () => {
    const good = await client.post(exchange(await idTokenOf({ may_act: { sub: AGENT } })));
    assert.equal(good.status, 200, JSON.stringify(good.body));
    for (const may_act of [{ sub: STRANGER }, { sub: AGENT, iss: 'https://other.example' }, {}, 'x'])
      await assertRefused(house, client, exchange(await idTokenOf({ may_act })), {
        status: 400,
        error: 'invalid_request',
        says: /may_act/,
      });
  });

  /** @proves law-5.vouched */
  test('an ID token that anything is wrong with is refused, and who has delegated nothing grants nothing', async () => {
    const now = Math.floor(Date.now() / 1000);
    const invalid = (says: RegExp) => ({ status: 400, error: 'invalid_request', says });
    const used = await idTokenOf();
    assert.equal((await client.post(exchange(used))).status, 200);
    const own = await client.startTask();
    const cases: [string, RequestChange, { status: number; error: string; says: RegExp }, AgentClient?][] = [
      ['used before', exchange(used), invalid(/used before/)],
      ['another audience', exchange(await idTokenOf({ aud: 'other-application' })), invalid(/aud/)],
      ['two audiences', exchange(await idTokenOf({ aud: [APP, 'other'] })), invalid(/aud/)],
      ['another azp', exchange(await idTokenOf({ azp: 'other' })), invalid(/azp/)],
      ['expired', exchange(await idTokenOf({ exp: now - 120, iat: now - 300 })), invalid(/expired/)],
      ['too old', exchange(await idTokenOf({ iat: now - 4_000, exp: now + 600 })), invalid(/ago/)],
      ['of the future', exchange(await idTokenOf({ iat: now + 300, exp: now + 600 })), invalid(/future/)],
      ['an ID-JAG', exchange(await idJagOf()), invalid(/typ/)],
      ['an access token type', exchange(await idTokenOf({}, { header: { typ: 'at+jwt' } })), invalid(/typ/)],
      ['a logout token', exchange(await idTokenOf({ events: {} })), invalid(/events/)],
      ['an access token', exchange(await idTokenOf({ scope: 'openid' })), invalid(/scope/)],
      ['another key', exchange(await idTokenOf({}, { key: disabled.key('RS256') })), invalid(/signed/)],
      ['another issuer', exchange(await idTokenOf({ iss: 'https://other.example' })), invalid(/no identity provider/)],
      ['our own issuer', exchange(await idTokenOf({ iss: house.publicUrl })), invalid(/itself/)],
      ['not enabled', exchange(await disabled.sign({ aud: APP, ...person() })), invalid(/not set to vouch/)],
      ['our own access token', exchange(own.access_token), invalid(/typ/)],
      [
        'an unknown person',
        exchange(await idTokenOf({ sub: 'u-9', email: 'nobody@example.test' })),
        invalid(/not known/),
      ],
      [
        'an unverified address',
        exchange(await idTokenOf({ sub: 'u-8', email_verified: false })),
        invalid(/not verified/),
      ],
      ['the address of somebody linked', exchange(await idTokenOf({ sub: 'u-7' })), invalid(/linked/)],
      ['no subject', exchange(await idTokenOf({ sub: undefined })), invalid(/sub/)],
      [
        'nothing delegated',
        exchange(await idTokenOf({ sub: 'u-2', email: OTHER })),
        { status: 400, error: 'access_denied', says: /no delegation/ },
      ],
      [
        'another agent',
        exchange(await idTokenOf()),
        { status: 400, error: 'access_denied', says: /no delegation/ },
        stranger,
      ],
      [
        'another template',
        exchange(await idTokenOf(), {
          authorization_details: JSON.stringify([{ ...supportTask, template: 'short', parameters: {} }]),
        }),
        { status: 400, error: 'access_denied', says: /no delegation/ },
      ],
    ];
    for (const [what, change, expected, by = client] of cases)
      await assertRefused(house, by, change, expected).catch((error: Error) => {
        throw new Error(`${what}: ${error.message}`, { cause: error });
      });
    // What the provider has really said, and was not taken, is in the record.
    const refusals = await house.records('person.token.refuse');
    assert.ok(refusals.some(({ detail }) => /aud/.test(detail ?? '')));
    assert.ok(refusals.every(({ detail }) => !/signed/.test(detail ?? '')));
    assertCleanLog(house);
  });

  test('a revoked delegation ends what rests on it, and the next ID token starts nothing', async () => {
    const { id } = await delegate({ parameters: { customer: 'c-9' } });
    const details = JSON.stringify([{ ...supportTask, parameters: { customer: 'c-9' }, delegation: id }]);
    const { body } = await client.post(exchange(await idTokenOf(), { authorization_details: details }));
    assert.equal((await taskOf(body))?.delegation, id, JSON.stringify(body));
    await house.identity.delegations.revoke(id, `person:${USER}`);
    assert.equal((await taskOf(body))?.state, 'ended');
    await assertRefused(house, client, exchange(await idTokenOf(), { authorization_details: details }), {
      status: 400,
      error: 'access_denied',
      says: /no delegation/,
    });
  });

  /** @proves id-jag.accept */
  test('an ID-JAG for this server and this client makes a task for its person, narrowed to its resource and scope', async () => {
    const { status, body } = await client.post(present(await idJagOf()));
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal((await taskOf(body))?.user, USER);
    assert.equal((await client.call(String(body.access_token))).status, 200);

    const resource = `${house.resource}/shop`;
    const narrow = await client.post(present(await idJagOf({ resource })));
    assert.equal(decodeJwt(String(narrow.body.access_token)).aud, resource);
    assert.deepEqual((await taskOf(narrow.body))?.narrowing?.tools, ['shop/*', 'shop#resources', 'shop#prompts']);
    await assertRefused(house, client, present(await idJagOf({ resource }), { resource: house.resource }), {
      status: 400,
      error: 'invalid_target',
      says: /would be for more/,
    });

    const scoped = await client.post(present(await idJagOf({ scope: 'mail.read other' })));
    assert.deepEqual((await taskOf(scoped.body))?.narrowing, { tools: ['mail/*'] });
    for (const [claim, asked] of [['other'], ['mail.read', 'shop/*'], [undefined, 'x']])
      await assertRefused(house, client, present(await idJagOf({ scope: claim }), { scope: asked }), {
        status: 400,
        error: 'invalid_scope',
        says: /scope/i,
      });
  });

  test('for who has delegated nothing the template of the provider’s manifest counts, and without one nothing', async () => {
    const jag = () => idJagOf({ sub: 'u-2', email: OTHER });
    const denied = { status: 400, error: 'access_denied', says: /no delegation/ };
    await assertRefused(house, client, present(await jag()), denied);
    await house.apply(provider({ idJag: { agents: [AGENT], template: 'short', scopes: {} } }));
    // As a client that knows only the standard sends it.
    const { status, body } = await client.post(present(await jag(), { authorization_details: undefined }));
    assert.equal(status, 200, JSON.stringify(body));
    const task = await taskOf(body);
    assert.deepEqual([task?.user, task?.template, task?.delegation], [OTHER, 'short', null]);
    await assertRefused(house, client, present(await jag()), denied);
    await house.apply(provider());
  });

  test('an ID-JAG that anything is wrong with is refused', async () => {
    const now = Math.floor(Date.now() / 1000);
    const invalid = (says: RegExp) => ({ status: 400, error: 'invalid_grant', says });
    const used = await idJagOf();
    assert.equal((await client.post(present(used))).status, 200);
    const cases: [string, RequestChange, { status: number; error: string; says: RegExp }, AgentClient?][] = [
      ['replayed', present(used), invalid(/used before/)],
      ['of another client', present(await idJagOf({ client_id: STRANGER })), invalid(/client_id/)],
      ['by another client', present(await idJagOf()), invalid(/client_id/), stranger],
      [
        'for a client not enabled',
        present(await idJagOf({ client_id: STRANGER })),
        invalid(/does not vouch/),
        stranger,
      ],
      ['another audience', present(await idJagOf({ aud: 'https://other.example' })), invalid(/aud/)],
      ['the token endpoint', present(await idJagOf({ aud: `${house.publicUrl}/oauth/token` })), invalid(/aud/)],
      ['no jti', present(await idJagOf({ jti: undefined })), invalid(/jti/)],
      ['too old', present(await idJagOf({ iat: now - 700, exp: now + 60 })), invalid(/ago/)],
      ['another key', present(await idJagOf({}, { ...jagHeader, key: disabled.key('RS256') })), invalid(/signed/)],
      ['an ID token', present(await idTokenOf({ aud: house.publicUrl, client_id: AGENT })), invalid(/./)],
      ['an unknown person', present(await idJagOf({ sub: 'u-9', email: 'no@example.test' })), invalid(/not known/)],
      [
        'not enabled',
        present(await disabled.sign({ aud: house.publicUrl, client_id: AGENT, ...person() }, jagHeader)),
        invalid(/not set to vouch/),
      ],
      ['our own', present(await idJagOf({ iss: house.publicUrl })), invalid(/itself/)],
      ['bound to another key', present(await idJagOf({ cnf: { jkt: randomUUID() } })), invalid(/another key/)],
    ];
    for (const [what, change, expected, by = client] of cases)
      await assertRefused(house, by, change, expected).catch((error: Error) => {
        throw new Error(`${what}: ${error.message}`, { cause: error });
      });
    const alone = { client_assertion: undefined, client_assertion_type: undefined, client_id: AGENT };
    await assertRefused(house, client, present(await idJagOf(), alone), {
      status: 401,
      error: 'invalid_client',
      says: /authentication failed/,
    });
    assertCleanLog(house);
  });

  test('a stopped agent gets nothing, whatever the provider says', async () => {
    await house.registry.setAgentState(AGENT, 'suspended', 'gatehouse', { killed: true });
    await house.settled();
    for (const change of [exchange(await idTokenOf()), present(await idJagOf())]) {
      const { status } = await client.post(change);
      assert.ok(status >= 400, String(status));
    }
    await house.registry.setAgentState(AGENT, 'active', 'gatehouse');
    await house.settled();
  });
});
