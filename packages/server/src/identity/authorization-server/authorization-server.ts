import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import { limits } from '../../platform/index.ts';
import type { DoorAnswer } from '../federation/index.ts';
import { JWKS_MAX_AGE_SECONDS } from '../keys/signing-keys.ts';
import { descriptionText } from '../tokens/credential-error.ts';
import { discoveryPaths, type IdentityTokens, identityIssuer, signedTokenIssuer } from '../tokens/identity-token.ts';
import type { AuthorizationServer } from '../types.ts';
import { noteArrival } from './arrival.ts';
import { describeClient } from './clients.ts';
import { authorizationLimits } from './limits.ts';
import type { ProviderDependencies } from './provider.ts';
import { endpoints, metadataPaths, openidMetadata, serverMetadata } from './server-metadata.ts';

/**
 * The authorization server's way in: public documents are answered here, everything else goes to oidc-provider. Whatever is wrong
 * with a request's form (method, size, speed) is answered here as well, so that nothing reaches the library but a small request to
 * a known path, with our own address in place of whatever Host the client sent.
 */

const { bodyBytes: MAX_BODY_BYTES, queryChars: MAX_QUERY_CHARS } = authorizationLimits;
const METADATA_MAX_AGE_SECONDS = 300;

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
interface Route {
  method: 'GET' | 'POST';
  /** True when an agent gets something here that it can act with. */
  mints: boolean;
  answer: Answer;
}

export interface AuthorizationServerDependencies extends ProviderDependencies {
  /** Further ways in for agents and workloads, by path; each takes a POST. */
  doors: ReadonlyMap<string, DoorAnswer>;
  /** The other issuer, toward systems outside. */
  identityTokens: Pick<IdentityTokens, 'metadata' | 'jwks'>;
  signedTokens: Pick<IdentityTokens, 'metadata' | 'jwks'>;
}

export function createAuthorizationServer(dependencies: AuthorizationServerDependencies): AuthorizationServer {
  const { publicUrl, keys, identityTokens, signedTokens, registry, peers, mutualTlsUrl } = dependencies;
  const mutualTlsHost = mutualTlsUrl === undefined ? undefined : new URL(mutualTlsUrl).host;
  const load = lazyProvider(dependencies);
  const toProvider = (path: string): Answer => {
    const { host, protocol } = new URL(publicUrl);
    return async (request, response) => {
      if (!acceptBody(request, response)) return;
      const { callback } = await load();
      const base = request.headers.host?.toLowerCase() === mutualTlsHost ? mutualTlsUrl : publicUrl;
      noteArrival(request, { url: base + path, peer: await peers.of(request) });
      // Audiences and addresses must follow from our configuration and never from what a client calls us (Host, X-Forwarded-*).
      // Origin is dropped: agents are no web pages, and the library would answer a foreign one differently for a known agent.
      const { origin: _, 'x-forwarded-host': __, ...headers } = request.headers;
      request.headers = { ...headers, host, 'x-forwarded-proto': protocol.slice(0, -1) };
      request.url = path + queryOf(request);
      response.setHeader('Cache-Control', 'no-store');
      response.setHeader('X-Content-Type-Options', 'nosniff');
      await callback(request, response);
    };
  };
  const document = (make: () => unknown, type: string, maxAgeSeconds: number): Answer => {
    return async (_request, response) => {
      const made = await make();
      response.setHeader('Access-Control-Allow-Origin', '*');
      send(response, 200, made, { 'Content-Type': type, 'Cache-Control': `public, max-age=${maxAgeSeconds}` });
    };
  };

  const routes = new Map<string, Route>();
  const metadata = (make: typeof serverMetadata): Answer =>
    document(
      () => make(publicUrl, { mutualTlsUrl, dynamicClients: dependencies.dynamicClients }),
      'application/json',
      METADATA_MAX_AGE_SECONDS,
    );
  const keySet = document(() => keys.jwks(), 'application/jwk-set+json', JWKS_MAX_AGE_SECONDS);
  const get = (path: string, answer: Answer) => routes.set(path, { method: 'GET', mints: false, answer });
  const post = (path: string, mints = false) => routes.set(path, { method: 'POST', mints, answer: toProvider(path) });
  /** A person's browser: nothing of it is shown in a frame, kept, or told to where it goes next. */
  const browse = (path: string): Answer => {
    const answer = toProvider(path);
    return (request, response) => {
      if (queryOf(request).length > MAX_QUERY_CHARS) {
        const hint = `Push the request to ${publicUrl}${endpoints.par} instead.`;
        return refuse(response, 414, 'invalid_request', `The query has at most ${MAX_QUERY_CHARS} characters. ${hint}`);
      }
      response.setHeader('Content-Security-Policy', "default-src 'none'; script-src; frame-ancestors 'none'");
      response.setHeader('Referrer-Policy', 'no-referrer');
      response.setHeader('X-Frame-Options', 'DENY');
      return answer(request, response);
    };
  };
  get(metadataPaths.oauth, metadata(serverMetadata));
  get(metadataPaths.openid, metadata(openidMetadata));
  get(endpoints.jwks, keySet);
  for (const [issuer, tokens] of [
    [identityIssuer, identityTokens],
    [signedTokenIssuer, signedTokens],
  ] as const) {
    const paths = discoveryPaths(issuer);
    get(paths.metadata, document(tokens.metadata, 'application/json', METADATA_MAX_AGE_SECONDS));
    get(paths.jwks, document(tokens.jwks, 'application/jwk-set+json', JWKS_MAX_AGE_SECONDS));
  }
  get(endpoints.authorize, browse(endpoints.authorize));
  post(endpoints.token, true);
  post(endpoints.introspect);
  post(endpoints.revoke);
  post(endpoints.par);
  if (dependencies.dynamicClients) post(endpoints.register);
  // Codes that a person has to say yes to before anything is issued for them.
  post(endpoints.device, true);
  post(endpoints.backchannel, true);
  for (const [path, answer] of dependencies.doors) routes.set(path, { method: 'POST', mints: true, answer });
  const resume: Route = { method: 'GET', mints: true, answer: () => undefined };
  const resumePath = `${endpoints.authorize}/:request`;
  const find = (path: string): Route | undefined => {
    if (/^\/oauth\/authorize\/[A-Za-z0-9_-]{1,100}$/.test(path)) return { ...resume, answer: browse(path) };
    return routes.get(path);
  };

  return {
    async handle(request, response) {
      const path = (request.url ?? '').split('?', 1)[0] as string;
      const route = find(path);
      if (!route) {
        if (!path.startsWith('/oauth/')) return false;
        refuse(
          response,
          404,
          'invalid_request',
          `There is nothing at ${path}; see ${publicUrl}${metadataPaths.oauth}.`,
        );
        return true;
      }
      if (request.method !== route.method && !(route.method === 'GET' && request.method === 'HEAD')) {
        response.setHeader('Allow', route.method);
        refuse(response, 405, 'invalid_request', `${path} answers ${route.method} only.`);
        return true;
      }
      await route.answer(request, response);
      return true;
    },
    issuancePaths: () =>
      [...routes, [resumePath, resume] as const]
        .filter(([, { mints }]) => mints)
        .map(([path, { method }]) => `${method} ${path}`),
    async describeClient(id, redirectUri) {
      const { provider } = await load();
      // Which client an agent is depends on how it proves itself, and here it proves nothing.
      const client = registry.snapshot().agents.has(id) ? { clientId: id } : await provider.Client.find(id);
      return client && describeClient(client, registry.snapshot(), redirectUri);
    },
    async warm() {
      await load();
    },
  };
}

