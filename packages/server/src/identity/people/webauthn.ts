import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { COSEALG, cose, decodeAttestationObject, decodeCredentialPublicKey } from '@simplewebauthn/server/helpers';
import { z } from 'zod';
import { type ErrorKind, GatehouseError, type Json, type JsonObject, parseStrictJson } from '../../platform/index.ts';
import type { RelyingParty } from './relying-party.ts';
import type { VerifiedAssertion } from './types.ts';

/** What phones, security keys and computers speak, and what any verifier can check with a standard library. */
export const ALGORITHMS: number[] = [COSEALG.ES256, COSEALG.EdDSA, COSEALG.RS256];

/** base64url without padding; a character takes 6 bits, so the limits are 4/3 of the bytes. */
const base64url = (maxChars: number) =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^[A-Za-z0-9_-]+$/);
const credentialId = base64url(1_400);

const registration = z.object({
  id: credentialId,
  rawId: credentialId,
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url(8_192),
    attestationObject: base64url(65_536),
    transports: z.array(z.string().max(32)).max(10).optional(),
  }),
});

const assertion = z.object({
  id: credentialId,
  rawId: credentialId,
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url(8_192),
    authenticatorData: base64url(8_192),
    signature: base64url(8_192),
    userHandle: base64url(128).nullish(),
  }),
});
export type ParsedRegistration = z.infer<typeof registration>;
export type ParsedAssertion = z.infer<typeof assertion>;

const clientData = z.object({
  type: z.string(),
  challenge: base64url(128),
  origin: z.string(),
  crossOrigin: z.boolean().optional(),
  topOrigin: z.string().optional(),
});

export const parseRegistration = (response: Json): ParsedRegistration => parse(registration, response);
export const parseAssertion = (response: Json): ParsedAssertion => parse(assertion, response);

/** The challenge that the client says it answered. Only good for finding the stored one: nothing is proven by it. */
export function claimedChallenge(response: { response: { clientDataJSON: string } }): string {
  return parseClientData(response).challenge;
}

export interface VerifiedRegistration {
  id: string;
  publicKey: Uint8Array;
  counter: number;
  transports: string[];
}

export async function verifyRegistration(
  party: RelyingParty,
  expectedChallenge: string,
  response: ParsedRegistration,
): Promise<VerifiedRegistration> {
  refuseFraming(response);
  refuseCertificates(response);
  const result = await attempt('forbidden', () =>
    verifyRegistrationResponse({
      response: {
        ...response,
        response: { ...response.response, transports: undefined },
        clientExtensionResults: {},
      },
      expectedChallenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    }),
  );
  if (!result.verified) throw notVerified('forbidden');
  const { id, publicKey, counter } = result.registrationInfo.credential;
  if (id !== response.id) throw notVerified('forbidden');
  publicKeyJwk(publicKey);
  return { id, publicKey, counter, transports: response.response.transports ?? [] };
}

export interface StoredPasskey {
  id: string;
  person: string;
  publicKey: Uint8Array;
  counter: number;
}

/** Everything of WebAuthn Level 3 section 7.2 that needs no write: the counter is moved on by the caller's transaction. */
export async function verifyAssertionOf(
  party: RelyingParty,
  passkey: StoredPasskey,
  expectedChallenge: string,
  response: ParsedAssertion,
  kind: ErrorKind,
): Promise<VerifiedAssertion> {
  refuseFraming(response);
  const publicKey = Uint8Array.from(passkey.publicKey);
  const result = await attempt(kind, () =>
    verifyAuthenticationResponse({
      response: {
        ...response,
        response: { ...response.response, userHandle: undefined },
        clientExtensionResults: {},
      },
      expectedChallenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      // The counter is compared where it is written, so that two uses of one assertion can't both pass.
      credential: { id: passkey.id, publicKey, counter: 0 },
    }),
  );
  if (!result.verified) throw notVerified(kind);
  const { clientDataJSON, authenticatorData, signature } = response.response;
  return {
    person: passkey.person,
    passkey: passkey.id,
    counter: result.authenticationInfo.newCounter,
    publicKey: publicKeyJwk(publicKey),
    rpId: party.id,
    origin: party.origin,
    response: { id: response.id, clientDataJSON, authenticatorData, signature },
  };
}

