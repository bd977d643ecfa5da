import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type GitLabProjectSource, type GitLabScope, gitlabLevels, narrowScope } from '@gatehouse/protocol';
import fc from 'fast-check';
import { type FakeGitLab, startFakeGitLab } from '../../../../../test/fakes/gitlab.ts';
import { newId } from '../../platform/ids.ts';
import { createOutbound, type Json, Secret } from '../../platform/index.ts';
import { nameOf } from '../leases/rows.ts';
import { NotMade, type Order, type Provider } from '../leases/types.ts';
import { openGitLabProjectProvider } from './gitlab-project.ts';

const signal = () => AbortSignal.timeout(10_000);
const from = (more: Partial<GitLabProjectSource> = {}): GitLabProjectSource => ({
  ...{ type: 'gitlab-project', url: 'https://gitlab.com', project: 'acme/shop', secret: 'gitlab' },
  ...{ scopes: ['api', 'read_repository'], accessLevel: 'developer', allowPrivateAddress: true },
  ...more,
});

describe('project access tokens of GitLab', () => {
  let gitlab: FakeGitLab;
  let source: GitLabProjectSource;
  let provider: Provider;
  let now = Date.now();
  const clock = { now: () => now };
  const outbound = createOutbound();
  const openWith = (more: Partial<GitLabProjectSource> = {}, token = gitlab.maintainerToken) =>
    openGitLabProjectProvider({ ...source, ...more }, { clock, outbound, openSecret: async () => new Secret(token) });

  before(async () => {
    gitlab = await startFakeGitLab();
    gitlab.clock.now = clock.now;
    source = from({ url: gitlab.origin });
    provider = openWith();
  });
  beforeEach(() => {
    for (const each of Object.keys(gitlab.trouble)) delete gitlab.trouble[each as keyof FakeGitLab['trouble']];
  });
  after(async () => {
    gitlab.close();
    await outbound.close();
  });

  function order(asked: GitLabScope = { scopes: ['read_repository'], accessLevel: 'reporter' }): Order {
    const lease = newId('lse');
    const narrowed = narrowScope(source, asked);
    assert.ok('scope' in narrowed, JSON.stringify(narrowed));
    return {
      ...{ lease, name: nameOf(lease), scope: narrowed.scope as Json, expiresAt: now + 900_000 },
      ...{ environment: 'production', agent: 'agent-1', task: 'tsk_1' },
    };
  }
  const left = ({ lease, name, scope, expiresAt }: Order, revocation: Json | null = null) => ({
    ...{ lease, name, scope, expiresAt, revocation, makingUntil: now + 10_000 },
  });
  const call = async (token: string, method: string, path: string) =>
    (
      await fetch(`${gitlab.origin}/api/v4/projects/acme%2Fshop${path}`, {
        ...{ method, headers: { authorization: `Bearer ${token}` }, ...(method === 'POST' && { body: '{}' }) },
      })
    ).status;

  /** @proves lease.gitlab */
  test('a token reads what was asked for, nothing else, ends by the day at the latest, and is verified to be gone', async () => {
    const asked = order();
    const made = await provider.create(asked, signal());
    const token = made.credential.token?.reveal() ?? '';
    assert.equal(await call(token, 'GET', '/repository/files/README.md'), 200);
    assert.equal(await call(token, 'POST', '/issues'), 403);
    assert.equal(await call(token, 'POST', '/access_tokens'), 403);
    const [there] = gitlab.living();
    assert.equal(there?.name, asked.name);
    const ends = Date.parse(there?.expires_at ?? '');
    assert.equal(provider.worksUntil?.(asked.expiresAt), ends, 'so long it works where nobody can end it');
    assert.ok(ends >= asked.expiresAt && ends < asked.expiresAt + 86_400_000);
    await provider.revoke(left(asked, made.revocation), signal());
    assert.equal(await call(token, 'GET', '/repository/files/README.md'), 401);
    await provider.revoke(left(asked, made.revocation), signal());
    assert.deepEqual(gitlab.living(), []);
  });

  test('one whose answer was lost is found by its name among many, and ended; one that never was is no error', async () => {
    for (let at = 0; at < 130; at++)
      gitlab.tokens.push({
        ...{ id: gitlab.tokens.length + 1, name: `somebody’s ${at}`, scopes: ['api'], access_level: 40 },
        ...{ expires_at: '2099-01-01', revoked: false, token: `other-${at}` },
      });
    gitlab.trouble.loseAnswer = true;
    const asked = order();
    await assert.rejects(provider.create(asked, signal()), (error) => !(error instanceof NotMade));
    assert.equal(gitlab.living().length, 131);
    await provider.revoke(left(asked), signal());
    assert.equal(gitlab.living().length, 130);
    await provider.revoke(left(order()), signal());
    assert.equal(gitlab.living().length, 130);
    gitlab.tokens.splice(0);
  });

  test('a refusal by what stands between says nothing of the token: it is looked for, and ended', async () => {
    for (const instead of [
      { status: 403, body: { message: 'Forbidden' } },
      { status: 401, body: { error: 'sign in at the proxy' } },
      { status: 404, body: {} },
    ]) {
      gitlab.trouble.instead = instead;
      const asked = order();
      await assert.rejects(
        provider.create(asked, signal()),
        (error) => !(error instanceof NotMade),
        `${instead.status}`,
      );
      assert.equal(gitlab.living().length, 1);
      await provider.revoke(left(asked), signal());
      assert.deepEqual(gitlab.living(), []);
    }
    gitlab.trouble.instead = undefined;
    await assert.rejects(openWith({}, 'glpat-expired').create(order(), signal()), (error) => error instanceof NotMade);
  });

  test('a token that can do more than was asked for is ended at once, and given to nobody', async () => {
    for (const [widen, why] of [
      [(token: { scopes: string[] }) => (token.scopes = ['api']), /scope api/],
      [(token: { access_level: number }) => (token.access_level = 40), /access level 40/],
    ] as const) {
      gitlab.trouble.widen = widen as never;
      await assert.rejects(
        provider.create(order(), signal()),
        (error) => error instanceof NotMade && why.test(error.message),
      );
    }
    assert.deepEqual(gitlab.living(), []);
  });

  test('what GitLab refuses is said, and a check says what is wrong', async () => {
    await provider.check(signal());
    await assert.rejects(openWith({}, 'glpat-expired').check(signal()), /401.*Has the stored token run out/);
    await assert.rejects(openWith({ project: 'acme/other' }).check(signal()), /404.*Is there such a project/);
    await assert.rejects(openWith({ url: 'http://127.0.0.1:1' }).check(signal()), { code: 'provider.unreachable' });
    gitlab.trouble.limit = { status: 429, headers: { 'retry-after': '60' } };
    await assert.rejects(provider.create(order(), signal()), { code: 'provider.limited' });
    gitlab.trouble.limit = undefined;
    await assert.rejects(provider.create(order(), signal()), { code: 'provider.limited' }, 'it is let be');
    now += 61_000;
    await provider.check(signal());
  });
});

test('a GitLab token: issued is within asked, asked within allowed, and what two have in common within both', () => {
  const scopes = fc.uniqueArray(fc.constantFrom('api', 'read_api', 'read_repository'), { minLength: 1 });
  const accessLevel = fc.constantFrom(...(Object.keys(gitlabLevels) as (keyof typeof gitlabLevels)[]));
  const reach = fc.record({ scopes, accessLevel });
  type Reach = { scopes: string[]; accessLevel: keyof typeof gitlabLevels };
  const isWithin = (a: Reach, b: Reach) =>
    a.scopes.every((each) => b.scopes.includes(each)) && gitlabLevels[a.accessLevel] <= gitlabLevels[b.accessLevel];
  fc.assert(
    fc.property(reach, reach, fc.record({ scopes, accessLevel }, { requiredKeys: [] }), (allowed, asked, within) => {
      const narrowed = narrowScope(from(allowed), asked);
      assert.equal('scope' in narrowed, isWithin(asked, allowed));
      const met = narrowScope(from(allowed), asked, [within]);
      if ('problem' in met) return;
      for (const each of [allowed, asked, { ...allowed, ...within }]) assert.ok(isWithin(met.scope as Reach, each));
    }),
  );
});