const queryOf = (request: IncomingMessage): string => {
  const url = request.url ?? '';
  const at = url.indexOf('?');
  return request.method === 'POST' || at === -1 ? '' : url.slice(at);
};

/** The one import of the library. Two first requests share it; a failed one does not spoil the next. */
function lazyProvider(dependencies: ProviderDependencies) {
  type Callback = (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  interface Loaded {
    provider: Provider;
    callback: Callback;
  }
  let loading: Promise<Loaded> | undefined;
  const load = async (): Promise<Loaded> => {
    const { createProvider } = await import('./provider.ts');
    const provider = createProvider(dependencies);
    return { provider, callback: provider.callback() as Callback };
  };
  return () => {
    loading ??= load().catch((error) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}

/** Answers 413 itself; a body of unknown length or one that is slow is cut off while it is read. */
function acceptBody(request: IncomingMessage, response: ServerResponse): boolean {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
    refuse(response, 413, 'invalid_request', `A request here has at most ${MAX_BODY_BYTES} bytes.`);
    return false;
  }
  const slow = setTimeout(() => {
    refuse(response, 408, 'invalid_request', 'The body of the request took too long to arrive.');
    request.destroy();
  }, limits.requestBodyTimeoutMs);
  slow.unref();
  const done = () => clearTimeout(slow);
  request.once('end', done).once('close', done);
  // Where the library has stopped reading, the rest is let through, until the time is up.
  response.once('finish', () => request.resume());
  return true;
}

function refuse(response: ServerResponse, status: number, error: string, description: string): void {
  const body = { error, error_description: descriptionText(description) };
  send(response, status, body, { 'Cache-Control': 'no-store' });
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string>): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'X-Content-Type-Options': 'nosniff',
    // A body that nobody will read must not be waited for before the next request on this connection.
    ...(response.req.complete ? {} : { Connection: 'close' }),
    ...headers,
  });
  response.end(text);
}
