import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { GatehouseRequestError } from '../errors.ts';

/** `sts:GetCallerIdentity`, signed by this machine's AWS identity for one server; the server sends it and learns who signed it. */
export interface SignedAwsRequest {
  method: 'POST';
  url: string;
  headers: Record<string, string>;
  body: string;
}

type Environment = Record<string, string | undefined>;

const BODY = 'Action=GetCallerIdentity&Version=2011-06-15';
/** Covered by the signature, so that what is signed for one server is worth nothing at another. */
const SERVER_HEADER = 'x-gatehouse-server-id';
const TIMEOUT_MS = 10_000;

/**
 * Credentials come from the environment, or from the container's credential endpoint (ECS, EKS Pod Identity). `AWS_ENDPOINT_URL_STS` names another
 * STS. They are signed with (Signature Version 4) and sent to nobody.
 */
export async function signAwsIdentity(serverUrl: string, at: Date, env: Environment): Promise<SignedAwsRequest> {
  const { SignatureV4 } = await import('./signature-v4.ts');
  const region = env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1';
  const url = new URL(env.AWS_ENDPOINT_URL_STS ?? `https://sts.${region}.amazonaws.com/`);
  const credentials = await awsCredentials(env);
  const signer = new SignatureV4({ service: 'sts', region, credentials, sha256: NodeSha256 });
  const { headers } = await signer.sign(
    {
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      query: {},
      headers: {
        host: url.host,
        'content-type': 'application/x-www-form-urlencoded',
        [SERVER_HEADER]: serverUrl,
      },
      body: BODY,
    },
    { signingDate: at },
  );
  return { method: 'POST', url: url.href, headers, body: BODY };
}

async function awsCredentials(env: Environment) {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  const address =
    env.AWS_CONTAINER_CREDENTIALS_FULL_URI ??
    (env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI && `http://169.254.170.2${env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI}`);
  if (!address)
    throw unavailable(
      'There is no AWS identity here: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the container has a role.',
    );
  const token = env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  const response = await fetch(address, {
    headers: token ? { authorization: token } : {},
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw unavailable('The credential endpoint of the container does not answer.', cause);
  });
  const { AccessKeyId, SecretAccessKey, Token } = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string')
    throw unavailable(`The credential endpoint of the container gives no credentials (HTTP ${response.status}).`);
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...(typeof Token === 'string' && { sessionToken: Token }),
  };
}

const unavailable = (message: string, cause?: unknown) =>
  new GatehouseRequestError(0, 'credential.unavailable', message, { cause });

/** What the signer takes for a hash. */
class NodeSha256 {
  readonly #hash: Hash | Hmac;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as never);
  }
  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error('A digest is made once.');
  }
}
