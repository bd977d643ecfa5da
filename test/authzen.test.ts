import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { SequencedRecord } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import { manifests } from './support/fixtures.ts';
import { createPlatform, type GatewayClient, openGateway, type Platform } from './support/gateway.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Another gateway asks for decisions (AuthZEN): what it is told, what is on record, and what it cannot get by asking. */
const EDGE = 'https://edge.example';
const MCP = `${EDGE}/mcp`;
const EVALUATION = '/access/v1/evaluation';

let workspace: Workspace;
let platform: Platform;
let edge: GatewayClient;
let other: GatewayClient;
let staging: GatewayClient;
let agent: Awaited<ReturnType<Workspace['agent']>>;
let task: AgentTask;

const gatewayManifests = (platform: Platform) => [
  ...platform.manifests({
    name: 'edge',
    environment: 'production',
    starts: ['agent-b'],
    gateway: {
      servers: ['shop'],
      urls: [EDGE],
      mcp: { '/mcp': 'shop' },
      resources: [
        {
          type: 'order',
          actions: { view: 'shop/get_order', refund: 'shop/refund_order' },
          arguments: {
            order: '$resource.properties.number',
            amount_cents: '$action.properties.amount?',
            currency: '$action.properties.currency?',
            reason: '$action.properties.reason?',
          },
          known: [{ id: 'first', properties: { number: 1042 } }],
        },
      ],
      subjects: [
        { type: 'user', id: 'bea', agent: 'agent-b', template: 'all' },
        { type: 'agent', id: 'agent-b', agent: 'agent-b' },
      ],
    },
  }),
  ...platform.manifests({ name: 'other', environment: 'production', gateway: { servers: ['shop'], urls: [EDGE] } }),
  ...platform.manifests({ name: 'nothing-behind', environment: 'production', gateway: { servers: ['books'] } }),
  ...platform.manifests({ name: 'plain', environment: 'production' }),
];

before(async () => {
  workspace = await startWorkspace({ mutualTls: true });
  platform = await createPlatform();
  const shop = manifests().find(({ kind }) => kind === 'ToolServer');
  assert.ok(shop?.kind === 'ToolServer');
  await workspace.apply([
    ...manifests(),
    { ...shop, name: 'books', tools: { get_order: { tier: 1, effects: ['read'] } } },
    { ...shop, name: 'staged', environments: ['staging'] },
    ...gatewayManifests(platform),
    ...platform.manifests({
      name: 'staging-edge',
      environment: 'staging',
      gateway: { servers: ['staged'], urls: [EDGE] },
    }),
  ]);
  [edge, other, staging] = (await Promise.all(
    ['edge', 'other', 'staging-edge'].map((n) => openGateway(workspace, platform, n)),
  )) as [GatewayClient, GatewayClient, GatewayClient];
  agent = await workspace.agent('agent-a');
  task = await agent.startTask({ template: 'all', intent: 'at the edge' });
});
after(async () => {
  await Promise.all([edge, other, staging].map((each) => each?.close()));
  await workspace.close();
});

/** The subject as a gateway passes it on: what the agent sent to it. */
async function subjectOf(of: AgentTask, url = MCP, id = 'agent-a') {
  const { authorization = '', dpop } = await of.headersFor(url, 'POST');
  return { type: 'agent', id, properties: { token: authorization.replace(/^DPoP /, ''), dpop, method: 'POST', url } };
}

async function call(name: string, args: object, of = task) {
  return {
    subject: await subjectOf(of),
    action: { name: 'tools/call' },
    resource: { type: 'tool', id: name },
    context: { agent: 'agent-a', arguments: args },
  };
}

const refundOf = (cents: number) => ({ amount_cents: cents, currency: 'EUR', reason: 'broken' });

