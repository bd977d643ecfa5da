import { isJsonObject } from '../../../platform/index.ts';
import { exportLimits } from '../limits.ts';
import { plainLine } from '../line.ts';
import { DeliveryFailure, type Destination, type Encoded, type SinkOf, type Tools } from '../types.ts';
import { send } from './http.ts';

const ANSWER_BYTES = 4 * 1024 * 1024;
const THERE_ALREADY = 409;

/**
 * Elasticsearch and what speaks as it does: `_bulk` with `create`, so that a data stream takes it and a record that is there already stays
 * as it is.
 */
export function elastic(sink: SinkOf<'elastic'>, tools: Tools): Destination {
  const { to } = sink;
  const base = to.url.replace(/\/$/, '');
  const url = new URL(`${base}/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason`);

  const linesOf = ({ id, at, text }: Encoded) => {
    const document = sink.format === 'ecs' ? text : `{"@timestamp":"${new Date(at).toISOString()}",${text.slice(1)}`;
    return `${JSON.stringify({ create: { _index: to.dataStream, _id: id } })}\n${document}\n`;
  };

  return {
    async send(batch) {
      const secret = to.secret === undefined ? undefined : await tools.openSecret(to.secret, to.url);
      const { body } = await send(tools, sink, url, {
        headers: {
          'content-type': 'application/x-ndjson',
          ...(secret && { authorization: `ApiKey ${secret.reveal()}` }),
        },
        secret,
        body: batch.map(linesOf).join(''),
        maxBytes: ANSWER_BYTES,
      });
      return { refused: refusedOf(body, batch.length) };
    },
    async close() {},
  };
}

/** What the cluster is too busy for is no refusal: then the whole batch comes again, and what is there already stays. */
function refusedOf(body: Buffer, count: number): Map<number, string> {
  const items = itemsOf(body);
  if (items?.length !== count) throw new DeliveryFailure('retry', 'its answer is not the one of _bulk');
  const refused = new Map<number, string>();
  items.forEach(({ status, reason }, at) => {
    if (status < 300 || status === THERE_ALREADY) return;
    if (status === 429 || status >= 500 || status === 401 || status === 403 || status === 404)
      throw new DeliveryFailure('retry', `it answered ${status} for a record: ${reason}`);
    refused.set(at, `${status}: ${reason}`);
  });
  return refused;
}

function itemsOf(body: Buffer): { status: number; reason: string }[] | undefined {
  try {
    const { items } = JSON.parse(body.toString()) as { items: Record<string, unknown>[] };
    return items.map((item) => {
      const { create } = item;
      if (!isJsonObject(create) || typeof create.status !== 'number') throw new Error('no status');
      const error = isJsonObject(create.error) ? create.error : {};
      return {
        status: create.status,
        reason: plainLine(`${String(error.type)}: ${String(error.reason)}`, exportLimits.problemChars),
      };
    });
  } catch {
    return undefined;
  }
}
