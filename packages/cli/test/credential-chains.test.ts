import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import vault from 'node-vault';
import pg from 'pg';
import { type FakeSts, startFakeSts } from '../../../test/fakes/aws-sts.ts';
import { startFakeKubernetes } from '../../../test/fakes/kubernetes.ts';
import { canary } from '../../../test/support/canary.ts';
import { hasPrograms } from '../../../test/support/debian.ts';
import { type DirectScene, directScene } from '../../../test/support/direct-scene.ts';
import { awsPython, startMoto } from '../../../test/support/moto.ts';
import { startPostgres } from '../../../test/support/postgres.ts';
import { createAuthority } from '../../server/src/identity/client-certificate/testing/authority.ts';
import { createCli, ended, scratch } from './support.ts';

/** From the system that issues to the client that calls it, through a running server: what the client is handed has to work there. */
const hasAll = hasPrograms(['curl', 'psql', 'kubectl'], ['curl', 'postgresql', 'kubernetes-client']);
const postgres = await startPostgres();
const moto = await startMoto();
const python = await awsPython();
const region = 'eu-central-1';

describe('credentials from their system to its clients', { skip: !(hasAll && postgres && moto) && 'see above' }, () => {
  const cleanUp: (() => unknown)[] = [];
  const trust = { issuer: '', audience: 'sts.amazonaws.com', subject: 'spiffe://example.test/env/production/*' };
  const secret = canary();
  let sts: FakeSts;
  let cluster: Awaited<ReturnType<typeof startFakeKubernetes>>;
  let ca: string;
  let scene: DirectScene;
  let directory: string;
  let cli: ReturnType<typeof createCli>;
  let serving: ChildProcess;
  let served: { url: string; tokenFile: string };

  before(async () => {
    sts = await startFakeSts(moto?.url ?? '', () => trust);
    const authority = await createAuthority('cluster.test');
    ca = authority.root;
    cluster = await startFakeKubernetes({
      ...(await authority.issue({ dns: ['localhost'] })),
      ...{ token: secret, accounts: ['shop/reader', 'web/reader'] },
    });
    const cloud = {
      ...{ type: 'aws', role: 'arn:aws:iam::123456789012:role/agents', region, url: sts.url },
      allow: [{ actions: ['s3:Get*', 's3:PutObject'], resources: ['arn:aws:s3:::reports/*'] }],
      allowPrivateAddress: true,
    };
    const put = { allow: [{ actions: ['s3:PutObject'], resources: ['arn:aws:s3:::reports/2026/*'] }] };
    const providers: [name: string, from: object, scope: Record<string, unknown>, tier?: 3][] = [
      ['cloud', cloud, put],
      ['grave-cloud', cloud, put, 3],
      ['barred-cloud', cloud, put],
      [
        'cluster',
        {
          ...{ type: 'kubernetes', url: cluster.url, secret: 'cluster-token', ca, allowPrivateAddress: true },
          serviceAccounts: ['shop/reader', 'web/reader'],
        },
        { serviceAccounts: ['shop/reader'] },
      ],
    ];
    const orders = {
      provider: 'orders',
      direct: true,
      scope: { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] },
    };
    scene = await directScene(postgres as NonNullable<typeof postgres>);
    const { workspace } = scene;
    await workspace.operator('PUT /secrets/:name', {
      params: { name: 'cluster-token' },
      body: { value: secret, origins: [cluster.url] },
    });
    await workspace.apply([
      ...providers.map(
        ([name, from, , tier = 2]): ManifestInput =>
          ({
            kind: 'CredentialProvider',
            name,
            environments: ['production'],
            direct: { tier },
            from,
          }) as ManifestInput,
      ),
      {
        kind: 'Template',
        name: 'all',
        credentials: [orders, ...providers.map(([provider, , scope]) => ({ provider, direct: true, scope }))],
      },
      {
        ...{ kind: 'Policy', name: 'barred' },
        cedar: '@id("barred") forbid (principal, action == Gatehouse::Action::"barred-cloud#credential", resource);',
      },
    ]);
    trust.issuer = `${workspace.url}/identity`;
    directory = scratch({ after: (run) => cleanUp.push(run as () => unknown) });
    writeFileSync(join(directory, 'ca.pem'), ca);
    const operator = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
    assert.equal((await operator.run('agent', 'enroll', 'agent-a')).code, 0);
    const bucket = `import boto3
boto3.client('s3').create_bucket(Bucket='reports', CreateBucketConfiguration={'LocationConstraint': '${region}'})`;
    const made = await boto(bucket, { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' });
    assert.equal(made.code, 0, made.stderr);
    cli = createCli(directory, { GATEHOUSE_URL: workspace.url });
    serving = cli.start(['credentials', 'serve', '--agent', 'agent-a', '--template', 'all', '--http', '--json']);
    const [line] = await once(createInterface(serving.stdout as NodeJS.ReadableStream), 'line');
    served = JSON.parse(line as string);
  });
  after(async () => {
    serving?.kill('SIGTERM');
    await scene?.[Symbol.asyncDispose]();
    sts?.close();
    cluster?.close();
    await Promise.all([moto?.close(), postgres?.close()]);
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
  const run = (command: string, args: string[], env: Record<string, string> = {}) =>
    ended(spawn(command, args, { cwd: directory, env: { PATH: process.env.PATH, HOME: directory, ...env } }));
  const atMoto = (env: Record<string, string>) => ({
    ...{ AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: join(directory, 'aws'), AWS_DEFAULT_REGION: region },
    ...{ AWS_ENDPOINT_URL: moto?.url ?? '', ...env },
  });
  const boto = (script: string, env: Record<string, string>) => run(python?.python ?? '', ['-c', script], atMoto(env));
  const container = (provider: string) => ({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${served.url}/aws/${provider}`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: served.tokenFile,
  });
  /** Whose session AWS sees, by AWS's own command line. */
  const identity = ['sts', 'get-caller-identity', '--query', 'Arn', '--output', 'text'];
  // Without a terminal, as agents run it.
  const aws = (env: Record<string, string>, args = identity) =>
    run('setsid', ['-w', python?.python ?? '', '-m', 'awscli', ...args], atMoto(env));
  const ofProfile = (provider: string) => ({ AWS_PROFILE: `gatehouse-${provider}` });
  /** `~/.aws/config` as `credentials install` says that it has to be. */
  async function profiles(...providers: string[]): Promise<string[]> {
    const helpers: string[] = [];
    for (const provider of providers) {
      const at = ['--provider', provider, '--directory', join(directory, 'bin')];
      const { stdout } = await cli.run('credentials', 'install', 'aws', ...at);
      const [helper = '', , , ...lines] = stdout.split('\n');
      writeFileSync(join(directory, 'aws'), `${lines.join('\n')}\n`, { flag: 'a' });
      helpers.push(helper);
    }
    return helpers;
  }
  function toldKubectl(command: string): void {
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', interactiveMode: 'Never', provideClusterInfo: true };
    writeFileSync(
      join(directory, 'kubeconfig'),
      JSON.stringify({
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'x' },
        clusters: [{ name: 'c', cluster: { server: cluster.url, 'certificate-authority': join(directory, 'ca.pem') } }],
        users: [{ name: 'u', user: { exec: { ...exec, command } } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      }),
    );
  }
  const pods = (namespace: string) =>
    run('kubectl', ['--kubeconfig', 'kubeconfig', 'get', '--raw', `/api/v1/namespaces/${namespace}/pods`]);
  async function until(what: () => Promise<boolean>, words: string): Promise<void> {
    for (const giveUpAt = Date.now() + 60_000; !(await what()); await delay(20))
      assert.ok(Date.now() < giveUpAt, words);
  }

  /** @proves clients.aws */
  it('botocore calls AWS with a narrowed session of the task, by the container endpoint and by credential_process', async () => {
    const script = `import boto3
s3 = boto3.client('s3')
s3.put_object(Bucket='reports', Key='2026/report.csv', Body=b'x')
print(boto3.client('sts').get_caller_identity()['Arn'])`;
    await profiles('cloud');
    const ways = { container: container('cloud'), process: ofProfile('cloud') };
    for (const [way, env] of Object.entries(ways)) {
      const { stdout, stderr } = await boto(script, env);
      const { form } = sts.taken.at(-1) as FakeSts['taken'][number];
      assert.match(stdout, new RegExp(`:assumed-role/agents/${form.RoleSessionName}\\n$`), `${way}: ${stderr}`);
      assert.match(form.Policy ?? '', /"Action":\["s3:PutObject"\],"Resource":\["arn:aws:s3:::reports\/2026\/\*"\]/);
    }
    assert.equal(sts.taken.length, 1, 'one session for both');
  });

  /** @proves clients.aws-cli */
  it('aws, AWS’s command line, uses it by both ways, and says in its own errors what is refused and what waits for a person', async () => {
    const [, grave = ''] = await profiles('barred-cloud', 'grave-cloud');
    const [who, list, barred, barredContainer, waits, waitsContainer] = await Promise.all([
      aws(container('cloud')),
      aws(ofProfile('cloud'), ['s3', 'ls', 's3://reports/2026/']),
      aws(ofProfile('barred-cloud')),
      aws(container('barred-cloud')),
      aws(ofProfile('grave-cloud')),
      aws(container('grave-cloud')),
    ]);
    assert.match(who.stdout, new RegExp(`:assumed-role/agents/${sts.taken[0]?.form.RoleSessionName}\n$`), who.stderr);
    assert.match(list.stdout, / 1 report\.csv\n$/, list.stderr);
    for (const { code, stdout, stderr } of [barred, barredContainer]) {
      assert.deepEqual([code, stdout], [255, '']);
      assert.match(stderr, /Refused by Gatehouse: .*barred/);
    }
    assert.match(barredContainer.stderr, /"Code":"policy\.forbidden"/);
    for (const { code, stderr } of [waits, waitsContainer]) {
      assert.equal(code, 255);
      assert.equal(stderr.split('Waiting for approval: ').length, 2, `once: ${stderr}`);
      assert.match(stderr, /exactly this at http.*\/approvals\/apr_\w+\. Then ask the same again/);
    }
    assert.equal(sts.taken.length, 1, 'nobody but the first got a session');

    // A person at a terminal is told there, while aws itself keeps what the helper says to itself; it goes on with the yes.
    const told = join(directory, 'told');
    const terminal = spawn('script', ['-qefc', `'${grave}' 2>/dev/null >'${told}'`, '/dev/null'], {
      ...{ cwd: directory, env: { PATH: process.env.PATH, HOME: directory }, stdio: ['pipe', 'pipe', 'inherit'] },
    });
    let words = '';
    terminal.stdout?.setEncoding('utf8').on('data', (text: string) => (words += text));
    const asked = () => /Waiting for approval: .*(apr_\w+)\. /s.exec(words);
    await until(async () => asked() !== null, 'nobody was told');
    const [, id = ''] = asked() ?? [];
    await (await scene.workspace.person('approver@example.test')).approve(id);
    await once(terminal, 'close');
    assert.equal(JSON.parse(readFileSync(told, 'utf8')).Version, 1);
    const after = await aws(container('grave-cloud'));
    assert.match(after.stdout, /:assumed-role\/agents\/gh_/, after.stderr);
    assert.equal(sts.taken.length, 2);
  });

  /** @proves clients.stopped */
  it('aws gets another session where a person has ended the one that it had, or the task', async () => {
    const { operator } = scene.workspace;
    const { items } = await operator('GET /leases', { query: { state: 'active' } });
    const { id = '', task = '' } = items.find(({ provider }) => provider === 'cloud') ?? {};
    await operator('POST /leases/:id/revoke', { params: { id }, body: {} });
    const { stdout, stderr } = await aws(container('cloud'));
    assert.equal(sts.taken.length, 3, stderr);
    assert.match(stdout, new RegExp(`/${sts.taken[2]?.form.RoleSessionName}\n$`));
    await operator('POST /tasks/:id/end', { params: { id: task }, body: {} });
    const next = await aws(ofProfile('cloud'));
    assert.match(next.stdout, new RegExp(`/${sts.taken[3]?.form.RoleSessionName}\n$`), next.stderr);
    assert.notEqual(sts.taken[3]?.claims.task, task);
  });

  /** @proves clients.vault */
  it('a Vault client signs in to PostgreSQL with what it read, may do no more than the template says, and revokes it', async () => {
    const client = vault({ endpoint: served.url, token: readFileSync(served.tokenFile, 'utf8') });
    const { data, lease_id } = await client.read('database/creds/orders');
    const { host, port, name } = placeOf(scene.database);
    const session = new pg.Client({ host, port, database: name, user: data.username, password: data.password });
    const isCut = new Promise((resolve) => session.on('error', resolve));
    await session.connect();
    assert.deepEqual((await session.query('select total from orders')).rows, [{ total: 40 }]);
    await assert.rejects(session.query('select * from refunds'), /permission denied/);
    await client.write('sys/leases/revoke', { lease_id, sync: true });
    await isCut;
    await until(async () => !(await scene.roles()).includes(data.username), 'the role is still there');
  });

  /** @proves clients.exec */
  it('psql asks PostgreSQL with what `gatehouse exec` gives it, and its role is gone with it', async () => {
    const { host, port, name } = placeOf(scene.database);
    const before = await scene.roles();
    const { code, stdout, stderr } = await cli.run(
      ...['exec', '--agent', 'agent-a', '--template', 'all', '--intent', 'x', '--provider', 'orders'],
      ...['--env', 'PGUSER={username}', '--env', 'PGPASSWORD={password}', '--', 'psql', '-X', '-A', '-t', '-h', host],
      ...['-p', String(port), '-d', name, '-c', 'select total from orders', '-c', "select current_user ~ '^gh_'"],
    );
    assert.deepEqual([code, stdout], [0, '40\nt\n'], stderr);
    await until(async () => (await scene.roles()).length === before.length, 'the role is still there');
  });

  /** @proves clients.kubectl */
  it('kubectl reads with the token of a service account that the template names, and of no other', async () => {
    toldKubectl(await install('kubectl', 'cluster', '--cluster', cluster.url));
    const { stdout, stderr } = await pods('shop');
    assert.match(stdout, /seen-by-shop\/reader/, stderr);
    assert.match((await pods('web')).stderr, /forbidden/i);
    assert.deepEqual(
      [...cluster.tokens.values()].map(({ account }) => account),
      ['shop/reader'],
    );
  });

  /** @proves clients.stopped */
  it('after a kill nothing more is handed to any of them, though the process runs on and had kept it', async () => {
    const { operator } = scene.workspace;
    await operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: {} });
    await until(async () => cluster.secrets.size === 0, 'its Secret is still there');
    const count = sts.taken.length;
    const refused = await Promise.all([pods('shop'), aws(ofProfile('cloud')), aws(container('cloud'))]);
    for (const { code, stderr } of refused) {
      assert.notEqual(code, 0);
      assert.match(stderr, /agent-a.*(suspended|killed|stopped)/is);
    }
    assert.equal(sts.taken.length, count);
  });
});

const placeOf = ({ url, name }: DirectScene['database']) => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port), name };
};
