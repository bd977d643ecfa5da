import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Broker, Given, LocalRequest } from '../types.ts';
import { createVault } from './vault.ts';

const page = join(import.meta.dirname, '../../../../../docs/how-to/let-clients-fetch-their-own-credentials.md');
const held = { kind: 'given' as const, lease: 'lse_1', provider: 'orders', parts: { token: 'x' }, expiresAt: 900_000 };

function scene() {
  const asked: string[] = [];
  const ended: string[] = [];
  const broker: Broker = {
    async ask({ provider }): Promise<Given> {
      asked.push(provider);
      return { ...held, provider };
    },
    held: () => [held, { ...held, provider: 'orders-2', lease: 'lse_2' }],
    end: async (lease) => void ended.push(lease),
    task: async () => 'tsk_1',
  };
  const vault = createVault(() => 0);
  const request = (method: string, path: string, more: Partial<LocalRequest> = {}) =>
    vault.answer(
      {
        method,
        path: path.split('/'),
        query: new URLSearchParams(),
        headers: {},
        body: '',
        waitMs: 0,
        token: 't',
        ...more,
      },
      broker,
    );
  return { vault, request, asked, ended };
}
const concrete = (path: string) => path.replace(/[A-Z]+…?$/, 'x');

/** @proves clients.vault-paths */
test('the page names every path of Vault that is there, and no other', () => {
  const rows = scene().vault.routes.map(({ method, path, what }) => `| \`${method} ${path}\` | ${what} |`);
  const [, table = ''] =
    /### What there is of Vault\n.*?\n\|---\|---\|\n(.*?)\n\n/s.exec(readFileSync(page, 'utf8')) ?? [];
  assert.equal(table, rows.join('\n'));
});

/** @proves clients.vault-paths */
test('what is no path of these is not there, whatever it is, and gives nothing', async () => {
  const { vault, request, asked } = scene();
  const word = fc.constantFrom(
    ...vault.routes.flatMap(({ path }) => path.split('/')).filter((each) => !/[A-Z]/.test(each)),
    ...['config', 'mounts', 'x', '', '..', 'PROVIDER', 'ID…'],
  );
  const known = new Set(vault.routes.map(({ method, path }) => `${method} ${concrete(path)}`));
  const isKnown = (method: string, path: string) =>
    vault.routes.some((route) => {
      const stem = route.path.replace(/[A-Z]+…?$/, '');
      if (route.method !== method) return false;
      if (stem === route.path) return stem === path;
      const rest = path.slice(stem.length);
      return (
        path.startsWith(stem) && rest !== '' && rest[0] !== '/' && (route.path.endsWith('…') || !rest.includes('/'))
      );
    });
  assert.ok([...known].every((each) => isKnown(...(each.split(' ') as [string, string]))));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'PUT', 'DELETE', 'PATCH', 'LIST'),
      fc.array(word, { minLength: 1, maxLength: 6 }),
      async (method, words) => {
        const path = words.join('/');
        fc.pre(!isKnown(method, path));
        const before = asked.length;
        const { status, body } = await request(method, path);
        assert.equal(status, 404, `${method} ${path}`);
        assert.match(JSON.stringify(body), /no handler for route/);
        assert.equal(asked.length, before);
      },
    ),
  );
});

/** @proves clients.vault-paths */
test('who asks for help, a list or a wrapped answer is handed no credential', async () => {
  const { vault, request, asked, ended } = scene();
  for (const { method, path } of vault.routes) {
    const at = concrete(path);
    const help = await request(method, at, { query: new URLSearchParams('help=1') });
    assert.match(JSON.stringify(help.body), /"help":/);
    assert.equal((await request(method, at, { query: new URLSearchParams('list=true') })).status, 404);
    assert.equal((await request(method, at, { headers: { 'x-vault-wrap-ttl': '60' } })).status, 400);
  }
  assert.deepEqual([asked, ended], [[], []]);
});

test('a prefix ends what is below it, and not what only begins like it', async () => {
  const { request, ended } = scene();
  await request('PUT', 'sys/leases/revoke-prefix/database/creds/orders');
  assert.deepEqual(ended, ['lse_1']);
  await request('PUT', 'sys/leases/revoke-prefix/database/creds/');
  assert.deepEqual(ended, ['lse_1', 'lse_1', 'lse_2']);
});
