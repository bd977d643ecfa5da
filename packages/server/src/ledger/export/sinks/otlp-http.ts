import { isJsonObject } from '../../../platform/index.ts';
import { logsData } from '../formats/otlp.ts';
import { plainLine } from '../line.ts';
import { DeliveryFailure, type Destination, type SinkOf, type Tools } from '../types.ts';
import { send } from './http.ts';

/** A receiver of OpenTelemetry's logs, in the JSON encoding of OTLP/HTTP. */
export function otlpHttp(sink: SinkOf<'otlp-http'>, tools: Tools): Destination {
  const { to } = sink;
  const url = new URL(to.url);
  return {
    async send(batch) {
      const secret = to.secret === undefined ? undefined : await tools.openSecret(to.secret, to.url);
      const value = secret && (/^authorization$/i.test(to.header) ? `Bearer ${secret.reveal()}` : secret.reveal());
      const parts = batch.flatMap(({ part }) => (part === undefined ? [] : [part]));
      const { body } = await send(tools, sink, url, {
        headers: {
          'content-type': 'application/json',
          ...(value !== undefined && { [to.header.toLowerCase()]: value }),
        },
        secret,
        body: logsData(parts, batch[0]?.replica ?? '', tools.version),
      });
      // It says how many it left out and not which: they are looked for.
      const left = leftOut(body);
      if (left) throw new DeliveryFailure('refused', left);
      return { refused: new Map() };
    },
    async close() {},
  };
}

function leftOut(body: Buffer): string | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  const partial = isJsonObject(answer) ? answer.partialSuccess : undefined;
  if (!isJsonObject(partial) || !(Number(partial.rejectedLogRecords) > 0)) return undefined;
  return `it left out ${Number(partial.rejectedLogRecords)} records: ${plainLine(String(partial.errorMessage ?? ''), 200)}`;
}
