/** What the tests of this room share: every guarantee is tried on each database that Gatehouse runs on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { startPostgres, type TestPostgres } from '../../../../test/support/postgres.ts';
import { createLog, newId, systemClock } from '../platform/index.ts';
import { openStorage, type StorageOptions } from './open.ts';
import type { LogUnit, RecordRow, Storage } from './storage.ts';

export interface TestBackend {
  /** For a process of its own on the same database. */
  readonly options: StorageOptions;
  /** Opens a storage on this test's database; it is closed when the test ends. */
  open(options?: Partial<StorageOptions>): Promise<Storage>;
}

type Run = (backend: TestBackend, t: TestContext) => Promise<void>;

export function onSqlite(title: string, run: Run): void {
  test(`${title} (SQLite)`, (t) => run(backendFor(t, 'sqlite'), t));
}

export function onPostgres(
  title: string,
  run: (backend: TestBackend, t: TestContext, server: TestPostgres) => Promise<void>,
): void {
  test(`${title} (PostgreSQL)`, async (t) => {
    const server = await postgres();
    if (!server) return t.skip('there is no PostgreSQL on this machine');
    const database = await server.createDatabase();
    t.after(() => database.drop());
    await run(backendFor(t, database.url), t, server);
  });
}

export function onEachBackend(title: string, run: Run): void {
  onSqlite(title, run);
  onPostgres(title, run);
}

let started: ReturnType<typeof startPostgres> | undefined;

function postgres(): ReturnType<typeof startPostgres> {
  started ??= startPostgres();
  return started;
}

after(async () => (await started)?.close());

function backendFor(t: TestContext, database: string): TestBackend {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-storage-'));
  const options: StorageOptions = { database, dataDir, log: createLog('error', () => {}), clock: systemClock };
  const opened: Storage[] = [];
  t.after(async () => {
    for (const storage of opened) await storage.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    options,
    async open(overrides = {}) {
      const storage = await openStorage({ ...options, ...overrides });
      opened.push(storage);
      return storage;
    },
  };
}

export const LOG = { id: 'gatehouse.test/log/a', replica: 'a', vkey: 'gatehouse.test/log/a+key', now: 1 };

export function recordOf(fields: Partial<RecordRow> = {}): RecordRow {
  return {
    kind: 'dispatch',
    actionId: newId('act'),
    at: Date.now(),
    operation: 'tools/call',
    agent: 'agent-support-prod',
    task: 'tsk_1',
    person: null,
    tool: 'shop/refund',
    resource: null,
    effect: 'allow',
    result: null,
    approval: null,
    ticket: null,
    entry: '{"v":1}',
    leafHash: new Uint8Array(32).fill(7),
    ...fields,
  };
}

/** A unit with this many records of one action. */
export function unitOf(count = 1, fields: Partial<LogUnit> = {}): LogUnit {
  const actionId = newId('act');
  return { guards: [], records: Array.from({ length: count }, () => recordOf({ actionId })), bodies: [], ...fields };
}

export async function addApproval(
  storage: Storage,
  id: string,
  fields: { state?: string; expires_at?: number } = {},
): Promise<void> {
  await storage.db
    .insertInto('approvals')
    .values({
      id,
      action_id: 'act_1',
      state: 'approved',
      digest: 'sha256-0',
      agent: 'agent-support-prod',
      task: 'tsk_1',
      tool: 'shop/refund',
      risk: 0,
      body: '{}',
      created_at: 1,
      expires_at: 1_000,
      answers: 0,
      asked_for: null,
      escalated_seconds: 0,
      ...fields,
    })
    .execute();
}

/** Places taken in the log, in order. */
export async function placesIn(storage: Storage): Promise<number[]> {
  const rows = await storage.db
    .selectFrom('records')
    .select('sequence')
    .where('log', '=', LOG.id)
    .orderBy('sequence')
    .execute();
  return rows.map((row) => row.sequence);
}

export const upTo = (size: number) => Array.from({ length: size }, (_, index) => index);
