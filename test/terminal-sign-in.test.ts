import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { manifests } from './support/fixtures.ts';
import { createTerminalKey, letIn, requestOf, signInAtTerminal, terminals } from './support/terminal.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** People sign in at the command line of another machine (RFC 8628): what comes of it is theirs, restricted, and bound to a key. */
onEachDatabase('sign-in at a terminal', (database) => {
  let workspace: Workspace;
  let admin: SignedInPerson;

  before(async () => {
    workspace = await startWorkspace({ database: await database() });
    await workspace.apply([
      ...manifests(),
      { kind: 'Person', email: 'admin@example.test', displayName: 'Admin', roles: ['admin', 'approver'] },
      { kind: 'Client', name: 'app', displayName: 'App', redirectUris: ['http://127.0.0.1/callback'] },
      { kind: 'Person', email: 'leaver@example.test', displayName: 'Leaver', roles: ['auditor'] },
    ]);
    admin = await workspace.person('admin@example.test');
  });
  after(() => workspace.close());

  /** @proves terminal.sign-in */
  test('a person signs in with a fresh passkey, sees who asks from where, and the session says what it is', async () => {
    const { begin, redeem } = terminals(workspace.url, 'build-box');
    const key = await createTerminalKey();
    const begun = await begin(key);
    assert.equal(begun.status, 200, JSON.stringify(begun.body));
    assert.equal((await redeem(key, begun.body.device_code ?? '')).body.error, 'authorization_pending');
    const id = requestOf(begun.body.user_code);
    const view = await letIn(admin, workspace.url, id);
    assert.equal(view.client.known, 'command-line');
    assert.deepEqual(view.choices, [], 'no agent is offered');
    const { digest: _, ttlSeconds, ...shown } = view.signIn ?? assert.fail();
    assert.deepEqual(shown, {
      host: 'build-box',
      address: '127.0.0.1',
      sameAddress: true,
      person: { email: 'admin@example.test', displayName: 'Admin', roles: ['admin', 'approver'] },
      proof: { by: 'passkey' },
    });
    assert.equal(ttlSeconds, 12 * 3_600);
    const { status, body } = await redeem(key, begun.body.device_code ?? '');
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.token_type, (body.access_token ?? '').length], ['Session', 43]);
    assert.equal((await redeem(key, begun.body.device_code ?? '')).body.error, 'invalid_grant', 'a code is good once');
    const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.sign-in' } });
    assert.match(JSON.stringify(items), /build-box, asked from 127\.0\.0\.1/);
  });

  test('whoami, listing and ending: by its person, by security, by itself', async () => {
    const terminal = await signInAtTerminal(workspace, admin, 'laptop');
    const who = await terminal.call('GET /session');
    assert.deepEqual(
      [who.person.email, who.via, who.session?.id],
      ['admin@example.test', 'command-line', terminal.session],
    );
    const { items } = await admin.api('GET /sessions');
    const listed = items.find(({ id }) => id === terminal.session);
    assert.deepEqual([listed?.via, listed?.restricted], ['device', true]);
    assert.match(listed?.userAgent ?? '', /laptop/);
    await admin.api('DELETE /sessions/:id', { params: { id: terminal.session } });
    const ended = await terminal.raw('GET /session');
    assert.deepEqual([ended.status, ended.title], [401, 'session.none']);
    assert.match(ended.detail, /gatehouse login/);
    const second = await signInAtTerminal(workspace, admin);
    await second.call('POST /signout');
    assert.equal((await second.raw('GET /session')).title, 'session.none');
    await workspace.operator('DELETE /people/:email/sessions', { params: { email: 'admin@example.test' } });
    admin = await workspace.person('admin@example.test', { recovery: true });
  });

  /** @proves terminal.bound */
  test('a session is worth nothing without its key: stolen, replayed, for another route or method, by another key', async () => {
    const terminal = await signInAtTerminal(workspace, admin);
    const { prove } = terminals(workspace.url);
    assert.equal((await terminal.raw('GET /session')).status, 200);
    const other = await createTerminalKey();
    const used = await terminal.proof('/session', 'GET');
    assert.equal((await terminal.raw('GET /session', { dpop: used })).status, 200);
    const path = '/api/v1/session';
    for (const [what, dpop, title] of [
      ['the token alone', undefined, 'proof.missing'],
      ['a used proof', used, 'proof.replayed'],
      ['a proof for another route', await terminal.proof('/people', 'GET'), 'proof.invalid'],
      ['a proof for another method', await terminal.proof('/session', 'POST'), 'proof.invalid'],
      ['a proof for another token', await prove(terminal.key, path, 'GET', 'A'.repeat(43)), 'proof.invalid'],
      ['a proof for no token', await prove(terminal.key, path, 'GET'), 'proof.invalid'],
      ['a proof by another key', await prove(other, path, 'GET', terminal.token), 'token.other-key'],
      ['rubbish', 'x.y.z', 'proof.invalid'],
    ] as const) {
      const answer = await terminal.raw('GET /session', { dpop });
      assert.deepEqual([answer.status, answer.title], [401, title], what);
    }
    const { items } = await workspace.operator('GET /records', { query: { operation: 'token.refuse' } });
    assert.match(JSON.stringify(items), /GET \/api\/v1\/session: proof\.replayed/, 'and each is on record');
    // Nor is it a cookie, a bearer token, an operator's token, or good beside somebody's cookie.
    for (const [headers, status] of [
      [{ authorization: undefined, cookie: `gatehouse_session=${terminal.token}` }, 401],
      [{ authorization: `Bearer ${terminal.token}` }, 403],
      [{ authorization: `DPoP ${terminal.token}` }, 403],
      [{ authorization: `Operator ${terminal.token}` }, 401],
      [{ cookie: admin.cookie }, 403],
    ] as const)
      assert.equal((await terminal.raw('GET /session', headers)).status, status, JSON.stringify(headers));
    // And at the door for tools it is nothing at all.
    const gate = await fetch(`${workspace.url}/mcp`, {
      method: 'POST',
      headers: {
        authorization: `DPoP ${terminal.token}`,
        dpop: await prove(terminal.key, '/mcp', 'POST', terminal.token),
      },
      body: '{}',
    });
    assert.equal(gate.status, 401);
    const stream = (headers: Record<string, string>) =>
      fetch(`${workspace.url}/api/v1/events`, { headers: { authorization: `Session ${terminal.token}`, ...headers } });
    assert.equal((await stream({})).status, 401, 'nor does it open the stream of events');
    const open = await stream({ dpop: await terminal.proof('/events', 'GET') });
    assert.equal(open.status, 200);
    await open.body?.cancel();
  });

  /** @proves terminal.grant */
  test('nobody gets a session by another key, without a key, without a passkey, or for what was not shown', async () => {
    const { begin, redeem, post } = terminals(workspace.url);
    const key = await createTerminalKey();
    for (const change of [{ dpop_jkt: '' }, { dpop_jkt: 'short' }]) {
      const refused = await begin(key, change);
      assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_request']);
      assert.match(refused.body.error_description ?? '', /dpop_jkt/);
    }
    const begun = await begin(key);
    const params = { id: requestOf(begun.body.user_code) };
    const view = await admin.api('GET /consents/:id', { params });
    const digest = view.signIn?.digest ?? '';
    const signIn = (body: object, who = admin) => who.api('POST /consents/:id/sign-in', { params, body });
    await assert.rejects(signIn({ digest }), /consent\.passkey-needed/);
    await assert.rejects(signIn({ digest: 'sha256-other' }), /consent\.changed/);
    const assertionFor = async (of: string) => {
      const { options } = await admin.api('POST /consents/:id/options', { params, body: { digest: of } });
      return admin.passkey.assert(options as never, workspace.url);
    };
    await assert.rejects(signIn({ digest, assertion: await assertionFor('sha256-other') }), /passkey\.not-verified/);
    const stranger = createSoftwarePasskey();
    const { options } = await admin.api('POST /consents/:id/options', { params, body: { digest } });
    assert.throws(() => stranger.assert(options as never, workspace.url));
    // What another person was shown is not what this one signs.
    const owner = await workspace.person('owner@example.test');
    await assert.rejects(signIn({ digest, assertion: await assertionFor(digest) }, owner), /consent\.changed/);
    // It is no consent to an agent, and a consent to an agent is no sign-in.
    const answer = {
      agent: 'agent-a',
      template: 'all',
      digest,
      intent: 'x',
      tools: ['shop/get_order'],
      ttlSeconds: 60,
    };
    await assert.rejects(admin.api('POST /consents/:id/approve', { params, body: answer }), /consent\.changed/);
    const app = await post('/oauth/device', { client_id: 'app' });
    await assert.rejects(
      admin.api('POST /consents/:id/sign-in', { params: { id: requestOf(app.body.user_code) }, body: { digest } }),
      /consent\.unknown/,
    );
    await letIn(admin, workspace.url, params.id);
    const thief = await createTerminalKey();
    const stolen = await redeem(thief, begun.body.device_code ?? '');
    assert.deepEqual([stolen.status, stolen.body.error], [400, 'invalid_grant']);
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: 'gatehouse-cli' };
    const bare = await post('/oauth/token', { ...form, device_code: begun.body.device_code ?? '' });
    assert.deepEqual([bare.status, bare.body.error], [400, 'invalid_dpop_proof']);
    assert.equal((await redeem(key, begun.body.device_code ?? '')).status, 200, 'the one with the key gets it');
    const denied = await begin(key);
    await admin.api('POST /consents/:id/deny', { params: { id: requestOf(denied.body.user_code) } });
    assert.equal((await redeem(key, denied.body.device_code ?? '')).body.error, 'access_denied');
    // No other grant gives this client anything.
    for (const grant_type of ['client_credentials', 'refresh_token', 'authorization_code'])
      assert.match(
        (await post('/oauth/token', { grant_type, client_id: 'gatehouse-cli' })).body.error ?? '',
        /unauthorized_client|invalid_request/,
      );
  });

  /** @proves terminal.leaver */
  test('who has left is out at once, gets no session for a yes of before, and is not let in again', async () => {
    const leaver = await workspace.person('leaver@example.test');
    const terminal = await signInAtTerminal(workspace, leaver);
    const { begin, redeem } = terminals(workspace.url);
    const key = await createTerminalKey();
    const [granted, waiting] = [await begin(key), await begin(key)];
    await letIn(leaver, workspace.url, requestOf(granted.body.user_code));
    const params = { email: 'leaver@example.test' };
    await workspace.operator('POST /people/:email/offboard', { params, body: {} });
    assert.equal((await terminal.raw('GET /session')).title, 'session.none');
    assert.equal((await redeem(key, granted.body.device_code ?? '')).body.error, 'invalid_grant');
    await assert.rejects(letIn(leaver, workspace.url, requestOf(waiting.body.user_code)), /session\.none/);
    await workspace.operator('POST /people/:email/reinstate', { params });
    assert.equal((await terminal.raw('GET /session')).title, 'session.none', 'coming back brings no session back');
    assert.equal((await redeem(key, granted.body.device_code ?? '')).body.error, 'invalid_grant');
  });

  test('signing out in the browser before the terminal has fetched its session leaves it without one', async () => {
    const { begin, redeem } = terminals(workspace.url);
    const key = await createTerminalKey();
    const begun = await begin(key);
    const owner = await workspace.person('owner@example.test', { recovery: true });
    await letIn(owner, workspace.url, requestOf(begun.body.user_code));
    await owner.api('POST /signout');
    const { body } = await redeem(key, begun.body.device_code ?? '');
    assert.equal(body.error, 'invalid_grant');
    assert.match(body.error_description ?? '', /Begin again/);
  });

  /** @proves terminal.limit */
  test('of more than 20 terminals of one person the oldest ends', async () => {
    const auditor = await workspace.person('auditor@example.test');
    const first = await signInAtTerminal(workspace, auditor, 'oldest');
    for (let each = 0; each < 19; each++) await signInAtTerminal(workspace, auditor);
    assert.equal((await first.raw('GET /session')).status, 200);
    const last = await signInAtTerminal(workspace, auditor, 'newest');
    assert.equal((await first.raw('GET /session')).title, 'session.none');
    assert.equal((await last.raw('GET /session')).status, 200);
    assert.equal((await auditor.api('GET /session')).person.email, 'auditor@example.test', 'the browser stays');
  });
});
