/**
 * The text formats, by the specifications of c2sp.org: signed-note@v1, tlog-checkpoint@v1, tlog-cosignature (Ed25519)
 * and tlog-proof@v1. Every parser accepts one spelling only, so that no byte of what was verified can change unnoticed;
 * each throws `VerifierError` on anything else.
 */

import { HASH_BYTES, VerifierError } from './merkle.ts';
import { sha256 } from './sha256.ts';

export const SIGNATURE_TYPE = { ed25519: 1, cosignature: 4 } as const;
const MAX_SIGNATURES = 100;
const MAX_PROOF_HASHES = 64;
const ED25519_KEY_BYTES = 32;
const ED25519_SIGNATURE_BYTES = 64;
const PROOF_HEADER = 'c2sp.org/tlog-proof@v1';
const encoder = new TextEncoder();

// ---- signed notes ----

/** A public key that notes are checked against. `id` is its 4-byte key id; `type` one of `SIGNATURE_TYPE`. */
export type VerifierKey = { name: string; id: Uint8Array; type: number; publicKey: Uint8Array };

/** The key named `name`: a log's (type ed25519) or a witness's (type cosignature). `publicKey`: 32 bytes, RFC 8032. */
export function verifierKey(name: string, publicKey: Uint8Array, type: number = SIGNATURE_TYPE.ed25519): VerifierKey {
  if (!/^[^\p{White_Space}+\p{Cc}]+$/u.test(name) || !name.isWellFormed()) throw malformed('the name of a key');
  if (publicKey.length !== ED25519_KEY_BYTES) throw malformed('an Ed25519 public key');
  if (type !== SIGNATURE_TYPE.ed25519 && type !== SIGNATURE_TYPE.cosignature) throw malformed('the type of a key');
  const id = sha256(joinBytes(encoder.encode(`${name}\n`), Uint8Array.of(type), publicKey)).slice(0, 4);
  return { name, id, type, publicKey };
}

/** Reads `name+hex(id)+base64(type || public key)`. */
export function parseVerifierKey(vkey: string): VerifierKey {
  const match = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey);
  const material = fromBase64(match?.[3] ?? '', 'the key');
  const key = verifierKey(match?.[1] ?? '', material.slice(1), material[0]);
  if (toHex(key.id) !== match?.[2]) throw new VerifierError('format', 'the key id does not belong to this key');
  return key;
}

export function formatVerifierKey(key: VerifierKey): string {
  return `${key.name}+${toHex(key.id)}+${toBase64(joinBytes(Uint8Array.of(key.type), key.publicKey))}`;
}

/** The note that says `text` (ends in a newline), signed. `signature`: 64 bytes over the UTF-8 of `text`. */
export function formatNote(text: string, signatures: readonly { key: VerifierKey; signature: Uint8Array }[]): string {
  const lines = signatures.map(({ key, signature }) => `— ${key.name} ${toBase64(joinBytes(key.id, signature))}\n`);
  return `${text}\n${lines.join('')}`;
}

/** What `keys` vouch for. A signature by any other key counts for nothing; one bad signature by these is an error. */
export async function openNote(
  note: string,
  keys: readonly VerifierKey[],
): Promise<{ text: string; signatures: NoteSignature[] }> {
  const end = note.lastIndexOf('\n\n');
  const text = note.slice(0, end + 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a note must not contain them.
  if (end < 1 || !note.endsWith('\n') || /[\x00-\x09\x0b-\x1f]/.test(note) || !note.isWellFormed()) {
    throw malformed('the note');
  }
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw new VerifierError('format', `more than ${MAX_SIGNATURES} signatures`);
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const match = /^— ([^\p{White_Space}+]+) ([^ ]+)$/u.exec(line);
    if (!match) throw malformed('a signature line');
    const bytes = fromBase64(match[2] as string, 'a signature');
    const id = toHex(bytes.subarray(0, 4));
    const key = keys.find((known) => known.name === match[1] && toHex(known.id) === id);
    if (!key) continue;
    if (!(await isSignedBy(key, text, bytes.slice(4)))) {
      throw new VerifierError('signature', `the signature of ${key.name} does not fit this text`);
    }
    const timeSeconds = key.type === SIGNATURE_TYPE.cosignature ? Number(timeOf(bytes.slice(4))) : null;
    signatures.push({ key, line, timeSeconds });
  }
  if (signatures.length === 0) throw new VerifierError('signature', 'no known key has signed this note');
  return { text, signatures };
}

/** A line that was verified. `timeSeconds`: when a witness says that it has seen this; null for the log's own signature. */
export type NoteSignature = { key: VerifierKey; line: string; timeSeconds: number | null };

const timeOf = (cosignature: Uint8Array): bigint =>
  new DataView(cosignature.buffer, cosignature.byteOffset).getBigUint64(0);

const imported = new WeakMap<VerifierKey, Promise<CryptoKey>>();

function importKey(key: VerifierKey): Promise<CryptoKey> {
  const known = imported.get(key);
  if (known) return known;
  const publicKey = crypto.subtle.importKey('raw', key.publicKey.slice(), 'Ed25519', false, ['verify']);
  imported.set(key, publicKey);
  return publicKey;
}

