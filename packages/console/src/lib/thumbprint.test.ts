import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PublicJwk } from '@gatehouse/protocol';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { thumbprint } from './thumbprint.ts';

test('a key is named here as the API names it (RFC 7638), whatever else its JWK holds', async () => {
  for (const algorithm of ['ES256', 'EdDSA']) {
    const { publicKey } = await generateKeyPair(algorithm);
    const jwk = await exportJWK(publicKey);
    assert.equal(
      await thumbprint({ ...jwk, kid: 'mine', use: 'sig', alg: algorithm } as PublicJwk),
      await calculateJwkThumbprint(jwk),
    );
  }
});
