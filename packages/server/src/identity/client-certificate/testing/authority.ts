import { createPrivateKey, hash, randomBytes, X509Certificate } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { Sealer, Storage } from '../../../storage/index.ts';

/**
 * A certificate authority as anyone can run one, so that a test can make certificates that Gatehouse's own never would: expired, with
 * two names, with none, of another trust domain.
 */
export interface Authority {
  /** PEM of the root. */
  root: string;
  issue(leaf?: LeafOptions): Promise<IssuedCertificate>;
}

export interface LeafOptions {
  uris?: string[];
  dns?: string[];
  /** Milliseconds since the epoch. */
  notBefore?: number;
  notAfter?: number;
  isAuthority?: boolean;
  /** Of the agent that it names, when it was made; the trust domain writes it into the serial number. */
  epoch?: number;
  /** When what it rests on was proven; as above. */
  provenAt?: number;
}

export interface IssuedCertificate {
  /** PEM of leaf and intermediate. */
  cert: string;
  key: string;
  /** As in `x5t#S256`. */
  thumbprint: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;

/** Of a trust domain that nobody here knows, whatever its name. */
export async function createAuthority(
  trustDomain: string,
  { intermediateEndsAt = Date.now() + 24 * HOUR_MS } = {},
): Promise<Authority> {
  const domain = new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]);
  const [rootKeys, keys] = await Promise.all([generateKeys(), generateKeys()]);
  const common = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + 24 * HOUR_MS) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...common,
    serialNumber: '01',
    name: `CN=root of ${trustDomain}`,
    keys: rootKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true), signs, domain],
  });
  const intermediate = await x509.X509CertificateGenerator.create({
    ...common,
    notAfter: new Date(intermediateEndsAt),
    serialNumber: '02',
    subject: `CN=intermediate of ${trustDomain}`,
    issuer: root.subject,
    publicKey: keys.publicKey,
    signingKey: rootKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), signs, domain],
  });
  return { root: root.toString('pem'), issue: (leaf) => issue(leaf, intermediate, keys.privateKey) };
}

/** With the key that a workspace's own intermediate has, taken out of its database as only whoever has its key-encryption key can. */
export async function stolenAuthority(storage: Storage, sealer: Sealer): Promise<Authority> {
  const rows = await storage.db
    .selectFrom('signing_keys')
    .select(['kid', 'purpose', 'sealed_private'])
    .where('purpose', 'in', ['x509-root', 'x509-intermediate'])
    .execute();
  const open = (purpose: string) => {
    const row = rows.find((each) => each.purpose === purpose);
    if (!row) throw new Error(`there is no ${purpose}`);
    const sealed = sealer.open(row.sealed_private, `signing-key:${row.kid}`).reveal();
    return JSON.parse(sealed) as { certificate: string; key: string };
  };
  const { certificate, key } = open('x509-intermediate');
  const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
  const signingKey = await crypto.subtle.importKey('pkcs8', new Uint8Array(der), ALGORITHM, false, ['sign']);
  return {
    root: new x509.X509Certificate(open('x509-root').certificate).toString('pem'),
    issue: (leaf) => issue(leaf, new x509.X509Certificate(certificate), signingKey),
  };
}

const generateKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;
const signs = new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true);

async function issue(
  { uris = [], dns = [], notBefore, notAfter, isAuthority = false, epoch = 1, provenAt = Date.now() }: LeafOptions = {},
  issuer: x509.X509Certificate,
  signingKey: CryptoKey,
): Promise<IssuedCertificate> {
  const own = await generateKeys();
  const names = [
    ...uris.map((value) => ({ type: 'url', value }) as const),
    ...dns.map((value) => ({ type: 'dns', value }) as const),
  ];
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: `02${epoch.toString(16).padStart(12, '0')}${Math.floor(provenAt / 1000)
      .toString(16)
      .padStart(10, '0')}${randomBytes(8).toString('hex')}`,
    subject: 'O=test',
    issuer: issuer.subjectName,
    notBefore: new Date(notBefore ?? Date.now() - 60_000),
    notAfter: new Date(notAfter ?? Date.now() + HOUR_MS),
    publicKey: own.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority, undefined, true),
      isAuthority ? signs : new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', own.privateKey);
  return {
    cert: `${leaf.toString('pem')}\n${issuer.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    thumbprint: hash('sha256', new X509Certificate(leaf.toString('pem')).raw, 'base64url'),
  };
}
