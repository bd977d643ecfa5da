import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ToolServerManifest } from '@gatehouse/protocol';
import type { Browser, Page } from 'playwright-core';
import { createCli, ended } from '../packages/cli/test/support.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** In a real browser, with a real command line: what could widen something waits for its person; what stops something does not. */
const browser = (await launchChromium()) as Browser;
const needsBrowser = { skip: browser ? false : 'Chromium is missing: see above' };
const assets = builtConsole();
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-confirmation-'));
let workspace: Workspace;
let page: Page;
let faults: string[];

const email = 'owner@example.test';
const shop = manifests().find((each) => each.kind === 'ToolServer') as ToolServerManifest;
const lowered = (tier: number) => ({
  ...shop,
  tools: { ...shop.tools, refund_order: { tier, effects: ['pay'], resourceArgument: 'order' } },
});

before(async () => {
  workspace = await startWorkspace({ consoleDir: assets.directory });
  await workspace.apply(manifests());
  mkdirSync(join(directory, 'files'));
  if (!browser) return;
  const visitor = await open();
  page = visitor.page;
  faults = visitor.faults;
  await signIn(page, email);
  const child = cli().start(['login', '--no-browser']);
  const done = ended(child);
  await page.goto(await told(child, /open (\S+)\nand compare/));
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('button', { name: 'Sign it in with passkey' }).click();
  assert.equal((await done).code, 0);
});
after(async () => {
  await browser?.close();
  await workspace.close();
  assets.remove();
  rmSync(directory, { recursive: true, force: true });
});

const { open, signIn } = visitors(browser, () => workspace);
const cli = () => createCli(directory, { GATEHOUSE_URL: workspace.url, BROWSER: join(directory, 'no-such-browser') });
const tier = async () =>
  (await workspace.operator('GET /tools')).items.find(({ name }) => name === 'refund_order')?.tier;

function told(child: ReturnType<ReturnType<typeof cli>['start']>, what: RegExp): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (more: string) => {
      text += more;
      const found = what.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('close', () => reject(new Error(`it ended and said: ${text}`)));
  });
}

function file(content: unknown): string {
  const path = join(directory, 'files', `${crypto.randomUUID()}.yaml`);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

/** `gatehouse apply`, up to where it waits for its person. */
async function applying(content: unknown, ...args: string[]) {
  const child = cli().start(['apply', '-f', file(content), '--wait', ...args]);
  const done = ended(child);
  return { child, done, url: await told(child, /confirmed in a browser: (\S+)/) };
}

/** @proves law-4.confirmation-cli, law-4.confirmation-page */
test(
  'an apply that lowers a tier waits; the page shows the plan and who asks; a passkey lets it go on',
  needsBrowser,
  async () => {
    const { done, url } = await applying(lowered(1));
    await page.goto(url);
    await page.getByRole('heading', { name: 'Confirm for the command line' }).waitFor();
    await page.getByText(/The command line \S+, signed in as Owner \(owner@example\.test\)/).waitFor();
    await page.getByText('Apply manifests: all or nothing').waitFor();
    await page.getByText('POST /apply').waitFor();
    await page.getByRole('heading', { name: /ToolServer shop updated/ }).waitFor();
    await page.getByText('tools.refund_order.tier').waitFor();
    await page.getByText('3 → 1').waitFor();
    assert.equal(await tier(), 3);
    await page.getByRole('button', { name: 'Confirm with passkey' }).click();
    await page.getByRole('heading', { name: 'Confirmed' }).waitFor();
    const { code, stdout, stderr } = await done;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /~ ToolServer shop\n {4}tools\.refund_order\.tier: 3 → 1\nApplied: 0 created, 1 updated/);
    assert.match(stderr, /No browser could be opened/, 'it tried, and said so');
    assert.equal(await tier(), 1);
    await page.reload();
    await page.getByRole('heading', { name: 'Confirmed, and done' }).waitFor();
    assert.deepEqual(faults, []);
  },
);

/** @proves law-4.confirmation-cli */
test('a kill goes at once, and so does what looks', needsBrowser, async () => {
  const kill = await cli().run('kill', 'agent-b', '--reason', 'test');
  assert.equal(kill.code, 0, kill.stderr);
  assert.ok(!kill.stderr.includes('browser'));
  assert.equal((await cli().run('plan', '-f', file(lowered(3)))).code, 0);
  const back = await cli().run('agent', 'activate', 'agent-b');
  assert.deepEqual([back.code, /confirmed|confirms/.test(back.stderr)], [3, true], 'bringing it back does not');
});

/** @proves law-4.confirmation-cli */
test(
  'without a terminal it says where to confirm and ends; afterwards the same goes through with --confirmation, once',
  needsBrowser,
  async () => {
    const path = file({ kind: 'Template', name: 'made-here', allow: [{ tools: ['shop/get_order'] }] });
    const asked = await cli().run('apply', '-f', path, '--json');
    assert.deepEqual([asked.code, asked.stdout], [3, '']);
    const { error } = JSON.parse(asked.stderr) as {
      error: { code: string; exitCode: number; confirmation: { id: string; url: string } };
    };
    assert.deepEqual([error.code, error.exitCode], ['confirmation.needed', 3]);
    const { id, url } = error.confirmation;
    const again = (...args: string[]) => cli().run('apply', '-f', path, '--confirmation', id, ...args);
    assert.match((await again()).stderr, /Nobody has confirmed this yet/);
    await page.goto(url);
    await page.getByRole('heading', { name: /Template made-here created/ }).waitFor();
    await page.getByText('shop/get_order').waitFor();
    await page.getByRole('button', { name: 'Confirm with passkey' }).click();
    await page.getByRole('heading', { name: 'Confirmed' }).waitFor();
    const done = await again('--json');
    assert.equal(done.code, 0, done.stderr);
    assert.equal(done.json<{ changes: { operation: string }[] }>().changes[0]?.operation, 'create');
    assert.match((await again()).stderr, /used already/);
  },
);

/** @proves law-4.confirmation-cli */
test(
  'a no ends the wait with 2, and Ctrl-C withdraws the question: a later yes finds nothing',
  needsBrowser,
  async () => {
    const refused = await applying(lowered(2));
    await page.goto(refused.url);
    await page.getByRole('button', { name: 'Refuse' }).click();
    await page.getByText('You have said no').waitFor();
    const { code, stderr } = await refused.done;
    assert.deepEqual([code, /The person said no\. Nothing was done/.test(stderr)], [2, true]);

    const left = await applying(lowered(2));
    await page.goto(left.url);
    await page.getByRole('button', { name: 'Confirm with passkey' }).waitFor();
    left.child.kill('SIGINT');
    const withdrawn = await left.done;
    assert.deepEqual([withdrawn.code, /Withdrawn/.test(withdrawn.stderr)], [1, true]);
    await page.getByRole('button', { name: 'Confirm with passkey' }).click();
    await page
      .getByText(/refused by its person, or withdrawn|You have said no/)
      .first()
      .waitFor();
    assert.equal(await tier(), 1);
  },
);

/** @proves law-4.confirmation-page */
test('somebody else’s browser sees nothing of it', needsBrowser, async () => {
  const { done, url, child } = await applying(lowered(2));
  const stranger = await open();
  await signIn(stranger.page, 'approver@example.test');
  await stranger.page.goto(url);
  await stranger.page.getByText('There is no such confirmation').waitFor();
  child.kill('SIGINT');
  await done;
});
