import { makeBundle } from '../bundle.ts';
import { ECDSA_P256, loadX509 } from '../x509.ts';

/** Certificates as a foreign issuer makes them, with every part open to change. */
export async function createRoot(trustDomain: string) {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  const now = Date.now();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=root of ${trustDomain}`,
    keys,
    signingAlgorithm: ECDSA_P256,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + 10 * 86_400_000),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const signer = { subject: root.subject, privateKey: keys.privateKey };

  interface Change {
    names?: { type: 'url' | 'dns'; value: string }[];
    usage?: number | null;
    ca?: boolean;
    pathLength?: number;
    notBefore?: number;
    notAfter?: number;
    subject?: string;
    extra?: InstanceType<typeof x509.Extension>[];
    issuer?: { subject: string; privateKey: CryptoKey };
  }
  const issue = async (change: Change = {}) => {
    const own = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
    const { names = [{ type: 'url', value: `spiffe://${trustDomain}/a` }], ca = false, usage } = change;
    const subject = change.subject ?? 'CN=leaf';
    const issuer = change.issuer ?? signer;
    const certificate = await x509.X509CertificateGenerator.create({
      subject,
      issuer: issuer.subject,
      signingKey: issuer.privateKey,
      publicKey: own.publicKey,
      signingAlgorithm: ECDSA_P256,
      notBefore: new Date(change.notBefore ?? now - 60_000),
      notAfter: new Date(change.notAfter ?? now + 3_600_000),
      extensions: [
        new x509.BasicConstraintsExtension(ca, change.pathLength, true),
        ...(usage === null ? [] : [new x509.KeyUsagesExtension(usage ?? x509.KeyUsageFlags.digitalSignature, true)]),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
        ...(change.extra ?? []),
      ],
    });
    return { der: Buffer.from(certificate.rawData), subject, privateKey: own.privateKey };
  };
  const bundle = makeBundle({ trustDomain, sequence: 1, roots: [Buffer.from(root.rawData)], jwtKeys: [] });
  return { x509, bundle, issue, flags: x509.KeyUsageFlags };
}
