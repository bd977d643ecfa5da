import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createFileLog, createMemoryLog, type PeerLog } from './peer-log.ts';

/**
 * What every peer offers, on either SDK:
 *
 * - tools `echo` {text}, `add` {a, b} (structured), `log` {message}, `progress` {steps}, `slow` {ms},
 *   `wait_until_cancelled` {label}, `ask_form` {message}, `ask_url` {message, url}, `sample` {prompt}, `list_roots`,
 *   `toggle_tool` (adds or removes the tool `extra`), `set_note` {text} (updates the resource `peer://note`), `long_job`
 *   {ms} (in a task: as 2025-11-25 has them from the v1 peer, as the tasks extension has them from the v2 peer)
 * - resource `peer://note`, with subscription; resource template `peer://item/{id}`, whose id completes
 * - prompt `greet` {name}, whose argument completes
 */
export type PeerState = {
  log: PeerLog;
  note: string;
  extraTool: boolean;
  /** Emits `tools` and `note` after a change. */
  changes: EventEmitter<{ tools: []; note: [] }>;
};

/** An SDK v1 client drops progress that it reads in one piece with the answer, so peers pause in between. */
export const beforeAnswerMs = 10;

export const noteUri = 'peer://note';
export const names = ['ada', 'alan', 'grace'];
export const itemIds = ['1', '10', '2'];

export function startingWith(values: string[], typed: string): string[] {
  return values.filter((value) => value.startsWith(typed));
}

export function createPeerState(log: PeerLog = createMemoryLog()): PeerState {
  const changes = new EventEmitter<{ tools: []; note: [] }>();
  changes.setMaxListeners(0);
  return { log, note: 'first note', extraTool: false, changes };
}

/** A peer that answers over HTTP from this process. */
export type HttpPeerHandle = { url: string; state: PeerState; sessionCount(): number; close(): Promise<void> };

/** A peer that whoever tests it starts as a child process; `log` reads what that process saw. */
export type StdioPeerHandle = { command: string; args: string[]; log: PeerLog; close(): Promise<void> };

export function prepareStdioPeer(script: string, extraArgs: string[] = []): StdioPeerHandle {
  const directory = mkdtempSync(join(tmpdir(), 'peer-'));
  const file = join(directory, 'log.jsonl');
  return {
    command: process.execPath,
    args: [script, '--log', file, ...extraArgs],
    log: createFileLog(file),
    close: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The command line of every peer: `[--log FILE] [--http PORT]`; without `--http` it speaks stdio. */
export function parsePeerArgs() {
  const { values } = parseArgs({ options: { log: { type: 'string' }, http: { type: 'string' } } });
  return {
    log: values.log === undefined ? createMemoryLog() : createFileLog(values.log),
    port: values.http === undefined ? undefined : Number(values.http),
  };
}

/** Records the call, and its end when it is cancelled; resolves then. */
export function waitForAbort(log: PeerLog, tool: string, args: unknown, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancelled = () => {
    log.add({ event: 'cancelled', tool, arguments: args });
    resolve();
  };
  if (signal.aborted) cancelled();
  else signal.addEventListener('abort', cancelled, { once: true });
  log.add({ event: 'waiting', tool, arguments: args });
  return promise;
}
