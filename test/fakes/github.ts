import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { canary } from '../support/canary.ts';

type Level = 'read' | 'write' | 'admin';
type Permissions = Record<string, Level>;

/**
 * A fake of GitHub for one App with one installation, by its published REST API: tokens of the installation (narrowed, refused, ended), and as much
 * of contents and issues as shows what a token may do. It verifies the App's JWT as GitHub does, and knows no token by a name.
 */
export interface FakeGitHub {
  origin: string;
  app: { id: string; clientId: string; privateKey: string; installation: number };
  owner: string;
  /** Every token that was made, with whether it would be taken now. */
  tokens: Map<string, { permissions: Permissions; repositories: string[]; expiresAt: number; ended: boolean }>;
  living(): string[];
  /** Requests as they came, oldest first. */
  asked: { method: string; path: string; status: number }[];
  trouble: {
    /** Instead of the answer to the next requests for a token. */
    refuse?: { status: number; headers?: Record<string, string>; body?: object } | undefined;
    /** The token is made, and its answer is lost. */
    loseAnswer?: boolean;
    /** The token is made, and what stands between answers this. */
    instead?: { status: number; headers?: Record<string, string>; body: object } | undefined;
    /** The answer, and the token, are more than was asked for. */
    widen?: ((token: { permissions: Permissions; repositories: string[] }) => void) | undefined;
    /** An ended token is still taken for so many requests. */
    lateRequests?: number;
    suspended?: boolean;
  };
  /** Milliseconds since the epoch; the machine's clock where it is not set. */
  clock: { now(): number };
  close(): void;
}

