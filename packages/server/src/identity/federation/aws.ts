import type { SignedAwsRequest, TrustIssuer } from '@gatehouse/protocol';
import { XMLParser } from 'fast-xml-parser';
import {
  GatehouseError,
  isJsonObject,
  type Json,
  type JsonObject,
  type Outbound,
  sha256Hex,
} from '../../platform/index.ts';
import { federationLimits } from './limits.ts';

/**
 * An AWS identity, proven by a request that only it can sign: `sts:GetCallerIdentity` (Signature Version 4), which we send and AWS
 * answers. The signature covers a header that names this Gatehouse, so that what was signed for another service is worth nothing here.
 */
export const AWS_SERVER_HEADER = 'x-gatehouse-server-id';

type AwsIssuer = Extract<TrustIssuer, { type: 'aws-iam' }>;

/** Regional and global endpoints, FIPS and China included. */
const STS_HOST = /^sts(-fips)?(\.[a-z]{2}(-[a-z]+)+-\d)?\.amazonaws\.com(\.cn)?$/;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=((?:AKIA|ASIA)[A-Z0-9]{12,124})\/(\d{8})\/([a-z0-9-]+)\/sts\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;
const MAX_SIGNED_HEADERS = 20;

/** What the request itself must say; gives what is sent on. Nothing has been proven yet. */
export interface CheckedAwsRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** What its signature is for. */
  region: string;
  /** Digest of the signature: the request's name in the list of those that were used. */
  id: string;
  expiresAt: number;
}

export function checkAwsRequest(request: SignedAwsRequest, publicUrl: string, now: number): CheckedAwsRequest {
  const form = new URLSearchParams(request.body);
  const asked = [...form].map(([name, value]) => `${name}=${value}`).sort();
  if (asked.join('&') !== 'Action=GetCallerIdentity&Version=2011-06-15')
    throw refused('action', 'it asks for something else than Action=GetCallerIdentity&Version=2011-06-15');
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(request.headers)) {
    const lower = name.toLowerCase();
    if (headers.has(lower) || /[\r\n\0]/.test(value))
      throw refused('headers', `its header ${lower.slice(0, 40)} stands twice, or has line breaks`);
    headers.set(lower, value);
  }
  const match = AUTHORIZATION.exec(headers.get('authorization') ?? '');
  if (!match)
    throw refused('authorization', 'its Authorization header is not one of AWS4-HMAC-SHA256 for sts by an access key');
  const [, accessKey = '', date = '', region = '', list = '', signature = ''] = match;
  if (accessKey.startsWith('ASIA') && !headers.has('x-amz-security-token'))
    throw refused('headers', 'its access key is a temporary one, and there is no X-Amz-Security-Token');
  const signed = list.split(';');
  for (const needed of ['host', 'x-amz-date', AWS_SERVER_HEADER])
    if (!signed.includes(needed)) throw refused('unsigned', `its signature does not cover ${needed}`);
  if (signed.length > MAX_SIGNED_HEADERS || signed.some((name) => !headers.has(name)))
    throw refused('headers', 'a header that its signature covers is missing');
  if (headers.get(AWS_SERVER_HEADER) !== publicUrl)
    throw refused('other-server', `it was signed for another server: sign ${AWS_SERVER_HEADER}: ${publicUrl}`);
  const stamp = headers.get('x-amz-date') ?? '';
  const signedAt = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!stamp.startsWith(date) || !(Math.abs(now - signedAt) <= federationLimits.awsRequestSeconds * 1000))
    throw refused(
      'date',
      `it was not signed within the last ${federationLimits.awsRequestSeconds} s: sign a new one, and check the clock`,
    );
  // What the signature does not cover was not said by the caller.
  const sent = ['authorization', 'x-amz-security-token', 'x-amz-content-sha256', 'content-type', ...signed];
  return {
    url: request.url,
    headers: Object.fromEntries(
      sent.flatMap((name) => (headers.has(name) ? [[name, headers.get(name) as string]] : [])),
    ),
    body: request.body,
    region,
    id: sha256Hex(`aws ${signature}`),
    expiresAt: signedAt + 2 * federationLimits.awsRequestSeconds * 1000,
  };
}

