import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What reached a peer, as the peer itself saw it. */
export type PeerEvent = { event: 'called' | 'waiting' | 'cancelled'; tool: string; arguments?: unknown };

export type PeerLog = {
  add(event: PeerEvent): void;
  all(): PeerEvent[];
  /** Resolves once `event` happened to `tool` at least `times` times. */
  until(event: PeerEvent['event'], tool: string, times?: number): Promise<void>;
};

const pollIntervalMs = 5;

/** A log for a peer in this process. */
export function createMemoryLog(): PeerLog {
  const events: PeerEvent[] = [];
  return createLog(
    (event) => events.push(event),
    () => [...events],
  );
}

/**
 * A log that another process writes, one JSON line per event. A line is written before the peer does anything else, so a
 * call that is not in the file did not reach the peer.
 */
export function createFileLog(file: string): PeerLog {
  return createLog(
    (event) => appendFileSync(file, `${JSON.stringify(event)}\n`),
    () =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .split('\n')
            .slice(0, -1)
            .map((line) => JSON.parse(line) as PeerEvent)
        : [],
  );
}

function createLog(add: (event: PeerEvent) => void, all: () => PeerEvent[]): PeerLog {
  const count = (event: PeerEvent['event'], tool: string) =>
    all().filter((seen) => seen.event === event && seen.tool === tool).length;
  return {
    add,
    all,
    async until(event, tool, times = 1) {
      while (count(event, tool) < times) await sleep(pollIntervalMs);
    },
  };
}
