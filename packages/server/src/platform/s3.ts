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
  /** Of credentials that were lent for a while. */
  sessionToken?: Secret;
  allowPrivateAddress?: boolean;
  ca?: string;
}

export interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE';
  /** Empty: the bucket itself. */
  key: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array;
  timeoutMs?: number;
  maxBytes?: number;
}

/** One object, written whole or not at all. Any status is an answer. */
export const putObject = (
  outbound: Pick<Outbound, 'fetch'>,
  place: S3Place,
  object: { key: string; body: Uint8Array; headers?: Record<string, string>; timeoutMs?: number },
): Promise<OutboundAnswer> => callS3(outbound, place, { method: 'PUT', ...object });

/** Any request, signed over its bytes (Signature Version 4). Any status is an answer. */
export async function callS3(
  outbound: Pick<Outbound, 'fetch'>,
  place: S3Place,
  { method, key, query = {}, headers: given = {}, body, timeoutMs, maxBytes }: S3Request,
): Promise<OutboundAnswer> {
  const base = new URL(place.url);
  const names = [place.bucket, ...(key === '' ? [] : key.split('/'))];
  const path = `${base.pathname.replace(/\/$/, '')}/${names.map(encode).join('/')}`;
  const signer = new SignatureV4({
    service: 's3',
    region: place.region,
    credentials: {
      accessKeyId: place.accessKeyId,
      secretAccessKey: place.secretAccessKey.reveal(),
      ...(place.sessionToken && { sessionToken: place.sessionToken.reveal() }),
    },
    sha256: NodeSha256,
    // S3 alone signs the path as it stands.
    uriEscapePath: false,
  });
  const { headers } = await signer.sign({
    method,
    protocol: base.protocol,
    hostname: base.hostname,
    path,
    query,
    headers: { host: base.host, ...given },
    ...(body && { body }),
  });
  const search = Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  return outbound.fetch(`${base.origin}${path}${search === '' ? '' : `?${search}`}`, {
    method,
    headers,
    ...(body && { body }),
    ...(place.allowPrivateAddress !== undefined && { allowPrivateAddress: place.allowPrivateAddress }),
    ...(place.ca !== undefined && { ca: place.ca }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(maxBytes !== undefined && { maxBytes }),
  });
}

/** As the signature wants it: everything but letters, digits and `-._~`. */
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
