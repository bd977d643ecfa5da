/** What a busy server is given: a few tries, further and further apart, and no longer altogether than a caller would wait. */
const MAX_RETRIES = 4;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;

/** Answers that ask to come back later; nothing was done. */
export const isBusy = ({ status }: { status: number }): boolean => status === 429 || status === 503;

/**
 * How long to wait before the next try, or undefined when it is not worth waiting for. `Retry-After` (RFC 9110 §10.2.3) is taken at its
 * word, and a little later, so that those who were sent away together do not come back together; without it waits double.
 */
export function retryDelayMs(response: Response, retries: number, random: number): number | undefined {
  if (!isBusy(response) || retries >= MAX_RETRIES) return undefined;
  const asked = retryAfterMs(response);
  if (asked === undefined) return FIRST_WAIT_MS * 2 ** retries * (0.5 + random);
  return asked > MAX_WAIT_MS ? undefined : asked + FIRST_WAIT_MS * random;
}

export function retryAfterMs(response: Response): number | undefined {
  const value = response.headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  if (Number.isNaN(at)) return undefined;
  // A date of the server's is compared with the server's time, not with ours.
  const now = Date.parse(response.headers.get('date') ?? '');
  return Math.max(0, at - (Number.isNaN(now) ? Date.now() : now));
}
