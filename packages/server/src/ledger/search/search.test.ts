import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ActionRecord } from '@gatehouse/protocol';
import fc from 'fast-check';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { openHouse } from '../../identity/people/testing/house.ts';
import { postgresClient } from '../../storage/index.ts';
import { onPostgres } from '../../storage/suite.ts';
import type { RecordInput, SearchQuery } from '../types.ts';
import { createIndexer } from './indexer.ts';
import { openPostgresIndex } from './postgres-index.ts';
import { createSearch, type Search } from './search.ts';
import { openSqliteIndex, openSqliteSource } from './sqlite-index.ts';
import { termsOf, termsOfQuery } from './terms.ts';
import type { SearchIndex } from './types.ts';

const base: RecordInput = {
  kind: 'dispatch',
  action_id: 'act_0',
  operation: 'tools/call',
  agent: 'agent-a',
  actor_chain: [],
  requested_by: null,
  on_behalf_of: null,
  task: 'tsk_1',
  intent: 'Refund order 1042',
  model_provider: null,
  model: null,
  environment: 'prod',
  template: 'refund',
  tool: 'shop/refund',
  tool_definition: null,
  resource: 'order 1042',
  decision: { effect: 'allow', tier: 1, code: 'allowed', reason: 'x', policies: [], policyVersion: 'v' },
  labels: [],
  approval: null,
  credentials: [],
  ticket: null,
  change_request: null,
  result: null,
  changes: [],
  detail: null,
};

