import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { type FakeSlack, startFakeSlack } from './fakes/slack.ts';
import { type FakeTeams, startFakeTeams } from './fakes/teams.ts';
import { manifests } from './support/fixtures.ts';
import { type ReceivedMail, startMailServer } from './support/mail-server.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Channels as people have them. Slack and Teams are fakes, by their documentation; mail goes to a real SMTP server, over TLS. */
let workspace: Workspace;
let approver: SignedInPerson;
let slack: FakeSlack;
let agent: ReturnType<Workspace['agent']> | undefined;
let teams: FakeTeams;
let mailServer: Awaited<ReturnType<typeof startMailServer>>;
let mails: ReceivedMail[];

before(async () => {
  slack = await startFakeSlack();
  teams = await startFakeTeams();
  mailServer = await startMailServer();
  mails = mailServer.mails;
  workspace = await startWorkspace();
  const secret = (name: string, value: string, to: string) =>
    workspace.operator('PUT /secrets/:name', { params: { name }, body: { value, origins: [to] } });
  await secret('slack-bot', slack.botToken, slack.origin);
  await secret('slack-signing', slack.signingSecret, workspace.url);
  await secret('bot', 'bot-s3cret', teams.origin);
  await secret('workflow', `${teams.origin}/workflows/x/triggers/manual/paths/invoke?sig=fake`, teams.origin);
  await secret('mail', 'mail-s3cret', 'https://localhost');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await secret('dkim', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'https://localhost');
  const mail = {
    host: 'localhost',
    port: mailServer.port,
    from: 'gatehouse@example.test',
    user: 'gatehouse',
    password: 'mail',
  };
  await workspace.apply([
    {
      kind: 'Channel',
      name: 'mail',
      show: 'arguments',
      allowPrivateAddress: true,
      ca: mailServer.ca,
      mail: { ...mail, dkim: { domain: 'example.test', selector: 'gh', key: 'dkim' } },
    },
    { kind: 'Channel', name: 'mail-untrusted', agents: ['agent-none'], allowPrivateAddress: true, mail },
    { kind: 'Channel', name: 'mail-outside', agents: ['agent-none'], ca: mailServer.ca, mail },
    {
      kind: 'Channel',
      name: 'teams',
      show: 'arguments',
      people: { 'aad-approver': 'approver@example.test', 'aad-auditor': 'auditor@example.test' },
      allowPrivateAddress: true,
      teams: {
        bot: {
          appId: teams.appId,
          tenant: teams.tenant,
          password: 'bot',
          serviceUrl: `${teams.origin}/`,
          conversation: '19:fake@thread.tacv2',
          approveButton: true,
          loginUrl: teams.origin,
          metadataUrl: `${teams.origin}/metadata`,
        },
      },
    },
    {
      kind: 'Channel',
      name: 'workflow',
      allowPrivateAddress: true,
      teams: { workflow: { address: 'workflow', origin: teams.origin } },
    },
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
      accept: ['passkey', 'channel:slack', 'channel:teams'],
    },
  ]);
  approver = await workspace.person('approver@example.test');
});
after(async () => {
  await workspace?.close();
  slack?.close();
  teams?.close();
  await mailServer?.close();
});

async function ask(tool = 'refund_order', more: { reason?: string; requestedBy?: string; destination?: string } = {}) {
  const { requestedBy, reason = 'test', destination = `https://${crypto.randomUUID()}.example.test` } = more;
  agent ??= workspace.agent('agent-a');
  const task = await (await agent).startTask({ template: 'all', intent: 'test', ...(requestedBy && { requestedBy }) });
  const refund = { order: 1042, amount_cents: 1, currency: 'EUR', reason: `${reason} ${crypto.randomUUID()}` };
  const args = tool === 'refund_order' ? refund : { destination };
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
  for (let tries = 0; tries < 1_200; tries++) {
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

/** Sent, and noted as sent: only then is there a message to say yes to. */
const sent = (channel: string, id: string) =>
  until(async () => {
    const { items } = await workspace.operator('GET /channels/:name/deliveries', { params: { name: channel } });
    return items.find((each) => each.approval === id && each.event === 'asked' && each.state === 'sent');
  }, `${channel} was told of ${id}`);

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
  await sent('slack', id);
  await press('U0AUDITOR', { action_id: 'gatehouse-approve', value: id });
  assert.equal(await stateOf(id), 'pending');
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: id });
  assert.equal(await stateOf(id), 'approved');
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual([approval.votes[0]?.person, approval.votes[0]?.channel], ['approver@example.test', 'slack']);
  assert.match(JSON.stringify(await recordsOf(id)), /said in channel slack by U0APPROVER/);
  assert.equal(approval.votes[0]?.who, 'U0APPROVER');
  await workspace.restart();
  assert.ok(!(await call()).isError, 'it runs, also after a restart');
  assert.equal(await stateOf(id), 'consumed');
});

