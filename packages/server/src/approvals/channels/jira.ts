import { createHmac } from 'node:crypto';
import type { ChannelManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import { constantTimeEqual, GatehouseError, type Json, parseStrictJson } from '../../platform/index.ts';
import { restAt } from './call.ts';
import { channelLimits } from './limits.ts';
import type { Message } from './message.ts';
import { type Channel, type Looked, NotDeliverable, type Tools } from './types.ts';

const JSON_DEPTH = 64;
const SUMMARY_CHARS = 240;
/** Of the issue: what it was opened for. */
const PROPERTY = 'gatehouse';

const created = z.object({ key: z.string().regex(/^[A-Z][A-Z0-9_]+-\d+$/) });

/** What is read of an issue with its changelog: who moved it last, and to where. */
const issue = z.object({
  properties: z
    .object({ [PROPERTY]: z.object({ approval: z.string(), digest: z.string() }) })
    .optional()
    .catch(undefined),
  fields: z.object({ status: z.object({ name: z.string() }), summary: z.string().nullish(), description: z.unknown() }),
  changelog: z.object({
    histories: z.array(
      z.object({
        id: z.string(),
        created: z.string(),
        author: z.object({ accountId: z.string() }).optional(),
        items: z.array(z.object({ field: z.string(), toString: z.unknown() })),
      }),
    ),
  }),
});

const event = z.object({ issue: z.object({ key: z.string().max(100) }) });

/**
 * An issue in Jira Cloud for each approval. Its state there is read with who brought it there, and counts as the manifest maps it. A signed webhook only says
 * that it is time to look: what counts is what Jira answers.
 */
export function openJira(manifest: ChannelManifest, tools: Tools): Channel {
  const { url, user, token, project, issueType, decisions, webhookSecret } = manifest.jira as NonNullable<
    ChannelManifest['jira']
  >;

  const rest = restAt(tools, manifest, {
    base: `${url.replace(/\/$/, '')}/rest/api/3`,
    user,
    password: token,
    depth: JSON_DEPTH,
  });

  return {
    async send(message) {
      if (message.event === 'test') {
        await rest('GET', `project/${encodeURIComponent(project)}`);
        return null;
      }
      const fields = { project: { key: project }, issuetype: { name: issueType }, ...shownOf(message) };
      const { approval, digest } = message;
      const properties = [{ key: PROPERTY, value: { approval, digest } }];
      return created.parse(await rest('POST', 'issue', { fields, properties })).key;
    },

    async close(message, { reference }) {
      if (reference === null) throw new NotDeliverable('Jira did not say what the issue is called');
      await rest('POST', `issue/${encodeURIComponent(reference)}/comment`, { body: documentOf(message) });
    },

    async look({ reference }, about): Promise<Looked | null> {
      if (reference === null) return null;
      const path = `issue/${encodeURIComponent(reference)}?fields=status,summary,description&properties=${PROPERTY}&expand=changelog`;
      const { fields, changelog, properties } = issue.parse(await rest('GET', path));
      // INVARIANT: it was opened for this approval, whatever the row says that led here.
      const opened = properties?.[PROPERTY];
      if (opened?.approval !== about.id || opened.digest !== about.digest)
        throw new Error(`the issue ${reference} was not opened for ${about.id}`);
      const moves = changelog.histories
        .filter(({ items }) => items.some(({ field }) => field === 'status'))
        .sort((a, b) => Date.parse(b.created) - Date.parse(a.created));
      const [last] = moves;
      const to = last?.items.findLast(({ field }) => field === 'status')?.toString;
      // INVARIANT: who moved it last brought it to where it is now.
      if (!last || to !== fields.status.name) return null;
      const at = Date.parse(last.created);
      if (!(at >= about.createdAt - channelLimits.clockSkewSeconds * 1_000)) return null;
      const decision = decisions.approve.includes(to) ? 'approve' : decisions.deny.includes(to) ? 'deny' : null;
      if (decision === null) return null;
      const evidence = {
        issue: reference,
        history: last.id,
        at: last.created,
        author: last.author?.accountId ?? '',
        to,
      };
      const isAltered = decision === 'approve' && (isEdited(changelog) || !isSameText(fields, await about.message()));
      return {
        message: `${reference} ${last.id}`,
        decision,
        ...(isAltered && { weak: `${reference} does not say any more what was asked` }),
        reason: `${reference} is ${to}`,
        who: evidence.author,
        at,
        evidence,
      };
    },

    ...(webhookSecret !== undefined && {
      async hear({ headers, body }) {
        const given = headers['x-hub-signature'];
        const secret = await tools.openSecret(webhookSecret, tools.publicUrl);
        const expected = `sha256=${createHmac('sha256', secret.reveal()).update(body).digest('hex')}`;
        if (typeof given !== 'string' || !constantTimeEqual(expected, given))
          throw new GatehouseError('unauthenticated', 'jira.signature', 'The webhook was not signed with its secret.');
        return { look: event.parse(parseStrictJson(Buffer.from(body), JSON_DEPTH)).issue.key };
      },
    }),
  };
}

const shownOf = (message: Message) => ({
  summary: message.heading.replaceAll(/\s+/g, ' ').slice(0, SUMMARY_CHARS).toWellFormed(),
  description: documentOf(message),
});

/** Whoever edits an issue chooses what its approver reads, and may put it back before we look. */
const isEdited = ({ histories }: z.infer<typeof issue>['changelog']) =>
  histories.some(({ items }) => items.some(({ field }) => field === 'summary' || field === 'description'));

function isSameText({ summary, description }: z.infer<typeof issue>['fields'], message: Message): boolean {
  const shown = shownOf(message);
  return wordsOf(summary ?? '') === wordsOf(shown.summary) && wordsOf(description) === wordsOf(shown.description);
}

/** The text of a document, however Jira keeps its nodes. */
function wordsOf(node: unknown): string {
  const words = (each: unknown): string => {
    if (typeof each === 'string') return each;
    if (Array.isArray(each)) return each.map(words).join(' ');
    const { text, content } = (each ?? {}) as { text?: unknown; content?: unknown };
    return typeof text === 'string' ? text : words(content ?? []);
  };
  return words(node).replaceAll(/\s+/g, ' ').trim();
}

/** Atlassian Document Format: text nodes, in which Jira reads no markup. */
function documentOf({ event: kind, heading, facts, arguments: args, url }: Message): Json {
  const text = (content: string, marks: Json[] = []) => ({
    type: 'text',
    text: content,
    ...(marks.length > 0 && { marks }),
  });
  const paragraph = (...content: Json[]) => ({ type: 'paragraph', content });
  const link = { type: 'link', attrs: { href: url } };
  return {
    type: 'doc',
    version: 1,
    content: [
      paragraph(text(heading)),
      ...facts.map(([label, value]) => paragraph(text(`${label}: ${value}`))),
      ...(args === null ? [] : [{ type: 'codeBlock', content: [text(args)] }]),
      ...(kind === 'asked' ? [paragraph(text('Review and approve in Gatehouse', [link]))] : []),
    ],
  };
}