onEachDatabase('searching the record', (database) => {
  let house: Awaited<ReturnType<typeof openHouse>>;
  let count = 0;
  before(async () => {
    house = await openHouse({ database: await database() });
  });
  after(() => house.close());

  const add = async (fields: Partial<RecordInput>, body?: Record<string, string>) => {
    const record = { ...base, action_id: `act_${++count}`, ...fields };
    const written = await house.ledger.append({ record, ...(body && { arguments: body }) });
    assert.ok(written.ok);
    house.pass(10);
    return record.action_id;
  };
  const found = async (query: Partial<SearchQuery>) => {
    const ids: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await house.ledger.actions({ limit: 7, ...query, ...(cursor && { cursor }) });
      ids.push(...page.actions.map(({ actionId }) => actionId));
      cursor = page.cursor;
    }
    return ids;
  };

  /** @proves record.search */
  test('what was just recorded is found by each of its fields, alone and together, and by nothing that it has not', async () => {
    const id = await add({
      kind: 'request',
      agent: 'agent-fields',
      task: 'tsk_fields',
      tool: 'crm/read',
      resource: 'customer 7',
      decision: { effect: 'deny', tier: 4, code: 'policy.no-permit', reason: '', policies: [], policyVersion: 'v' },
      labels: ['untrusted', 'personal'],
      approval: 'apr_fields',
      credentials: [{ lease: 'lease_9', provider: 'crm-token', state: 'issued' }],
      ticket: 'SUP-301',
      change_request: 'CHG-9',
      on_behalf_of: 'zoe@example.test',
      environment: 'staging',
      template: 'lookup',
      intent: 'Größe prüfen',
      detail: 'Upstream said: Überlauf in row 17',
    });
    const fitting: Partial<SearchQuery>[] = [
      { agent: 'agent-fields' },
      { task: 'tsk_fields' },
      { tool: 'crm/read' },
      { server: 'crm' },
      { resource: 'customer 7' },
      { effect: 'deny', agent: 'agent-fields' },
      { code: 'policy.no-permit' },
      { label: ['untrusted'] },
      { label: ['personal', 'untrusted'] },
      { approval: 'apr_fields' },
      { credential: 'lease_9' },
      { credential: 'crm-token' },
      { ticket: 'SUP-301' },
      { ticket: 'CHG-9' },
      { person: 'Zoe@example.test' },
      { environment: 'staging' },
      { template: 'lookup' },
      { kind: 'request', agent: 'agent-fields' },
      { text: 'überlauf' },
      { text: 'größe prüf*' },
      { text: 'sup 301', label: ['untrusted'], effect: 'deny' },
    ];
    for (const query of fitting) assert.deepEqual(await found(query), [id], JSON.stringify(query));
    const unfitting: Partial<SearchQuery>[] = [
      { agent: 'agent-fields', effect: 'allow' },
      { agent: 'agent-field' },
      { label: ['untrusted', 'financial'] },
      { text: 'überlau' },
      { text: 'überlauf missing' },
      { resource: 'customer' },
      { agent: 'agent-fields', kind: 'dispatch' },
    ];
    for (const query of unfitting) assert.deepEqual(await found(query), [], JSON.stringify(query));
  });

  test('calls that are unusual are found by the label "anomalous", also when they were refused or wait', async () => {
    const situation = { deviations: ['hour'] } as never;
    const decision = { ...base.decision, effect: 'needs-approval', situation } as ActionRecord['decision'];
    const waiting = await add({ kind: 'request', agent: 'agent-odd', decision });
    const done = await add({ kind: 'outcome', agent: 'agent-odd', result: 'anomalous' });
    assert.deepEqual(await found({ agent: 'agent-odd', label: ['anomalous'] }), [done, waiting]);
  });

  /** @proves record.search-bodies */
  test('bodies are not searched', async () => {
    const id = await add({ agent: 'agent-body' }, { secretword: 'pomegranate' });
    assert.deepEqual(await found({ text: 'pomegranate' }), []);
    assert.deepEqual(await found({ text: 'secretword' }), []);
    assert.deepEqual(await found({ agent: 'agent-body' }), [id]);
  });

  test('times bound what is found, to the millisecond', async () => {
    const at = house.clock.now();
    const ids = [];
    for (let each = 0; each < 5; each++) ids.push(await add({ agent: 'agent-time' }));
    assert.deepEqual(await found({ agent: 'agent-time', from: at + 10, to: at + 30 }), [ids[2], ids[1]]);
    assert.deepEqual(await found({ agent: 'agent-time', from: at + 41 }), []);
    assert.deepEqual(await found({ agent: 'agent-time', to: at }), []);
  });

  /** @proves retention.unfindable */
  test('what was taken out is found no more, also where the clock was wrong when it was recorded', async () => {
    const take = async (id: string) => {
      const places = (await house.ledger.action(id))?.records ?? [];
      assert.ok(places.length > 0);
      await house.ledger.unindex(places);
    };
    const far = 3 * 86_400_000;
    house.pass(far);
    const ahead = [await add({ agent: 'agent-ahead' }), await add({ agent: 'agent-ahead' })];
    assert.equal((await found({ agent: 'agent-ahead' })).length, 2);
    house.pass(-far);
    const id = await add({ agent: 'agent-gone' });
    const kept = await add({ agent: 'agent-stays' });
    assert.deepEqual(await found({ agent: 'agent-gone' }), [id]);
    await take(id);
    await take(ahead[0] as string);
    assert.deepEqual(await found({ agent: 'agent-gone' }), []);
    assert.deepEqual(await found({ agent: 'agent-ahead' }), [ahead[1]]);
    assert.deepEqual(await found({ agent: 'agent-stays' }), [kept]);
  });

  /** @proves record.search-pages */
  test('pages go on where they stood while records come, and show each action once', async () => {
    const ids: string[] = [];
    for (let each = 0; each < 9; each++) {
      const id = await add({ agent: 'agent-pages' });
      await add({ agent: 'agent-pages', action_id: id, kind: 'outcome', result: 'success' });
      ids.unshift(id);
    }
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await house.ledger.actions({ agent: 'agent-pages', limit: 2, ...(cursor && { cursor }) });
      seen.push(...page.actions.map(({ actionId }) => actionId));
      cursor = page.cursor;
      const late = await add({ agent: 'agent-pages' });
      // The outcome of one that comes on a later page: it is still to be shown.
      const next = ids[seen.length + 1];
      if (next) await add({ agent: 'agent-pages', action_id: next, kind: 'outcome', result: 'failure', ticket: late });
    }
    assert.deepEqual(seen, ids);
  });

  test('a cursor that was made up is refused', async () => {
    for (const cursor of ['x', Buffer.from('[1]').toString('base64url'), Buffer.from('[1,"a"]').toString('base64url')])
      await assert.rejects(house.ledger.search({ limit: 1, cursor }), { code: 'cursor.malformed' });
  });

  /** @proves record.search */
  test('any combination finds what reading every record would find', async () => {
    const one = <T>(...values: T[]) => fc.constantFrom(...values);
    const fields = {
      agent: one('agent-p', 'agent-q'),
      tool: one('shop/a', 'shop/b', null),
      result: one('success', 'failure', null),
      labels: fc.subarray(['untrusted', 'personal', 'financial']),
      detail: one('out of stock', 'stock taken', 'a"b\'c:*&|!()', 'NEAR and OR not', null),
      kind: one('dispatch', 'outcome', 'request'),
    };
    const made = fc.sample(fc.record(fields), { numRuns: 60, seed: 7 });
    const from = house.clock.now();
    const records: RecordInput[] = [];
    for (const each of made) {
      const id = await add(each as Partial<RecordInput>);
      records.unshift({ ...base, ...each, action_id: id } as RecordInput);
    }
    const query = fc.record(
      {
        agent: fields.agent,
        tool: one('shop/a', 'shop/b'),
        result: one('success', 'failure'),
        label: fc.subarray(['untrusted', 'personal', 'financial']),
        text: one('stock', 'sto*', 'near OR', 'b* c', 'taken stock'),
        kind: fields.kind,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(query, async (asked) => {
        const { all, prefixes } = termsOfQuery({ limit: 1, ...asked } as SearchQuery);
        const expected = records.filter((record) => {
          const terms = termsOf(record as ActionRecord);
          return all.every((t) => terms.includes(t)) && prefixes.every((p) => terms.some((t) => t.startsWith(p)));
        });
        assert.deepEqual(
          await found({ ...asked, from } as Partial<SearchQuery>),
          expected.map(({ action_id }) => action_id),
        );
      }),
      { numRuns: 40, seed: 7 },
    );
  });
});

