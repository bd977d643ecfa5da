import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startV2Http } from '../../../test/peers/v2-server.ts';
import { createCli, ended, startTown } from './support.ts';

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
    const requests: { audience: string | null; authorization: string | undefined }[] = [];
    const platform = createServer(async (request, response) => {
      const audience = new URL(request.url ?? '', 'http://localhost').searchParams.get('audience');
      requests.push({ audience, authorization: request.headers.authorization });
      response.end(JSON.stringify({ value: await outsideToken() }));
    });
    await new Promise<void>((resolve) => platform.listen(0, '127.0.0.1', resolve));
    t.after(() => platform.close());
    const { port } = platform.address() as AddressInfo;
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2`,
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
    // The platform's token would make the command the whole agent, and not one task of it.
    const job = { GATEHOUSE_ID_TOKEN: await outsideToken(), CI_TOKEN: await outsideToken() };
    for (const [identity, hidden] of [
      ['gitlab', job.GATEHOUSE_ID_TOKEN],
      ['env:CI_TOKEN', job.CI_TOKEN],
    ] as const) {
      const show = ['--no-redact', '--', process.execPath, '-e', 'console.log(JSON.stringify(process.env))'];
      const shown = await agent(job).run('exec', ...of, '--identity', identity, ...show);
      assert.equal(shown.code, 0, shown.stderr);
      assert.match(shown.stdout, /GATEHOUSE_TASK/);
      assert.ok(!shown.stdout.includes(hidden), identity);
    }
    const none = await agent().run('token', ...of, '--identity', 'env:CI_TOKEN');
    assert.match(none.stderr, /no JWT in the variable CI_TOKEN/);
  });
});
