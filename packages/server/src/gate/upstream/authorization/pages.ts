import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { CALLBACK_PATH, connectCookie, FORMER_PATH, forgottenCookie } from '../../../credentials/index.ts';
import { GatehouseError, type Log } from '../../../platform/index.ts';
import { CONNECT_PATH, clientMetadataDocument } from './client-metadata.ts';

const MAX_QUERY_CHARS = 8_192;

const headers = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Where whoever connects a server, or an account of theirs, goes to the authorization server, and the two addresses that it knows of Gatehouse: its client metadata, and the way back. */
export function createPages(options: {
  publicUrl: string;
  log: Log;
  cookieMaxAgeSeconds: number;
  personAt(headers: IncomingHttpHeaders): Promise<string | undefined>;
  opened(handle: string): Promise<Begun>;
  /** Gives what is said to whoever comes back. */
  finish(path: string, query: URLSearchParams, cookies: string | undefined): Promise<string>;
}) {
  const { publicUrl, log, finish, opened, personAt, cookieMaxAgeSeconds } = options;
  const https = publicUrl.startsWith('https:');

  /** Sends the browser of whoever began on, with a cookie that it has to bring back. */
  async function start(request: IncomingMessage, response: ServerResponse, handle: string): Promise<void> {
    const begun = await opened(handle);
    const { by, url, issuer } = begun;
    const title = begun.what === 'account' ? 'Connect your account' : 'Connect a tool server';
    const isOfPerson = by.startsWith('person:');
    if (isOfPerson && (await personAt(request.headers)) !== by)
      throw new GatehouseError(
        'forbidden',
        'upstream.other-person',
        `${by.slice('person:'.length)} began this, and nobody else can go on. If that is you: sign in to Gatehouse in this browser, at ${publicUrl}, and open this address again. If somebody sent you the address, close it.`,
      );
    // The operator's token is no person's, and no browser's: so whoever opens the address is told what they are about to do.
    if (!isOfPerson && request.method !== 'POST')
      return page(
        response,
        200,
        title,
        `Somebody with the operator’s token wants to connect ${begun.server} in ${begun.environment}. With the account that you sign in with at ${issuer}, every agent that the policies let call ${begun.server} will use it. Go on only if you began this yourself; if somebody sent you the address, close it.`,
        {
          more: '<form method="post"><button>Go on</button></form>',
          formAction: "'self'",
        },
      );
    if (request.method === 'POST' && request.headers.origin !== new URL(publicUrl).origin)
      throw new GatehouseError('forbidden', 'upstream.origin', 'Open the address itself, and go on from there.');
    response.setHeader('set-cookie', connectCookie(handle, { https, maxAgeSeconds: cookieMaxAgeSeconds }));
    // By a page and not a redirect: browsers hold redirects after a form against its form-action, wherever they lead in the end.
    page(response, 200, title, `Going on to ${issuer}.`, {
      more: `<meta http-equiv="refresh" content="0;url=${escaped(url)}"><a href="${escaped(url)}">Go on</a>`,
    });
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const [path, query = ''] = (request.url ?? '').split('?', 2) as [string, string?];
    const handle = path.startsWith(CONNECT_PATH) ? path.slice(CONNECT_PATH.length) : undefined;
    const metadata = clientMetadataDocument(publicUrl, path);
    const isBack = path === FORMER_PATH || path.startsWith(CALLBACK_PATH);
    if (handle === undefined && metadata === undefined && !isBack) return false;
    if (request.method !== 'GET' && !(request.method === 'POST' && handle !== undefined)) {
      response.writeHead(405, { ...headers, allow: handle === undefined ? 'GET' : 'GET, POST' }).end();
      return true;
    }
    if (metadata !== undefined) {
      response
        .writeHead(200, { ...headers, 'content-type': 'application/json', 'cache-control': 'public, max-age=300' })
        .end(JSON.stringify(metadata));
      return true;
    }
    try {
      if (handle !== undefined) {
        await start(request, response, handle);
        return true;
      }
      if (query.length > MAX_QUERY_CHARS)
        throw new GatehouseError(
          'bad-request',
          'upstream.state',
          'This answer is longer than any authorization server gives.',
        );
      const parameters = new URLSearchParams(query);
      const done = await finish(path, parameters, request.headers.cookie);
      response.setHeader('set-cookie', forgottenCookie(parameters.get('state') ?? '', https));
      page(response, 200, 'Connected', done);
    } catch (error) {
      if (!(error instanceof GatehouseError)) {
        log.error('a tool server could not be connected', { error });
        page(response, 500, 'Not connected', 'Something failed inside Gatehouse; the server log has the cause.');
        return true;
      }
      log.warn('a tool server was not connected', { error });
      page(response, error.status, 'Not connected', error.message);
    }
    return true;
  };
}

interface Begun {
  what?: 'server' | 'account';
  by: string;
  /** Of a tool server. */
  server?: string;
  environment?: string;
  issuer: string;
  url: string;
}

function page(
  response: ServerResponse,
  status: number,
  title: string,
  text: string,
  { more = '', formAction = "'none'" } = {},
): void {
  // Without a referrer a form's own page would have no origin to name.
  const referrer = formAction === "'none'" ? {} : { 'referrer-policy': 'same-origin' };
  const policy = headers['content-security-policy'].replace("form-action 'none'", `form-action ${formAction}`);
  response
    .writeHead(status, {
      ...headers,
      'content-security-policy': policy,
      ...referrer,
      'content-type': 'text/html; charset=utf-8',
    })
    .end(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} – Gatehouse</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}</style><h1>${title}</h1><p>${escaped(text)}</p>${more}</html>`,
    );
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string) => text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
