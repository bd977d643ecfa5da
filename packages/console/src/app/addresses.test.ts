import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { QueryClient } from '@tanstack/react-query';

// Pages are loaded when they are gone to, and only their addresses count here.
registerHooks({
  load: (url, context, next) =>
    url.endsWith('.tsx')
      ? { format: 'module', shortCircuit: true, source: 'export const [NotFound, PageFailed, Pending] = [];' }
      : next(url, context),
});
const { createConsoleRouter } = await import('./router.ts');
const router = createConsoleRouter(new QueryClient());
const root = join(import.meta.dirname, '..', '..', '..', '..');
/** What the same server answers to programs. */
const doors = /^\/(mcp|oauth|oidc|scim|api|access|upstream|workload|spiffe|signed|\.well-known)(\/|$)|^\/identity$/;

const leadsTo = (path: string): string => {
  const [matched] = router.getMatchedRoutes(path.replace(/\$\{[^}]*\}+/g, 'x').split(/[?#]/, 1)[0] ?? '');
  return matched.at(-1)?.id ?? '';
};
const isPage = (path: string) => !['', '__root__', '/house', '/house/$'].includes(leadsTo(path));

const inCode = [
  // What messages, mails, channels and commands give people to open.
  /\$\{(?:[\w.]+\.)?publicUrl\}(\/(?:\$\{[^}]*\}|[^`'"\s)])*)/g,
  // What is put behind it elsewhere.
  /\bpage: [`'](\/[^`']*)[`']/g,
  /\bproblem\(\s*'\w+',[\s\S]*?'(\/[^' ]*)',?\s*\)/g,
];
const inDocs = /`(\/[a-z][\w/-]*)`/g;

function addresses(): Map<string, string> {
  const found = new Map<string, string>();
  const find = (text: string, pattern: RegExp, file: string) => {
    for (const [, path = ''] of text.matchAll(pattern)) if (!doors.test(path)) found.set(path, file);
  };
  for (const file of globSync(['packages/{server,cli}/src/**/*.ts'], { cwd: root })) {
    if (file.endsWith('.test.ts') || file.includes('/testing/')) continue;
    const text = readFileSync(join(root, file), 'utf8');
    for (const pattern of inCode) find(text, pattern, file);
  }
  for (const file of ['README.md', ...globSync(['docs/**/*.md', 'examples/**/*.md'], { cwd: root })])
    for (const line of readFileSync(join(root, file), 'utf8').split('\n'))
      if (/\bconsole\b/i.test(line)) find(line, inDocs, file);
  return found;
}

/** @proves console.addresses */
test('every address that people are given to open is a page', () => {
  const found = addresses();
  for (const known of ['/leases/', '/approvals/', '/break-glass/', '/confirm/', '/policy/proposals/', '/log', '/sinks'])
    assert.ok(
      [...found.keys()].some((path) => path.startsWith(known)),
      `${known}: it looks in the right places`,
    );
  const lost = [...found].filter(([path]) => !isPage(path));
  assert.deepEqual(lost, []);
});

test('what people type for what the navigation calls it is a page, and what is none is told', () => {
  assert.equal(leadsTo('/credentials'), '/house/credentials');
  assert.equal(isPage('/leases/x'), true);
  assert.equal(isPage('/nowhere'), false);
});
