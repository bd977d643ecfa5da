import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { GatehouseError } from '../platform/index.ts';
import { backupLimits } from './limits.ts';
import type { BackupManifest, PartName, Progress } from './types.ts';

/**
 * The file of a backup: `gatehouse-backup 1 SIZE SHA-256` and a line end, a manifest (JSON) of that size and digest, then the parts
 * that it lists, one right after the other and nothing behind them. So every byte of the file is under a digest. What the digests
 * cannot show is who wrote it: keep the digest that `backup` prints elsewhere, and give it to `restore`.
 */
const MAGIC = 'gatehouse-backup 1';
const MAX_HEADER_BYTES = 128;
const TELL_EVERY_BYTES = 64 * 1024 * 1024;

export interface PartSource {
  name: PartName;
  /** Of a file, which is read twice: for its digest and for itself. */
  file: string;
}

/** Makes `file`, for this user only. Gives the digest of the manifest, which stands for the whole. */
export async function writeArchive(
  file: string,
  facts: Omit<BackupManifest, 'parts'>,
  sources: PartSource[],
  onProgress: Progress,
): Promise<{ digest: string; size: number; manifest: BackupManifest }> {
  const parts: BackupManifest['parts'] = [];
  for (const { name, file: from } of sources)
    parts.push({ name, size: (await stat(from)).size, sha256: await digestOf(createReadStream(from)) });
  const manifest: BackupManifest = { ...facts, parts };
  const text = Buffer.from(JSON.stringify(manifest));
  const digest = createHash('sha256').update(text).digest('hex');
  const header = Buffer.from(`${MAGIC} ${text.byteLength} ${digest}\n`);
  const output = await open(file, 'wx', 0o600);
  let size = 0;
  try {
    const write = async (bytes: Uint8Array) => {
      await output.writeFile(bytes);
      if (Math.floor((size + bytes.byteLength) / TELL_EVERY_BYTES) > Math.floor(size / TELL_EVERY_BYTES))
        onProgress(`${Math.round(size / 1e6)} MB written …`);
      size += bytes.byteLength;
    };
    await write(header);
    await write(text);
    for (const { file: from } of sources) for await (const chunk of createReadStream(from)) await write(chunk);
    await output.sync();
  } finally {
    await output.close();
  }
  return { digest, size, manifest };
}

export interface Archive {
  manifest: BackupManifest;
  digest: string;
  part(name: PartName): Readable | undefined;
}

/** Reads the whole file once and refuses it unless every byte is as it was written. Errors: `backup.damaged`, `backup.format`. */
export async function openArchive(file: string, onProgress: Progress): Promise<Archive> {
  const input = await open(file, 'r');
  let at: number;
  let manifest: BackupManifest;
  let digest: string;
  try {
    const head = (await read(input, 0, MAX_HEADER_BYTES)).toString('latin1');
    const [line, size = '', said = ''] = /^gatehouse-backup 1 (\d{1,7}) ([0-9a-f]{64})\n/.exec(head) ?? [];
    if (line === undefined) {
      const isOther = /^gatehouse-backup (?!1 )\d+ /.test(head);
      throw isOther
        ? new GatehouseError(
            'bad-request',
            'backup.format',
            'The backup is of a newer format than this version of Gatehouse knows. Restore it with the version that made it.',
          )
        : damaged('it does not begin as a backup does');
    }
    if (Number(size) > backupLimits.manifestBytes) throw damaged('its manifest is too large');
    const text = await read(input, line.length, Number(size));
    digest = createHash('sha256').update(text).digest('hex');
    if (digest !== said) throw damaged('its manifest is not the one that was written');
    manifest = JSON.parse(text.toString()) as BackupManifest;
    at = line.length + text.byteLength;
    const due = manifest.parts.reduce((sum, part) => sum + part.size, at);
    const { size: actual } = await input.stat();
    if (actual !== due) throw damaged(`it has ${actual} bytes of ${due}`);
  } finally {
    await input.close();
  }
  const places = new Map<PartName, Readonly<{ start: number; end: number }>>();
  for (const { name, size, sha256 } of manifest.parts) {
    const place = { start: at, end: at + size - 1 };
    onProgress(`checking ${Math.ceil(size / 1e6)} MB …`);
    if ((await digestOf(createReadStream(file, place))) !== sha256)
      throw damaged(`its part "${name}" is not the one that was written`);
    places.set(name, place);
    at += size;
  }
  return {
    manifest,
    digest,
    part(name) {
      const place = places.get(name);
      return place && createReadStream(file, place);
    },
  };
}

function damaged(what: string): GatehouseError {
  return new GatehouseError(
    'bad-request',
    'backup.damaged',
    `The backup is damaged: ${what}. Nothing was restored; take another copy of it, or an older backup.`,
  );
}

async function read(input: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await input.read({ buffer: Buffer.alloc(length), position });
  return buffer.subarray(0, bytesRead);
}

async function digestOf(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}
