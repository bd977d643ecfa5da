import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { parseBundle, type SpiffeBundle } from './bundle.ts';
import { verifyJwt } from './jwt-svid.ts';

let pair: Awaited<ReturnType<typeof generateKeyPair>>;
let jwk: Record<string, unknown>;
const bundles = new Map<string, SpiffeBundle>();
const now = Date.now();
const seconds = Math.floor(now / 1000);
const claims = { sub: 'spiffe://example.test/a', aud: ['db'], exp: seconds + 60, iat: seconds };
const sign = (change: object = {}, header: Record<string, unknown> = {}, key: CryptoKey = pair.privateKey) =>
  new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: 'ES256', kid: 'one', ...header }).sign(key);
const verify = (token: string, audience = 'db') =>
  verifyJwt(token, audience, { bundleOf: (name) => bundles.get(name), now });
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

before(async () => {
  pair = await generateKeyPair('ES256', { extractable: true });
  jwk = { use: 'jwt-svid', kid: 'one', ...(await exportJWK(pair.publicKey)) };
  bundles.set('example.test', parseBundle('example.test', { keys: [jwk] } as never));
  bundles.set('foreign.test', parseBundle('foreign.test', { keys: [] }));
});

/** @proves spiffe.jwt-svid */
describe('a JWT-SVID', () => {
  test('verifies with the JWT key of its trust domain, for one of its audiences', async () => {
    const { spiffeId, audience } = verify(await sign({ aud: ['db', 'queue'] }, { typ: 'JWT' }));
    assert.deepEqual([spiffeId, audience], ['spiffe://example.test/a', ['db', 'queue']]);
    assert.equal(verify(await sign({ aud: 'db' })).spiffeId, 'spiffe://example.test/a');
  });

  test('of every algorithm that the specification names verifies, RSA and PSS too', async () => {
    for (const alg of ['RS256', 'PS256', 'PS512', 'ES384', 'ES512']) {
      const other = await generateKeyPair(alg, { extractable: true });
      const key = { ...(await exportJWK(other.publicKey)), use: 'jwt-svid', kid: alg };
      bundles.set('other.test', parseBundle('other.test', { keys: [key] } as never));
      const token = await sign({ sub: 'spiffe://other.test/a' }, { alg, kid: alg }, other.privateKey);
      assert.equal(verify(token).trustDomain, 'other.test', alg);
    }
  });

  test('without signature, with a shared secret or with EdDSA is refused, whatever its header says', async () => {
    const body = encode(claims);
    assert.throws(() => verify(`${encode({ alg: 'none', kid: 'one' })}.${body}.`), { code: 'svid.jwt' });
    assert.throws(() => verify(`${encode({ alg: 'none', kid: 'one' })}.${body}.AAAA`), { message: /alg is none of/ });
    const head = encode({ alg: 'HS256', kid: 'one' });
    const mac = createHmac('sha256', JSON.stringify(jwk)).update(`${head}.${body}`).digest('base64url');
    assert.throws(() => verify(`${head}.${body}.${mac}`), { message: /alg is none of/ });
    const ed = await generateKeyPair('EdDSA', { extractable: true });
    const token = await sign({}, { alg: 'EdDSA' }, ed.privateKey);
    assert.throws(() => verify(token), { message: /alg is none of/ });
    for (const alg of ['constructor', 'toString', 'ES384', 'RS256'])
      assert.throws(() => verify(`${encode({ alg, kid: 'one' })}.${body}.AAAA`), { code: 'svid.jwt' }, alg);
  });

  test('that brings its own key, names none, or one by a path is refused', async () => {
    const other = await generateKeyPair('ES256', { extractable: true });
    const foreign = await exportJWK(other.publicKey);
    for (const header of [{ jwk: foreign }, { jku: 'https://evil.example' }, { x5c: ['AAAA'] }, { crit: ['exp'] }]) {
      const token = `${encode({ alg: 'ES256', kid: 'one', ...header })}.${encode(claims)}.AAAA`;
      assert.throws(() => verify(token), { code: 'svid.jwt', message: /header has the member/ });
    }
    for (const kid of ['../../etc/passwd', "' or 1=1 --", '__proto__', '', undefined]) {
      const token = await sign({}, { kid }, other.privateKey);
      assert.throws(() => verify(token), { code: 'svid.untrusted', message: /kid names no/ }, String(kid));
    }
    const unsigned = await sign({}, {}, other.privateKey);
    assert.throws(() => verify(unsigned), { code: 'svid.untrusted', message: /signature/ });
  });

  test('for another audience, without one, without end, expired or early is refused', async () => {
    const cases: [object, RegExp][] = [
      [{ aud: 'other' }, /not for db/],
      [{ aud: undefined }, /no aud/],
      [{ aud: [] }, /no aud/],
      [{ aud: [1, 'db'] }, /no aud/],
      [{ exp: undefined }, /no exp/],
      [{ exp: seconds - 1 }, /expired/],
      [{ nbf: seconds + 300 }, /not valid yet/],
      [{ iat: seconds + 300 }, /not valid yet/],
      [{ sub: undefined }, /no sub/],
      [{ sub: 'spiffe://example.test' }, /not of anybody/],
      [{ sub: 'spiffe://example.test/a/../b' }, /no SPIFFE ID/],
      [{ sub: 'spiffe://Example.test/a' }, /no SPIFFE ID/],
      [{ sub: 'spiffe://foreign.test/a' }, /kid names no/],
      [{ sub: 'spiffe://unknown.test/a' }, /neither ours/],
    ];
    for (const [change, says] of cases) {
      const token = await sign(change);
      assert.throws(() => verify(token), { message: says }, JSON.stringify(change));
    }
  });

  test('of another kind of token, with a claim twice, or of 10 MB is refused', async () => {
    const typed = await sign({}, { typ: 'at+jwt' });
    assert.throws(() => verify(typed), { message: /typ is neither/ });
    const twice = `${encode({ alg: 'ES256', kid: 'one' })}.${encode('{"sub":"spiffe://example.test/a","sub":"spiffe://example.test/b"}')}.AAAA`;
    assert.throws(() => verify(twice), { message: /strict JSON/ });
    assert.throws(() => verify('a'.repeat(10_000_000)), { message: /longer than 8192/ });
    assert.throws(() => verify('a.b'), { message: /three parts/ });
  });
});

