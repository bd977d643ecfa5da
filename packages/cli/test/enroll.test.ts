import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startV2Http } from '../../../test/peers/v2-server.ts';
import { createCli, ended, nodeArgs, startTown } from './support.ts';

const issuer = 'https://issuer.example.test';

async function open(t: TestContext) {
  const peer = await startV2Http();
  t.after(() => peer.close());
  const town = await startTown(t, peer.url);
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  await town.workspace.apply([
    {
      kind: 'TrustRule',
      name: 'ci',
      issuer: {
        type: 'oidc',
        url: issuer,
        jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] },
      },
      claims: { sub: 'job-1' },
      agent: town.agentName,
      reuse: 'same-key',
    },
  ]);
  const outsideToken = (sub = 'job-1') =>
    new SignJWT({ sub, jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(town.workspace.url)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
  const agent = (env: Record<string, string> = {}) =>
    createCli(town.directory, { GATEHOUSE_URL: town.workspace.url, ...env });
  const of = ['--agent', town.agentName, '--template', 'try-out', '--intent', 'try it'];
  const keyFile = join(town.directory, 'config', 'gatehouse', 'agents', `${town.agentName}.jwk`);
  return { ...town, outsideToken, agent, of, keyFile };
}

/** The token services of GitHub Actions and Azure, as a job sees them. */
async function startPlatform(t: TestContext, token: () => Promise<string>) {
  const requests: { audience: string | null; authorization: string | undefined }[] = [];
  const server = createServer(async (request, response) => {
    const audience = new URL(request.url ?? '', 'http://localhost').searchParams.get('audience');
    requests.push({ audience, authorization: request.headers.authorization });
    const value = await token();
    response.end(JSON.stringify({ value, access_token: value }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token` };
}

describe('gatehouse agent enroll', () => {
  /** @proves enroll.join-token */
  it('enrols a key by a join token from standard input, once, without being the operator', async (t) => {
    const { run, agent, agentName, of, keyFile } = await open(t);
    const made = await run('agent', 'join-token', agentName);
    assert.equal(made.code, 0, made.stderr);
    const token = made.stdout.trim();
    const enrol = (...more: string[]) => {
      const child = agent().start(['agent', 'enroll', agentName, '--join-token', '-', ...more]);
      child.stdin?.write(token);
      return ended(child);
    };
    const enrolled = await enrol();
    assert.equal(enrolled.code, 0, enrolled.stderr);
    assert.equal(statSync(keyFile).mode & 0o777, 0o600);
    const got = await agent().run('token', ...of, '--json');
    assert.equal(got.code, 0, got.stderr);
    const again = await enrol('--key-file', `${keyFile}.other`);
    assert.notEqual(again.code, 0);
    assert.doesNotMatch(again.stderr + enrolled.stdout + enrolled.stderr, new RegExp(token));
    // The token where its file is meant: said again in no part.
    const misused = await agent().run('agent', 'enroll', agentName, '--join-token', token);
    assert.equal(misused.code, 66);
    assert.match(misused.stderr, /names the file.*ENOENT.*revoke it/s);
    for (let at = 0; at + 8 <= token.length; at++)
      assert.ok(!(misused.stdout + misused.stderr).includes(token.slice(at, at + 8)), 'not even a part');
  });

  it('enrols by the token of a platform, and refuses one that no rule takes, or two proofs', async (t) => {
    const { agent, agentName, outsideToken, directory, keyFile } = await open(t);
    const { requests, url } = await startPlatform(t, outsideToken);
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${url}?api-version=2`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job',
    };
    const enrolled = await agent(env).run('agent', 'enroll', agentName, '--github', '--json');
    assert.equal(enrolled.code, 0, enrolled.stderr);
    assert.equal(enrolled.json<{ keyFile: string }>().keyFile, keyFile);
    assert.equal(requests[0]?.authorization, 'Bearer of-the-job');
    assert.match(requests[0]?.audience ?? '', /^http:\/\/localhost:\d+$/);

    const path = join(directory, 'token');
    writeFileSync(path, await outsideToken('job-2'));
    const other = join(directory, 'other.jwk');
    const refused = await agent().run('agent', 'enroll', agentName, '--oidc-token', path, '--key-file', other);
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, /trust/);
    const both = await agent(env).run('agent', 'enroll', agentName, '--github', '--aws');
    assert.equal(both.code, 64);
    const nowhere = await agent().run('agent', 'enroll', agentName, '--github', '--key-file', `${other}.2`);
    assert.match(nowhere.stderr, /id-token: write/);
  });

  it('says what is missing where no keyring answers, and keeps nothing', async (t) => {
    const { run, agentName } = await open(t);
    const asked = await run('agent', 'enroll', agentName, '--keyring');
    // A machine with a keyring enrols; one without says so.
    if (asked.code !== 0) assert.match(asked.stderr, /no keyring here that answers.*--key-file/);
  });
});

