import { hash, type KeyObject, type X509Certificate } from 'node:crypto';
import { GatehouseError } from '../../platform/index.ts';
import type { SpiffeBundle } from './bundle.ts';
import { type Certificate, oids, RefusedCertificate, readCertificate } from './certificate.ts';
import { CLOCK_SKEW_MS, trustDomainLimits } from './limits.ts';
import { MalformedSpiffeId, parseSpiffeId } from './spiffe-id.ts';

/** A chain that leads to a root of the trust domain that its leaf names. */
export interface VerifiedChain {
  spiffeId: string;
  trustDomain: string;
  path: string;
  notAfter: number;
  /** When the first certificate of its path ends, the root's included. */
  validUntil: number;
  thumbprint: string;
  publicKey: KeyObject;
  serial: Buffer;
  /** The certificates between leaf and root, DER. */
  intermediates: Buffer[];
}

/**
 * SPIFFE X.509-SVID §5: the leaf's rules, then the certification path (RFC 5280 §6) to a root of the leaf's own trust domain, and of no other.
 * `bundleOf` gives that trust domain's bundle. Names and critical extensions that we do not process are refused.
 */
export async function verifyChain(
  chain: readonly Uint8Array[],
  { bundleOf, now }: { bundleOf(trustDomain: string): SpiffeBundle | undefined; now: number },
): Promise<VerifiedChain> {
  if (chain.length === 0) throw refused('chain', 'no certificate was presented');
  if (chain.length > trustDomainLimits.chainCertificates)
    throw refused('chain', `the chain has more than ${trustDomainLimits.chainCertificates} certificates`);
  if (chain.some(({ byteLength }) => byteLength > trustDomainLimits.certificateBytes))
    throw refused('chain', `a certificate has more than ${trustDomainLimits.certificateBytes} bytes`);
  const [leaf, ...rest] = chain.map((bytes, at) => read(bytes, at === 0 ? 'leaf' : 'chain')) as [
    Certificate,
    ...Certificate[],
  ];
  const spiffeId = leafId(leaf);
  const { trustDomain, path } = idOf(spiffeId);
  if (path === '') throw refused('leaf', 'its SPIFFE ID has no path, as only a signing certificate’s has');
  const bundle = bundleOf(trustDomain);
  if (!bundle)
    throw refused(
      'trust-domain',
      `its trust domain ${trustDomain} is neither ours nor one that we federate with and have a bundle of`,
    );
  const { intermediates, validUntil } = pathTo(bundle, leaf, rest, now);
  return {
    spiffeId,
    trustDomain,
    path,
    notAfter: leaf.node.validToDate.getTime(),
    validUntil,
    thumbprint: hash('sha256', leaf.der, 'base64url'),
    publicKey: leaf.node.publicKey,
    serial: leaf.serial,
    intermediates,
  };
}

function read(bytes: Uint8Array, code = 'chain'): Certificate {
  try {
    return readCertificate(bytes);
  } catch (cause) {
    if (cause instanceof RefusedCertificate) throw refused(code, cause.message, cause);
    throw refused('chain', 'a certificate cannot be read', cause);
  }
}

