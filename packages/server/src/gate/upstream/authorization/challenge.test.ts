import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noChallenge, readChallenge } from './challenge.ts';

const read = (...values: string[]) => readChallenge({ 'www-authenticate': values as unknown as string });

/** @proves upstream.discovery */
describe('a challenge', () => {
  test('is read in each way that RFC 9110 lets it be written', () => {
    const metadata = 'https://tools.example/.well-known/oauth-protected-resource';
    const whole = { ...noChallenge, error: 'insufficient_scope', resourceMetadata: metadata, scopes: ['a', 'b'] };
    for (const text of [
      `Bearer error="insufficient_scope", scope="a b", resource_metadata="${metadata}"`,
      `bearer  error = insufficient_scope ,\tscope="a   b a",resource_metadata="${metadata.replaceAll('/', '\\/')}"`,
      `Basic realm="x, Bearer error=\\"no\\"", Bearer error="insufficient_scope", scope="a b", resource_metadata="${metadata}"`,
    ])
      assert.deepEqual(read(text), whole, text);
    assert.deepEqual(read('Basic realm="x"', 'DPoP error="use_dpop_nonce", algs="ES256"'), {
      ...noChallenge,
      error: 'use_dpop_nonce',
      dpop: true,
    });
  });

  test('of a server that means harm says nothing, and stops nobody', () => {
    const filling = [' ', '\t', ' \t', ', ', ',a="', 'a ', 'a = ', 'a="\\', '=', '"', '\\', 'a,'];
    for (let round = 0; round < 20; round++)
      for (const each of filling) {
        const { scopes, resourceMetadata } = read(`Bearer ${each.repeat(8_000 / each.length)}x`);
        assert.deepEqual([scopes, resourceMetadata], [[], undefined], each);
      }
    assert.deepEqual(read(`Bearer error="${'x'.repeat(9_000)}"`), noChallenge, 'more than anybody needs');
    assert.deepEqual(read('Bearer scope="ok \u0000bad ä <\\"> also"').scopes, ['ok', 'also']);
  });
});
