import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../../platform/index.ts';
import { verifySlack } from './slack.ts';

/** The example of "Verifying requests from Slack". */
const secret = new Secret('8f742231b10e8888abcd99yyyzzz85a5');
const AT = 1_531_420_618;
const request = {
  timestamp: String(AT),
  signature: 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  body:
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar' +
    '&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=' +
    '&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN' +
    '&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
};

/** @proves channel.slack-signed */
test('the request of Slack’s documentation is verified; changed, old, early or unsigned it is refused', () => {
  const verify = (change: object, now = AT) => verifySlack(secret, { ...request, ...change }, now * 1_000);
  verify({});
  verify({}, AT + 299);
  assert.throws(() => verify({}, AT + 301), { code: 'slack.timestamp' });
  assert.throws(() => verify({}, AT - 301), { code: 'slack.timestamp' });
  assert.throws(() => verify({ timestamp: '' }), { code: 'slack.timestamp' });
  for (const change of [
    { body: `${request.body}&x=1` },
    { timestamp: String(AT + 1) },
    { signature: '' },
    { signature: request.signature.slice(3) },
    { signature: request.signature.replace('a2', 'a3') },
  ])
    assert.throws(() => verify(change), { code: 'slack.signature' }, JSON.stringify(change));
});
