import { GatehouseError } from '../platform/index.ts';

/** What a failed statement means for the caller. */
export type FailureKind =
  /** The database cannot be written or reached just now; later it may. */
  | 'unavailable'
  /** A uniqueness or other constraint, or a value that does not fit: the same statement will fail again. */
  | 'refused'
  /** Two transactions got into each other's way: run it again. */
  | 'retry'
  | 'other';

/** Primary result codes, https://www.sqlite.org/rescode.html */
const sqliteUnavailable = new Set([5, 6, 7, 8, 10, 11, 13, 14, 15, 26]);
const sqliteRefused = new Set([18, 19, 20]);

/** Connection, resource, intervention and read-only states, https://www.postgresql.org/docs/current/errcodes-appendix.html */
const postgresUnavailable = /^(08...|53...|57...|58...|25006|55P03|XX001|XX002)$/;
const networkUnavailable = /^(E[A-Z]+)$/;

const ownKinds: Record<string, FailureKind> = {
  'storage.unavailable': 'unavailable',
  'storage.refused': 'refused',
  'storage.contended': 'retry',
};

export function failureKind(error: unknown): FailureKind {
  if (error instanceof GatehouseError) return ownKinds[error.code] ?? 'other';
  if (!(error instanceof Error)) return 'other';
  if ('errcode' in error && typeof error.errcode === 'number') {
    const primary = error.errcode & 0xff;
    if (sqliteUnavailable.has(primary)) return 'unavailable';
    return sqliteRefused.has(primary) ? 'refused' : 'other';
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  // The session has ended, or none was given: the database takes no connections, the password was changed, pg_hba refuses us.
  if ('severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC')) return 'unavailable';
  if (code === '40001' || code === '40P01') return 'retry';
  if (postgresUnavailable.test(code) || networkUnavailable.test(code)) return 'unavailable';
  if (/^2[23]...$/.test(code)) return 'refused';
  // pg reports a lost or refused connection by its message alone.
  if (code === '' && /connection|timeout|Client was closed|not queryable/i.test(error.message)) return 'unavailable';
  return 'other';
}

export function unavailable(cause: unknown): GatehouseError {
  if (cause instanceof GatehouseError && cause.code === 'storage.unavailable') return cause;
  return new GatehouseError(
    'unavailable',
    'storage.unavailable',
    'The database cannot be written or reached at the moment. Try again.',
    { cause },
  );
}

/** The error that leaves this room: known states of the database under their own code, everything else as it is. */
export function toStorageError(error: unknown): unknown {
  if (error instanceof GatehouseError) return error;
  switch (failureKind(error)) {
    case 'unavailable':
      return unavailable(error);
    case 'retry':
      return new GatehouseError('conflict', 'storage.contended', 'Others changed the same objects. Try again.', {
        cause: error,
      });
    case 'refused':
      return new GatehouseError(
        'conflict',
        'storage.refused',
        'The change contradicts what is stored already, so nothing was done.',
        { cause: error },
      );
    case 'other':
      return error;
  }
}

/** Thrown when a commit was sent and its answer did not arrive: it may or may not stand. */
export class CommitInDoubt<T> extends Error {
  override readonly name = 'CommitInDoubt';
  readonly outcome: T;

  constructor(outcome: T, cause: unknown) {
    super('the answer to a commit did not arrive', { cause });
    this.outcome = outcome;
  }
}
