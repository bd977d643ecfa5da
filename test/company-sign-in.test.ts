import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import Provider from 'oidc-provider';
import { companySignInLimits } from '../packages/server/src/identity/people/company-sign-in/limits.ts';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Sign-in with the company's provider: a real one (oidc-provider), and one that lies. */
onEachDatabase('sign-in with the company’s provider', (database) => {
  let workspace: Workspace;
  let stoodStillAt: number | undefined;
  const servers: Server[] = [];
  const accounts = new Map<string, Record<string, unknown>>();
  /** What the lying provider puts into its ID token, and how. */
  let lie: { claims?: Record<string, unknown>; alg?: 'none'; foreignKey?: boolean; down?: boolean; iss?: string } = {};
  let lyingUrl = '';
  let lyingKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
  const lyingKeys: object[] = [];
  let lastNonce = '';

  before(async () => {
    workspace = await startWorkspace({ database: await database(), clock: { now: () => stoodStillAt ?? Date.now() } });
    const honest = await listen((issuer) => honestProvider(issuer));
    lyingUrl = await listen((issuer) => lyingProvider(issuer));
    const provider = (name: string, issuer: string, more: object = {}): ManifestInput => ({
      kind: 'IdentityProvider',
      name,
      displayName: name,
      issuer,
      clientId: 'gatehouse',
      allowPrivateAddress: true,
      ...more,
    });
    await workspace.apply([
      ...manifests(),
      { kind: 'Person', email: 'dana@example.test', displayName: 'Dana', roles: ['approver', 'auditor'] },
      { kind: 'Person', email: 'erin@example.test', displayName: 'Erin', roles: ['auditor'] },
      // Of the directory, which says nothing here; the provider happens to have a group of that name.
      { kind: 'RoleMapping', name: 'staff', group: 'staff', roles: ['admin'] },
      { kind: 'Group', name: 'staff', members: [], directoryGroup: 'staff' },
      {
        kind: 'ControlPolicy',
        name: 'staff-only',
        cedar: '@id("refresh") permit (principal in Group::"staff", action in Action::"refresh", resource);',
      },
      { kind: 'Person', email: 'kira@example.test', displayName: 'Kira', roles: ['admin'] },
      provider('honest', honest, {
        groupsClaim: 'groups',
        scopes: ['openid', 'email', 'groups'],
        roles: { staff: ['auditor'] },
        provision: true,
        domains: ['example.test'],
      }),
      // Roles, but nobody is made: who is unknown stays so.
      provider('lying', lyingUrl, { enrolsPasskeys: false, groupsClaim: 'groups', roles: { staff: ['admin'] } }),
    ]);
  });
  after(async () => {
    await workspace.close();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function listen(
    make: (
      issuer: string,
    ) => Promise<(...of: Parameters<Provider['callback']> extends never ? never : never[]) => unknown> | unknown,
  ) {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (await make(issuer)) as never);
    return issuer;
  }

  async function honestProvider(issuer: string) {
    const { keys } = (await (await fetch(`${workspace.url}/oidc/jwks`)).json()) as { keys: never[] };
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: 'gatehouse',
          redirect_uris: [`${workspace.url}/oidc/callback/honest`],
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          jwks: { keys },
          response_types: ['code'],
          grant_types: ['authorization_code'],
        },
      ],
      pkce: { required: () => true },
      claims: { email: ['email', 'email_verified'], groups: ['groups'] },
      scopes: ['openid', 'email', 'groups'],
      findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, ...accounts.get(id) }) }),
      cookies: { keys: ['test'] },
    });
    return provider.callback();
  }

  async function lyingProvider(issuer: string) {
    const own = await generateKeyPair('ES256', { extractable: true });
    lyingKey = own.privateKey;
    const foreign = await generateKeyPair('ES256', { extractable: true });
    lyingKeys.push({ ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' });
    const json = (response: import('node:http').ServerResponse, body: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    return async (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => {
      const path = request.url ?? '';
      if (lie.down) return response.writeHead(503).end();
      if (path.startsWith('/.well-known'))
        return json(response, {
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['ES256'],
          authorization_response_iss_parameter_supported: true,
        });
      if (path === '/jwks') return json(response, { keys: lyingKeys });
      const now = Math.floor(Date.now() / 1000);
      const claims: Record<string, unknown> = {
        iss: issuer,
        aud: 'gatehouse',
        sub: 'erin-1',
        email: 'erin@example.test',
        email_verified: true,
        nonce: lastNonce,
        iat: now,
        exp: now + 60,
        ...lie.claims,
      };
      for (const [name, value] of Object.entries(claims)) if (value === undefined) delete claims[name];
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const token =
        lie.alg === 'none'
          ? `${part({ alg: 'none' })}.${part(claims)}.`
          : await new SignJWT(claims)
              .setProtectedHeader({ alg: 'ES256', kid: 'one' })
              .sign((lie.foreignKey ? foreign : own).privateKey);
      json(response, { access_token: 'x', token_type: 'Bearer', id_token: token });
    };
  }

  /** A browser's cookies by origin, and nothing else of it. */
  function browser() {
    const jar = new Map<string, Map<string, string>>();
    return async (url: string, init: RequestInit = {}) => {
      const { origin } = new URL(url);
      const cookies = jar.get(origin) ?? new Map<string, string>();
      jar.set(origin, cookies);
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(url, {
        redirect: 'manual',
        ...init,
        headers: { ...(init.headers as Record<string, string>), ...(cookie && { cookie }) },
      });
      for (const line of response.headers.getSetCookie()) {
        const [pair = ''] = line.split(';');
        const at = pair.indexOf('=');
        cookies.set(pair.slice(0, at), pair.slice(at + 1));
      }
      return response;
    };
  }
  type Browser = ReturnType<typeof browser>;

  async function begin(go: Browser, provider: string, next = '/approvals'): Promise<string> {
    const response = await go(`${workspace.url}/api/v1/signin/provider`, {
      method: 'POST',
      headers: { origin: workspace.url, 'content-type': 'application/json' },
      body: JSON.stringify({ provider, next }),
    });
    const { url, title } = (await response.json()) as { url?: string; title?: string };
    if (url === undefined) throw new Error(title);
    return url;
  }

  /** Signs in at the real provider as its pages ask, and gives the address that it sends the browser back to. */
  async function atHonest(go: Browser, login: string, start: string): Promise<string> {
    let url = start;
    for (let step = 0; step < 12; step++) {
      if (url.startsWith(workspace.url)) return url;
      let response = await go(url);
      if (response.status === 200) {
        const html = await response.text();
        const action = /action="([^"]+)"/.exec(html)?.[1] ?? '';
        const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1] ?? '';
        response = await go(new URL(action, url).href, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ prompt, ...(prompt === 'login' && { login, password: 'x' }) }).toString(),
        });
      }
      url = new URL(response.headers.get('location') ?? '', url).href;
    }
    throw new Error('the provider did not come to an end');
  }

  const signIn = async (login: string, go = browser()) => ({
    go,
    response: await go(await atHonest(go, login, await begin(go, 'honest'))),
  });
  const whoAmI = async (go: Browser) =>
    (await go(`${workspace.url}/api/v1/session`)).json() as Promise<{
      person?: { email: string; roles: string[] };
      enrolled?: boolean;
      title?: string;
    }>;

  /** @proves oidc.sign-in, oidc.declared-only */
  test('a declared person signs in with the company’s provider, and somebody it knows and we do not does not', async () => {
    accounts.set('dana-1', { email: 'Dana@example.test', email_verified: true });
    const { go, response } = await signIn('dana-1');
    assert.equal(response.status, 303, await response.clone().text());
    assert.equal(response.headers.get('location'), '/approvals');
    assert.match(
      response.headers.getSetCookie().join('\n'),
      /gatehouse_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict/,
    );
    const session = await whoAmI(go);
    assert.deepEqual([session.person?.email, session.enrolled], ['dana@example.test', true]);
    const listed = (await (await go(`${workspace.url}/api/v1/sessions`)).json()) as {
      items: { via: string; provider: string }[];
    };
    assert.deepEqual([listed.items[0]?.via, listed.items[0]?.provider], ['oidc', 'honest']);

    accounts.set('mallory', { email: 'mallory@example.test', email_verified: true });
    const stranger = await signIn('mallory');
    assert.equal(stranger.response.status, 403);
    assert.match(await stranger.response.text(), /identity\.no-group/);
    assert.equal((await whoAmI(stranger.go)).title, 'session.none');
  });

  /** @proves oidc.takeover */
  test('an account is known by its subject: an address that changes at the provider makes nobody somebody else', async () => {
    // Dana's account is given Erin's address: it stays Dana's.
    accounts.set('dana-1', { email: 'erin@example.test', email_verified: true });
    const { go } = await signIn('dana-1');
    assert.equal((await whoAmI(go)).person?.email, 'dana@example.test');
    // Another account is given Dana's address: it is nobody's.
    accounts.set('dana-2', { email: 'dana@example.test', email_verified: true });
    const { response } = await signIn('dana-2');
    assert.equal(response.status, 403);
    assert.match(await response.text(), /identity\.taken/);
    for (const [sub, claims, code] of [
      ['erin-unverified', { email: 'erin@example.test', email_verified: false }, /identity\.unverified-email/],
      ['erin-no-email', {}, /identity\.no-email/],
      ['erin-elsewhere', { email: 'erin@evil.test', email_verified: true }, /identity\.domain/],
      // A Kelvin sign, which is a "k" in lower case; a letter that looks like one; a domain that is folded.
      ['kira-kelvin', { email: '\u212aira@example.test', email_verified: true }, /identity\.no-email/],
      ['erin-cyrillic', { email: '\u0435rin@example.test', email_verified: true }, /identity\.no-email/],
      ['kira-domain', { email: 'kira@\u212aexample.test', email_verified: true }, /identity\.no-email/],
    ] as const) {
      accounts.set(sub, claims);
      const refused = await signIn(sub);
      assert.equal(refused.response.status, 403);
      assert.match(await refused.response.text(), code);
    }
  });

  test('a group with roles makes a person at sign-in, and takes the roles back with the group', async () => {
    accounts.set('frank', { email: 'frank@example.test', email_verified: true, groups: ['staff', 'other'] });
    const { go, response } = await signIn('frank');
    assert.equal(response.status, 303);
    assert.deepEqual((await whoAmI(go)).person, {
      email: 'frank@example.test',
      displayName: 'frank@example.test',
      roles: ['auditor'],
    });
    const refresh = await go(`${workspace.url}/api/v1/servers/shop/refresh`, {
      method: 'POST',
      headers: { origin: workspace.url, 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(refresh.status, 403, 'a group of the directory is not the provider’s of that name');
    const { manifests: exported } = await workspace.operator('GET /export');
    assert.ok(!JSON.stringify(exported).includes('frank@'), 'only what was declared is exported');
    accounts.set('frank', { email: 'frank@example.test', email_verified: true, groups: [] });
    const again = await signIn('frank');
    assert.match(await again.response.text(), /identity\.no-group/);
    const left = await workspace.operator('GET /people/:email', { params: { email: 'frank@example.test' } });
    assert.deepEqual([left.roles, left.sessions], [[], 0], 'what the refusal says is stored');
    assert.equal((await whoAmI(go)).title, 'session.none');
    // Nor does a group bring somebody back who was offboarded, or make somebody where the provider may not.
    accounts.set('frank', { email: 'frank@example.test', email_verified: true, groups: ['staff'] });
    await workspace.operator('POST /people/:email/offboard', { params: { email: 'frank@example.test' } });
    const offboarded = await signIn('frank');
    assert.match(await offboarded.response.text(), /identity\.unknown/);
    assert.equal((await whoAmI(offboarded.go)).title, 'session.none');
    const made = await atLying({ claims: { sub: 'x-1', email: 'x@example.test', groups: ['staff'] } });
    assert.match(made.text, /identity\.unknown/);
    await assert.rejects(workspace.operator('GET /people/:email', { params: { email: 'x@example.test' } }), {
      status: 404,
    });
  });

  /** @proves oidc.replay */
  test('state and code are good once, in the browser that began, and at the provider that was asked', async () => {
    const go = browser();
    const back = await atHonest(go, 'dana-1', await begin(go, 'honest'));
    // Another browser is handed the link: it is signed in as nobody.
    assert.match(await (await browser()(back)).text(), /identity\.no-sign-in/);
    assert.equal((await go(back)).status, 303);
    assert.match(await (await go(back)).text(), /identity\.no-sign-in/);
    // What one provider was asked, another does not answer.
    const mixed = await atHonest(go, 'dana-1', await begin(go, 'honest'));
    assert.match(await (await go(mixed.replace('/callback/honest', '/callback/lying'))).text(), /identity\.no-sign-in/);
  });

  test('the page to go on with is a path of ours, whatever was asked for', async () => {
    for (const [next, location] of [
      ['/agents?filter=a#b', '/agents?filter=a#b'],
      ['//evil.test/', '/'],
      ['/\\evil.test/', '/'],
      ['/\t/evil.test/', '/'],
      ['/.//evil.test/', '/evil.test/'],
      ['https://evil.test/', '/'],
      ['/a\r\nset-cookie: gatehouse_session=x', '/aset-cookie:%20gatehouse_session=x'],
      ['/\u00fcber', '/%C3%BCber'],
    ] as const) {
      const go = browser();
      const response = await go(await atHonest(go, 'dana-1', await begin(go, 'honest', next)));
      assert.deepEqual([response.status, response.headers.get('location')], [303, location], JSON.stringify(next));
    }
  });

  async function atLying(change: typeof lie, answer: (url: URL) => void = () => undefined) {
    const go = browser();
    lie = {};
    const start = new URL(await begin(go, 'lying'));
    lastNonce = start.searchParams.get('nonce') ?? '';
    assert.equal(start.searchParams.get('code_challenge_method'), 'S256');
    lie = change;
    const back = new URL(`${workspace.url}/oidc/callback/lying`);
    back.search = new URLSearchParams({
      code: 'x',
      state: start.searchParams.get('state') ?? '',
      iss: lie.iss ?? lyingUrl,
    }).toString();
    answer(back);
    const response = await go(back.href);
    lie = {};
    return { status: response.status, text: await response.text(), who: await whoAmI(go) };
  }

  /** @proves oidc.id-token */
  test('an ID token that proves nothing opens nothing', async () => {
    assert.equal((await atLying({})).who.person?.email, 'erin@example.test', 'honest for once');
    for (const [what, change] of Object.entries({
      'alg none': { alg: 'none' },
      'another key': { foreignKey: true },
      'no nonce': { claims: { nonce: undefined } },
      'another nonce': { claims: { nonce: 'x' } },
      'another audience': { claims: { aud: 'somebody-else' } },
      'another issuer': { claims: { iss: 'https://elsewhere.test' } },
      expired: { claims: { exp: Math.floor(Date.now() / 1000) - 600 } },
      'mixed up (RFC 9207)': { iss: 'https://elsewhere.test' },
    } as Record<string, typeof lie>)) {
      const { status, text, who } = await atLying(change);
      assert.equal(status, 401, `${what}: ${text}`);
      assert.match(text, /identity\.not-verified/, what);
      assert.equal(who.title, 'session.none', what);
    }
    const denied = await atLying({}, (url) => {
      url.searchParams.delete('code');
      url.searchParams.set('error', 'access_denied');
      url.searchParams.set('error_description', '<script>alert(1)</script>');
    });
    assert.equal(denied.status, 403);
    assert.match(denied.text, /identity\.refused/);
    assert.ok(!denied.text.includes('<script>'));
  });

  test('a provider that is down says so, and leads to no other answer', async () => {
    await workspace.apply([
      {
        kind: 'IdentityProvider',
        name: 'gone',
        displayName: 'Gone',
        issuer: 'http://127.0.0.1:9',
        clientId: 'x',
        allowPrivateAddress: true,
      },
      { kind: 'IdentityProvider', name: 'inside', displayName: 'Inside', issuer: 'http://127.0.0.1:9', clientId: 'x' },
      {
        kind: 'IdentityProvider',
        name: 'meta',
        displayName: 'Meta',
        issuer: 'https://169.254.169.254',
        clientId: 'x',
        allowPrivateAddress: true,
      },
    ]);
    for (const name of ['gone', 'inside', 'meta'])
      await assert.rejects(begin(browser(), name), /identity-provider\.unreachable/, name);
  });

  /** @proves law-4.oidc */
  test('who signed in with the provider enrols a first passkey, and never a second one; approving needs the passkey', async () => {
    accounts.set('dana-1', { email: 'dana@example.test', email_verified: true });
    const dana = await workspace.person('dana@example.test');
    const { go } = await signIn('dana-1');
    const post = async (path: string, body: unknown = {}) => {
      const response = await go(`${workspace.url}/api/v1${path}`, {
        method: 'POST',
        headers: { origin: workspace.url, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: response.status, ...((await response.json()) as { title?: string; options?: unknown }) };
    };
    const { options } = await post('/passkeys/options');
    const { createSoftwarePasskey } = await import('@gatehouse/sdk/software-passkey');
    const second = createSoftwarePasskey();
    const enrolled = await post('/passkeys', {
      name: 'planted',
      attestation: second.register(options as never, workspace.url),
    });
    assert.deepEqual([enrolled.status, enrolled.title], [403, 'session.passkey-needed']);
    assert.equal((await dana.api('GET /passkeys')).items.length, 1);
    // Nor does it take one away, which would leave the planted one.
    const { options: more } = await dana.api('POST /passkeys/options');
    const spare = createSoftwarePasskey().register(more as never, workspace.url);
    await dana.api('POST /passkeys', { body: { name: 'spare', attestation: spare } });
    const { items } = await dana.api('GET /passkeys');
    for (const { id } of items) {
      const response = await go(`${workspace.url}/api/v1/passkeys/${id}`, {
        method: 'DELETE',
        headers: { origin: workspace.url, 'content-type': 'application/json' },
      });
      const { title } = (await response.json()) as { title: string };
      assert.deepEqual([response.status, title], [403, 'session.passkey-needed']);
    }
  });

  /** @proves law-4.oidc */
  test('where the provider enrols no passkeys, the first one needs an admin’s link', async () => {
    const go = browser();
    lie = {};
    const start = new URL(await begin(go, 'lying'));
    lastNonce = start.searchParams.get('nonce') ?? '';
    const state = start.searchParams.get('state') ?? '';
    const query = new URLSearchParams({ code: 'x', state, iss: lyingUrl });
    assert.equal((await go(`${workspace.url}/oidc/callback/lying?${query}`)).status, 303);
    assert.equal((await whoAmI(go)).person?.email, 'erin@example.test');
    const post = async (path: string, body: object) =>
      (await (
        await go(`${workspace.url}/api/v1${path}`, {
          method: 'POST',
          headers: { origin: workspace.url, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).json()) as { title?: string; options?: unknown };
    const { options } = await post('/passkeys/options', {});
    const { createSoftwarePasskey } = await import('@gatehouse/sdk/software-passkey');
    const attestation = createSoftwarePasskey().register(options as never, workspace.url);
    assert.equal((await post('/passkeys', { name: 'first', attestation })).title, 'session.enrol-by-link');
  });

  /** @proves oidc.back-channel */
  test('the provider ends the sessions that it vouched for, by a logout token that is good once and nothing else', async () => {
    const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
    const enter = async (sid: string) => {
      const go = browser();
      lie = {};
      const start = new URL(await begin(go, 'lying'));
      lastNonce = start.searchParams.get('nonce') ?? '';
      lie = { claims: { sid } };
      const back = new URL(`${workspace.url}/oidc/callback/lying`);
      const state = start.searchParams.get('state') ?? '';
      back.search = new URLSearchParams({ code: 'x', state, iss: lyingUrl }).toString();
      assert.equal((await go(back.href)).status, 303);
      lie = {};
      return go;
    };
    const isIn = async (go: Browser) => (await whoAmI(go)).person !== undefined;
    const logoutToken = (jti: string, change: Record<string, unknown> = {}, by = { kid: 'one', key: lyingKey }) => {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        iss: lyingUrl,
        aud: 'gatehouse',
        iat: now,
        exp: now + 120,
        jti,
        sid: 'one',
        events: { [EVENT]: {} },
      };
      const all = Object.entries({ ...claims, ...change }).filter(([, value]) => value !== undefined);
      return new SignJWT(Object.fromEntries(all)).setProtectedHeader({ alg: 'ES256', kid: by.kid }).sign(by.key);
    };
    const logOut = async (token: string) => {
      const response = await fetch(`${workspace.url}/oidc/backchannel-logout/lying`, {
        method: 'POST',
        body: new URLSearchParams({ logout_token: token }),
      });
      return response.status;
    };
    const one = await enter('one');
    const two = await enter('two');
    for (const [why, change] of Object.entries({
      'a nonce: an ID token': { nonce: 'n' },
      'no event': { events: {} },
      'nobody named': { sid: undefined },
      'another audience': { aud: 'other' },
      'another issuer': { iss: 'https://elsewhere.test' },
      expired: { exp: Math.floor(Date.now() / 1000) - 600 },
      'no jti': { jti: undefined },
    }))
      assert.equal(await logOut(await logoutToken('refused', change)), 400, why);
    assert.ok((await isIn(one)) && (await isIn(two)));
    const token = await logoutToken('first');
    assert.equal(await logOut(token), 200);
    assert.deepEqual([await isIn(one), await isIn(two)], [false, true]);
    const again = await enter('one');
    assert.equal(await logOut(token), 400, 'captured and sent again it ends nothing');
    assert.ok(await isIn(again));
    assert.equal(await logOut(await logoutToken('second', { sid: undefined, sub: 'erin-1' })), 200);
    assert.deepEqual([await isIn(again), await isIn(two)], [false, false]);

    // The provider has begun to sign with another key; it is asked again, and not for every key that anybody names.
    const next = await generateKeyPair('ES256', { extractable: true });
    stoodStillAt = Date.now();
    const three = await enter('three');
    const byNext = await logoutToken('third', { sid: 'three' }, { kid: 'two', key: next.privateKey });
    assert.equal(await logOut(byNext), 400, 'a key that it does not publish');
    lyingKeys.push({ ...(await exportJWK(next.publicKey)), kid: 'two', alg: 'ES256', use: 'sig' });
    assert.equal(await logOut(byNext), 400, 'asked a moment ago');
    stoodStillAt += companySignInLimits.keysAgainMs;
    assert.equal(await logOut(byNext), 200);
    assert.equal(await isIn(three), false);
  });
});
