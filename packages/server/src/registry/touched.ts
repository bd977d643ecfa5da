import type { Change } from '../storage/index.ts';

/** What has to be read again, by the keys of the change feed. */
export interface Touched {
  agents: Set<string>;
  /** `Kind/name`. */
  objects: Set<string>;
  /** Servers whose definitions changed. */
  definitions: Set<string>;
  tokens: Set<string>;
  tasks: Set<string>;
}

export function nothingTouched(): Touched {
  return { agents: new Set(), objects: new Set(), definitions: new Set(), tokens: new Set(), tasks: new Set() };
}

const setOf = {
  agent: 'agents',
  object: 'objects',
  definition: 'definitions',
  token: 'tokens',
  task: 'tasks',
} as const satisfies Record<string, keyof Touched>;

/** Adds what the changes touch. Topics of other rooms are not looked at; `policy` needs nothing but its fence, which is always read. */
export function touch(touched: Touched, changes: Iterable<Pick<Change, 'topic' | 'key'>>): Touched {
  for (const { topic, key } of changes) {
    const member = setOf[topic as keyof typeof setOf];
    if (member) touched[member].add(key);
  }
  return touched;
}
