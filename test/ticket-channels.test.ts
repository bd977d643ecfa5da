import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import Provider, { errors } from 'oidc-provider';
import type { Browser } from 'playwright-core';
import { deviceCode } from '../packages/server/src/approvals/channels/device.ts';
import { type FakeJira, startFakeJira, WEBHOOK_SECRET } from './fakes/jira.ts';
import { type FakeServiceNow, startFakeServiceNow } from './fakes/servicenow.ts';
import { launchChromium } from './support/chromium.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { visitors } from './support/visitors.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Places that are asked what people have said there: ticket systems, which are fakes by their documentation, and CIBA at a real OpenID provider.
 */
let workspace: Workspace;
let assets: ReturnType<typeof builtConsole> | undefined;
const browser = (await launchChromium()) as Browser | undefined;
const skip = browser ? false : 'Chromium is missing: see above';
let jira: FakeJira;
let now: FakeServiceNow;
let provider: Provider;
let ciba: Server;
const devices: { accountId: string; bindingMessage: string; request: object }[] = [];

async function startProvider() {
  await new Promise<void>((resolve) => {
    ciba = createServer((request, response) => provider.callback()(request, response)).listen(0, '127.0.0.1', resolve);
  });
  const issuer = issuerOf();
  provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'gatehouse',
        client_secret: 'ciba-s3cret',
        grant_types: ['urn:openid:params:grant-type:ciba'],
        response_types: [],
        redirect_uris: [],
        backchannel_token_delivery_mode: 'poll',
      },
    ],
    findAccount: (_, accountId) => ({ accountId, claims: async () => ({ sub: accountId }) }),
    features: {
      devInteractions: { enabled: false },
      ciba: {
        enabled: true,
        deliveryModes: ['poll'],
        processLoginHint: async (_, hint) => hint,
        verifyUserCode: async () => undefined,
        validateRequestContext: async () => undefined,
        triggerAuthenticationDevice: async (_, request, account) => {
          const { binding_message: bindingMessage } = request.params as unknown as { binding_message: string };
          devices.push({ accountId: account.accountId, bindingMessage, request });
        },
      },
    },
  });
  return issuer;
}

/** Somebody answers on their device. */
async function answerOnDevice(request: object, accountId: string, says: 'yes' | 'no') {
  if (says === 'no') {
    await provider.backchannelResult(request as never, new errors.AccessDenied());
    return;
  }
  const grant = new provider.Grant({ clientId: 'gatehouse', accountId });
  grant.addOIDCScope('openid');
  await grant.save();
  await provider.backchannelResult(request as never, grant);
}

const people = {
  'acc-approver': 'approver@example.test',
  'acc-auditor': 'auditor@example.test',
  approver: 'approver@example.test',
};
const common = { kind: 'Channel' as const, show: 'arguments' as const, people, allowPrivateAddress: true };
const issuerOf = () => `http://127.0.0.1:${(ciba.address() as AddressInfo).port}`;

before(async () => {
  [jira, now] = await Promise.all([startFakeJira(), startFakeServiceNow()]);
  const issuer = await startProvider();
  if (browser) assets = builtConsole();
  workspace = await startWorkspace({ ...(assets && { consoleDir: assets.directory }) });
  const secret = (name: string, value: string, to: string) =>
    workspace.operator('PUT /secrets/:name', { params: { name }, body: { value, origins: [to] } });
  await secret('jira', 'jira-t0ken', jira.origin);
  await secret('jira-webhook', WEBHOOK_SECRET, workspace.url);
  await secret('now', 'now-s3cret', now.origin);
  await secret('ciba', 'ciba-s3cret', issuer);
  await workspace.apply([
    ...manifests().map((each): ManifestInput => {
      if (each.kind !== 'ToolServer') return each;
      const exported = { tier: 3 as const, effects: ['export' as const], approvers: 'by-ticket' };
      return { ...each, tools: { ...each.tools, export_customers: exported } };
    }),
    {
      ...common,
      name: 'jira',
      jira: {
        url: jira.origin,
        user: 'bot@example.test',
        token: 'jira',
        project: 'OPS',
        decisions: { approve: ['Approved'], deny: ['Declined'] },
        webhookSecret: 'jira-webhook',
      },
    },
    {
      ...common,
      name: 'now',
      serviceNow: { url: now.origin, user: 'gatehouse', password: 'now', fields: { type: 'normal' }, counts: true },
    },
    { ...common, name: 'ciba', ciba: { issuer, clientId: 'gatehouse', secret: 'ciba', counts: true } },
    {
      kind: 'ApprovalRule',
      name: 'by-ticket',
      steps: [{ from: ['owner', 'role:approver'] }],
      accept: ['channel:jira', 'channel:now', 'channel:ciba'],
    },
  ]);
});
after(async () => {
  await browser?.close();
  assets?.remove();
  await workspace?.close();
  jira?.close();
  now?.close();
  ciba?.closeAllConnections();
  ciba?.close();
});

