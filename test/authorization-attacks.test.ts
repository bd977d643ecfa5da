import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import * as oauth from 'oauth4webapi';
import { answerConsent, authorize, openBrowser } from './support/browser-flow.ts';
import { builtConsole } from './support/console.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** What somebody would try who wants another person's code, or to wear the server down (RFC 9700, RFC 8252). */
let workspace: Workspace;
let owner: SignedInPerson;
const assets = builtConsole();
const WEB = 'https://app.example/callback';
const LOOPBACK = 'http://127.0.0.1/callback';

before(async () => {
  workspace = await startWorkspace({ consoleDir: assets.directory });
  const app: ManifestInput = { kind: 'Client', name: 'app', displayName: 'App', redirectUris: [WEB, LOOPBACK] };
  const web: ManifestInput = { kind: 'Client', name: 'web', displayName: 'Web', redirectUris: [WEB] };
  await workspace.apply([...manifests(), app, web]);
  owner = await workspace.person('owner@example.test');
});
after(async () => {
  await workspace.close();
  assets.remove();
});

const choose = { choose: <T extends { agent: string }>(all: T[]) => all.find(({ agent }) => agent === 'agent-bearer') };
const verifier = randomBytes(32).toString('base64url');
const request = (change: Record<string, string> = {}) => ({
  response_type: 'code',
  client_id: 'app',
  redirect_uri: WEB,
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
  ...change,
});
const addressOf = (form: Record<string, string>) => `${workspace.url}/oauth/authorize?${new URLSearchParams(form)}`;
const begin = (change: Record<string, string> = {}) => fetch(addressOf(request(change)), { redirect: 'manual' });
const post = async (path: string, form: Record<string, string>, headers: Record<string, string> = {}) => {
  const response = await fetch(workspace.url + path, { method: 'POST', body: new URLSearchParams(form), headers });
  return { response, body: (await response.json()) as Record<string, string> };
};

/** What is kept under a code or request, as it lies in the database. */
function artifacts(model: string): { id: string; expires_at: number }[] {
  const database = new DatabaseSync(join(workspace.dataDir, 'gatehouse.db'));
  try {
    return database.prepare('select id, expires_at from oauth_artifacts where model = ?').all(model) as never;
  } finally {
    database.close();
  }
}

describe('redirect addresses', () => {
  /** @proves rfc9700.redirect */
  test('are those that are registered, character by character', async () => {
    const variants = [
      `${WEB}/`,
      `${WEB}?a=b`,
      `${WEB}#fragment`,
      `${WEB}/../callback`,
      'https://app.example/x/../callback',
      'https://app.example/%63allback',
      'https://app.example/callback%2f..%2f..',
      'https://app.example/Callback',
      'https://APP.example/callback',
      'https://app.example:443/callback',
      'https://app.example:8443/callback',
      'https://app.example./callback',
      'https://user@app.example/callback',
      'https://app.example@evil.example/callback',
      'https://app.example.evil.example/callback',
      'https://evil.example\\@app.example/callback',
      'http://app.example/callback',
      'javascript:alert(1)//callback',
      'callback',
    ];
    for (const redirect_uri of variants) {
      const response = await begin({ client_id: 'web', redirect_uri });
      const text = await response.text();
      assert.equal(response.status, 400, `${redirect_uri}: ${text}`);
      assert.equal(response.headers.get('location'), null, redirect_uri);
    }
  });

  /** @proves rfc8252.loopback */
  test('of the loopback interface may have any port, and nothing else that differs', async () => {
    for (const redirect_uri of ['http://127.0.0.1:1/callback', 'http://127.0.0.1:65535/callback', LOOPBACK])
      assert.equal((await begin({ redirect_uri })).status, 303, redirect_uri);
    const others = [
      'https://127.0.0.1:8/callback',
      'http://127.0.0.2:8/callback',
      'http://127.0.0.1:8/other',
      'http://localhost:8/callback',
      'http://127.0.0.1.evil.example:8/callback',
      'http://127.0.0.1:8@evil.example/callback',
      'http://[::1]:8/callback',
    ];
    for (const redirect_uri of others) {
      const response = await begin({ redirect_uri });
      assert.equal(response.status, 400, redirect_uri);
      assert.equal(response.headers.get('location'), null, redirect_uri);
    }
  });
});

