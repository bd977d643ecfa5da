import { hash, X509Certificate } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

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

export async function createAuthority(trustDomain: string): Promise<Authority> {
  const generate = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<CryptoKeyPair>;
  const domain = new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]);
  const signs = new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true);
  const [rootKeys, keys] = await Promise.all([generate(), generate()]);
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
    serialNumber: '02',
    subject: `CN=intermediate of ${trustDomain}`,
    issuer: root.subject,
    publicKey: keys.publicKey,
    signingKey: rootKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), signs, domain],
  });
  let serial = 2;
  return {
    root: root.toString('pem'),
    async issue({ uris = [], dns = [], notBefore, notAfter, isAuthority = false } = {}) {
      const own = await generate();
      const names = [
        ...uris.map((value) => ({ type: 'url', value }) as const),
        ...dns.map((value) => ({ type: 'dns', value }) as const),
      ];
      const leaf = await x509.X509CertificateGenerator.create({
        serialNumber: (++serial).toString(16).padStart(4, '0'),
        subject: 'O=test',
        issuer: intermediate.subject,
        notBefore: new Date(notBefore ?? Date.now() - 60_000),
        notAfter: new Date(notAfter ?? Date.now() + HOUR_MS),
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
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
        cert: `${leaf.toString('pem')}\n${intermediate.toString('pem')}\n`,
        key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
        thumbprint: hash('sha256', new X509Certificate(leaf.toString('pem')).raw, 'base64url'),
      };
    },
  };
}
