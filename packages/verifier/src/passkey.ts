/** What a passkey signed (WebAuthn Level 3 §7.2), checked with the key that is kept beside it. Whose the key is, the record of its enrolment says. */

import { joinBytes, toHex } from './note.ts';
import { sha256 } from './sha256.ts';

/** Binary values in base64url. */
export type SignedByPasskey = {
  /** Id of the credential. */
  passkey: string;
  /** JWK. */
  publicKey: Record<string, string>;
  rpId: string;
  origin: string;
  response: { id: string; clientDataJSON: string; authenticatorData: string; signature: string };
};

export type YesLink =
  | 'format' // not of the form that it should have
  | 'record' // the record of the yes is not in the log, or is of another one
  | 'dispatch' // the dispatch names another approval, or came before the yes
  | 'assertion' // the record carries the digest of another assertion, or the signature does not fit
  | 'challenge' // something else was signed
  | 'subject' // what was signed is not the action that was dispatched
  | 'arguments' // it was dispatched with other arguments
  | 'rules' // fewer people are in it than the rules that were signed ask for
  | 'key'; // no record says that the key is that person's

export class Broken extends Error {
  readonly link: YesLink;
  constructor(link: YesLink, detail: string) {
    super(detail);
    this.link = link;
  }
}

const USER_PRESENT_AND_VERIFIED = 0x05;
const encoder = new TextEncoder();

/** Throws `Broken` unless this passkey, whose person it had verified, signed this challenge and nothing else. */
export async function requireSigned(kept: SignedByPasskey, challenge: Uint8Array): Promise<void> {
  const client = fromBase64url(kept.response.clientDataJSON);
  const authenticator = fromBase64url(kept.response.authenticatorData);
  const signed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(client)) as Record<string, unknown>;
  if (signed.type !== 'webauthn.get' || signed.origin !== kept.origin || signed.crossOrigin === true)
    throw new Broken('assertion', 'it was signed for something else than a yes here');
  if (signed.challenge !== toBase64url(challenge)) throw new Broken('challenge', 'the passkey signed something else');
  if (toHex(authenticator.slice(0, 32)) !== toHex(sha256(encoder.encode(kept.rpId))))
    throw new Broken('assertion', 'it was signed for another relying party');
  if (((authenticator[32] ?? 0) & USER_PRESENT_AND_VERIFIED) !== USER_PRESENT_AND_VERIFIED)
    throw new Broken('assertion', 'the authenticator did not verify its person');
  const message = joinBytes(authenticator, sha256(client));
  if (!(await isSigned(kept.publicKey, message, fromBase64url(kept.response.signature))))
    throw new Broken('assertion', 'the signature does not fit');
}

/** RFC 8785. JavaScript’s own numbers and strings are its notation; members are ordered by UTF-16 code units. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}

export const digestOf = (value: unknown): string => `sha256-${toHex(sha256(encoder.encode(canonicalJson(value))))}`;

const ALGORITHMS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  EdDSA: { name: 'Ed25519' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
} as const;

async function isSigned(jwk: Record<string, string>, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const { alg, ...key } = jwk;
  const algorithm = ALGORITHMS[alg as keyof typeof ALGORITHMS];
  if (!algorithm) throw new Broken('assertion', `the key is of an unknown kind, ${alg}`);
  try {
    const publicKey = await crypto.subtle.importKey('jwk', key, algorithm, false, ['verify']);
    const raw = alg === 'ES256' ? fromDer(signature) : signature;
    return await crypto.subtle.verify(algorithm, publicKey, raw.slice(), message.slice());
  } catch (error) {
    if (error instanceof DOMException) return false;
    throw error;
  }
}

/** ECDSA-Sig-Value (RFC 3279) to the two numbers of 32 bytes each. */
function fromDer(der: Uint8Array): Uint8Array {
  const raw = new Uint8Array(64);
  let at = 2;
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new Broken('assertion', 'the signature is malformed');
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0;
    const number = der.slice(at + 2, at + 2 + length);
    const digits = number[0] === 0 ? number.slice(1) : number;
    if (der[at] !== 0x02 || number.length !== length || length === 0 || digits.length > 32)
      throw new Broken('assertion', 'the signature is malformed');
    raw.set(digits, end - digits.length);
    at += 2 + length;
  }
  if (at !== der.length) throw new Broken('assertion', 'the signature is malformed');
  return raw;
}

export function fromBase64url(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Broken('format', 'a value is not base64url');
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function toBase64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
