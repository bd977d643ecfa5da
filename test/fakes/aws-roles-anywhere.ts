import { createHash, createHmac, randomBytes, verify, X509Certificate } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canary } from '../support/canary.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

interface Signed {
  algorithm: string;
  credential: string[];
  names: string[];
  signature: string;
  stringToSign: string;
}

/** The string that a signature is over, from the request as it came. */
function signedOf(request: IncomingMessage, body: string): Signed {
  const [, algorithm = '', credential = '', list = '', signature = ''] =
    /^(\S+) Credential=(\S+?), ?SignedHeaders=(\S+?), ?Signature=([0-9a-f]+)$/.exec(
      request.headers.authorization ?? '',
    ) ?? [];
  const names = list.split(';');
  const canonical = [
    ...[request.method, request.url, ''],
    ...names.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}`),
    ...['', list, sha256(body)],
  ].join('\n');
  const [id = '', ...scope] = credential.split('/');
  const at = String(request.headers['x-amz-date'] ?? '');
  const stringToSign = [algorithm, at, scope.join('/'), sha256(canonical)].join('\n');
  return { algorithm, credential: [id, ...scope], names, signature, stringToSign };
}

/** Sessions that were given, by access key. */
export type FakeSessions = Map<string, { secret: string; token: string; role: string }>;

/** Whose session signed a request (Signature Version 4); undefined where nobody did. */
export function sessionOf(request: IncomingMessage, body: string, sessions: FakeSessions) {
  const { algorithm, credential, names, signature, stringToSign } = signedOf(request, body);
  const [id = '', ...scope] = credential;
  const session = sessions.get(id);
  if (
    algorithm !== 'AWS4-HMAC-SHA256' ||
    !session ||
    !['host', 'x-amz-security-token'].every((each) => names.includes(each))
  )
    return undefined;
  const key = scope.reduce<Buffer | string>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    `AWS4${session.secret}`,
  );
  const isRight = createHmac('sha256', key).update(stringToSign).digest('hex') === signature;
  return isRight && request.headers['x-amz-security-token'] === session.token ? session : undefined;
}

/**
 * A fake of IAM Roles Anywhere's CreateSession, written from its documentation of the signing process: it follows the certificates to the trust
 * anchor, checks the signature over the request, and the role's condition on the SPIFFE ID.
 */
export async function startFakeRolesAnywhere(trust: () => { root: X509Certificate; spiffeId: string }) {
  const sessions: FakeSessions = new Map();
  const trustAnchor =
    'arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/11111111-1111-4111-8111-111111111111';
  const profile = 'arn:aws:rolesanywhere:eu-central-1:123456789012:profile/22222222-2222-4222-8222-222222222222';
  const role = 'arn:aws:iam::123456789012:role/gatehouse';
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const answer = (status: number, json: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    const problem = whyRefused(request, body, trust());
    if (problem !== undefined) return answer(403, { message: problem });
    const asked = JSON.parse(body);
    if (asked.trustAnchorArn !== trustAnchor || asked.profileArn !== profile || asked.roleArn !== role)
      return answer(404, { message: 'No such trust anchor, profile or role.' });
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const session = { secret: canary(), token: canary('IQoJb3JpZ2luX2Vj'), role };
    sessions.set(accessKeyId, session);
    const expiration = new Date(Date.now() + asked.durationSeconds * 1_000).toISOString();
    return answer(201, {
      credentialSet: [
        {
          assumedRoleUser: { arn: `${role}/x`, assumedRoleId: 'AROA:x' },
          credentials: { accessKeyId, secretAccessKey: session.secret, sessionToken: session.token, expiration },
          roleArn: role,
        },
      ],
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ sessions, trustAnchor, profile, role },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function whyRefused(
  request: IncomingMessage,
  body: string,
  { root, spiffeId }: { root: X509Certificate; spiffeId: string },
): string | undefined {
  const header = (name: string) => String(request.headers[name] ?? '');
  if (request.method !== 'POST' || request.url !== '/sessions') return 'There is no such operation.';
  const { algorithm, credential, names, signature, stringToSign } = signedOf(request, body);
  const missing = ['content-type', 'host', 'x-amz-date', 'x-amz-x509'].find((each) => !names.includes(each));
  if (algorithm !== 'AWS4-X509-ECDSA-SHA256' || missing !== undefined) return 'The signature is incomplete.';
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(header('x-amz-date')) ?? [];
  const at = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
  if (!(Math.abs(Date.now() - at) < 300_000)) return 'The signature has expired.';
  const ders = [
    header('x-amz-x509'),
    ...header('x-amz-x509-chain')
      .split(',')
      .filter((each) => each !== ''),
  ];
  const chain = ders.map((der) => new X509Certificate(Buffer.from(der, 'base64')));
  const leaf = chain[0] as X509Certificate;
  if (
    credential.join('/') !== `${BigInt(`0x${leaf.serialNumber}`)}/${y}${mo}${d}/eu-central-1/rolesanywhere/aws4_request`
  )
    return 'The credential is not of this certificate.';
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? root;
    if (!issuer.ca || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
      return 'Untrusted certificate.';
    if (certificate.validToDate.getTime() < Date.now() || certificate.validFromDate.getTime() > Date.now())
      return 'The certificate is not valid now.';
  }
  if (leaf.ca) return 'The certificate is one of an authority.';
  if (!verify('sha256', Buffer.from(stringToSign), leaf.publicKey, Buffer.from(signature, 'hex')))
    return 'The signature does not verify.';
  return leaf.subjectAltName === `URI:${spiffeId}` ? undefined : 'The role does not trust this certificate.';
}
export type FakeRolesAnywhere = Awaited<ReturnType<typeof startFakeRolesAnywhere>>;
