/** Kinds of failure and the HTTP status that each becomes. Stable: part of the public surface (docs/reference/errors.md). */
export const errorKinds = {
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  gone: 410,
  'too-large': 413,
  'too-many': 429,
  internal: 500,
  upstream: 502,
  unavailable: 503,
  timeout: 504,
} as const;

export type ErrorKind = keyof typeof errorKinds;

/**
 * An error with three things kept apart: a stable code (`policy.denied`) for programs, a public detail that says what to do
 * next, and an internal cause that is only logged. RFC 9457 problem details are made from the first two.
 */
export class GatehouseError extends Error {
  override readonly name = 'GatehouseError';
  readonly kind: ErrorKind;
  readonly code: string;
  /** Further public members of the problem document. */
  readonly extra: Record<string, unknown>;

  constructor(
    kind: ErrorKind,
    code: string,
    detail: string,
    options: { cause?: unknown; extra?: Record<string, unknown> } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.extra = options.extra ?? {};
  }

  get status(): number {
    return errorKinds[this.kind];
  }
}

export const isUnavailable = (error: unknown): boolean =>
  error instanceof GatehouseError && error.kind === 'unavailable';

/** What is unavailable now may be there soon (RFC 9110 §10.2.3). */
export const retryAfter = (status: number): Record<string, string> => (status === 503 ? { 'Retry-After': '10' } : {});

/** RFC 9457 problem details. Anything that is not a GatehouseError becomes an opaque 500. */
export function toProblem(error: unknown): { status: number; body: Record<string, unknown> } {
  const known =
    error instanceof GatehouseError
      ? error
      : new GatehouseError('internal', 'internal', 'Something failed inside Gatehouse; the server log has the cause.');
  return {
    status: known.status,
    body: {
      type: `urn:gatehouse:error:${known.code}`,
      title: known.code,
      status: known.status,
      detail: known.message,
      ...known.extra,
    },
  };
}
