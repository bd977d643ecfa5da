import type { Clock, Log } from '../platform/index.ts';
import type { RecordGuarded } from '../storage/index.ts';
import { readLimits as limits } from './read-limits.ts';
import { READ_OPERATION } from './search/index.ts';

/** A look at the record: who, what they asked for, and how much they were shown. Never what they were shown. */
export interface Look {
  by: string;
  /** In words, with the query: `actions where agent is agent-a`. */
  what: string;
  items: number;
}

/**
 * Reading the record is recorded as well. An open page asks again and again, so what somebody reads of one kind within some minutes is
 * two records: the first look at once, and the count of the others at the end.
 */
export interface Reads {
  /** A list or a search. It is not kept from somebody because it can't be recorded: who repairs a full disk has to see. */
  searched(look: Look): Promise<void>;
  /** The arguments of what waits for people: each approval by itself. Not kept from somebody because it can't be recorded either. */
  saw(look: Look & { subject: string; action: string }): Promise<void>;
  /** A body, a proof or an export: recorded before it is given out, or not given out. `subject` in a record of its own. */
  took(look: Look & { subject: string; action?: string }): Promise<void>;
  /** What is still to be counted, at the end. */
  flush(all?: boolean): Promise<void>;
}

interface Window {
  look: Look;
  until: number;
  more: number;
  items: number;
  others: Set<string>;
  action: string | undefined;
}

export function createReads(deps: { recordGuarded: RecordGuarded; clock: Clock; log: Log }): Reads {
  const { recordGuarded, clock, log } = deps;
  const windows = new Map<string, Window>();

  async function record(by: string, changes: string[], action?: string): Promise<void> {
    await recordGuarded({ operation: READ_OPERATION, by, changes, ...(action && { detail: action }) }, []);
  }

  async function end(key: string, { look, more, items, others, action }: Window): Promise<void> {
    windows.delete(key);
    if (more === 0) return;
    const counted = `${more} more times in ${limits.windowMs / 60_000} minutes, ${items} shown: ${look.what}`;
    await record(look.by, [counted, ...[...others].map((what) => `also: ${what}`)], action);
  }

  async function look(key: string, given: Look, action: string | undefined): Promise<void> {
    const now = clock.now();
    const open = windows.get(key);
    if (open && now < open.until) {
      open.more++;
      open.items += given.items;
      if (given.what !== open.look.what && open.others.size < limits.queriesNamed) open.others.add(given.what);
      return;
    }
    if (open) await end(key, open);
    const until = now + limits.windowMs;
    windows.set(key, { look: given, until, more: 0, items: 0, others: new Set(), action });
    try {
      await record(given.by, [`${given.what}: ${given.items} shown`], action);
    } catch (error) {
      windows.delete(key);
      throw error;
    }
    if (windows.size > limits.windows) await flush(true);
  }

  async function flush(all = false): Promise<void> {
    const now = clock.now();
    for (const [key, window] of [...windows]) if (all || now >= window.until) await end(key, window);
  }

  async function lookAnyway(key: string, given: Look, action?: string): Promise<void> {
    try {
      await look(key, given, action);
    } catch (error) {
      log.error('that somebody looks at the record could not be recorded', { by: given.by, error });
    }
  }

  return {
    flush,
    searched: (given) => lookAnyway(`${given.by} searches`, given),
    saw: ({ subject, action, ...given }) => lookAnyway(`${given.by} ${subject}`, given, action),
    took: ({ subject, action, ...given }) => look(`${given.by} ${subject}`, given, action),
  };
}
