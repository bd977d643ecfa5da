import { X509Certificate } from 'node:crypto';
import { type Element, elementsOf, MalformedDer, tags } from './der.ts';

/**
 * What a path is verified with (RFC 5280 §§4.1, 4.2) and node:crypto does not give: extensions with their critical bits, pathLenConstraint,
 * keyUsage. Signatures, names, times and keys are OpenSSL's to judge, of the same bytes. certificate.test.ts holds it against
 * @peculiar/x509, which takes twenty times as long.
 */
export interface Certificate {
  der: Buffer;
  node: X509Certificate;
  /** Content of the INTEGER. */
  serial: Buffer;
  /** By OID, in their order; none stands twice. */
  extensions: ReadonlyMap<string, { critical: boolean; value: Buffer }>;
  basicConstraints: { ca: boolean; pathLength?: number } | undefined;
  keyUsage: { critical: boolean; digitalSignature: boolean; keyCertSign: boolean; cRLSign: boolean } | undefined;
  extendedKeyUsage: string[] | undefined;
  /** URIs of the subjectAltName, each byte a character. */
  uris: string[];
}

/** The bytes are a certificate, but not one that could be verified. The message is public. */
export class RefusedCertificate extends Error {
  override readonly name = 'RefusedCertificate';
}

export const oids = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
} as const;

const VERSION_3 = Buffer.from('a003020102', 'hex');
const EXTENSIONS_TAG = 0xa3;
/** RFC 5280 has sixteen; more is no certificate of anybody who means well. */
const MAX_EXTENSIONS = 32;
const MAX_NAMES = 100;

/** Throws MalformedDer, RefusedCertificate, and what node:crypto throws. */
export function readCertificate(bytes: Uint8Array): Certificate {
  const der = Buffer.from(bytes);
  const [tbs] = sequenceOf(only(der), 3);
  const parts = sequenceOf(tbs, 10);
  const [version, serial] = parts;
  if (!version?.raw.equals(VERSION_3) || serial?.tag !== tags.integer || parts.length < 7)
    throw new MalformedDer('it is no X.509 certificate of version 3');
  const last = parts.at(-1) as Element;
  const extensions = last.tag === EXTENSIONS_TAG ? extensionsIn(last) : new Map();
  const value = (oid: string) => extensions.get(oid)?.value as Buffer | undefined;
  const node = new X509Certificate(der);
  // Read when it is first asked for: what is wrong with it is said here.
  void node.publicKey;
  const usage = extensions.get(oids.keyUsage);
  return {
    der,
    node,
    serial: serial.content,
    extensions,
    basicConstraints: basicConstraintsIn(value(oids.basicConstraints)),
    keyUsage: usage && { critical: usage.critical, ...keyUsageIn(usage.value) },
    extendedKeyUsage: extendedKeyUsageIn(value(oids.extKeyUsage)),
    uris: urisIn(value(oids.subjectAltName)),
  };
}

function extensionsIn(explicit: Element): Map<string, { critical: boolean; value: Buffer }> {
  const found = new Map<string, { critical: boolean; value: Buffer }>();
  for (const each of sequenceOf(only(explicit.content), MAX_EXTENSIONS)) {
    const parts = sequenceOf(each, 3);
    const [oid, flag] = parts;
    const value = parts.at(-1);
    if (oid?.tag !== tags.oid || value?.tag !== tags.octetString || parts.length < 2)
      throw new MalformedDer('an extension is none');
    const type = dotted(oid.content);
    if (found.has(type)) throw new RefusedCertificate(`a certificate has the extension ${type} twice`);
    found.set(type, { critical: parts.length === 3 && booleanOf(flag as Element), value: value.content });
  }
  return found;
}

function basicConstraintsIn(value: Buffer | undefined): Certificate['basicConstraints'] {
  if (!value) return undefined;
  const parts = sequenceOf(only(value), 2);
  const ca = parts[0]?.tag === tags.boolean ? booleanOf(parts.shift() as Element) : false;
  const [length, more] = parts;
  if (more) throw new MalformedDer('basicConstraints has more than it may have');
  return length ? { ca, pathLength: smallInteger(length) } : { ca };
}

/** RFC 5280 §4.2.1.3: the first bit is digitalSignature, the sixth keyCertSign, the seventh cRLSign. */
function keyUsageIn(value: Buffer) {
  const bits = only(value);
  const [unused = 8, first = 0] = bits.content;
  const last = bits.content.at(-1) as number;
  // Bits that are said to be unused count for nothing, and must not seem to.
  if (
    bits.tag !== tags.bitString ||
    bits.content.length < 2 ||
    bits.content.length > 3 ||
    unused > 7 ||
    last % 2 ** unused
  )
    throw new MalformedDer('keyUsage is no bit string');
  return {
    digitalSignature: (first & 0x80) !== 0,
    keyCertSign: (first & 0x04) !== 0,
    cRLSign: (first & 0x02) !== 0,
  };
}

function extendedKeyUsageIn(value: Buffer | undefined): string[] | undefined {
  return (
    value &&
    sequenceOf(only(value), MAX_NAMES).map(({ tag, content }) => {
      if (tag !== tags.oid) throw new MalformedDer('extKeyUsage is no list of OIDs');
      return dotted(content);
    })
  );
}

const URI_TAG = 0x86;
/** RFC 5280 §4.2.1.6: context-specific, 0 to 8. */
const isGeneralName = (tag: number) => (tag & 0xc0) === 0x80 && (tag & 0x1f) <= 8;

function urisIn(value: Buffer | undefined): string[] {
  if (!value) return [];
  const names = sequenceOf(only(value), MAX_NAMES);
  if (!names.every(({ tag }) => isGeneralName(tag))) throw new MalformedDer('subjectAltName has a name of no kind');
  return names.filter(({ tag }) => tag === URI_TAG).map(({ content }) => content.toString('latin1'));
}

function only(bytes: Buffer): Element {
  const [element] = elementsOf(bytes, 1);
  if (!element) throw new MalformedDer('it is empty');
  return element;
}

function sequenceOf(element: Element | undefined, maxCount: number): Element[] {
  if (element?.tag !== tags.sequence) throw new MalformedDer('it has no sequence where there must be one');
  return elementsOf(element.content, maxCount);
}

/** DER writes no default; that many issuers write `false` all the same harms nobody. */
function booleanOf({ tag, content }: Element): boolean {
  if (tag !== tags.boolean || content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw new MalformedDer('it has a boolean that is none');
  return content[0] === 0xff;
}

function smallInteger({ tag, content }: Element): number {
  const [first = 0x80, second] = content;
  if (tag !== tags.integer || content.length > 1 || first >= 0x80 || second !== undefined)
    throw new MalformedDer('pathLenConstraint is no small number');
  return first;
}

/** X.690 §8.19. */
function dotted(content: Buffer): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const [at, byte] of content.entries()) {
    if (arc === 0 && byte === 0x80) throw new MalformedDer('an OID is not minimal');
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw new MalformedDer('an OID has a number that is too large');
    if (byte & 0x80) {
      if (at === content.length - 1) throw new MalformedDer('an OID ends within a number');
      continue;
    }
    arcs.push(arc);
    arc = 0;
  }
  const [head, ...rest] = arcs;
  if (head === undefined) throw new MalformedDer('an OID is empty');
  const top = Math.min(Math.floor(head / 40), 2);
  return [top, head - top * 40, ...rest].join('.');
}
