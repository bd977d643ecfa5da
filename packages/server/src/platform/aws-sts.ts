import type { Outbound } from './outbound.ts';

const ANSWER_BYTES = 64 * 1024;
const TIMEOUT_MS = 8_000;

export interface WebIdentity {
  role: string;
  /** Proof of who takes it; nothing is signed. */
  token: string;
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

/** STS AssumeRoleWithWebIdentity. Throws where there was no answer. */
export async function assumeRoleWithWebIdentity(
  outbound: Pick<Outbound, 'fetch'>,
  url: string,
  { role, token, sessionName, durationSeconds, policy }: WebIdentity,
  { allowPrivateAddress }: { allowPrivateAddress: boolean },
): Promise<StsSession | StsRefusal> {
  const { status, body } = await outbound.fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', accept: 'text/xml' },
    body: new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: role,
      RoleSessionName: sessionName,
      WebIdentityToken: token,
      DurationSeconds: String(durationSeconds),
      ...(policy !== undefined && { Policy: policy }),
    }).toString(),
    allowPrivateAddress,
    maxBytes: ANSWER_BYTES,
    timeoutMs: TIMEOUT_MS,
  });
  const text = body.toString('utf8');
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
