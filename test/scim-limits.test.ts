import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { scimLimits as limits } from '../packages/server/src/identity/people/scim/limits.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** What a directory may send at once, and what it is told when it sends more (RFC 7644 §3.12). */
let workspace: Workspace;
let token = '';
const user = 'urn:ietf:params:scim:schemas:core:2.0:User';

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  ({ token } = await workspace.operator('POST /scim/tokens', { body: { name: 'directory' } }));
});
after(() => workspace.close());

async function send(method: string, path: string, body?: string) {
  const response = await fetch(`${workspace.url}/scim/v2${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' },
    ...(body !== undefined && { body }),
  });
  const answer = (await response.json()) as Record<string, unknown> & { detail?: string; Resources?: unknown[] };
  return { status: response.status, answer };
}
const named = (userName: string) => JSON.stringify({ schemas: [user], userName });

test('a body of the limit is read, and a larger one refused with what the limit is', async () => {
  const padded = (bytes: number) => {
    const body = named('padded@example.test');
    return body + ' '.repeat(bytes - body.length);
  };
  assert.equal((await send('POST', '/Users', padded(limits.bodyBytes))).status, 201);
  const refused = await send('POST', '/Users', padded(limits.bodyBytes + 1));
  assert.equal(refused.status, 413);
  assert.match(refused.answer.detail ?? '', new RegExp(String(limits.bodyBytes)));
});

test('a filter and a PATCH have an end', async () => {
  const filter = (chars: number) => {
    const text = 'userName eq ""';
    return `/Users?filter=${encodeURIComponent(text.replace('""', `"${'x'.repeat(chars - text.length)}"`))}`;
  };
  assert.equal((await send('GET', filter(limits.filterChars))).status, 200);
  const long = await send('GET', filter(limits.filterChars + 1));
  assert.equal(long.status, 400);
  assert.equal(long.answer.scimType, 'invalidFilter');
  const made = await send('POST', '/Users', named('patched@example.test'));
  const patch = (count: number) =>
    send(
      'PATCH',
      `/Users/${made.answer.id}`,
      JSON.stringify({
        schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
        Operations: Array.from({ length: count }, () => ({ op: 'replace', path: 'displayName', value: 'Patched' })),
      }),
    );
  assert.equal((await patch(limits.patchOperations)).status, 200);
  const many = await patch(limits.patchOperations + 1);
  assert.equal(many.status, 413);
  assert.match(many.answer.detail ?? '', /at most/);
});

test('a page has no more than the limit, whatever is asked for', async () => {
  for (let each = 0; each < limits.pageSize; each += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, at) => send('POST', '/Users', named(`user-${each + at}@example.test`))),
    );
  const { status, answer } = await send('GET', '/Users?count=1000000');
  assert.equal(status, 200);
  assert.ok(Number(answer.totalResults) > limits.pageSize);
  assert.equal(answer.Resources?.length, limits.pageSize);
});
