import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Secret } from './secret.ts';
import { signWebhook, verifyWebhook } from './standard-webhooks.ts';

/** Of the specification's own library. */
const KEY = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const AT = 1_614_265_330_000;
const BODY = '{"test": 2432232314}';
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

/** @proves channel.signed */
test('the published vector is signed as published, and what either signs the other verifies', () => {
  const headers = signWebhook(new Secret(KEY), { id: ID, at: AT, body: BODY });
  assert.equal(headers['webhook-signature'], SIGNATURE);
  const now = Date.now();
  const ours = signWebhook(new Secret(KEY), { id: ID, at: now, body: BODY });
  new Webhook(KEY).verify(BODY, { ...ours });
  const theirs = { ...ours, 'webhook-signature': new Webhook(KEY).sign(ID, new Date(now), BODY) };
  assert.deepEqual(verifyWebhook(new Secret(KEY), theirs, BODY, now), { id: ID });
});

/** @proves channel.signed */
test('one of several signatures is enough; a changed part, another time, another version or none is refused', () => {
  const headers = signWebhook(new Secret(KEY), { id: ID, at: AT, body: BODY });
  const verify = (change: object, body = BODY, now = AT, key = KEY) =>
    verifyWebhook(new Secret(key), { ...headers, ...change }, body, now);
  const wrong = 'v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=';
  assert.ok(verify({ 'webhook-signature': `${wrong} ${SIGNATURE}` }));
  for (const change of [
    { 'webhook-signature': wrong },
    { 'webhook-signature': SIGNATURE.replace('v1,', 'v2,') },
    { 'webhook-signature': 'v1,' },
    { 'webhook-signature': SIGNATURE.slice(0, -4) },
    { 'webhook-signature': undefined },
    { 'webhook-id': `${ID}x` },
    { 'webhook-id': undefined },
    { 'webhook-timestamp': '1614265331' },
    { 'webhook-timestamp': 'soon' },
    { 'webhook-timestamp': undefined },
  ])
    assert.throws(() => verify(change), { kind: 'unauthenticated' }, JSON.stringify(change));
  assert.throws(() => verify({}, `${BODY} `), { code: 'webhook.signature' });
  assert.throws(() => verify({}, BODY, AT + 301_000), { code: 'webhook.timestamp' });
  assert.throws(() => verify({}, BODY, AT - 301_000), { code: 'webhook.timestamp' });
  assert.throws(() => verify({}, BODY, AT, 'whsec_AAAA'), { code: 'webhook.secret' });
});
