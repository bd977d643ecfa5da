import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createAgent, createMcpTransport, createSvidSource, outsideTokenCredential } from '@gatehouse/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { SignJWT } from 'jose';
import type { BrowserContext } from 'playwright-core';
import { launchChromium } from '../../test/support/chromium.ts';
import { builtConsole } from '../../test/support/console.ts';
import { manifests } from '../../test/support/fixtures.ts';
import { startWorkspace, type Workspace } from '../../test/support/workspace.ts';
import type { Part } from '../part.ts';
import { createCases, resultOf } from './cases.ts';
import { PASSWORD, people, realmOf, SECRET, SERVICE_ACCOUNT } from './keycloak-realm.ts';
import { installKeycloak, KEYCLOAK_VERSION, type Keycloak, startKeycloak } from './keycloak-server.ts';

const { declared, stranger } = people;
/** The agent that holds a key, the one that a service account stands for, and the one that goes to Keycloak with its SVID. */
const [keyed, federated] = ['agent-bearer', 'agent-a'];
const task = { template: 'all', intent: 'try Keycloak' };
/** The machine may be busy: Keycloak makes each page when it is first asked for it. */
const PATIENCE_MS = 90_000;
/** `refetchMs` of docs/reference/limits.md, and a little. */
const KEYS_LIMIT_MS = 35_000;

/** Keycloak as the company's identity provider: of people, of services, and as a server that takes agents' SVIDs. */
export const keycloak: Part = {
  heading: 'Keycloak as the company’s identity provider (C4)',
  async run() {
    const home = await installKeycloak();
    const assets = builtConsole();
    const workspace = await startWorkspace({ consoleDir: assets.directory });
    const spiffeId = `spiffe://example.test/env/production/agent/${keyed}`;
    const provider = await startKeycloak(home, realmOf({ gatehouse: workspace.url, spiffeId }));
    const { cases, check } = createCases();
    try {
      await workspace.apply(manifestsFor(provider.issuer));
      await tryPeople(workspace, provider, check);
      await tryIdTokens(workspace, provider, check);
      await tryServices(workspace, provider, check);
      await trySvid(workspace, provider, check);
    } finally {
      await provider.close();
      await workspace.close();
      assets.remove();
    }
    const how =
      'Its realm is imported (conformance/foreign/keycloak-realm.ts) and set up as the [documentation](../docs/how-to/company-sign-in.md) says; people sign in with Chromium, in the console. Not tried: SCIM, which Keycloak does not send.';
    return resultOf(`Keycloak ${KEYCLOAK_VERSION}`, how, cases);
  },
};

type Check = ReturnType<typeof createCases>['check'];

const manifestsFor = (issuer: string) => [
  ...manifests(),
  { kind: 'Person' as const, email: declared, displayName: 'Dana', roles: ['owner' as const] },
  { kind: 'Group' as const, name: 'staff', members: [declared], allow: [{ tools: ['shop/get_order'] }] },
  {
    kind: 'IdentityProvider' as const,
    name: 'company',
    displayName: 'Keycloak',
    issuer,
    clientId: 'gatehouse',
    allowPrivateAddress: true,
    tokenExchange: { audiences: ['mail-application'] },
  },
  {
    kind: 'TrustRule' as const,
    name: 'nightly-report',
    issuer: { type: 'oidc' as const, url: issuer, allowPrivateAddress: true },
    claims: { sub: SERVICE_ACCOUNT, typ: 'Bearer' },
    agent: federated,
  },
];

async function tryPeople(workspace: Workspace, { admin }: Keycloak, check: Check): Promise<void> {
  const browser = await launchChromium();
  if (!browser) throw new Error('Chromium is missing: see above.');
  const contexts: BrowserContext[] = [];
  const signIn = async (email: string) => {
    const context = await browser.newContext();
    contexts.push(context);
    context.setDefaultTimeout(PATIENCE_MS);
    context.setDefaultNavigationTimeout(PATIENCE_MS);
    const page = await context.newPage();
    await page.goto(`${workspace.url}/sign-in`);
    await page.getByRole('button', { name: 'Sign in with Keycloak' }).click();
    await page.locator('#username').fill(email);
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#kc-login').click();
    await page.waitForURL((url) => url.origin === workspace.url);
    await page.waitForLoadState();
    return { page, context };
  };
  const whoIs = async (context: BrowserContext) => {
    const answer = await context.request.get(`${workspace.url}/api/v1/session`);
    return ((await answer.json()) as { person?: { email: string } }).person?.email;
  };
  try {
    let signedIn: BrowserContext | undefined;
    await check(
      'somebody whom a manifest declares signs in on the console’s sign-in page: code flow, PKCE, a signed request for the token (private_key_jwt, ES256)',
      async () => {
        const { page, context } = await signIn(declared);
        await page.getByRole('heading', { name: 'Overview' }).waitFor();
        assert.equal(await whoIs(context), declared);
        signedIn = context;
      },
    );
    await check('somebody whom only Keycloak knows is signed in as nobody', async () => {
      const { context } = await signIn(stranger);
      assert.equal(await whoIs(context), undefined);
    });
    await check(
      'when an administrator of Keycloak ends the sessions of a user, theirs here ends (back-channel logout)',
      async () => {
        assert.ok(signedIn, 'nobody is signed in');
        const [user] = await admin<{ id: string }[]>('GET', `users?username=${encodeURIComponent(declared)}`);
        await admin('POST', `users/${user?.id}/logout`);
        assert.equal(await whoIs(signedIn), undefined);
      },
    );
  } finally {
    for (const context of contexts) await context.close();
    await browser.close();
  }
}

