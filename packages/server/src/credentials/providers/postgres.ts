import type { PostgresGrant, PostgresSource, ProviderAbilities } from '@gatehouse/protocol';
import pg from 'pg';
import { GatehouseError, Secret } from '../../platform/index.ts';
import type { Left, Made, Order, Provider } from '../leases/types.ts';
import { hostOf } from './host-of.ts';
import { type NewPassword, signIn } from './new-password.ts';
import { dropWhatIsOf, otherDatabasesOf, sequencesOf } from './postgres-grants.ts';
import { randomPassword, verifierOf } from './postgres-password.ts';
import { withoutTls } from './without-tls.ts';

const ABILITIES: ProviderAbilities = { canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 };
const POLL_MS = 20;
/** Of what fails over another transaction on the same row of the catalogue: an internal error, a deadlock, a serialization failure, a second row. */
const COLLISIONS = new Set(['XX000', '40P01', '40001', '23505']);
const MOST_TRIES = 50;

/**
 * A role for each lease, with the tables that it needs and nothing else. Ended in an order in which nothing slips through: it can't sign in any
 * more, its sessions are ended, what it owns and was granted goes, it is dropped, and that is looked for.
 */
export function openPostgresProvider(
  settings: PostgresSource,
  password: () => Promise<Secret>,
  newPassword?: NewPassword,
): Provider {
  const url = new URL(settings.url);
  const database = decodeURIComponent(url.pathname.slice(1));
  const reach = {
    host: hostOf(url),
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    ssl: settings.tls === 'off' ? false : { rejectUnauthorized: true, ca: settings.tls.ca },
    application_name: 'gatehouse credentials',
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
    query_timeout: 12_000,
  };
  let current: { pool: pg.Pool; password: Secret } | undefined;

  const openPool = (secret: Secret): pg.Pool =>
    new pg.Pool({ ...reach, database, password: secret.reveal(), max: 8, idleTimeoutMillis: 30_000 })
      .on('error', () => undefined)
      // One that is cut off between two statements of its work fails the next; nobody else listens to it then, and the server would end.
      .on('connect', (client) => client.on('error', () => undefined));

  /** Connections that were made with a password that has been replaced are used no more: a new one that is wrong shows at once. */
  function poolFor(secret: Secret): pg.Pool {
    if (current?.password.reveal() === secret.reveal()) return current.pool;
    if (current) endOnceUnawaited(current.pool);
    current = { pool: openPool(secret), password: secret };
    return current.pool;
  }

  const signedIn = <T>(connect: (secret: Secret) => Promise<T>): Promise<T> =>
    signIn({ password, newPassword, connect, isRefused, tryOut });

  async function tryOut(secret: Secret): Promise<void> {
    const client = new pg.Client({ ...reach, database, password: secret.reveal() });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async function within<T>(signal: AbortSignal, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const client = await signedIn((secret) => poolFor(secret).connect()).catch((error) => {
      throw error.message.includes('does not support SSL') ? withoutTls(url.host) : error;
    });
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

  /** Whoever may connect to another database of the server may own something there, which would keep the role from being dropped. */
  async function emptyElsewhere(elsewhere: string, role: string, signal: AbortSignal): Promise<void> {
    let client: pg.Client | undefined;
    const cut = () => void client?.end().catch(() => undefined);
    signal.addEventListener('abort', cut, { once: true });
    try {
      await signedIn(async (secret) => {
        signal.throwIfAborted();
        client = new pg.Client({ ...reach, database: elsewhere, password: secret.reveal() });
        client.on('error', () => undefined);
        await client.connect();
      });
      if (client) await dropWhatIsOf(client, role);
    } catch (error) {
      throw new Error(`What ${role} owns in the database ${elsewhere} could not be dropped`, { cause: error });
    } finally {
      signal.removeEventListener('abort', cut);
      await client?.end().catch(() => undefined);
    }
  }

  return {
    abilities: ABILITIES,
    findsByName: true,

    create: ({ name, lease, scope, expiresAt, agent, task }: Order, signal): Promise<Made> =>
      within(signal, async (client) => {
        const secret = randomPassword();
        const verifier = await verifierOf(secret);
        const role = pg.escapeIdentifier(name);
        const { grants } = scope as unknown as { grants: PostgresGrant[] };
        const writes = grants.some(({ privileges }) => privileges.some((privilege) => privilege !== 'SELECT'));
        await transacted(client, signal, async () => {
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
          await client.query(`grant connect on database ${pg.escapeIdentifier(database)} to ${role}`);
          for (const { schema, tables, privileges } of grants) {
            const inSchema = pg.escapeIdentifier(schema);
            const on =
              tables === '*'
                ? `all tables in schema ${inSchema}`
                : `table ${tables.map((table) => `${inSchema}.${pg.escapeIdentifier(table)}`).join(', ')}`;
            await client.query(`grant usage on schema ${inSchema} to ${role}`);
            await client.query(`grant ${privileges.join(', ')} on ${on} to ${role}`);
            if (!privileges.includes('INSERT')) continue;
            for (const { name: sequence, may } of await sequencesOf(client, schema, tables))
              if (may) await client.query(`grant usage on sequence ${sequence} to ${role}`);
          }
        });
        return {
          credential: { username: new Secret(name), password: secret },
          revocation: { database },
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
        await client.query(`grant ${role} to current_user`);
        for (const other of await otherDatabasesOf(client, name)) await emptyElsewhere(other, name, signal);
        await transacted(client, signal, async () => {
          await client.query(`reassign owned by ${role} to current_user`);
          await dropWhatIsOf(client, name);
          await client.query(`drop role ${role}`);
        });
        if (await isThere()) throw new Error(`role ${name} is still there`);
        await endSessions(client, name, signal);
      }),

    async rotate(next, signal) {
      const verifier = pg.escapeLiteral(await verifierOf(next));
      await within(signal, (client) => client.query(`alter role current_user password ${verifier}`));
      await tryOut(next);
    },

    check: (signal) =>
      within(signal, async (client) => {
        const lacks = await lackOf(client, settings.grants);
        if (lacks !== undefined)
          throw new GatehouseError('upstream', 'provider.rights', `The user ${url.username} ${lacks}`);
      }),

    close: async () => current?.pool.end(),
  };
}

/** Whoever waits for one of its connections would get none after its end, and fail over a secret that has only been replaced. */
function endOnceUnawaited(pool: pg.Pool): void {
  const end = () => {
    if (pool.waitingCount === 0 && !pool.ending) pool.end().catch(() => undefined);
  };
  pool.on('acquire', end);
  end();
}

/** Of a password: invalid_password. What the server's configuration refuses is another (28000). */
const isRefused = (error: unknown): boolean => (error as { code?: string }).code === '28P01';

/** What the broker may not do there although its manifest counts on it. PostgreSQL only warns where a grant passes on nothing. */
async function lackOf(client: pg.PoolClient, grants: readonly PostgresGrant[]): Promise<string | undefined> {
  const { rows: rights } = await client.query<{ makes: boolean; ends: boolean; opens: boolean; database: string }>(
    `select rolsuper or rolcreaterole as makes, pg_has_role('pg_signal_backend', 'member') as ends,
            has_database_privilege(current_database(), 'connect with grant option')
              or has_database_privilege('public', current_database(), 'connect') as opens,
            quote_ident(current_database()) as database
       from pg_roles where rolname = current_user`,
  );
  if (!rights[0]?.makes) return 'may not make roles there: give it CREATEROLE.';
  if (!rights[0].ends) return 'may not end sessions there: grant it pg_signal_backend.';
  if (!rights[0].opens)
    return `may not pass on CONNECT on the database ${rights[0].database}: grant it that WITH GRANT OPTION.`;
  for (const schema of new Set(grants.map((grant) => grant.schema))) {
    const { rows } = await client.query<{ may: boolean }>(
      `select has_schema_privilege(oid, 'usage with grant option') or has_schema_privilege('public', oid, 'usage') as may
         from pg_namespace where nspname = $1`,
      [schema],
    );
    if (!rows[0]) return `finds no schema ${schema} in this database: correct \`grants\`, or the address.`;
    if (!rows[0].may) return `may not pass on USAGE on the schema ${schema}: grant it that WITH GRANT OPTION.`;
  }
  for (const { schema, tables, privileges } of grants)
    for (const table of tables === '*' ? [] : tables) {
      const name = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
      const { rows } = await client.query<{ there: boolean; lacking: string | null }>(
        `select to_regclass($1) is not null as there, (
           select string_agg(each, ', ') from unnest($2::text[]) each
            where not has_table_privilege(to_regclass($1), each || ' with grant option')
              and not has_table_privilege('public', to_regclass($1), each)) as lacking`,
        [name, privileges],
      );
      if (!rows[0]?.there) return `finds no table ${name} in this database: correct \`grants\`, or the address.`;
      const { lacking } = rows[0];
      if (lacking !== null) return `may not pass on ${lacking} on ${name}: grant it that WITH GRANT OPTION.`;
    }
  for (const { schema, tables } of grants.filter(({ privileges }) => privileges.includes('INSERT')))
    for (const { name, may } of await sequencesOf(client, schema, tables))
      if (!may)
        return `may not pass on USAGE on the sequence ${name}, which numbers new rows: grant it that WITH GRANT OPTION.`;
  return undefined;
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

/**
 * Grants on one table are in one row of the catalogue, over which two transactions at once fail, also of two replicas: then it is done again. No
 * lock keeps them apart, as every role could take it and stop all others.
 */
async function transacted(client: pg.PoolClient, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    await client.query('begin');
    try {
      await work();
      await client.query('commit');
      return;
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      if (tries === MOST_TRIES || signal.aborted || !COLLISIONS.has((error as { code?: string }).code ?? ''))
        throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * POLL_MS * Math.min(tries, 10)));
  }
}
