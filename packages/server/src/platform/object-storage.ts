import { XMLParser } from 'fast-xml-parser';
import { awsCredentials } from './aws-credentials.ts';
import { GatehouseError } from './errors.ts';
import { createOutbound, type OutboundAnswer } from './outbound.ts';
import { callS3, type S3Request } from './s3.ts';
import { Secret } from './secret.ts';

/** Objects in a bucket of S3 or of what speaks its protocol, by their keys. Throws `object-storage.*`, and what `Outbound` throws. */
export interface ObjectStorage {
  get(key: string): Promise<Buffer | undefined>;
  put(key: string, body: Uint8Array, options: { contentType: string; cacheControl?: string }): Promise<void>;
  remove(key: string): Promise<void>;
  /** Keys that begin with `prefix`, at most `MAX_LISTED`. */
  list(prefix: string): Promise<string[]>;
  close(): Promise<void>;
}

export interface ObjectStorageOptions {
  bucket: string;
  region: string;
  /** Base address of a service that is not AWS: `https://minio.example:9000`. Buckets are then part of the path. */
  endpoint?: string;
  /** For credentials, as `awsCredentials` finds them. */
  environment: Record<string, string | undefined>;
  timeoutMs?: number;
}

const MAX_OBJECT_BYTES = 64 * 1024 * 1024;
const MAX_LISTED = 10_000;
/** Those of a web identity live for 15 minutes. */
const CREDENTIALS_TTL_MS = 10 * 60_000;

export function createObjectStorage(options: ObjectStorageOptions): ObjectStorage {
  const { bucket, region, endpoint, environment, timeoutMs = 15_000 } = options;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw new GatehouseError('bad-request', 'object-storage.bucket', `"${bucket}" is no name of a bucket.`);
  // With dots in it a bucket's name is no host that a certificate is for.
  const base = endpoint?.replace(/\/+$/, '') ?? `https://s3.${region}.amazonaws.com`;
  if (!URL.canParse(base))
    throw new GatehouseError('bad-request', 'object-storage.endpoint', `"${base}" is no address of an object store.`);
  const outbound = createOutbound();
  let known: { at: number; credentials: ReturnType<typeof awsCredentials> } | undefined;

  const credentials = () => {
    if (!known || Date.now() - known.at > CREDENTIALS_TTL_MS) {
      const asked = awsCredentials(region, environment);
      known = { at: Date.now(), credentials: asked };
      asked.catch(() => {
        known = undefined;
      });
    }
    return known.credentials;
  };

  async function call(request: S3Request): Promise<OutboundAnswer> {
    const { accessKeyId, secretAccessKey, sessionToken } = await credentials();
    const place = {
      ...{ url: base, bucket, region, accessKeyId, secretAccessKey: new Secret(secretAccessKey) },
      ...(sessionToken !== undefined && { sessionToken: new Secret(sessionToken) }),
      // An operator has named the store; it may stand in the same network.
      allowPrivateAddress: true,
    };
    return callS3(outbound, place, { timeoutMs, maxBytes: MAX_OBJECT_BYTES, ...request });
  }

  const failed = (what: string, key: string, { status, body }: OutboundAnswer) => {
    const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(body.toString('utf8'))?.[1];
    return new GatehouseError(
      'upstream',
      'object-storage.refused',
      `${key} could not be ${what} in the bucket ${bucket}: ${new URL(base).host} answered ${status}${code ? ` (${code})` : ''}.`,
    );
  };

  return {
    async get(key) {
      const answer = await call({ method: 'GET', key });
      if (answer.status === 404 && !/<Code>NoSuchBucket</.test(answer.body.toString('utf8'))) return undefined;
      if (answer.status !== 200) throw failed('read', key, answer);
      return answer.body;
    },
    async put(key, body, { contentType, cacheControl }) {
      const headers = { 'content-type': contentType, ...(cacheControl && { 'cache-control': cacheControl }) };
      const answer = await call({ method: 'PUT', key, body, headers });
      if (answer.status !== 200) throw failed('written', key, answer);
    },
    async remove(key) {
      const answer = await call({ method: 'DELETE', key });
      if (![200, 204, 404].includes(answer.status)) throw failed('removed', key, answer);
    },
    async list(prefix) {
      const keys: string[] = [];
      let after: string | undefined;
      do {
        const answer = await call({
          method: 'GET',
          key: '',
          query: { 'list-type': '2', prefix, ...(after !== undefined && { 'continuation-token': after }) },
        });
        if (answer.status !== 200) throw failed('listed', prefix, answer);
        const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'Contents' });
        const found = parser.parse(answer.body) as {
          ListBucketResult?: { Contents?: { Key: string }[]; NextContinuationToken?: string };
        };
        keys.push(...(found.ListBucketResult?.Contents ?? []).map(({ Key }) => Key));
        after = found.ListBucketResult?.NextContinuationToken;
      } while (after !== undefined && keys.length < MAX_LISTED);
      return keys;
    },
    close: () => outbound.close(),
  };
}
