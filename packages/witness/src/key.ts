import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import {
  cosignedText,
  formatNote,
  formatVerifierKey,
  SIGNATURE_TYPE,
  type VerifierKey,
  verifierKey,
} from '@gatehouse/verifier';

/** A witness's Ed25519 key. Its public part goes into the policies of those who trust it. */
export interface WitnessKey {
  key: VerifierKey;
  vkey: string;
  /** One line of a note, over its text (c2sp.org/tlog-cosignature). */
  cosign(text: string, timeSeconds: bigint): string;
}

/** From the file (PEM, PKCS #8); undefined where there is none. */
export function readWitnessKey(file: string, name: string): WitnessKey | undefined {
  return existsSync(file) ? fromPrivate(name, createPrivateKey(readFileSync(file))) : undefined;
}

/** One that is nowhere yet: `save` writes the file, for its owner only. */
export function newWitnessKey(file: string, name: string): { key: WitnessKey; save(): void } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const save = () => {
    const handle = openSync(file, 'wx', 0o600);
    try {
      writeSync(handle, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  };
  return { key: fromPrivate(name, privateKey), save };
}

function fromPrivate(name: string, privateKey: KeyObject): WitnessKey {
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('the key is not an Ed25519 key');
  const raw = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x as string, 'base64url');
  const key = verifierKey(name, new Uint8Array(raw), SIGNATURE_TYPE.cosignature);
  return {
    key,
    vkey: formatVerifierKey(key),
    cosign(text, timeSeconds) {
      const signature = Buffer.alloc(8 + 64);
      signature.writeBigUInt64BE(timeSeconds);
      sign(null, Buffer.from(cosignedText(text, timeSeconds)), privateKey).copy(signature, 8);
      return formatNote(text, [{ key, signature }]).slice(text.length + 1);
    },
  };
}
