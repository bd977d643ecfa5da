import type { ChannelManifest } from '@gatehouse/protocol';
import { type Json, type OutboundAnswer, type OutboundRequest, parseStrictJson } from '../../platform/index.ts';
import { NobodyThere, NotDeliverable, type Tools, TryLater } from './types.ts';

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
  throw status === 404 || status === 410 ? new NobodyThere(words) : new NotDeliverable(words);
}

/** A REST interface that asks for a name and a password (RFC 7617). `password`: of the stored secret, which is for its address. */
export const restAt =
  (tools: Tools, manifest: ChannelManifest, of: { base: string; user: string; password: string; depth: number }) =>
  async (method: 'GET' | 'POST' | 'PUT', path: string, body?: Json): Promise<Json> => {
    const address = `${of.base}/${path}`;
    const secret = await tools.openSecret(of.password, address);
    const authorization = `Basic ${Buffer.from(`${of.user}:${secret.reveal()}`).toString('base64')}`;
    const answer = await call(tools, manifest, address, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return answer.body.byteLength === 0 ? null : parseStrictJson(answer.body, of.depth);
  };
