import { GatehouseError } from '../../platform/index.ts';
import { relyingPartyOf } from './relying-party.ts';

export type RequestHeaders = Record<string, string | string[] | undefined>;

/**
 * For every route that changes state on the strength of a session cookie: only our own pages may call it (`Origin`, and
 * `Sec-Fetch-Site` where the browser sends it), and only with JSON, which no HTML form can send. Header names in lower case.
 * A caller that sends neither header is refused: every browser that can use a passkey sends `Origin` here.
 * Throws `forbidden` / `request.cross-origin` or `bad-request` / `request.not-json`.
 */
export function checkSameOrigin(headers: RequestHeaders, publicUrl: string): void {
  const origin = headers.origin;
  const site = headers['sec-fetch-site'];
  const expected = relyingPartyOf(publicUrl).origin;
  const originFits = origin === undefined ? site === 'same-origin' : origin === expected;
  const siteFits = site === undefined || site === 'same-origin';
  if (!originFits || !siteFits) {
    throw new GatehouseError(
      'forbidden',
      'request.cross-origin',
      `This route answers only to pages of ${expected}. Open the console there and try again.`,
    );
  }
  const type = headers['content-type'];
  if (typeof type !== 'string' || !/^application\/json\s*(;|$)/i.test(type)) {
    throw new GatehouseError(
      'bad-request',
      'request.not-json',
      'Send this request with Content-Type: application/json.',
    );
  }
}
