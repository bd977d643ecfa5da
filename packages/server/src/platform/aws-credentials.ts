import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { assumeRoleWithWebIdentity, stsUrl } from './aws-sts.ts';
import { GatehouseError } from './errors.ts';
import { createOutbound } from './outbound.ts';

type Environment = Record<string, string | undefined>;

export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/**
 * From the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), else by web identity
 * (`AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, as EKS sets them), else from `~/.aws/credentials` (`AWS_SHARED_CREDENTIALS_FILE`,
 * `AWS_PROFILE`). Instance metadata is not asked. Throws `aws.credentials`.
 */
export async function awsCredentials(region: string, environment: Environment): Promise<AwsCredentials> {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session } = environment;
  if (id && secret) return { accessKeyId: id, secretAccessKey: secret, ...(session && { sessionToken: session }) };
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role } = environment;
  if (tokenFile && role) return byWebIdentity(region, tokenFile, role, environment);
  const file = environment.AWS_SHARED_CREDENTIALS_FILE ?? join(homedir(), '.aws', 'credentials');
  const found = fromFile(file, environment.AWS_PROFILE ?? 'default');
  if (found) return found;
  throw missing(
    'there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or write them to ~/.aws/credentials.',
  );
}

/** STS AssumeRoleWithWebIdentity: needs no signature, the token is the proof. */
async function byWebIdentity(
  region: string,
  tokenFile: string,
  role: string,
  environment: Environment,
): Promise<AwsCredentials> {
  let token: string;
  try {
    token = readFileSync(tokenFile, 'utf8').trim();
  } catch (cause) {
    throw missing(`AWS_WEB_IDENTITY_TOKEN_FILE names ${tokenFile}, which cannot be read.`, cause);
  }
  const url = environment.AWS_ENDPOINT_URL_STS ?? environment.AWS_ENDPOINT_URL ?? stsUrl(region);
  const outbound = createOutbound();
  try {
    const answer = await assumeRoleWithWebIdentity(
      outbound,
      { url, allowPrivateAddress: true },
      { role, token, sessionName: 'gatehouse', durationSeconds: 900 },
    );
    if ('status' in answer)
      throw missing(`AWS STS did not let this server take the role ${role} (status ${answer.status}).`);
    const { accessKeyId, secretAccessKey, sessionToken } = answer;
    return { accessKeyId, secretAccessKey, sessionToken };
  } catch (cause) {
    if (cause instanceof GatehouseError && cause.code === 'aws.credentials') throw cause;
    throw missing(cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    await outbound.close();
  }
}

const missing = (why: string, cause?: unknown) => new GatehouseError('unavailable', 'aws.credentials', why, { cause });

function fromFile(path: string, profile: string): AwsCredentials | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const values = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n')) {
    const header = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, name, value] = /^\s*(aws_[a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (section === profile && name && value) values.set(name, value);
  }
  const accessKeyId = values.get('aws_access_key_id');
  const secretAccessKey = values.get('aws_secret_access_key');
  const sessionToken = values.get('aws_session_token');
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}
