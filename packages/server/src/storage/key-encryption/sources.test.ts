import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { startMoto } from '../../../../../test/support/moto.ts';
import { startOpenBao } from '../../../../../test/support/openbao.ts';
import { commandSource } from './command.ts';
import { keySource } from './source.ts';
import type { KeySource, SourceSurroundings } from './types.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-sources-'));
after(() => rmSync(dataDir, { recursive: true, force: true }));
const path = (name: string) => join(dataDir, name);
const write = (name: string, text: string, mode = 0o600) => {
  writeFileSync(path(name), text, { mode });
  return path(name);
};
const key = randomBytes(32);
const text = key.toString('base64');
const sourceOf = (spec: string, environment: SourceSurroundings['environment'] = {}): KeySource =>
  keySource(spec, { dataDir, environment: { PATH: process.env.PATH, ...environment } });

/** A source at work, and the same source with what it depends on gone. Undefined: what it needs is not on this machine. */
interface Working {
  working: KeySource;
  broken: KeySource;
  /** Text that must be in no error. */
  secrets: string[];
}

const kinds: Record<string, (t: TestContext) => Promise<Working | undefined>> = {
  file: async () => ({
    working: sourceOf(`file:${write('kek', text)}`),
    broken: sourceOf(`file:${path('none')}`),
    secrets: [text],
  }),
  env: async () => ({
    working: sourceOf('env:KEK', { KEK: key.toString('hex') }),
    broken: sourceOf('env:KEK'),
    secrets: [text],
  }),
  command: async () => ({
    working: sourceOf(`command:cat ${write('printed', text)}`),
    broken: sourceOf(`command:${write('fails', `#!/bin/sh\necho ${text}; exit 3`, 0o700)}`),
    secrets: [text],
  }),
  openbao: async (t) => {
    const bao = await startOpenBao();
    if (!bao) return undefined;
    t.after(() => bao.close());
    await bao.write('sys/mounts/transit', { type: 'transit' });
    await bao.write('transit/keys/gatehouse');
    const spec = `openbao:${bao.url}#transit/keys/gatehouse`;
    return {
      working: sourceOf(spec, { BAO_TOKEN: bao.rootToken }),
      broken: sourceOf(spec, { BAO_TOKEN: 'canary-of-a-token' }),
      secrets: [bao.rootToken, 'canary-of-a-token'],
    };
  },
  'aws-kms': async (t) => {
    const moto = await startMoto();
    if (!moto) return undefined;
    t.after(() => moto.close());
    const environment = {
      AWS_ENDPOINT_URL: moto.url,
      AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'canary-of-a-secret',
    };
    const answer = await fetch(moto.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'TrentService.CreateKey',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0',
      },
      body: '{}',
    });
    const { KeyMetadata } = (await answer.json()) as { KeyMetadata: { Arn: string } };
    return {
      working: sourceOf(`aws-kms:${KeyMetadata.Arn}`, environment),
      broken: sourceOf(
        `aws-kms:${KeyMetadata.Arn.replace(/[^/]+$/, '00000000-0000-0000-0000-000000000000')}`,
        environment,
      ),
      secrets: ['canary-of-a-secret'],
    };
  },
};

for (const [kind, start] of Object.entries(kinds)) {
  test(`${kind}: gives the same 32 bytes every time, and a precise error without a secret when it cannot`, async (t) => {
    const given = await start(t);
    if (!given) return t.skip(`what ${kind} needs is missing: see above`);
    const { working, broken, secrets } = given;
    let failing: Promise<unknown>;
    if (working.kind === 'local') {
      assert.deepEqual(Buffer.from(await working.read()), key);
      assert.deepEqual(Buffer.from(await working.read()), key);
      failing = (broken as typeof working).read();
    } else {
      const wrapped = await working.wrap(key);
      assert.ok(!wrapped.includes(text));
      assert.notEqual(await working.wrap(key), wrapped);
      assert.deepEqual(Buffer.from(await working.unwrap(wrapped)), key);
      const changed = wrapped.replace(/.{4}(=*)$/, (end) =>
        end.startsWith('AAAA') ? `BBBB${end.slice(4)}` : `AAAA${end.slice(4)}`,
      );
      await assert.rejects(working.unwrap(changed), { code: 'key-encryption.unavailable' });
      failing = (broken as typeof working).unwrap(wrapped);
    }
    const error = await failing.then(
      () => assert.fail('it gave a key'),
      (reason: Error & { code: string }) => reason,
    );
    assert.equal(error.code, 'key-encryption.unavailable');
    assert.match(error.message, new RegExp(kind === 'aws-kms' ? 'AWS KMS' : `${broken.name.replace(/^[a-z]+:/, '')}`));
    for (const secret of [...secrets, key.toString('hex'), key.toString('base64url')])
      assert.ok(!`${error.stack} ${JSON.stringify(error)} ${broken.name} ${working.name}`.includes(secret));
  });
}

