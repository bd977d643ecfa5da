import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

/**
 * A fake of Splunk's HTTP Event Collector, from Splunk's published description of its endpoints, codes and indexer acknowledgement: it keeps events in
 * memory, and "indexes" them when it is asked about their acknowledgement for the second time.
 */
export function createSplunkHec({ token, acknowledges = false }: { token: string; acknowledges?: boolean }) {
  const pending = new Map<number, { events: SplunkEvent[]; asked: number }>();
  const indexed: SplunkEvent[] = [];
  let nextAck = 0;

  return {
    indexed,
    handle(
      { url, headers, body }: { url: string; headers: IncomingHttpHeaders; body: Buffer },
      answer: ServerResponse,
    ) {
      const say = (status: number, json: object) =>
        answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      if (headers.authorization !== `Splunk ${token}`) return say(403, { text: 'Invalid token', code: 4 });
      if (url.startsWith('/services/collector/ack')) {
        const { acks } = JSON.parse(body.toString()) as { acks: number[] };
        return say(200, { acks: Object.fromEntries(acks.map((id) => [String(id), isIndexed(id)])) });
      }
      if (url !== '/services/collector/event') return say(404, { text: 'not found', code: 404 });
      const events: SplunkEvent[] = [];
      for (const line of body.toString().split('\n')) {
        try {
          const event = JSON.parse(line) as SplunkEvent;
          if (event.event === undefined) throw new Error('no event');
          events.push(event);
        } catch {
          return say(400, { text: 'Invalid data format', code: 6, 'invalid-event-number': events.length });
        }
      }
      if (!acknowledges) {
        indexed.push(...events);
        return say(200, { text: 'Success', code: 0 });
      }
      if (headers['x-splunk-request-channel'] === undefined)
        return say(400, { text: 'Data channel is missing', code: 10 });
      const ackId = nextAck++;
      pending.set(ackId, { events, asked: 0 });
      return say(200, { text: 'Success', code: 0, ackId });
    },
  };

  function isIndexed(id: number): boolean {
    const waiting = pending.get(id);
    if (!waiting || ++waiting.asked < 2) return false;
    indexed.push(...waiting.events);
    pending.delete(id);
    return true;
  }
}

export interface SplunkEvent {
  time: number;
  host: string;
  index?: string;
  sourcetype?: string;
  event: unknown;
  fields: { gatehouse_id: string };
}