/** @proves record.search-index */
test('an index that is gone, damaged or of another database is made anew', async (context) => {
  const [house, other] = [await openHouse({}), await openHouse({})];
  context.after(() => Promise.all([house.close(), other.close()]));
  for (const [{ ledger }, agent] of [[house, 'agent-kept'] as const, [other, 'agent-other'] as const])
    await ledger.append({ record: { ...base, action_id: 'act_1', agent } });
  const find = (search: Search, agent: string) => search.find({ ...termsOfQuery({ agent, limit: 1 }), limit: 1 });
  const file = (dataDir: string) => join(dataDir, 'search.db');
  const elsewhere = createSearch(other.storage.place, other.log);
  assert.equal((await find(elsewhere, 'agent-other')).hits.length, 1);
  await elsewhere.close();
  for (const spoil of [
    () => undefined,
    () => rmSync(file(house.dataDir)),
    () => writeFileSync(file(house.dataDir), 'no database, and long enough to be taken for one '.repeat(200)),
    () => copyFileSync(file(other.dataDir), file(house.dataDir)),
  ]) {
    spoil();
    const search = createSearch(house.storage.place, house.log);
    assert.equal((await find(search, 'agent-kept')).hits.length, 1, String(spoil));
    assert.equal((await find(search, 'agent-other')).hits.length, 0, String(spoil));
    await search.close();
  }
});

/** @proves record.search-index */
test('an indexer says whether there is more than it has made findable', async (context) => {
  const house = await openHouse({});
  context.after(() => house.close());
  const { place } = house.storage;
  assert.ok('sqlite' in place);
  for (let at = 0; at < 3; at++) await house.ledger.append({ record: { ...base, action_id: `act_${at}` } });
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-behind-'));
  const [index, source] = [openSqliteIndex(dataDir), openSqliteSource(place.sqlite)];
  const indexer = createIndexer(source, index);
  assert.deepEqual([await indexer.catchUp(2), await indexer.isDone()], [false, false]);
  assert.deepEqual([await indexer.catchUp(100), await indexer.isDone()], [true, true]);
  await house.ledger.append({ record: { ...base, action_id: 'act_3' } });
  assert.equal(await indexer.isDone(), false);
  await Promise.all([index.close(), source.close()]);
  rmSync(dataDir, { recursive: true, force: true });
});

