import type { SinkFormat } from '@gatehouse/protocol';
import { sha256Hex, signWebhook } from '../../../platform/index.ts';
import type { Destination, SinkOf, Tools } from '../types.ts';
import { send } from './http.ts';

/** One record in each line, except where a format has a batch of its own. */
const types: Record<SinkFormat, string> = {
  ocsf: 'application/x-ndjson',
  ecs: 'application/x-ndjson',
  'json-lines': 'application/x-ndjson',
  otlp: 'application/x-ndjson',
  cef: 'text/plain; charset=utf-8',
  'cloud-events': 'application/cloudevents-batch+json',
};

/** A POST for each batch, signed as Standard Webhooks say. The same batch has the same `webhook-id`. */
export function webhook(sink: SinkOf<'webhook'>, tools: Tools): Destination {
  const { to, format } = sink;
  const url = new URL(to.url);
  return {
    async send(batch) {
      const secret = await tools.openSecret(to.secret, to.url);
      const texts = batch.map(({ text }) => text);
      const body = format === 'cloud-events' ? `[${texts.join(',')}]` : `${texts.join('\n')}\n`;
      const id = `msg_${sha256Hex(`${batch[0]?.id}\n${batch.at(-1)?.id}`).slice(0, 32)}`;
      const signed = signWebhook(secret, { id, at: tools.clock.now(), body });
      await send(tools, sink, url, { headers: { 'content-type': types[format], ...signed }, secret, body });
      return { refused: new Map() };
    },
    async close() {},
  };
}
