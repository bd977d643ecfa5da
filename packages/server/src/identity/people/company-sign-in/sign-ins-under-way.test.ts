import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { createOutbound } from '../../../platform/index.ts';
import { createSealer } from '../../../storage/index.ts';
import { onEachDatabase } from '../testing/databases.ts';
import { openHouse } from '../testing/house.ts';
import { companySignInLimits as limits } from './limits.ts';
import { createCompanySignIn } from './sign-in.ts';

onEachDatabase('a flood of sign-ins that nobody means to finish', (database) => {
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
  after(() => server.close());

  /** @proves oauth.unfinished-bound */
  test('is bounded, and locks nobody out: the oldest give way', async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const house = await openHouse({ database: await database() });
    const provider = manifest.parse({
      kind: 'IdentityProvider',
      name: 'company',
      displayName: 'Company',
      issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      clientId: 'gatehouse',
      allowPrivateAddress: true,
    });
    await house.registry.apply([provider], { prune: false, by: 'gatehouse' });
    const signIn = createCompanySignIn({
      ...house,
      sealer: createSealer(Buffer.alloc(32, 7)),
      outbound: createOutbound(),
      openSecret: () => Promise.reject(new Error('no secret is needed')),
    });
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
    assert.deepEqual(
      ['flood-0', 'flood-1', 'flood-2', 'flood-3'].map((each) => digests.has(each)),
      [...[false, false, false, true]],
    );
    await house.close();
  });
});
