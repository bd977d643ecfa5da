import assert from 'node:assert/strict';
import { createECDH } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import {
  decrypt,
  type FakeBrowser,
  type FakePushService,
  startFakePushService,
  verifyVapid,
} from './fakes/push-service.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Notifications of the console, with a push service that is a fake by the RFCs: what reaches it, and whose browsers are told. */
let workspace: Workspace;
let service: FakePushService;
let approver: SignedInPerson;
let serverKey: string;

before(async () => {
  service = await startFakePushService();
  workspace = await startWorkspace();
  const push = (name: string, more: object) => ({
    kind: 'Channel' as const,
    name,
    ca: service.ca,
    push: { services: [service.host] },
    ...more,
  });
  await workspace.apply([
    ...manifests(),
    push('push', { allowPrivateAddress: true, agents: ['agent-a'] }),
    push('push-outside', { agents: ['agent-b'], show: 'arguments' }),
    { kind: 'Person', email: 'second@example.test', displayName: 'Second', roles: ['approver'] },
    { kind: 'Person', email: 'leaves@example.test', displayName: 'Leaves', roles: ['approver'] },
  ]);
  approver = await workspace.person('approver@example.test');
  serverKey = (await approver.api('GET /push')).publicKey ?? '';
});
after(async () => {
  await workspace?.close();
  service.close();
});

async function turnOn(person: SignedInPerson, more: object = {}, browser = service.browser(serverKey)) {
  const body = { endpoint: browser.endpoint, keys: browser.keys, ...more };
  return { browser, view: await person.api('POST /push/subscriptions', { body }) };
}

async function ask(name = 'agent-a', reason = 'the parcel was broken') {
  const task = await (await workspace.agent(name)).startTask({
    template: 'all',
    intent: 'refund, as s3cret-intent says',
  });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const args = { order: 1042, amount_cents: 1 + Math.floor(Math.random() * 1e6), currency: 'EUR', reason };
  const answer = await client.callTool({ name: 'shop__refund_order', arguments: args });
  const waiting = answer._meta?.['gatehouse/approval'] as { id: string } | undefined;
  assert.ok(waiting);
  return waiting.id;
}

async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  for (let tries = 0; tries < 1_200; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(25);
  }
  throw new Error(`never: ${what}`);
}

const to = ({ endpoint }: FakeBrowser, approval: string, event = 'asked') =>
  service.pushed.find(
    (each) => each.endpoint === endpoint && each.payload.approval === approval && each.payload.event === event,
  );
const told = (browser: FakeBrowser, approval: string, event = 'asked') =>
  until(() => to(browser, approval, event), `${event} for ${approval}`);
const ids = async (person: SignedInPerson) => (await person.api('GET /push/subscriptions')).items.map(({ id }) => id);

/** @proves push.encrypted */
test('the fake decrypts the message of RFC 8291, and refuses a proof for another service or with another key', async () => {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94', 'base64url');
  const auth = Buffer.from('BTBZMqHH6r4Tts7J_aSIgg', 'base64url');
  const message =
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN';
  const text = decrypt(Buffer.from(message, 'base64url'), { ecdh, auth }).toString();
  assert.equal(text, 'When I grow up, I want to be a watermelon');
  // RFC 8292 §2.4: an example that has run out, and is refused for that and nothing else.
  const example =
    'vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs';
  const key = example.split('k=')[1] ?? '';
  await assert.rejects(verifyVapid(example, 'https://push.example.net', key), { code: 'ERR_JWT_EXPIRED' });
  await assert.rejects(verifyVapid(example, 'https://other.example.net', key), {
    code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
  });
  await assert.rejects(verifyVapid(example.replace('.i3CY', '.j3CY'), 'https://push.example.net', key), {
    code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  });
});