interface Answer {
  decision: boolean;
  context: { evaluation_id: string; reason?: string; access_request?: { form_url: string; endpoint: string } };
}
const evaluate = async (by: GatewayClient, body: unknown) => {
  let { status, body: answer } = await by.post(EVALUATION, body);
  // A busy machine may lose touch with itself; nothing is used up by what is answered so.
  while (status === 503) ({ status, body: answer } = await by.post(EVALUATION, body));
  assert.equal(status, 200, JSON.stringify(answer));
  return answer as unknown as Answer;
};
const reasonOf = async (by: GatewayClient, body: unknown) => {
  const { decision, context } = await evaluate(by, body);
  assert.equal(decision, false);
  return context.reason;
};

async function recordsOf(id: string, count: number): Promise<SequencedRecord['record'][]> {
  for (;;) {
    const { records } = await workspace.operator('GET /actions/:id', { params: { id } });
    if (records.length >= count) return records.map(({ record }) => record);
  }
}
const dispatched = async () =>
  (await workspace.operator('GET /records', { query: { operation: 'tools/call', limit: '200' } })).items.filter(
    ({ record }) => record.kind === 'dispatch',
  ).length;

describe('an evaluation', () => {
  /** @proves authzen.dispatch-first, authzen.evaluation */
  test('that is allowed is on record as a dispatch when it is answered, by the gateway that makes the call, with no known outcome', async () => {
    const { decision, context } = await evaluate(edge, await call('get_order', { order: 1042 }));
    assert.equal(decision, true);
    const { records } = await workspace.operator('GET /actions/:id', { params: { id: context.evaluation_id } });
    assert.equal(records[0]?.record.kind, 'dispatch', 'on record before the answer');
    const [dispatch, outcome] = await recordsOf(context.evaluation_id, 2);
    assert.equal(dispatch?.gateway, 'spiffe://example.test/env/production/workload/edge');
    assert.deepEqual([dispatch?.agent, dispatch?.task, dispatch?.tool], ['agent-a', task.id, 'shop/get_order']);
    assert.equal(outcome?.result, 'unknown');
    assert.match(outcome?.detail ?? '', /edge.*no outcome/);
  });

  /** @proves trace.passed-on */
  test('has the trace of the gateway’s request in its record', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { body } = await edge.post(EVALUATION, await call('get_order', { order: 1042 }), { traceparent });
    const [dispatch] = await recordsOf((body as unknown as Answer).context.evaluation_id, 1);
    assert.equal(dispatch?.trace_id, '0af7651916cd43dd8448eb211c80319c');
  });

  test('that is refused says why, and is on record as a refusal', async () => {
    const { decision, context } = await evaluate(edge, await call('drop_table', { table: 'orders' }));
    assert.equal(decision, false);
    assert.equal(context.reason, 'tier.prohibited');
    const [record] = await recordsOf(context.evaluation_id, 1);
    assert.deepEqual([record?.kind, record?.decision?.effect], ['request', 'deny']);
    assert.equal(record?.gateway, 'spiffe://example.test/env/production/workload/edge');
  });

  test('without the arguments, or with ones that do not fit, is refused: they are what is decided on', async () => {
    const { context: _, ...bare } = await call('get_order', {});
    assert.equal(await reasonOf(edge, bare), 'arguments.missing');
    assert.equal(await reasonOf(edge, await call('get_order', { order: 'x' })), 'arguments.invalid');
  });

  test('of a list or of a connection is decided without a record; of an unknown method it is refused', async () => {
    const server = { type: 'mcp_server', id: MCP };
    const about = async (name: string, resource: object = server) => ({
      subject: await subjectOf(task),
      action: { name },
      resource,
    });
    // Whatever of it nobody has approved would be shown as it is served (law 8).
    assert.equal(await reasonOf(edge, await about('tools/list')), 'definition.held');
    const shop = manifests().find(({ kind }) => kind === 'ToolServer');
    assert.ok(shop?.kind === 'ToolServer');
    const unwanted = { tier: 4 as const, effects: ['read' as const] };
    await workspace.apply([{ ...shop, tools: { ...shop.tools, delete_order: unwanted, list_tickets: unwanted } }]);
    const admin = await workspace.person('owner@example.test');
    const { items } = await admin.api('GET /definitions', { query: { server: 'shop', state: 'held' } });
    for (const { kind, name, served } of items)
      await admin.api('POST /definitions/review', {
        body: { server: 'shop', kind, name, decision: 'approve', digest: served?.digest },
      });
    for (const name of ['initialize', 'server/discover', 'tools/list', 'prompts/list'])
      assert.equal((await evaluate(edge, await about(name))).decision, true, name);
    for (const name of ['subscriptions/listen', 'tasks/get', 'admin/all', 'sampling/createMessage', '__proto__'])
      assert.equal(await reasonOf(edge, await about(name)), 'operation.unknown', name);
    assert.equal(
      await reasonOf(edge, await about('tools/list', { type: 'mcp_server', id: 'books' })),
      'gateway.unmapped',
    );
    const resource = { type: 'resource', id: 'shop://policy' };
    assert.equal((await evaluate(edge, await about('resources/read', resource))).decision, true);
  });
});