export async function startFakeGitHub(
  options: { permissions?: Permissions; repositories?: string[]; owner?: string; base?: string } = {},
): Promise<FakeGitHub> {
  const { owner = 'acme', base = '' } = options;
  const installed: Permissions = options.permissions ?? { contents: 'write', issues: 'write', metadata: 'read' };
  const repositories = options.repositories ?? ['shop', 'infra', 'secrets'];
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    // As GitHub gives it: PKCS#1.
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const app = { id: '4711', clientId: 'Iv23liFAKE', privateKey, installation: 9001 };
  const verifyKey = createPublicKey(publicKey);
  const tokens: FakeGitHub['tokens'] = new Map();
  const issues = new Map<string, object[]>();
  const trouble: FakeGitHub['trouble'] = {};
  const asked: FakeGitHub['asked'] = [];
  const clock = { now: () => Date.now() };

  const idOf = (name: string) => 1_000 + repositories.indexOf(name);
  const repository = (name: string) => ({
    id: idOf(name),
    node_id: `R_${idOf(name)}`,
    name,
    full_name: `${owner}/${name}`,
    private: true,
    owner: { login: owner, id: 1, type: 'Organization' },
  });
  const problem = (status: number, message: string) => ({
    status,
    body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status) },
  });
  const badCredentials = problem(401, 'Bad credentials');
  const isLiving = ({ ended, expiresAt }: { ended: boolean; expiresAt: number }) => !ended && expiresAt > clock.now();

  async function appOf(jwt: string): Promise<string | undefined> {
    try {
      const { payload } = await jwtVerify(jwt, verifyKey, {
        algorithms: ['RS256'],
        currentDate: new Date(clock.now()),
        requiredClaims: ['iat', 'exp', 'iss'],
      });
      const { iat = 0, exp = 0, iss } = payload;
      if (exp * 1_000 > clock.now() + 600_000 + 5_000)
        return "'Expiration time' claim ('exp') is too far in the future";
      if (iat * 1_000 > clock.now() + 5_000) return "'Issued at' claim ('iat') must be an Integer in the past";
      if (iss !== app.id && iss !== app.clientId) return 'Integration not found';
      return undefined;
    } catch {
      return 'A JSON web token could not be decoded';
    }
  }

  function makeToken(body: { repositories?: string[]; repository_ids?: number[]; permissions?: Permissions }) {
    const wanted = body.repositories ?? body.repository_ids?.map((id) => repositories[id - 1_000] ?? '');
    const names = wanted?.map((name) => repositories.find((each) => each.toLowerCase() === name.toLowerCase()));
    if (names?.includes(undefined))
      return problem(
        422,
        'There is at least one repository that does not exist or is not accessible to the parent installation.',
      );
    const rank = { read: 0, write: 1, admin: 2 };
    const permissions = body.permissions ?? installed;
    for (const [name, level] of Object.entries(permissions))
      if (!(name in installed) || rank[level] > rank[installed[name] as Level])
        return problem(422, 'The permissions requested are not granted to this installation.');
    const token = {
      permissions: { ...permissions, metadata: 'read' as const },
      repositories: (names as string[] | undefined) ?? [...repositories],
      expiresAt: Math.floor(clock.now() / 1_000) * 1_000 + 3_600_000,
      ended: false,
    };
    trouble.widen?.(token);
    const text = canary('ghs_');
    tokens.set(text, token);
    return {
      status: 201,
      body: {
        token: text,
        expires_at: new Date(token.expiresAt).toISOString().replace('.000', ''),
        permissions: token.permissions,
        repository_selection: names ? 'selected' : 'all',
        ...(names && { repositories: token.repositories.map(repository) }),
      },
    };
  }

  async function asApp(method: string, path: string, bearer: string, text: string) {
    const wrong = await appOf(bearer);
    if (wrong) return problem(401, wrong);
    if (path === '/app' && method === 'GET')
      return { status: 200, body: { id: Number(app.id), client_id: app.clientId } };
    const ofRepository = /^\/repos\/([^/]+)\/([^/]+)\/installation$/.exec(path);
    const isOurs = ofRepository
      ? ofRepository[1] === owner && repositories.includes(ofRepository[2] ?? '')
      : path.startsWith(`/app/installations/${app.installation}`);
    if (!isOurs) return problem(404, 'Not Found');
    if (ofRepository || path === `/app/installations/${app.installation}`)
      return {
        status: 200,
        body: {
          id: app.installation,
          account: { login: owner, type: 'Organization' },
          app_id: Number(app.id),
          repository_selection: 'selected',
          permissions: installed,
          suspended_at: trouble.suspended ? new Date(clock.now()).toISOString() : null,
        },
      };
    if (method !== 'POST' || !path.endsWith('/access_tokens')) return problem(404, 'Not Found');
    if (trouble.suspended) return problem(403, 'This installation has been suspended');
    if (trouble.refuse) return { body: {}, ...trouble.refuse };
    return makeToken(text === '' ? {} : JSON.parse(text));
  }

  function withToken(method: string, path: string, bearer: string, text: string): { status: number; body?: object } {
    const token = tokens.get(bearer);
    if (!token) return badCredentials;
    if (!isLiving(token)) {
      if (!token.ended || !trouble.lateRequests) return badCredentials;
      trouble.lateRequests--;
    }
    if (path === '/installation/token' && method === 'DELETE') {
      token.ended = true;
      return { status: 204 };
    }
    if (path.startsWith('/installation/repositories'))
      return {
        status: 200,
        body: { total_count: token.repositories.length, repositories: token.repositories.map(repository) },
      };
    const [, of, name = '', part = '', rest = ''] = /^\/repos\/([^/]+)\/([^/]+)\/?([^/]*)\/?(.*)$/.exec(path) ?? [];
    if (of !== owner || !token.repositories.includes(name)) return problem(404, 'Not Found');
    const needs = method === 'GET' ? ['read', 'write', 'admin'] : ['write', 'admin'];
    const permission = part === '' ? 'metadata' : part;
    if (!needs.includes(token.permissions[permission] ?? ''))
      return problem(403, 'Resource not accessible by integration');
    if (part === '') return { status: 200, body: repository(name) };
    if (part === 'contents')
      return method === 'GET'
        ? {
            status: 200,
            body: {
              type: 'file',
              path: rest,
              encoding: 'base64',
              content: Buffer.from(`${name}: ${rest}\n`).toString('base64'),
            },
          }
        : { status: 201, body: { content: { path: rest }, commit: { sha: randomBytes(20).toString('hex') } } };
    if (part === 'issues') {
      const all = issues.get(name) ?? [];
      if (method === 'GET') return { status: 200, body: all };
      const issue = { number: all.length + 1, title: (JSON.parse(text) as { title: string }).title, state: 'open' };
      issues.set(name, [...all, issue]);
      return { status: 201, body: issue };
    }
    return problem(404, 'Not Found');
  }

  async function answerTo(request: IncomingMessage, text: string) {
    const path = (request.url ?? '').slice(base.length).split('?')[0] ?? '';
    const bearer = /^(?:bearer|token) (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const method = request.method ?? '';
    if (!request.url?.startsWith(base)) return problem(404, 'Not Found');
    if (!request.headers['user-agent']) return problem(403, 'Request forbidden by administrative rules.');
    return path.startsWith('/app') || path.endsWith('/installation')
      ? asApp(method, path, bearer, text)
      : withToken(method, path, bearer, text);
  }

  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    let answer: { status: number; headers?: Record<string, string>; body?: object } = await answerTo(request, text);
    asked.push({ method: request.method ?? '', path: request.url ?? '', status: answer.status });
    if (answer.status === 201 && trouble.loseAnswer && request.url?.endsWith('/access_tokens')) {
      request.socket.destroy();
      return;
    }
    if (answer.status === 201 && trouble.instead) answer = trouble.instead;
    response.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', ...answer.headers });
    response.end(answer.body && JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`,
    app,
    owner,
    tokens,
    living: () => [...tokens].filter(([, token]) => isLiving(token)).map(([text]) => text),
    asked,
    trouble,
    clock,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