/** @proves push.told, push.encrypted, channel.minimal */
test('who may decide is told in their browser, of tool and agent and nothing more, and told again once somebody has decided', async () => {
  const { browser } = await turnOn(approver);
  const auditor = await workspace.person('auditor@example.test');
  const bystander = await turnOn(auditor);
  const id = await ask();
  const { payload, ttl, urgency, topic, vapid, text } = await told(browser, id);
  assert.equal(payload.title, 'agent-a asks for shop/refund_order');
  assert.equal(payload.path, `/approvals/${id}`);
  assert.match(String(payload.body), /^Environment: production\nRisk: (high|ordinary)$/);
  for (const secret of ['s3cret-intent', 'parcel', 'amount_cents', '1042', 'EUR'])
    assert.ok(!text.includes(secret), secret);
  const { expiresAt, risk } = (await workspace.operator('GET /approvals/:id', { params: { id } })) as never as {
    expiresAt: number;
    risk: { score: number };
  };
  assert.ok(Math.abs(ttl - (expiresAt - Date.now()) / 1_000) < 60, 'it lives as long as the approval waits');
  assert.equal(urgency, risk.score >= 25 ? 'high' : 'normal');
  assert.equal(topic, id);
  assert.equal(vapid.aud, service.origin);
  await approver.approve(id);
  const closed = await told(browser, id, 'closed');
  assert.equal(closed.payload.title, 'Approved by approver@example[.]test');
  assert.deepEqual([closed.topic, closed.urgency], [id, 'low']);
  assert.equal(to(bystander.browser, id), undefined, 'an auditor decides nothing');
});

/** @proves push.own */
test('a browser is its person’s own: others don’t see, try or remove it, and no token of an agent does anything', async () => {
  const second = await workspace.person('second@example.test');
  const { view, browser } = await turnOn(second);
  assert.ok(!(await ids(approver)).includes(view.id));
  for (const route of ['DELETE /push/subscriptions/:id', 'POST /push/subscriptions/:id/test'] as const)
    await assert.rejects(approver.api(route, { params: { id: view.id } }), { status: 404 });
  // Whoever learns the address, and not its keys, does not take it over.
  const stolen = { endpoint: browser.endpoint, keys: service.browser(serverKey).keys };
  await assert.rejects(approver.api('POST /push/subscriptions', { body: stolen }), { status: 409 });
  assert.deepEqual(await ids(second), [view.id]);
  // The operator's local token is nobody in particular.
  await assert.rejects(workspace.operator('GET /push/subscriptions'), { status: 403 });
  const task = await (await workspace.agent('agent-bearer', { bearerOnly: true })).startTask({
    template: 'all',
    intent: 'x',
  });
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', `/${view.id}`],
    ['POST', `/${view.id}/test`],
  ] as const) {
    const { status } = await fetch(`${workspace.url}/api/v1/push/subscriptions${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await task.token()}`,
        'content-type': 'application/json',
        origin: workspace.url,
      },
      ...(method === 'POST' && { body: JSON.stringify({ endpoint: browser.endpoint, keys: browser.keys }) }),
    });
    assert.equal(status, 403, `${method} ${path}`);
  }
  // With address and keys it is the same browser, in which another person has signed in: it is theirs alone from then on.
  await turnOn(approver, {}, browser);
  assert.deepEqual(await ids(second), []);
});

/** @proves push.services */
test('only push services that an operator has let in are called, at public addresses unless a channel says otherwise', async () => {
  const keys = service.browser(serverKey).keys;
  for (const endpoint of [
    'https://169.254.169.254/latest',
    'https://127.0.0.1/x',
    'https://internal.example.test/x',
    `https://${service.host}.evil.example/x`,
    `https://user@evil.example/${service.host}`,
    'https://fcm.googleapis.com/fcm/send/x',
  ])
    await assert.rejects(
      approver.api('POST /push/subscriptions', { body: { endpoint, keys } }),
      { status: 400 },
      endpoint,
    );
  for (const bad of [
    { endpoint: `http://${service.host}/x`, keys },
    { endpoint: `https://${service.host}/x`, keys: { ...keys, p256dh: `B${'A'.repeat(86)}` } },
  ])
    await assert.rejects(approver.api('POST /push/subscriptions', { body: bad }), { status: 400 });
  const { browser } = await turnOn(approver);
  const id = await ask('agent-b');
  const failure = await until(async () => {
    const { items } = await workspace.operator('GET /channels/:name/deliveries', { params: { name: 'push-outside' } });
    return items.find(({ approval, error }) => approval === id && error !== null)?.error ?? undefined;
  }, 'a refusal');
  assert.match(failure, /private|loopback/i);
  assert.equal(to(browser, id), undefined);
});

