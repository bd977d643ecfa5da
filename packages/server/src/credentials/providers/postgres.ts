import type { PostgresGrant, PostgresSource, ProviderAbilities } from '@gatehouse/protocol';
import pg from 'pg';
import { GatehouseError, Secret } from '../../platform/index.ts';
import type { Left, Made, Order, Provider } from '../leases/types.ts';
import { hostOf } from './host-of.ts';
import { newPassword } from './postgres-password.ts';

const ABILITIES: ProviderAbilities = { canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 };
const POLL_MS = 20;
/** Grants on one table are in one row of the catalogue: two transactions at once, also of two replicas, would fail over it. */
const ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtext('gatehouse credentials'))";

/**
 * A role for each lease, with the tables that it needs and nothing else. Ended in an order in which nothing slips through: it can't sign in any
 * more, its sessions are ended, what it owns and was granted goes, it is dropped, and that is looked for.
 */
export function openPostgresProvider(settings: PostgresSource, password: () => Promise<Secret>): Provider {
  const url = new URL(settings.url);
  const pool = new pg.Pool({
    host: hostOf(url),
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    password: async () => (await password()).reveal(),
    ssl: settings.tls === 'off' ? false : { rejectUnauthorized: true, ca: settings.tls.ca },
    application_name: 'gatehouse credentials',
    max: 8,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
    query_timeout: 12_000,
  });
  pool.on('error', () => undefined);

  async function within<T>(signal: AbortSignal, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const client = await pool.connect();
    // Cut off rather than left to end some time: what was begun then is undone by the server.
    const cut = () => client.release(true);
    signal.addEventListener('abort', cut, { once: true });
    try {
      return await work(client);
    } finally {
      signal.removeEventListener('abort', cut);
      if (!signal.aborted) client.release();
    }
  }

  return {
    abilities: ABILITIES,

    create: ({ name, lease, scope, expiresAt, agent, task }: Order, signal): Promise<Made> =>
      within(signal, async (client) => {
        const { password: secret, verifier } = await newPassword();
        const role = pg.escapeIdentifier(name);
        const { grants } = scope as unknown as { grants: PostgresGrant[] };
        const writes = grants.some(({ privileges }) => privileges.some((privilege) => privilege !== 'SELECT'));
        await client.query('begin');
        try {
          await client.query(
            `create role ${role} login noinherit nosuperuser nocreatedb nocreaterole noreplication connection limit ${settings.connectionLimit}
               password ${pg.escapeLiteral(verifier)} valid until ${pg.escapeLiteral(new Date(expiresAt).toISOString())}`,
          );
          await client.query(
            `comment on role ${role} is ${pg.escapeLiteral(`Gatehouse lease ${lease}: ${agent}, ${task}`)}`,
          );
          await client.query(`alter role ${role} set statement_timeout = ${settings.statementTimeoutSeconds * 1_000}`);
          await client.query(
            `alter role ${role} set idle_in_transaction_session_timeout = ${settings.statementTimeoutSeconds * 1_000}`,
          );
          if (!writes) await client.query(`alter role ${role} set default_transaction_read_only = on`);
          await client.query(ONE_AT_A_TIME);
          await client.query(
            `grant connect on database ${pg.escapeIdentifier(pool.options.database ?? '')} to ${role}`,
          );
          for (const { schema, tables, privileges } of grants) {
            const inSchema = pg.escapeIdentifier(schema);
            const on =
              tables === '*'
                ? `all tables in schema ${inSchema}`
                : `table ${tables.map((table) => `${inSchema}.${pg.escapeIdentifier(table)}`).join(', ')}`;
            await client.query(`grant usage on schema ${inSchema} to ${role}`);
            await client.query(`grant ${privileges.join(', ')} on ${on} to ${role}`);
          }
          await client.query('commit');
        } catch (error) {
          await client.query('rollback').catch(() => undefined);
          throw error;
        }
        return {
          credential: { username: new Secret(name), password: secret },
          revocation: { database: pool.options.database ?? '' },
        };
      }),

    renew: ({ name }: Left, expiresAt, signal) =>
      within(signal, async (client) => {
        const until = pg.escapeLiteral(new Date(expiresAt).toISOString());
        await client.query(`alter role ${pg.escapeIdentifier(name)} valid until ${until}`);
        return {};
      }),

    revoke: ({ name }: Left, signal) =>
      within(signal, async (client) => {
        const role = pg.escapeIdentifier(name);
        const isThere = async () =>
          (await client.query('select 1 from pg_roles where rolname = $1', [name])).rowCount === 1;
        if (!(await isThere())) return;
        await client.query(`alter role ${role} nologin connection limit 0`);
        await endSessions(client, name, signal);
        await client.query('begin');
        try {
          await client.query(ONE_AT_A_TIME);
          await client.query(`grant ${role} to current_user`);
          await client.query(`reassign owned by ${role} to current_user`);
          await client.query(`drop owned by ${role}`);
          await client.query(`drop role ${role}`);
          await client.query('commit');
        } catch (error) {
          await client.query('rollback').catch(() => undefined);
          throw error;
        }
        if (await isThere()) throw new Error(`role ${name} is still there`);
        await endSessions(client, name, signal);
      }),

    check: (signal) =>
      within(signal, async (client) => {
        const { rows } = await client.query<{ may: boolean }>(
          'select rolsuper or rolcreaterole as may from pg_roles where rolname = current_user',
        );
        if (!rows[0]?.may)
          throw new GatehouseError(
            'upstream',
            'provider.rights',
            `The user ${url.username} may not make roles there: give it CREATEROLE.`,
          );
      }),

    close: () => pool.end(),
  };
}

/** Ends all sessions of a role and waits until the server has none of them. */
async function endSessions(client: pg.PoolClient, name: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const { rowCount } = await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where usename = $1',
      [name],
    );
    if (rowCount === 0) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
