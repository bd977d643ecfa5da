import type { Manifest, Task } from '@gatehouse/protocol';
import type { Clock, Log } from '../platform/index.ts';
import type {
  AdministrativeChange,
  ChangeTopic,
  DatabaseTransaction,
  RecordChange,
  Storage,
} from '../storage/index.ts';
import type { Keeper } from './keeper.ts';
import type { VersionNote } from './policy-versions.ts';
import type { TaskCache } from './task-cache.ts';
import type { Snapshot } from './types.ts';

export interface RegistryDependencies {
  storage: Storage;
  clock: Clock;
  /** SPIFFE trust domain of the workspace. */
  trustDomain: string;
  recordChange: RecordChange;
  log: Log;
  /** Does ahead of the transaction what `validate` would take long for in it. What it finds wrong is said there. */
  prepare?: (manifests: readonly Manifest[]) => Promise<void>;
  /**
   * Called with the snapshot as it would be, before anything that policies are made from is committed; if it throws, nothing is changed.
   * Gives the digest of the policies: where it differs from the one before, a version is kept.
   */
  validate?: (snapshot: Snapshot) => { version: string } | undefined;
  /** Part of the transaction that starts a task which is handed on; `chain`: those above it, the nearest first. */
  handedOn?: (transaction: DatabaseTransaction, task: Task, chain: readonly Task[]) => Promise<void>;
  /** Part of the transaction that takes a token of this task away. */
  tokenRevoked?: (transaction: DatabaseTransaction, task: string, by: string) => Promise<unknown>;
}

/** What every part of this room works with. */
export interface Context extends RegistryDependencies {
  keeper: Keeper;
  tasks: TaskCache;
}

/** What a transaction has changed, to be recorded, fenced and announced at its end. */
export interface ChangeSet {
  records: AdministrativeChange[];
  fences: Set<string>;
  /** By topic and key, so that each is announced once. */
  announcements: Map<string, { topic: ChangeTopic; key: string }>;
  /** What is kept with the version of the policies that this makes. */
  version?: VersionNote | undefined;
}

export function emptyChangeSet(): ChangeSet {
  return { records: [], fences: new Set(), announcements: new Map() };
}

export function announce(changes: ChangeSet, topic: ChangeTopic, key: string): void {
  changes.announcements.set(`${topic} ${key}`, { topic, key });
}

/**
 * Dispatches decided before are refused. INVARIANT: a fence is never raised unannounced: a replica that is not told would go on
 * deciding on the old version, and have every dispatch refused.
 */
export function raise(changes: ChangeSet, fence: string): void {
  changes.fences.add(fence);
  const [what = '', key = ''] = fence.split(/:(.*)/s);
  if (what === 'policy') announce(changes, 'policy', 'policy');
  else if (what === 'person') announce(changes, 'object', `Person/${key}`);
  else if (what === 'workload') announce(changes, 'object', `Workload/${key}`);
  else if (what === 'trust-rule') announce(changes, 'object', `TrustRule/${key}`);
  else if (what === 'server') announce(changes, 'definition', key);
  else if (what === 'tool') announce(changes, 'definition', key.slice(0, key.indexOf('/')));
  else announce(changes, what as 'agent' | 'task' | 'token', key);
}

/** Law 1: the record first. All of it is in the transaction, so it stands or falls with the change. */
export async function flush(
  { storage, clock, recordChange }: RegistryDependencies,
  transaction: DatabaseTransaction,
  changes: ChangeSet,
): Promise<void> {
  if (changes.records.length > 0) await recordChange(transaction, ...changes.records);
  await storage.bumpFences(transaction, changes.fences);
  for (const { topic, key } of changes.announcements.values())
    await storage.announce(transaction, topic, key, clock.now());
}

/** After the commit: this replica sees its own change at once; the feed brings it to the others, and to this one if reading fails now. */
export async function showOwn(context: Context, changes: ChangeSet): Promise<void> {
  if (changes.announcements.size === 0) return;
  context.tasks.forget(changes.announcements.values());
  try {
    await context.keeper.catchUp();
  } catch (error) {
    context.log.warn('a change is stored, but could not be read back yet', { error });
  }
}

const LINES = 60;
const LINE_CHARS = 500;

/** Record lines are bounded: a record has 64 KiB in all. */
export function lines(all: string[]): string[] {
  const some = all
    .slice(0, LINES)
    .map((line) => (line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS - 1)}…` : line));
  return all.length > LINES ? [...some, `… and ${all.length - LINES} more`] : some;
}
