import { createHash, type KeyObject, sign, X509Certificate } from 'node:crypto';
import type { AwsSource } from '@gatehouse/protocol';
import {
  type Clock,
  GatehouseError,
  isJsonObject,
  type Json,
  type Outbound,
  parseStrictJson,
} from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';

/** Gatehouse's own, of the authority that only clouds trust: nothing that agents get is signed by it. */
export interface OwnCertificate {
  /** DER, leaf first. */
  chain: readonly Uint8Array[];
  privateKey: KeyObject;
}

const ALGORITHM = 'AWS4-X509-ECDSA-SHA256';
const SECONDS = 900;
const TIMEOUT_MS = 8_000;

/**
 * IAM Roles Anywhere's CreateSession: proven by a certificate and a signature with its key, over the request as Signature Version 4 writes it. Gives
 * a session of the role that may take others, and the source identity that it has already, if any.
 */
export async function createSession(
  { region, rolesAnywhere, allowPrivateAddress }: AwsSource,
  { chain, privateKey }: OwnCertificate,
  { outbound, clock }: { outbound: Pick<Outbound, 'fetch'>; clock: Clock },
) {
  const { trustAnchor, profile, role, url } = rolesAnywhere as NonNullable<AwsSource['rolesAnywhere']>;
  const suffix = region.startsWith('cn-') ? '.cn' : '';
  const endpoint = new URL('/sessions', url ?? `https://rolesanywhere.${region}.amazonaws.com${suffix}`);
  const body = JSON.stringify({
    durationSeconds: SECONDS,
    ...{ profileArn: profile, roleArn: role, trustAnchorArn: trustAnchor },
  });
  const at = new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
  const [leaf = '', ...others] = chain.map((der) => Buffer.from(der).toString('base64'));
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    host: endpoint.host,
    'x-amz-date': at,
    'x-amz-x509': leaf,
    ...(others.length > 0 && { 'x-amz-x509-chain': others.join(',') }),
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    ...['POST', endpoint.pathname, ''],
    ...names.map((name) => `${name}:${headers[name]}`),
    ...['', names.join(';'), sha256(body)],
  ].join('\n');
  const scope = `${at.slice(0, 8)}/${region}/rolesanywhere/aws4_request`;
  const signature = sign('sha256', Buffer.from([ALGORITHM, at, scope, sha256(canonical)].join('\n')), privateKey);
  const { serialNumber } = new X509Certificate(Buffer.from(chain[0] as Uint8Array));
  const credential = `${BigInt(`0x${serialNumber}`)}/${scope}`;
  const answer = await outbound.fetch(endpoint.href, {
    method: 'POST',
    headers: {
      ...headers,
      authorization: `${ALGORITHM} Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature.toString('hex')}`,
    },
    ...{ body, allowPrivateAddress, timeoutMs: TIMEOUT_MS },
  });
  const json = jsonOf(answer.body);
  const [first] = isJsonObject(json) && Array.isArray(json.credentialSet) ? json.credentialSet : [];
  const { credentials, sourceIdentity } = isJsonObject(first) ? first : {};
  const { accessKeyId, secretAccessKey, sessionToken } = isJsonObject(credentials) ? credentials : {};
  if (
    answer.status === 201 &&
    typeof accessKeyId === 'string' &&
    typeof secretAccessKey === 'string' &&
    typeof sessionToken === 'string'
  )
    return {
      credentials: { accessKeyId, secretAccessKey, sessionToken },
      sourceIdentity: typeof sourceIdentity === 'string' && sourceIdentity !== '' ? sourceIdentity : undefined,
    };
  const words = isJsonObject(json) && typeof json.message === 'string' ? json.message.slice(0, 200) : '';
  const Failure = answer.status >= 400 && answer.status < 500 ? NotMade : GatehouseError;
  throw new Failure(
    'upstream',
    'provider.refused',
    `IAM Roles Anywhere gave no session (${answer.status}${words && `: ${words}`}). Is its trust anchor what “gatehouse providers trust” prints for this provider, and does the profile name the role?`,
  );
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function jsonOf(bytes: Buffer): Json | undefined {
  try {
    return parseStrictJson(bytes);
  } catch {
    return undefined;
  }
}
