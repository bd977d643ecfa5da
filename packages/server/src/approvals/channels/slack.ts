import { createHmac } from 'node:crypto';
import type { ChannelManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import {
  constantTimeEqual,
  GatehouseError,
  isJsonObject,
  type Json,
  parseStrictJson,
  type Secret,
} from '../../platform/index.ts';
import { call } from './call.ts';
import type { Message } from './message.ts';
import { type Answer, type Channel, NotDeliverable, type Tools } from './types.ts';

/** Older requests are replays (Slack, "Verifying requests from Slack"). */
const TOLERANCE_SECONDS = 300;
const JSON_DEPTH = 32;
const DENY = 'gatehouse-deny';
const APPROVE = 'gatehouse-approve';
/** What Slack takes in one text object. */
const TEXT_CHARS = 2_900;

/** Errors of the Web API after which the same call fails again. */
const forGood =
  /^(?:channel_not_found|not_in_channel|is_archived|invalid_auth|not_authed|account_inactive|token_revoked|token_expired|missing_scope|no_permission|restricted_action|invalid_blocks|invalid_arguments|msg_too_long|message_not_found|cant_update_message|edit_window_closed)/;

/** What is read of a `block_actions` payload. */
const payload = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id: z.string().min(1).max(100) }),
  team: z.object({ id: z.string().min(1).max(100) }).nullish(),
  actions: z.array(z.object({ action_id: z.string(), value: z.string().max(200).optional() })).length(1),
});

/**
 * One message in one Slack channel, changed once somebody has decided. Its button leads to the page; the other one denies. All text is `plain_text`,
 * in which Slack reads neither links, mentions nor markup.
 */
export function openSlack(manifest: ChannelManifest, tools: Tools): Channel {
  const { channel, botToken, signingSecret, team, approveButton, api } = manifest.slack as NonNullable<
    ChannelManifest['slack']
  >;

  async function web(method: string, body: Json): Promise<Record<string, unknown>> {
    const url = `${api}/${method}`;
    const token = await tools.openSecret(botToken, url);
    const answer = await call(tools, manifest, url, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${token.reveal()}` },
      body: JSON.stringify(body),
    });
    const json = parseStrictJson(answer.body, JSON_DEPTH);
    if (!isJsonObject(json)) throw new Error('Slack answered something else than an object');
    if (json.ok === true) return json;
    const error = String(json.error).slice(0, 100);
    throw forGood.test(error) ? new NotDeliverable(`Slack: ${error}`) : new Error(`Slack: ${error}`);
  }

  return {
    async send(message) {
      const { ts } = await web('chat.postMessage', { channel, ...posted(message, approveButton && message.isWhole) });
      return typeof ts === 'string' ? ts : null;
    },

    async close(message, { reference }) {
      if (reference === null) throw new NotDeliverable('Slack did not say what the message is called');
      await web('chat.update', { channel, ts: reference, ...posted(message, false) });
    },

    async hear({ headers, body }) {
      const one = (name: string) => (typeof headers[name] === 'string' ? headers[name] : '');
      const timestamp = one('x-slack-request-timestamp');
      const signature = one('x-slack-signature');
      const secret = await tools.openSecret(signingSecret, tools.publicUrl);
      verifySlack(secret, { timestamp, signature, body }, tools.clock.now());
      const said = payload.parse(
        parseStrictJson(Buffer.from(new URLSearchParams(body).get('payload') ?? ''), JSON_DEPTH),
      );
      if (team !== undefined && said.team?.id !== team)
        throw new GatehouseError('forbidden', 'channel.team', 'The message is of another Slack workspace.');
      const [action] = said.actions;
      // The button that leads to the page tells of its press as well.
      if (!action || (action.action_id !== DENY && action.action_id !== APPROVE)) return { status: 200 };
      return {
        message: signature,
        approval: action.value ?? '',
        decision: action.action_id === DENY ? 'deny' : 'approve',
        reason: '',
        who: said.user.id,
        evidence: { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': signature, body },
      };
    },

    // Slack shows its users nothing of an answer that is not 200; they are told in a message that only they see.
    async reply(outcome, { who }: Answer) {
      if ('refused' in outcome) {
        const text = outcome.refused.detail;
        const told = { channel, user: who, text: 'Refused', blocks: [section(text)] };
        await web('chat.postEphemeral', told as Json).catch(() => undefined);
      }
      return { status: 200 };
    },
  };
}

/** Throws unless Slack has signed it, within five minutes. */
export function verifySlack(
  secret: Secret,
  { timestamp, signature, body }: { timestamp: string; signature: string; body: string },
  now: number,
): void {
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1_000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw new GatehouseError(
      'unauthenticated',
      'slack.timestamp',
      `The request was signed more than ${TOLERANCE_SECONDS} s away from the time here, or not at all.`,
    );
  const expected = `v0=${createHmac('sha256', secret.reveal()).update(`v0:${timestamp}:${body}`).digest('hex')}`;
  if (!constantTimeEqual(expected, signature))
    throw new GatehouseError('unauthenticated', 'slack.signature', 'The request was not signed by this Slack app.');
}

const plainText = (text: string) => ({
  type: 'plain_text',
  text: text.slice(0, TEXT_CHARS).toWellFormed() || ' ',
  emoji: false,
});
const section = (text: string) => ({ type: 'section', text: plainText(text) });

function posted(message: Message, approveButton: boolean): Record<string, Json> {
  const { event, heading, facts, arguments: args, url, approval } = message;
  const button = (action_id: string, text: string, more: object) => ({
    type: 'button',
    action_id,
    text: plainText(text),
    ...more,
  });
  const buttons = [
    button('gatehouse-open', 'Review and approve', { url, style: 'primary' }),
    ...(approveButton ? [button(APPROVE, 'Approve here', { value: approval })] : []),
    button(DENY, 'Deny', { value: approval, style: 'danger' }),
  ];
  const blocks = [
    section(heading),
    ...(facts.length > 0
      ? [{ type: 'section', fields: facts.slice(0, 10).map(([label, value]) => plainText(`${label}\n${value}`)) }]
      : []),
    ...(args === null ? [] : [section(args)]),
    ...(event === 'asked' ? [{ type: 'actions', block_id: 'gatehouse', elements: buttons }] : []),
  ];
  // `text` is what notifications show: words of ours alone.
  const text = {
    asked: 'An action waits for a person',
    closed: 'Decided',
    'break-glass': 'BREAK-GLASS',
    'lease-stuck': 'A credential could not be ended',
    'lease-over': 'A credential is no longer stuck',
    test: 'A test',
  }[event];
  return {
    text,
    blocks: blocks as Json,
    mrkdwn: false,
    parse: 'none',
    link_names: false,
    unfurl_links: false,
    unfurl_media: false,
  };
}
