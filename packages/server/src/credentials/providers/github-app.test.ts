import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type GitHubAppSource, type GitHubPermissions, narrowScope } from '@gatehouse/protocol';
import { createAppAuth } from '@octokit/auth-app';
import { request } from '@octokit/request';
import fc from 'fast-check';
import { type FakeGitHub, startFakeGitHub } from '../../../../../test/fakes/github.ts';
import { newId } from '../../platform/ids.ts';
import { createOutbound, type Json, Secret } from '../../platform/index.ts';
import { nameOf } from '../leases/rows.ts';
import { type Made, NotMade, type Order, type Provider } from '../leases/types.ts';
import { openGitHubAppProvider } from './github-app.ts';

const signal = () => AbortSignal.timeout(10_000);

describe('tokens of a GitHub App', () => {
  let github: FakeGitHub;
  let source: GitHubAppSource;
  let provider: Provider;
  let now = Date.now();
  const clock = { now: () => now };
  const outbound = createOutbound();

  before(async () => {
    github = await startFakeGitHub({ base: '/api/v3' });
    github.clock.now = clock.now;
    source = sourceOf(github);
    provider = openGitHubAppProvider(source, {
      clock,
      outbound,
      openSecret: async () => new Secret(github.app.privateKey),
    });
  });
  beforeEach(() => {
    for (const each of Object.keys(github.trouble)) delete github.trouble[each as keyof FakeGitHub['trouble']];
    github.tokens.clear();
    github.asked.length = 0;
    now += 20 * 60_000;
  });
  after(async () => {
    github.close();
    await outbound.close();
  });

  function order(asked: unknown = { repositories: ['shop'], permissions: { contents: 'read' } }): Order {
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
  const tokenOf = ({ credential }: Made) => credential.token?.reveal() ?? '';
  const asUser = (token: string) =>
    request.defaults({ baseUrl: github.origin, headers: { authorization: `token ${token}` } });

  test('a token reaches the repository and does what was asked for, nothing else, and is verified to be gone', async () => {
    const asked = order();
    const made = await provider.create(asked, signal());
    const call = asUser(tokenOf(made));
    const of = { owner: 'acme', repo: 'shop', path: 'README.md' };
    assert.equal((await call('GET /repos/{owner}/{repo}/contents/{path}', of)).status, 200);
    await assert.rejects(call('PUT /repos/{owner}/{repo}/contents/{path}', { ...of, message: 'm', content: '' }), {
      status: 403,
    });
    await assert.rejects(call('POST /repos/{owner}/{repo}/issues', { ...of, title: 't' }), { status: 403 });
    await assert.rejects(call('GET /repos/{owner}/{repo}/contents/{path}', { ...of, repo: 'infra' }), { status: 404 });
    assert.equal(await provider.revoke(left(asked, made.revocation), signal()), undefined);
    await assert.rejects(call('GET /repos/{owner}/{repo}/contents/{path}', of), { status: 401 });
    await provider.revoke(left(asked, made.revocation), signal());
    assert.deepEqual(github.living(), []);
  });

  test('the fake is what GitHub’s own client for Apps takes for GitHub', async () => {
    now = Date.now();
    const auth = createAppAuth({
      appId: github.app.id,
      privateKey: github.app.privateKey,
      installationId: github.app.installation,
      request: request.defaults({ baseUrl: github.origin }),
    });
    const { token, permissions, repositoryNames } = await auth({
      ...{ type: 'installation', repositoryNames: ['infra'], permissions: { issues: 'write' } },
    });
    assert.deepEqual(permissions, { issues: 'write', metadata: 'read' });
    assert.deepEqual(repositoryNames, ['infra']);
    const made = await asUser(token)('POST /repos/{owner}/{repo}/issues', {
      owner: 'acme',
      repo: 'infra',
      title: 'It is down',
    });
    assert.equal(made.status, 201);
    const forger = createAppAuth({
      ...{ appId: github.app.id, installationId: github.app.installation },
      privateKey: (await startedOnce()).app.privateKey,
      request: request.defaults({ baseUrl: github.origin }),
    });
    await assert.rejects(forger({ type: 'installation' }), { status: 401 });
  });
  const startedOnce = async () => {
    const other = await startFakeGitHub();
    other.close();
    return other;
  };

  test('a token that can do more than was asked for is ended at once, and given to nobody', async () => {
    for (const widen of [
      (token: { permissions: GitHubPermissions }) => Object.assign(token.permissions, { contents: 'write' }),
      (token: { permissions: GitHubPermissions }) => Object.assign(token.permissions, { administration: 'read' }),
      (token: { repositories: string[] }) => token.repositories.push('secrets'),
    ]) {
      github.trouble.widen = widen as NonNullable<FakeGitHub['trouble']['widen']>;
      await assert.rejects(provider.create(order(), signal()), (error) => {
        assert.ok(error instanceof NotMade);
        assert.match(error.message, /can do more than was asked for .* and is ended/);
        return true;
      });
    }
    assert.equal(github.tokens.size, 3);
    assert.deepEqual(github.living(), []);
  });

  test('a token counts as ended only once GitHub refuses it', async () => {
    const asked = order();
    const made = await provider.create(asked, signal());
    github.trouble.lateRequests = 2;
    await provider.revoke(left(asked, made.revocation), signal());
    assert.deepEqual(
      github.asked.slice(-4).map(({ method, status }) => [method, status]),
      [
        ['DELETE', 204],
        ['GET', 200],
        ['GET', 200],
        ['GET', 401],
      ],
    );
  });

  test('one whose answer was lost is counted for the hour that it can live, and not called ended before', async () => {
    github.trouble.loseAnswer = true;
    const asked = order();
    await assert.rejects(provider.create(asked, signal()), (error) => !(error instanceof NotMade));
    const lost = left(asked);
    const remaining = await provider.revoke(lost, signal());
    assert.match(remaining?.why ?? '', /nobody has it/);
    const [token] = [...github.tokens.values()];
    assert.ok((remaining?.until ?? 0) >= (token?.expiresAt ?? 0));
    now = remaining?.until ?? 0;
    assert.equal(await provider.revoke(lost, signal()), undefined);
    assert.deepEqual(github.living(), []);
  });

  test('a refusal by what stands between says nothing of the token, which may have been made', async () => {
    for (const instead of [
      { status: 403, body: { message: 'Forbidden' } },
      { status: 404, body: {} },
      { status: 429, headers: { 'retry-after': '1' }, body: { message: 'API rate limit exceeded' } },
    ]) {
      github.trouble.instead = instead;
      const asked = order();
      await assert.rejects(
        provider.create(asked, signal()),
        (error) => !(error instanceof NotMade),
        `${instead.status}`,
      );
      assert.ok((await provider.revoke(left(asked), signal()))?.until);
    }
    assert.equal(github.living().length, 3);
  });

  test('what GitHub refuses is said in its words, and leaves nothing to end', async () => {
    const docs = 'https://docs.github.com/rest';
    const refused = async (code: string, message: RegExp) => {
      await assert.rejects(provider.create(order(), signal()), (error) => {
        assert.ok(error instanceof NotMade, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
    };
    github.trouble.refuse = {
      status: 422,
      body: { message: 'The permissions requested are not granted to this installation.', documentation_url: docs },
    };
    await refused('provider.refused', /422: The permissions requested.*its owner can add them/);
    github.trouble.refuse = {
      status: 403,
      headers: { 'retry-after': '120' },
      body: { message: 'You have exceeded a secondary rate limit.', documentation_url: docs },
    };
    await refused('provider.limited', /is not asked before/);
    delete github.trouble.refuse;
    const before = github.asked.length;
    await refused('provider.limited', /Try again then/);
    assert.equal(github.asked.length, before, 'it was let be');
    now += 121_000;
    const made = await provider.create(order(), signal());
    github.trouble.refuse = {
      status: 403,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Math.ceil(now / 1_000) + 60) },
      body: { message: 'API rate limit exceeded', documentation_url: docs },
    };
    await refused('provider.limited', /is not asked before/);
    // Ending has a limit of its own.
    await provider.revoke(left(order(), made.revocation), signal());
    now += 70_000;
    github.trouble.refuse = { status: 502 };
    await assert.rejects(
      provider.create(order(), signal()),
      (error) => !(error instanceof NotMade) && /502/.test(String(error)),
    );
    github.trouble.refuse = undefined;
    github.trouble.suspended = true;
    await refused('provider.refused', /suspended/);
    assert.deepEqual(github.living(), []);
  });

  test('a check says what is wrong with the installation, the key or the address', async () => {
    await provider.check(signal());
    const checked = (more: Partial<GitHubAppSource>, key = github.app.privateKey) =>
      openGitHubAppProvider({ ...source, ...more }, { clock, outbound, openSecret: async () => new Secret(key) }).check(
        signal(),
      );
    await assert.rejects(checked({ owner: 'other' }), /is at "acme" and not at "other"/);
    await assert.rejects(checked({ permissions: { contents: 'admin' } }), /has no contents: admin/);
    await assert.rejects(checked({ installation: 1 }), /404: Not Found/);
    await assert.rejects(checked({ app: 'other' }), /401: Integration not found/);
    await assert.rejects(checked({}, 'no key'), /not an RSA private key/);
    github.trouble.suspended = true;
    await assert.rejects(checked({}), /suspended/);
    await assert.rejects(checked({ url: 'http://127.0.0.1:1' }), { code: 'provider.unreachable' });
    await assert.rejects(checked({ allowPrivateAddress: false, url: 'https://127.0.0.1:1' }), {
      code: 'provider.unreachable',
    });
  });
});

const sourceOf = (github: FakeGitHub): GitHubAppSource => ({
  ...{ type: 'github-app', url: github.origin, app: github.app.clientId, installation: github.app.installation },
  ...{ owner: 'acme', secret: 'github-app', repositories: ['Shop', 'infra'] },
  ...{ permissions: { contents: 'write', issues: 'write' }, allowPrivateAddress: true },
});

const level = fc.constantFrom('read' as const, 'write' as const, 'admin' as const);
const permissions: fc.Arbitrary<GitHubPermissions> = fc.dictionary(
  fc.constantFrom('contents', 'issues', 'constructor'),
  level,
  { minKeys: 1 },
);
const repositories = fc.uniqueArray(fc.constantFrom('a', 'B', 'b', 'c'), { minLength: 1 });
const anything = { permissions, repositories };
const ranks = { read: 0, write: 1, admin: 2 };
type Reach = { repositories: string[]; permissions: GitHubPermissions };
const isWithin = (a: Reach, b: Reach) =>
  a.repositories.every((each) => b.repositories.some((other) => other.toLowerCase() === each.toLowerCase())) &&
  Object.entries(a.permissions).every(
    ([name, granted]) => Object.hasOwn(b.permissions, name) && ranks[granted] <= ranks[b.permissions[name] ?? 'read'],
  );
const declared = (allowed: Reach): GitHubAppSource => ({
  ...{ type: 'github-app', url: 'https://api.github.com', app: '1', installation: 1, owner: 'acme', secret: 's' },
  ...{ ...allowed, allowPrivateAddress: false },
});

test('a GitHub token: issued is within asked, and asked within allowed', () => {
  fc.assert(
    fc.property(fc.record(anything), fc.record(anything), (allowed, asked) => {
      const narrowed = narrowScope(declared(allowed), asked);
      assert.equal('scope' in narrowed, isWithin(asked, allowed), JSON.stringify(narrowed));
      if ('scope' in narrowed) assert.ok(isWithin(narrowed.scope as Reach, asked));
    }),
  );
});

test('a GitHub token: what a tool server and a template have in common is within both', () => {
  const allowed = {
    repositories: ['a', 'b', 'c'],
    permissions: { contents: 'admin', issues: 'admin', constructor: 'admin' } as never,
  };
  fc.assert(
    fc.property(
      fc.record(anything, { requiredKeys: [] }),
      fc.record(anything, { requiredKeys: [] }),
      (asked, within) => {
        const narrowed = narrowScope(declared(allowed), asked, [within]);
        if ('problem' in narrowed) return;
        for (const each of [asked, within]) assert.ok(isWithin(narrowed.scope as Reach, { ...allowed, ...each }));
      },
    ),
  );
});

test('a GitHub token is never asked for without repositories or permissions: GitHub would take that for all', () => {
  const from = declared({ repositories: ['a'], permissions: { contents: 'read' } });
  for (const asked of [
    { repositories: [] },
    { permissions: {} },
    { permissions: { Contents: 'read' } },
    { repositories: ['acme/a'] },
  ])
    assert.ok('problem' in narrowScope(from, asked), JSON.stringify(asked));
});
