import { type KeyObject, randomBytes } from 'node:crypto';
import { ECDSA_P256, loadX509, parseCertificate, type X509 } from './x509.ts';

/** Certificates of authorities: made rarely, by @peculiar/x509 with node's webcrypto. */
export interface AuthorityCertificate {
  der: Buffer;
  /** Subject, DER: the issuer's name in what it signs. */
  name: Buffer;
  keyId: Buffer;
}

export interface KeyPair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

interface MakeCertificate {
  trustDomain: string;
  keys: KeyPair;
  notBefore: number;
  notAfter: number;
}

export async function makeRoot(make: MakeCertificate): Promise<AuthorityCertificate> {
  const x509 = await loadX509();
  const keys = await webKeys(make.keys);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...common(make),
    name: nameOf(make.trustDomain, 'root'),
    keys,
    extensions: await extensions(x509, make.trustDomain, keys.publicKey, undefined),
  });
  return authorityOf(Buffer.from(certificate.rawData));
}

/** Of the authority that clouds trust: signs leaves only, and has no SPIFFE ID, since no trust domain has it. */
export async function makeCloudRoot(make: MakeCertificate): Promise<AuthorityCertificate> {
  const x509 = await loadX509();
  const keys = await webKeys(make.keys);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...common(make),
    name: nameOf(make.trustDomain, 'clouds'),
    keys,
    extensions: await extensions(x509, undefined, keys.publicKey, 0),
  });
  return authorityOf(Buffer.from(certificate.rawData));
}

/** Signs leaves only (pathLenConstraint 0). */
export async function makeIntermediate(
  make: MakeCertificate,
  issuer: { certificate: Buffer; key: KeyObject },
): Promise<AuthorityCertificate> {
  const x509 = await loadX509();
  const root = parseCertificate(x509, issuer.certificate);
  const { publicKey } = await webKeys(make.keys);
  const certificate = await x509.X509CertificateGenerator.create({
    ...common(make),
    subject: nameOf(make.trustDomain, 'intermediate'),
    issuer: root.subjectName,
    publicKey,
    signingKey: await webPrivateKey(issuer.key),
    extensions: [
      ...(await extensions(x509, make.trustDomain, publicKey, 0)),
      await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
    ],
  });
  return authorityOf(Buffer.from(certificate.rawData));
}

/** PKCS #10 for an intermediate whose root is held elsewhere; asks for the extensions that it must get. */
export async function makeAuthorityCsr(trustDomain: string, pair: KeyPair): Promise<string> {
  const x509 = await loadX509();
  const keys = await webKeys(pair);
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(trustDomain, 'intermediate'),
    keys,
    signingAlgorithm: ECDSA_P256,
    extensions: await extensions(x509, trustDomain, keys.publicKey, 0),
  });
  return csr.toString('pem');
}

export async function authorityOf(der: Buffer): Promise<AuthorityCertificate> {
  const x509 = await loadX509();
  const certificate = parseCertificate(x509, der);
  const keyId = certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  return {
    der,
    name: Buffer.from(certificate.subjectName.toArrayBuffer()),
    keyId: keyId ? Buffer.from(keyId, 'hex') : Buffer.from(await certificate.publicKey.getThumbprint('SHA-1')),
  };
}

/** What keeps a certificate from being our intermediate, beyond what node checks; undefined when nothing does. */
export async function intermediateProblem(der: Buffer, trustDomain: string): Promise<string | undefined> {
  const x509 = await loadX509();
  const certificate = parseCertificate(x509, der);
  const constraints = certificate.getExtension(x509.BasicConstraintsExtension);
  if (!constraints?.ca) return 'it has no basicConstraints with cA=true';
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  if (!(usages & x509.KeyUsageFlags.keyCertSign)) return 'its keyUsage lacks keyCertSign';
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  const uris = names.filter(({ type }) => type === 'url').map(({ value }) => value);
  if (uris.some((uri) => uri !== `spiffe://${trustDomain}`)) return `its URI SAN is not spiffe://${trustDomain}`;
  return undefined;
}

/** With a number of its own, so that two roots of one domain are never taken for each other by name. */
const nameOf = (trustDomain: string, what: string): Record<string, string[]>[] => [
  { O: [trustDomain] },
  { CN: [`Gatehouse ${what}`] },
  { '2.5.4.5': [randomBytes(8).toString('hex')] },
];

const common = ({ notBefore, notAfter }: MakeCertificate) => ({
  serialNumber: `01${randomBytes(15).toString('hex')}`,
  notBefore: new Date(notBefore),
  notAfter: new Date(notAfter),
  signingAlgorithm: ECDSA_P256,
});

async function extensions(
  x509: X509,
  trustDomain: string | undefined,
  publicKey: CryptoKey,
  pathLength: number | undefined,
) {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    // SPIFFE X.509-SVID §3.2: the ID of a signing certificate has no path.
    ...(trustDomain === undefined
      ? []
      : [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }])]),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}

async function webKeys({ privateKey, publicKey }: KeyPair): Promise<CryptoKeyPair> {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return {
    privateKey: await webPrivateKey(privateKey),
    publicKey: await crypto.subtle.importKey('spki', new Uint8Array(spki), ECDSA_P256, true, ['verify']),
  };
}

function webPrivateKey(key: KeyObject): Promise<CryptoKey> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  return crypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), ECDSA_P256, false, ['sign']);
}
