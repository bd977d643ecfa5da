import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isPage, ownPath, shownOf } from './shown.ts';

/** @proves console.notified */
test('whatever a push says, what it leads to is a page of this origin', () => {
  const path = fc.oneof(
    fc.webUrl(),
    fc.string(),
    fc.constantFrom(
      '//evil.example',
      '/\\evil.example',
      '/approvals/../..//evil.example',
      'javascript:alert(1)',
      '/approvals/apr_1',
    ),
  );
  fc.assert(
    fc.property(path, (given) => {
      const text = JSON.stringify({ event: 'asked', approval: 'apr_1', title: 't', body: 'b', path: given });
      const { data } = shownOf(text).options;
      const url = new URL((data as { path: string }).path, 'https://gate.example.test/x');
      assert.equal(url.origin, 'https://gate.example.test');
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => assert.equal(typeof shownOf(text).title, 'string')));
});

/** @proves console.notified */
test('that nobody is needed any more takes the place of what asked, without a sound', () => {
  const asked = shownOf(
    JSON.stringify({ event: 'asked', approval: 'apr_1', title: 'a', body: '', path: '/approvals/apr_1' }),
  );
  const closed = shownOf(
    JSON.stringify({ event: 'closed', approval: 'apr_1', title: 'b', body: '', path: '/approvals/apr_1' }),
  );
  assert.equal(asked.options.tag, closed.options.tag);
  assert.deepEqual([asked.options.silent, closed.options.silent], [false, true]);
});

test('pages are the console’s own, and nothing at which somebody signs in or consents', () => {
  for (const path of ['/', '/approvals', '/approvals/apr_1', '/settings']) assert.ok(isPage(path), path);
  for (const path of ['/api/v1/status', '/sign-in', '/oauth/authorize', '/approvalsx', '/consent/1', '/mcp'])
    assert.ok(!isPage(path), path);
  assert.equal(ownPath('//x'), undefined);
});
