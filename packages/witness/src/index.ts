import { existsSync, mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseVerifierKey } from '@gatehouse/verifier';
import { newWitnessKey, readWitnessKey, type WitnessKey } from './key.ts';
import { createWitnessServer } from './server.ts';
import { openWitnessState, type WitnessState } from './state.ts';
import { createWitness } from './witness.ts';

export interface WitnessOptions {
  /** Of the key file and of what was cosigned. Whoever loses it makes a new witness: its key vouches for what it remembers. */
  directory: string;
  /** Of the witness, as its key has it: `witness.example/w1`. */
  name: string;
  /** Keys (vkeys) of the logs that it cosigns. */
  logs: readonly string[];
  host: string;
  port: number;
  report?: (line: object) => void;
}

export interface RunningWitness {
  vkey: string;
  url: string;
  close(): Promise<void>;
}

/** The key of the witness in `directory`; made on first use. */
export function witnessVkey(directory: string, name: string): string {
  const { key, state } = openWitness(directory, name);
  state.close();
  return key.vkey;
}

/** A key without its memory is no witness any more. */
export class WitnessError extends Error {
  override readonly name = 'WitnessError';
}

/** Key and memory are made together, and go together: with its key alone a witness would cosign another past than the one it has forgotten. */
function openWitness(directory: string, name: string): { key: WitnessKey; state: WitnessState } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'witness.key');
  const existing = readWitnessKey(file, name);
  const isThere = existsSync(join(directory, 'witness.db'));
  const state = existing && !isThere ? undefined : openWitnessState(join(directory, 'witness.db'));
  try {
    if (existing === undefined && state) {
      const { key, save } = newWitnessKey(file, name);
      // Bound first: what a crash leaves is a memory without a key, which the next key can only make stricter.
      state.bind(idOf(key));
      save();
      return { key, state };
    }
    if (existing && state && state.keyId() === idOf(existing)) return { key: existing, state };
    throw new WitnessError(
      `The key in ${directory} is there, and what it has cosigned (witness.db) is not, or is another witness's. With this key it could cosign a second past. Make a new witness with a new name in another directory.`,
    );
  } catch (error) {
    state?.close();
    throw error;
  }
}

/** Of the public key alone: the same key under another name is the same witness to those who count it. */
const idOf = ({ key }: WitnessKey): string => Buffer.from(key.publicKey).toString('hex');

export async function startWitness(options: WitnessOptions): Promise<RunningWitness> {
  const logs = options.logs.map(parseVerifierKey);
  const { key, state } = openWitness(options.directory, options.name);
  const server = createWitnessServer(createWitness({ key, logs, state }), options.report ?? (() => undefined));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    vkey: key.vkey,
    url: `http://${host}:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      state.close();
    },
  };
}

/** One key a line, or the log lines of a trust policy (c2sp.org/tlog-policy). */
export function logKeysIn(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) return [];
    if (words.length === 1) return [words[0] as string];
    return words[0] === 'log' ? [words[1] as string] : [];
  });
}
