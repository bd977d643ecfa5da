import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createOutbound } from '../../../platform/index.ts';
import { createSealer } from '../../../storage/index.ts';
import { type House, openHouse } from '../testing/house.ts';
import { createClientKeys } from './client-key.ts';
import { companySignInLimits as limits } from './limits.ts';
import { type CompanySignIn, createCompanySignIn } from './sign-in.ts';

/** A provider that answers too much, too late, or by another clock. */
const asked: string[] = [];
let answer: ((path: string, response: ServerResponse) => boolean) | undefined;
let key: Awaited<ReturnType<typeof generateKeyPair>>;
const server = createServer(async (request, response) => {
  const path = request.url ?? '';
  asked.push(path);
  if (answer?.(path, response)) return;
  response.setHeader('content-type', 'application/json');
  if (path === '/jwks') {
    response.end(JSON.stringify({ keys: [{ ...(await exportJWK(key.publicKey)), kid: 'one', alg: 'ES256' }] }));
    return;
  }
  response.end(JSON.stringify(metadata()));
});
const issuer = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const metadata = (more: object = {}) => ({
  issuer: issuer(),
  authorization_endpoint: `${issuer()}/authorize`,
  token_endpoint: `${issuer()}/token`,
  jwks_uri: `${issuer()}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  ...more,
});
let house: House;
let signIn: CompanySignIn;

before(async () => {
  key = await generateKeyPair('ES256', { extractable: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  house = await openHouse();
  const provider = manifest.parse({
    kind: 'IdentityProvider',
    name: 'company',
    displayName: 'Company',
    issuer: issuer(),
    clientId: 'gatehouse',
    allowPrivateAddress: true,
  });
  await house.registry.apply([provider], { prune: false, by: 'gatehouse' });
});
beforeEach(() => {
  asked.length = 0;
  answer = undefined;
  signIn = fresh();
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await house.close();
});

/** One that has asked the provider for nothing yet. */
function fresh(): CompanySignIn {
  const sealer = createSealer(Buffer.alloc(32, 7));
  return createCompanySignIn({
    ...house,
    sealer,
    clientKeys: createClientKeys({ ...house, sealer }),
    outbound: createOutbound(),
    openSecret: () => Promise.reject(new Error('no secret is needed')),
  });
}

const begin = () => signIn.begin('company', '/', undefined);

test('an answer may be as large as the limit, and is not read when it is larger', async () => {
  const sized = (bytes: number) => {
    const body = JSON.stringify(metadata({ padding: '' }));
    return JSON.stringify(metadata({ padding: 'x'.repeat(bytes - body.length) }));
  };
  for (const [bytes, isTaken] of [
    [limits.answerBytes, true],
    [limits.answerBytes + 1, false],
  ] as const) {
    signIn = fresh();
    answer = (path, response) => {
      if (!path.startsWith('/.well-known')) return false;
      response.setHeader('content-type', 'application/json');
      response.end(sized(bytes));
      return true;
    };
    if (isTaken) assert.ok((await begin()).url);
    else await assert.rejects(begin(), { code: 'identity-provider.unreachable' });
  }
});

test('a provider that does not answer is not waited for', async () => {
  answer = () => true;
  await assert.rejects(begin(), { code: 'identity-provider.unreachable' });
  answer = undefined;
  assert.ok((await begin()).url, 'and what failed is not remembered');
});

/** @proves oidc.issuer */
test('a provider that calls itself by another name, be it by a slash, is not believed', async () => {
  for (const other of [`${issuer()}/`, `${issuer().replace('http:', 'HTTP:')}`, 'https://elsewhere.test']) {
    signIn = fresh();
    answer = (path, response) => {
      if (!path.startsWith('/.well-known')) return false;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(metadata({ issuer: other })));
      return true;
    };
    await assert.rejects(begin(), { code: 'identity-provider.unreachable' }, other);
  }
});

test('metadata is asked for once in its time, and again after it', async () => {
  const times = () => asked.filter((path) => path.startsWith('/.well-known')).length;
  await begin();
  house.pass(limits.metadataTtlMs - 1);
  await begin();
  assert.equal(times(), 1);
  house.pass(1);
  await begin();
  assert.equal(times(), 2);
});

test('a provider’s clock may be off by a minute, and not by more', async () => {
  const logOut = async (expiredFor: number) => {
    const now = Math.floor(house.clock.now() / 1_000);
    const token = await new SignJWT({
      sub: 'somebody',
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer(issuer())
      .setAudience('gatehouse')
      .setIssuedAt(now - 120)
      .setExpirationTime(now - expiredFor)
      .setJti(crypto.randomUUID())
      .sign(key.privateKey);
    return signIn.logOut('company', token);
  };
  assert.equal(await logOut(limits.clockToleranceSeconds - 1), 0);
  await assert.rejects(logOut(limits.clockToleranceSeconds + 1), { code: 'logout-token.invalid' });
});
