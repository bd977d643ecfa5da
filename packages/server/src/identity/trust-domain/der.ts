/** DER (X.690 §10): what the leaf template is written with, and a reader for the one shape that a P-256 CSR has. */

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

export function der(tag: number, ...contents: Uint8Array[]): Buffer {
  let length = 0;
  for (const content of contents) length += content.byteLength;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), ...contents], head.length + length);
}

export const sequence = (...contents: Uint8Array[]): Buffer => der(tags.sequence, ...contents);

/** No bit of the last byte is unused. */
export const bitString = (bytes: Uint8Array): Buffer => der(tags.bitString, Buffer.of(0), bytes);

/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime afterwards; seconds, Z. */
export function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return text < '2050' ? der(tags.utcTime, Buffer.from(text.slice(2))) : der(tags.generalizedTime, Buffer.from(text));
}

export interface Element {
  tag: number;
  content: Buffer;
  /** With tag and length, as it stood. */
  raw: Buffer;
}

/** The bytes are not DER of the expected shape. */
export class MalformedDer extends Error {
  override readonly name = 'MalformedDer';
}

/** The elements that `bytes` consists of, and nothing else; definite, minimal lengths of at most two bytes. */
export function elementsOf(bytes: Buffer, maxCount: number): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (elements.length === maxCount) throw new MalformedDer('it has more elements than it may have');
    const tag = bytes[at] as number;
    if ((tag & 0x1f) === 0x1f) throw new MalformedDer('it has a tag of several bytes');
    const first = bytes[at + 1];
    if (first === undefined) throw new MalformedDer('it ends within an element');
    let length = first;
    let head = 2;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count < 1 || count > 2 || at + 2 + count > bytes.length)
        throw new MalformedDer('it has a length that is not DER');
      length = bytes.readUIntBE(at + 2, count);
      head += count;
      if (length < 0x80 || (count === 2 && length < 0x100))
        throw new MalformedDer('it has a length that is not minimal');
    }
    const end = at + head + length;
    if (end > bytes.length) throw new MalformedDer('it ends within an element');
    elements.push({ tag, content: bytes.subarray(at + head, end), raw: bytes.subarray(at, end) });
    at = end;
  }
  return elements;
}