async function tryIdTokens(workspace: Workspace, { issuer }: Keycloak, check: Check): Promise<void> {
  const { key } = await workspace.agent(keyed, { bearerOnly: true });
  const person = await workspace.person(declared);
  const application = async () =>
    tokenOf(issuer, {
      ...{ grant_type: 'password', client_id: 'mail-application', client_secret: SECRET, scope: 'openid' },
      ...{ username: declared, password: PASSWORD },
    });
  const exchange = async (token: string) => {
    const assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(keyed)
      .setSubject(keyed)
      .setAudience(workspace.url)
      .setIssuedAt()
      .setExpirationTime('60s')
      .sign(key.privateKey);
    const response = await fetch(`${workspace.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
        authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', ...task }]),
      }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  await check('the ID token of an application, exchanged by an agent without a delegation, gives nothing', async () => {
    const { status, body } = await exchange((await application()).id_token ?? '');
    assert.deepEqual([status, body.error], [400, 'access_denied'], JSON.stringify(body));
  });
  await check(
    'with a delegation it gives a token of a task for that person, once, and no more than both may',
    async () => {
      await person.api('POST /delegations', { body: { agent: keyed, template: 'all' } });
      const { id_token: token = '' } = await application();
      const { status, body } = await exchange(token);
      assert.equal(status, 200, JSON.stringify(body));
      const client = new Client({ name: 'conformance', version: '1' });
      const authProvider = { token: async () => body.access_token };
      await client.connect(new StreamableHTTPClientTransport(new URL(`${workspace.url}/mcp`), { authProvider }));
      const { tools } = await client.listTools();
      await client.close();
      assert.deepEqual(
        tools.map(({ name }) => name),
        ['shop__get_order'],
      );
      assert.notEqual((await exchange(token)).status, 200, 'the same ID token again');
    },
  );
  await check('an access token of Keycloak whose audience is that application is no ID token', async () => {
    const { status } = await exchange((await application()).access_token ?? '');
    assert.notEqual(status, 200);
  });
}

async function tryServices(workspace: Workspace, { issuer, admin }: Keycloak, check: Check): Promise<void> {
  const account = async (client: string) =>
    (await tokenOf(issuer, { grant_type: 'client_credentials', client_id: client, client_secret: SECRET }))
      .access_token ?? '';
  const start = async (token: () => Promise<string>) => {
    const credential = outsideTokenCredential(token);
    return (await createAgent({ url: workspace.url, agent: federated, credential })).startTask(task);
  };
  const calls = async (token: () => Promise<string>) => {
    const client = new Client({ name: 'conformance', version: '1' });
    await client.connect(createMcpTransport(await start(token)));
    const answer = await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
    await client.close();
    assert.ok(!answer.isError, JSON.stringify(answer));
  };
  await check('the token of a service account is an agent by a trust rule, and the agent calls a tool', () =>
    calls(() => account('nightly-report')),
  );
  await check('such a token is good once, and that of another service account of the realm for nothing', async () => {
    const token = await account('nightly-report');
    await start(async () => token);
    await assert.rejects(start(async () => token));
    await assert.rejects(start(() => account('other-service')));
  });
  await check(
    'tokens that Keycloak signs with a new key are taken, half a minute after its keys were last asked for at the latest',
    async () => {
      await admin('POST', 'components', {
        name: 'newer',
        providerId: 'rsa-generated',
        providerType: 'org.keycloak.keys.KeyProvider',
        config: { priority: ['200'], keySize: ['2048'], algorithm: ['RS256'] },
      });
      for (const until = Date.now() + KEYS_LIMIT_MS; ; await delay(2_000)) {
        try {
          return await calls(() => account('nightly-report'));
        } catch (error) {
          if (Date.now() > until) throw error;
        }
      }
    },
  );
}

async function trySvid(workspace: Workspace, { issuer }: Keycloak, check: Check): Promise<void> {
  const { key } = await workspace.agent(keyed, { bearerOnly: true });
  const source = createSvidSource({ url: workspace.url, agent: keyed, key });
  const present = async (svid: string) =>
    tokenOf(issuer, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: svid,
    });
  await check(
    'an agent’s JWT-SVID is a client of Keycloak, which has our bundle (its preview of SPIFFE), and only with Keycloak as audience',
    async () => {
      const { access_token, error_description } = await present((await source.jwt([issuer])).token);
      assert.ok(access_token, error_description);
      assert.equal((await present((await source.jwt(['https://other.example'])).token)).access_token, undefined);
    },
  );
  source.close();
}

async function tokenOf(issuer: string, form: Record<string, string>): Promise<Record<string, string | undefined>> {
  const url = `${issuer}/protocol/openid-connect/token`;
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
  return (await response.json()) as Record<string, string>;
}
