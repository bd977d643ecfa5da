import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import vault from 'node-vault';
import { type FakeGitHub, startFakeGitHub } from '../../../test/fakes/github.ts';
import { hasPrograms } from '../../../test/support/debian.ts';
import { manifests } from '../../../test/support/fixtures.ts';
import { type GitHost, startGitHost } from '../../../test/support/git-host.ts';
import { openBao } from '../../../test/support/openbao.ts';
import { startWorkspace, type Workspace } from '../../../test/support/workspace.ts';
import { createCli, type Ended, ended, scratch } from './support.ts';

/** `gatehouse credentials serve` with the clients that it is for, each as it is installed, over one running server. */
const baoProgram = await openBao();
const hasAll = hasPrograms(['curl', 'git'], ['curl', 'git']);

describe('clients that fetch their own credentials', { skip: !hasAll && 'curl and git are missing' }, () => {
  const cleanUp: (() => unknown)[] = [];
  let github: FakeGitHub;
  let host: GitHost;
  let other: GitHost;
  let workspace: Workspace;
  let directory: string;
  let cli: ReturnType<typeof createCli>;
  let serving: ChildProcess;
  let served: { socket: string; url: string; tokenFile: string };
  const noise: string[] = [];

  before(async () => {
    github = await startFakeGitHub();
    const opens = (password: string, repository: string) => {
      const token = github.tokens.get(password);
      return token !== undefined && !token.ended && token.repositories.includes(repository.replace('acme/', ''));
    };
    host = await startGitHost(['acme/shop', 'acme/infra'], opens);
    other = await startGitHost(['acme/shop'], () => false);
    workspace = await startWorkspace();
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'github-app' },
      body: { value: github.app.privateKey, origins: [github.origin] },
    });
    const provider = (name: string, tier: 2 | 3): ManifestInput => ({
      kind: 'CredentialProvider',
      name,
      environments: ['production'],
      direct: { tier, perTask: 50 },
      from: {
        type: 'github-app',
        url: github.origin,
        app: github.app.clientId,
        installation: github.app.installation,
        owner: 'acme',
        secret: 'github-app',
        repositories: ['shop', 'infra'],
        allowPrivateAddress: true,
        permissions: { contents: 'write' },
      },
    });
    const credentials = ['github', 'careful'].map((name) => ({
      provider: name,
      direct: true,
      scope: { repositories: ['shop'] },
    }));
    await workspace.apply([
      ...manifests().filter((each: ManifestInput) => each.kind !== 'Template' || each.name !== 'all'),
      { kind: 'Template', name: 'all', credentials },
      provider('github', 2),
      provider('careful', 3),
    ]);
    directory = scratch({ after: (run) => cleanUp.push(run as () => unknown) });
    cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
    assert.equal((await cli.run('agent', 'enroll', 'agent-a')).code, 0);
    const agent = createCli(directory, { GATEHOUSE_URL: workspace.url });
    serving = agent.start(['credentials', 'serve', '--agent', 'agent-a', '--template', 'all', '--http', '--json']);
    serving.stderr?.setEncoding('utf8').on('data', (text) => noise.push(text));
    const [line] = await once(createInterface(serving.stdout as NodeJS.ReadableStream), 'line');
    served = JSON.parse(line as string);
  });
  after(async () => {
    serving?.kill('SIGTERM');
    await workspace?.close();
    github?.close();
    host?.close();
    other?.close();
    for (const each of cleanUp) await each();
  });

  async function install(client: string, provider: string, ...more: string[]): Promise<string> {
    const { stdout, stderr } = await cli.run(
      ...['credentials', 'install', client, '--provider', provider, '--directory', join(directory, 'bin'), '--json'],
      ...more,
    );
    assert.ok(stdout, stderr);
    return (JSON.parse(stdout) as { helper: string }).helper;
  }
  function run(command: string, args: string[], input = '', env: Record<string, string> = {}): Promise<Ended> {
    const child = spawn(command, args, {
      cwd: directory,
      env: { PATH: `${join(directory, 'bin')}:${process.env.PATH}`, HOME: directory, GIT_TERMINAL_PROMPT: '0', ...env },
    });
    child.stdin.on('error', () => undefined);
    child.stdin.write(input);
    return ended(child);
  }
  const gitWith = (helper: string, on: GitHost, ...args: string[]) =>
    run('git', [
      ...['-c', 'credential.helper=', '-c', `credential.${on.url}.helper=${helper}`],
      ...['-c', 'credential.useHttpPath=true', '-c', 'user.name=a', '-c', 'user.email=a@example.test'],
      ...['-c', 'init.defaultBranch=main', ...args],
    ]);
  async function until(what: () => boolean, words: string): Promise<void> {
    for (const giveUpAt = Date.now() + 60_000; !what(); await delay(20)) assert.ok(Date.now() < giveUpAt, words);
  }
  const approve = async (text: string) => {
    const [, id = ''] = /(apr_\w+)/.exec(text) ?? [];
    await (await workspace.person('approver@example.test')).approve(id);
  };

  /** @proves clients.socket */
  it('are served on a socket of this user’s alone, and on loopback only with the token', async () => {
    assert.equal(lstatSync(served.socket).mode & 0o777, 0o600);
    assert.equal(lstatSync(join(served.socket, '..')).mode & 0o777, 0o700);
    assert.equal(lstatSync(served.tokenFile).mode & 0o777, 0o600);
    const token = readFileSync(served.tokenFile, 'utf8');
    const get = (path: string, headers: Record<string, string> = {}) => fetch(served.url + path, { headers });
    assert.equal((await get('/aws/github')).status, 401);
    assert.equal((await get('/aws/github', { authorization: `${token}x` })).status, 401);
    assert.equal((await get('/v1/database/creds/github')).status, 403);
    for (const path of ['/plain/github', '/git/github/get', '/aws-process/github', '/'])
      assert.equal((await get(path, { authorization: token })).status, 404, path);
    const headers = { authorization: token, origin: 'https://evil.example' };
    assert.equal((await get('/aws/github', headers)).status, 404, 'a page in a browser');
    const rebound = await run('curl', [
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-H',
      'Host: evil.example',
      `${served.url}/v1/sys/health`,
    ]);
    assert.equal(rebound.stdout, '404');
  });

  /** @proves clients.git */
  it('git clones and pushes with a token of the one repository, and another host or repository gets none', async () => {
    const helper = await install('git', 'github', '--host', host.host, '--per-repository');
    const cloned = await gitWith(helper, host, 'clone', '--quiet', `${host.url}/acme/shop.git`, 'shop');
    assert.equal(cloned.code, 0, cloned.stderr);
    writeFileSync(join(directory, 'shop', 'README.md'), 'x');
    for (const args of [
      ['add', '.'],
      ['commit', '-qm', 'x'],
      ['push', '-q', 'origin', 'HEAD:main'],
    ]) {
      const { code, stderr } = await gitWith(helper, host, '-C', 'shop', ...args);
      assert.equal(code, 0, stderr);
    }
    assert.equal(new Set(host.sent).size, 1, 'one token for all of it');
    assert.deepEqual(github.tokens.get(host.sent[0] ?? '')?.repositories, ['shop']);

    const infra = await gitWith(helper, host, 'clone', '--quiet', `${host.url}/acme/infra.git`, 'infra');
    assert.notEqual(infra.code, 0);
    assert.match(infra.stderr, /no repository in common/);
    // Whoever makes git call another host with this helper gets nothing sent there.
    const evil = await gitWith(helper, other, 'clone', '--quiet', `${other.url}/acme/shop.git`, 'evil');
    assert.notEqual(evil.code, 0);
    assert.deepEqual(other.sent, []);
    const clear = await run(helper, ['get'], `protocol=http\nhost=github.com\npath=acme/shop\n\n`);
    assert.equal(clear.stdout, '');
    const both = await install('git', 'github', '--host', 'github.com', '--host', host.host, '--per-repository');
    const second = await run(both, ['get'], `protocol=http\nhost=${host.host}\npath=acme/shop.git\n\n`);
    assert.match(second.stdout, /^password=/m, 'each of the hosts that it was installed for');
  });

  /** @proves clients.git */
  it('git hears that a person is asked, waits, and goes on with the yes; erase ends the credential', async () => {
    const helper = await install('git', 'careful', '--host', host.host, '--per-repository');
    const asked = `protocol=http\nhost=${host.host}\npath=acme/shop.git\n\n`;
    const impatient = await run(helper, ['get'], asked, { GATEHOUSE_WAIT_SECONDS: '0' });
    assert.match(impatient.stderr, /Waiting for approval: .*\/approvals\/apr_/);
    assert.equal(impatient.stdout, 'quit=1\n');
    const waiting = gitWith(helper, host, 'ls-remote', `${host.url}/acme/shop.git`);
    await approve(impatient.stderr);
    const { code, stdout, stderr } = await waiting;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /refs\/heads\/main/);
    const token = host.sent.at(-1) ?? '';
    await run(helper, ['erase'], `${asked.trim()}\nusername=x-access-token\npassword=${token}\n\n`);
    await until(() => github.tokens.get(token)?.ended === true, 'it was not ended');
  });

  /** @proves clients.docker */
  it('docker’s helper protocol: get for its registry alone, nothing is stored or listed', async () => {
    const helper = await install('docker', 'github', '--host', 'registry.example.test');
    assert.match(helper, /docker-credential-gatehouse-github$/);
    const got = await run(helper, ['get'], 'registry.example.test\n');
    const { ServerURL, Username, Secret } = got.json<Record<string, string>>();
    assert.deepEqual([ServerURL, Username], ['registry.example.test', 'x-access-token']);
    assert.equal(github.tokens.get(Secret ?? '')?.ended, false);
    const evil = await run(helper, ['get'], 'https://evil.example.test');
    assert.deepEqual([evil.code, evil.stdout], [1, 'credentials not found in native keychain\n']);
    assert.equal((await run(helper, ['store'], '{}')).code, 1);
    assert.equal((await run(helper, ['list'])).stdout, '{}\n');
  });

  /** @proves clients.vault */
  it('node-vault gets a credential, looks it up and ends it, and hears in Vault’s words what it may not', async () => {
    const token = readFileSync(served.tokenFile, 'utf8');
    const client = vault({ endpoint: served.url, token });
    assert.equal((await client.health()).sealed, false);
    const given = await client.read('database/creds/github');
    assert.equal(github.tokens.get(given.data.password)?.ended, false);
    assert.equal(given.renewable, false);
    assert.ok(given.lease_duration > 0 && given.lease_duration <= 900);
    const found = await client.write('sys/leases/lookup', { lease_id: given.lease_id });
    assert.equal(found.data.id, given.lease_id);
    const failure = async (promise: Promise<unknown>) => {
      const error = (await promise.then(
        () => undefined,
        (reason) => reason,
      )) as { response: { statusCode: number; body: { errors: string[] } } };
      return [error.response.statusCode, error.response.body.errors.join()] as const;
    };
    assert.deepEqual(await failure(client.write('sys/leases/renew', { lease_id: given.lease_id })), [
      400,
      'lease is not renewable',
    ]);
    assert.deepEqual(await failure(client.read('secret/metadata/x')), [
      404,
      'no handler for route "secret/metadata/x"',
    ]);
    const [status, words] = await failure(client.read('database/creds/nothing'));
    assert.equal(status, 404, words);
    assert.equal((await failure(vault({ endpoint: served.url, token: 'x' }).read('database/creds/github')))[0], 403);
    const waits = await failure(client.read('database/creds/careful'));
    assert.equal(waits[0], 403);
    assert.match(waits[1], /Waiting for approval/);
    await client.write('sys/leases/revoke', { lease_id: given.lease_id, sync: true });
    await until(() => github.tokens.get(given.data.password)?.ended === true, 'it was not ended');
    const login = await vault({ endpoint: served.url }).write('auth/jwt/login', { role: 'any', jwt: token });
    assert.equal(login.auth.client_token, token);
  });

  /** @proves clients.vault */
  it('bao, OpenBao’s command line, reads one and ends it, and prints what may not be in its own form', {
    skip: !baoProgram && 'bao is missing: see above',
  }, async () => {
    const token = readFileSync(served.tokenFile, 'utf8');
    const bao = (...args: string[]) =>
      run(baoProgram ?? '', args, '', { BAO_ADDR: served.url, BAO_TOKEN: token, BAO_MAX_RETRIES: '0' });
    const [status, read, kv, self, renewed, signedIn, help] = await Promise.all([
      bao('status'),
      bao('read', '-format=json', 'database/creds/github'),
      bao('kv', 'get', '-format=json', 'secret/github'),
      bao('token', 'lookup', '-format=json'),
      bao('token', 'renew'),
      bao('login', '-no-store', token),
      bao('path-help', 'database/creds/github'),
    ]);
    assert.equal(status.code, 0, status.stderr);
    const { lease_id: id, data } = read.json<{ lease_id: string; data: { password: string } }>();
    assert.equal(github.tokens.get(data.password)?.ended, false);
    const kept = kv.json<{ data: { data: { token: string }; metadata: { custom_metadata: { lease: string } } } }>();
    assert.deepEqual([kept.data.data.token, kept.data.metadata.custom_metadata.lease], [data.password, id]);
    const { meta } = self.json<{ data: { meta: { task: string } } }>().data;
    assert.match(renewed.stdout, new RegExp(`token_meta_task +${meta.task}`), renewed.stderr);
    assert.equal(signedIn.code, 0, signedIn.stderr);
    assert.match(help.stdout, /as user and password/, help.stderr);

    const [found, renewal, wrapped, waits, other, unknown] = await Promise.all([
      bao('lease', 'lookup', id),
      bao('lease', 'renew', id),
      bao('read', '-wrap-ttl=60s', 'database/creds/github'),
      bao('read', 'database/creds/careful'),
      bao('kv', 'get', 'kv/github'),
      bao('lease', 'revoke', 'database/creds/github/lse_0'),
    ]);
    assert.match(found.stdout, new RegExp(`id +${id}`), found.stderr);
    const words = [renewal, wrapped, waits, other, unknown].map(({ code, stderr }) => `${code} ${stderr}`);
    assert.match(words[0] ?? '', /^2 .*Code: 400.*\* lease is not renewable/s);
    assert.match(words[1] ?? '', /^2 .*\* responses are not wrapped here/s);
    assert.match(words[2] ?? '', /^2 .*Code: 403.*\* Waiting for approval: .*\/approvals\/apr_/s);
    assert.match(words[3] ?? '', /^2 .*there is no engine at "kv\/"/s);
    assert.match(words[4] ?? '', /^2 .*\* invalid lease/s);

    assert.equal((await bao('lease', 'revoke', id)).code, 0);
    await until(() => github.tokens.get(data.password)?.ended === true, 'it was not ended');
    const next = await bao('read', '-field=password', 'database/creds/github');
    assert.equal((await bao('lease', 'revoke', '-prefix', 'database/creds/github')).code, 0);
    await until(() => github.tokens.get(next.stdout.trim())?.ended === true, 'it was not ended');
  });

  /** @proves clients.exec */
  it('gatehouse exec gives a command what it asks for in variables, takes it out of all it prints, and ends it with the command', async () => {
    const exec = (provider: string, script: string, ...more: string[]) =>
      createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_WAIT_SECONDS: '0' }).run(
        ...['exec', '--agent', 'agent-a', '--template', 'all', '--intent', 'x', '--provider', provider],
        ...['--env', 'GH_TOKEN={token}', '--env', `REMOTE=https://x:{${provider}.token}@github.com`, ...more],
        ...['--', process.execPath, '-e', script],
      );
    const file = join(directory, 'seen');
    const { code, stdout, stderr } = await exec(
      'github',
      `const { GH_TOKEN: token, REMOTE } = process.env;
       require('node:fs').writeFileSync(${JSON.stringify(file)}, token);
       console.log(REMOTE);
       process.stderr.write(token.slice(0, 9));
       setTimeout(() => { process.stderr.write(token.slice(9) + '!'); process.exitCode = 7; }, 100);`,
    );
    assert.equal(code, 7, stderr);
    assert.equal(stdout, 'https://x:[redacted]@github.com\n');
    assert.match(stderr, /\[redacted\]!/);
    const token = readFileSync(file, 'utf8');
    assert.deepEqual(github.tokens.get(token)?.repositories, ['shop']);
    await until(() => github.tokens.get(token)?.ended === true, 'it was not ended');

    const waits = await exec('careful', 'console.log("it ran")');
    assert.deepEqual([waits.code, waits.stdout], [3, '']);
    assert.match(waits.stderr, /Waiting for approval: .*\/approvals\/apr_/);
    const none = await exec('nothing', 'console.log("it ran")');
    assert.deepEqual([none.code, none.stdout], [2, '']);
    const wrong = await exec('github', 'console.log("it ran")', '--env', 'X={password}');
    assert.deepEqual([wrong.code, wrong.stdout], [64, '']);
    assert.match(wrong.stderr, /\{github\.token\}/);
    const killed = await exec('github', 'process.kill(process.pid, "SIGTERM"); setTimeout(() => undefined, 1e4)');
    assert.equal(killed.code, 143);
  });

  /** @proves clients.ends */
  it('lose everything as the process ends: the task is over, the credentials are gone, and socket and token with them', async () => {
    const kept = await run('curl', ['-sS', '--unix-socket', served.socket, 'http://localhost/plain/github']);
    const { credential } = kept.json<{ credential: { token: string } }>();
    assert.equal(github.tokens.get(credential.token)?.ended, false);
    serving.kill('SIGTERM');
    await once(serving, 'exit');
    await until(() => github.living().length === 0, 'some are left');
    assert.deepEqual([existsSync(served.socket), existsSync(served.tokenFile)], [false, false]);
    const secrets = [...github.tokens.keys()];
    assert.ok(secrets.length > 0);
    for (const secret of secrets) assert.ok(!noise.join('').includes(secret), 'a token was printed');
    const helper = await install('aws', 'github');
    const alone = await run(helper, []);
    assert.equal(alone.code, 1);
    assert.match(alone.stderr, /nobody answers/);
  });
});
