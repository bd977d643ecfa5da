import type { Approval, ChannelManifest } from '@gatehouse/protocol';
import type { Json, JsonObject } from '../../platform/index.ts';
import { channelLimits } from './limits.ts';

/**
 * What people are told. An attacker chooses arguments, intents and some names: for people all of it is made plain here, and each channel puts it
 * where its system reads no markup.
 */
export interface Message {
  event: 'asked' | 'closed' | 'test';
  /** `apr_…`; null in a test. */
  approval: string | null;
  /** One line. */
  heading: string;
  facts: [label: string, value: string][];
  /** Only where the channel shows them. */
  arguments: string | null;
  /** The page where a passkey approves. */
  url: string;
  expiresAt: number | null;
  /** The same for programs: exact, and not made plain. */
  data: JsonObject;
}

interface Shown {
  show: ChannelManifest['show'];
  publicUrl: string;
  /** Names credentials in place of showing them. */
  mask(value: Json): Json;
}

export function messageOf(approval: Approval, event: 'asked' | 'closed', { show, publicUrl, mask }: Shown): Message {
  const { id, agent, tool, environment, state, expiresAt, decidedBy, reason, digest } = approval;
  const url = `${publicUrl}/approvals/${encodeURIComponent(id)}`;
  const isNamed = show !== 'nothing';
  const shown = show === 'arguments' ? mask(approval.arguments as Json) : null;
  const closed = event === 'closed';
  return {
    event,
    approval: id,
    heading: closed
      ? closedWords(approval)
      : isNamed
        ? `${plain(agent)} asks for ${plain(tool)}`
        : 'An action waits for you',
    facts: [
      ...(isNamed
        ? ([
            ['Agent', plain(agent)],
            ['Tool', plain(tool)],
            ['Environment', plain(environment)],
          ] as [string, string][])
        : []),
      ...(show === 'arguments' && approval.intent !== ''
        ? ([['Intent (declared by the agent)', cut(plain(approval.intent), 300)]] as [string, string][])
        : []),
      ...(closed && reason && isNamed ? ([['Reason', cut(plain(reason), 300)]] as [string, string][]) : []),
    ],
    arguments: shown === null ? null : cut(plain(JSON.stringify(shown, null, 2)), channelLimits.argumentChars),
    url,
    expiresAt,
    data: {
      approval: id,
      state,
      url,
      expiresAt: new Date(expiresAt).toISOString(),
      ...(isNamed && { agent, tool, environment, digest, operation: approval.operation }),
      ...(isNamed && closed && { decidedBy, reason }),
      ...(show === 'arguments' && { arguments: shown as Json, intent: mask(approval.intent) }),
    },
  };
}

export function testMessage(channel: string, publicUrl: string): Message {
  const heading = `A test of the channel ${channel}: nothing waits for you`;
  const data = { channel, url: publicUrl };
  return { event: 'test', approval: null, heading, facts: [], arguments: null, url: publicUrl, expiresAt: null, data };
}

function closedWords({ state, decidedBy }: Approval): string {
  const by = decidedBy ? ` by ${plain(decidedBy)}` : '';
  switch (state) {
    case 'approved':
    case 'consumed':
      return `Approved${by}`;
    case 'denied':
      return `Denied${by}`;
    case 'expired':
      return 'Nobody decided in time';
    default:
      return 'Not wanted any more';
  }
}

/**
 * Text of which no reader makes a link, and in which nothing is hidden: what is not printed is written out (`\u{202e}`), and addresses are
 * broken in the way that security people write them (`https[:]//evil[.]example`). Numbers such as 40.00 stay.
 */
export function plain(text: string): string {
  return text
    .normalize('NFC')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\u2800\u3164\uFFA0\u115F\u1160]/gu, (char) =>
      char === '\n' ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
    )
    .replaceAll(/:(?=\/\/)/g, '[:]')
    .replaceAll(/[\p{L}\p{N}_-]+(?:[.\u3002\uFF0E\uFF61][\p{L}\p{N}_-]+)+/gu, (word) =>
      /^-?\d+\.\d+$/.test(word) ? word : word.replaceAll(/[.\u3002\uFF0E\uFF61]/g, '[.]'),
    )
    .replaceAll(/\b(mailto|tel|javascript|data|sms)(?=:)/gi, '$1[ ]');
}

export function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars).toWellFormed()} … (cut; the page has all of it)`;
}