/** @proves spiffe.bundle */
describe('a bundle', () => {
  test('with too many keys, two certificates in one, two keys of one kid or a private part is refused as a whole', () => {
    const parse = (keys: unknown[], more: object = {}) => parseBundle('a.test', { keys, ...more } as never);
    assert.throws(() => parse(Array.from({ length: 1_000 }, (_, at) => ({ ...jwk, kid: `k${at}` }))), /1000 keys/);
    assert.throws(() => parse([{ use: 'x509-svid', x5c: ['AAAA', 'AAAA'] }]), /exactly one x5c/);
    assert.throws(() => parse([{ use: 'x509-svid', x5c: ['AAAA'] }]), /cannot be read/);
    assert.throws(() => parse([jwk, jwk]), /one kid/);
    assert.throws(() => parse([{ ...jwk, kid: undefined }]), /no kid/);
    assert.throws(() => parse([{ ...jwk, d: 'AAAA' }]), /private/);
    assert.throws(() => parse([{ ...jwk, kty: 'oct', k: 'AAAA' }]), /private/);
    assert.throws(() => parse([jwk], { spiffe_sequence: -1 }), /spiffe_sequence/);
    assert.throws(() => parseBundle('a.test', 'text'), /no JWK set/);
    assert.equal(parse([{ ...jwk, use: 'sig' }, { kty: 'EC' }]).jwtKeys.size, 0);
    assert.deepEqual(
      [1, 999_999, undefined].map((hint) => parse([], { spiffe_refresh_hint: hint }).refreshHintSeconds),
      [60, 3_600, 300],
    );
  });
});
