import { SignatureV4 } from '@smithy/signature-v4';
import { NodeSha256 } from './node-sha256.ts';
import type { Outbound } from './outbound.ts';

const ANSWER_BYTES = 64 * 1024;
const TIMEOUT_MS = 8_000;

const FORM = 'application/x-www-form-urlencoded; charset=utf-8';

export interface TakenRole {
  role: string;
  sessionName: string;
  durationSeconds: number;
  /** Narrows what the role may do. */
  policy?: string;
}

export interface StsSession {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  /** Milliseconds since the epoch; NaN where the answer does not say. */
  expiresAt: number;
}

/** What STS answered instead of a session; empty where it was not STS that answered. */
export interface StsRefusal {
  status: number;
  code: string;
  message: string;
}

export const stsUrl = (region: string): string =>
  `https://sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;

interface Endpoint {
  url: string;
  allowPrivateAddress: boolean;
}

/** STS AssumeRoleWithWebIdentity. Throws where there was no answer. */
export const assumeRoleWithWebIdentity = (
  outbound: Pick<Outbound, 'fetch'>,
  endpoint: Endpoint,
  { token, ...taken }: TakenRole & { token: string },
): Promise<StsSession | StsRefusal> =>
  // The token is the proof: nothing is signed.
  ask(outbound, endpoint, formOf('AssumeRoleWithWebIdentity', taken, { WebIdentityToken: token }), {});

/** STS AssumeRole, by who has a session already. Tags pass on to whatever is taken with this one. */
export async function assumeRole(
  outbound: Pick<Outbound, 'fetch'>,
  endpoint: Endpoint,
  {
    credentials,
    region,
    tags,
    sourceIdentity,
    ...taken
  }: TakenRole & {
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
    region: string;
    tags: Record<string, string>;
    sourceIdentity?: string | undefined;
  },
): Promise<StsSession | StsRefusal> {
  const numbered = Object.entries(tags).flatMap(([key, value], at) => [
    [`Tags.member.${at + 1}.Key`, key],
    [`Tags.member.${at + 1}.Value`, value],
    [`TransitiveTagKeys.member.${at + 1}`, key],
  ]);
  const body = formOf('AssumeRole', taken, {
    ...Object.fromEntries(numbered),
    ...(sourceIdentity !== undefined && { SourceIdentity: sourceIdentity }),
  });
  const { protocol, hostname, host, pathname } = new URL(endpoint.url);
  const signer = new SignatureV4({ service: 'sts', region, credentials, sha256: NodeSha256 });
  const headers = { host, 'content-type': FORM };
  const signed = await signer.sign({ method: 'POST', protocol, hostname, path: pathname, query: {}, headers, body });
  return ask(outbound, endpoint, body, signed.headers);
}

const formOf = (
  action: string,
  { role, sessionName, durationSeconds, policy }: TakenRole,
  more: Record<string, string>,
): string =>
  new URLSearchParams({
    ...{ Action: action, Version: '2011-06-15', RoleArn: role, RoleSessionName: sessionName },
    DurationSeconds: String(durationSeconds),
    ...(policy !== undefined && { Policy: policy }),
    ...more,
  }).toString();

async function ask(
  outbound: Pick<Outbound, 'fetch'>,
  { url, allowPrivateAddress }: Endpoint,
  body: string,
  headers: Record<string, string>,
): Promise<StsSession | StsRefusal> {
  const { status, body: answer } = await outbound.fetch(url, {
    method: 'POST',
    headers: { 'content-type': FORM, accept: 'text/xml', ...headers },
    ...{ body, allowPrivateAddress, maxBytes: ANSWER_BYTES, timeoutMs: TIMEOUT_MS },
  });
  const text = answer.toString('utf8');
  const element = (name: string) => new RegExp(`<${name}>([^<]{1,8192})</${name}>`).exec(text)?.[1] ?? '';
  const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = [
    'AccessKeyId',
    'SecretAccessKey',
    'SessionToken',
  ].map(element);
  if (status === 200 && accessKeyId && secretAccessKey && sessionToken)
    return { accessKeyId, secretAccessKey, sessionToken, expiresAt: Date.parse(element('Expiration')) };
  return { status, code: element('Code'), message: element('Message') };
}
