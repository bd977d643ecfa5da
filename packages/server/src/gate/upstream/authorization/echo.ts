import type { Secret } from '../../../platform/index.ts';

/**
 * True when an answer holds the secret as it is, or as JSON, URLs or base64 write it. A server that wants to hide it can: that token is good
 * at this server only, which has it anyway. What this stops is the server that shows it by accident, in an error or a debug tool.
 */
export function echoes(text: Uint8Array | string, secret: Secret): boolean {
  const body =
    typeof text === 'string' ? text : Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1');
  const value = secret.reveal();
  if (formsOf(value).some((form) => body.includes(form))) return true;
  return body.includes('\\') && unescaped(body).includes(value);
}

/** The ways in which a value stands in JSON, URLs, base64 and hexadecimal text. */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const encoded = encodeURIComponent(value);
  const hex = bytes.toString('hex');
  // Base64 of a text inside another depends on where it stands: what no neighbour has a part in is the same wherever it stands.
  const base64 = [0, 1, 2].map((at) =>
    Buffer.concat([Buffer.alloc(at), bytes])
      .toString('base64')
      .slice(Math.ceil((at * 8) / 6), Math.floor(((at + bytes.length) * 8) / 6)),
  );
  const known = base64.filter((form) => form.length >= 10);
  return [
    value,
    encoded,
    encoded.replaceAll(/%../g, (code) => code.toLowerCase()),
    hex,
    hex.toUpperCase(),
    ...known,
    ...known.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
  ];
}

const unescaped = (body: string) =>
  body
    .replaceAll(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replaceAll('\\/', '/');
