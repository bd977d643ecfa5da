import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import {
  type ForeignAuthorizationServer,
  startForeignAuthorizationServer,
  wayBackTo,
} from './support/foreign-authorization-server.ts';
import { freePort } from './support/free-port.ts';
import { type ProtectedServer, startProtectedServer } from './support/protected-server.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

const browser = (await launchChromium()) as Browser;
const owner = 'owner@example.test';

/** @proves upstream.browser */
describe('connecting a tool server in Chromium', { skip: browser ? false : 'Chromium is missing: see above' }, () => {
  let workspace: Workspace;
  let issuer: ForeignAuthorizationServer;
  let peer: ProtectedServer;
  let person: SignedInPerson;

  before(async () => {
    const port = await freePort();
    issuer = await startForeignAuthorizationServer((own) => [
      {
        client_id: 'gate',
        client_secret: 'test-only-secret-of-the-gate',
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [wayBackTo(`http://localhost:${port}`, own)],
        response_types: ['code'],
      },
    ]);
    peer = await startProtectedServer(issuer.issuer);
    workspace = await startWorkspace({ port });
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'client-secret' },
      body: { value: 'test-only-secret-of-the-gate', origins: [issuer.issuer] },
    });
    await workspace.apply([
      { kind: 'Environment', name: 'production' },
      { kind: 'Person', email: owner, displayName: 'Owner', roles: ['admin'] },
      {
        kind: 'ToolServer',
        name: 'personal',
        environments: ['production'],
        transport: {
          type: 'http',
          url: peer.url,
          allowPrivateAddress: true,
          authorization: { grant: 'authorization_code', clientId: 'gate', clientSecret: 'client-secret' },
        },
        tools: {},
      } as ManifestInput,
    ]);
    person = await workspace.person(owner);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    await peer.close();
    await issuer.close();
  });

  async function withPage(session: string | undefined, look: (page: Page) => Promise<void>): Promise<void> {
    const context = await browser.newContext();
    const [name = '', value = ''] = session?.split('=') ?? [];
    if (session !== undefined)
      await context.addCookies([{ name, value, url: workspace.url, httpOnly: true, sameSite: 'Strict' }]);
    await look(await context.newPage());
    await context.close();
  }
  const begin = async (as: Pick<Workspace, 'operator'>['operator']) =>
    (await as('POST /servers/:name/connect', { params: { name: 'personal' } })).url;
  const connectedBy = async () =>
    (await workspace.operator('GET /servers')).items[0]?.authorization[0]?.connectedBy ?? null;

  test('goes from the page of whoever began to the authorization server and back', async () => {
    const address = await begin(person.api as Workspace['operator']);
    await withPage(person.cookie, async (page) => {
      await page.goto(`${workspace.url}/oauth/client-metadata.json`);
      // As the console does.
      await page.evaluate((to) => location.assign(to), address);
      await page.getByRole('heading', { name: 'Connected', exact: true }).waitFor();
      assert.ok(page.url().startsWith(`${workspace.url}/upstream/callback/http:127.0.0.1`));
      assert.deepEqual(
        (await page.context().cookies()).filter(({ name }) => name.includes('gatehouse_connect')),
        [],
      );
    });
    assert.equal(await connectedBy(), `person:${owner}`);
  });

  test('of the operator asks first; what was begun in one browser is not finished in another', async () => {
    const address = await begin(workspace.operator);
    let wayOn = '';
    await withPage(undefined, async (page) => {
      page.on('request', (request) => {
        if (request.url().startsWith(issuer.issuer)) wayOn ||= request.url();
      });
      await page.route(`${issuer.issuer}/**`, (route) => route.abort());
      await page.goto(address);
      const asked = page.waitForEvent('requestfailed');
      await page.getByRole('button', { name: 'Go on' }).click();
      await asked;
    });
    await withPage(person.cookie, async (page) => {
      await page.goto(wayOn);
      await page.getByText('This was begun in another browser').waitFor();
    });
    assert.equal(await connectedBy(), `person:${owner}`);

    await withPage(undefined, async (page) => {
      await page.goto(await begin(workspace.operator));
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByRole('heading', { name: 'Connected', exact: true }).waitFor();
    });
    assert.equal(await connectedBy(), 'operator');
  });
});
