import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { ConsentAnswer, ConsentView, Delegation, ManifestInput } from '@gatehouse/protocol';
import type { AgentClient, AgentKey } from '@gatehouse/sdk';
import { SignJWT } from 'jose';
import { answerConsent, authorize } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * A yes that lets the agent act later, without its person: off unless the person says so, with what was consented to and no more, and signed
 * with the passkey where the rest of the answer is.
 */
const AGENT = 'agent-bearer';
let workspace: Workspace;
let owner: SignedInPerson;
let agent: AgentClient & { key: AgentKey };

before(async () => {
  workspace = await startWorkspace();
  const own: ManifestInput[] = [
    { kind: 'Client', name: 'app', displayName: 'App', redirectUris: ['http://127.0.0.1/callback'] },
    {
      kind: 'Template',
      name: 'by-order',
      parameters: { order: { type: 'integer', required: false }, note: { type: 'string', required: false } },
      allow: [
        { tools: ['shop/list_orders', 'shop/get_ticket'] },
        { tools: ['shop/get_order'], when: { order: '$order' } },
      ],
    },
    { kind: 'Group', name: 'shopkeepers', members: ['owner@example.test'], allow: [{ tools: ['shop/*'] }] },
  ];
  const all = manifests().map((each) =>
    each.kind === 'Blueprint' ? { ...each, templates: ['all', 'by-order'] } : each,
  );
  await workspace.apply([...all, ...own]);
  owner = await workspace.person('owner@example.test');
  agent = await workspace.agent(AGENT, { bearerOnly: true });
});
after(() => workspace.close());

