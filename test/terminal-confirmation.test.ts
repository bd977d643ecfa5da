import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { type Manifest, type ManifestInput, manifest, type ToolServerManifest } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { manifests } from './support/fixtures.ts';
import { confirm, signInAtTerminal, type Terminal } from './support/terminal.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Law 4 for what an approval rests on: an agent in an admin's shell cannot lower a tier, widen a template or give itself a key. It can ask
 * for it; then a person looks at exactly that in a browser, or nothing happens.
 */
onEachDatabase('what the command line asks for is confirmed in a browser', (database) => {
  let workspace: Workspace;
  let admin: SignedInPerson;
  let other: SignedInPerson;
  let terminal: Terminal;
  const email = 'admin@example.test';

  before(async () => {
    workspace = await startWorkspace({ database: await database() });
    await workspace.apply([
      ...manifests(),
      { kind: 'Person', email, displayName: 'Admin', roles: ['admin', 'security', 'approver'] },
    ]);
    admin = await workspace.person(email);
    other = await workspace.person('owner@example.test');
  });
  after(() => workspace.close());

  /** A session of its own for each test: one asks only so often. */
  const signIn = async () => {
    terminal = await signInAtTerminal(workspace, admin, 'laptop');
    return terminal;
  };
  const shop = manifests().find((each) => each.kind === 'ToolServer') as ToolServerManifest;
  const tier = (refund: 1 | 2 | 3) => {
    const tools = { ...shop.tools, refund_order: { tier: refund, effects: ['pay'], resourceArgument: 'order' } };
    return { body: { manifests: [manifest.parse({ ...shop, tools })], prune: false } };
  };
  const template = (name: string): { body: { manifests: Manifest[]; prune: boolean } } => ({
    body: { manifests: [manifest.parse({ kind: 'Template', name, allow: [{ tools: ['shop/*'] }] })], prune: false },
  });
  const tierNow = async () =>
    (await workspace.operator('GET /tools')).items.find(({ name }) => name === 'refund_order')?.tier;
  const records = async (operation: string) =>
    (await workspace.operator('GET /records', { query: { operation, limit: '200' } })).items;

  /** @proves law-4.confirmation */
  test('an agent in the shell lowers a tier so that nobody has to approve: nothing changes until a person has seen it and said yes', async () => {
    await signIn();
    const id = await terminal.ask('POST /apply', tier(1));
    assert.equal(await tierNow(), 3);
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'test' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const args = { order: 1042, amount_cents: 10, currency: 'EUR', reason: 'test' };
    const { _meta } = await client.callTool({ name: 'shop__refund_order', arguments: args });
    assert.ok(_meta?.['gatehouse/approval'], 'the refund waits for a person as before');

    const shown = await confirm(admin, workspace.url, id);
    assert.deepEqual([shown.commandLine.host, shown.person.email, shown.state], ['laptop', email, 'open']);
    assert.ok(Math.abs(shown.commandLine.since - Date.now()) < 60_000);
    assert.deepEqual(shown.shown.changes, [
      {
        operation: 'update',
        kind: 'ToolServer',
        name: 'shop',
        differences: [{ path: 'tools.refund_order.tier', before: 3, after: 1 }],
      },
    ]);
    assert.equal(await tierNow(), 3, 'a yes alone changes nothing');
    const done = await terminal.call('POST /apply', { ...tier(1), confirmation: id });
    assert.equal(done.changes[0]?.operation, 'update');
    assert.equal(await tierNow(), 1);
    for (const what of ['ask', 'confirm', 'use'])
      assert.match(JSON.stringify(await records(`confirmation.${what}`)), new RegExp(`POST /apply.*${id}`), what);
    await workspace.operator('POST /apply', tier(3));
  });

  /** @proves law-4.confirmation-exact */
  test('a yes is for one session, method, path and body: everything else is refused, and the yes stays', async () => {
    await signIn();
    const key = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
    const id = await terminal.ask('POST /apply', template('wide'));
    await confirm(admin, workspace.url, id);
    const second = await signInAtTerminal(workspace, admin);
    const stranger = await signInAtTerminal(workspace, other);
    const attempts = {
      'another body': () => terminal.call('POST /apply', { ...template('wider'), confirmation: id }),
      'pruning with it': () =>
        terminal.call('POST /apply', { body: { ...template('wide').body, prune: true }, confirmation: id }),
      'another route': () =>
        terminal.call('POST /agents/:name/keys', { params: { name: 'agent-a' }, body: { key }, confirmation: id }),
    };
    for (const [what, attempt] of Object.entries(attempts))
      await assert.rejects(attempt(), { status: 403, code: 'confirmation.other-request' }, what);
    assert.match(JSON.stringify(await records('control.refuse')), /confirmation\.other-request/, 'and it is on record');
    for (const thief of [second, stranger])
      await assert.rejects(thief.call('POST /apply', { ...template('wide'), confirmation: id }), {
        code: 'confirmation.unknown',
      });
    const forKey = { params: { name: 'agent-a' }, body: { key } };
    const keyId = await terminal.ask('POST /agents/:name/keys', forKey);
    await confirm(admin, workspace.url, keyId);
    await assert.rejects(
      terminal.call('POST /agents/:name/keys', { ...forKey, params: { name: 'agent-b' }, confirmation: keyId }),
      { code: 'confirmation.other-request' },
      'another agent',
    );
    for (const made of ['', 'x', 'cfm_00000000000000000000000000', `${id}x`])
      await assert.rejects(terminal.call('POST /apply', { ...template('wide'), confirmation: made }), {
        code: 'confirmation.unknown',
      });
    assert.equal((await terminal.call('POST /apply', { ...template('wide'), confirmation: id })).changes.length, 1);
  });

  /** @proves law-4.confirmation-person */
  test('nobody but its person confirms it, in a browser and with a passkey over exactly this', async () => {
    await signIn();
    const id = await terminal.ask('POST /apply', template('mine'));
    const params = { id };
    const { digest } = await admin.api('GET /confirmations/:id', { params });
    const body = { digest, assertion: {} };
    await assert.rejects(terminal.call('POST /confirmations/:id/options', { params, body: { digest } }), {
      status: 403,
    });
    await assert.rejects(terminal.call('POST /confirmations/:id/confirm', { params, body }), { status: 403 });
    await assert.rejects(confirm(other, workspace.url, id), /confirmation\.unknown/);
    await assert.rejects(other.api('POST /confirmations/:id/refuse', { params }), /confirmation\.unknown/);
    await assert.rejects(workspace.operator('POST /confirmations/:id/confirm', { params, body }), /403|person/);
    const agent = await workspace.agent('agent-b');
    const task = await agent.startTask({ template: 'all', intent: 'test' });
    for (const authorization of [`Bearer ${await task.token()}`, `DPoP ${await task.token()}`]) {
      const answer = await fetch(`${workspace.url}/api/v1/confirmations/${id}/confirm`, {
        method: 'POST',
        headers: { authorization, origin: workspace.url, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      assert.equal(answer.status, 403);
    }
    const say = (answer: object) => admin.api('POST /confirmations/:id/confirm', { params, body: answer });
    await assert.rejects(say({ digest }), /passkey-needed/);
    await assert.rejects(say({ digest: `sha256-${'0'.repeat(64)}`, assertion: {} }), /confirmation\.changed/);
    // Signed for another question of the same person.
    const decoy = await terminal.ask('POST /apply', template('harmless'));
    const { digest: harmless } = await admin.api('GET /confirmations/:id', { params: { id: decoy } });
    const { options } = await admin.api('POST /confirmations/:id/options', {
      params: { id: decoy },
      body: { digest: harmless },
    });
    const assertion = admin.passkey.assert(options as never, workspace.url);
    await assert.rejects(say({ digest, assertion }), /passkey\.not-verified/);
    await assert.rejects(terminal.call('POST /apply', { ...template('mine'), confirmation: id }), {
      code: 'confirmation.waiting',
    });
    const cross = await fetch(`${workspace.url}/api/v1/confirmations/${id}/confirm`, {
      method: 'POST',
      headers: { cookie: admin.cookie, origin: 'https://evil.example', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(cross.status, 403, 'nor does a page of another origin');
  });

  /** @proves law-4.confirmation-once */
  test('a yes is used once, also where many use it at the same time, and a no or a withdrawal ends it', async () => {
    await signIn();
    for (const [route, call] of [
      ['POST /apply', template('raced')],
      ['POST /agents/:name/join-tokens', { params: { name: 'agent-a' }, body: { ttlSeconds: 60, addresses: [] } }],
    ] as const) {
      const confirmation = await terminal.ask(route, call);
      await confirm(admin, workspace.url, confirmation);
      const tries = await Promise.allSettled(
        Array.from({ length: 8 }, () => terminal.call(route, { ...call, confirmation })),
      );
      const lost = tries.flatMap((each) => (each.status === 'rejected' ? [String(each.reason.code)] : []));
      assert.equal(lost.length, 7, `${route}: ${lost.join(' ')}`);
      assert.ok(
        lost.every((code) => /^confirmation\./.test(code)),
        lost.join(' '),
      );
      await assert.rejects(terminal.call(route, { ...call, confirmation }), { code: 'confirmation.used' });
      const used = (await records('confirmation.use')).filter((each) => JSON.stringify(each).includes(confirmation));
      assert.equal(used.length, 1);
    }
    const refused = await terminal.ask('POST /apply', template('refused'));
    await admin.api('POST /confirmations/:id/refuse', { params: { id: refused } });
    const withdrawn = await terminal.ask('POST /apply', template('withdrawn'));
    await confirm(admin, workspace.url, withdrawn);
    await terminal.call('POST /confirmations/:id/refuse', { params: { id: withdrawn } });
    for (const [name, confirmation] of [
      ['refused', refused],
      ['withdrawn', withdrawn],
    ] as const) {
      await assert.rejects(terminal.call('POST /apply', { ...template(name), confirmation }), {
        code: 'confirmation.refused',
      });
      await assert.rejects(confirm(admin, workspace.url, confirmation), /confirmation\.refused/);
    }
    const words = JSON.stringify(await records('confirmation.refuse'));
    assert.match(words, /withdrawn by the command line/);
  });

  /** @proves law-4.confirmation-exact */
  test('where the workspace has changed since, what was not shown is not done, and an apply that fails costs no yes', async () => {
    await signIn();
    const confirmation = await terminal.ask('POST /apply', tier(1));
    await confirm(admin, workspace.url, confirmation);
    await workspace.operator('POST /apply', tier(2));
    await assert.rejects(terminal.call('POST /apply', { ...tier(1), confirmation }), { code: 'confirmation.changed' });
    assert.equal(await tierNow(), 2);
    await workspace.operator('POST /apply', tier(3));
    assert.equal((await terminal.call('POST /apply', { ...tier(1), confirmation })).changes.length, 1);
    await workspace.operator('POST /apply', tier(3));
    // What changes nothing needs no yes, and gets none for what it would change later.
    assert.deepEqual(
      (await terminal.call('POST /apply', tier(3))).changes.map(({ operation }) => operation),
      ['unchanged'],
    );
  });

  /** @proves law-4.confirmation-people */
  test('who gets in is shown as such and takes a passkey; a made object is shown whole', async () => {
    await signIn();
    const person: ManifestInput = {
      kind: 'Person',
      email: 'new@example.test',
      displayName: 'New',
      roles: ['approver'],
    };
    const call = { body: { manifests: [manifest.parse(person)], prune: false } };
    const id = await terminal.ask('POST /apply', call);
    const { shown } = await confirm(admin, workspace.url, id);
    assert.equal(shown.changesWhoGetsIn, true);
    assert.match(JSON.stringify(shown.changes), /"after":\{.*new@example\.test.*"approver"/);
    await terminal.call('POST /apply', { ...call, confirmation: id });
    assert.ok((await workspace.operator('GET /people')).items.some(({ email }) => email === 'new@example.test'));
  });

  test('a secret is neither shown nor kept, and what ends the session ends what it asked for', async () => {
    await signIn();
    const secret = 'correct-horse-battery-staple';
    const call = { params: { name: 'upstream' }, body: { value: secret, origins: ['https://api.example'] } };
    const id = await terminal.ask('PUT /secrets/:name', call);
    const view = await admin.api('GET /confirmations/:id', { params: { id } });
    assert.deepEqual(view.shown.body, { value: '[hidden]', origins: ['https://api.example'] });
    assert.ok(!JSON.stringify([view, await records('confirmation.ask')]).includes(secret));
    const file = join(workspace.dataDir, 'gatehouse.db');
    if (existsSync(file)) {
      const rows = new DatabaseSync(file, { readOnly: true });
      const kept = JSON.stringify(rows.prepare('select * from confirmations').all());
      rows.close();
      assert.ok(kept.includes(id) && !kept.includes(secret));
    }
    await terminal.call('POST /signout');
    await assert.rejects(confirm(admin, workspace.url, id), /confirmation\.unknown/);
  });

  /** @proves law-4.confirmation-limits */
  test('one session asks 20 times in 10 minutes at most, and for nothing that is too long to read', async () => {
    await signIn();
    for (let at = 0; at < 20; at++) await terminal.ask('POST /apply', template(`many-${at}`));
    await assert.rejects(terminal.ask('POST /apply', template('one-more')), {
      status: 429,
      code: 'confirmation.too-many',
    });
    await signIn();
    const many = Array.from({ length: 200 }, (_, at) =>
      manifest.parse({
        kind: 'Template',
        name: `t-${at}`,
        description: 'x'.repeat(1_500),
        allow: [{ tools: ['shop/*'] }],
      }),
    );
    await assert.rejects(terminal.ask('POST /apply', { body: { manifests: many, prune: false } }), {
      status: 413,
      code: 'confirmation.too-large',
    });
  });
});
