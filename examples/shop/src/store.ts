import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { transaction } from './schema.ts';

export type Order = {
  order: number;
  customer: string;
  item: string;
  amount_cents: number;
  currency: string;
  status: string;
  ordered_at: string;
  refunded_cents: number;
};

export type TicketSummary = { ticket: number; customer: string; order: number | null; subject: string; status: string };
export type Ticket = TicketSummary & { body: string; opened_at: string };
export type Refund = { refund: number; order: number; amount_cents: number; currency: string; refunded_cents: number };

/** A refusal the caller can act on; anything else that is thrown is a defect. */
export class ShopError extends Error {
  override name = 'ShopError';
}

export type Shop = ReturnType<typeof createShop>;

const orderColumns = `orders.id AS "order", orders.customer, orders.item, orders.amount_cents, orders.currency,
  orders.status, orders.ordered_at,
  COALESCE((SELECT SUM(amount_cents) FROM refunds WHERE order_id = orders.id), 0) AS refunded_cents`;
const ticketColumns = 'id AS ticket, customer, order_id AS "order", subject, status';

/** Every operation of the shop, as plain functions over its database. Amounts are integer cents. */
export function createShop(database: DatabaseSync, now: () => Date = () => new Date()) {
  const rows = <T>(sql: string, ...values: SQLInputValue[]) =>
    // Rows come with a null prototype, which structured results should not carry.
    database
      .prepare(sql)
      .all(...values)
      .map((row) => ({ ...row }) as T);
  const one = <T>(missing: string, sql: string, ...values: SQLInputValue[]) => {
    const [row] = rows<T>(sql, ...values);
    if (row === undefined) throw new ShopError(missing);
    return row;
  };
  const insert = (sql: string, ...values: SQLInputValue[]) =>
    Number(database.prepare(sql).run(...values).lastInsertRowid);

  const getOrder = (order: number) =>
    one<Order>(`There is no order ${order}.`, `SELECT ${orderColumns} FROM orders WHERE id = ?`, order);

  return {
    getOrder,

    listOrders: (customer: string) =>
      rows<Order>(`SELECT ${orderColumns} FROM orders WHERE customer = ? ORDER BY id`, customer),

    getTicket: (ticket: number) =>
      one<Ticket>(
        `There is no ticket ${ticket}.`,
        `SELECT ${ticketColumns}, body, opened_at FROM tickets WHERE id = ?`,
        ticket,
      ),

    listTickets: (customer: string) =>
      rows<TicketSummary>(`SELECT ${ticketColumns} FROM tickets WHERE customer = ? ORDER BY id`, customer),

    /** Pays back part or all of an order; never more, over all refunds together, than was paid. */
    refundOrder: (order: number, amountCents: number, currency: string, reason: string): Refund =>
      transaction(database, () => {
        const paid = getOrder(order);
        if (paid.status === 'cancelled') throw new ShopError(`Order ${order} was cancelled and never charged.`);
        if (currency !== paid.currency) throw new ShopError(`Order ${order} was paid in ${paid.currency}.`);
        const leftCents = paid.amount_cents - paid.refunded_cents;
        if (amountCents > leftCents) {
          throw new ShopError(`Order ${order} has ${leftCents} cents ${currency} left to refund, not ${amountCents}.`);
        }
        const refund = insert(
          'INSERT INTO refunds (order_id, amount_cents, currency, reason, refunded_at) VALUES (?, ?, ?, ?, ?)',
          order,
          amountCents,
          currency,
          reason,
          now().toISOString(),
        );
        const refundedCents = paid.refunded_cents + amountCents;
        return { refund, order, amount_cents: amountCents, currency, refunded_cents: refundedCents };
      }),

    postMessage: (channel: string, text: string) =>
      transaction(database, () => {
        one(`There is no channel ${channel}.`, 'SELECT name FROM channels WHERE name = ?', channel);
        const message = insert(
          'INSERT INTO messages (channel, text, posted_at) VALUES (?, ?, ?)',
          channel,
          text,
          now().toISOString(),
        );
        return { message, channel };
      }),

    exportCustomers: (destination: string) =>
      transaction(database, () => {
        const rowCount = rows('SELECT id FROM customers').length;
        const exported = insert(
          'INSERT INTO exports (destination, row_count, exported_at) VALUES (?, ?, ?)',
          destination,
          rowCount,
          now().toISOString(),
        );
        return { export: exported, destination, row_count: rowCount };
      }),

    deleteOrder: (order: number) => {
      const { changes } = database.prepare('DELETE FROM orders WHERE id = ?').run(order);
      if (changes === 0) throw new ShopError(`There is no order ${order}.`);
      return { order, deleted: true };
    },

    dropTable: (table: string) =>
      transaction(database, () => {
        one(
          `There is no table ${table}.`,
          "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? AND name NOT LIKE 'sqlite_%'",
          table,
        );
        database.exec(`DROP TABLE "${table.replaceAll('"', '""')}"`);
        return { table, dropped: true };
      }),
  };
}
