import type { ChannelManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import { type Json, parseStrictJson, signWebhook, verifyWebhook } from '../../platform/index.ts';
import { call } from './call.ts';
import type { Channel, Tools } from './types.ts';

const JSON_DEPTH = 8;

/** What a receiver answers, signed in the same way. */
const answer = z
  .strictObject({
    approval: z.string().max(100),
    decision: z.enum(['approve', 'deny']),
    /** Who has decided, as the channel's `people` name them. */
    person: z.string().min(1).max(200),
    reason: z.string().max(500).default(''),
    /** Of the action that they have seen; a yes needs it. */
    digest: z.string().max(100).optional(),
  })
  .refine(({ decision, digest }) => decision === 'deny' || digest !== undefined, {
    message: 'a yes has the digest of the action that was seen',
    path: ['digest'],
  });

const sent = {
  asked: 'approval.asked',
  closed: 'approval.closed',
  'break-glass': 'break-glass.moved',
  'lease-stuck': 'lease.stuck',
  'lease-over': 'lease.over',
  test: 'channel.test',
};

/** Standard Webhooks, out and in: events are signed with one secret, answers with another. */
export function openWebhook(manifest: ChannelManifest, tools: Tools): Channel {
  const { url, secret, answerSecret } = manifest.webhook as NonNullable<ChannelManifest['webhook']>;

  async function post(type: string, data: Json, id: string): Promise<void> {
    const at = tools.clock.now();
    const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
    const signed = signWebhook(await tools.openSecret(secret, url), { id, at, body });
    await call(tools, manifest, url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...signed },
      body,
    });
  }

  return {
    async send(message, { id }) {
      await post(sent[message.event], message.data, id);
      return null;
    },
    close: (message, { id }) => post('approval.closed', message.data, id),
    ...(answerSecret !== undefined && {
      async hear({ headers, body }) {
        const one = (name: string) => (typeof headers[name] === 'string' ? headers[name] : undefined);
        const signed = {
          'webhook-id': one('webhook-id'),
          'webhook-timestamp': one('webhook-timestamp'),
          'webhook-signature': one('webhook-signature'),
        };
        const key = await tools.openSecret(answerSecret, tools.publicUrl);
        const { id } = verifyWebhook(key, signed, body, tools.clock.now());
        const { person, ...said } = answer.parse(parseStrictJson(Buffer.from(body), JSON_DEPTH));
        return { ...said, who: person, message: id, evidence: { ...signed, body } as Json };
      },
    }),
  };
}