/** §§2, 4 and 5.2: exactly one URI SAN, cA=false, keyUsage with digitalSignature and without keyCertSign and cRLSign. */
function leafId(leaf: Certificate): string {
  const { basicConstraints, keyUsage, extendedKeyUsage, uris } = leaf;
  if (leaf.node.ca || basicConstraints?.ca)
    throw refused('leaf', 'it is the certificate of an authority, which never authenticates anybody');
  if (!keyUsage?.critical) throw refused('leaf', 'it has no critical keyUsage');
  if (!keyUsage.digitalSignature) throw refused('leaf', 'its keyUsage lacks digitalSignature');
  if (keyUsage.keyCertSign || keyUsage.cRLSign) throw refused('leaf', 'its keyUsage has keyCertSign or cRLSign');
  if (extendedKeyUsage && !extendedKeyUsage.some((each) => each === SERVER_AUTH || each === CLIENT_AUTH))
    throw refused('leaf', 'its extKeyUsage has neither serverAuth nor clientAuth');
  if (uris.length !== 1) throw refused('leaf', `it has ${uris.length} URI SANs, and an X.509-SVID has exactly one`);
  refuseUnknown(leaf);
  return uris[0] as string;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const NAME_CONSTRAINTS = '2.5.29.30';
const processed = new Set<string>(Object.values(oids));

/** RFC 5280 §4.2: a critical extension that is not processed refuses the certificate. */
function refuseUnknown({ extensions }: Certificate): void {
  for (const [type, { critical }] of extensions)
    if (critical && !processed.has(type))
      throw refused('chain', `a certificate has the critical extension ${type}, which is not understood`);
  // Always critical by RFC 5280 §4.2.1.10; where it is not, whoever wrote it meant a limit all the same.
  if (extensions.has(NAME_CONSTRAINTS))
    throw refused('chain', `a certificate has name constraints (${NAME_CONSTRAINTS}), which are not processed here`);
}
function idOf(uri: string) {
  try {
    return parseSpiffeId(uri);
  } catch (cause) {
    if (cause instanceof MalformedSpiffeId)
      throw refused('leaf', `its URI SAN is no SPIFFE ID: ${cause.message}`, cause);
    throw cause;
  }
}

/** RFC 5280 §6.1, from the leaf upward. What was presented is only a hint at the way; the trust anchors come from the bundle alone. */
function pathTo(
  { roots, trustDomain }: SpiffeBundle,
  leaf: Certificate,
  presented: Certificate[],
  now: number,
): { intermediates: Buffer[]; validUntil: number } {
  const intermediates: Buffer[] = [];
  let below = leaf;
  let validUntil = Infinity;
  const left = [...presented];
  for (;;) {
    checkTime(below.node, now);
    validUntil = Math.min(validUntil, below.node.validToDate.getTime());
    const root = roots.find(({ certificate }) => isIssuedBy(below.node, certificate));
    if (root) {
      checkTime(root.certificate, now);
      checkAuthority(read(root.der), intermediates.length, trustDomain);
      return { intermediates, validUntil: Math.min(validUntil, root.certificate.validToDate.getTime()) };
    }
    const at = left.findIndex(({ node }) => isIssuedBy(below.node, node));
    const [issuer] = at === -1 ? [] : left.splice(at, 1);
    if (!issuer) throw refused('untrusted', `it does not lead to a root of the trust domain ${trustDomain}`);
    checkAuthority(issuer, intermediates.length, trustDomain);
    intermediates.push(issuer.der);
    below = issuer;
  }
}

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate) =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/** RFC 5280 §6.1.4 k–n: cA, pathLenConstraint, keyCertSign; SPIFFE X.509-SVID §3.2: an ID, if any, of this trust domain and without path. */
function checkAuthority(issuer: Certificate, below: number, trustDomain: string): void {
  const { basicConstraints, keyUsage, uris } = issuer;
  if (!basicConstraints?.ca) throw refused('chain', 'an issuer in the chain is no authority');
  if (basicConstraints.pathLength !== undefined && below > basicConstraints.pathLength)
    throw refused('chain', 'the chain is longer than an authority in it allows');
  if (keyUsage && !keyUsage.keyCertSign) throw refused('chain', 'an issuer in the chain may not sign certificates');
  if (uris.some((uri) => uri !== `spiffe://${trustDomain}`))
    throw refused('chain', 'an issuer in the chain has another SPIFFE ID than that of the trust domain');
  refuseUnknown(issuer);
}

function checkTime({ validFromDate, validToDate }: X509Certificate, now: number): void {
  if (now < validFromDate.getTime() - CLOCK_SKEW_MS) throw refused('not-yet', 'a certificate is not valid yet');
  if (now >= validToDate.getTime()) throw refused('expired', 'a certificate has expired: fetch a new SVID');
}

export const refused = (code: string, reason: string, cause?: unknown) =>
  new GatehouseError('unauthenticated', `svid.${code}`, `The SVID is refused: ${reason}.`, { cause });
