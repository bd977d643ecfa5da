import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { isSignedBy, readOutsideToken } from './outside-token.ts';

/** @proves federation.algorithms */
test('a key that is for one algorithm has signed nothing with another, though its signature verifies', async () => {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', privateKey);
  const pss = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign']);
  const sign = async (alg: string, key: CryptoKey) =>
    readOutsideToken(await new SignJWT({ iss: 'https://ci.test' }).setProtectedHeader({ alg, kid: 'k' }).sign(key));
  const tokens = { RS256: await sign('RS256', privateKey), PS256: await sign('PS256', pss) };
  const keyFor = (alg?: string): JWK => ({ ...jwk, kid: 'k', ...(alg !== undefined && { alg }) });
  for (const [alg, token] of Object.entries(tokens)) {
    assert.equal(await isSignedBy(token, [keyFor()]), true, `${alg} by a key that names none`);
    assert.equal(await isSignedBy(token, [keyFor(alg)]), true, `${alg} by its own`);
    for (const other of ['RS256', 'PS256', 'RS512', 'RSA-OAEP', 'none'].filter((each) => each !== alg))
      assert.equal(await isSignedBy(token, [keyFor(other)]), false, `${alg} by a key for ${other}`);
  }
});
