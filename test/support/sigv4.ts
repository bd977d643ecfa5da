import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * What a request's signature has to be, computed from the words of the specification ("Create a signed AWS API request") and by nothing that the
 * gate signs with. Undefined: it has none.
 */
export function signatureOf(
  request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: Buffer,
  secretAccessKey: string,
): { given: string; computed: string; scope: string; accessKeyId: string } | undefined {
  const parsed = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
    request.headers.authorization ?? '',
  );
  if (!parsed) return undefined;
  const [, accessKeyId = '', scope = '', names = '', given = ''] = parsed;
  const [path = '', search = ''] = (request.url ?? '').split('?');
  const query = [...new URLSearchParams(search)]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const headers = names.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
  const canonical = [
    request.method,
    path.split('/').map(encode).join('/'),
    query,
    headers.join(''),
    names,
    sha256(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>((at, part) => hmac(at, part), `AWS4${secretAccessKey}`);
  return { given, computed: hmac(key, toSign).toString('hex'), scope, accessKeyId };
}