/** @proves channel.accepted */
test('no yes of a channel endorses values or grants more calls', async () => {
  const { id } = await ask('export_customers');
  await sent('slack', id);
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: id });
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual([approval.state, approval.endorsed], ['approved', []]);
});

/** @proves channel.seen */
test('what a message cut or took a credential out of has no button that approves, and no yes there counts', async () => {
  const whole = await ask('export_customers');
  await sent('slack', whole.id);
  assert.match(JSON.stringify((await posted(whole.id)).body), /gatehouse-approve/);
  for (const destination of [
    `https://x.example.test/${'x'.repeat(1_700)}`,
    `https://x.example.test/?q=AKIA${'QWERTYUIOPASDFGH'}`,
  ]) {
    const { id } = await ask('export_customers', { destination });
    await Promise.all([sent('slack', id), sent('teams', id)]);
    assert.doesNotMatch(JSON.stringify((await posted(id)).body), /gatehouse-approve/);
    assert.doesNotMatch(JSON.stringify((await cards(id)).body), /gatehouse-approve/);
    // Somebody makes the button's message themselves.
    await press('U0APPROVER', { action_id: 'gatehouse-approve', value: id });
    const { body } = await pressInTeams('aad-approver', { verb: 'gatehouse-approve', approval: id });
    assert.match(body.value ?? '', /did not show all/);
    assert.equal(await stateOf(id), 'pending');
    assert.match(JSON.stringify(await recordsOf(id)), /approval\.not-seen/);
    await approver.approve(id);
  }
});

/** @proves channel.seen */
test('a rule can’t accept a channel that shows no arguments, nor can such a channel come to show fewer', async () => {
  const { items } = await workspace.operator('GET /channels', {});
  assert.ok(items.length > 0);
  const manifest = await workspace.operator('GET /channels/:name', { params: { name: 'slack' } });
  const rule = (channel: string) => ({
    kind: 'ApprovalRule' as const,
    name: 'unseen',
    steps: [{ from: ['owner' as const] }],
    accept: ['passkey' as const, `channel:${channel}` as const],
  });
  await assert.rejects(workspace.apply([rule('workflow')]), /show: arguments/);
  await assert.rejects(workspace.apply([{ ...manifest.manifest, show: 'tool' }]), /show: arguments/);
});

/** @proves channel.known */
test('a yes in a channel counts no longer once the channel does not know who said it', async () => {
  const { id, call } = await ask('export_customers');
  await sent('slack', id);
  await press('U0APPROVER', { action_id: 'gatehouse-approve', value: id });
  assert.equal(await stateOf(id), 'approved');
  const { manifest } = await workspace.operator('GET /channels/:name', { params: { name: 'slack' } });
  const { U0APPROVER: _, ...others } = manifest.people;
  await workspace.apply([{ ...manifest, people: others }]);
  const result = await call();
  assert.ok(result._meta?.['gatehouse/approval'] !== undefined || result.isError, JSON.stringify(result));
  assert.notEqual(await stateOf(id), 'consumed');
  await workspace.apply([manifest]);
});

const mailTo = (to: string, id: string) =>
  until(() => mails.find((each) => each.to.includes(to) && each.raw.includes(`/approvals/${id}`)), `a mail to ${to}`);

