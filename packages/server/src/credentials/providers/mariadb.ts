import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { MariadbGrant, MariadbSource, ProviderAbilities } from '@gatehouse/protocol';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { GatehouseError, Secret } from '../../platform/index.ts';
import type { Left, Made, Order, Provider } from '../leases/types.ts';
import { hostOf } from './host-of.ts';
import { type NewPassword, signIn } from './new-password.ts';

const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 },
  endsOnlyByGatehouse: true,
};
const POLL_MS = 20;
const STATEMENT_MS = 10_000;
/** Each is granted by a statement of its own. */
const MOST_TABLES = 500;
const NEEDED = ['CREATE USER', 'PROCESS', 'CONNECTION ADMIN'];

/**
 * A user for each lease, with the tables that it needs and nothing else. MariaDB makes and grants outside of transactions, so a user may be half
 * made; its name says whose it is, and it is made anew or ended all the same. Ended in an order in which nothing slips through: it can't sign in
 * any more, its connections are ended, its grants go, it is dropped, and that is looked for.
 */
export function openMariadbProvider(
  settings: MariadbSource,
  password: () => Promise<Secret>,
  newPassword?: NewPassword,
): Provider {
  const url = new URL(settings.url);
  const user = decodeURIComponent(url.username);
  const database = decodeURIComponent(url.pathname.slice(1));

  async function connect(secret: Secret): Promise<Connection> {
    const { createConnection } = await import('mysql2/promise');
    const connection = await createConnection({
      ...{ host: hostOf(url), port: Number(url.port || 3306), user, password: secret.reveal() },
      ...(settings.tls !== 'off' && {
        ssl: { rejectUnauthorized: true, verifyIdentity: true, minVersion: 'TLSv1.2', ca: settings.tls.ca },
      }),
      ...{ connectTimeout: 5_000, disableEval: true, charset: 'utf8mb4' },
    });
    connection.on('error', () => undefined);
    return connection;
  }
  const tryOut = async (secret: Secret) => (await connect(secret)).destroy();

  /** A connection for one piece of work, so that a changed password is used at once and nothing idles. */
  async function within<T>(signal: AbortSignal, work: (run: Run) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const connection = await signIn({ password, newPassword, connect, isRefused, tryOut });
    const cut = () => connection.destroy();
    signal.addEventListener('abort', cut, { once: true });
    try {
      return await work(runOn(connection, signal));
    } finally {
      signal.removeEventListener('abort', cut);
      connection.destroy();
    }
  }

  return {
    abilities: ABILITIES,
    findsByName: true,

    create: ({ name, scope }: Order, signal): Promise<Made> =>
      within(signal, async (run) => {
        const account = accountOf(name);
        const secret = randomBytes(24).toString('base64url');
        await run(
          `create or replace user ${account} identified via mysql_native_password using '${hashOf(secret)}'
             require ${settings.tls === 'off' ? 'none' : 'ssl'}
             with max_user_connections ${settings.connectionLimit} max_statement_time ${settings.statementTimeoutSeconds}`,
        );
        for (const [table, privileges] of await privilegesByTable(run, scope as unknown as Scope, database))
          await run(`grant ${privileges.join(', ')} on ${identifier(database)}.${identifier(table)} to ${account}`);
        return { credential: { username: new Secret(name), password: new Secret(secret) }, revocation: {} };
      }),

    /** Users there have no end of their own that would have to move. */
    renew: ({ name }: Left, _, signal) =>
      within(signal, async (run) => {
        if (!(await isThere(run, name))) throw new Error(`there is no user ${name}`);
        return {};
      }),

    revoke: ({ name }: Left, signal) =>
      within(signal, async (run) => {
        const account = accountOf(name);
        if (await isThere(run, name)) {
          await run(`alter user ${account} account lock`);
          await endSessions(run, name);
          await run(`revoke all privileges, grant option from ${account}`);
          await run(`drop user ${account}`);
          if (await isThere(run, name)) throw new Error(`user ${name} is still there`);
        }
        // Also of one that is gone: whoever dropped it may have died before this.
        await endSessions(run, name);
      }),

    async rotate(next, signal) {
      await within(signal, (run) => run(`set password = '${hashOf(next.reveal())}'`));
      await tryOut(next);
    },

    check: (signal) =>
      within(signal, async (run) => {
        const rows = await run('select privilege_type as held from information_schema.user_privileges');
        const missing = NEEDED.filter((each) => !rows.some(({ held }) => held === each));
        if (missing.length > 0)
          throw new GatehouseError(
            'upstream',
            'provider.rights',
            `The user ${user} lacks ${missing.join(', ')}: grant it on *.*.`,
          );
        await isThere(run, '');
      }),

    close: async () => undefined,
  };
}

const isRefused = (error: unknown): boolean => (error as { code?: string }).code === 'ER_ACCESS_DENIED_ERROR';

interface Scope {
  grants: MariadbGrant[];
}
type Run = (statement: string, values?: string[]) => Promise<RowDataPacket[]>;

const runOn =
  (connection: Connection, signal: AbortSignal): Run =>
  async (sql, values) => {
    signal.throwIfAborted();
    const [rows] = await connection.query<RowDataPacket[]>({ sql, values, timeout: STATEMENT_MS });
    return rows;
  };

/** Made of a lease's id: letters, digits and `_`. */
const accountOf = (name: string): string => `'${name}'@'%'`;
const identifier = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/**
 * What the server stores of a password, so that no log of statements there has it. `mysql_native_password`, which every server has enabled and every
 * driver speaks; its SHA-1 is of 192 random bits, which nobody guesses.
 */
function hashOf(password: string): string {
  const inner = createHash('sha1').update(password).digest();
  return `*${createHash('sha1').update(inner).digest('hex').toUpperCase()}`;
}

/** Named one by one: `_` and `%` in the name of a database would stand for other databases as soon as all of its tables are granted at once. */
async function privilegesByTable(run: Run, { grants }: Scope, database: string): Promise<Map<string, string[]>> {
  const all = grants.some(({ tables }) => tables === '*')
    ? (await run('select table_name as name from information_schema.tables where table_schema = ?', [database])).map(
        ({ name }) => name as string,
      )
    : [];
  if (all.length > MOST_TABLES)
    throw new GatehouseError(
      'upstream',
      'provider.tables',
      `${database} has ${all.length} tables: \`*\` is for ${MOST_TABLES} at most. Name those that are needed.`,
    );
  const granted = new Map<string, string[]>();
  for (const { tables, privileges } of grants)
    for (const table of tables === '*' ? all : tables)
      granted.set(table, [...new Set([...(granted.get(table) ?? []), ...privileges])]);
  return granted;
}

const isThere = async (run: Run, name: string): Promise<boolean> =>
  (await run("select 1 from mysql.user where User = ? and Host = '%'", [name])).length > 0;

/** Ends all connections of a user, also in the middle of a statement, and waits until the server has none of them. */
async function endSessions(run: Run, name: string): Promise<void> {
  for (;;) {
    const rows = await run('select id from information_schema.processlist where user = ?', [name]);
    if (rows.length === 0) return;
    for (const { id } of rows)
      await run(`kill hard connection ${Number(id)}`).catch((error) => {
        // It has ended by itself meanwhile.
        if (error.code !== 'ER_NO_SUCH_THREAD') throw error;
      });
    await delay(POLL_MS);
  }
}
