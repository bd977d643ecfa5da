import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import pg from 'pg';
import { freePort } from '../test/support/free-port.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { startWorkspace } from '../test/support/workspace.ts';
import { type Measure, median, quantile, table } from './measure.ts';

const PASSWORD = 'bench-broker';

/** A PostgreSQL role, issued and ended: by Gatehouse, and by OpenBao's database engine beside it where its binary is named. */
export const measure: Measure = {
  heading: 'P5: credentials',
  options: { rounds: '100', bao: '' },
  async run({ rounds = '100', bao = '' }) {
    const postgres = await startPostgres();
    if (!postgres) throw new Error('There is no PostgreSQL on this machine.');
    const database = await postgres.createDatabase();
    const at = new URL(database.url);
    const owner = new pg.Client(database.url);
    await owner.connect();
    const broker = `broker_${database.name}`;
    await owner.query(`create table orders (id int);
      create role ${broker} login createrole password '${PASSWORD}';
      grant connect on database ${database.name} to ${broker} with grant option;
      grant usage on schema public to ${broker} with grant option;
      grant select on orders to ${broker} with grant option; grant pg_signal_backend to ${broker}`);
    const workspace = await startWorkspace();
    const vault = bao === '' ? undefined : await startBao(bao, { at, database: database.name, broker });
    try {
      await workspace.operator('PUT /secrets/:name', {
        params: { name: 'broker' },
        body: { value: PASSWORD, origins: [`postgres://${at.host}`] },
      });
      await workspace.apply([{ kind: 'Environment', name: 'bench' }, providerOf(at, broker, database.name)]);
      const times: Record<string, { issue: number[]; end: number[] }> = { Gatehouse: { issue: [], end: [] } };
      if (vault) times.OpenBao = { issue: [], end: [] };
      for (let round = -5; round < Number(rounds); round++) {
        const tested = await workspace.operator('POST /providers/:name/test', { params: { name: 'bench' } });
        if (!tested.ok) throw new Error(tested.problem ?? 'it failed');
        const others = await vault?.once();
        if (round < 0) continue;
        times.Gatehouse?.issue.push(tested.issueMs ?? 0);
        times.Gatehouse?.end.push(tested.revokeMs ?? 0);
        if (others) {
          times.OpenBao?.issue.push(others.issue);
          times.OpenBao?.end.push(others.end);
        }
      }
      const rows = Object.entries(times).flatMap(([who, { issue, end }]) =>
        [['issue', issue] as const, ['end', end] as const].map(([what, all]) => {
          const sorted = all.toSorted((one, other) => one - other);
          return { who, what, p50: median(all), p95: quantile(sorted, 0.95) };
        }),
      );
      return {
        rows,
        how: `One PostgreSQL role with one grant, issued and then ended, ${rounds} times after five that do not count, one after the other and in turn, on PostgreSQL ${postgres.version} with fsync. Gatehouse: \`POST /providers/:name/test\`, which says how long each half took, on SQLite: intended, recorded and fsynced before the database is asked, and ended as every lease is (no sign-in, sessions ended, dropped, looked for). OpenBao (\`bao server -dev\`, so that its storage is in memory and nothing is audited): its database engine over HTTP with the same statements, \`sys/leases/revoke\` with \`sync\`.`,
        tables: table(
          ['', 'p50 ms', 'p95 ms'],
          rows.map(({ who, what, p50, p95 }) => [`${who}: ${what}`, p50.toFixed(1), p95.toFixed(1)]),
        ),
      };
    } finally {
      vault?.stop();
      await workspace.close();
      await owner.end();
      await database.drop();
      await postgres.close();
    }
  },
};

const providerOf = (at: URL, broker: string, database: string): ManifestInput => ({
  kind: 'CredentialProvider',
  name: 'bench',
  environments: ['bench'],
  from: {
    ...{ type: 'postgres', url: `postgres://${broker}@${at.host}/${database}`, secret: 'broker', tls: 'off' },
    grants: [{ tables: ['orders'], privileges: ['SELECT'] }],
  },
});

async function startBao(binary: string, { at, database, broker }: { at: URL; database: string; broker: string }) {
  const port = await freePort();
  const server: ChildProcess = spawn(
    binary,
    ['server', '-dev', '-dev-root-token-id=bench', `-dev-listen-address=127.0.0.1:${port}`],
    { stdio: 'ignore' },
  );
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': 'bench' },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? {} : ((await response.json()) as { lease_id?: string });
  };
  for (let tries = 0; tries < 200; tries++) {
    if (await call('GET', 'sys/health').catch(() => undefined)) break;
    await delay(100);
  }
  await call('POST', 'sys/mounts/database', { type: 'database' });
  await call('POST', 'database/config/bench', {
    plugin_name: 'postgresql-database-plugin',
    connection_url: `postgresql://{{username}}:{{password}}@${at.host}/${database}?sslmode=disable`,
    ...{ username: broker, password: PASSWORD, password_authentication: 'scram-sha-256', allowed_roles: 'bench' },
  });
  const role = '"{{name}}"';
  await call('POST', 'database/roles/bench', {
    ...{ db_name: 'bench', default_ttl: '15m' },
    creation_statements: [
      `create role ${role} login noinherit connection limit 5 password '{{password}}' valid until '{{expiration}}'`,
      `alter role ${role} set statement_timeout = 30000`,
      `grant connect on database ${database} to ${role}`,
      `grant usage on schema public to ${role}`,
      `grant select on orders to ${role}`,
    ],
    revocation_statements: [
      `alter role ${role} nologin`,
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = '{{name}}'`,
      `grant ${role} to current_user`,
      `reassign owned by ${role} to current_user`,
      `drop owned by ${role}`,
      `drop role ${role}`,
    ],
  });
  return {
    async once() {
      const begun = performance.now();
      const { lease_id } = await call('GET', 'database/creds/bench');
      const issued = performance.now();
      await call('PUT', 'sys/leases/revoke', { lease_id, sync: true });
      return { issue: issued - begun, end: performance.now() - issued };
    },
    stop: () => server.kill(),
  };
}