/** @proves channel.mail */
test('everybody who may decide gets a mail over TLS; its link is the page and holds no token; what the agent gave is no link in it', async () => {
  const { id, call } = await ask('refund_order', {
    reason: '<a href="https://evil.example">x</a>',
    requestedBy: 'nobody@example.test',
  });
  const mail = await mailTo('approver@example.test', id);
  await mailTo('owner@example.test', id);
  assert.deepEqual([mail.secure, mail.user, mail.from], [true, 'gatehouse', 'gatehouse@example.test']);
  assert.ok(!mails.some(({ to }) => to.includes('auditor@example.test')));
  const links = [...mail.raw.matchAll(/https?:\/\/[^\s"<]+/g)].map(([link]) => link);
  assert.deepEqual([...new Set(links)], [`${workspace.url}/approvals/${id}`]);
  assert.ok(!mail.raw.includes('<a href="https://evil'));
  assert.match(mail.raw, /DKIM-Signature: v=1; a=rsa-sha256; .*d=example\.test;\s+.*s=gh;/s);
  assert.match(mail.raw, /Auto-Submitted: auto-generated/);
  assert.match(mail.raw, /Message-ID: <dlv_\w+@localhost>/i);
  // A scanner that opens it changes nothing, and sees nothing.
  assert.equal((await fetch(`${workspace.url}/api/v1/approvals/${id}`)).status, 401);
  assert.equal(await stateOf(id), 'pending');
  await approver.approve(id);
  assert.ok(!(await call()).isError);
});

/** @proves channel.mail */
test('who wants it is not asked by mail', async () => {
  const { id } = await ask('refund_order', { requestedBy: 'owner@example.test' });
  await mailTo('approver@example.test', id);
  assert.ok(!mails.some(({ to, raw }) => to.includes('owner@example.test') && raw.includes(id)));
});

/** @proves channel.mail */
test('a mail server that cannot prove who it is, or is at an address that is not allowed, gets no password', async () => {
  const count = mails.length;
  const owner = await workspace.person('owner@example.test');
  for (const [name, words] of [
    ['mail-untrusted', /certificate|issuer|self.signed/i],
    ['mail-outside', /private address/],
  ] as const) {
    const test = await workspace.operator('POST /channels/:name/test', { params: { name } });
    assert.equal(test.ok, false);
    const asPerson = await owner.api('POST /channels/:name/test', {
      params: { name },
    });
    assert.match(asPerson.error ?? '', words, name);
  }
  assert.equal(mails.length, count);
});

const cards = (id: string, method = 'POST') =>
  until(
    () => teams.calls.find((each) => each.method === method && JSON.stringify(each.body).includes(id)),
    `a card of ${id}`,
  );

async function pressInTeams(...of: Parameters<FakeTeams['press']>) {
  const response = await fetch(`${workspace.url}/channels/teams`, { method: 'POST', ...(await teams.press(...of)) });
  return {
    status: response.status,
    body: (await response.json().catch(() => ({}))) as { value?: string; title?: string },
  };
}

/** @proves channel.teams */
test('Teams shows a card in which nothing of the agent is Markdown, denies, and changes the card', async () => {
  const { id } = await ask('refund_order', { reason: '[click](https://evil.example) **now**' });
  const { body } = await cards(id);
  const card = body.attachments[0]?.content as { body: { type: string }[]; actions: { type: string; url?: string }[] };
  assert.deepEqual([...new Set(card.body.map(({ type }) => type))], ['RichTextBlock']);
  assert.ok(!JSON.stringify(card.body).includes('https://evil'));
  assert.equal(card.actions[0]?.url, `${workspace.url}/approvals/${id}`);
  assert.match(
    (await pressInTeams('aad-auditor', { verb: 'gatehouse-deny', approval: id })).body.value ?? '',
    /Refused/,
  );
  assert.match(
    (await pressInTeams('aad-stranger', { verb: 'gatehouse-deny', approval: id })).body.value ?? '',
    /Refused/,
  );
  assert.equal(await stateOf(id), 'pending');
  const denied = await pressInTeams('aad-approver', { verb: 'gatehouse-deny', approval: id });
  assert.deepEqual([denied.status, denied.body.value], [200, 'It is denied.']);
  const changed = await until(() => teams.calls.find(({ method }) => method === 'PUT'), 'the card changed');
  assert.match(changed.path, /\/v3\/conversations\/19%3Afake%40thread.tacv2\/activities\/activity-\d+$/);
  assert.ok(!JSON.stringify(changed.body).includes('"actions"'));
  await until(() => teams.calls.find(({ path }) => path.startsWith('/workflows/')), 'the workflow was told');
});

/** @proves channel.teams-token */
test('only the connector is heard: another audience, issuer, service or key, an old token, an agent’s, or the same activity again is refused', async () => {
  const { id, task, call } = await ask('export_customers');
  await sent('teams', id);
  const yes = { verb: 'gatehouse-approve', approval: id };
  for (const how of [
    { audience: 'other' },
    { issuer: 'https://login.microsoftonline.com/x/v2.0' },
    { serviceUrl: 'https://smba.evil.example/' },
    { key: 'strange' as const },
    { key: 'unendorsed' as const },
    { expired: true },
  ])
    assert.deepEqual((await pressInTeams('aad-approver', yes, how)).body.title, 'teams.token', JSON.stringify(how));
  // The token signs no body: with one that was caught, another activity could be made up.
  const another = await ask('export_customers');
  await sent('teams', another.id);
  const strange = teams.calls.find(
    ({ method, body }) => method === 'POST' && JSON.stringify(body).includes(another.id),
  );
  for (const replyToId of [strange?.id ?? '', 'activity-0', ''])
    assert.match((await pressInTeams('aad-approver', yes, { replyToId })).body.value ?? '', /not said to a message/);
  const { body, headers } = await teams.press('aad-approver', yes);
  for (const authorization of [`DPoP ${await task.token()}`, `Bearer ${await task.token()}`, '']) {
    const response = await fetch(`${workspace.url}/channels/teams`, {
      method: 'POST',
      body,
      headers: { ...headers, authorization },
    });
    assert.equal(response.status, 401);
  }
  assert.equal(await stateOf(id), 'pending');
  assert.equal((await pressInTeams('aad-approver', yes, { id: 'f:once' })).body.value, 'It is approved.');
  assert.match((await pressInTeams('aad-approver', yes, { id: 'f:once' })).body.value ?? '', /heard before/);
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.equal(approval.votes[0]?.channel, 'teams');
  assert.ok(!(await call()).isError, 'and it runs');
});
