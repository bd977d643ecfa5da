import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import * as dpop from 'dpop';
import { CompactSign, exportJWK, generateKeyPair } from 'jose';
import { CredentialError } from './credential-error.ts';
import { createProofs, type PresentedProof } from './proof.ts';

/** @proves rfc9449.proof */
/** RFC 9449, figures 2 and 12: one proof for a token request, one for a protected resource, signed with the same key. */
const example = {
  thumbprint: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
  token: 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU',
  atTokenEndpoint:
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
  atResource:
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
};

const NOW = 1_800_000_000_000;
const url = 'https://gate.example/mcp';
const { privateKey, publicKey } = await generateKeyPair('ES256');
const jwk = await exportJWK(publicKey);

function setup(options: { now?: number; requireNonce?: boolean } = {}) {
  const clock = { at: options.now ?? NOW, now: () => clock.at };
  const proofs = createProofs({ clock, requireNonce: options.requireNonce ?? false });
  const refusal = (presented: PresentedProof): CredentialError => {
    let refused: unknown;
    try {
      proofs.check(presented);
    } catch (error) {
      refused = error;
    }
    assert.ok(refused instanceof CredentialError, 'the proof was accepted');
    return refused;
  };
  return { clock, proofs, refusal };
}

let counter = 0;
async function sign(change: {
  header?: Record<string, unknown>;
  payload?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
}): Promise<string> {
  const payload = { jti: `proof-${counter++}`, htm: 'POST', htu: url, iat: NOW / 1000, ...change.payload };
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...change.header })
    .sign(change.key ?? privateKey);
}

describe('RFC 9449 examples', () => {
  const { proofs } = setup({ now: 1_562_262_616_000 });

  test('the proof of a token request is accepted and its key has the published thumbprint', () => {
    const presented = { proof: example.atTokenEndpoint, method: 'POST', url: 'https://server.example.com/token' };
    assert.deepEqual(proofs.check(presented), { thumbprint: example.thumbprint });
  });

  test('the proof at a resource is accepted with the token it was made for', () => {
    const token = { hash: hash('sha256', example.token, 'base64url'), boundTo: example.thumbprint };
    const presented = {
      proof: example.atResource,
      method: 'GET',
      url: 'https://resource.example.org/protectedresource',
      token,
    };
    assert.deepEqual(proofs.check(presented), { thumbprint: example.thumbprint });
  });
});

test('a proof is accepted once', async () => {
  const { proofs, refusal, clock } = setup();
  const proof = await sign({});
  proofs.check({ proof, method: 'POST', url });
  clock.at += 59_000;
  assert.equal(refusal({ proof, method: 'POST', url }).code, 'proof.replayed');
});

test('a proof that was refused for its target is not used up', async () => {
  const { proofs, refusal } = setup();
  const proof = await sign({});
  refusal({ proof, method: 'GET', url });
  proofs.check({ proof, method: 'POST', url });
});

test('query and fragment do not count, nor how the same address is written', async () => {
  const { proofs } = setup();
  for (const htu of [`${url}?a=1`, `${url}#b`, 'HTTPS://GATE.example:443/mcp', 'https://gate.example/x/../mcp'])
    proofs.check({ proof: await sign({ payload: { htu } }), method: 'POST', url: `${url}?session=2` });
});

describe('a proof is refused', () => {
  const { refusal } = setup();
  const hs256 = Buffer.from('0123456789abcdef0123456789abcdef');
  const cases: [string, Parameters<typeof sign>[0]][] = [
    ['for another method', { payload: { htm: 'GET' } }],
    ['for a method in other letters', { payload: { htm: 'post' } }],
    ['for another path', { payload: { htu: 'https://gate.example/mcp/shop' } }],
    ['for another host', { payload: { htu: 'https://gate.example.evil.example/mcp' } }],
    ['for another scheme', { payload: { htu: 'http://gate.example/mcp' } }],
    ['for no address at all', { payload: { htu: '/mcp' } }],
    ['without htm', { payload: { htm: undefined } }],
    ['without htu', { payload: { htu: undefined } }],
    ['without jti', { payload: { jti: undefined } }],
    ['with an empty jti', { payload: { jti: '' } }],
    ['with a jti of 10,000 characters', { payload: { jti: 'x'.repeat(10_000) } }],
    ['without iat', { payload: { iat: undefined } }],
    ['with an iat that is text', { payload: { iat: String(NOW / 1000) } }],
    ['with another typ', { header: { typ: 'JWT' } }],
    ['without typ', { header: { typ: undefined } }],
    ['signed with a shared secret', { header: { alg: 'HS256' }, key: hs256 }],
    ['with the private key in it', { header: { jwk: { ...jwk, d: 'AAAA' } } }],
    ['with a key of another kind than its algorithm', { header: { jwk: { kty: 'OKP', crv: 'Ed25519', x: jwk.x } } }],
    ['with an RSA key', { header: { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } } }],
    ['with numbers that are no point of the curve', { header: { jwk: { ...jwk, y: jwk.x } } }],
    ['without a key', { header: { jwk: undefined } }],
  ];
  for (const [name, change] of cases)
    test(name, async () => {
      assert.equal(refusal({ proof: await sign(change), method: 'POST', url }).kind, 'invalid_dpop_proof');
    });

  test('signed with another key than the one in it', async () => {
    const { privateKey: other } = await generateKeyPair('ES256');
    const { message } = refusal({ proof: await sign({ key: other }), method: 'POST', url });
    assert.match(message, /signature/);
  });

  test('with alg none', async () => {
    const [, payload] = (await sign({})).split('.');
    const header = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg: 'none', jwk })).toString('base64url');
    for (const proof of [`${header}.${payload}.`, `${header}.${payload}.AAAA`])
      assert.equal(refusal({ proof, method: 'POST', url }).kind, 'invalid_dpop_proof');
  });

  test('when it is two proofs, as two DPoP headers arrive', async () => {
    const proof = `${await sign({})}, ${await sign({})}`;
    assert.equal(refusal({ proof, method: 'POST', url }).kind, 'invalid_dpop_proof');
  });

  test('with a member twice, which two readers would read differently', async () => {
    const text = `{"jti":"a","htm":"GET","htm":"POST","htu":"${url}","iat":${NOW / 1000}}`;
    const proof = await new CompactSign(Buffer.from(text))
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .sign(privateKey);
    assert.match(refusal({ proof, method: 'POST', url }).message, /strict JSON/);
  });
});

