import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { startTown } from './support.ts';

const cleanups: (() => unknown)[] = [];
let town: Awaited<ReturnType<typeof startTown>>;
let pair: Awaited<ReturnType<typeof generateKeyPair>>;
const issuer = 'https://issuer.example';

before(async () => {
  town = await startTown(
    { after: (cleanup: () => unknown) => void cleanups.push(cleanup) } as never,
    'http://127.0.0.1:9',
  );
  pair = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' };
  await town.workspace.apply([
    {
      kind: 'TrustRule',
      name: 'jobs',
      issuer: { type: 'oidc', url: issuer, jwks: { keys: [jwk] } },
      claims: { sub: 'job' },
      agent: town.agentName,
    },
    {
      kind: 'Workload',
      name: 'ticket-system',
      owner: 'owner@example.test',
      purpose: 'tickets',
      environment: 'dev',
      starts: [town.agentName],
    },
  ]);
});
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const tokenFile = async (sub: string) => {
  const token = await new SignJWT({ sub })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(issuer)
    .setAudience(town.workspace.url)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(pair.privateKey);
  const path = join(town.directory, `${sub}.jwt`);
  writeFileSync(path, `${token}\n`);
  return path;
};

it('explains whom a token stands for, and why another is refused; ends with 1 then', async () => {
  const good = await town.run('trust', 'test', '--token', await tokenFile('job'));
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, new RegExp(`It stands for ${town.agentName}, by the rule jobs`));
  const other = await town.run('trust', 'test', '--token', await tokenFile('other'), '--json');
  assert.equal(other.code, 1, other.stderr);
  assert.match(String(other.json<{ problem: string }>().problem), /claim sub: it is other; wanted "job"/);
  assert.match((await town.run('trust', 'test', '--token', 'missing')).stderr, /cannot be read/);
});

it('lists rules, and lints them with 1 where there is something to look at', async () => {
  assert.match((await town.run('trust', 'list')).stdout, /jobs +active +https:\/\/issuer\.example +agent-tester-dev/);
  const lint = await town.run('trust', 'lint', '--json');
  assert.equal(lint.code, 1);
  assert.deepEqual(
    lint.json<{ findings: { code: string }[] }>().findings.map(({ code }) => code),
    ['static-keys'],
  );
});

it('lists, kills, activates and retires workloads', async () => {
  assert.match((await town.run('workload', 'list')).stdout, /ticket-system +active +dev/);
  assert.match((await town.run('workload', 'kill', 'ticket-system', '--reason', 'x')).stdout, /killed/);
  assert.match((await town.run('workload', 'activate', 'ticket-system')).stdout, /active/);
  assert.match((await town.run('workload', 'suspend', 'ticket-system')).stdout, /suspended/);
  const retired = await town.run('workload', 'retire', 'ticket-system', '--json');
  assert.equal(retired.json<{ state: string }>().state, 'retired');
  assert.equal((await town.run('workload', 'kill', 'nobody')).code, 1);
});
