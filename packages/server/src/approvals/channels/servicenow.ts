import type { ChannelManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import { restAt } from './call.ts';
import { channelLimits } from './limits.ts';
import type { Message } from './message.ts';
import { type Channel, type Looked, NotDeliverable, type Tools } from './types.ts';

const JSON_DEPTH = 16;
const SHORT_CHARS = 160;

const created = z.object({
  result: z.object({ sys_id: z.string().regex(/^[0-9a-f]{32}$/), number: z.string().max(100) }),
});

const opened = z.object({
  result: z.object({
    correlation_id: z.string(),
    correlation_display: z.string(),
    short_description: z.string(),
    description: z.string(),
  }),
});

/** Rows of `sysapproval_approver`: who was asked there, and what they said. */
const approvers = z.object({
  result: z.array(
    z.object({
      sys_id: z.string(),
      state: z.string(),
      'approver.user_name': z.string(),
      sys_updated_by: z.string(),
      sys_updated_on: z.string(),
    }),
  ),
});

/**
 * A record in ServiceNow (a change request, unless told otherwise) for each approval, by the Table API. What counts is an approval there that the
 * approver has given themselves: one that an administrator has set for somebody is of nobody.
 */
export function openServiceNow(manifest: ChannelManifest, tools: Tools): Channel {
  const { url, user, password, table, fields, counts } = manifest.serviceNow as NonNullable<
    ChannelManifest['serviceNow']
  >;

  const rest = restAt(tools, manifest, {
    base: `${url.replace(/\/$/, '')}/api/now/table`,
    user,
    password,
    depth: JSON_DEPTH,
  });

  return {
    async send(message) {
      if (message.event === 'test') {
        await rest('GET', `${table}?sysparm_limit=1&sysparm_fields=sys_id`);
        return null;
      }
      const { approval: correlation_id, digest: correlation_display } = message;
      const record = { ...fields, ...shownOf(message), correlation_id, correlation_display };
      return created.parse(await rest('POST', `${table}?sysparm_fields=sys_id,number`, record)).result.sys_id;
    },

    async close(message, { reference }) {
      if (reference === null) throw new NotDeliverable('ServiceNow did not say what the record is called');
      await rest('PUT', `${table}/${reference}?sysparm_fields=sys_id`, { work_notes: textOf(message) });
    },

    async look({ reference }, about): Promise<Looked | null> {
      if (reference === null || !counts) return null;
      const query = new URLSearchParams({
        sysparm_query: `sysapproval=${reference}^stateINapproved,rejected^ORDERBYDESCsys_updated_on`,
        sysparm_fields: 'sys_id,state,approver.user_name,sys_updated_by,sys_updated_on',
        sysparm_limit: '20',
      });
      const { result } = approvers.parse(await rest('GET', `sysapproval_approver?${query}`));
      const own = result.filter((row) => row.sys_updated_by === row['approver.user_name']);
      // One that rejects is heard before one that approves.
      const row = own.find(({ state }) => state === 'rejected') ?? own.find(({ state }) => state === 'approved');
      if (!row) return null;
      // Its times are UTC.
      const at = Date.parse(`${row.sys_updated_on.replace(' ', 'T')}Z`);
      if (!(at >= about.createdAt - channelLimits.clockSkewSeconds * 1_000)) return null;
      // INVARIANT: it was opened for this approval, whatever the row says that led here.
      const names = 'correlation_id,correlation_display,short_description,description';
      const now = await rest('GET', `${table}/${reference}?sysparm_fields=${names}`);
      const { correlation_id, correlation_display, ...says } = opened.parse(now).result;
      if (correlation_id !== about.id || correlation_display !== about.digest)
        throw new Error(`the record ${reference} was not opened for ${about.id}`);
      const shown = shownOf(await about.message());
      const isAltered =
        wordsOf(says.short_description) !== wordsOf(shown.short_description) ||
        wordsOf(says.description) !== wordsOf(shown.description);
      return {
        message: `${row.sys_id} ${row.state} ${row.sys_updated_on}`,
        decision: row.state === 'approved' ? 'approve' : 'deny',
        reason: `${row.state} in ServiceNow`,
        ...(isAltered && { weak: 'the record does not say any more what was asked' }),
        who: row['approver.user_name'],
        at,
        evidence: { record: reference, ...row },
      };
    },
  };
}

const shownOf = (message: Message) => ({
  short_description: message.heading.replaceAll(/\s+/g, ' ').slice(0, SHORT_CHARS).toWellFormed(),
  description: textOf(message),
});
const wordsOf = (text: string) => text.replaceAll(/\s+/g, ' ').trim();

/** Plain text; `[code]` would have ServiceNow read HTML. */
const textOf = ({ event, heading, facts, arguments: args, url }: Message) =>
  [
    heading,
    ...facts.map(([label, value]) => `${label}: ${value}`),
    ...(args === null ? [] : ['Arguments, as the agent gave them:', ...args.split('\n').map((each) => `  ${each}`)]),
  ]
    .join('\n')
    .replaceAll(/\[(\/?)code\]/gi, '[ $1code ]') +
  (event === 'asked' ? `\nReview and approve in Gatehouse: ${url}` : '');