let agent: ReturnType<Workspace['agent']> | undefined;
async function ask(tool: 'refund_order' | 'export_customers') {
  agent ??= workspace.agent('agent-a');
  const task = await (await agent).startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const refund = {
    order: 1042,
    amount_cents: 1,
    currency: 'EUR',
    reason: `[code]<b>${crypto.randomUUID()}</b>[/code]`,
  };
  const args = tool === 'refund_order' ? refund : { destination: `https://${crypto.randomUUID()}.example.test` };
  const call = () => client.callTool({ name: `shop__${tool}`, arguments: args });
  const waiting = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.ok(waiting);
  return { id: waiting.id, call };
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  for (let tries = 0; tries < 1_200; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error(`never: ${what}`);
}

const stateOf = async (id: string) => (await workspace.operator('GET /approvals/:id', { params: { id } })).state;
const reached = (id: string, state: string) =>
  until(async () => ((await stateOf(id)) === state ? true : undefined), `${id} ${state}`);
/** Sent, and noted as sent. */
const sent = (channel: string, id: string) =>
  until(async () => {
    const { items } = await workspace.operator('GET /channels/:name/deliveries', { params: { name: channel } });
    return items.find((each) => each.approval === id && each.event === 'asked' && each.state === 'sent');
  }, `${channel} was told of ${id}`);
const issueOf = async (id: string) => {
  await sent('jira', id);
  return until(
    () => [...jira.issues].find(([, { fields }]) => JSON.stringify(fields.description).includes(id))?.[0],
    'an issue',
  );
};
const nudge = async (key: string, secret?: string) =>
  (await fetch(`${workspace.url}/channels/jira`, { method: 'POST', ...jira.webhook(key, secret) })).status;

/** @proves channel.jira */
test('an issue is opened for what waits; who declines it there denies, and the issue is told', async () => {
  const { id } = await ask('refund_order');
  const key = await issueOf(id);
  assert.match(JSON.stringify(jira.issues.get(key)?.fields.description), /"type":"codeBlock"/);
  jira.move(key, 'acc-approver', 'Declined');
  assert.equal(await nudge(key, 'other'), 401);
  assert.equal(await stateOf(id), 'pending');
  assert.equal(await nudge(key), 204);
  await reached(id, 'denied');
  await until(() => jira.comments.find((each) => each.includes('Denied by')), 'a comment');
});

/** @proves channel.jira */
test('what Jira says counts, not the webhook; of who moved the issue last; where a rule accepts it', async () => {
  const ordinary = await ask('refund_order');
  const first = await issueOf(ordinary.id);
  assert.equal(await nudge(first), 204);
  jira.move(first, 'acc-approver', 'Approved');
  assert.equal(await nudge(first), 204);
  assert.equal(await stateOf(ordinary.id), 'pending', 'no rule of it accepts the channel');
  const { id, call } = await ask('export_customers');
  const key = await issueOf(id);
  await nudge(key);
  assert.equal(await stateOf(id), 'pending', 'the webhook said approved, Jira did not');
  for (const account of ['acc-auditor', 'acc-stranger', 'constructor']) {
    jira.move(key, account, 'Approved');
    await nudge(key);
    assert.equal(await stateOf(id), 'pending', account);
  }
  jira.move(key, 'acc-approver', 'In Progress');
  await nudge(key);
  assert.equal(await stateOf(id), 'pending');
  jira.move(key, 'acc-approver', 'Approved');
  await nudge(key);
  await reached(id, 'approved');
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.equal(approval.votes[0]?.channel, 'jira');
  assert.ok(!(await call()).isError);
  const { items } = await workspace.operator('GET /records', { query: { approval: id, limit: '200' } });
  assert.match(JSON.stringify(items), /channel\.person-unknown/);
});

/** @proves channel.servicenow */
test('a change is opened; its approval counts of the approver who gave it themselves, and is asked for by itself', async () => {
  const [set, own] = [await ask('export_customers'), await ask('export_customers')];
  const recordOf = async (id: string) => {
    await sent('now', id);
    return [...now.records].find(([, { correlation_id }]) => correlation_id === id)?.[0] ?? '';
  };
  const record = now.records.get(await recordOf(own.id));
  assert.equal(record?.type, 'normal');
  assert.ok(!/\[code\]/i.test(record?.description ?? ''));
  now.approve(await recordOf(set.id), 'approver', 'approved', 'admin');
  now.approve(await recordOf(own.id), 'approver', 'approved');
  await reached(own.id, 'approved');
  assert.equal(await stateOf(set.id), 'pending', 'set by an administrator');
  assert.ok(!(await own.call()).isError);
  now.approve(await recordOf(set.id), 'approver', 'rejected');
  await reached(set.id, 'denied');
  await until(() => [...now.records.values()].find(({ work_notes }) => work_notes?.includes('Denied by')), 'a note');
});

const deviceOf = (id: string, digest: string) =>
  until(() => devices.find(({ bindingMessage }) => bindingMessage === deviceCode(id, digest)), `a device for ${id}`);
async function asked() {
  const { id, call } = await ask('export_customers');
  const { digest } = await workspace.operator('GET /approvals/:id', { params: { id } });
  return { id, call, digest, device: await deviceOf(id, digest) };
}
const refusedWith = (id: string, code: string) =>
  until(async () => {
    const { items } = await workspace.operator('GET /records', { query: { approval: id, limit: '200' } });
    return JSON.stringify(items).includes(code) || undefined;
  }, `${code} for ${id}`);

/** @proves channel.ciba */
test('CIBA counts of whoever has looked at the page before, compares the code, and confirms; of nobody else, and once', async () => {
  const person = await workspace.person('approver@example.test');
  const { id, call, digest, device } = await asked();
  await sent('ciba', id);
  const progress = await person.api('GET /approvals/:id/progress', { params: { id } });
  assert.equal(progress.byDevice, 'ciba');
  const look = (body: { digest: string }, who = person, of = id) =>
    who.api('POST /approvals/:id/look', { params: { id: of }, body });
  await assert.rejects(look({ digest: 'sha256-other' }), /409|not what was shown/);
  const owner = await workspace.person('owner@example.test');
  await assert.rejects(look({ digest }, owner), /does not count|409/, 'whom the provider does not know');
  const { code } = await look({ digest });
  assert.equal(code, device.bindingMessage, 'what the page shows is what the device shows');
  assert.match(code, /^GH-[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  await answerOnDevice(device.request, 'acc-approver', 'yes');
  await reached(id, 'approved');
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual(
    approval.votes.map(({ channel, who, person: by }) => [channel, who, by]),
    [['ciba', 'acc-approver', 'approver@example.test']],
  );
  assert.ok(!(await call()).isError);
  const { items } = await workspace.operator('GET /records', { query: { approval: id, limit: '200' } });
  assert.match(JSON.stringify(items), /approval\.look/);
  assert.match(JSON.stringify(items), /said in channel ciba by acc-approver/);
});

/** @proves channel.ciba */
test('the page asks whoever has read it, and shows the code that the device shows', { skip }, async () => {
  const { open, signIn } = visitors(browser as Browser, () => workspace);
  const { page, faults } = await open();
  await signIn(page, 'approver@example.test');
  const { id, device } = await asked();
  await sent('ciba', id);
  await page.goto(`${workspace.url}/approvals/${id}`);
  await page.getByRole('button', { name: 'I have read this: confirm on my device' }).click();
  await page.getByText(device.bindingMessage).waitFor();
  await answerOnDevice(device.request, 'acc-approver', 'yes');
  await page.getByText('Approved by approver@example.test').waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
});

/** @proves channel.ciba */
test('who confirms on a device before they have looked, or is somebody else, has said nothing; declining denies', async () => {
  const person = await workspace.person('approver@example.test', { recovery: true });
  const [early, late, no, other] = [await asked(), await asked(), await asked(), await asked()];
  await answerOnDevice(other.device.request, 'acc-stranger', 'yes').catch(() => undefined);
  await answerOnDevice(early.device.request, 'acc-approver', 'yes');
  await refusedWith(early.id, 'approval.not-seen');
  // Confirmed, and looked at before we could know: the order can't be told, so that it is none.
  await sent('ciba', late.id);
  await answerOnDevice(late.device.request, 'acc-approver', 'yes');
  await assert.rejects(
    person.api('POST /approvals/:id/look', { params: { id: late.id }, body: { digest: late.digest } }),
    /has answered before you looked/,
  );
  await refusedWith(late.id, 'approval.not-seen');
  await answerOnDevice(no.device.request, 'acc-approver', 'no');
  await reached(no.id, 'denied');
  assert.deepEqual(
    [await stateOf(early.id), await stateOf(late.id), await stateOf(other.id)],
    ['pending', 'pending', 'pending'],
  );
});

/** @proves channel.ciba */
test('a confirmation of a sign-in that is too weak counts for nothing, and a channel that reminds can’t be accepted', async () => {
  const person = await workspace.person('approver@example.test', { recovery: true });
  const { id, digest, device } = await asked();
  await sent('ciba', id);
  const strict = { issuer: issuerOf(), clientId: 'gatehouse', secret: 'ciba', counts: true };
  await workspace.apply([{ ...common, name: 'ciba', ciba: { ...strict, acrValues: ['phishing-resistant'] } }]);
  await person.api('POST /approvals/:id/look', { params: { id }, body: { digest } });
  await answerOnDevice(device.request, 'acc-approver', 'yes');
  await refusedWith(id, 'channel.weak');
  assert.equal(await stateOf(id), 'pending');
  const rule = { kind: 'ApprovalRule' as const, name: 'by-device', steps: [{ from: ['owner' as const] }] };
  await workspace.apply([{ ...common, name: 'reminds', ciba: { ...strict, counts: false }, agents: ['agent-none'] }]);
  await assert.rejects(workspace.apply([{ ...rule, accept: ['channel:reminds'] }]), /CIBA/);
  await workspace.apply([{ ...common, name: 'ciba', ciba: strict }]);
});

/** @proves channel.text */
test('what an approver reads in a ticket is what was asked: an edited one has no yes, though it was put back', async () => {
  const restored = await ask('export_customers');
  const key = await issueOf(restored.id);
  const { summary } = jira.issues.get(key)?.fields ?? { summary: '' };
  jira.edit(key, { summary: 'harmless' });
  jira.edit(key, { summary });
  jira.move(key, 'acc-approver', 'Approved');
  await nudge(key);
  await refusedWith(restored.id, 'channel.weak');
  const untraced = await ask('export_customers');
  const second = await issueOf(untraced.id);
  jira.edit(second, { description: { type: 'doc', content: [] } }, false);
  jira.move(second, 'acc-approver', 'Approved');
  await nudge(second);
  await refusedWith(untraced.id, 'channel.weak');
  assert.deepEqual([await stateOf(restored.id), await stateOf(untraced.id)], ['pending', 'pending']);
  // A no stands, whatever they have read.
  jira.move(second, 'acc-approver', 'Declined');
  await nudge(second);
  await reached(untraced.id, 'denied');
  await sent('now', restored.id);
  const [record, fields] = [...now.records].find(([, { correlation_id }]) => correlation_id === restored.id) ?? [
    '',
    {},
  ];
  fields.description = 'harmless';
  now.approve(record, 'approver', 'approved');
  await until(async () => {
    const { items } = await workspace.operator('GET /records', { query: { approval: restored.id, limit: '200' } });
    return JSON.stringify(items).includes('channel:now') || undefined;
  }, 'a refusal of the record');
  assert.equal(await stateOf(restored.id), 'pending');
});

/** @proves channel.bound */
test('an answer counts for the approval that its ticket was opened for: a row that points to another moves nothing', async () => {
  const [asked, other] = [await ask('export_customers'), await ask('export_customers')];
  const [key, strange] = [await issueOf(asked.id), await issueOf(other.id)];
  const properties = jira.issues.get(key)?.properties;
  Object.assign(jira.issues.get(key) ?? {}, { properties: jira.issues.get(strange)?.properties });
  jira.move(key, 'acc-approver', 'Approved');
  await nudge(key);
  assert.equal(await stateOf(asked.id), 'pending', 'it says it is of another');
  Object.assign(jira.issues.get(key) ?? {}, { properties: [] });
  await nudge(key);
  assert.equal(await stateOf(asked.id), 'pending', 'it says nothing');
  Object.assign(jira.issues.get(key) ?? {}, { properties });
  const [move] = (jira.issues.get(key)?.histories ?? []) as { created: string }[];
  if (move) move.created = '2020-01-01T00:00:00.000+0000';
  await nudge(key);
  assert.equal(await stateOf(asked.id), 'pending', 'said before it was asked');
  await sent('now', asked.id);
  const [id, record] = [...now.records].find(([, { correlation_id }]) => correlation_id === asked.id) ?? ['', {}];
  record.correlation_display = 'sha256:other';
  now.approve(id, 'approver', 'approved');
  await sleep(6_000);
  assert.equal(await stateOf(asked.id), 'pending', 'it is of another action');
  jira.move(key, 'acc-approver', 'Approved');
  await nudge(key);
  await reached(asked.id, 'approved');
});
