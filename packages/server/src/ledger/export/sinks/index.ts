import type { SinkManifest } from '@gatehouse/protocol';
import type { Destination, SinkOf, Tools } from '../types.ts';
import { elastic } from './elastic.ts';
import { file } from './file.ts';
import { otlpHttp } from './otlp-http.ts';
import { s3 } from './s3.ts';
import { splunkHec } from './splunk-hec.ts';
import { syslog } from './syslog.ts';
import { webhook } from './webhook.ts';

type Make<Type extends SinkManifest['to']['type']> = (sink: SinkOf<Type>, tools: Tools) => Destination;

const makers: { [Type in SinkManifest['to']['type']]: Make<Type> } = {
  syslog,
  'splunk-hec': splunkHec,
  elastic,
  webhook,
  'otlp-http': otlpHttp,
  s3,
  file,
};

export const openDestination = (sink: SinkManifest, tools: Tools): Destination =>
  (makers[sink.to.type] as (sink: SinkManifest, tools: Tools) => Destination)(sink, tools);

/** For people: where it is, and nothing secret. */
export function destinationOf({ to }: SinkManifest): string {
  if (to.type === 'file') return `export/${to.file}`;
  return to.type === 's3' ? `${new URL(to.url).host}/${to.bucket}/${to.prefix}` : new URL(to.url).host;
}
