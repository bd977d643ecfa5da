import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseVerifierKey } from '@gatehouse/verifier';
import { openWitnessKey } from './key.ts';
import { createWitnessServer } from './server.ts';
import { openWitnessState } from './state.ts';
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
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return openWitnessKey(join(directory, 'witness.key'), name).vkey;
}

export async function startWitness(options: WitnessOptions): Promise<RunningWitness> {
  const logs = options.logs.map(parseVerifierKey);
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const key = openWitnessKey(join(options.directory, 'witness.key'), options.name);
  const state = openWitnessState(join(options.directory, 'witness.db'));
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
