import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createSvidSource } from '@gatehouse/sdk';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { auditPages } from './support/page-audit.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const owner = 'owner@example.test';
const leaver = 'leaver@example.test';
const ci = 'https://ci.example.test';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';

describe('identity in the console', { skip }, () => {
  let workspace: Workspace;
  let assets: ReturnType<typeof builtConsole>;
  /** A token of the build system, for the branch. */
  let built: (branch: string) => Promise<string>;

  before(async () => {
    assets = builtConsole();
    workspace = await startWorkspace({ consoleDir: assets.directory });
    const pair = await generateKeyPair('ES256');
    built = (branch) =>
      new SignJWT({ branch })
        .setProtectedHeader({ alg: 'ES256', kid: 'ci' })
        .setIssuer(ci)
        .setSubject('repo:shop')
        .setAudience(workspace.url)
        .setIssuedAt()
        .setExpirationTime('5m')
        .setJti(crypto.randomUUID())
        .sign(pair.privateKey);
    const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'ci', alg: 'ES256' }] };
    const more: ManifestInput[] = [
      {
        kind: 'Workload',
        name: 'nightly',
        owner,
        purpose: 'starts the night’s work',
        environment: 'production',
        starts: ['agent-b'],
      },
      {
        kind: 'TrustRule',
        name: 'builds',
        description: 'The shop’s build system, main branch',
        issuer: { type: 'oidc', url: ci, jwks },
        claims: { sub: 'repo:shop', branch: { pattern: 'main*' } },
        agent: 'agent-b',
      },
      {
        kind: 'ToolServer',
        name: 'mail',
        environments: ['production'],
        // Nobody answers there: what can be seen and connected does not depend on it.
        transport: {
          type: 'http',
          url: 'http://127.0.0.1:9/mcp',
          allowPrivateAddress: true,
          txnToken: true,
          authorization: { grant: 'authorization_code', clientId: 'gatehouse', clientSecret: 'mail-client' },
        },
        tools: { send: { tier: 3, effects: ['send'] } },
      },
      { kind: 'Person', email: leaver, displayName: 'Leaver', roles: ['owner'] },
      { kind: 'Person', email: 'long@example.test', displayName: `\u202e${'W'.repeat(90)}`, roles: ['auditor'] },
      { kind: 'Person', email: 'dev@example.test', displayName: 'Developer', roles: ['developer'] },
      {
        kind: 'Agent',
        name: 'agent-left',
        owner: leaver,
        purpose: 'outlives its owner',
        environment: 'production',
        blueprint: 'support',
      },
      {
        kind: 'Agent',
        name: 'agent-front',
        owner,
        purpose: 'hands tasks on',
        environment: 'production',
        blueprint: 'support',
        delegatesTo: { agents: ['agent-a'], blueprints: [] },
      },
    ];
    await workspace.apply([...manifests(), ...more]);
  });
  after(async () => {
    await browser.close();
    await workspace.close();
    assets.remove();
  });

  const { open, signIn: signInAs } = visitors(browser, () => workspace);
  const signIn = (page: Page, email = owner) => signInAs(page, email);
  const notification = (page: Page, text: string | RegExp) => page.getByRole('alert').filter({ hasText: text });

  /** @proves console.live-credentials */
  test('an agent’s identity page shows what it could act with now, and after a kill nothing', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'show what is alive' });
    await createSvidSource({ url: workspace.url, agent: 'agent-a', key: agent.key }).x509();
    await page.goto(`${workspace.url}/agents/agent-a`);
    await page.getByRole('navigation', { name: 'Pages of agent-a' }).getByRole('link', { name: 'Identity' }).click();
    const live = page.getByRole('table', { name: 'Live credentials of agent-a' });
    await live.getByRole('row').filter({ hasText: 'Access token' }).filter({ hasText: 'private_key_jwt' }).waitFor();
    await live.getByRole('row').filter({ hasText: 'X.509-SVID' }).filter({ hasText: 'the agent itself' }).waitFor();
    // One that is issued while the page is open arrives by itself.
    await createSvidSource({ url: workspace.url, agent: 'agent-a', key: agent.key, task }).jwt(['https://other.test']);
    await live.getByRole('row').filter({ hasText: 'JWT-SVID' }).filter({ hasText: 'https://other.test' }).waitFor();
    await page.getByText(/key .* added/).waitFor();
    await page.getByRole('link', { name: 'agent-front' }).waitFor();

    await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'test' } });
    await page.getByText('Nothing that it holds works').waitFor();
    // Nor do they come back with the agent: they are of the time before.
    await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-a' }, body: { state: 'active' } });
    await page.getByText('It holds nothing that works now').waitFor();
    const after = await workspace.operator('GET /agents/:name/identity', { params: { name: 'agent-a' } });
    assert.deepEqual(after.credentials, []);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.live-credentials */
  test('a token whose task has ended is not shown as alive', async () => {
    const agent = await workspace.agent('agent-b');
    const task = await agent.startTask({ template: 'all', intent: 'ends' });
    const alive = async () =>
      (await workspace.operator('GET /agents/:name/identity', { params: { name: 'agent-b' } })).credentials;
    assert.equal((await alive()).filter(({ kind }) => kind === 'access-token').length, 1);
    await workspace.operator('POST /tasks/:id/end', { params: { id: task.id } });
    assert.deepEqual(await alive(), []);
  });

  test('a person lets an agent act for them, sees it, and takes it back', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/delegations`);
    await page.getByText('No agent acts for you').waitFor();
    await page.getByRole('link', { name: 'Let an agent act for me' }).click();
    await page.getByRole('combobox', { name: 'Agent' }).fill('agent-b');
    await page.getByRole('option', { name: 'agent-b', exact: true }).click();
    await page.getByRole('combobox', { name: 'Kind of task' }).click();
    await page.getByRole('option', { name: 'refund-order' }).click();
    await page.getByLabel('customer').fill('z');
    await page.getByLabel('Only some of what this kind of task allows').click();
    assert.ok(await page.getByRole('button', { name: 'Let it act for me' }).isDisabled(), 'no tool is chosen');
    await page.getByLabel('shop/get_order').click();
    await page.getByLabel('Tasks a day, at most').fill('5');
    await page.getByRole('button', { name: 'Let it act for me' }).click();
    const row = page.getByRole('row').filter({ hasText: 'agent-b' }).filter({ hasText: 'In force' });
    await row.getByText('customer = z · shop/get_order · 5 tasks a day').waitFor();
    const { items } = await workspace.operator('GET /delegations');
    assert.deepEqual(
      items.map(({ user, parameters, tools }) => ({ user, parameters, tools })),
      [{ user: owner, parameters: { customer: 'z' }, tools: ['shop/get_order'] }],
    );

    await page.goto(`${workspace.url}/delegations?review=${items[0]?.id}`);
    await page.getByRole('dialog', { name: 'Shall agent-b go on acting for you?' }).waitFor();
    await page.getByRole('button', { name: 'Let it stand' }).click();
    await row.getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke', exact: true }).click();
    await page.getByRole('row').filter({ hasText: 'agent-b' }).filter({ hasText: 'Revoked' }).waitFor();
    assert.equal((await workspace.operator('GET /delegations')).items[0]?.state, 'revoked');
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('who leaves is offboarded with a successor, after being told what it does', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await workspace.person(leaver);
    await page.goto(`${workspace.url}/identity/people`);
    await page.getByRole('link', { name: 'Leaver', exact: true }).click();
    await page
      .getByRole('table', { name: `Sessions of ${leaver}` })
      .getByRole('button', { name: 'End it' })
      .first()
      .waitFor();
    await page.getByRole('button', { name: 'Offboard…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Offboard Leaver' });
    await dialog.getByText('agent-left is suspended').waitFor();
    await dialog.getByRole('combobox', { name: 'Who takes over their agents' }).click();
    assert.equal(await page.getByRole('option', { name: /Owner/ }).count(), 0, 'who asks is no successor');
    await dialog.getByRole('combobox', { name: 'Who takes over their agents' }).fill('Developer');
    await page.getByRole('option', { name: 'Developer (dev@example.test)' }).click();
    await dialog.getByText('agent-left is handed over to dev@example.test').waitFor();
    await dialog.getByText('they enrol again').waitFor();
    const keep = dialog.getByRole('checkbox', { name: 'Keep the keys of their agents' });
    await keep.check();
    await dialog.getByText('whoever has a copy of one goes on acting').waitFor();
    await keep.uncheck();
    const go = dialog.getByRole('button', { name: 'Offboard', exact: true });
    assert.ok(await go.isDisabled(), 'the address is not typed yet');
    await dialog.getByLabel(`Type ${leaver} to confirm`).fill(leaver);
    await go.click();
    await page
      .getByRole('dialog', { name: `${leaver} is offboarded` })
      .getByText('agent-left')
      .waitFor();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('heading', { level: 1 }).getByText('has left').waitFor();
    const { manifest } = await workspace.operator('GET /agents/:name', { params: { name: 'agent-left' } });
    assert.deepEqual([manifest.owner, manifest.keys], ['dev@example.test', []]);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.shown-once */
  test('no name that a directory gives somebody hides who is who, or reads other than it is', async () => {
    const { page } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/people`);
    const row = page.getByRole('row').filter({ hasText: 'long@example.test' });
    await row.getByText('U+202E').waitFor();
    const edge = page.viewportSize()?.width ?? 0;
    for (const text of ['long@example.test', 'auditor', 'nothing yet']) {
      const box = await row.getByText(text, { exact: true }).boundingBox();
      assert.ok(box && box.x + box.width <= edge, `${text} is out of sight`);
    }
    await page.goto(`${workspace.url}/identity/people/long@example.test`);
    await page.getByRole('heading', { level: 1 }).getByText('U+202E').waitFor();
    await page.context().close();
  });

  test('a directory’s token is shown once, and can be revoked', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/people`);
    await page.getByRole('button', { name: 'Make a token' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('our directory');
    await page.getByRole('button', { name: 'Make the token' }).click();
    const dialog = page.getByRole('dialog', { name: 'Token “our directory”' });
    const token = await dialog.locator('code').first().textContent();
    assert.ok(token && token.length > 30);
    const users = (bearer: string) =>
      fetch(`${workspace.url}/scim/v2/Users`, { headers: { authorization: `Bearer ${bearer}` } });
    assert.equal((await users(token)).status, 200);
    await dialog.getByRole('button', { name: 'Done, I have it' }).click();
    assert.ok(!(await page.content()).includes(token), 'it is gone from the page');
    await page.getByRole('button', { name: 'Revoke our directory' }).click();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await page.getByText('No directory is connected').waitFor();
    assert.equal((await users(token)).status, 401);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('keys rotate with a click; a compromised one is destroyed only when its purpose is typed', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/keys`);
    const card = page.getByRole('article', { name: 'access-token' });
    await card.getByRole('button', { name: 'Rotate' }).click();
    await page.getByRole('button', { name: 'Make the next key' }).click();
    await card.getByText('Next', { exact: true }).waitFor();
    const kids = async () => {
      const { purposes } = await workspace.operator('GET /keys');
      return purposes.find(({ purpose }) => purpose === 'access-token')?.keys.map(({ kid }) => kid) ?? [];
    };
    const before = await kids();
    assert.equal(before.length, 2);
    await card.getByRole('button', { name: 'Compromised…' }).click();
    const destroy = page.getByRole('button', { name: 'Destroy the keys of now' });
    assert.ok(await destroy.isDisabled());
    await page.getByLabel('Type access-token to confirm').fill('access-token');
    await destroy.click();
    await notification(page, 'are destroyed').waitFor();
    assert.ok(!(await kids()).some((kid) => before.includes(kid)));

    await page.goto(`${workspace.url}/identity/trust-domain`);
    const authorities = page.locator('section', {
      has: page.getByRole('heading', { name: 'Certificate authorities' }),
    });
    await authorities.getByRole('button', { name: 'Rotate' }).click();
    await page.getByRole('button', { name: 'Make the next key' }).click();
    await authorities.getByRole('row').filter({ hasText: 'Intermediate' }).filter({ hasText: 'Next' }).waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.shown-once */
  test('a pasted token is explained, claim by claim, and kept nowhere', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/trust-rules`);
    const rule = page.getByRole('article', { name: 'builds' });
    await rule.getByText('never used').waitFor();
    await rule.getByRole('link', { name: 'agent agent-b' }).waitFor();
    const field = page.getByLabel('Token of an outside issuer');
    const explain = async (token: string) => {
      await field.fill(token);
      await page.getByRole('button', { name: 'Explain' }).click();
    };
    await explain(await built('main'));
    await page.getByText('Stands for agent agent-b, by the rule builds.').waitFor();
    assert.equal(await field.inputValue(), '');
    const other = await built('feature/x');
    await explain(other);
    await page.getByText('Refused.').waitFor();
    await page.getByRole('listitem').filter({ hasText: 'branch' }).getByRole('img', { name: 'does not fit' }).waitFor();
    assert.ok(!(await page.content()).includes(other));
    await explain('not.a.token');
    await page.getByText('Refused.').waitFor();
    assert.equal((await workspace.operator('GET /trust-rules')).items[0]?.uses, 0);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  /** @proves console.shown-once */
  test('a join token is shown once, and can be taken back', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/agents/agent-b/identity`);
    await page.getByRole('article', { name: 'builds' }).waitFor();
    await page.getByRole('button', { name: 'Make a join token' }).click();
    await page.getByLabel('Only from').fill('10.0.0.0/8');
    await page.getByRole('button', { name: 'Make the token' }).click();
    const dialog = page.getByRole('dialog', { name: 'Join token for agent-b' });
    const token = await dialog.locator('code').first().textContent();
    assert.ok(token && token.length > 20);
    await dialog.getByText(`gatehouse agent enroll agent-b --url ${workspace.url} --join-token FILE`).waitFor();
    await dialog.getByRole('button', { name: 'Done, I have it' }).click();
    const row = page
      .getByRole('table', { name: 'Join tokens of agent-b' })
      .getByRole('row')
      .filter({ hasText: 'open' });
    await row.getByText('10.0.0.0/8').waitFor();
    assert.ok(!(await page.content()).includes(token), 'it is gone from the page');
    await row.getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await row.waitFor({ state: 'detached' });
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('a workload is suspended, and killed only when its name is typed', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/workloads`);
    await page.getByRole('button', { name: 'Kill nightly' }).click();
    await page.getByLabel('Type nightly to confirm').fill('nightly');
    await page.getByRole('button', { name: 'Kill it' }).click();
    await page.getByRole('row').filter({ hasText: 'nightly' }).filter({ hasText: 'Killed' }).waitFor();
    await page.getByRole('button', { name: 'Activate nightly' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Activate', exact: true }).click();
    await page.getByRole('row').filter({ hasText: 'nightly' }).filter({ hasText: 'Active' }).waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('a secret goes in and never comes out; one that is in use stays', async () => {
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/tools`);
    const line = page.getByRole('list', { name: 'Authorization at mail' });
    await line.getByText('by a person’s consent').waitFor();
    await page.getByText('Each call tells it for whom it is, with a transaction token.').waitFor();
    await line.getByRole('button', { name: 'Connect' }).click();
    await notification(page, 'could not be fetched').waitFor();
    await page.goto(`${workspace.url}/secrets`);
    await page.getByRole('button', { name: 'Set a secret' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('mail-client');
    await page.getByLabel('Value').fill('hunter2-hunter2');
    await page.getByLabel('May be sent to').fill('https://auth.example.test');
    await page.getByLabel('Looked after by').fill('owner@example.test');
    await page.getByLabel('A new one is due').fill('30');
    await page.getByRole('button', { name: 'Set the secret' }).click();
    const row = page.getByRole('table', { name: 'Secrets' }).getByRole('row').filter({ hasText: 'mail-client' });
    await row.getByText('https://auth.example.test').waitFor();
    await row.getByText('owner@example.test').waitFor();
    await row.getByText('in 29 days').waitFor();
    assert.ok(!(await page.content()).includes('hunter2'));
    await row.getByRole('button', { name: 'Delete mail-client' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('dialog').getByText('secret.in-use').waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('security sees who is signed in and can end it', async () => {
    const { page, faults } = await open();
    await signIn(page);
    const dev = await workspace.person('dev@example.test');
    await page.goto(`${workspace.url}/identity/sessions`);
    const row = page.getByRole('table', { name: 'Sessions' }).getByRole('row').filter({ hasText: 'dev@example.test' });
    await row.getByRole('button', { name: 'End it' }).first().click();
    await page.getByRole('button', { name: 'End the session' }).click();
    await row.waitFor({ state: 'detached' });
    await assert.rejects(dev.api('GET /session'), /401/);
    assert.deepEqual(faults, []);
    await page.context().close();
  });

  test('who may only look finds no button that would be refused', async () => {
    for (const email of ['auditor@example.test', 'dev@example.test']) {
      const { page, faults } = await open();
      await signIn(page, email);
      const disabled = async (name: string) => {
        const buttons = page.getByRole('button', { name });
        await buttons.first().waitFor();
        for (const button of await buttons.all()) {
          assert.ok(await button.isDisabled(), `${email}: ${name}`);
          assert.match((await button.getAttribute('title')) ?? '', /needs the role/);
        }
      };
      await page.goto(`${workspace.url}/identity/keys`);
      await disabled('Rotate');
      await disabled('Compromised…');
      await page.goto(`${workspace.url}/identity/trust-domain`);
      await disabled('Compromised…');
      await page.goto(`${workspace.url}/identity/workloads`);
      await disabled('Kill nightly');
      await page.goto(`${workspace.url}/agents/agent-b/identity`);
      await page.getByRole('heading', { name: 'Acts for people' }).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Make a join token' }).count(), 0);
      await page.goto(`${workspace.url}/identity/people/${owner}`);
      await disabled('Offboard…');
      await disabled('Sign-in link');
      assert.equal(await page.getByRole('table', { name: /^Sessions of/ }).count(), 0);
      await page.goto(`${workspace.url}/identity/sessions`);
      await page.getByRole('table').waitFor();
      if (email.startsWith('auditor')) await disabled('End it');
      else await page.getByRole('table', { name: 'Your sessions' }).waitFor();
      assert.deepEqual(faults, []);
      await page.context().close();
    }
  });

  test('every page of identity can be read and used without a mouse, in light and dark, wide and narrow', async () => {
    const agent = await workspace.agent('agent-bearer', { bearerOnly: true });
    await agent.startTask({ template: 'all', intent: 'be seen' });
    const paths = [
      '/identity/people',
      `/identity/people/${owner}`,
      `/identity/people/${leaver}`,
      '/identity/sessions',
      '/delegations?whose=all',
      '/delegations/new?agent=agent-bearer&template=refund-order',
      '/identity/trust-rules',
      '/identity/workloads',
      '/identity/trust-domain',
      '/identity/keys',
      '/agents/agent-b/identity',
      '/agents/agent-bearer/identity',
      '/tools',
      '/secrets',
    ];
    await auditPages({
      url: workspace.url,
      paths,
      narrow: { width: 360, height: 780 },
      async open(how) {
        const opened = await open(how);
        await signIn(opened.page);
        return opened;
      },
    });
  });

  test('people are searched at the server, and whoever looks is told that there are more than the list shows', async () => {
    const crowd = Array.from(
      { length: 60 },
      (_, index): ManifestInput => ({
        kind: 'Person',
        email: `zz-${String(index).padStart(2, '0')}@example.test`,
        displayName: `Somebody ${index}`,
        roles: ['developer'],
      }),
    );
    await workspace.apply([...manifests(), ...crowd]);
    const { page, faults } = await open();
    await signIn(page);
    await page.goto(`${workspace.url}/identity/people`);
    await page.getByText('These are the first 50, by address, and there are more').waitFor();
    assert.equal(await page.getByText('zz-59@example.test').count(), 0);
    const field = page.getByLabel('Search people');
    await field.fill('somebody 59');
    await page.getByText('zz-59@example.test').waitFor();
    await page.getByText('there are more').waitFor({ state: 'detached' });
    await field.fill('somebody nowhere');
    await page.getByText('Nobody is found').waitFor();
    await field.fill('');
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('zz-59@example.test').waitFor();
    assert.deepEqual(faults, []);
    await page.context().close();
  });
});
