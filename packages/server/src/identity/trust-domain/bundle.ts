import { createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { PublishedKey } from '../keys/signing-keys.ts';
import { trustDomainLimits } from './limits.ts';

/**
 * A trust domain's bundle (SPIFFE Trust Domain and Bundle §4): the roots of its X.509-SVIDs and the keys of its JWT-SVIDs, as a JWK set.
 * Bundles of different trust domains are never merged: each answers only for IDs of its own (§5).
 */
export interface SpiffeBundle {
  trustDomain: string;
  /** Null: it came without (§4.1.1). */
  sequence: number | null;
  refreshHintSeconds: number;
  roots: { der: Buffer; certificate: X509Certificate }[];
  jwtKeys: Map<string, { key: KeyObject; algorithms: readonly string[] }>;
  /** As it is published. */
  document: JsonObject;
}

/** The text is not a bundle that can be used. The message is public. */
export class MalformedBundle extends Error {
  override readonly name = 'MalformedBundle';
}

export interface OwnBundle {
  trustDomain: string;
  sequence: number;
  roots: Buffer[];
  jwtKeys: PublishedKey[];
}

export function makeBundle({ trustDomain, sequence, roots, jwtKeys }: OwnBundle): SpiffeBundle {
  const certificates = roots.map((der) => new X509Certificate(der));
  const keys: Json[] = [
    // §4.2.3: no kid, exactly one certificate.
    ...certificates.map((certificate) => ({
      use: 'x509-svid',
      ...(certificate.publicKey.export({ format: 'jwk' }) as JsonObject),
      x5c: [certificate.raw.toString('base64')],
    })),
    ...jwtKeys.map(({ alg: _, ...key }) => ({ ...key, use: 'jwt-svid' })),
  ];
  const document = {
    spiffe_sequence: sequence,
    spiffe_refresh_hint: trustDomainLimits.bundleRefreshHintSeconds,
    keys,
  };
  return parseBundle(trustDomain, document);
}

/** §4.2.2: what has another use, or none, is ignored; what is meant for SVIDs and cannot be read spoils the whole. */
export function parseBundle(trustDomain: string, json: Json): SpiffeBundle {
  if (!isJsonObject(json) || !Array.isArray(json.keys)) throw new MalformedBundle('it is no JWK set');
  if (json.keys.length > trustDomainLimits.bundleKeys)
    throw new MalformedBundle(`it has ${json.keys.length} keys, and ${trustDomainLimits.bundleKeys} are the most`);
  const bundle: SpiffeBundle = {
    trustDomain,
    sequence: sequenceOf(json.spiffe_sequence),
    refreshHintSeconds: hintOf(json.spiffe_refresh_hint),
    roots: [],
    jwtKeys: new Map(),
    document: json,
  };
  for (const key of json.keys) {
    if (!isJsonObject(key)) throw new MalformedBundle('a key is no JSON object');
    if (key.use === 'x509-svid') bundle.roots.push(rootOf(key));
    else if (key.use === 'jwt-svid') addJwtKey(bundle, key);
  }
  return bundle;
}

function sequenceOf(value: Json | undefined): number | null {
  if (value === undefined) return null;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new MalformedBundle('its spiffe_sequence is no whole number');
  return value;
}

const MIN_HINT_SECONDS = 60;
const MAX_HINT_SECONDS = 3_600;

/** A hint of a stranger: neither may it have us ask all the time, nor keep a revoked key for days. */
function hintOf(value: Json | undefined): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) return trustDomainLimits.bundleRefreshHintSeconds;
  return Math.min(MAX_HINT_SECONDS, Math.max(MIN_HINT_SECONDS, Math.floor(value)));
}

function rootOf(jwk: JsonObject): SpiffeBundle['roots'][number] {
  const [only, ...others] = Array.isArray(jwk.x5c) ? jwk.x5c : [];
  if (typeof only !== 'string' || others.length > 0)
    throw new MalformedBundle('an x509-svid key has not exactly one x5c');
  const der = Buffer.from(only, 'base64');
  if (der.length > trustDomainLimits.certificateBytes) throw new MalformedBundle('a certificate is too large');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(der);
  } catch (cause) {
    throw new MalformedBundle('a certificate cannot be read', { cause });
  }
  if (!certificate.ca) throw new MalformedBundle('a certificate is not that of an authority');
  return { der, certificate };
}

/** JWT-SVID §2.1: RS, ES and PS of 256, 384 and 512; which of them a key may use follows from the key alone. */
const ecAlgorithms: Record<string, string> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' };
const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const MIN_RSA_BITS = 2_048;

function addJwtKey({ jwtKeys }: SpiffeBundle, jwk: JsonObject): void {
  const { kid, kty, crv, x, y, n, e } = jwk;
  if (typeof kid !== 'string' || kid === '' || kid.length > 256) throw new MalformedBundle('a jwt-svid key has no kid');
  if (jwtKeys.has(kid)) throw new MalformedBundle('two jwt-svid keys have one kid');
  if (jwk.d !== undefined || jwk.k !== undefined) throw new MalformedBundle('a jwt-svid key has a private part');
  const algorithms =
    kty === 'EC'
      ? [ecAlgorithms[String(crv)]].filter((each) => each !== undefined)
      : kty === 'RSA'
        ? rsaAlgorithms
        : [];
  if (algorithms.length === 0) throw new MalformedBundle('a jwt-svid key is neither EC nor RSA');
  const members = kty === 'EC' ? { kty, crv, x, y } : { kty, n, e };
  let key: KeyObject;
  try {
    key = createPublicKey({ key: members as JsonWebKey, format: 'jwk' });
  } catch (cause) {
    throw new MalformedBundle('a jwt-svid key cannot be read', { cause });
  }
  if (kty === 'RSA' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS)
    throw new MalformedBundle(`an RSA key has less than ${MIN_RSA_BITS} bits`);
  jwtKeys.set(kid, { key, algorithms });
}
