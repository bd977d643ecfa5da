import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { isJsonObject } from '../../../platform/index.ts';
import { DeliveryFailure, type Destination, type Encoded, type SinkOf, type Tools } from '../types.ts';
import { send } from './http.ts';

const ACK_POLL_MS = 250;

/** Splunk's HTTP Event Collector. With `acknowledge` a batch counts when an indexer has it, not when the collector has. */
export function splunkHec(sink: SinkOf<'splunk-hec'>, tools: Tools): Destination {
  const { to } = sink;
  const channel = randomUUID();
  const events = new URL('/services/collector/event', to.url);
  const acks = new URL(`/services/collector/ack?channel=${channel}`, to.url);

  const eventOf = ({ id, at, replica, isJson, text }: Encoded) => {
    const around = JSON.stringify({
      time: at / 1_000,
      host: replica,
      source: 'gatehouse',
      ...(to.sourcetype !== undefined && { sourcetype: to.sourcetype }),
      ...(to.index !== undefined && { index: to.index }),
      fields: { gatehouse_id: id },
    });
    // What is JSON is not turned into text a second time.
    return `${around.slice(0, -1)},"event":${isJson ? text : JSON.stringify(text)}}`;
  };

  return {
    async send(batch, signal) {
      const secret = await tools.openSecret(to.secret, to.url);
      const headers = {
        authorization: `Splunk ${secret.reveal()}`,
        'content-type': 'application/json',
        'x-splunk-request-channel': channel,
      };
      const taken = await send(tools, sink, events, { headers, secret, body: batch.map(eventOf).join('\n') });
      if (!to.acknowledge) return { refused: new Map() };
      const id = memberOf(taken.body, 'ackId');
      if (typeof id !== 'number')
        throw new DeliveryFailure('retry', 'it gave no ackId: indexer acknowledgement is not enabled for the token');
      const until = performance.now() + sink.timeoutMs;
      while (performance.now() < until) {
        const { body } = await send(tools, sink, acks, { headers, secret, body: JSON.stringify({ acks: [id] }) });
        const states = memberOf(body, 'acks');
        if (isJsonObject(states) && states[String(id)] === true) return { refused: new Map() };
        await wait(ACK_POLL_MS, undefined, { signal });
      }
      throw new DeliveryFailure('retry', `no indexer has acknowledged the batch within ${sink.timeoutMs} ms`);
    },
    async close() {},
  };
}

function memberOf(body: Buffer, name: string): unknown {
  try {
    const json: unknown = JSON.parse(body.toString());
    return isJsonObject(json) ? json[name] : undefined;
  } catch {
    return undefined;
  }
}
