import type { SinkManifest } from '@gatehouse/protocol';
import type { OutboundAnswer, OutboundRequest, Secret } from '../../../platform/index.ts';
import { exportLimits } from '../limits.ts';
import { plainLine } from '../line.ts';
import { DeliveryFailure, type Tools } from '../types.ts';

/** Answers that say of what was sent that it is wrong. Others say something of the receiver, or of who sends. */
const refusals = [400, 422];
const TOO_LARGE = 413;

/** Resolves with an answer of 2xx. Redirects are not followed: a receiver that has moved is a change of its manifest. */
export async function send(
  tools: Pick<Tools, 'outbound' | 'clock'>,
  sink: SinkManifest,
  url: URL,
  request: OutboundRequest & { secret?: Secret | undefined },
): Promise<OutboundAnswer> {
  const { secret, ...given } = request;
  const answer = await tools.outbound
    .fetch(url.href, {
      method: 'POST',
      timeoutMs: sink.timeoutMs,
      allowPrivateAddress: sink.allowPrivateAddress,
      ...(sink.ca !== undefined && { ca: sink.ca }),
      ...given,
    })
    .catch((cause: Error) => {
      throw new DeliveryFailure('retry', cause.message, { cause });
    });
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw failureOf(answer, tools.clock.now(), secret);
}

export function failureOf(answer: OutboundAnswer, now: number, secret?: Secret): DeliveryFailure {
  const said = saidBy(answer, secret);
  const message = `it answered ${answer.status}${said ? `: ${said}` : ''}`;
  const kind = answer.status === TOO_LARGE ? 'too-large' : refusals.includes(answer.status) ? 'refused' : 'retry';
  return new DeliveryFailure(kind, message, { retryAfterMs: retryAfterMs(answer.headers['retry-after'], now) });
}

/** Short, in one line, and without what it was sent as a secret. */
function saidBy({ body }: OutboundAnswer, secret: Secret | undefined): string {
  const text = body.toString('utf8', 0, 4_096);
  const shown = secret === undefined ? text : text.replaceAll(secret.reveal(), '[secret]');
  return plainLine(shown, exportLimits.problemChars).trim();
}

/** Seconds or a date (RFC 9110 §10.2.3). */
function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), exportLimits.longestRetryAfterMs);
}
