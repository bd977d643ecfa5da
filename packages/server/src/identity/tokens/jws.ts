import { createPublicKey, hash, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../platform/index.ts';

/**
 * Compact JWS (RFC 7515 §7.1), read in exactly one way: canonical base64url, strict JSON, no duplicate members. Nothing here
 * decides which algorithm or key is right; callers name both, and a header never chooses (RFC 8725 §3.1).
 */
export interface CompactJws {
  header: JsonObject;
  payload: JsonObject;
  /** The header as it stood in the text; equal text means equal header. */
  headerSegment: string;
  signed: Buffer;
  signature: Buffer;
}

export type JwsAlgorithm = 'ES256' | 'EdDSA' | 'Ed25519';

/** The text is not a compact JWS. The message is public. */
export class MalformedJws extends Error {
  override readonly name = 'MalformedJws';
}

const ALPHABET = /^[A-Za-z0-9_-]+$/;
/** The claims, an actor chain of 8 in them, and something to spare. */
const MAX_DEPTH = 12;

export function parseCompactJws(text: string, maxChars: number): CompactJws {
  if (text.length > maxChars) throw new MalformedJws(`it is longer than ${maxChars} characters`);
  const segments = text.split('.');
  const [headerSegment, payloadSegment, signatureSegment] = segments;
  if (segments.length !== 3 || !headerSegment || !payloadSegment || !signatureSegment)
    throw new MalformedJws('it does not have three parts');
  return {
    header: parseObject(headerSegment, 'header'),
    payload: parseObject(payloadSegment, 'payload'),
    headerSegment,
    signed: Buffer.from(text.slice(0, headerSegment.length + 1 + payloadSegment.length), 'latin1'),
    signature: decodeBase64url(signatureSegment, 'signature'),
  };
}

function parseObject(segment: string, part: string): JsonObject {
  const bytes = decodeBase64url(segment, part);
  let value: unknown;
  try {
    value = parseStrictJson(bytes, MAX_DEPTH);
  } catch (cause) {
    throw new MalformedJws(`its ${part} is not strict JSON`, { cause });
  }
  if (!isJsonObject(value)) throw new MalformedJws(`its ${part} is not a JSON object`);
  return value;
}

function decodeBase64url(segment: string, part: string): Buffer {
  if (!ALPHABET.test(segment)) throw new MalformedJws(`its ${part} is not base64url`);
  const bytes = Buffer.from(segment, 'base64url');
  // Two texts of one token would have two hashes: unused bits must be zero (RFC 4648 §3.5).
  if (bytes.toString('base64url') !== segment) throw new MalformedJws(`its ${part} is not canonical base64url`);
  return bytes;
}

export function verifyJws(jws: CompactJws, algorithm: JwsAlgorithm, key: KeyObject): boolean {
  if (jws.signature.length !== 64) return false;
  return algorithm === 'ES256'
    ? verify('sha256', jws.signed, { key, dsaEncoding: 'ieee-p1363' }, jws.signature)
    : verify(null, jws.signed, key, jws.signature);
}

/** Signs with the one algorithm of the key: ES256 or RS256. Members whose value is undefined are left out. */
export function signCompactJws(header: object, payload: object, key: KeyObject): string {
  const text = `${encodeSegment(header)}.${encodeSegment(payload)}`;
  return `${text}.${sign('sha256', Buffer.from(text, 'latin1'), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const encodeSegment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

export type PublicKeyMembers =
  | { kty: 'EC'; crv: 'P-256'; x: string; y: string }
  | { kty: 'OKP'; crv: 'Ed25519'; x: string };

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** The members that make the key, of a JWK from outside; a message when it is not a public P-256 or Ed25519 key. */
export function publicKeyMembers(jwk: unknown): PublicKeyMembers | string {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'the jwk is not an object';
  const { kty, crv, x, y } = jwk as Record<string, unknown>;
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return 'the jwk has private members';
  if (kty === 'EC' && crv === 'P-256' && isCoordinate(x) && isCoordinate(y)) return { kty, crv, x, y };
  if (kty === 'OKP' && crv === 'Ed25519' && isCoordinate(x)) return { kty, crv, x };
  return 'the jwk is not a P-256 or Ed25519 public key';
}

export type RsaKeyMembers = { kty: 'RSA'; n: string; e: string };

/** Of a key of our own: nobody else proves anything to us with RSA. */
export function rsaKeyMembers({ kty, n, e }: JsonWebKey): RsaKeyMembers {
  if (kty !== 'RSA' || n === undefined || e === undefined) throw new Error('a signing key is not an RSA key');
  return { kty, n, e };
}

/** 32 bytes in canonical base64url. */
const isCoordinate = (value: unknown): value is string =>
  typeof value === 'string' &&
  /^[A-Za-z0-9_-]{43}$/.test(value) &&
  Buffer.from(value, 'base64url').toString('base64url') === value;

/** Throws when the numbers are not a point of the curve. */
export function importPublicKey(members: PublicKeyMembers): KeyObject {
  return createPublicKey({ key: members, format: 'jwk' });
}

/** RFC 7638 thumbprint, SHA-256, base64url. */
export function jwkThumbprint(members: PublicKeyMembers | RsaKeyMembers): string {
  const canonical =
    members.kty === 'EC'
      ? `{"crv":"P-256","kty":"EC","x":"${members.x}","y":"${members.y}"}`
      : members.kty === 'RSA'
        ? `{"e":"${members.e}","kty":"RSA","n":"${members.n}"}`
        : `{"crv":"Ed25519","kty":"OKP","x":"${members.x}"}`;
  return hash('sha256', canonical, 'base64url');
}

export const algorithmsOf = (members: PublicKeyMembers): readonly JwsAlgorithm[] =>
  members.kty === 'EC' ? ['ES256'] : ['EdDSA', 'Ed25519'];

/** Algorithms accepted from agents, for assertions and proofs, as published in metadata. */
export const AGENT_ALGORITHMS: readonly JwsAlgorithm[] = ['ES256', 'EdDSA', 'Ed25519'];
