import { GatehouseError } from '../../platform/index.ts';
import type { Gateway } from '../elsewhere/gateway.ts';
import { extAuthzLimits } from './limits.ts';

/** An HTTP request that another gateway holds back until it is decided on. Names of headers are in lower case. */
export interface CheckedRequest {
  method: string;
  /** With the query, as it stands in the request. */
  path: string;
  host: string;
  headers: Readonly<Record<string, string | undefined>>;
  body: Uint8Array;
  /** False where the one who asks would say nothing of a body that was not sent along. */
  isLengthKnown: boolean;
}

/** The same, read: what is not here was refused. */
export interface ReadRequest extends CheckedRequest {
  /** Where the agent sent it, without the query: what its proof is made for. */
  url: string;
  pathname: string;
  query: string;
}

/** No percent-encoding, no empty segment, no dots that mean a directory, no `;`: whoever routes by this path and whoever serves it see one path. */
const plainPath = /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+$/;

/** Headers by which some servers take another method or path than the request line's. */
const overriding = [
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'x-original-method',
  'x-forwarded-method',
  'x-original-url',
  'x-rewrite-url',
  'x-forwarded-uri',
  'x-forwarded-prefix',
];

/** Refuses whatever could be read in two ways (law 10). No forwarding header, which anybody can write, is believed. */
export function readRequest(gateway: Gateway, request: CheckedRequest): ReadRequest {
  const { headers, body } = request;
  const [pathname = '', ...rest] = request.path.split('?');
  const query = rest.join('?');
  if (request.path.length > extAuthzLimits.pathChars) throw ambiguous('its path is too long');
  if (request.path.includes('#') || !plainPath.test(pathname))
    throw ambiguous('its path is not one of plain segments, without percent-encoding, dots, "//" and a "/" at the end');
  for (const name of overriding)
    if (headers[name] !== undefined) throw ambiguous(`the header ${name} names another method or path`);
  const partial = headers['x-envoy-auth-partial-body'];
  if (partial !== undefined && partial !== 'false')
    throw new GatehouseError(
      'too-large',
      'body.partial',
      'The request is refused: only a part of its body was sent to be decided on. Raise max_request_bytes, and set allow_partial_message: false.',
    );
  if (body.byteLength > extAuthzLimits.bodyBytes)
    throw new GatehouseError(
      'too-large',
      'body.too-large',
      `The request is refused: its body has more than ${extAuthzLimits.bodyBytes} bytes.`,
    );
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw ambiguous(`its body is encoded (${encoding.slice(0, 40)})`);
  // JSON is read as UTF-8 here; who serves it may believe the header.
  const charset = /;\s*charset\s*=\s*(.*)$/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^"?utf-8"?$/i.test(charset.trim()))
    throw ambiguous(`its body is in another charset than UTF-8 (${charset.slice(0, 40)})`);
  const declared = headers['content-length'];
  const isUnseen =
    declared !== undefined
      ? declared !== String(body.byteLength)
      : headers['transfer-encoding'] !== undefined && body.byteLength === 0;
  // Over HTTP the question has length 0, too, where Envoy was told to send no bodies along.
  const mayBeUnseen = !request.isLengthKnown && body.byteLength === 0 && !/^(GET|HEAD|DELETE)$/.test(request.method);
  if (isUnseen || mayBeUnseen)
    throw new GatehouseError(
      'bad-request',
      'body.unseen',
      'The request is refused: it has a body, and another one or none was sent to be decided on. Configure with_request_body.',
    );
  const origin = gateway.setting.urls.find((url) => new URL(url).host === request.host.toLowerCase());
  if (origin === undefined)
    throw new GatehouseError(
      'forbidden',
      'host.unknown',
      `The request is refused: "${request.host.slice(0, 200)}" is none of the \`gateway.urls\` of "${gateway.name}".`,
    );
  return { ...request, url: `${origin}${pathname}`, pathname, query };
}

export const ambiguous = (why: string) =>
  new GatehouseError('bad-request', 'request.ambiguous', `The request is refused: ${why}.`);