/** @proves push.gone */
test('a browser that its push service has forgotten is forgotten here, and that is no failure', async () => {
  const { view, browser } = await turnOn(approver);
  service.answers.set(browser.endpoint, 410);
  const id = await ask();
  await until(async () => ((await ids(approver)).includes(view.id) ? undefined : true), 'its end');
  const delivery = await until(async () => {
    const { items } = await workspace.operator('GET /channels/:name/deliveries', { params: { name: 'push' } });
    return items.find((each) => each.approval === id && each.recipient.endsWith(view.id) && each.state !== 'waiting');
  }, 'the delivery');
  assert.equal(delivery.state, 'dropped');
});

/** @proves push.ends */
test('signing out ends it unless it was to stay, an ended session ends it, and who has left is told nothing', async () => {
  const leaver = await workspace.person('leaves@example.test');
  const [stays, goes] = [await turnOn(leaver, { stays: true }), await turnOn(leaver)];
  assert.equal((await ids(leaver)).length, 2);
  await leaver.api('POST /signout');
  const back = await workspace.signInAgain(leaver);
  assert.deepEqual(await ids(back), [stays.view.id]);
  const { browser } = await turnOn(back, { stays: true });
  const owner = await workspace.person('owner@example.test');
  await owner.api('DELETE /people/:email/sessions', { params: { email: 'leaves@example.test' } });
  const again = await workspace.signInAgain(back);
  assert.deepEqual(await ids(again), [], 'with all of their sessions, what outlives one of them ends too');
  await turnOn(again, { stays: true }, browser);
  await owner.api('POST /people/:email/offboard', { params: { email: 'leaves@example.test' }, body: {} });
  const witness = await turnOn(owner);
  const id = await ask();
  await told(witness.browser, id);
  for (const each of [browser, stays.browser, goes.browser]) assert.equal(to(each, id), undefined);
  const { items } = await workspace.operator('GET /actions', {
    query: { operation: 'push.unsubscribe', reads: 'left-out' },
  });
  assert.ok(items.length >= 3, 'each end is on record');
});

/** @proves push.test, push.limits */
test('a person tries a browser of theirs, and has ten of them at most', async () => {
  const second = await workspace.person('second@example.test', { recovery: true });
  const { view, browser } = await turnOn(second);
  const { ok, error } = await second.api('POST /push/subscriptions/:id/test', { params: { id: view.id } });
  assert.deepEqual([ok, error], [true, null]);
  const [test] = service.pushed.filter(({ endpoint }) => endpoint === browser.endpoint);
  assert.equal(test?.payload.event, 'test');
  for (let more = 0; more < 10; more++) await turnOn(second);
  const all = await ids(second);
  assert.deepEqual([all.length, all.includes(view.id)], [10, false]);
});

/** @proves push.key */
test('the key that proves who sends is sealed, listed, and a new one ends what was subscribed with it', async () => {
  const { purposes } = await workspace.operator('GET /keys');
  const mine = purposes.find(({ purpose }) => purpose === 'push');
  assert.equal(mine?.keys[0]?.kid, serverKey);
  await turnOn(approver);
  const { kid } = await workspace.operator('POST /keys/:purpose/rotate', {
    params: { purpose: 'push' },
    body: { compromised: true },
  });
  assert.notEqual(kid, serverKey);
  assert.equal((await approver.api('GET /push')).publicKey, kid);
  assert.deepEqual(await ids(approver), []);
  serverKey = kid;
});
