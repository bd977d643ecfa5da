import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { GatehouseError } from '../../platform/index.ts';
import { elementsOf, MalformedDer, tags } from './der.ts';

/**
 * What an SVID needs of a certification request (PKCS #10, RFC 2986 §4): a P-256 key, and the proof that its private half signed
 * this request. Subject, attributes and requested names are not even read: an agent is who it has proven to be, and not who it
 * says (SPIFFE X.509-SVID §4 has the issuer choose the ID).
 */
export interface CertificationRequest {
  publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  spki: Buffer;
}

/** A request without names has some 200 bytes; with a generous subject and extensions it stays below this. */
const MAX_CSR_BYTES = 4_096;

/** SubjectPublicKeyInfo of an uncompressed P-256 point up to the point itself (RFC 5480 §2). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const SPKI_BYTES = 91;
/** AlgorithmIdentifier ecdsa-with-SHA256 (RFC 5758 §3.2). */
const ECDSA_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex');
const PEM =
  /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (NEW )?CERTIFICATE REQUEST-----\s*$/;

export function readCsr(csr: string | Uint8Array): CertificationRequest {
  const bytes = typeof csr === 'string' ? decode(csr) : Buffer.from(csr);
  if (bytes.length > MAX_CSR_BYTES) throw refused(`it has more than ${MAX_CSR_BYTES} bytes`);
  try {
    return readDer(bytes);
  } catch (cause) {
    if (cause instanceof MalformedDer) throw refused(cause.message, cause);
    throw cause;
  }
}

/** PEM (RFC 7468 §7), or DER in base64. */
function decode(text: string): Buffer {
  if (text.length > 2 * MAX_CSR_BYTES) throw refused(`it has more than ${MAX_CSR_BYTES} bytes`);
  const body = (PEM.exec(text)?.[2] ?? text).replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body)) throw refused('it is neither PEM nor base64');
  return Buffer.from(body, 'base64');
}

function readDer(bytes: Buffer): CertificationRequest {
  const [info, algorithm, signature] = members(only(bytes), 3);
  const [version, , spki] = members(info, 4);
  if (version?.tag !== tags.integer || version.content.length !== 1 || version.content[0] !== 0)
    throw refused('its version is not 0');
  if (spki?.raw.length !== SPKI_BYTES || !spki.raw.subarray(0, P256_PREFIX.length).equals(P256_PREFIX))
    throw refused('its key is not an ECDSA key of the curve P-256, uncompressed');
  if (!algorithm?.raw.equals(ECDSA_SHA256)) throw refused('it is not signed with ecdsa-with-SHA256');
  if (signature?.tag !== tags.bitString || signature.content[0] !== 0) throw refused('it has no signature');
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: spki.raw, format: 'der', type: 'spki' });
  } catch (cause) {
    throw refused('its key is not a point of the curve', cause);
  }
  if (!verify('sha256', info?.raw as Buffer, publicKey, signature.content.subarray(1)))
    throw refused('its signature does not verify: sign it with the private key that it is for');
  return { publicKey, spki: Buffer.from(spki.raw) };
}

function only(bytes: Buffer) {
  const [element] = elementsOf(bytes, 1);
  return element;
}

function members(element: ReturnType<typeof only>, count: number) {
  if (element?.tag !== tags.sequence) throw new MalformedDer('it is not a certification request');
  const found = elementsOf(element.content, count);
  if (found.length !== count) throw new MalformedDer('it is not a certification request');
  return found;
}

const refused = (reason: string, cause?: unknown) =>
  new GatehouseError(
    'bad-request',
    'svid.csr',
    `The certification request is refused: ${reason}. Send PKCS #10, PEM or base64, of a P-256 key.`,
    { cause },
  );