describe('with an access token', () => {
  const { proofs, refusal } = setup();
  const ath = hash('sha256', 'the token', 'base64url');

  async function thumbprint(): Promise<string> {
    return proofs.check({ proof: await sign({}), method: 'POST', url }).thumbprint;
  }

  test('a proof of the key that the token is bound to is accepted, any other key is not', async () => {
    const token = { hash: ath, boundTo: await thumbprint() };
    proofs.check({ proof: await sign({ payload: { ath } }), method: 'POST', url, token });
    const other = await dpop.generateKeyPair('ES256');
    const proof = await dpop.generateProof(other, url, 'POST', undefined, 'the token');
    assert.equal(refusal({ proof, method: 'POST', url, token }).code, 'token.other-key');
  });

  test('a proof made for another token, or for none, is refused', async () => {
    const token = { hash: ath, boundTo: await thumbprint() };
    const other = hash('sha256', 'another token', 'base64url');
    for (const payload of [{ ath: other }, {}, { ath: ath.slice(1) }])
      assert.match(refusal({ proof: await sign({ payload }), method: 'POST', url, token }).message, /ath/);
  });
});

describe('time and nonces', () => {
  test('a minute either way is near enough; beyond it a nonce is asked for, and makes up for a wrong clock', async () => {
    const { proofs, refusal } = setup();
    for (const seconds of [-60, 0, 60])
      proofs.check({ proof: await sign({ payload: { iat: NOW / 1000 + seconds } }), method: 'POST', url });
    for (const seconds of [-61, 61, -100_000, 1e300]) {
      const iat = NOW / 1000 + seconds;
      assert.equal(refusal({ proof: await sign({ payload: { iat } }), method: 'POST', url }).kind, 'use_dpop_nonce');
    }
    const payload = { iat: 1, nonce: proofs.nonce() };
    proofs.check({ proof: await sign({ payload }), method: 'POST', url });
  });

  test('where nonces are required, a proof without one or with a made-up one is answered with use_dpop_nonce', async () => {
    const { proofs, refusal } = setup({ requireNonce: true });
    for (const nonce of [undefined, 'made-up', '', 7]) {
      const { kind } = refusal({ proof: await sign({ payload: { nonce } }), method: 'POST', url });
      assert.equal(kind, 'use_dpop_nonce');
    }
    proofs.check({ proof: await sign({ payload: { nonce: proofs.nonce() } }), method: 'POST', url });
  });

  test('a nonce ends after two minutes at the latest, and is no good at another replica', async () => {
    const here = setup({ requireNonce: true });
    const there = setup({ requireNonce: true });
    const nonce = here.proofs.nonce();
    const proof = await sign({ payload: { nonce } });
    here.proofs.check({ proof, method: 'POST', url });
    assert.equal(there.refusal({ proof, method: 'POST', url }).kind, 'use_dpop_nonce');
    here.clock.at += 120_000;
    assert.equal(
      here.refusal({ proof: await sign({ payload: { nonce } }), method: 'POST', url }).kind,
      'use_dpop_nonce',
    );
  });

  test('a proof with a nonce cannot be used twice while the nonce is good', async () => {
    const { clock, proofs, refusal } = setup({ now: Math.ceil(NOW / 60_000) * 60_000 });
    const proof = await sign({ payload: { nonce: proofs.nonce() } });
    proofs.check({ proof, method: 'POST', url });
    for (const afterMs of [1, 60_000, 119_999]) {
      clock.at = Math.ceil(NOW / 60_000) * 60_000 + afterMs;
      assert.equal(refusal({ proof, method: 'POST', url }).code, 'proof.replayed');
    }
  });
});

test('proofs of the dpop package are accepted, with both kinds of keys', async () => {
  const { proofs } = setup({ now: Date.now() });
  for (const algorithm of ['ES256', 'Ed25519'] as const) {
    const pair = await dpop.generateKeyPair(algorithm);
    const proof = await dpop.generateProof(pair, url, 'POST');
    const { thumbprint } = proofs.check({ proof, method: 'POST', url });
    assert.equal(thumbprint, await dpop.calculateThumbprint(pair.publicKey));
  }
});
