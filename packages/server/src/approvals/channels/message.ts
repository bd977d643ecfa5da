import { type Approval, type BreakGlass, type ChannelManifest, undoWords } from '@gatehouse/protocol';
import { canonicalJson, type Json, type JsonObject } from '../../platform/index.ts';
import { channelLimits } from './limits.ts';

/**
 * What people are told. An attacker chooses arguments, intents and some names: for people all of it is made plain here, and each channel puts it
 * where its system reads no markup.
 */
export interface Message {
  event: 'asked' | 'closed' | 'break-glass' | 'lease-stuck' | 'lease-over' | 'test';
  /** `apr_…`, or the id of what else it is about; null in a test. */
  approval: string | null;
  /** Of what is approved. */
  digest: string | null;
  /** One line. */
  heading: string;
  facts: [label: string, value: string][];
  /** Only where the channel shows them. */
  arguments: string | null;
  /** Whether all that would be approved stands in it: nothing was cut, and no credential was taken out. */
  isWhole: boolean;
  /** How much it matters, for places that can be loud or quiet; what is known of its risk and nothing of its arguments. */
  urgency: 'normal' | 'high';
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
  const { id, agent, environment, state, expiresAt, decidedBy, digest } = approval;
  // The tool of a resource or prompt ends with words of the agent's own.
  const [tool, intent, reason] = [approval.tool, approval.intent, approval.reason ?? ''].map((text) =>
    String(mask(text)),
  ) as [string, string, string];
  const url = `${publicUrl}/approvals/${encodeURIComponent(id)}`;
  const isNamed = show !== 'nothing';
  const shown = show === 'arguments' ? mask(approval.arguments as Json) : null;
  const text = shown === null ? null : plain(JSON.stringify(shown, null, 2));
  const closed = event === 'closed';
  return {
    event,
    approval: id,
    digest,
    heading: closed
      ? closedWords(approval)
      : isNamed
        ? `${line(agent)} asks for ${line(tool)}`
        : 'An action waits for you',
    facts: [
      ...(isNamed
        ? ([
            ['Agent', line(agent)],
            ['Tool', line(tool)],
            ['Environment', line(environment)],
          ] as [string, string][])
        : []),
      ...(show === 'arguments' && intent !== ''
        ? ([['Intent (declared by the agent)', line(intent)]] as [string, string][])
        : []),
      ...(show === 'arguments' && !closed ? aroundOf(approval, (text) => line(String(mask(text)))) : []),
      ...(closed && reason && isNamed ? ([['Reason', line(reason)]] as [string, string][]) : []),
    ],
    arguments: text === null ? null : cut(text, channelLimits.argumentChars),
    urgency: approval.risk.score >= channelLimits.urgentRisk ? 'high' : 'normal',
    isWhole:
      text !== null &&
      text.length <= channelLimits.argumentChars &&
      canonicalJson(shown) === canonicalJson(approval.arguments as Json) &&
      tool === approval.tool &&
      oneLine(tool).length <= channelLimits.lineChars,
    url,
    expiresAt,
    data: {
      approval: id,
      state,
      url,
      expiresAt: new Date(expiresAt).toISOString(),
      ...(isNamed && { agent, tool, environment, digest, operation: approval.operation }),
      ...(isNamed && closed && { decidedBy, reason: approval.reason === null ? null : reason }),
      ...(show === 'arguments' && { arguments: shown as Json, intent, ...aroundData(approval, mask) }),
    },
  };
}

/** What an approver is to know beside the action itself. Slack shows ten facts, and these are the last six. */
function aroundOf(
  { requestedBy, onBehalfOf, delegated, decision, risk, undo }: Approval,
  shown: (text: string) => string,
): [string, string][] {
  const chain = delegated?.chain.map(({ agent }) => agent).join(' ← ') ?? '';
  const user = delegated?.user ?? null;
  const found: [string, string | null][] = [
    ['Asked for by (declared by the agent)', requestedBy],
    user === null ? ['On behalf of (declared by the agent)', onBehalfOf] : ['Done for (proven)', user],
    ['Handed on by', chain],
    ['Why it waits', decision.reason],
    ['Look at', risk.reasons.join('; ')],
    ['Can be undone', undoWords(undo)],
  ];
  return found.flatMap(([label, value]): [string, string][] => (value ? [[label, shown(value)]] : []));
}

function aroundData(
  { requestedBy, onBehalfOf, delegated, decision, risk, undo }: Approval,
  mask: Shown['mask'],
): JsonObject {
  const { possible, how, withinSeconds } = undo;
  const user = delegated?.user ?? null;
  const handedOnBy = delegated?.chain.map(({ agent }) => agent) ?? [];
  const declared = mask({ requestedBy, onBehalfOf }) as JsonObject;
  return {
    ...{ ...declared, user, handedOnBy, why: mask(decision.reason), lookAt: mask(risk.reasons) },
    undo: { possible, how, withinSeconds },
  };
}

/** Loud, and the same for all channels but for its reason, which a channel that shows nothing does not hold. */
export function glassMessage(glass: BreakGlass, { show, publicUrl, mask }: Shown): Message {
  const { id, agent, task, tools, incident, state, digest, firstBy, secondBy, until, requestedBy } = glass;
  const url = `${publicUrl}/break-glass/${encodeURIComponent(id)}`;
  const words = { asked: 'asked for', signed: 'signed by one', over: 'over', lapsed: 'lapsed', ended: 'ended' };
  const now = state === 'open' ? `OPEN until ${new Date(until ?? 0).toISOString()}` : words[state];
  const reason = String(mask(glass.reason));
  return {
    event: 'break-glass',
    approval: id,
    digest,
    heading: `BREAK-GLASS ${line(incident)}: ${now}`,
    facts:
      show === 'nothing'
        ? []
        : [
            ['Agent', line(agent)],
            ['Task', line(task)],
            ['Tools', line(tools.join(', '))],
            ['Asked for by', line(requestedBy)],
            ['Signed by', line([firstBy, secondBy].filter((each) => each !== null).join(', ') || 'nobody')],
            ['Reason', line(reason)],
          ],
    arguments: null,
    urgency: 'high',
    isWhole: false,
    url,
    expiresAt: until,
    data: {
      breakGlass: id,
      state,
      incident,
      url,
      ...(show !== 'nothing' && { agent, task, tools, requestedBy, firstBy, secondBy, until, reason }),
    },
  };
}

export function testMessage(channel: string, publicUrl: string): Message {
  const heading = `A test of the channel ${channel}: nothing waits for you`;
  const data = { channel, url: publicUrl };
  return {
    event: 'test',
    approval: null,
    digest: null,
    heading,
    facts: [],
    arguments: null,
    urgency: 'normal',
    isWhole: false,
    url: publicUrl,
    expiresAt: null,
    data,
  };
}

function closedWords({ state, decidedBy }: Approval): string {
  const by = decidedBy ? ` by ${line(decidedBy)}` : '';
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

const oneLine = (text: string) => plain(text).replaceAll('\n', '\\u{a}');

/** A value that stays on its line: whoever chose it makes no lines of their own. */
export const line = (text: string) => cut(oneLine(text), channelLimits.lineChars);

export function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars).toWellFormed()} … (cut; the page has all of it)`;
}