describe('an agent without a key', () => {
  /** @proves credential.outside-token */
  it('gets its tokens by the token of its platform, and ends its task without any client authentication', async (t) => {
    const { agent, of, outsideToken, workspace, keyFile } = await open(t);
    const env = { CI_TOKEN: await outsideToken() };
    const script = 'console.log(process.env.GATEHOUSE_TASK)';
    const ran = await agent(env).run('exec', ...of, '--identity', 'env:CI_TOKEN', '--', process.execPath, '-e', script);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /^tsk_/);
    assert.equal(existsSync(keyFile), false);
    const { items } = await workspace.operator('GET /records', { query: { operation: 'task.end' } });
    assert.equal(items.length, 1);
    const none = await agent().run('token', ...of, '--identity', 'env:CI_TOKEN');
    assert.match(none.stderr, /no JWT in the variable CI_TOKEN/);
  });

  /** @proves exec.proof-withheld */
  it('keeps from a command what the agent proves itself with, except what --pass-env names', async (t) => {
    const { agent, of, outsideToken, directory } = await open(t);
    const { url } = await startPlatform(t, outsideToken);
    const github = { ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job', ACTIONS_ID_TOKEN_REQUEST_URL: url };
    const azure = {
      IDENTITY_ENDPOINT: url,
      IDENTITY_HEADER: 'of-the-app',
      MSI_ENDPOINT: url,
      MSI_SECRET: 'of-the-app',
    };
    const file = join(directory, 'federated');
    writeFileSync(file, await outsideToken());
    const kinds: [string, Record<string, string>][] = [
      ['github', github],
      ['gitlab', { GATEHOUSE_ID_TOKEN: await outsideToken() }],
      ['azure', azure],
      ['azure', { AZURE_FEDERATED_TOKEN_FILE: file }],
      ['env:CI_TOKEN', { CI_TOKEN: await outsideToken() }],
    ];
    const script = ['--no-redact', '--', process.execPath, '-e', 'console.log(JSON.stringify(process.env))'];
    const environment = async (env: Record<string, string>, ...options: string[]) => {
      const ran = await agent({ ...env, GATEHOUSE_KEY_FILE: 'a', MINE: 'kept' }).run(
        'exec',
        ...of,
        ...options,
        ...script,
      );
      assert.equal(ran.code, 0, ran.stderr);
      return ran.json<Record<string, string>>();
    };
    for (const [identity, env] of kinds) {
      const seen = await environment(env, '--identity', identity);
      assert.equal(seen.MINE, 'kept');
      assert.match(seen.GATEHOUSE_TASK ?? '', /^tsk_/);
      for (const name of [...Object.keys(env), 'GATEHOUSE_KEY_FILE']) assert.equal(seen[name], undefined, name);
      const values = Object.values(seen).join('\n');
      for (const value of Object.values(env)) assert.ok(!values.includes(value), `${identity}: not under any name`);
    }
    const passed = await environment(github, '--identity', 'github', '--pass-env', 'ACTIONS_ID_TOKEN_REQUEST_URL');
    assert.equal(passed.ACTIONS_ID_TOKEN_REQUEST_URL, url);
    assert.equal(passed.ACTIONS_ID_TOKEN_REQUEST_TOKEN, undefined);
    const names = Object.keys(github).flatMap((name) => ['--pass-env', name]);
    const both = await environment(github, '--identity', 'github', ...names);
    assert.deepEqual({ ...both, ...github }, both);
    const wrong = await agent(github).run('exec', ...of, '--pass-env', 'KEY=of-the-job', '--', 'true');
    assert.equal(wrong.code, 64);
    assert.match(wrong.stderr, /name of one variable/);
    assert.doesNotMatch(wrong.stderr, /of-the-job/);
  });

  /** @proves exec.proof-withheld */
  it('gives a command in GitHub Actions one task of the agent, and not the agent', async (t) => {
    const { agent, agentName, of, outsideToken, directory } = await open(t);
    const { requests, url } = await startPlatform(t, outsideToken);
    const job = agent({ ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-job', ACTIONS_ID_TOKEN_REQUEST_URL: url });
    const exec = (...command: string[]) => job.run('exec', ...of, '--identity', 'github', '--', ...command);
    assert.equal((await exec('true')).code, 0);
    const perExec = requests.length;
    const taken = await exec(process.execPath, ...nodeArgs, 'token', ...of, '--identity', 'github');
    assert.notEqual(taken.code, 0);
    assert.match(taken.stderr, /no identity/);
    const key = join(directory, 'taken.jwk');
    const enrolled = await exec(
      process.execPath,
      ...nodeArgs,
      'agent',
      'enroll',
      agentName,
      '--github',
      '--key-file',
      key,
    );
    assert.notEqual(enrolled.code, 0);
    assert.match(enrolled.stderr, /no identity/);
    assert.equal(requests.length, 3 * perExec, 'only exec itself has asked the platform');
  });
});
