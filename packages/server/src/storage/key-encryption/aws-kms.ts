import { SignatureV4 } from '@smithy/signature-v4';
import { awsCredentials, GatehouseError, type Json, NodeSha256 } from '../../platform/index.ts';
import { callService, checkServiceUrl, memberOf, unavailable } from './remote-call.ts';
import type { RemoteKeySource, SourceSurroundings } from './types.ts';

/** The key is bound to what it is for: a grant on the KMS key can name this context as its condition. */
const ENCRYPTION_CONTEXT = { purpose: 'gatehouse-key-encryption' };

/** `aws-kms:ARN` of a symmetric key (or its alias). `AWS_ENDPOINT_URL_KMS` or `AWS_ENDPOINT_URL` names another address. */
export function awsKmsSource(arn: string, surroundings: SourceSurroundings): RemoteKeySource {
  const [, region] = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(?:key|alias)\/[A-Za-z0-9/_-]+$/.exec(arn) ?? [];
  if (region === undefined)
    throw new GatehouseError(
      'bad-request',
      'key-encryption.spec',
      `"aws-kms:${arn.slice(0, 200)}" is not aws-kms:arn:aws:kms:REGION:ACCOUNT:key/ID (or alias/NAME).`,
    );
  const { environment } = surroundings;
  const url = new URL(
    environment.AWS_ENDPOINT_URL_KMS ?? environment.AWS_ENDPOINT_URL ?? `https://kms.${region}.amazonaws.com`,
  );
  checkServiceUrl(url);
  const name = `aws-kms:${arn}`;

  const call = async (operation: 'Encrypt' | 'Decrypt', members: Record<string, Json>) => {
    const signer = new SignatureV4({
      service: 'kms',
      region,
      credentials: await credentialsFor(name, region, surroundings),
      sha256: NodeSha256,
    });
    const body = JSON.stringify({ KeyId: arn, EncryptionContext: ENCRYPTION_CONTEXT, ...members });
    const { headers } = await signer.sign({
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      query: {},
      headers: {
        host: url.host,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `TrentService.${operation}`,
      },
      body,
    });
    const { status, text } = await callService(name, url.origin, { headers, body });
    if (status === 200) return text;
    const type = memberOf(text, '__type');
    const kind = typeof type === 'string' ? type.replace(/^.*#/, '').slice(0, 80) : `status ${status}`;
    throw unavailable(name, `AWS KMS refused ${operation} (${kind}).`);
  };
  const bytesOf = (text: string, member: string) => {
    const value = memberOf(text, member);
    if (typeof value !== 'string') throw unavailable(name, `AWS KMS gave no ${member}.`);
    return Buffer.from(value, 'base64');
  };

  return {
    kind: 'remote',
    name,
    async wrap(key) {
      const answer = await call('Encrypt', { Plaintext: Buffer.from(key).toString('base64') });
      return bytesOf(answer, 'CiphertextBlob').toString('base64');
    },
    async unwrap(wrapped) {
      return bytesOf(await call('Decrypt', { CiphertextBlob: wrapped }), 'Plaintext');
    },
  };
}

async function credentialsFor(name: string, region: string, { environment }: SourceSurroundings) {
  try {
    return await awsCredentials(region, environment);
  } catch (cause) {
    throw unavailable(name, (cause as Error).message, cause);
  }
}