async function isSignedBy(key: VerifierKey, text: string, signature: Uint8Array): Promise<boolean> {
  let message = text;
  let ed25519 = signature;
  if (key.type === SIGNATURE_TYPE.cosignature) {
    if (signature.length !== 8 + ED25519_SIGNATURE_BYTES) return false;
    const timeSeconds = timeOf(signature);
    // Zero would say nothing of when: it is not for whole trees.
    if (timeSeconds === 0n || timeSeconds >= 2n ** 63n) return false;
    message = cosignedText(text, timeSeconds);
    ed25519 = signature.subarray(8);
  }
  if (ed25519.length !== ED25519_SIGNATURE_BYTES) return false;
  return crypto.subtle.verify('Ed25519', await importKey(key), ed25519.slice(), encoder.encode(message));
}

/** What a witness signs (c2sp.org/tlog-cosignature); its signature is then the big-endian 64-bit time and 64 bytes. */
export function cosignedText(text: string, timeSeconds: bigint): string {
  return `cosignature/v1\ntime ${timeSeconds}\n${text}`;
}

// ---- checkpoints ----

/** What a log commits to: its first `size` records have this root hash. */
export type Checkpoint = { origin: string; size: number; root: Uint8Array };

/** The note text to be signed. No extension lines: no monitor could check them. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`;
}

/** Reads a checkpoint's note text, without its signatures: verify those first, with `openCheckpoint`. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  const [origin = '', size = '', root = ''] = lines;
  if (lines.length < 4 || lines.pop() !== '' || lines.includes('')) throw malformed('the checkpoint');
  return { origin, size: parseCount(size, 'the tree size'), root: parseHash(root) };
}

/** Who has cosigned a checkpoint, by the name of the key, and when that witness says it was. */
export type Cosignature = { key: VerifierKey; timeSeconds: number };
export type OpenedCheckpoint = Checkpoint & { witnessedBy: string[]; cosignatures: Cosignature[] };

/**
 * The checkpoint in a signed note, once `logKey` has signed it and it names `origin`; and which of `witnesses`
 * cosigned it.
 */
export async function openCheckpoint(
  note: string,
  logKey: VerifierKey,
  origin: string = logKey.name,
  witnesses: readonly VerifierKey[] = [],
): Promise<OpenedCheckpoint> {
  const { text, signatures } = await openNote(note, [logKey, ...witnesses]);
  if (!signatures.some(({ key }) => key === logKey)) {
    throw new VerifierError('signature', 'the log itself has not signed this checkpoint');
  }
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== origin) {
    throw new VerifierError('signature', `the checkpoint is of the log "${checkpoint.origin}", not "${origin}"`);
  }
  const cosignatures = signatures.flatMap(({ key, timeSeconds }) =>
    timeSeconds === null ? [] : [{ key, timeSeconds }],
  );
  return { ...checkpoint, witnessedBy: [...new Set(cosignatures.map(({ key }) => key.name))], cosignatures };
}

// ---- proof files ----

/** One record's proof file (`.tlog-proof`). `checkpoint` is the signed note as the log gave it; `extra` is unsigned. */
export type TlogProof = { index: number; proof: Uint8Array[]; checkpoint: string; extra?: Uint8Array };

export function formatTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  const extraLine = extra?.length ? [`extra ${toBase64(extra)}`] : [];
  return [PROOF_HEADER, ...extraLine, `index ${index}`, ...proof.map(toBase64), '', checkpoint].join('\n');
}

export function parseTlogProof(text: string): TlogProof {
  const end = text.indexOf('\n\n');
  const [header, ...lines] = text.slice(0, Math.max(end, 0)).split('\n');
  if (header !== PROOF_HEADER) throw malformed('the proof file');
  const extra = lines[0]?.startsWith('extra ')
    ? fromBase64(lines.shift()?.slice(6) ?? '', 'the extra data')
    : undefined;
  const index = /^index (.*)$/.exec(lines.shift() ?? '')?.[1];
  if (index === undefined || lines.length > MAX_PROOF_HASHES) throw malformed('the proof file');
  const parsed = {
    index: parseCount(index, 'the index'),
    proof: lines.map(parseHash),
    checkpoint: text.slice(end + 2),
  };
  return extra ? { ...parsed, extra } : parsed;
}

// ---- encodings ----

export const malformed = (what: string): VerifierError => new VerifierError('format', `${what} is malformed`);
export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export const toBase64 = (bytes: Uint8Array): string => btoa(Array.from(bytes, (c) => String.fromCharCode(c)).join(''));

export function fromBase64(text: string, what: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) throw malformed(what);
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  // Bits beyond the last byte must be zero, else two texts would mean the same bytes.
  if (toBase64(bytes) !== text) throw malformed(what);
  return bytes;
}

export function parseHash(line: string): Uint8Array {
  const hash = fromBase64(line, 'a hash');
  if (hash.length !== HASH_BYTES) throw malformed('a hash');
  return hash;
}

export function parseCount(text: string, what: string): number {
  if (!/^(0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text))) throw malformed(what);
  return Number(text);
}

export function joinBytes(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
