import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { type FakeSlack, startFakeSlack } from './fakes/slack.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Channels that have an identity of their own for people. Slack is a fake, by its documentation. */
let workspace: Workspace;
let approver: SignedInPerson;
let slack: FakeSlack;

before(async () => {
  slack = await startFakeSlack();
  workspace = await startWorkspace();
  const secret = (name: string, value: string, to: string) =>
    workspace.operator('PUT /secrets/:name', { params: { name }, body: { value, origins: [to] } });
  await secret('slack-bot', slack.botToken, slack.origin);
  await secret('slack-signing', slack.signingSecret, workspace.url);
  await workspace.apply([
    ...manifests().map((each) =>
      each.kind === 'ToolServer'
        ? {
            ...each,
            tools: {
              ...each.tools,
              export_customers: { tier: 3 as const, effects: ['export' as const], approvers: 'quick' },
            },
          }
        : each,
    ),
    {
      kind: 'Channel',
      name: 'slack',
      show: 'arguments',
      people: { U0APPROVER: 'approver@example.test', U0OWNER: 'owner@example.test', U0AUDITOR: 'auditor@example.test' },
      allowPrivateAddress: true,
      slack: {
        channel: 'C0FAKE',
        botToken: 'slack-bot',
        signingSecret: 'slack-signing',
        team: 'T0FAKE',
        approveButton: true,
        api: slack.api,
      },
    },
    {
      kind: 'ApprovalRule',
      name: 'quick',
      steps: [{ from: ['owner', 'role:approver'] }],
      accept: ['passkey', 'channel:slack'],
    },
  ]);
  approver = await workspace.person('approver@example.test');
});
after(async () => {
  await workspace?.close();
  slack?.close();
});

async function ask(tool = 'refund_order', more: { reason?: string; requestedBy?: string } = {}) {
  const { requestedBy, reason = 'test' } = more;
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test', ...(requestedBy && { requestedBy }) });
  const refund = { order: 1042, amount_cents: 1, currency: 'EUR', reason: `${reason} ${crypto.randomUUID()}` };
  const args = tool === 'refund_order' ? refund : { destination: `https://${crypto.randomUUID()}.example.test` };
  const call = async () => {
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    return client.callTool({ name: `shop__${tool}`, arguments: args });
  };
  const waiting = (await call())._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.ok(waiting, JSON.stringify(await call()));
  return { id: waiting.id, call, task };
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error(`never: ${what}`);
}

const stateOf = async (id: string) => (await workspace.operator('GET /approvals/:id', { params: { id } })).state;
const recordsOf = async (id: string) =>
  (await workspace.operator('GET /records', { query: { approval: id, limit: '200' } })).items.map(
    ({ record }) => record,
  );

const posted = (id: string, method = 'chat.postMessage') =>
  until(
    () => slack.calls.find((each) => each.method === method && JSON.stringify(each.body).includes(id)),
    `${method} of ${id}`,
  );

async function press(...of: Parameters<FakeSlack['press']>) {
  const pressed = slack.press(...of);
  const send = async (headers: Record<string, string> = {}) =>
    (
      await fetch(`${workspace.url}/channels/slack`, {
        method: 'POST',
        ...pressed,
        headers: { ...pressed.headers, ...headers },
      })
    ).status;
  return { status: await send(), send };
}