type Form = Record<string, string>;
async function post(path: string, form: Form) {
  const response = await fetch(workspace.url + path, { method: 'POST', body: new URLSearchParams(form) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const mine = async (): Promise<Delegation[]> =>
  (await owner.api('GET /delegations', { query: { agent: AGENT, limit: '200' } })).items;
const start = (template: string, parameters: object, delegation: string) =>
  agent.startTask({ template, parameters: parameters as never, intent: 'while you sleep', delegation });

/** In the browser, with this template. */
async function inBrowser(answer: Partial<ConsentAnswer>, more: Form = {}) {
  let view: ConsentView | undefined;
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'app',
    redirect_uri: 'http://127.0.0.1:9/callback',
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
    ...more,
  });
  const back = await authorize(`${workspace.url}/oauth/authorize?${query}`, owner, {
    choose: (all) => all.find((each) => each.agent === AGENT && each.template === 'by-order'),
    onView: (seen) => {
      view = seen;
    },
    answer,
  });
  return { view: view as ConsentView, code: back.searchParams.get('code') };
}

const proof = async (): Promise<Form> => ({
  client_id: AGENT,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(AGENT)
    .setSubject(AGENT)
    .setAudience(workspace.url)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(agent.key.privateKey as never),
});

/** The agent asks out of band. */
async function ask(details: object = {}) {
  const task = { type: 'urn:gatehouse:task', template: 'by-order', intent: 'look', parameters: {}, ...details };
  const begun = await post('/oauth/backchannel', {
    ...(await proof()),
    scope: 'openid',
    login_hint: 'owner@example.test',
    authorization_details: JSON.stringify([task]),
  });
  const { items } = await owner.api('GET /consents');
  return { begun, id: items[0]?.id ?? '' };
}

describe('a consent that leaves a standing delegation', () => {
  /** @proves consent.standing-off */
  test('leaves none unless the person says so, and offers it in the same way to everybody', async () => {
    const { view, code } = await inBrowser({ intent: 'look' });
    assert.ok(code);
    assert.deepEqual(view.standing, { mostDays: 90 });
    assert.deepEqual(await mine(), []);
  });

  /** @proves consent.standing-exact */
  test('leaves exactly what was consented to: values, tools, time of a task, days', async () => {
    await inBrowser({
      intent: 'look',
      parameters: { order: 1042 },
      tools: ['shop/get_order'],
      ttlSeconds: 300,
      standing: { days: 3 },
    });
    const [delegation] = await mine();
    assert.ok(delegation);
    const { id, template, parameters, tools, taskTtlSeconds, via, createdAt, expiresAt } = delegation;
    assert.deepEqual(
      { template, parameters, tools, taskTtlSeconds, via, days: (expiresAt - createdAt) / 86_400_000 },
      {
        template: 'by-order',
        parameters: { order: 1042 },
        tools: ['shop/get_order'],
        taskTtlSeconds: 300,
        via: 'consent',
        days: 3,
      },
    );
    const task = await start('by-order', { order: 1042 }, id);
    const stored = await workspace.operator('GET /tasks/:id', { params: { id: task.id } });
    assert.equal(stored.user, 'owner@example.test');
    assert.deepEqual(stored.narrowing, { tools: ['shop/get_order'] });
    assert.ok(stored.expiresAt - stored.startedAt <= 300_000);

    await assert.rejects(start('by-order', { order: 1043 }, id), /delegation.bounds|order/);
    await assert.rejects(start('by-order', {}, id), /order/);
    await assert.rejects(start('by-order', { order: 1042, note: 'more' }, id), /note. is not given/);
    await assert.rejects(start('all', {}, id), /is for tasks in which/);
    const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.grant' } });
    assert.match(JSON.stringify(items[0]?.record.changes), new RegExp(`left standing: ${id} for 3 days`));
    const { items: made } = await workspace.operator('GET /records', { query: { operation: 'delegation.create' } });
    assert.match(JSON.stringify(made[0]?.record.changes), /via consent/);
    await owner.api('DELETE /delegations/:id', { params: { id } });
    await assert.rejects(start('by-order', { order: 1042 }, id), /revoked/);
  });

  /** @proves consent.standing-exact */
  test('does not give a parameter away that was left out, nor a server that the token is not for', async () => {
    await inBrowser(
      { intent: 'look', parameters: {}, standing: { days: 1 } },
      { resource: `${workspace.url}/mcp/shop` },
    );
    const [delegation] = await mine();
    const id = delegation?.id ?? '';
    // Without the value nothing of `when` holds; with one of its own choice the agent could read every order.
    await assert.rejects(start('by-order', { order: 1042 }, id), /order. is not given/);
    await start('by-order', {}, id);
    await owner.api('DELETE /delegations/:id', { params: { id } });

    const before = await mine();
    await workspace.apply([
      {
        kind: 'ToolServer',
        name: 'other',
        environments: ['production'],
        transport: { type: 'http', url: 'http://127.0.0.1:9/mcp', allowPrivateAddress: true },
        tools: {},
      },
    ]);
    await assert.rejects(
      inBrowser({ intent: 'look', standing: { days: 1 } }, { resource: `${workspace.url}/mcp/other` }),
      /consent.standing-empty/,
    );
    assert.equal((await mine()).length, before.length);
  });

  /** @proves consent.standing-signed */
  test('out of band: the passkey signs the whole answer, and no other is taken', async () => {
    const { id } = await ask();
    const params = { id };
    const view = await owner.api('GET /consents/:id', { params });
    const choice = view.choices.find(({ template }) => template === 'by-order');
    assert.ok(choice);
    const before = (await mine()).length;
    const answer: ConsentAnswer = {
      agent: AGENT,
      template: 'by-order',
      digest: choice.digest,
      parameters: {},
      intent: 'look',
      tools: ['shop/list_orders'],
      ttlSeconds: 600,
    };
    const sign = async (body: object) => {
      const { options } = await owner.api('POST /consents/:id/options', { params, body });
      return { ...owner.passkey.assert(options as never, workspace.url) } as unknown as Record<string, unknown>;
    };
    const approve = (more: Partial<ConsentAnswer>) =>
      owner.api('POST /consents/:id/approve', { params, body: { ...answer, ...more } });
    const days = (count: number) => ({ standing: { days: count } });

    await assert.rejects(approve({ assertion: await sign({ digest: choice.digest }) }), /passkey.not-verified/);
    // Whoever sits between the page and the server has the signature over one answer, and sends another.
    const others: Partial<ConsentAnswer>[] = [
      days(7),
      { parameters: { order: 1043 } },
      { intent: 'refund everything' },
      { tools: choice.tools.map(({ ref }) => ref) },
      { ttlSeconds: choice.ttlSeconds },
    ];
    for (const other of others) {
      const signature = await sign(answer);
      await assert.rejects(approve({ ...other, assertion: signature }), /passkey.not-verified/, JSON.stringify(other));
    }
    await assert.rejects(
      approve({ ...days(90), assertion: await sign({ ...answer, ...days(7) }) }),
      /passkey.not-verified/,
    );
    await assert.rejects(approve({ assertion: await sign({ ...answer, ...days(7) }) }), /passkey.not-verified/);
    await assert.rejects(approve(days(7)), /consent.passkey-needed/);
    assert.equal((await mine()).length, before, 'nothing came of any of them');

    const assertion = await sign({ ...answer, ...days(7) });
    await approve({ ...days(7), assertion });
    await assert.rejects(approve({ ...days(7), assertion }), /consent.answered/);
    const [delegation] = await mine();
    assert.equal((await mine()).length, before + 1);
    assert.deepEqual(delegation?.tools, ['shop/list_orders']);
    await owner.api('DELETE /delegations/:id', { params: { id: delegation?.id ?? '' } });
  });

  /** @proves consent.standing-off */
  test('cannot be asked for: an agent that tries is refused, and the page offers what it always does', async () => {
    for (const wish of [{ standing: { days: 90 } }, { days: 90 }, { delegation: 'dlg_1', standing: true }]) {
      const { begun } = await ask(wish);
      assert.equal(begun.body.error, 'invalid_authorization_details', JSON.stringify(begun.body));
    }
    const { view } = await inBrowser({ intent: 'look' }, { standing: '90', days: '90', prompt: 'consent' });
    assert.deepEqual(view.standing, { mostDays: 90 });
    assert.equal(view.wish, null);
    assert.ok((await mine()).every(({ state }) => state === 'revoked'));
  });

  test('tells the agent the id, which is of use to that agent alone', async () => {
    const { id, begun } = await ask();
    await answerConsent(id, owner, workspace.url, {
      choose: (all) => all.find(({ template }) => template === 'by-order'),
      answer: { standing: { days: 1 } },
    });
    const { body } = await post('/oauth/token', {
      ...(await proof()),
      grant_type: 'urn:openid:params:grant-type:ciba',
      auth_req_id: String(begun.body.auth_req_id),
    });
    const [delegation] = await mine();
    assert.equal(body.standing_delegation, delegation?.id, JSON.stringify(body));
    await start('by-order', {}, String(body.standing_delegation));
    const other = await workspace.agent('agent-a');
    await assert.rejects(
      other.startTask({ template: 'by-order', intent: 'x', delegation: String(body.standing_delegation) }),
      /no delegation/,
    );
    await owner.api('DELETE /delegations/:id', { params: { id: delegation?.id ?? '' } });
  });

  test('is for 1 to 90 whole days', async () => {
    for (const days of [0, -1, 91, 1.5, Number.NaN, '7'])
      await assert.rejects(inBrowser({ intent: 'x', standing: { days } as never }), /400|body/, String(days));
    await assert.rejects(inBrowser({ intent: 'x', standing: { days: 1, forever: true } as never }), /body/);
  });

  /** @proves consent.standing-policy */
  test('is not offered, and not taken, where the policies let the person make no delegation', async () => {
    const policy: ManifestInput = {
      kind: 'ControlPolicy',
      name: 'no-delegations',
      cedar: 'forbid (principal is Person, action == Action::"POST /delegations", resource);',
    };
    await workspace.apply([policy]);
    const before = (await mine()).length;
    await assert.rejects(inBrowser({ intent: 'look', standing: { days: 1 } }), /consent.standing/);
    assert.equal((await mine()).length, before);
    const { view, code } = await inBrowser({ intent: 'look' });
    assert.equal(view.standing, null);
    assert.ok(code, 'the yes itself is theirs to give');
    await workspace.apply([{ ...policy, cedar: '' } as ManifestInput]);
  });

  /** @proves consent.standing-whole */
  test('is one with the consent: when there is no room for the delegation, the request stays open', async () => {
    const { id } = await ask();
    const open = (await mine()).filter(({ state }) => state === 'active').length;
    for (let at = open; at < 200; at++)
      await owner.api('POST /delegations', { body: { agent: 'agent-a', template: 'all', days: 1 } });
    const choose = {
      choose: <T extends { template: string }>(all: T[]) => all.find((each) => each.template === 'by-order'),
    };
    await assert.rejects(
      answerConsent(id, owner, workspace.url, { ...choose, answer: { standing: { days: 1 } } }),
      /delegation.too-many/,
    );
    await answerConsent(id, owner, workspace.url, choose);
  });
});