/** @proves record.search-index */
test('a database that was silent when the thread started is asked anew by the next search', async (context) => {
  const house = await openHouse({});
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const search = createSearch({ postgres: `postgres://gatehouse@127.0.0.1:${port}/gatehouse` }, house.log);
  context.after(async () => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await search.close();
    await house.close();
  });
  const find = () => search.find({ ...termsOfQuery({ agent: 'agent-a', limit: 1 }), limit: 1 });
  await assert.rejects(find(), { code: 'search.unavailable' });
  const before = sockets.length;
  silent.on('connection', (socket) => socket.destroy());
  for (let turn = 0; turn < 20 && sockets.length === before; turn++) {
    await assert.rejects(find(), { code: 'search.unavailable' });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(sockets.length > before);
});

const count = 40_000;
const documents = Array.from({ length: count }, (_, sequence) => ({
  log: 'one',
  sequence,
  at: sequence,
  terms: [sequence % 2 === 0 ? 'even' : 'odd', ...(sequence % 1_000 < 2 ? ['some'] : []), 'each'],
}));

async function fill(index: SearchIndex): Promise<void> {
  for (let from = 0; from < count; from += 5_000)
    await index.add(documents.slice(from, from + 5_000), [{ log: 'one', next: from + 5_000, hash: '' }]);
}

async function findsAll(index: SearchIndex): Promise<void> {
  const all = async (terms: string[], budgetMs: number, to?: number) => {
    const found: number[] = [];
    for (let before: number | undefined; ; ) {
      const page = await index.find({ all: terms, prefixes: [], limit: 15, budgetMs, before, from: undefined, to });
      found.push(...page.hits.map(({ sequence }) => sequence));
      if (page.next === null) return found;
      before = page.next;
    }
  };
  for (const terms of [['even', 'some'], ['odd', 'some', 'each'], ['even', 'odd'], ['some']]) {
    const wanted = documents.filter((each) => terms.every((term) => each.terms.includes(term)));
    const newestFirst = wanted.map(({ sequence }) => sequence).reverse();
    for (const budgetMs of [0, 1_000]) assert.deepEqual(await all(terms, budgetMs), newestFirst, terms.join());
    const older = newestFirst.filter((sequence) => sequence < 17_500);
    assert.deepEqual(await all(terms, 0, 17_500), older, terms.join());
  }
}

test('two frequent terms together find the same in slices of ids as all at once, also across the borders of slices', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-slices-'));
  for (const rare of [0, 1_000_000]) {
    const index = openSqliteIndex(dataDir, rare);
    if (rare === 0) await fill(index);
    await findsAll(index);
    await index.close();
  }
  rmSync(dataDir, { recursive: true, force: true });
});

/** @proves record.search-rare */
onPostgres(
  'what is rare is found on the first page, however long the log is that the planner guesses of',
  async ({ open, options }) => {
    await open();
    const client = postgresClient(options.database);
    await client.connect();
    await client.query('alter table search_entries set (autovacuum_enabled = false)');
    const index = await openPostgresIndex(options.database, 0);
    const oldest = { log: 'one', sequence: count, at: 0, terms: ['single', 'each'] };
    await index.add([oldest], [{ log: 'one', next: 0, hash: '' }]);
    await fill(index);
    const find = (...all: string[]) =>
      index.find({ all, prefixes: [], limit: 15, budgetMs: 0, before: undefined, from: undefined, to: undefined });
    const isWhole = async (...all: string[]) => {
      const { hits, next } = await find(...all);
      return [hits.map(({ sequence }) => sequence), next === null];
    };
    assert.deepEqual(await isWhole('single'), [[], false], 'nothing is known of any term yet');
    await client.query('analyze search_entries');
    await client.end();
    assert.deepEqual(await isWhole('single'), [[count], true]);
    assert.deepEqual(await isWhole('single', 'each'), [[count], true]);
    assert.deepEqual(await isWhole('single', 'odd'), [[], true]);
    assert.deepEqual(await isWhole('odd', 'even'), [[], false], 'these are followed block by block');
    await index.close();
  },
);

onPostgres('two frequent terms together find the same block by block as all at once', async ({ open, options }) => {
  await open();
  for (const rare of [0, 1_000_000]) {
    const index = await openPostgresIndex(options.database, rare);
    if (rare === 0) await fill(index);
    await findsAll(index);
    await index.close();
  }
});
