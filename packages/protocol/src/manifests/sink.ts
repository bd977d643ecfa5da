import { z } from 'zod';
import { label, name, secretName } from '../names.ts';
import { description } from './description.ts';

export const sinkFormat = z.enum(['ocsf', 'ecs', 'cef', 'json-lines', 'cloud-events', 'otlp']);
export type SinkFormat = z.infer<typeof sinkFormat>;

const httpUrl = z
  .url()
  .max(1_000)
  .regex(/^https?:\/\//, 'is an https address');

/** Name of the stored secret (`gatehouse secrets set`), which is sent to this address and nowhere else. */
const secret = secretName;

const syslog = z.strictObject({
  type: z.literal('syslog'),
  /** `tls://HOST:PORT` (RFC 5425), or `tcp://HOST:PORT` (RFC 6587) to a private address. */
  url: z
    .url()
    .max(1_000)
    .regex(/^(tls|tcp):\/\/[^/?#@]+:\d+$/, 'is tls://HOST:PORT or tcp://HOST:PORT'),
  /** 10 is security and authorization, 13 log audit. */
  facility: z.int().min(0).max(23).default(13),
  /** PEM, with its chain; `keySecret` names the stored secret that holds its key as PEM, for `https://HOST:PORT`. */
  clientCertificate: z.strictObject({ certificate: z.string().max(100_000), keySecret: secret }).optional(),
  /**
   * When a batch counts as delivered. `closed`: the receiver has read to the end and closed in order. `written`: it was handed to the
   * network; what was on its way when a connection breaks is lost. For receivers that never close.
   */
  confirm: z.enum(['closed', 'written']).default('closed'),
});

const splunkHec = z.strictObject({
  type: z.literal('splunk-hec'),
  /** Of the collector, without a path: `https://splunk.example:8088`. */
  url: httpUrl,
  secret,
  index: z.string().min(1).max(80).optional(),
  sourcetype: z.string().min(1).max(200).optional(),
  /** True: a batch counts when an indexer has acknowledged it, not when it was taken. The token must have acknowledgement enabled. */
  acknowledge: z.boolean().default(false),
});

const elastic = z.strictObject({
  type: z.literal('elastic'),
  url: httpUrl,
  /** An API key, as Elasticsearch gives it encoded. */
  secret: secret.optional(),
  /** A data stream, or an index. */
  dataStream: z
    .string()
    .max(255)
    .regex(/^[a-z0-9][a-z0-9._-]*$/)
    .default('logs-gatehouse-default'),
});

const webhook = z.strictObject({
  type: z.literal('webhook'),
  url: httpUrl,
  /** What the requests are signed with (Standard Webhooks): `whsec_` and at least 24 bytes in base64. */
  secret,
});

const otlpHttp = z.strictObject({
  type: z.literal('otlp-http'),
  /** Of the receiver, with its path: `https://collector.example:4318/v1/logs`. */
  url: httpUrl,
  secret: secret.optional(),
  /** The header that carries the secret; as `Authorization` it is sent as a bearer token. */
  header: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9-]+$/)
    .default('Authorization'),
});

const s3 = z.strictObject({
  type: z.literal('s3'),
  /** Of the service: `https://s3.eu-central-1.amazonaws.com`. The bucket is put into the path. */
  url: httpUrl,
  bucket: z
    .string()
    .min(3)
    .max(63)
    .regex(/^[a-z0-9][a-z0-9.-]*[a-z0-9]$/),
  region: z
    .string()
    .max(40)
    .regex(/^[a-z0-9-]+$/)
    .default('us-east-1'),
  prefix: z
    .string()
    .max(200)
    .regex(/^([A-Za-z0-9._-]+\/)*$/, 'is nothing, or folders that end with /')
    .refine((text) => !text.split('/').some((part) => part === '.' || part === '..'), 'has no . or .. in it')
    .default(''),
  /** A stored secret with both keys: `ACCESS-KEY-ID:SECRET-ACCESS-KEY`. */
  secret,
  /** An object is written when a batch is full, or its first record is this old. */
  everySeconds: z.int().min(1).max(3_600).default(60),
});

const file = z.strictObject({
  type: z.literal('file'),
  /** In `export/` of the data directory of the replica that delivers. */
  file: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/),
  rotateBytes: z
    .int()
    .min(64 * 1024)
    .max(10 * 1024 ** 3)
    .default(100 * 1024 ** 2),
  /** Files that were rotated away and are kept; the oldest is deleted. */
  keep: z.int().min(1).max(100).default(10),
});

/**
 * A receiver of the record: a SIEM, a collector, a bucket. Every record goes to it at least once, in the order of its log, from a position
 * that is kept in the database; one that is slow or away delays nothing else.
 */
export const sinkManifest = z.strictObject({
  kind: z.literal('Sink'),
  name,
  description,
  format: sinkFormat,
  to: z.discriminatedUnion('type', [syslog, splunkHec, elastic, webhook, otlpHttp, s3, file]),
  /** What is sent; a record has to fit all that is given. Without it everything is. */
  filter: z
    .strictObject({
      /** `tools/call`, or `agent.*` for all that begin so. */
      operations: z
        .array(z.string().regex(/^[A-Za-z0-9./_-]{1,100}\*?$|^\*$/))
        .min(1)
        .max(100)
        .optional(),
      agents: z.array(name).min(1).max(1_000).optional(),
      environments: z.array(name).min(1).max(100).optional(),
      /** Records without a decision (administrative changes) fit none. */
      decisions: z
        .array(z.enum(['allow', 'deny', 'needs-approval']))
        .min(1)
        .optional(),
      /** Labels of the task: `untrusted`, or a kind of sensitive data. One of them is enough. */
      labels: z.array(label).min(1).max(100).optional(),
    })
    .optional(),
  /** `arguments`: the arguments of calls go out as well, but for those that stand for credentials. Results never do. */
  bodies: z.enum(['none', 'arguments']).default('none'),
  /** Where a new sink begins. What it has delivered it keeps in mind, also when it is removed and comes back. */
  from: z.enum(['now', 'beginning']).default('now'),
  /** Records that are sent at once, at most. */
  batchRecords: z.int().min(1).max(5_000).default(500),
  /** For a connection, and for an answer. */
  timeoutMs: z.int().min(100).max(60_000).default(10_000),
  /** A warning is given when the oldest record that was not delivered is this old. */
  warnAfterSeconds: z
    .int()
    .min(10)
    .max(7 * 86_400)
    .default(300),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
});
export type SinkManifest = z.infer<typeof sinkManifest>;
