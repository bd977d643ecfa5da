import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canary } from '../support/canary.ts';

interface FakeToken {
  id: number;
  name: string;
  scopes: string[];
  access_level: number;
  expires_at: string;
  revoked: boolean;
  token: string;
}

/** A fake of GitLab for one project, by its published REST API (v4): project access tokens, and as much of files and issues as shows what one may do. */
export interface FakeGitLab {
  origin: string;
  project: string;
  maintainerToken: string;
  tokens: FakeToken[];
  living(): FakeToken[];
  trouble: {
    loseAnswer?: boolean;
    /** The token is made, and what stands between answers this. */
    instead?: { status: number; headers?: Record<string, string>; body: object } | undefined;
    widen?: ((token: FakeToken) => void) | undefined;
    limit?: { status: number; headers: Record<string, string> } | undefined;
  };
  clock: { now(): number };
  close(): void;
}

export async function startFakeGitLab(): Promise<FakeGitLab> {
  const project = 'acme/shop';
  const maintainerToken = canary('glpat-');
  const tokens: FakeToken[] = [];
  const trouble: FakeGitLab['trouble'] = {};
  const clock = { now: () => Date.now() };
  const isActive = ({ revoked, expires_at }: FakeToken) => !revoked && Date.parse(expires_at) > clock.now();
  const shown = ({ token: _, ...each }: FakeToken) => ({
    ...each,
    active: isActive(each as FakeToken),
    user_id: 1_000 + each.id,
  });
  const message = (status: number, text: string) => ({ status, body: { message: text } });

  function asMaintainer(method: string, rest: string, query: URLSearchParams, text: string) {
    if (trouble.limit) return { body: { message: 'Too Many Requests' }, ...trouble.limit };
    if (rest === '' && method === 'GET') {
      const wanted = tokens.filter(
        (each) => (query.get('state') !== 'active' || isActive(each)) && each.name.includes(query.get('search') ?? ''),
      );
      const size = Number(query.get('per_page') ?? 20);
      const page = Number(query.get('page') ?? 1);
      const next = wanted.length > page * size ? String(page + 1) : '';
      return {
        status: 200,
        headers: { 'x-next-page': next },
        body: wanted.slice((page - 1) * size, page * size).map(shown),
      };
    }
    if (rest === '' && method === 'POST') {
      const {
        name,
        scopes,
        access_level = 40,
        expires_at,
      } = JSON.parse(text) as Omit<FakeToken, 'id' | 'token' | 'revoked'>;
      if (!/^\d{4}-\d\d-\d\d$/.test(expires_at)) return message(400, '400 Bad request - expires_at is invalid');
      if (access_level > 40)
        return message(400, '400 Bad request - User does not have permission to create project access token');
      const token = {
        id: tokens.length + 1,
        name,
        scopes,
        access_level,
        expires_at,
        revoked: false,
        token: canary('glpat-'),
      };
      trouble.widen?.(token);
      tokens.push(token);
      return { status: 201, body: { ...shown(token), token: token.token } };
    }
    const token = tokens.find(({ id }) => String(id) === rest.slice(1));
    if (!token) return message(404, '404 Could not find project access token Not Found');
    if (method === 'GET') return { status: 200, body: shown(token) };
    if (token.revoked) return message(400, '400 Bad request - Revoke failed');
    token.revoked = true;
    return { status: 204 };
  }

  function asToken(method: string, rest: string, { scopes, access_level: level }: FakeToken) {
    const may = (...any: string[]) => any.some((each) => scopes.includes(each));
    if (rest.startsWith('/repository/') && method === 'GET')
      return may('api', 'read_api', 'read_repository')
        ? { status: 200, body: { file_path: 'README.md' } }
        : message(403, '403 Forbidden - insufficient_scope');
    if (rest === '/issues' && method === 'POST')
      return may('api') && level >= 20 ? { status: 201, body: { iid: 1 } } : message(403, '403 Forbidden');
    return message(404, '404 Not Found');
  }

  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    const url = new URL(request.url ?? '', 'http://fake');
    const given =
      /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? String(request.headers['private-token'] ?? '');
    const base = `/api/v4/projects/${encodeURIComponent(project)}`;
    const rest = url.pathname.startsWith(base) ? url.pathname.slice(base.length) : undefined;
    const method = request.method ?? '';
    const token = tokens.find((each) => each.token === given && isActive(each));
    let answer: { status: number; headers?: Record<string, string>; body?: object } =
      given !== maintainerToken && !token
        ? message(401, '401 Unauthorized')
        : rest === undefined
          ? message(404, '404 Project Not Found')
          : rest.startsWith('/access_tokens')
            ? token
              ? message(403, '403 Forbidden')
              : asMaintainer(method, rest.slice('/access_tokens'.length), url.searchParams, text)
            : token
              ? asToken(method, rest, token)
              : message(404, '404 Not Found');
    if (answer.status === 201 && trouble.loseAnswer) {
      request.socket.destroy();
      return;
    }
    if (answer.status === 201 && trouble.instead) answer = trouble.instead;
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.body && JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    project,
    maintainerToken,
    tokens,
    living: () => tokens.filter(isActive),
    trouble,
    clock,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
