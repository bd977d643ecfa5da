import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatehouseError, type Log, toProblem } from '../../../platform/index.ts';
import type { RelyingParty } from '../relying-party.ts';
import { companySignInLimits as limits } from './limits.ts';
import type { CompanySignIn } from './sign-in.ts';

/**
 * `Lax`, unlike the session's: the provider sends the browser back from its own site. It opens nothing; it ties the answer to the
 * browser that asked, so that nobody is signed in as somebody else by a link (RFC 9700 §4.7).
 */
export function browserCookie(party: Pick<RelyingParty, 'https'>, value: string, maxAgeSeconds: number): string {
  const attributes = `Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;
  return `${cookieName(party)}=${value}; ${attributes}${party.https ? '; Secure' : ''}`;
}

export function readBrowserCookie(party: Pick<RelyingParty, 'https'>, header: string | undefined): string | undefined {
  const values = (header ?? '').split(';').flatMap((part) => {
    const [name, value] = part.trim().split('=', 2);
    return name === cookieName(party) && value !== undefined ? [value] : [];
  });
  return values.length === 1 ? values[0] : undefined;
}

const cookieName = ({ https }: Pick<RelyingParty, 'https'>) =>
  https ? '__Host-gatehouse_provider' : 'gatehouse_provider';

const headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** `/oidc/*`: where providers send browsers back to, where they log somebody out, and the key that they check us with. */
export function createCompanySignInDoor(signIn: CompanySignIn, party: RelyingParty, log: Log) {
  async function callback(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = new URL(request.url ?? '/', party.origin);
      const { session, next } = await signIn.finish(name, answer, {
        browser: readBrowserCookie(party, request.headers.cookie),
        cookie: request.headers.cookie,
        userAgent: request.headers['user-agent'] ?? '',
      });
      response
        .writeHead(303, {
          ...headers,
          location: next,
          'set-cookie': [session.setCookie, browserCookie(party, '', 0)],
        })
        .end();
    } catch (error) {
      const { status, body } = toProblem(error);
      if (status >= 500) log.error('a sign-in with an identity provider failed', { provider: name, error });
      response.writeHead(status, { ...headers, 'content-type': 'text/html; charset=utf-8' }).end(page(body));
    }
  }

  async function logOut(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const form = new URLSearchParams(await readForm(request));
      await signIn.logOut(name, form.get('logout_token') ?? '');
      response.writeHead(200, headers).end();
    } catch (error) {
      const { status, body } = toProblem(error);
      // Back-Channel Logout 1.0 §2.8.
      const answer = { error: 'invalid_request', error_description: body.detail };
      response
        .writeHead(status === 502 ? 504 : status < 500 ? 400 : 500, { ...headers, 'content-type': 'application/json' })
        .end(JSON.stringify(answer));
    }
  }

  return {
    /** True when the request was for one of these. */
    async handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
      const [path = ''] = (request.url ?? '').split('?');
      if (!path.startsWith('/oidc/')) return false;
      const [, what, name = ''] =
        /^\/oidc\/(callback|backchannel-logout|jwks)(?:\/([a-z0-9-]{1,64}))?$/.exec(path) ?? [];
      if (what === 'callback' && request.method === 'GET') await callback(name, request, response);
      else if (what === 'backchannel-logout' && request.method === 'POST') await logOut(name, request, response);
      else if (what === 'jwks' && request.method === 'GET') {
        const body = JSON.stringify(await signIn.jwks());
        response.writeHead(200, {
          ...headers,
          'cache-control': 'public, max-age=300',
          'content-type': 'application/jwk-set+json',
        });
        response.end(body);
      } else {
        const { status, body } = toProblem(new GatehouseError('not-found', 'route.unknown', 'There is no such page.'));
        response.writeHead(status, { ...headers, 'content-type': 'text/html; charset=utf-8' }).end(page(body));
      }
      return true;
    },
  };
}

async function readForm(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  request.setTimeout(limits.callTimeoutMs, () => request.destroy());
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > limits.answerBytes)
      throw new GatehouseError('too-large', 'body.too-large', `A body has at most ${limits.answerBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Plain, as no script may run here. */
function page({ title, detail }: Record<string, unknown>): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign-in failed · Gatehouse</title><h1>You are not signed in</h1><p>${escapeHtml(String(detail))}</p><p><small>${escapeHtml(String(title))}</small></p><p><a href="/sign-in">Back to the sign-in page</a></p></html>`;
}

const escapeHtml = (text: string) => text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
