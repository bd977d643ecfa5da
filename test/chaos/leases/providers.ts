import type { ManifestInput } from '@gatehouse/protocol';
import pg from 'pg';
import { startFakeGitHub } from '../../fakes/github.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { type ProviderProxy, startProxy } from './proxy.ts';

/** What a tool server was given, by header. */
export type Values = Record<string, string>;

/** A provider as the audit of leases sees it: from its own side. */
export interface ChaosProvider {
  kind: string;
  proxy: ProviderProxy;
  from: Extract<ManifestInput, { kind: 'CredentialProvider' }>['from'];
  secret: { value: string; origins: string[] };
  /** Headers with which a tool server gets it. */
  headers: Values;
  /** Whether somebody who was given these gets in. */
  works(values: Values): Promise<boolean>;
  /** Gets in, and stays there for as long as they are let. */
  stay(values: Values): Promise<void>;
  /** What stands there and is spoken for by no open lease, in words. `open`: external names of those leases. */
  orphans(open: ReadonlySet<string>): Promise<string[]>;
  /** What stands there at all: accounts and what was opened with them. */
  standing(): Promise<string[]>;
  /** Resolves when it has done with all that a server that has died had sent to it. */
  quiet(): Promise<void>;
  /** Its clock goes ahead with the server's. */
  setClock(offsetMs: number): void;
  close(): Promise<void>;
}

export async function postgresProvider(postgres: TestPostgres): Promise<ChaosProvider> {
  const database = await postgres.createDatabase();
  const at = new URL(database.url);
  const owner = new pg.Client(database.url);
  await owner.connect();
  const broker = `broker_${database.name}`;
  await owner.query(`create table orders (id int);
    create role ${broker} login createrole password 'broker-password';
    grant connect on database ${database.name} to ${broker} with grant option;
    grant usage on schema public to ${broker} with grant option;
    grant select on orders to ${broker} with grant option;
    grant pg_signal_backend to ${broker}`);
  const proxy = await startProxy(at.hostname, Number(at.port));
  const origin = `postgres://127.0.0.1:${proxy.port}`;
  const guests = new Map<string, pg.Client>();
  const rolesAndSessions = async () => {
    const { rows } = await owner.query<{ what: string; name: string }>(
      `select 'role' as what, rolname as name from pg_roles where rolname like 'gh\\_%'
       union all select 'session of', usename from pg_stat_activity where usename like 'gh\\_%'`,
    );
    return rows;
  };

  async function enter({ 'x-user': user, 'x-password': password }: Values): Promise<pg.Client | undefined> {
    const client = new pg.Client({
      ...{ host: at.hostname, port: Number(at.port), database: database.name, user, password },
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select * from orders');
      return client;
    } catch {
      await client.end().catch(() => undefined);
      return undefined;
    }
  }

  return {
    kind: 'postgres',
    proxy,
    from: {
      type: 'postgres',
      url: `postgres://${broker}@127.0.0.1:${proxy.port}/${database.name}`,
      secret: 'chaos-broker',
      grants: [{ tables: ['orders'], privileges: ['SELECT'] }],
      tls: 'off',
    },
    secret: { value: 'broker-password', origins: [origin] },
    headers: { 'X-User': '{username}', 'X-Password': '{password}' },
    async works(values) {
      const client = await enter(values);
      await client?.end();
      return client !== undefined;
    },
    async stay(values) {
      const user = values['x-user'] ?? '';
      if (guests.has(user)) return;
      const client = await enter(values);
      if (client) guests.set(user, client);
    },
    async orphans(open) {
      const there = await rolesAndSessions();
      return there.filter(({ name }) => !open.has(name)).map(({ what, name }) => `${what} ${name}`);
    },
    standing: async () => (await rolesAndSessions()).map(({ what, name }) => `${what} ${name}`),
    async quiet() {
      const busy = async () =>
        (await owner.query('select 1 from pg_stat_activity where usename = $1', [broker])).rowCount !== 0;
      while (await busy()) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    setClock: () => undefined,
    async close() {
      await proxy.close();
      await Promise.all([...guests.values()].map((guest) => guest.end()));
      await owner.end();
      await database.drop();
    },
  };
}

export async function githubProvider(): Promise<ChaosProvider> {
  const github = await startFakeGitHub();
  const { port } = new URL(github.origin);
  const proxy = await startProxy('127.0.0.1', Number(port));
  const url = `http://127.0.0.1:${proxy.port}`;
  return {
    kind: 'github-app',
    proxy,
    from: {
      ...{ type: 'github-app', url, app: github.app.clientId, installation: github.app.installation },
      ...{ owner: github.owner, secret: 'chaos-broker', repositories: ['shop'], permissions: { contents: 'read' } },
      allowPrivateAddress: true,
    },
    secret: { value: github.app.privateKey, origins: [url] },
    headers: { 'X-Token': '{token}' },
    async works({ 'x-token': token }) {
      const headers = { authorization: `Bearer ${token}`, 'user-agent': 'chaos' };
      return (await fetch(`${github.origin}/installation/repositories`, { headers })).status === 200;
    },
    stay: async () => undefined,
    // Its tokens have no names: there are never more of them than open leases.
    async orphans(open) {
      const more = github.living().length - open.size;
      return more > 0 ? [`${more} tokens more than open leases`] : [];
    },
    standing: async () => github.living().map(() => 'a token'),
    quiet: () => new Promise((resolve) => setTimeout(resolve, 50)),
    setClock(offsetMs) {
      github.clock.now = () => Date.now() + offsetMs;
    },
    async close() {
      await proxy.close();
      github.close();
    },
  };
}