test('the file in the data directory is made at the first start, for its owner only; another file is never made', async () => {
  const spec = `file:${join(dataDir, 'keys', 'key-encryption.key')}`;
  const source = sourceOf(spec);
  assert.ok(source.kind === 'local');
  const made = await source.read();
  assert.equal(statSync(join(dataDir, 'keys', 'key-encryption.key')).mode & 0o777, 0o600);
  assert.deepEqual(await source.read(), made);
  const other = sourceOf(`file:${path('another')}`);
  assert.ok(other.kind === 'local');
  await assert.rejects(other.read(), { code: 'key-encryption.unavailable' });
  assert.throws(() => readFileSync(path('another')));
});

test('a key file that everybody can read is refused', async () => {
  const file = write('exposed', text);
  chmodSync(file, 0o604);
  const source = sourceOf(`file:${file}`);
  assert.ok(source.kind === 'local');
  await assert.rejects(source.read(), { code: 'key-encryption.exposed' });
});

test('what is too short, too long or not a key is refused, and not repeated', async () => {
  for (const bad of ['', 'canary', randomBytes(31).toString('base64'), randomBytes(33).toString('hex'), `${text}x`]) {
    const source = sourceOf(`file:${write('bad', bad)}`);
    assert.ok(source.kind === 'local');
    await assert.rejects(source.read(), (error: Error & { code: string }) => {
      assert.equal(error.code, 'key-encryption.damaged');
      return bad === '' || !error.message.includes(bad);
    });
  }
});

test('a command that hangs, floods, or is not there is given up', async () => {
  const surroundings = { dataDir, environment: { PATH: process.env.PATH } };
  await assert.rejects(commandSource('sleep 60', surroundings, 100).read(), /did not end within/);
  await assert.rejects(commandSource('yes', surroundings).read(), /more than 4096 bytes/);
  await assert.rejects(commandSource('/nonexistent/program', surroundings).read(), /could not be started \(ENOENT\)/);
});

test('a specification that names no source, or a service over plain http, is refused without being repeated', () => {
  for (const spec of ['canary', 'canary:x', 'constructor:x', 'file:', 'env:a-b', 'aws-kms:key', 'openbao:nowhere'])
    assert.throws(() => sourceOf(spec), { code: 'key-encryption.spec' }, spec);
  assert.throws(() => sourceOf('openbao:http://bao.example:8200#transit/keys/x'), /unencrypted/);
  assert.throws(
    () => sourceOf(text),
    (error: Error) => !error.message.includes(text),
  );
});

test('OpenBao by AppRole, with a policy that allows this one key and nothing else', async (t) => {
  const bao = await startOpenBao();
  if (!bao) return t.skip('OpenBao is missing: see above');
  t.after(() => bao.close());
  await bao.write('sys/mounts/keys-of-ours', { type: 'transit' });
  await bao.write('keys-of-ours/keys/gatehouse');
  await bao.write('keys-of-ours/keys/other');
  await bao.write('sys/auth/approle', { type: 'approle' });
  await bao.write('sys/policies/acl/gatehouse', {
    policy: 'path "keys-of-ours/+/gatehouse" { capabilities = ["update"] }',
  });
  await bao.write('auth/approle/role/gatehouse', { token_policies: ['gatehouse'] });
  const role = await fetch(`${bao.url}/v1/auth/approle/role/gatehouse/role-id`, {
    headers: { 'x-vault-token': bao.rootToken },
  });
  const { data } = (await role.json()) as { data: { role_id: string } };
  const secret = await bao.write('auth/approle/role/gatehouse/secret-id');
  const environment = {
    BAO_ROLE_ID: data.role_id,
    BAO_SECRET_ID_FILE: write('secret-id', String(secret.data?.secret_id)),
  };
  const ours = sourceOf(`openbao:${bao.url}#keys-of-ours/keys/gatehouse`, environment);
  const other = sourceOf(`openbao:${bao.url}#keys-of-ours/keys/other`, environment);
  assert.ok(ours.kind === 'remote' && other.kind === 'remote');
  const wrapped = await ours.wrap(key);
  // Rotated there, what was wrapped before still opens.
  await bao.write('keys-of-ours/keys/gatehouse/rotate');
  assert.deepEqual(Buffer.from(await ours.unwrap(wrapped)), key);
  await assert.rejects(other.wrap(key), /answered 403: it denied the access/);
});

test('AWS credentials by web identity, and from a file', async (t) => {
  const moto = await startMoto();
  if (!moto) return t.skip('moto is missing: see above');
  t.after(() => moto.close());
  const { awsCredentials } = await import('../../platform/index.ts');
  const environment = {
    AWS_ENDPOINT_URL: moto.url,
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/gatehouse',
    AWS_WEB_IDENTITY_TOKEN_FILE: write('web-identity', 'header.payload.signature'),
  };
  const given = await awsCredentials('eu-central-1', environment);
  assert.ok(given.sessionToken && given.accessKeyId && given.secretAccessKey);
  const file = write(
    'credentials',
    '[default]\naws_access_key_id = A\naws_secret_access_key = B\n[other]\naws_access_key_id=C\naws_secret_access_key=D\n',
  );
  const surroundings = { dataDir, environment: { AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: 'other' } };
  assert.deepEqual(await awsCredentials('r', surroundings.environment), { accessKeyId: 'C', secretAccessKey: 'D' });
  await assert.rejects(
    awsCredentials('r', { AWS_SHARED_CREDENTIALS_FILE: path('none') }),
    /there are no AWS credentials/,
  );
});
