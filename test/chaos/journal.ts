import { existsSync, readFileSync } from 'node:fs';

/** What the callers know: every call has an id of its own, and is noted before it is made. */
export interface Journal {
  /** Calls that were answered with a result. */
  readonly ran: Set<string>;
  /** Payments by id. */
  readonly payments: Map<string, Payment>;
  calls: number;
}

export interface Payment {
  tool: string;
  /** What it waited for at first. */
  approval: string;
  /** Whether an approver may have said yes, and whether the server has told that it heard. */
  asked: boolean;
  acknowledged: boolean;
  /** Whether it was tried again after a restart. */
  settled: boolean;
}

export function createJournal(): Journal {
  return { ran: new Set(), payments: new Map(), calls: 0 };
}

/** What the upstreams saw, in the order of each file. A line that is not complete yet is left for later. */
export function readSeen(files: string[]): string[] {
  return files.flatMap((file) =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as string)
      : [],
  );
}
