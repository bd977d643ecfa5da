import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput, SecretView } from '@gatehouse/protocol';
import { createCli } from '../packages/cli/test/support.ts';
import { canary } from './support/canary.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Long-lived secrets, wherever they are kept: sent by the gate alone, and looked after. */
describe('long-lived secrets', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-secrets-'));
  const mounted = join(directory, 'mounted');
  let workspace: Workspace;
  const DAY_MS = 86_400_000;

  const provider = (name: string, kept: object, parts: object, more: object = {}): ManifestInput =>
    ({
      kind: 'CredentialProvider',
      name,
      environments: ['production'],
      from: { type: 'static', in: kept, parts, for: ['https://api.example'], ...more },
    }) as ManifestInput;
  const tried = (name: string) => workspace.operator('POST /providers/:name/test', { params: { name } });
  const store = (name: string, value: string, more: object = {}) =>
    workspace.operator('PUT /secrets/:name', {
      params: { name },
      body: { value, origins: ['https://api.example'], ...more },
    });
  const listed = () => workspace.operator('GET /secrets');

  before(async () => {
    mkdirSync(join(mounted, '..data'), { recursive: true });
    writeFileSync(join(mounted, '..data', 'token'), `${canary()}\n`);
    symlinkSync(join('..data', 'token'), join(mounted, 'token'));
    writeFileSync(join(directory, 'outside'), canary());
    symlinkSync('../outside', join(mounted, 'outside'));
    process.env.GATEHOUSE_SECRET_FILES = mounted;
    process.env.GATEHOUSE_SECRET_PAYMENTS = canary();
    workspace = await startWorkspace();
    await workspace.apply(manifests());
  });
  after(async () => {
    delete process.env.GATEHOUSE_SECRET_FILES;
    delete process.env.GATEHOUSE_SECRET_PAYMENTS;
    await workspace?.close();
    rmSync(directory, { recursive: true });
  });

  /** @proves secrets.bounded */
  test('files of one directory and variables of one prefix can be named, and nothing else of the machine', async () => {
    for (const [name, kept, part, why] of [
      ['mounted', 'files', 'token', null],
      ['payments', 'environment', 'PAYMENTS', null],
      ['outside', 'files', 'outside', /no file "outside"/],
      ['above', 'files', '../outside', /no file/],
      ['absolute', 'files', '/etc/passwd', /no file/],
      ['path', 'environment', '../PATH', /no variable GATEHOUSE_SECRET_/],
    ] as const) {
      await workspace.apply([provider(name, { type: kept }, { token: part })]);
      const { ok, problem } = await tried(name);
      if (why === null) assert.deepEqual({ ok, problem }, { ok: true, problem: null }, name);
      else assert.match(problem ?? '', why);
      const { items } = await workspace.operator('GET /providers');
      assert.deepEqual(items.find((each) => each.name === name)?.abilities, {
        canNarrow: false,
        canRevoke: false,
        canEndSessions: false,
        canRenew: false,
        maxResidualSeconds: null,
        isStored: true,
      });
    }
  });

  test('what is too short to be kept out of texts, or goes elsewhere, is not issued, and no error says what it is', async () => {
    await store('short', 'abc123!');
    await store('elsewhere', canary());
    await workspace.apply([
      provider('short', { type: 'store' }, { token: 'short' }),
      provider(
        'moved',
        { type: 'store' },
        { token: 'elsewhere' },
        { for: ['https://api.example', 'https://evil.test'] },
      ),
      provider('member', { type: 'store' }, { token: 'elsewhere#key' }),
    ]);
    const short = (await tried('short')).problem ?? '';
    assert.match(short, /fewer than 8 characters/);
    assert.doesNotMatch(short, /abc123/);
    assert.match((await tried('moved')).problem ?? '', /is not sent to https:\/\/evil\.test/);
    assert.match((await tried('member')).problem ?? '', /no JSON object with a text "key"/);
    await workspace.apply([provider('moved', { type: 'store' }, { token: 'elsewhere' })]);
  });

  /** @proves secrets.cared-for */
  test('people see how old each is, when it was used last, who looks after it, and when a new one is due', async () => {
    const stored = await store('cared-for', canary(), { owner: 'owner@example.test', rotateDays: 30 });
    assert.equal(stored.rotationDueAt, stored.updatedAt + 30 * DAY_MS);
    assert.equal(stored.lastUsedAt, null);
    const again = await store('cared-for', canary());
    assert.deepEqual([again.owner, again.rotateDays], ['owner@example.test', 30], 'what was not said stays');
    utimesSync(join(mounted, 'token'), new Date(), new Date(Date.now() - 100 * DAY_MS));
    await workspace.apply([
      provider('used', { type: 'store' }, { token: 'cared-for' }),
      provider('mounted', { type: 'files' }, { token: 'token' }, { rotateDays: 90, owner: 'owner@example.test' }),
    ]);
    // To look at whether providers are well is no use of what they have.
    const { items: looked } = await workspace.operator('GET /providers');
    assert.ok(looked.every(({ name, ok }) => ok || !['used', 'mounted'].includes(name)));
    const before = (await listed()).items.find(({ name }) => name === 'cared-for');
    assert.equal(before?.lastUsedAt, null);
    const begun = Date.now();
    for (const name of ['used', 'mounted']) assert.equal((await tried(name)).ok, true);
    const { items, elsewhere } = await listed();
    const used = items.find(({ name }) => name === 'cared-for') as SecretView;
    assert.ok((used.lastUsedAt ?? 0) >= begun);
    assert.deepEqual(used.usedBy, ['used']);
    const file = elsewhere.find((each) => each.provider === 'mounted');
    assert.deepEqual(
      { kept: file?.kept, named: file?.named, owner: file?.owner, days: file?.rotateDays },
      { kept: 'files', named: 'token', owner: 'owner@example.test', days: 90 },
    );
    assert.ok((file?.rotationDueAt ?? Infinity) < begun);
    assert.deepEqual((await workspace.operator('GET /status')).secretsDue, ['mounted/token']);
    const anybody = (await (await fetch(`${workspace.url}/api/v1/status`)).json()) as { secretsDue: unknown };
    assert.equal(anybody.secretsDue, null);

    const cli = createCli(directory, {
      GATEHOUSE_URL: workspace.url,
      GATEHOUSE_DATA_DIR: workspace.dataDir,
    });
    const shown = await cli.run('secrets', 'list');
    assert.match(shown.stdout, /mounted\/token +files .*since/);
    assert.deepEqual((await cli.run('secrets', 'list', '--json')).json<{ elsewhere: unknown }>().elsewhere, elsewhere);
    assert.match((await cli.run('status')).stdout, /Secrets due +mounted\/token/);
  });

  test('its lease ends with a record that does not claim more than that', async () => {
    const { items } = await workspace.operator('GET /records', { query: { operation: 'lease.revoked' } });
    const said = JSON.stringify(items);
    assert.match(said, /used no more; the secret itself stays as it is/);
    assert.doesNotMatch(said, /verified to be gone/);
  });
});
