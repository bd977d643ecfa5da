import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CredentialProviderManifest,
  type CredentialSource,
  credentialDestinations,
  credentialProviderManifest,
  isScopeWithin,
  narrowScope,
} from '@gatehouse/protocol';
import fc from 'fast-check';
import { GatehouseError, type Json, Secret } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { Sealer } from '../../storage/index.ts';
import { createJudging } from './judge.ts';
import { type LeaseRow, sealRevocation } from './rows.ts';

const some = <T>(...all: T[]) => fc.uniqueArray(fc.constantFrom(...all), { minLength: 1 });
const tables = fc.oneof(fc.constant('*' as const), some('orders', 'refunds', 'salaries'));
const privileges = some('SELECT', 'INSERT', 'DELETE');
const grants = fc.array(fc.record({ schema: fc.constantFrom('public', 'shop'), tables, privileges }), {
  minLength: 1,
  maxLength: 3,
});

/** Of each kind: what its declarations differ by here. The same members, all or some of them, are asked for. */
const kinds: Record<string, { from: object; parts: Record<string, fc.Arbitrary<unknown>> }> = {
  postgres: { from: { url: 'postgres://broker@db.test:5432/shop', secret: 'x' }, parts: { grants } },
  mariadb: {
    from: { url: 'mariadb://broker@db.test:3306/shop', secret: 'x' },
    parts: { grants: fc.array(fc.record({ tables, privileges }), { minLength: 1, maxLength: 3 }) },
  },
  'github-app': {
    from: { app: 'a', installation: 1, owner: 'acme', secret: 'x' },
    parts: {
      repositories: some('shop', 'Web', 'web', 'ops'),
      permissions: fc.dictionary(
        fc.constantFrom('contents', 'issues', 'metadata', 'constructor'),
        fc.constantFrom('read', 'write'),
        { minKeys: 1 },
      ),
    },
  },
  'gitlab-project': {
    from: { project: 'acme/shop', secret: 'x' },
    parts: {
      scopes: some('read_api', 'read_repository', 'write_repository'),
      accessLevel: fc.constantFrom('guest', 'reporter', 'developer'),
    },
  },
  redis: {
    from: { url: 'redis://broker@cache.test:6379', secret: 'x' },
    parts: {
      keys: fc.array(fc.record({ pattern: fc.constantFrom('*', 'a*', 'ab', 'c'), access: some('read', 'write') }), {
        maxLength: 3,
      }),
      commands: some('get', 'set', '@read', 'object', 'object|freq'),
      channels: fc.uniqueArray(fc.constantFrom('*', 'news', 'n*')),
    },
  },
  aws: {
    from: { role: 'arn:aws:iam::123456789012:role/tasks', region: 'eu-central-1' },
    parts: {
      allow: fc.array(
        fc.record({
          actions: some('s3:Get*', 's3:GetObject', 's3:PutObject'),
          resources: some('arn:aws:s3:::a/*', 'arn:aws:s3:::a/b', 'arn:aws:s3:::*'),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    },
  },
  azure: {
    from: { tenant: '11111111-1111-1111-1111-111111111111', client: '22222222-2222-2222-2222-222222222222' },
    parts: { resources: some('https://storage.azure.com', 'https://vault.azure.net', 'api://shop') },
  },
  'google-cloud': {
    from: {
      provider: 'projects/1/locations/global/workloadIdentityPools/pool/providers/gatehouse',
      serviceAccount: 'tasks@shop.iam.gserviceaccount.com',
    },
    parts: {
      scopes: some('https://www.googleapis.com/auth/a', 'https://www.googleapis.com/auth/b'),
      buckets: fc.array(
        fc.record({
          bucket: fc.constantFrom('one', 'two'),
          roles: some('roles/storage.objectViewer', 'roles/storage.objectUser'),
          prefix: fc.constantFrom('', 'a/', 'a/b/'),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    },
  },
  ssh: {
    from: {},
    parts: {
      principals: some('deploy', 'backup', 'root'),
      sourceAddresses: some('10.0.0.0/8', '192.0.2.1'),
      forceCommand: fc.constantFrom('uptime', 'date'),
      extensions: fc.uniqueArray(fc.constantFrom('permit-pty', 'permit-port-forwarding')),
    },
  },
  kubernetes: {
    from: { url: 'https://api.test:6443', secret: 'x' },
    parts: { serviceAccounts: some('shop/reader', 'shop/writer', 'web/reader'), audiences: some('vault', 'mesh') },
  },
  oauth: {
    from: { system: 'slack', clientId: 'c', secret: 'x', for: ['https://tools.test'] },
    parts: { scopes: some('chat:write', 'files:read', 'users:read') },
  },
};
/** Left out of a declaration these allow anything, or nothing. */
const optional = new Set(['buckets', 'sourceAddresses', 'forceCommand', 'audiences']);

function worlds(type: string) {
  const { from, parts } = kinds[type] as (typeof kinds)[string];
  const declared = fc.record(parts, { requiredKeys: Object.keys(parts).filter((name) => !optional.has(name)) }).map(
    (members) =>
      credentialProviderManifest.parse({
        ...{ kind: 'CredentialProvider', name: 'p', environments: ['prod'], from: { type, ...from, ...members } },
      }) satisfies CredentialProviderManifest,
  );
  return { declared, asked: fc.record(parts, { requiredKeys: [] }) };
}

for (const type of Object.keys(kinds)) {
  const { declared, asked } = worlds(type);

  /** @proves lease.unrelated */
  test(`${type}: what is issued is within itself, and what is less is within what it is less of`, () => {
    fc.assert(
      fc.property(declared, asked, asked, ({ from }, one, other) => {
        const [a, b, both] = [narrowScope(from, one), narrowScope(from, other), narrowScope(from, one, [other])];
        if ('scope' in a) assert.ok(isScopeWithin(from, structuredClone(a.scope), a.scope));
        if (!('scope' in both && 'scope' in a && 'scope' in b)) return;
        assert.ok(isScopeWithin(from, both.scope, a.scope), JSON.stringify([both.scope, a.scope]));
        assert.ok(isScopeWithin(from, both.scope, b.scope), JSON.stringify([both.scope, b.scope]));
      }),
      { numRuns: 200 },
    );
  });
}

/** What a scope of a database lets do: on each table that is named here, and on any other. */
function doable(scope: unknown): Set<string> {
  const { grants: all } = scope as {
    grants: { schema: string; tables: '*' | string[]; privileges: string[] }[];
  };
  const everything = ['orders', 'refunds', 'salaries', 'any other'];
  return new Set(
    all.flatMap((each) =>
      (each.tables === '*' ? everything : each.tables).flatMap((table) =>
        each.privileges.map((privilege) => `${privilege} ${each.schema}.${table}`),
      ),
    ),
  );
}

const sealer = {
  seal: (secret: Secret) => Buffer.from(secret.reveal()),
  open: (sealed: Uint8Array) => new Secret(Buffer.from(sealed).toString()),
} as unknown as Sealer;
const judge = createJudging({
  sealer,
  declaredIn({ credentialProviders }, name) {
    const manifest = credentialProviders.get(name);
    if (!manifest) throw new GatehouseError('not-found', 'provider.unknown', 'There is none.');
    return {
      ...{ manifest, destinations: credentialDestinations(manifest.from) },
      narrow: (wanted, within) => scopeOrThrow(manifest.from, wanted, within),
    };
  },
});
function scopeOrThrow(from: CredentialSource, wanted: unknown, within: readonly unknown[]): Json {
  const narrowed = narrowScope(from, wanted, within);
  if ('scope' in narrowed) return narrowed.scope as Json;
  throw new GatehouseError('forbidden', 'lease.scope', narrowed.problem);
}

/** @proves lease.unrelated, lease.withdrawn */
test('whatever becomes of provider, tool server and template: a lease stands just where at least as much would be issued now', async () => {
  const { declared, asked } = worlds('postgres');
  const seconds = fc.constantFrom(300, 900, 1_800);
  const world = fc.record({
    manifest: fc.tuple(declared, seconds).map(([manifest, maxSeconds]) => ({
      ...manifest,
      life: { defaultSeconds: 300, maxSeconds },
    })),
    asked,
    within: fc.array(asked, { maxLength: 2 }),
  });
  let [stood, ended] = [0, 0];
  await fc.assert(
    fc.asyncProperty(world, fc.option(world, { nil: null }), async (then, changed) => {
      const now = changed ?? then;
      const was = narrowScope(then.manifest.from, then.asked, then.within);
      if (!('scope' in was)) return;
      const scope = JSON.stringify(was.scope);
      const row = {
        ...{ id: 'lse_1', provider: 'p', agent: 'a', task: 't', environment: 'prod', purpose: 'server:shop' },
        ...{ scope, ungated: 0, intended_at: 0, making_until: 0, handed_by: null },
        expires_at: then.manifest.life.maxSeconds * 1_000,
      } as LeaseRow;
      const sealed = { ...row, sealed_revocation: sealRevocation(sealer, row, then.manifest as unknown as Json, null) };
      const verdict = await judge(
        { credentialProviders: new Map([['p', now.manifest]]), fences: new Map() } as unknown as Snapshot,
        sealed,
        async (_, { provider, agent, task, environment, purpose }) => ({
          request: {
            ...{ provider, agent, task, environment, purpose, until: [] },
            ...{ asked: now.asked as Json, within: now.within as Json[] },
          },
          guards: [],
        }),
      );
      const would = narrowScope(now.manifest.from, now.asked, now.within);
      const given = 'scope' in would ? doable(would.scope) : new Set();
      const isLess = [...doable(was.scope)].some((each) => !given.has(each));
      assert.equal('withdrawn' in verdict, isLess, JSON.stringify([was, would, verdict]));
      if (isLess) ended++;
      else stood++;
      if (isLess) return;
      assert.equal('endsAt' in verdict, now.manifest.life.maxSeconds < then.manifest.life.maxSeconds);
      if (changed === null) assert.ok('stands' in verdict);
    }),
    { numRuns: 500 },
  );
  assert.ok(stood > 20 && ended > 20, `${stood} stood, ${ended} ended`);
});

/** @proves lease.withdrawn */
test('one of which nobody can read any more what it was issued as is ended', async () => {
  const snapshot = {
    credentialProviders: new Map([['p', fc.sample(worlds('ssh').declared, 1)[0]]]),
    fences: new Map(),
  };
  const row = { provider: 'p', environment: 'prod', scope: '{}', sealed_revocation: Buffer.from('edited') };
  const verdict = await judge(snapshot as unknown as Snapshot, row as unknown as LeaseRow, async () => {
    throw new Error('nobody is to be asked');
  });
  assert.ok('withdrawn' in verdict && !verdict.isStopped);
});

/** @proves lease.unrelated, lease.withdrawn */
test('a database that is away for a moment withdraws nothing: only that nothing would be issued does', async () => {
  const then = fc.sample(worlds('ssh').declared, 1)[0] as CredentialProviderManifest;
  const snapshot = { credentialProviders: new Map([['p', then]]), fences: new Map() } as unknown as Snapshot;
  const row = { id: 'lse_1', provider: 'p', environment: 'prod', purpose: 'direct', scope: '{}', making_until: 0 };
  const sealed = {
    ...row,
    sealed_revocation: sealRevocation(sealer, row as LeaseRow, then as unknown as Json, null),
  } as LeaseRow;
  const judgedWith = (error: unknown) =>
    judge(snapshot, sealed, async () => {
      throw error;
    });
  const faults = ['unavailable', 'conflict', 'timeout', 'internal', 'upstream'] as const;
  for (const kind of faults) {
    const fault = new GatehouseError(kind, kind === 'conflict' ? 'storage.contended' : `storage.${kind}`, 'Try again.');
    await assert.rejects(judgedWith(fault), fault);
  }
  for (const kind of ['forbidden', 'not-found'] as const) {
    const verdict = await judgedWith(new GatehouseError(kind, 'lease.scope', 'Nothing is issued.'));
    assert.ok('withdrawn' in verdict && verdict.withdrawn === 'Nothing is issued.');
  }
});