/** @proves authzen.labels */
test('what a task reads at another gateway marks it as if Gatehouse had seen it, before the yes', async () => {
  const shop = manifests().find(({ kind }) => kind === 'ToolServer');
  assert.ok(shop?.kind === 'ToolServer');
  const get_ticket = {
    tier: 1 as const,
    effects: ['read' as const],
    returns: {
      trust: 'trusted' as const,
      fields: { '*.text': { trust: 'untrusted' as const, sensitive: ['personal'] } },
    },
  };
  await workspace.apply([{ ...shop, tools: { ...shop.tools, get_ticket } }]);
  const reader = await agent.startTask({ template: 'all', intent: 'reads at the edge' });
  const { context } = await evaluate(edge, await call('get_ticket', { ticket: 7 }, reader));
  const next = await evaluate(edge, await call('get_order', { order: 1042 }, reader));
  assert.deepEqual((await recordsOf(context.evaluation_id, 2)).at(-1)?.labels, ['sensitive:personal', 'untrusted']);
  const [dispatch] = await recordsOf(next.context.evaluation_id, 1);
  assert.deepEqual(dispatch?.labels, ['sensitive:personal', 'untrusted']);
  await workspace.apply([shop]);
});

/** @proves authzen.obligations */
test('a tool whose result Gatehouse would have to hold cannot be called where it does not see it', async () => {
  const shop = manifests().find(({ kind }) => kind === 'ToolServer');
  assert.ok(shop?.kind === 'ToolServer');
  const held = { tier: 1 as const, effects: ['read' as const], hold: { items: 1 } };
  await workspace.apply([{ ...shop, tools: { ...shop.tools, get_order: held } }]);
  assert.equal(await reasonOf(edge, await call('get_order', { order: 1042 })), 'gateway.cannot-keep');
  await workspace.apply([shop]);
  assert.equal((await evaluate(edge, await call('get_order', { order: 1042 }))).decision, true);
});

