import { hash, type KeyObject, sign } from 'node:crypto';
import { bitString, der, sequence, tags, time } from './der.ts';

/**
 * The leaf of an X.509-SVID (SPIFFE X.509-SVID §§2–4, RFC 5280 §4.1), written from a fixed template and signed by node:crypto:
 * everything in it but serial, times, key and names is the same bytes each time. leaf.test.ts holds it against @peculiar/x509, which
 * takes several times as long.
 */
export interface Leaf {
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
  /** The SPIFFE ID: the one URI SAN. */
  uri: string;
  /** Only Gatehouse's own listeners have DNS and IP names. */
  dns?: string[];
  ips?: Uint8Array[];
  serial: Uint8Array;
  /** Milliseconds since the epoch. */
  notBefore: number;
  notAfter: number;
}

/** What signs it. */
export interface LeafIssuer {
  /** Name of the intermediate, DER, as in its own subject. */
  name: Uint8Array;
  /** Its subject key identifier. */
  keyId: Uint8Array;
  key: KeyObject;
}

const VERSION_3 = Buffer.from('a003020102', 'hex');
const ECDSA_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex');
/** O=Gatehouse: nobody may take a name in a subject for an identity, so there is none. */
const LEAF_SUBJECT = sequence(
  der(tags.set, sequence(Buffer.from('060355040a', 'hex'), der(tags.utf8String, Buffer.from('Gatehouse')))),
);
/** keyUsage, critical, digitalSignature; extKeyUsage serverAuth, clientAuth; basicConstraints, critical, cA=false. */
const FIXED_EXTENSIONS = Buffer.concat([
  Buffer.from('300e0603551d0f0101ff040403020780', 'hex'),
  Buffer.from('301d0603551d250416301406082b0601050507030106082b06010505070302', 'hex'),
  Buffer.from('300c0603551d130101ff04023000', 'hex'),
]);
const SAN = Buffer.from('0603551d11', 'hex');
const SUBJECT_KEY_ID = Buffer.from('0603551d0e', 'hex');
const AUTHORITY_KEY_ID = Buffer.from('0603551d23', 'hex');

export function signLeaf(leaf: Leaf, issuer: LeafIssuer): Buffer {
  const tbs = sequence(
    VERSION_3,
    der(tags.integer, leaf.serial),
    ECDSA_SHA256,
    issuer.name,
    sequence(time(leaf.notBefore), time(leaf.notAfter)),
    LEAF_SUBJECT,
    leaf.spki,
    der(0xa3, sequence(FIXED_EXTENSIONS, names(leaf), subjectKeyId(leaf.spki), authorityKeyId(issuer.keyId))),
  );
  return sequence(tbs, ECDSA_SHA256, bitString(sign('sha256', tbs, issuer.key)));
}

function names({ uri, dns = [], ips = [] }: Leaf): Buffer {
  const all = sequence(
    der(0x86, Buffer.from(uri, 'latin1')),
    ...dns.map((name) => der(0x82, Buffer.from(name, 'latin1'))),
    ...ips.map((address) => der(0x87, address)),
  );
  return sequence(SAN, der(tags.octetString, all));
}

const subjectKeyId = (spki: Uint8Array) =>
  sequence(SUBJECT_KEY_ID, der(tags.octetString, der(tags.octetString, keyIdOf(spki))));

const authorityKeyId = (keyId: Uint8Array) =>
  sequence(AUTHORITY_KEY_ID, der(tags.octetString, sequence(der(0x80, keyId))));

/** RFC 5280 §4.2.1.2, method 1: SHA-1 of the key's bits. An identifier, not a proof. */
const keyIdOf = (spki: Uint8Array): Buffer => hash('sha1', spki.subarray(spki.length - P256_POINT_BYTES), 'buffer');
const P256_POINT_BYTES = 65;
