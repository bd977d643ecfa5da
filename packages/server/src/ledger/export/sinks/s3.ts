import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { putObject, Secret, sha256Hex } from '../../../platform/index.ts';
import { DeliveryFailure, type Destination, type Encoded, type SinkOf, type Tools } from '../types.ts';
import { failureOf } from './http.ts';

const compress = promisify(gzip);
const PLACES = 12;

/** A gzip file of lines for each batch. Its name follows from what is in it: one that is written again replaces itself. */
export function s3(sink: SinkOf<'s3'>, tools: Tools): Destination {
  const { to } = sink;
  return {
    async send(batch) {
      const secret = await tools.openSecret(to.secret, to.url);
      const [, accessKeyId, secretAccessKey] = /^([^:\s]+):(\S+)$/.exec(secret.reveal()) ?? [];
      if (!accessKeyId || !secretAccessKey)
        throw new DeliveryFailure('retry', `the secret "${to.secret}" is not ACCESS-KEY-ID:SECRET-ACCESS-KEY`);
      const place = {
        url: to.url,
        bucket: to.bucket,
        region: to.region,
        accessKeyId,
        secretAccessKey: new Secret(secretAccessKey),
        allowPrivateAddress: sink.allowPrivateAddress,
        ...(sink.ca !== undefined && { ca: sink.ca }),
      };
      const answer = await putObject(tools.outbound, place, {
        key: `${to.prefix}${objectName(batch, sink.format === 'cef' ? 'cef' : 'jsonl')}`,
        body: await compress(`${batch.map(({ text }) => text).join('\n')}\n`),
        headers: { 'content-type': 'application/gzip' },
        timeoutMs: sink.timeoutMs,
      }).catch((cause: Error) => {
        throw new DeliveryFailure('retry', cause.message, { cause });
      });
      if (answer.status === 200) return { refused: new Map() };
      // Nothing that is in a record makes a bucket refuse it.
      const { message, retryAfterMs } = failureOf(answer, tools.clock.now(), place.secretAccessKey);
      throw new DeliveryFailure('retry', message, { retryAfterMs });
    },
    async close() {},
  };
}

/** `2026/11/27/HOST-log-REPLICA-1a2b3c4d/000000000120-000000000619.jsonl.gz` */
export function objectName(batch: readonly Encoded[], extension: string): string {
  const [first, last] = [batch[0] as Encoded, batch.at(-1) as Encoded];
  const day = new Date(first.at).toISOString().slice(0, 10).replaceAll('-', '/');
  const log = `${first.log.replace(/[^A-Za-z0-9._]+/g, '-').slice(0, 100)}-${sha256Hex(first.log).slice(0, 8)}`;
  const place = (sequence: number) => String(sequence).padStart(PLACES, '0');
  return `${day}/${log}/${place(first.sequence)}-${place(last.sequence)}.${extension}.gz`;
}
