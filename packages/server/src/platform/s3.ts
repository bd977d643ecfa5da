import { SignatureV4 } from '@smithy/signature-v4';
import { NodeSha256 } from './node-sha256.ts';
import type { Outbound, OutboundAnswer } from './outbound.ts';
import type { Secret } from './secret.ts';

/** A bucket of S3, or of a service that speaks as it does. The bucket goes into the path: every such service takes it there. */
export interface S3Place {
  url: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: Secret;
  allowPrivateAddress?: boolean;
  ca?: string;
}

/** One object, written whole or not at all (Signature Version 4 over its bytes). Any status is an answer. */
export async function putObject(
  outbound: Pick<Outbound, 'fetch'>,
  place: S3Place,
  object: { key: string; body: Uint8Array; headers?: Record<string, string>; timeoutMs?: number },
): Promise<OutboundAnswer> {
  const base = new URL(place.url);
  const path = `${base.pathname.replace(/\/$/, '')}/${[place.bucket, ...object.key.split('/')].map(encode).join('/')}`;
  const signer = new SignatureV4({
    service: 's3',
    region: place.region,
    credentials: { accessKeyId: place.accessKeyId, secretAccessKey: place.secretAccessKey.reveal() },
    sha256: NodeSha256,
    // S3 alone signs the path as it stands.
    uriEscapePath: false,
  });
  const { headers } = await signer.sign({
    method: 'PUT',
    protocol: base.protocol,
    hostname: base.hostname,
    path,
    query: {},
    headers: { host: base.host, ...object.headers },
    body: object.body,
  });
  return outbound.fetch(`${base.origin}${path}`, {
    method: 'PUT',
    headers,
    body: object.body,
    ...(place.allowPrivateAddress !== undefined && { allowPrivateAddress: place.allowPrivateAddress }),
    ...(place.ca !== undefined && { ca: place.ca }),
    ...(object.timeoutMs !== undefined && { timeoutMs: object.timeoutMs }),
  });
}

/** As the signature wants it: everything but letters, digits and `-._~`. */
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