/** Whether the request is for the STS of this issuer. */
export function isForIssuer({ url, headers, region }: CheckedAwsRequest, issuer: AwsIssuer): boolean {
  const target = URL.parse(url);
  if (target?.pathname !== '/' || target.search !== '' || target.username !== '' || target.hash !== '') return false;
  if (headers.host !== target.host) return false;
  if (issuer.endpoint !== undefined) return target.origin === URL.parse(issuer.endpoint)?.origin;
  const [isSts, , of] = STS_HOST.exec(target.hostname) ?? [];
  // The global endpoint is in the first region, and takes signatures for that one.
  const isSignedForIt = region === (of?.slice(1) ?? 'us-east-1');
  return target.protocol === 'https:' && target.port === '' && isSts !== undefined && isSignedForIt;
}

/** Sends the request and reads who AWS says has signed it. */
export async function askSts(outbound: Outbound, request: CheckedAwsRequest, issuer: AwsIssuer): Promise<JsonObject> {
  const { status, body } = await outbound.fetch(request.url, {
    method: 'POST',
    // Without this STS answers in another format.
    headers: { accept: 'text/xml', ...request.headers },
    body: request.body,
    allowPrivateAddress: issuer.allowPrivateAddress,
    maxBytes: 65_536,
  });
  if (
    status >= 500 ||
    status === 429 ||
    /<Code>(Throttling|RequestLimitExceeded|ServiceUnavailable)/.test(body.toString('utf8'))
  )
    throw new GatehouseError('upstream', 'aws.sts-failed', `AWS STS answered ${status}. Try again.`);
  if (status !== 200)
    throw refused(
      'signature',
      `AWS STS does not accept it (${status}): the signature, the credentials or the clock are wrong`,
    );
  return callerOf(body.toString('utf8'));
}

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  processEntities: false,
  trimValues: true,
});

/** Shape: `GetCallerIdentityResponse/GetCallerIdentityResult/{Arn,UserId,Account}` (AWS STS API, 2011-06-15). */
export function callerOf(xml: string): JsonObject {
  let result: Json | undefined;
  try {
    const document = parser.parse(xml, true) as JsonObject;
    const response = document.GetCallerIdentityResponse;
    result = isJsonObject(response) ? response.GetCallerIdentityResult : undefined;
  } catch (cause) {
    throw new GatehouseError('upstream', 'aws.answer', 'What AWS STS answered cannot be read.', { cause });
  }
  const { Arn: arn, UserId: userId, Account: account } = isJsonObject(result) ? result : {};
  if (typeof arn !== 'string' || typeof userId !== 'string' || typeof account !== 'string')
    throw new GatehouseError('upstream', 'aws.answer', 'What AWS STS answered names no caller.');
  return { arn, userId, account, ...partsOf(arn, userId) };
}

/** `arn:PARTITION:iam::ACCOUNT:user/PATH/NAME`, `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION` and others. */
function partsOf(arn: string, userId: string): JsonObject {
  const [, partition = '', service = '', , , ...rest] = arn.split(':');
  const [type = '', ...path] = rest.join(':').split('/');
  const common = { partition, type };
  if (service === 'sts' && type === 'assumed-role') {
    const [role = '', session = ''] = path;
    return { ...common, role, session, roleId: userId.split(':')[0] ?? '' };
  }
  if (service === 'iam' && type === 'user') return { ...common, user: path.at(-1) ?? '' };
  return common;
}

const refused = (code: string, reason: string) =>
  new GatehouseError('forbidden', `aws.${code}`, `The signed AWS request is refused: ${reason}.`);
