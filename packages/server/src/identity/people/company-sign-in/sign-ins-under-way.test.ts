import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { createOutbound } from '../../../platform/index.ts';
import { createSealer } from '../../../storage/index.ts';
import { onEachDatabase } from '../testing/databases.ts';
import { type House, openHouse } from '../testing/house.ts';
import { createClientKeys } from './client-key.ts';
import { companySignInLimits as limits } from './limits.ts';
import { type CompanySignIn, createCompanySignIn } from './sign-in.ts';

onEachDatabase('sign-ins under way at the company’s provider', (database) => {
  const server = createServer((_request, response) => {
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      }),
    );
  });
  let house: House;
  let signIn: CompanySignIn;

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    house = await openHouse({ database: await database() });
    const provider = manifest.parse({
      kind: 'IdentityProvider',
      name: 'company',
      displayName: 'Company',
      issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      clientId: 'gatehouse',
      allowPrivateAddress: true,
    });
    await house.registry.apply([provider], { prune: false, by: 'gatehouse' });
    const sealer = createSealer(Buffer.alloc(32, 7));
    signIn = createCompanySignIn({
      ...house,
      sealer,
      clientKeys: createClientKeys({ ...house, sealer }),
      outbound: createOutbound(),
      openSecret: () => Promise.reject(new Error('no secret is needed')),
    });
  });
  after(async () => {
    await house.close();
    server.close();
  });

  test('one that took longer than ten minutes is begun again', async () => {
    for (const [late, code] of [
      [limits.signInTtlMs - 1, 'identity.not-verified'],
      [limits.signInTtlMs, 'identity.no-sign-in'],
    ] as const) {
      const { url, browser } = await signIn.begin('company', '/', undefined);
      const back = new URL(`${house.publicUrl}/oidc/callback/company?code=x`);
      back.searchParams.set('state', new URL(url).searchParams.get('state') ?? '');
      house.pass(late);
      const finish = signIn.finish('company', back, { browser, cookie: undefined, userAgent: 'test' });
      await assert.rejects(finish, { code });
    }
  });

  /** @proves oauth.unfinished-bound */
  test('too many of them lock nobody out: the oldest give way', async () => {
    const row = (index: number) => ({
      state_digest: `flood-${index}`,
      provider: 'company',
      browser_digest: 'x',
      nonce: 'x',
      sealed_verifier: new Uint8Array([1]),
      next: '/',
      expires_at: house.clock.now() + index,
    });
    const rows = Array.from({ length: limits.signInsUnderWay }, (_, index) => row(index));
    for (let at = 0; at < rows.length; at += 500)
      await house.storage.db
        .insertInto('provider_sign_ins')
        .values(rows.slice(at, at + 500))
        .execute();
    for (let count = 0; count < 3; count++) assert.ok((await signIn.begin('company', '/', undefined)).url);
    const left = await house.storage.db.selectFrom('provider_sign_ins').select('state_digest').execute();
    assert.equal(left.length, limits.signInsUnderWay);
    const digests = new Set(left.map(({ state_digest }) => state_digest));
    const isLeft = ['flood-0', 'flood-1', 'flood-2', 'flood-3'].map((each) => digests.has(each));
    assert.deepEqual(isLeft, [false, false, false, true]);
  });
});
