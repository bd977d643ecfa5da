import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { jwtVerify } from 'jose';
import { MalformedJws, parseCompactJws, publicKeyMembers, signCompactJws, verifyJws } from './jws.ts';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const token = () => signCompactJws({ alg: 'ES256', typ: 'JWT' }, { sub: 'a' }, pair.privateKey);

test('what we sign, others verify', async () => {
  const { payload } = await jwtVerify(token(), pair.publicKey, { algorithms: ['ES256'], typ: 'JWT' });
  assert.deepEqual(payload, { sub: 'a' });
});

test('no change of a single character goes unnoticed', () => {
  const text = token();
  for (let at = 0; at < text.length; at++) {
    const changed = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
    let accepted = false;
    try {
      accepted = verifyJws(parseCompactJws(changed, 4_096), 'ES256', pair.publicKey);
    } catch (error) {
      assert.ok(error instanceof MalformedJws);
    }
    assert.equal(accepted, false, `a change at ${at} was not noticed`);
  }
});

test('one token has one text: padding, other alphabets and spare bits are refused', () => {
  const [header, payload, signature = ''] = token().split('.');
  const last = signature.at(-1) as string;
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const spare = alphabet[alphabet.indexOf(last) ^ 1] as string;
  for (const text of [
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}.${signature}==`,
    `${header}.${payload}.${signature.slice(0, -1)}${spare}`,
    `${header}.${payload}.${signature}\n`,
    ` ${header}.${payload}.${signature}`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload}`,
    `${header}..${signature}`,
  ])
    assert.throws(() => parseCompactJws(text, 4_096), MalformedJws);
});

test('any text is either parsed or refused as malformed', () => {
  const segment = fc.oneof(
    fc.string(),
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  );
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 5 }), (segments) => {
      try {
        parseCompactJws(segments.join('.'), 4_096);
      } catch (error) {
        assert.ok(error instanceof MalformedJws);
      }
    }),
  );
});

test('a key is refused as text, as a list, and with members of a private or shared key', () => {
  const jwk = pair.publicKey.export({ format: 'jwk' });
  assert.equal(typeof publicKeyMembers(jwk), 'object');
  for (const other of [
    'text',
    null,
    [jwk],
    {},
    { ...jwk, d: 'x' },
    { ...jwk, k: 'x' },
    { ...jwk, crv: 'P-384' },
    { ...jwk, x: `${jwk.x}=` },
  ])
    assert.equal(typeof publicKeyMembers(other), 'string');
});