describe('who asks', () => {
  /** @proves authzen.gateway-proven */
  test('is a gateway that has proven itself: no certificate, an agent’s token, another audience or a plain workload get nothing', async () => {
    const body = JSON.stringify(await call('get_order', { order: 1042 }));
    const paths = [
      'evaluation',
      'evaluations',
      'search/subject',
      'search/resource',
      'search/action',
      'requests',
      'outcomes',
    ];
    const bearers: Record<string, string | undefined> = {
      nothing: undefined,
      'an agent’s token': `DPoP ${await task.token()}`,
      'an agent’s token as Bearer': `Bearer ${await task.token()}`,
      'a JWT-SVID for another audience': `Bearer ${await edge.jwtSvid(workspace.url)}`,
      garbage: 'Bearer x.y.z',
      'the operator’s scheme': `Operator ${'A'.repeat(43)}`,
    };
    for (const path of paths)
      for (const [name, authorization] of Object.entries(bearers)) {
        const response = await fetch(`${workspace.url}/access/v1/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
          body,
        });
        assert.equal(response.status, 401, `${path}: ${name}`);
        assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer /);
      }
    const plain = await openGateway(workspace, platform, 'plain');
    const { status, body: problem } = await plain.post(EVALUATION, body);
    await plain.close();
    assert.deepEqual([status, problem.title], [403, 'gateway.not-one']);
  });

  test('may ask with a JWT-SVID made for that, as often as it likes while it lives', async () => {
    const token = await edge.jwtSvid();
    for (let times = 0; times < 2; times++) {
      const response = await fetch(workspace.url + EVALUATION, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(await call('get_order', { order: 1042 })),
      });
      assert.deepEqual([response.status, ((await response.json()) as Answer).decision], [200, true]);
    }
  });

  /** @proves authzen.own-environment */
  test('speaks of its own environment and of what stands behind it, and of nothing else', async () => {
    assert.equal(await reasonOf(staging, await call('shop/get_order', { order: 1042 })), 'gateway.other-environment');
    const nothing = await openGateway(workspace, platform, 'nothing-behind');
    const request = {
      ...(await call('x', { order: 1042 })),
      resource: { type: 'tool', id: 'get_order', properties: { server: 'shop' } },
    };
    // It has no address either at which an agent could have called it.
    assert.equal(await reasonOf(nothing, request), 'subject.url');
    await nothing.close();
    const foreign = {
      ...(await call('x', { order: 1042 })),
      resource: { type: 'tool', id: 'get_order', properties: { server: 'books' } },
    };
    assert.equal(await reasonOf(edge, foreign), 'gateway.not-its-server');
  });
});

describe('whose action it is', () => {
  /** @proves authzen.subject-proven */
  test('is proven by the agent’s own token and a fresh proof for the gateway’s address', async () => {
    const good = await call('get_order', { order: 1042 });
    assert.equal((await evaluate(edge, good)).decision, true);
    assert.equal(await reasonOf(edge, good), 'proof.replayed');
    assert.equal(await reasonOf(other, good), 'proof.replayed');
    const fresh = () => call('get_order', { order: 1042 });
    const changed = async (properties: object) => {
      const request = await fresh();
      return {
        ...request,
        subject: { ...request.subject, properties: { ...request.subject.properties, ...properties } },
      };
    };
    assert.equal(await reasonOf(edge, await changed({ dpop: undefined })), 'proof.missing');
    assert.equal(await reasonOf(edge, await changed({ method: 'GET' })), 'proof.invalid');
    assert.equal(await reasonOf(edge, await changed({ url: `${EDGE}/elsewhere` })), 'proof.invalid');
    assert.equal(await reasonOf(edge, await changed({ url: 'https://evil.example/mcp' })), 'subject.url');
    assert.equal(await reasonOf(edge, await changed({ url: `${workspace.url}/mcp` })), 'subject.url');
    assert.equal(await reasonOf(edge, await changed({ token: 'x.y.z' })), 'token.invalid');
    const mine = await fresh();
    assert.equal(await reasonOf(edge, { ...mine, subject: { ...mine.subject, id: 'agent-b' } }), 'subject.mismatch');
  });

  test('is nobody’s who is only named, or who could be impersonated with what the gateway holds', async () => {
    const named = async (subject: object) => ({ ...(await call('get_order', { order: 1042 })), subject });
    assert.equal(await reasonOf(edge, await named({ type: 'agent', id: 'agent-a' })), 'subject.unproven');
    assert.equal(await reasonOf(other, await named({ type: 'user', id: 'bea' })), 'subject.unproven');
    assert.equal(await reasonOf(edge, await named({ type: 'agent', id: 'agent-b' })), 'subject.task');
    const its = { type: 'agent', id: 'agent-b', properties: { task: task.id } };
    assert.equal(await reasonOf(edge, await named(its)), 'task.over', 'a task of another agent');
    const bearer = await workspace.agent('agent-bearer', { bearerOnly: true });
    const bearerTask = await bearer.startTask({ template: 'all', intent: 'no key' });
    const subject = { type: 'agent', id: 'agent-bearer', properties: { token: await bearerTask.token(), url: MCP } };
    assert.equal(await reasonOf(edge, await named(subject)), 'token.unbound');
  });

  test('may be of an agent that the manifest lets the gateway name, in a task that the gateway vouches for', async () => {
    const request = { ...(await call('x', {})), subject: { type: 'user', id: 'bea' }, action: { name: 'view' } };
    const about = { ...request, resource: { type: 'order', id: 'first', properties: { number: 1042 } } };
    const first = await evaluate(edge, about);
    const second = await evaluate(edge, about);
    assert.deepEqual([first.decision, second.decision], [true, true]);
    const tasks = await Promise.all(
      [first, second].map(async (each) => (await recordsOf(each.context.evaluation_id, 1))[0]?.task ?? ''),
    );
    assert.equal(tasks[0], tasks[1]);
    const { vouchedBy, agent: whose } = await workspace.operator('GET /tasks/:id', { params: { id: tasks[0] ?? '' } });
    assert.deepEqual([whose, vouchedBy], ['agent-b', 'spiffe://example.test/env/production/workload/edge']);
    assert.equal(await reasonOf(edge, { ...about, resource: { type: 'order', id: 'first' } }), 'arguments.missing');
    assert.equal(await reasonOf(edge, { ...about, action: { name: 'burn' } }), 'gateway.unmapped');
  });
});

describe('a call that needs a person', () => {
  /** @proves authzen.approval, authzen.access-request */
  test('is denied with where to approve it, answers true once when it was, and never to another gateway or through Gatehouse', async () => {
    const refund = (by = task) => call('refund_order', { order: 1042, ...refundOf(40) }, by);
    const first = await evaluate(edge, await refund());
    assert.deepEqual([first.decision, first.context.reason], [false, 'approval_required']);
    const waiting = await evaluate(edge, await refund());
    assert.equal(waiting.context.evaluation_id, first.context.evaluation_id, 'the same question');
    const { subject: _, ...about } = await refund();
    const submission = {
      ...about,
      subject: { type: 'agent', id: 'agent-a' },
      denial: { evaluation_id: first.context.evaluation_id },
    };
    const taken = await edge.post('/access/v1/requests', submission);
    assert.equal(taken.status, 202, JSON.stringify(taken.body));
    const { id, status, status_endpoint } = taken.body.task as Record<string, string>;
    assert.equal(status, 'pending');
    assert.ok(status_endpoint?.endsWith(`/access/v1/requests/${id}`));
    const substituted = { ...submission, context: { arguments: { order: 1042, ...refundOf(400) } } };
    const refused = await edge.post('/access/v1/requests', substituted);
    assert.equal(refused.status, 400);
    assert.equal(refused.body.type, 'urn:openid:authzen:access-request:error:invalid_denial_binding');
    assert.equal((await other.post('/access/v1/requests', submission)).status, 400);
    assert.equal((await other.send(`/access/v1/requests/${id}`)).status, 404);

    const approver = await workspace.person('approver@example.test');
    await approver.approve(id as string);
    const done = await edge.send(`/access/v1/requests/${id}`);
    assert.equal((done.body.task as Record<string, string>).status, 'approved');
    assert.equal((done.body.result as Record<string, string>).mode, 'reevaluate');

    assert.equal(await reasonOf(other, await refund()), 'approval_required', 'another gateway has its own question');
    assert.equal(
      await reasonOf(edge, await call('refund_order', { order: 1042, ...refundOf(400) })),
      'approval_required',
    );
    const [once, twice] = await Promise.all([evaluate(edge, await refund()), evaluate(edge, await refund())]);
    assert.equal(Number(once.decision) + Number(twice.decision), 1, 'single use, also when two ask at once');
    const allowed = once.decision ? once : twice;
    assert.equal(
      (await recordsOf(allowed.context.evaluation_id, 2)).find(({ kind }) => kind === 'dispatch')?.approval,
      id,
    );
  });
});

describe('several evaluations', () => {
  /** @proves authzen.evaluations */
  test('are answered in order, by the semantics that were asked for, and no more of them than are wanted', async () => {
    const of = async (semantic: string | undefined, names: string[]) => {
      const { subject, action, context } = await call('x', { order: 1042 });
      const { status, body } = await edge.post('/access/v1/evaluations', {
        subject,
        action,
        context,
        evaluations: names.map((id) => ({ resource: { type: 'tool', id } })),
        ...(semantic && { options: { evaluations_semantic: semantic } }),
      });
      assert.equal(status, 200, JSON.stringify(body));
      return (body.evaluations as Answer[]).map(({ decision }) => decision);
    };
    const names = ['get_order', 'no_such_tool', 'get_order'];
    assert.deepEqual(await of(undefined, names), [true, false, true]);
    assert.deepEqual(await of('execute_all', names), [true, false, true]);
    const before = await dispatched();
    assert.deepEqual(await of('deny_on_first_deny', names), [true, false]);
    assert.deepEqual(await of('permit_on_first_permit', ['no_such_tool', 'get_order', 'get_order']), [false, true]);
    assert.equal(await dispatched(), before + 2, 'what was not asked any more is not dispatched');
    const wrong = await edge.post('/access/v1/evaluations', {
      ...(await call('get_order', {})),
      evaluations: [{}],
      options: { evaluations_semantic: 'whatever' },
    });
    assert.equal(wrong.status, 400);
  });

  /** @proves authzen.limits */
  test('beyond the limits nothing is decided', async () => {
    const request = await call('get_order', { order: 1042 });
    const before = await dispatched();
    const many = await edge.post('/access/v1/evaluations', { ...request, evaluations: Array(51).fill({}) });
    assert.deepEqual([many.status, many.body.title], [413, 'evaluations.too-many']);
    const large = await edge.post(EVALUATION, { ...request, padding: 'x'.repeat(1024 * 1024) });
    assert.equal(large.status, 413);
    const twice = JSON.stringify(request).replace('"tools/call"', '"tools/call","name":"tools/list"');
    assert.deepEqual([(await edge.post(EVALUATION, twice)).status, await dispatched()], [400, before]);
  });
});

describe('a search', () => {
  /** @proves authzen.search */
  test('finds what this gateway could be told yes about, in pages, and nothing of anybody else', async () => {
    const subject = await subjectOf(task);
    const search = { subject, action: { name: 'tools/call' }, resource: { type: 'tool' } };
    const { body } = await edge.post('/access/v1/search/resource', { ...search, page: { limit: 2 } });
    const results = [...(body.results as { id: string }[])];
    let { next_token: token } = body.page as { next_token: string };
    while (token !== '') {
      const next = await edge.post('/access/v1/search/resource', {
        ...search,
        subject: await subjectOf(task),
        page: { token, limit: 2 },
      });
      results.push(...(next.body.results as { id: string }[]));
      token = (next.body.page as { next_token: string }).next_token;
    }
    const ids = results.map(({ id }) => id);
    assert.ok(ids.includes('shop/get_order'));
    assert.ok(!ids.includes('shop/drop_table'), 'prohibited');
    assert.ok(
      ids.every((id) => id.startsWith('shop/')),
      ids.join(),
    );
    const unproven = await edge.post('/access/v1/search/resource', {
      ...search,
      subject: { type: 'agent', id: 'agent-a' },
    });
    assert.deepEqual([unproven.status, unproven.body.results], [200, []]);
    const elsewhere = await staging.post('/access/v1/search/resource', { ...search, subject: await subjectOf(task) });
    assert.deepEqual(elsewhere.body.results, []);
    assert.equal((await edge.post('/access/v1/search/resource', { ...search, page: { token: 'forged' } })).status, 400);
  });

  test('of subjects and actions is of those that the gateway may name, and records nothing', async () => {
    const before = await dispatched();
    const resource = { type: 'order', id: 'first', properties: { number: 1042 } };
    const subjects = await edge.post('/access/v1/search/subject', {
      subject: { type: 'user' },
      action: { name: 'view' },
      resource,
    });
    assert.deepEqual(subjects.body.results, [{ type: 'user', id: 'bea' }]);
    const strangers = await other.post('/access/v1/search/subject', {
      subject: { type: 'user' },
      action: { name: 'view' },
      resource,
    });
    assert.deepEqual(strangers.body.results, []);
    const actions = await edge.post('/access/v1/search/action', { subject: { type: 'user', id: 'bea' }, resource });
    assert.deepEqual(actions.body.results, [{ name: 'view' }], 'a refund waits for a person');
    assert.equal(await dispatched(), before);
  });
});

describe('an outcome', () => {
  /** @proves authzen.outcome */
  test('is recorded as reported by the gateway that made the call, once', async () => {
    const { context } = await evaluate(edge, await call('get_order', { order: 1042 }));
    await recordsOf(context.evaluation_id, 2);
    const report = { evaluation_id: context.evaluation_id, result: 'success', detail: '200' };
    assert.equal((await other.post('/access/v1/outcomes', report)).status, 404);
    assert.equal((await edge.post('/access/v1/outcomes', report)).status, 200);
    assert.equal((await edge.post('/access/v1/outcomes', { ...report, result: 'failure' })).status, 409);
    const { summary } = await workspace.operator('GET /actions/:id', { params: { id: context.evaluation_id } });
    assert.equal(summary.status, 'success');
    assert.match(summary.detail ?? '', /Reported by the gateway "edge"/);
  });
});

/** @proves authzen.discovery */
test('the metadata names every endpoint where it was asked for, and a request id comes back', async () => {
  const { body, headers } = await edge.send('/.well-known/authzen-configuration', {
    headers: { 'x-request-id': 'abc-1' },
  });
  assert.equal(headers.get('x-request-id'), 'abc-1');
  assert.equal(body.policy_decision_point, workspace.mutualTlsUrl);
  assert.equal(body.access_evaluation_endpoint, `${workspace.mutualTlsUrl}${EVALUATION}`);
  const plain = (await (await fetch(`${workspace.url}/.well-known/authzen-configuration`)).json()) as Record<
    string,
    string
  >;
  assert.equal(plain.policy_decision_point, workspace.url);
});

/** @proves authzen.kill */
test('a killed agent, a killed gateway and a gateway that was changed are told no from then on', async () => {
  const victim = await workspace.agent('agent-b');
  const its = await victim.startTask({ template: 'all', intent: 'to be killed' });
  const request = async () => ({
    ...(await call('get_order', { order: 1042 }, its)),
    subject: await subjectOf(its, MCP, 'agent-b'),
  });
  assert.equal((await evaluate(edge, await request())).decision, true);
  const flood = Array.from({ length: 40 }, async () => edge.post(EVALUATION, await request()));
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' } });
  const after = await evaluate(edge, await request());
  assert.deepEqual([after.decision, after.context.reason], [false, 'agent.killed']);
  await Promise.all(flood);
  await workspace.operator('POST /workloads/:name/kill', { params: { name: 'other' }, body: { reason: 'test' } });
  assert.equal((await other.post(EVALUATION, await call('get_order', { order: 1042 }))).status, 401);
});
