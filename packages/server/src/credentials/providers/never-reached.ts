const CODES: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);

/**
 * No connection was there, so that nothing was sent: the name is not known, or nobody listens there. A connection that is cut, or not answered in time,
 * is not among them: what was asked for may have been done.
 */
export function neverReached(error: unknown): boolean {
  // One for each address of a name.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(neverReached);
  return error instanceof Error && CODES.has((error as { code?: unknown }).code);
}
