import { completable, McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod';
import type { Shop } from './store.ts';
import { registerTools } from './tools.ts';

const refundPolicy = `# Refunds

- A delivered or paid order may be refunded within 60 days, in the currency it was paid in.
- All refunds of an order together never exceed what was paid.
- The reason is written for the customer and for the auditor.
- A person in finance agrees to every refund before it is paid.
`;

const tones = ['friendly', 'formal', 'short'];

/** One MCP server over the shop; the shop may be shared by any number of them. */
export function createShopServer(shop: Shop): McpServer {
  const server = new McpServer(
    { name: 'shop', title: 'Shop', version: '0.1.0' },
    { instructions: 'A small shop: orders, refunds, support tickets, team channels. All amounts are integer cents.' },
  );
  registerTools(server, shop);

  server.registerResource(
    'refund-policy',
    'shop://policy/refunds',
    { title: 'Refund policy', description: 'When and how the shop pays money back.', mimeType: 'text/markdown' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/markdown', text: refundPolicy }] }),
  );

  server.registerPrompt(
    'refund_reply',
    {
      title: 'Reply about a refund',
      description: 'Drafts the answer to a customer about the refund of one order.',
      argsSchema: z.strictObject({
        order: z
          .string()
          .regex(/^[1-9]\d{0,14}$/)
          .describe('Order number'),
        tone: completable(z.string().max(40).describe('friendly, formal or short'), (typed) =>
          tones.filter((tone) => tone.startsWith(typed)),
        ).optional(),
      }),
    },
    ({ order, tone }) => {
      const facts = shop.getOrder(Number(order));
      const text = [
        `Write a ${tone ?? 'friendly'} reply to ${facts.customer} about the refund of order ${facts.order} (${facts.item}).`,
        `The price was ${money(facts.amount_cents, facts.currency)}; ${money(facts.refunded_cents, facts.currency)} is refunded so far.`,
        'Promise nothing beyond the policy in shop://policy/refunds.',
      ].join('\n');
      return { messages: [{ role: 'user', content: { type: 'text', text } }] };
    },
  );
  return server;
}

function money(amountCents: number, currency: string): string {
  const whole = Math.trunc(amountCents / 100);
  return `${whole}.${String(amountCents % 100).padStart(2, '0')} ${currency}`;
}
