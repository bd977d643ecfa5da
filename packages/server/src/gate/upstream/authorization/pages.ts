import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatehouseError, type Log } from '../../../platform/index.ts';
import { CALLBACK_PATH, CLIENT_METADATA_PATH, clientMetadataDocument } from './client-metadata.ts';

const MAX_QUERY_CHARS = 8_192;

const headers = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** The two addresses that authorization servers know of Gatehouse: its client metadata, and where browsers come back to. */
export function createPages(options: {
  publicUrl: string;
  log: Log;
  finish(query: URLSearchParams): Promise<{ server: string; environment: string }>;
}) {
  const { publicUrl, log, finish } = options;
  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const [path, query = ''] = (request.url ?? '').split('?', 2) as [string, string?];
    if (path !== CLIENT_METADATA_PATH && path !== CALLBACK_PATH) return false;
    if (request.method !== 'GET') {
      response.writeHead(405, { ...headers, allow: 'GET' }).end();
      return true;
    }
    if (path === CLIENT_METADATA_PATH) {
      response
        .writeHead(200, { ...headers, 'content-type': 'application/json', 'cache-control': 'public, max-age=300' })
        .end(JSON.stringify(clientMetadataDocument(publicUrl)));
      return true;
    }
    try {
      if (query.length > MAX_QUERY_CHARS)
        throw new GatehouseError(
          'bad-request',
          'upstream.state',
          'This answer is longer than any authorization server gives.',
        );
      const { server, environment } = await finish(new URLSearchParams(query));
      page(response, 200, 'Connected', `Gatehouse may now use ${server} in ${environment}. You can close this page.`);
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

function page(response: ServerResponse, status: number, title: string, text: string): void {
  response
    .writeHead(status, { ...headers, 'content-type': 'text/html; charset=utf-8' })
    .end(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} – Gatehouse</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}</style><h1>${title}</h1><p>${escaped(text)}</p></html>`,
    );
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string) => text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
