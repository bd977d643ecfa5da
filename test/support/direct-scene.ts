import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import pg from 'pg';
import { manifests } from './fixtures.ts';
import type { TestDatabase, TestPostgres } from './postgres.ts';
import { startWorkspace, type Workspace } from './workspace.ts';

export interface DirectScene extends AsyncDisposable {
  workspace: Workspace;
  database: TestDatabase;
  owner: pg.Client;
  /** Names of the roles that are there. */
  roles(): Promise<string[]>;
}

/** A database of orders, whose provider may hand out credentials: tasks of `reads` get one, those of `careful` wait for a person, those of `all` get none. */
export async function directScene(
  postgres: TestPostgres,
  more: ManifestInput[] = [],
  own: Parameters<typeof startWorkspace>[0] = {},
): Promise<DirectScene> {
  const database = await postgres.createDatabase();
  const at = new URL(database.url);
  const owner = new pg.Client(database.url);
  await owner.connect();
  const broker = `broker_${database.name}`;
  await owner.query(`create table orders (id int, total int); create table refunds (id int); create table salaries (person text);
    insert into orders values (1042, 40);
    create role ${broker} login createrole password 'broker-password';
    grant connect on database ${database.name} to ${broker} with grant option;
    grant usage on schema public to ${broker} with grant option;
    grant select on orders, refunds to ${broker} with grant option;
    grant pg_signal_backend to ${broker}`);
  const workspace = await startWorkspace(own);
  await workspace.operator('PUT /secrets/:name', {
    params: { name: 'orders-broker' },
    body: { value: 'broker-password', origins: [`postgres://${at.host}`] },
  });
  const provider = (name: string, direct?: object): ManifestInput => ({
    kind: 'CredentialProvider',
    name,
    environments: ['production'],
    ...(direct && { direct: direct as { tier: 2 } }),
    from: {
      type: 'postgres',
      url: `postgres://${broker}@${at.host}/${database.name}`,
      secret: 'orders-broker',
      grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT'] }],
      tls: 'off',
    },
  });
  const scope = { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] };
  const direct = (name: string, providers: string[]): ManifestInput => ({
    kind: 'Template',
    name,
    allow: [{ tools: ['*'] }],
    credentials: providers.map((each) => ({ provider: each, scope, direct: true })),
  });
  const templates = ['all', 'refund-order', 'reads', 'careful', 'gate-only'];
  await workspace.apply([
    ...manifests().map((each: ManifestInput): ManifestInput => {
      if (each.kind === 'Blueprint') return { ...each, templates };
      if (each.kind === 'Agent' && each.name === 'agent-a') return { ...each, delegatesTo: { agents: ['agent-b'] } };
      if (each.kind !== 'ToolServer') return each;
      const order = {
        tier: 1 as const,
        effects: ['read' as const],
        returns: { trust: 'trusted' as const, sensitive: ['personal'] },
      };
      return { ...each, tools: { ...each.tools, get_order: order } };
    }),
    provider('orders', { tier: 2, maxSeconds: 600, perTask: 3, perHour: 20 }),
    provider('grave', { tier: 3 }),
    provider('inside'),
    direct('reads', ['orders', 'inside']),
    direct('careful', ['grave']),
    { kind: 'Template', name: 'gate-only', allow: [{ tools: ['*'] }], credentials: [{ provider: 'orders', scope }] },
    ...more,
  ]);
  return {
    workspace,
    database,
    owner,
    async roles() {
      const { rows } = await owner.query("select rolname from pg_roles where rolname like 'gh\\_%' order by 1");
      return rows.map(({ rolname }) => rolname as string);
    },
    async [Symbol.asyncDispose]() {
      await workspace.close();
      await owner.end();
      await database.drop();
    },
  };
}

export interface Asked {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { credential?: Record<string, string>; approval?: { id: string; url: string } };
}

export async function askFor(
  task: Pick<AgentTask, 'fetch'>,
  workspace: Workspace,
  body: object,
  headers: Record<string, string> = {},
): Promise<Asked> {
  const response = await task.fetch(`${workspace.url}/task/credentials`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Asked['body'] };
}
