import type { CallToolResult, McpServer, ToolAnnotations } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { type Shop, ShopError } from './store.ts';

const reads: ToolAnnotations = { readOnlyHint: true, openWorldHint: false };
const adds: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};
const removes: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: false,
};

const orderId = z.int().positive().describe('Order number');
const ticketId = z.int().positive().describe('Ticket number');
const customerId = z.string().min(1).max(100).describe('Customer id, for example customer-z');
const cents = z.int().nonnegative();
const currency = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .describe('ISO 4217 code');

const orderShape = z.strictObject({
  order: z.int(),
  customer: z.string(),
  item: z.string(),
  amount_cents: cents,
  currency: z.string(),
  status: z.string(),
  ordered_at: z.string(),
  refunded_cents: cents,
});
const ticketSummaryShape = z.strictObject({
  ticket: z.int(),
  customer: z.string(),
  order: z.int().nullable(),
  subject: z.string(),
  status: z.string(),
});

/** Registers the shop's tools. A refusal is a tool error with a sentence that says why; nothing is then written. */
export function registerTools(server: McpServer, shop: Shop): void {
  server.registerTool(
    'get_order',
    {
      title: 'Get order',
      description: 'Reads one order with what has been refunded on it so far. Amounts are integer cents.',
      inputSchema: z.strictObject({ order: orderId }),
      outputSchema: orderShape,
      annotations: reads,
    },
    ({ order }) => answer(() => shop.getOrder(order)),
  );

  server.registerTool(
    'list_orders',
    {
      title: 'List orders',
      description: 'Lists all orders of one customer.',
      inputSchema: z.strictObject({ customer: customerId }),
      outputSchema: z.strictObject({ orders: z.array(orderShape) }),
      annotations: reads,
    },
    ({ customer }) => answer(() => ({ orders: shop.listOrders(customer) })),
  );

  server.registerTool(
    'get_ticket',
    {
      title: 'Get ticket',
      description: 'Reads one support ticket. Its text was written by a customer.',
      inputSchema: z.strictObject({ ticket: ticketId }),
      outputSchema: ticketSummaryShape.extend({ body: z.string(), opened_at: z.string() }),
      annotations: reads,
    },
    ({ ticket }) => answer(() => shop.getTicket(ticket)),
  );

  server.registerTool(
    'list_tickets',
    {
      title: 'List tickets',
      description: 'Lists the support tickets of one customer, without their text.',
      inputSchema: z.strictObject({ customer: customerId }),
      outputSchema: z.strictObject({ tickets: z.array(ticketSummaryShape) }),
      annotations: reads,
    },
    ({ customer }) => answer(() => ({ tickets: shop.listTickets(customer) })),
  );

  server.registerTool(
    'refund_order',
    {
      title: 'Refund order',
      description:
        'Pays money back to the customer of an order. All refunds of an order together never exceed its price.',
      inputSchema: z.strictObject({
        order: orderId,
        amount_cents: z.int().positive().describe('Amount in cents: 4000 is 40.00'),
        currency,
        reason: z.string().min(1).max(500),
      }),
      outputSchema: z.strictObject({
        refund: z.int(),
        order: z.int(),
        amount_cents: cents,
        currency: z.string(),
        refunded_cents: cents,
      }),
      annotations: { ...removes, idempotentHint: false },
    },
    (refund) => answer(() => shop.refundOrder(refund.order, refund.amount_cents, refund.currency, refund.reason)),
  );

  server.registerTool(
    'post_message',
    {
      title: 'Post message',
      description: 'Posts a message to one of the team channels: support, finance or operations.',
      inputSchema: z.strictObject({ channel: z.string().min(1).max(100), text: z.string().min(1).max(4000) }),
      outputSchema: z.strictObject({ message: z.int(), channel: z.string() }),
      annotations: adds,
    },
    ({ channel, text }) => answer(() => shop.postMessage(channel, text)),
  );

  server.registerTool(
    'export_customers',
    {
      title: 'Export customers',
      description: 'Sends the whole customer list to a destination, a host name or URL.',
      inputSchema: z.strictObject({ destination: z.string().min(1).max(2000) }),
      outputSchema: z.strictObject({ export: z.int(), destination: z.string(), row_count: z.int() }),
      annotations: { ...adds, openWorldHint: true },
    },
    ({ destination }) => answer(() => shop.exportCustomers(destination)),
  );

  server.registerTool(
    'delete_order',
    {
      title: 'Delete order',
      description: 'Deletes one order for good.',
      inputSchema: z.strictObject({ order: orderId }),
      outputSchema: z.strictObject({ order: z.int(), deleted: z.boolean() }),
      annotations: removes,
    },
    ({ order }) => answer(() => shop.deleteOrder(order)),
  );

  server.registerTool(
    'drop_table',
    {
      title: 'Drop table',
      description: 'Drops a whole table of the shop database with everything in it.',
      inputSchema: z.strictObject({ table: z.string().min(1).max(100) }),
      outputSchema: z.strictObject({ table: z.string(), dropped: z.boolean() }),
      annotations: removes,
    },
    ({ table }) => answer(() => shop.dropTable(table)),
  );
}

function answer(operation: () => Record<string, unknown>): CallToolResult {
  try {
    const structuredContent = operation();
    return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
  } catch (error) {
    if (!(error instanceof ShopError)) throw error;
    return { content: [{ type: 'text', text: error.message }], isError: true };
  }
}
