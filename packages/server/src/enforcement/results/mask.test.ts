import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../platform/index.ts';
import { cleanMessage } from './clean.ts';
import { placeholdersOf } from './mask.ts';
import { createTally } from './tally.ts';

const key = new Uint8Array(32).fill(7);
const all = ['credentials', 'personal', 'financial'];

function masked(message: Json, kinds: string[] = all, task = 'tsk_1') {
  const tally = createTally();
  const rules = {
    markup: { allowedHosts: [], keep: false },
    mask: new Set(kinds),
    fields: [],
    whole: null,
    placeholder: placeholdersOf(key, task),
  };
  return { message: cleanMessage(message, rules, tally), kinds: [...tally.masked.keys()].sort() };
}
const joined = (...parts: string[]) => parts.join('');

/** @proves result.masked */
test('secrets are named and not shown, in every place where a result may have them', () => {
  const secrets: [kind: string, text: string, secret: string][] = [
    ['aws-key', 'id: AKIAIOSFODNN7EXAMPLE', 'AKIAIOSFODNN7EXAMPLE'],
    [
      'github-token',
      `use ${joined('ghp_', 'a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8')}`,
      joined('ghp_', 'a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8'),
    ],
    ['stripe-key', joined('sk_', 'live_4eC39HqLyjWDarjtT1zdp7dc'), joined('sk_', 'live_4eC39HqLyjWDarjtT1zdp7dc')],
    ['slack-token', joined('xoxb-', '123456789012-abcdefABCDEF'), joined('xoxb-', '123456789012-abcdefABCDEF')],
    [
      'google-key',
      joined('AIza', 'SyA1234567890abcdefghijklmnopqrstuv'),
      joined('AIza', 'SyA1234567890abcdefghijklmnopqrstuv'),
    ],
    ['jwt', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl', 'eyJzdWIiOiJhZ2VudCJ9'],
    ['private-key', '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----', 'MHcCAQEEIB'],
    ['private-key', '-----BEGIN PRIVATE KEY-----\nMHcCAQEEIB and then cut off', 'MHcCAQEEIB'],
    ['password', 'postgres://app:t0p-s3cret@db.internal:5432/shop', 't0p-s3cret'],
    ['password', 'DB_PASSWORD=correct-horse-7', 'correct-horse-7'],
    ['password', "password: 'two words 9'", 'two words 9'],
    ['authorization', 'Authorization: Bearer Zm9vYmFyYmF6cXV4MTIz', 'Zm9vYmFyYmF6cXV4MTIz'],
    ['secret', 'aws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYz9', 'wJalrXUtnFEMIK7MDENGbPxRfiCYz9'],
  ];
  for (const [kind, text, secret] of secrets) {
    const places: Json[] = [
      { content: [{ type: 'text', text: `before ${text} after` }] },
      { content: [{ type: 'text', text: JSON.stringify({ rows: [{ note: text }] }) }] },
      { structuredContent: { deep: [{ note: text }] } },
      { contents: [{ uri: 'file:///x', text }] },
      { messages: [{ role: 'user', content: { type: 'text', text } }] },
      { code: 1, message: text, data: { cause: text } },
    ];
    for (const place of places) {
      const { message, kinds } = masked(place, ['credentials']);
      assert.ok(!JSON.stringify(message).includes(secret), `${kind}: ${JSON.stringify(message)}`);
      assert.ok(kinds.includes(kind), `${kind}: ${kinds}`);
    }
  }
  const members = masked(
    { structuredContent: { password: 'plain', apiKey: 'k-1', nested: { client_secret: 'abcd' } } },
    ['credentials'],
  );
  assert.ok(!/plain|k-1|abcd/.test(JSON.stringify(members.message)));
});

test('people’s data is named only where that is asked for, and numbers only when their check digits fit', () => {
  const text =
    'anna@example.com +49 30 901820 (415) 555-2671 DE89 3704 0044 0532 0130 00 4111 1111 1111 1111 078-05-1120 529.982.247-25 RSSMRA85T10A562S 12345678Z';
  const { message, kinds } = masked(text);
  assert.deepEqual(kinds, ['card', 'email', 'iban', 'national-id', 'phone']);
  assert.match(String(message), /^(?:\[[a-z-]+ #\w{7}\] ?){9}$/);
  assert.equal(masked(text, ['credentials']).message, text);
  assert.match(
    String(masked(text, ['financial']).message),
    /^anna@example\.com \+49 30 901820 .* \[iban #\w+\] \[card #\w+\] 078/,
  );
  const other =
    'order 4111111111111112, DE89 3704 0044 0532 0130 01, 2026-11-27 10:15:00, 192.168.100.200, 000-12-3456, 12345678A, 1.234.567,89, commit 356a192b7913b04c54574d18c28d46e6395428ab';
  assert.deepEqual(masked(other), { message: other, kinds: [] });
});

test('ordinary code and ordinary answers are not taken for secrets', () => {
  for (const text of [
    'const password: string = getPassword();',
    'token = await client.getToken(request)',
    'password: <your password>',
    `API_KEY=$${'{API_KEY}'}`,
    'process.env.SECRET_KEY',
    'max_tokens: 4096',
    'tokens used: 12345678',
    '"password": null',
    'secret: true',
    'see https://user@example.com/',
    'next_page_token: "CAUQAA1b2c3d4e5f6g7h"',
    'uuid 123e4567-e89b-12d3-a456-426614174000',
    'integrity sha512-abcDEF123==',
  ])
    assert.deepEqual(masked(text, ['credentials']), { message: text, kinds: [] });
});

/** @proves result.masked */
test('one value has one name in a task, and another in another one', () => {
  const text = 'a@example.com b@example.com a@example.com';
  const [a, b, again] = String(masked(text).message)
    .split('] ')
    .map((each) => each.replace(']', ''));
  assert.equal(a, again);
  assert.notEqual(a, b);
  assert.equal(masked(text).message, masked(text).message);
  assert.notEqual(masked(text).message, masked(text, all, 'tsk_2').message);
});

/** @proves result.bounded */
test('types, names, pictures and what the protocol needs stay as they are', () => {
  const json = fc.jsonValue({
    maxDepth: 4,
    stringUnit: fc.constantFrom('a', ' ', '@', '.', '\u200b', '<', '!--', '7', '-----BEGIN PRIVATE KEY-----'),
  });
  const typed = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(typed)
      : typeof value === 'object' && value !== null
        ? Object.values(value)
            .map(typed)
            .map((each) => JSON.stringify(each))
            .sort()
        : typeof value === 'string'
          ? ''
          : value;
  fc.assert(
    fc.property(json, (value) => {
      const { message } = masked({ structuredContent: value as Json });
      assert.deepEqual(typed((message as { structuredContent: unknown }).structuredContent), typed(value));
    }),
  );
  const picture = {
    content: [{ type: 'image', data: 'password=abc123xyz', mimeType: 'image/png' }],
    taskId: 'anna@example.com',
    nextCursor: 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl',
  };
  assert.equal(masked(picture).message, picture);
  const secret = joined('ghp_', 'a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8');
  const renamed = {
    content: [
      { type: 'text', text: 'x', cursor: secret, taskId: secret, mimeType: secret, role: secret, blob: `<${secret}>` },
    ],
    _meta: { requestState: secret, status: secret, blob: secret, of: { lastModified: secret } },
    status: secret,
    level: secret,
  };
  assert.ok(!JSON.stringify(masked(renamed).message).includes(secret), 'a name alone makes nothing the protocol’s own');
  const odd = JSON.parse('{"structuredContent": {"__proto__": "a\u200b", "constructor": "b"}}') as Json;
  assert.equal(JSON.stringify(masked(odd).message), '{"structuredContent":{"__proto__":"a","constructor":"b"}}');
});

/** @proves result.bounded */
test('a text full of findings is withheld whole', () => {
  const { message, kinds } = masked('a@b.example '.repeat(10_001));
  assert.deepEqual([message, kinds], ['[withheld: too much sensitive data in one text]', ['text']]);
});

/** @proves result.masked */
test('prose that speaks of a password is no password; one on the same line is', () => {
  for (const text of [
    'To reset your password:\n\n[Reset Password](https://id.example.com/reset)',
    'your password:\r\nfollow-the-link-9',
    'password: [Reset it](https://id.example.com/r)',
    'password: <https://id.example.com/r-77>',
    'access token:\n\n[here-is-1-how-to-get-it](https://x.example)',
  ])
    assert.equal(masked(text, ['credentials']).message, text);
  for (const text of ['password: hunter-22', 'password:\thunter-22', 'Password = "hunter-22"'])
    assert.deepEqual(masked(text, ['credentials']).kinds, ['password']);
});

/** @proves result.bounded */
test('beginnings of tokens without an end are gone through once', () => {
  const text = 'eyJaaaaaaaa-'.repeat(100_000);
  assert.equal(masked(text, ['credentials']).message, text);
});
