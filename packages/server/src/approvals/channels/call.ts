import type { ChannelManifest } from '@gatehouse/protocol';
import type { OutboundAnswer, OutboundRequest, Secret } from '../../platform/index.ts';
import { NotDeliverable, type Tools, TryLater } from './types.ts';

/** What every channel that is called over HTTP does with answers: 2xx is delivered, 408, 429 and 5xx are tried again, the rest is given up. */
export async function call(
  tools: Pick<Tools, 'outbound'>,
  { allowPrivateAddress, ca }: Pick<ChannelManifest, 'allowPrivateAddress' | 'ca'>,
  url: string,
  request: OutboundRequest,
): Promise<OutboundAnswer> {
  const answer = await tools.outbound.fetch(url, { allowPrivateAddress, ...(ca !== undefined && { ca }), ...request });
  const { status } = answer;
  if (status >= 200 && status < 300) return answer;
  const words = `it answered ${status}`;
  const seconds = Number(answer.headers['retry-after']);
  if (status === 429 || status === 503)
    throw new TryLater(words, Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0);
  if (status === 408 || status >= 500) throw new Error(words);
  throw new NotDeliverable(words);
}

/** RFC 7617. */
export const basic = (user: string, password: Secret): string =>
  `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}`;