/** COSE_Key (RFC 9053) to JWK (RFC 7517), for the three algorithms that are accepted. */
export function publicKeyJwk(coseKey: Uint8Array): JsonObject {
  const key = decodeCredentialPublicKey(Uint8Array.from(coseKey));
  const algorithm = key.get(cose.COSEKEYS.alg);
  if (cose.isCOSEPublicKeyEC2(key) && algorithm === COSEALG.ES256 && key.get(cose.COSEKEYS.crv) === cose.COSECRV.P256) {
    return {
      kty: 'EC',
      crv: 'P-256',
      alg: 'ES256',
      x: text(key.get(cose.COSEKEYS.x)),
      y: text(key.get(cose.COSEKEYS.y)),
    };
  }
  if (
    cose.isCOSEPublicKeyOKP(key) &&
    algorithm === COSEALG.EdDSA &&
    key.get(cose.COSEKEYS.crv) === cose.COSECRV.ED25519
  ) {
    return { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', x: text(key.get(cose.COSEKEYS.x)) };
  }
  if (cose.isCOSEPublicKeyRSA(key) && algorithm === COSEALG.RS256) {
    return { kty: 'RSA', alg: 'RS256', n: text(key.get(cose.COSEKEYS.n)), e: text(key.get(cose.COSEKEYS.e)) };
  }
  throw notVerified('forbidden', new Error(`Unusable key: algorithm ${algorithm}`));
}

export function notVerified(kind: ErrorKind, cause?: unknown): GatehouseError {
  return new GatehouseError(
    kind,
    'passkey.not-verified',
    'The passkey did not prove this request. Start again, use a passkey of your own, and confirm with its PIN or biometry.',
    { cause },
  );
}

function text(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) throw notVerified('forbidden', new Error('A member of the key is missing'));
  return Buffer.from(bytes).toString('base64url');
}

function parse<T>(schema: z.ZodType<T>, value: Json): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new GatehouseError(
    'bad-request',
    'passkey.malformed',
    `The answer of the authenticator is malformed at "${issue?.path.join('.')}": ${issue?.message}. Send it as the browser gave it (toJSON).`,
  );
}

function parseClientData(response: { response: { clientDataJSON: string } }) {
  return parse(clientData, parseStrictJson(Buffer.from(response.response.clientDataJSON, 'base64url'), 8));
}

/** No page of ours asks for a passkey inside a frame, so a framed answer came by way of somebody else's page. */
function refuseFraming(response: { response: { clientDataJSON: string } }): void {
  const { crossOrigin, topOrigin } = parseClientData(response);
  if (crossOrigin === true || topOrigin !== undefined) throw notVerified('forbidden', new Error('Framed ceremony'));
}

/**
 * We ask for no attestation. Certificates in one would have us follow the addresses they name (revocation lists), so an answer
 * that carries any is refused before it is looked at.
 */
function refuseCertificates(response: ParsedRegistration): void {
  const format = attemptSync(() => {
    const object = decodeAttestationObject(
      Uint8Array.from(Buffer.from(response.response.attestationObject, 'base64url')),
    );
    return object.get('fmt') === 'none' || (object.get('fmt') === 'packed' && object.get('attStmt').size === 2)
      ? 'accepted'
      : 'refused';
  });
  if (format === 'refused') {
    throw new GatehouseError(
      'bad-request',
      'passkey.attestation',
      'Enrol this passkey without attestation: the options ask for attestation "none".',
    );
  }
}

function attemptSync<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw notVerified('forbidden', cause);
  }
}

async function attempt<T>(kind: ErrorKind, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw notVerified(kind, cause);
  }
}
