import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { searchLimits } from '../packages/server/src/ledger/search/limits.ts';
import { openPostgresIndex } from '../packages/server/src/ledger/search/postgres-index.ts';
import { openSqliteIndex } from '../packages/server/src/ledger/search/sqlite-index.ts';
import { termsOf, termsOfQuery } from '../packages/server/src/ledger/search/terms.ts';
import type { Document, SearchIndex } from '../packages/server/src/ledger/search/types.ts';
import type { SearchQuery } from '../packages/server/src/ledger/types.ts';
import { createLog, systemClock } from '../packages/server/src/platform/index.ts';
import { openStorage } from '../packages/server/src/storage/index.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { type Measure, table } from './measure.ts';

export const measure: Measure = {
  heading: 'P7: searching the record',
  options: { records: '10000000', rounds: '20', database: 'both', directory: '' },
  async run({ records, rounds, database, directory }) {
    const rows: Row[] = [];
    const kinds = database === 'both' ? (['sqlite', 'postgres'] as const) : [database as Kind];
    for (const kind of kinds) rows.push(...(await benchSearch(kind, Number(records), Number(rounds), directory ?? '')));
    return {
      rows,
      how: `${Number(records).toLocaleString('en')} records of 1,000 agents, 300 people, 97 tools and ${(Number(records) / 40).toLocaleString('en')} tasks over 100 days, added to the index of each
database as the indexer adds them, without the records themselves: of a page they are read by their places, 51 at most. Each search ${rounds} times, from the newest and from the middle of
the time in turn. "Left" says that a page was given out before all was looked at, at its time's end (${searchLimits.pageBudgetMs} ms), with the cursor at which the next goes on.`,
      tables: table(
        ['database', 'search', 'found', 'left', 'p50 ms', 'largest ms'],
        rows.map((row) => [
          row.kind,
          row.search,
          row.found,
          row.left ? 'yes' : '',
          row.p50.toFixed(1),
          row.largest.toFixed(1),
        ]),
      ),
    };
  },
};

type Kind = 'sqlite' | 'postgres';
interface Row {
  kind: Kind;
  search: string;
  found: number;
  left: boolean;
  p50: number;
  largest: number;
}

const DAY = 86_400_000;
const END = Date.UTC(2026, 9, 1);
const START = END - 100 * DAY;
const BATCH = 1_024;
const WORDS = Array.from({ length: 20_000 }, (_, at) =>
  createHash('sha256').update(String(at)).digest('hex').slice(0, 7),
);