/** @proves channel.slack */
test('Slack shows what waits without markup, its button leads to the page, and the message changes once a passkey has approved', async () => {
  const { id, call } = await ask('refund_order', { reason: '<!channel> <https://evil.example|ok> *bold*\u202E' });
  const { body } = await posted(id);
  assert.equal(body.channel, 'C0FAKE');
  const text = JSON.stringify(body);
  assert.ok(!/"mrkdwn"\s*:\s*true|"type":"mrkdwn"/.test(text), 'no text of it is markup');
  assert.ok(!text.includes('https://evil') && !text.includes('\u202e'));
  const { elements } = (
    body.blocks as { type: string; elements: { action_id: string; url?: string; value?: string }[] }[]
  ).find(({ type }) => type === 'actions') as { elements: { action_id: string; url?: string; value?: string }[] };
  assert.equal(elements[0]?.url, `${workspace.url}/approvals/${id}`);
  await approver.approve(id);
  const updated = await until(
    () =>
      slack.calls.find((each) => each.method === 'chat.update' && JSON.stringify(each.body).includes('Approved by')),
    'the message changed',
  );
  assert.ok(!JSON.stringify(updated.body).includes('"actions"'), 'its buttons are gone');
  assert.ok(!(await call()).isError);
});

/** @proves channel.slack */
test('Deny in Slack is enough; of strangers, auditors, other workspaces, without a signature or twice it is nothing', async () => {
  const { id, task } = await ask();
  const deny = { action_id: 'gatehouse-deny', value: id };
  const token = await task.token();
  assert.equal((await press('U0APPROVER', deny, { secret: 'other' })).status, 401);
  assert.equal((await press('U0APPROVER', deny, { at: Date.now() - 301_000 })).status, 401);
  assert.equal((await press('U0APPROVER', deny, { team: 'T0OTHER' })).status, 403);
  await press('U0STRANGER', deny);
  await press('U0AUDITOR', deny);
  const asAgent = slack.press('U0APPROVER', deny);
  const response = await fetch(`${workspace.url}/channels/slack`, {
    method: 'POST',
    body: asAgent.body,
    headers: { ...asAgent.headers, authorization: `DPoP ${token}` },
  });
  assert.equal(response.status, 401);
  assert.equal(await stateOf(id), 'pending');
  const codes = (await recordsOf(id)).map((record) => JSON.stringify(record)).join();
  assert.match(codes, /channel\.person-unknown/);
  assert.match(codes, /approval\.not-approver/);
  await until(
    () => slack.calls.find(({ method, body }) => method === 'chat.postEphemeral' && body.user === 'U0AUDITOR'),
    'told why',
  );
  const { status, send } = await press('U0APPROVER', deny);
  assert.equal(status, 200);
  assert.equal(await stateOf(id), 'denied');
  const before = (await recordsOf(id)).length;
  await send();
  assert.equal((await recordsOf(id)).filter(({ operation }) => operation === 'approval.deny').length, 1);
  assert.ok((await recordsOf(id)).length >= before);
});

/** @proves channel.accepted, channel.not-accepted */
test('a yes in Slack counts where a rule accepts the channel, is kept with what Slack signed, and nowhere else', async () => {
  const ordinary = await ask();
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: ordinary.id });
  assert.equal(await stateOf(ordinary.id), 'pending');
  assert.match(JSON.stringify(await recordsOf(ordinary.id)), /approval\.passkey-needed/);
  const mine = await ask('export_customers', { requestedBy: 'approver@example.test' });
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: mine.id });
  assert.equal(await stateOf(mine.id), 'pending');
  assert.match(JSON.stringify(await recordsOf(mine.id)), /approval\.requester/);
  const { id, call } = await ask('export_customers');
  await press('U0AUDITOR', { action_id: 'gatehouse-approve', value: id });
  assert.equal(await stateOf(id), 'pending');
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: id });
  assert.equal(await stateOf(id), 'approved');
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual([approval.votes[0]?.person, approval.votes[0]?.channel], ['approver@example.test', 'slack']);
  assert.match(JSON.stringify(await recordsOf(id)), /said in channel slack by U0APPROVER/);
  await workspace.restart();
  assert.ok(!(await call()).isError, 'it runs, also after a restart');
  assert.equal(await stateOf(id), 'consumed');
});

/** @proves channel.accepted */
test('no yes of a channel endorses values or grants more calls', async () => {
  const { id } = await ask('export_customers');
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: id });
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual([approval.state, approval.endorsed], ['approved', []]);
});
