import type { Socket } from 'node:net';
import pg from 'pg';
import type { Log } from '../platform/index.ts';

/** Nobody waits longer than this for a server that does not answer. */
const CONNECT_TIMEOUT_MS = 3_000;

/** What an answer may be late, over the longest statement. */
const SILENCE_MS = 3_000;

export interface SessionSettings {
  /** Longest single statement; 0 for one that takes as long as it takes. */
  statementTimeoutMs: number;
  /** Left out: as the server says. One that is read-only stays so (a standby after a failover). */
  readOnly?: true;
}

/** A table that is there from the first step of a restore to its last: what is between is no workspace that may be served. */
export const RESTORE_MARK = 'gatehouse_restore_unfinished';

/** A lone session without limits on time, for what takes as long as it takes. */
export function postgresClient(url: string): pg.Client {
  return new pg.Client(clientConfig(url));
}

/** A search may take a while, and so may what makes records findable. */
const SEARCH_STATEMENT_TIMEOUT_MS = 15_000;

/** For a thread that searches. It ends with the loss of its connection, and is started again. */
export async function openSearchSession(url: string): Promise<pg.Client> {
  const client = new pg.Client(clientConfig(url));
  client.on('error', (error) => {
    throw error;
  });
  await client.connect();
  await prepareSession(client, { statementTimeoutMs: SEARCH_STATEMENT_TIMEOUT_MS });
  return client;
}

/** Options of every connection. Numbers are numbers and bytes are `Uint8Array`, as on SQLite. */
export function clientConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'gatehouse',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    types: { getTypeParser },
  };
}

/**
 * Set by statement rather than at start-up, which poolers refuse. The keepalives have the server notice a replica that is gone
 * without a word within about ten seconds, so that its locks are free for its successor.
 */
export async function prepareSession(client: pg.ClientBase, settings: SessionSettings): Promise<void> {
  // A server that takes connections may be one that answers nothing: this is the first question that it is asked.
  giveUpWhenSilent(client, CONNECT_TIMEOUT_MS);
  await client.query(
    `set statement_timeout = ${settings.statementTimeoutMs};
     set lock_timeout = 3000;
     set idle_in_transaction_session_timeout = 8000;
     ${settings.readOnly ? 'set default_transaction_read_only = on;' : ''}
     set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3`,
  );
  giveUpWhenSilent(client, 0);
}

/** Ends the connection without a word to the server, which may be silent, and without waiting for it. */
export function drop(client: pg.ClientBase): void {
  socketOf(client).destroy();
}

export function createPool(url: string, max: number, settings: SessionSettings, log: Log): pg.Pool {
  // Idle ones go before they would count as silent.
  const idleTimeoutMillis = Math.min(10_000, settings.statementTimeoutMs + 1_000);
  const pool = new pg.Pool({
    ...clientConfig(url),
    max,
    idleTimeoutMillis,
    async onConnect(client) {
      await prepareSession(client, settings);
      if (settings.statementTimeoutMs > 0) giveUpWhenSilent(client, settings.statementTimeoutMs + SILENCE_MS);
    },
  });
  // Unheard, the loss of a connection that lies idle, or is between two statements of a transaction, would end the process.
  pool.on('connect', (client) => client.on('error', (error) => log.warn('a database connection was lost', { error })));
  pool.on('error', (error) => log.debug('a database connection was taken out of the pool', { error }));
  return pool;
}

/** A network that swallows everything is noticed by TCP after a quarter of an hour; a server that is there answers within the limit. */
export function giveUpWhenSilent(client: pg.ClientBase, limitMs: number): void {
  const socket = socketOf(client);
  socket.removeAllListeners('timeout');
  socket.setTimeout(limitMs, () => socket.destroy(new Error('the database server fell silent')));
}

/** pg has no public way to it. */
const socketOf = (client: pg.ClientBase): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;

const INT8 = 20;
const NUMERIC = 1700;
const BYTEA = 17;

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === INT8 || oid === NUMERIC) return toNumber;
  const parse = pg.types.getTypeParser(oid, format as 'text');
  if (oid === BYTEA) return (text: string) => new Uint8Array(parse(text) as unknown as Buffer);
  return parse;
}

function toNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new RangeError(`${text} is beyond the safe integers`);
  return value;
}