/** Deterministic, so that runs compare. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function documentsOf(from: number, count: number, total: number, random: () => number): Document[] {
  return Array.from({ length: count }, (_, each) => {
    const at = from + each;
    const agent = Math.floor(random() ** 2 * 1_000);
    const isOutcome = at % 2 === 1;
    const isRefused = random() < 0.02;
    // Agents 900 and up are never refused, and nothing fails in the older half: pairs that never come together.
    const refused = isRefused && agent < 900;
    const failed = isOutcome && at > total / 2 && random() < 0.05;
    const word = () => WORDS[Math.floor(random() ** 3 * WORDS.length)] ?? '';
    const record = {
      kind: refused ? 'request' : isOutcome ? 'outcome' : 'dispatch',
      operation: 'tools/call',
      agent: `agent-${agent}`,
      actor_chain: [{ sub: `spiffe://example.test/env/prod/agent/agent-${agent}`, profile: 'ai_agent' }],
      requested_by: null,
      on_behalf_of: `person:person-${(agent * 7) % 300}@example.test`,
      task: `tsk_${Math.floor(at / 40)}`,
      intent: `${word()} ${word()} ${word()}`,
      environment: agent < 500 ? 'prod' : 'dev',
      template: `template-${agent % 20}`,
      tool: `server-${agent % 9}/tool-${Math.floor(random() * 97)}`,
      resource: `order ${Math.floor(random() * 200_000)}`,
      decision: { effect: refused ? 'deny' : 'allow', code: refused ? 'policy.no-permit' : 'allowed' },
      labels: random() < 0.3 ? ['untrusted'] : [],
      approval: random() < 0.001 ? `apr_${at}` : null,
      credentials: [],
      ticket: random() < 0.05 ? `SUP-${Math.floor(random() * 5_000)}` : null,
      change_request: null,
      result: isOutcome ? (failed ? 'failure' : 'success') : null,
      changes: [],
      detail: random() < 0.2 ? `${word()} ${word()}` : null,
    };
    return {
      log: 'bench/log/one',
      sequence: at,
      at: START + Math.floor(((END - START) * at) / total),
      terms: termsOf(record as never),
    };
  });
}

const middle = START + 50 * DAY;
const searches: [string, Partial<SearchQuery>][] = [
  ['nothing asked: the newest', {}],
  ['agent, busy', { agent: 'agent-1' }],
  ['agent, rare', { agent: 'agent-997' }],
  ['task', { task: 'tsk_777' }],
  ['person', { person: 'person-7@example.test' }],
  ['tool', { tool: 'server-1/tool-13' }],
  ['resource', { resource: 'order 4711' }],
  ['decision', { effect: 'deny' }],
  ['approval', { approval: 'apr_none' }],
  ['ticket', { ticket: 'SUP-77' }],
  ['label', { label: ['untrusted'] }],
  ['result', { result: 'failure' }],
  ['one day', { from: START + 20 * DAY, to: START + 21 * DAY }],
  ['one minute', { from: middle, to: middle + 60_000 }],
  ['a word, common', { text: WORDS[1] ?? '' }],
  ['a word, rare', { text: WORDS[19_990] ?? '' }],
  ['two words', { text: `${WORDS[3]} ${WORDS[9_000]}` }],
  ['the beginning of a word', { text: `${WORDS[3]?.slice(0, 3)}*` }],
  ['agent and decision', { agent: 'agent-1', effect: 'deny' }],
  ['agent and label in one hour', { agent: 'agent-1', label: ['untrusted'], from: middle, to: middle + 3_600_000 }],
  [
    'agent, person, tool, result and label',
    { agent: 'agent-1', person: 'person-7@example.test', server: 'server-1', result: 'success', label: ['untrusted'] },
  ],
  ['two that never meet: agent and decision', { agent: 'agent-950', effect: 'deny' }],
  ['two frequent ones that never meet: environment and agent', { environment: 'dev', agent: 'agent-1' }],
  ['half the record against the other half', { kind: 'dispatch', result: 'success' }],
  ['frequent, but not in the older half', { result: 'failure', to: middle - DAY }],
];

/** With a `directory`, SQLite's index is left there, and the next run goes on with what it finds: made at one time, asked at a quiet one. */
async function benchSearch(kind: Kind, records: number, rounds: number, directory: string): Promise<Row[]> {
  const alive = setInterval(() => undefined, 1_000);
  const isKept = kind === 'sqlite' && directory !== '';
  if (isKept) mkdirSync(directory, { recursive: true });
  const dataDir = isKept ? directory : mkdtempSync(join(tmpdir(), 'gatehouse-bench-search-'));
  const server = kind === 'postgres' ? await startPostgres() : undefined;
  if (kind === 'postgres' && !server) throw new Error('there is no PostgreSQL on this machine');
  const database = server ? (await server.createDatabase()).url : 'sqlite';
  const storage = await openStorage({ database, dataDir, log: createLog('error'), clock: systemClock });
  const index = server ? await openPostgresIndex(database) : openSqliteIndex(dataDir);
  try {
    if (server) await queryOnce(database, 'drop index search_entries_terms');
    await fill(index, records);
    if (server)
      await queryOnce(
        database,
        'set statement_timeout = 0',
        "set maintenance_work_mem = '1GB'",
        INVERTED,
        'vacuum analyze search_entries',
      );
    const rows: Row[] = [];
    for (const [search, query] of searches) {
      const times: number[] = [];
      let last = { hits: [] as unknown[], next: null as number | null };
      for (let round = 0; round < rounds; round++) {
        const before = round % 2 === 1 ? Math.floor(records / 2) : undefined;
        const start = performance.now();
        const { from, to } = query;
        const found = await index.find({
          ...termsOfQuery({ limit: 50, ...query }),
          from,
          to,
          before,
          limit: 51,
          budgetMs: searchLimits.pageBudgetMs,
        });
        times.push(performance.now() - start);
        if (before === undefined) last = found;
      }
      times.sort((a, b) => a - b);
      const row = {
        kind,
        search,
        found: last.hits.length,
        left: last.next !== null && last.hits.length < 51,
        p50: times[Math.floor(times.length / 2)] ?? 0,
        largest: times.at(-1) ?? 0,
      };
      rows.push(row);
      process.stderr.write(
        `${kind} ${search}: ${row.found}${row.left ? ' (left)' : ''} ${row.p50.toFixed(1)} / ${row.largest.toFixed(1)} ms\n`,
      );
    }
    return rows;
  } finally {
    clearInterval(alive);
    await index.close();
    if (kind === 'sqlite') await storage.close();
    await server?.close();
    if (!isKept) rmSync(dataDir, { recursive: true, force: true });
  }
}

async function fill(index: SearchIndex, records: number): Promise<void> {
  const random = randomOf(7);
  const start = performance.now();
  const there = (await index.marks())[0]?.next ?? 0;
  for (let from = there; from < records; from += BATCH) {
    const documents = documentsOf(from, Math.min(BATCH, records - from), records, random);
    await index.add(documents, [{ log: 'bench/log/one', next: from + documents.length, hash: '' }]);
    if (from % (BATCH * 500) === 0)
      process.stderr.write(
        `${from.toLocaleString('en')} added, ${Math.round((from - there) / ((performance.now() - start) / 1_000))}/s\n`,
      );
  }
}

/** As the migration makes it, and built at the end: kept while ten million documents are added it takes hours, which is not what is measured. */
const INVERTED =
  'create index search_entries_terms on search_entries using gin (terms) with (gin_pending_list_limit = 512)';

async function queryOnce(url: string, ...statements: string[]): Promise<void> {
  const { postgresClient } = await import('../packages/server/src/storage/index.ts');
  const client = postgresClient(url);
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}
