import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { safeNext } from './next-page.ts';

test('after signing in, people come back to the page they were on', () => {
  for (const path of ['/', '/agents/agent-a', '/actions?agent=a&result=failure', '/tools?filter=pay#x'])
    assert.equal(safeNext(path), path);
});

test('no link can send people elsewhere after signing in', () => {
  const hostile = [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/%2f/evil.example/..//evil.example',
    '/x/..//evil.example',
    '/.//evil.example',
    'javascript:alert(1)',
    '/\t/evil.example',
    '/sign-in?next=/sign-in',
    '',
    undefined,
    42,
    ['/agents'],
  ];
  for (const next of hostile) assertHere(next);
  fc.assert(
    fc.property(
      fc.string().map((tail) => `/${tail}`),
      assertHere,
    ),
  );
});

/** As a browser would go there from the console. */
function assertHere(next: unknown): void {
  const target = new URL(safeNext(next), 'https://gatehouse.example.test/sign-in');
  assert.equal(target.origin, 'https://gatehouse.example.test', `${String(next)} leads to ${target}`);
  assert.ok(!target.pathname.startsWith('/sign-in'));
}
