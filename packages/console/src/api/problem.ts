/** A failed request, as the API said it (RFC 9457 problem details) or as the network left it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** 0 when no answer came at all. */
  readonly status: number;
  /** Stable code (`approval.expired`, `network`). */
  readonly code: string;

  constructor(status: number, code: string, detail: string, options?: { cause: unknown }) {
    super(detail, options);
    this.status = status;
    this.code = code;
  }
}

export const isSignedOut = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 401 || error.code === 'session.enrol-first');

export function unreachable(cause: unknown): ApiError {
  return new ApiError(
    0,
    'network',
    'The Gatehouse server does not answer. Check that it runs and that this machine can reach it, then try again.',
    { cause },
  );
}

/** Reads an error response; a proxy in between may have put anything there. */
export async function problemOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  const members = parseObject(text);
  const code = typeof members?.title === 'string' ? members.title : `http.${response.status}`;
  const detail =
    typeof members?.detail === 'string'
      ? members.detail
      : `The server answered ${response.status} ${response.statusText}`.trim() +
        ' without saying why. Its log has the cause.';
  return new ApiError(response.status, code, detail);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What to show of any error: what happened, and what to do next. */
export function explain(error: unknown): { title: string; detail: string; code: string | null } {
  if (!(error instanceof ApiError)) {
    const detail = error instanceof Error ? error.message : String(error);
    return { title: 'This page failed', detail, code: null };
  }
  return { title: titles[error.status] ?? 'The request failed', detail: error.message, code: error.code };
}

const titles: Record<number, string> = {
  0: 'No answer from the server',
  400: 'The server did not accept this',
  401: 'You are signed out',
  403: 'Not allowed',
  404: 'Not found',
  409: 'It has changed meanwhile',
  410: 'Too late',
  413: 'Too large',
  429: 'Too many requests',
  500: 'The server failed',
  502: 'The tool server failed',
  503: 'The server is not ready',
  504: 'It took too long',
};
