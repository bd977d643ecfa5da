import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/**
 * FOR TESTS AND DEMOS ONLY. A passkey made of software: it says "a person was here and was verified" without any person, so
 * whoever holds this object can approve anything in its owner's name. A real approver uses a real authenticator.
 *
 * Speaks WebAuthn Level 3 as a browser would hand it over: ES256, attestation `none`, user-verified flag set.
 */
export interface SoftwarePasskey {
  /** Credential id, base64url. */
  readonly id: string;
  /** Answers `navigator.credentials.create` for this origin (`https://host` or `http://localhost:port`). */
  register(options: CreationOptions, origin: string): RegistrationAnswer;
  /** Answers `navigator.credentials.get` for this origin. Throws when the options ask for other credentials only. */
  assert(options: RequestOptions, origin: string): AssertionAnswer;
  /** Everything needed to `restoreSoftwarePasskey`, private key included. */
  serialise(): string;
}

/** The members that are read of PublicKeyCredentialCreationOptionsJSON. */
export interface CreationOptions {
  challenge: string;
  rp: { id?: string };
  user: { id: string };
}

/** The members that are read of PublicKeyCredentialRequestOptionsJSON. */
export interface RequestOptions {
  challenge: string;
  rpId?: string;
  allowCredentials?: { id: string }[];
}

export interface RegistrationAnswer {
  id: string;
  rawId: string;
  type: 'public-key';
  response: { clientDataJSON: string; attestationObject: string; transports: string[] };
  clientExtensionResults: Record<string, never>;
}

export interface AssertionAnswer {
  id: string;
  rawId: string;
  type: 'public-key';
  response: { clientDataJSON: string; authenticatorData: string; signature: string; userHandle?: string };
  clientExtensionResults: Record<string, never>;
}

export interface SoftwarePasskeyOptions {
  /** `count` (default) counts signatures as a security key does; `none` always says 0, as synced passkeys do. */
  counter?: 'count' | 'none';
  /** False makes an authenticator that did not verify its user (no PIN, no biometry). */
  userVerified?: boolean;
}

interface State {
  id: string;
  privateJwk: Record<string, unknown>;
  counting: boolean;
  counter: number;
  userVerified: boolean;
  userHandle: string | null;
}

export function createSoftwarePasskey(options: SoftwarePasskeyOptions = {}): SoftwarePasskey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return passkeyOf({
    id: randomBytes(32).toString('base64url'),
    privateJwk: privateKey.export({ format: 'jwk' }),
    counting: options.counter !== 'none',
    counter: 0,
    userVerified: options.userVerified ?? true,
    userHandle: null,
  });
}

export function restoreSoftwarePasskey(serialised: string): SoftwarePasskey {
  return passkeyOf(JSON.parse(serialised) as State);
}

const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const ATTESTED_CREDENTIAL_DATA = 0x40;

function passkeyOf(state: State): SoftwarePasskey {
  const privateKey = createPrivateKey({ key: state.privateJwk, format: 'jwk' });
  const presence = USER_PRESENT | (state.userVerified ? USER_VERIFIED : 0);
  const head = (rpId: string, flags: number) => {
    if (state.counting) state.counter++;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(state.counter);
    return Buffer.concat([sha256(rpId), Buffer.of(flags), counter]);
  };

  return {
    id: state.id,
    register(options, origin) {
      state.userHandle = options.user.id;
      const id = Buffer.from(state.id, 'base64url');
      const idLength = Buffer.alloc(2);
      idLength.writeUInt16BE(id.length);
      const authenticatorData = Buffer.concat([
        head(options.rp.id ?? new URL(origin).hostname, presence | ATTESTED_CREDENTIAL_DATA),
        Buffer.alloc(16),
        idLength,
        id,
        coseKey(createPublicKey(privateKey).export({ format: 'jwk' })),
      ]);
      const attestationObject = Buffer.concat([
        cborHead(5, 3),
        cborText('fmt'),
        cborText('none'),
        cborText('attStmt'),
        cborHead(5, 0),
        cborText('authData'),
        cborBytes(authenticatorData),
      ]);
      return {
        id: state.id,
        rawId: state.id,
        type: 'public-key',
        response: {
          clientDataJSON: clientData('webauthn.create', options.challenge, origin).toString('base64url'),
          attestationObject: attestationObject.toString('base64url'),
          transports: ['internal'],
        },
        clientExtensionResults: {},
      };
    },
    assert(options, origin) {
      if (options.allowCredentials?.length && !options.allowCredentials.some(({ id }) => id === state.id)) {
        throw new Error('None of the credentials that are asked for is on this authenticator.');
      }
      const authenticatorData = head(options.rpId ?? new URL(origin).hostname, presence);
      const client = clientData('webauthn.get', options.challenge, origin);
      const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(client)]), privateKey);
      return {
        id: state.id,
        rawId: state.id,
        type: 'public-key',
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: authenticatorData.toString('base64url'),
          signature: signature.toString('base64url'),
          ...(state.userHandle === null ? {} : { userHandle: state.userHandle }),
        },
        clientExtensionResults: {},
      };
    },
    serialise: () => JSON.stringify(state),
  };
}

function clientData(type: string, challenge: string, origin: string): Buffer {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

/** COSE_Key of a P-256 public key for ES256 (RFC 9053 section 7.1.1): {1: 2, 3: -7, -1: 1, -2: x, -3: y}. */
function coseKey(jwk: { x?: string; y?: string }): Buffer {
  if (jwk.x === undefined || jwk.y === undefined) throw new Error('Not a public key on P-256.');
  return Buffer.concat([
    cborHead(5, 5),
    Buffer.of(0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21),
    cborBytes(Buffer.from(jwk.x, 'base64url')),
    Buffer.of(0x22),
    cborBytes(Buffer.from(jwk.y, 'base64url')),
  ]);
}

/** Head of a CBOR item (RFC 8949 section 3): 2 bytes, 3 text, 5 map. Lengths below 65,536. */
function cborHead(major: number, length: number): Buffer {
  const type = major << 5;
  if (length < 24) return Buffer.of(type | length);
  if (length < 256) return Buffer.of(type | 24, length);
  return Buffer.of(type | 25, length >> 8, length & 0xff);
}

function cborBytes(bytes: Buffer): Buffer {
  return Buffer.concat([cborHead(2, bytes.length), bytes]);
}

function cborText(text: string): Buffer {
  return Buffer.concat([cborHead(3, Buffer.byteLength(text)), Buffer.from(text)]);
}