describe('browsers', () => {
  /** @proves consent.framed */
  test('show neither the consent nor the device page in a frame, and run no script that is not ours', async () => {
    for (const path of ['/consent/browser-x', '/device', '/device?user_code=AAAA-BBBB']) {
      const response = await fetch(workspace.url + path);
      assert.equal(response.status, 200, path);
      const policy = response.headers.get('content-security-policy') ?? '';
      assert.match(policy, /frame-ancestors 'none'/, path);
      assert.match(policy, /default-src 'self'/, path);
      assert.equal(response.headers.get('referrer-policy'), 'no-referrer', path);
    }
    const begun = await begin();
    assert.match(begun.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
    assert.equal(begun.headers.get('x-frame-options'), 'DENY');
    assert.equal(begun.headers.get('cache-control'), 'no-store');
  });

  test('are told of an error as text, whatever stands in the request', async () => {
    const response = await fetch(addressOf(request({ client_id: '<script>alert(1)</script>' })), {
      headers: { accept: 'text/html' },
    });
    assert.equal(response.status, 400);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  });

  /** @proves consent.fixation */
  test('that have not begun a request cannot end it: what another has answered is not theirs to fetch', async () => {
    const victim = openBrowser();
    const page = await victim.get(addressOf(request({ state: 'victim' })));
    const id = /browser-[\w-]+/.exec(page.headers.get('location') ?? '')?.[0] ?? '';
    const cookie = [owner.cookie, ...[...victim.cookies].map(([name, value]) => `${name}=${value}`)].join('; ');
    const { redirect } = await answerConsent(id, { ...owner, cookie }, workspace.url, choose);
    const stranger = await fetch(String(redirect), { redirect: 'manual' });
    assert.equal(stranger.status, 400);
    assert.equal(stranger.headers.get('location'), null);
    // One that has begun a request of its own, and puts the other's into the address.
    const attacker = openBrowser();
    await attacker.get(addressOf(request({ state: 'attacker' })));
    const stolen = await attacker.get(String(redirect));
    assert.ok(!stolen.headers.get('location')?.includes('code='), String(stolen.headers.get('location')));
    const own = await victim.get(String(redirect));
    assert.equal(new URL(own.headers.get('location') ?? '').searchParams.get('state'), 'victim');
  });

  test('get their code once: the way back is closed after it', async () => {
    const browser = openBrowser();
    const page = await browser.get(addressOf(request()));
    const id = /browser-[\w-]+/.exec(page.headers.get('location') ?? '')?.[0] ?? '';
    const cookie = [owner.cookie, ...[...browser.cookies].map(([name, value]) => `${name}=${value}`)].join('; ');
    const { redirect } = await answerConsent(id, { ...owner, cookie }, workspace.url, choose);
    assert.match((await browser.get(String(redirect))).headers.get('location') ?? '', /code=/);
    assert.doesNotMatch((await browser.get(String(redirect))).headers.get('location') ?? '', /code=/);
    await assert.rejects(answerConsent(id, { ...owner, cookie }, workspace.url, choose), /404|consent\./);
  });

  /** @proves oauth.cors */
  test('let every page read the metadata, and no page the answers of an endpoint', async () => {
    const headers = { origin: 'https://page.example' };
    const metadata = await fetch(`${workspace.url}/.well-known/oauth-authorization-server`, { headers });
    assert.equal(metadata.headers.get('access-control-allow-origin'), '*');
    for (const path of ['/oauth/token', '/oauth/par', '/oauth/introspect', '/oauth/device']) {
      const { response } = await post(path, { client_id: 'app' }, headers);
      assert.equal(response.headers.get('access-control-allow-origin'), null, path);
      const preflight = await fetch(workspace.url + path, { method: 'OPTIONS', headers });
      assert.equal(preflight.status, 405, path);
      assert.equal(preflight.headers.get('access-control-allow-origin'), null, path);
    }
  });
});

describe('answers', () => {
  /** @proves rfc9207.iss */
  test('name the issuer, errors too, so that a client with several servers notices an answer of the wrong one', async () => {
    const issuer = new URL(workspace.url);
    const options = { [oauth.allowInsecureRequests]: true };
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const back = await authorize(addressOf(request({ state: 's' })), owner, { deny: true });
    assert.equal(back.searchParams.get('iss'), workspace.url);
    assert.throws(() => oauth.validateAuthResponse(server, { client_id: 'app' }, back, 's'), {
      name: 'AuthorizationResponseError',
    });
    const honest = await authorize(addressOf(request({ state: 's' })), owner, choose);
    const mixedUp = { ...server, issuer: 'https://other.example' };
    assert.throws(() => oauth.validateAuthResponse(mixedUp, { client_id: 'app' }, honest, 's'), /issuer/);
    assert.ok(oauth.validateAuthResponse(server, { client_id: 'app' }, honest, 's'));
  });

  test('by form_post run their one script, and nothing else', async () => {
    const browser = openBrowser();
    const page = await browser.get(addressOf(request({ response_mode: 'form_post', state: '"><script>x</script>' })));
    const id = /browser-[\w-]+/.exec(page.headers.get('location') ?? '')?.[0] ?? '';
    const cookie = [owner.cookie, ...[...browser.cookies].map(([name, value]) => `${name}=${value}`)].join('; ');
    const { redirect } = await answerConsent(id, { ...owner, cookie }, workspace.url, choose);
    const answer = await browser.get(String(redirect));
    const html = await answer.text();
    assert.match(html, /name="code"/);
    const script = /<script>([\s\S]*?)<\/script>/.exec(html)?.[1] ?? '';
    const digest = createHash('sha256').update(script).digest('base64');
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.ok(answer.headers.get('content-security-policy')?.includes(`'sha256-${digest}'`));
    assert.equal(html.match(/<script>/g)?.length, 1);
  });
});

describe('limits', () => {
  /** @proves oauth.limits */
  test('of a query, a state, a body and a binding message', async () => {
    assert.equal((await begin({ state: 'x'.repeat(2_000) })).status, 303);
    const long = await begin({ state: 'x'.repeat(2_001) });
    assert.match(long.headers.get('location') ?? '', /error=invalid_request/);
    const query = await begin({ nonce: 'x'.repeat(8 * 1024) });
    assert.equal(query.status, 414);
    assert.match(JSON.stringify(await query.json()), /Push the request/);
    const form = new URLSearchParams(request({ nonce: 'x'.repeat(33 * 1024) }));
    const pushed = await fetch(`${workspace.url}/oauth/par`, { method: 'POST', body: form });
    assert.equal(pushed.status, 413);
  });

  /** @proves oauth.limits */
  test('of time: a code lives for 60 seconds, a request for 10 minutes', async () => {
    const before = Date.now();
    const back = await authorize(addressOf(request()), owner, choose);
    const code = back.searchParams.get('code') ?? '';
    const [kept] = artifacts('AuthorizationCode').filter(
      ({ id }) => id === createHash('sha256').update(code).digest('hex'),
    );
    const life = (kept?.expires_at ?? 0) - before;
    assert.ok(life >= 60_000 && life <= 60_000 + (Date.now() - before) + 1_000, `${life} ms`);
    const { body } = await post('/oauth/device', { client_id: 'app' });
    assert.equal(Number(body.expires_in), 600);
    const begun = Date.now();
    await begin();
    const newest = Math.max(...artifacts('Interaction').map(({ expires_at }) => expires_at));
    assert.ok(newest - begun >= 599_000 && newest - begun <= 620_000, `${newest - begun} ms`);
  });
});
