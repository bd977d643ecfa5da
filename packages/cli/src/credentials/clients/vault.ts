import { loginOf, WrongKind } from '../parts.ts';
import type { Broker, Given, LocalAnswer, LocalClient, LocalRequest } from '../types.ts';
import { authOf, done, failed, health, leader, ok, sealStatus } from './vault-answers.ts';

type Held = Extract<Given, { kind: 'given' }>;
/** `rest`: what stands in the place of the last word of the path, where that is in capitals. */
type Answer = (request: LocalRequest, broker: Broker, rest: string) => LocalAnswer | Promise<LocalAnswer>;

export interface VaultRoute {
  method: 'GET' | 'PUT';
  /** A last word in capitals stands for one name, one with `…` for any path. */
  path: string;
  what: string;
  /** Answered without a token. */
  isOpen?: true;
  answer: Answer;
}

/**
 * The part of Vault's HTTP API with which clients get credentials, look them up and end them: each provider is a role of `database/creds`, and a secret of a key-value
 * engine at `secret/`. A credential is let out for its time, so that none is renewed; nothing is wrapped; nothing is stored.
 */
export function createVault(now: () => number = Date.now): LocalClient & { routes: VaultRoute[] } {
  let isRevoked = false;
  const times = new Map<string, number>();
  const idOf = ({ provider, lease }: Held) => `database/creds/${provider}/${lease}`;
  const left = ({ expiresAt }: Held) => Math.max(0, Math.floor((expiresAt - now()) / 1_000));
  const issuedAt = ({ lease }: Held) => new Date(times.get(lease) ?? now()).toISOString();

  async function given(provider: string, broker: Broker): Promise<Held | LocalAnswer> {
    const answer = await broker.ask({ provider }, 0);
    if (answer.kind === 'waiting') return failed(403, answer.detail);
    // 401 is no status of Vault's.
    if (answer.kind === 'refused') return failed(answer.status === 401 ? 403 : answer.status, answer.detail);
    if (!times.has(answer.lease)) times.set(answer.lease, now());
    return answer;
  }

  const login: Answer = async (_, broker, provider) => {
    const held = await given(provider, broker);
    if ('status' in held) return held;
    try {
      return ok({ lease_id: idOf(held), lease_duration: left(held), data: loginOf(held, 'Vault clients') });
    } catch (error) {
      if (!(error instanceof WrongKind)) throw error;
      return failed(400, `${error.message} secret/data/${provider} has each of them by name.`);
    }
  };

  const keyValue: Answer = async (_, broker, provider) => {
    const held = await given(provider, broker);
    if ('status' in held) return held;
    const custom_metadata = { lease: idOf(held), expires_at: new Date(held.expiresAt).toISOString() };
    const metadata = { created_time: issuedAt(held), custom_metadata, deletion_time: '', destroyed: false, version: 1 };
    return ok({ data: { data: held.parts, metadata } });
  };

  /** What `kv get` asks first: which engine is there. */
  const mount: Answer = (_, __, path) => {
    const [engine] = path.split('/');
    const there = engine === 'secret' ? { type: 'kv', options: { version: '2' } } : { type: 'database', options: null };
    if (engine !== 'secret' && engine !== 'database') return failed(403, `there is no engine at "${engine}/"`);
    return ok({ data: { ...there, path: `${engine}/`, description: '', accessor: engine, local: true } });
  };

  const leaseOf = ({ body }: LocalRequest, broker: Broker, rest: string) => {
    const id = memberOf(body, 'lease_id') ?? rest;
    return broker.held().find((each) => idOf(each) === id);
  };
  const lookUp: Answer = (request, broker) => {
    const held = leaseOf(request, broker, '');
    if (!held) return failed(400, 'invalid lease');
    const data = { id: idOf(held), path: `database/creds/${held.provider}`, issue_time: issuedAt(held) };
    const expire_time = new Date(held.expiresAt).toISOString();
    return ok({ data: { ...data, expire_time, last_renewal: null, renewable: false, ttl: left(held) } });
  };
  const renew: Answer = (request, broker, rest) =>
    failed(400, leaseOf(request, broker, rest) ? 'lease is not renewable' : 'invalid lease');
  const revoke: Answer = async (request, broker, rest) => {
    const held = leaseOf(request, broker, rest);
    if (!held) return failed(400, 'invalid lease');
    await broker.end(held.lease);
    return done;
  };
  const revokeBelow: Answer = async (_, broker, prefix) => {
    const below = `${prefix.replace(/\/+$/, '')}/`;
    for (const held of broker.held()) if (idOf(held).startsWith(below)) await broker.end(held.lease);
    return done;
  };

  const lookUpSelf: Answer = async ({ token: id }, broker) => {
    const task = await broker.task();
    const life = { ttl: 0, creation_ttl: 0, explicit_max_ttl: 0, expire_time: null, renewable: false };
    const names = { accessor: task, display_name: task, entity_id: '', meta: { task }, path: 'auth/jwt/login' };
    return ok({ data: { id, ...names, ...life, policies: ['default'], orphan: true, num_uses: 0, type: 'service' } });
  };
  const signedIn: Answer = async ({ token }, broker) => ok({ auth: authOf(token, await broker.task()) });
  const revokeSelf: Answer = async (_, broker) => {
    isRevoked = true;
    for (const { lease } of broker.held()) await broker.end(lease);
    return done;
  };

  const routes: VaultRoute[] = [
    { method: 'GET', path: 'database/creds/PROVIDER', what: 'a credential, as user and password', answer: login },
    { method: 'GET', path: 'secret/data/PROVIDER', what: 'a credential, each part by its name', answer: keyValue },
    { method: 'PUT', path: 'sys/leases/lookup', what: 'of one credential, until when it is good', answer: lookUp },
    { method: 'PUT', path: 'sys/leases/renew', what: 'refused: none is renewed', answer: renew },
    { method: 'PUT', path: 'sys/leases/renew/ID…', what: 'the same', answer: renew },
    { method: 'PUT', path: 'sys/leases/revoke', what: 'ends it', answer: revoke },
    { method: 'PUT', path: 'sys/leases/revoke/ID…', what: 'the same', answer: revoke },
    { method: 'PUT', path: 'sys/leases/revoke-prefix/PREFIX…', what: 'ends those below', answer: revokeBelow },
    { method: 'PUT', path: 'auth/jwt/login', what: 'the token of the file as `jwt`; any role', answer: signedIn },
    { method: 'GET', path: 'auth/token/lookup-self', what: 'the task that it is for', answer: lookUpSelf },
    { method: 'PUT', path: 'auth/token/renew-self', what: 'it lives as long as the process', answer: signedIn },
    {
      method: 'PUT',
      path: 'auth/token/revoke-self',
      what: 'ends every credential; no client of Vault gets another',
      answer: revokeSelf,
    },
    { method: 'GET', path: 'sys/internal/ui/mounts/PATH…', what: 'which engine it is of', answer: mount },
    {
      ...{ method: 'GET', path: 'sys/health', what: 'without a token', isOpen: true },
      answer: () => ({ status: 200, body: health(now()) }),
    },
    {
      ...{ method: 'GET', path: 'sys/seal-status', what: 'without a token', isOpen: true },
      answer: () => ({ status: 200, body: sealStatus }),
    },
    {
      ...{ method: 'GET', path: 'sys/leader', what: 'without a token', isOpen: true },
      answer: () => ({ status: 200, body: leader }),
    },
  ];
  const routeOf = ({ path, method: asked }: LocalRequest) => {
    const method = asked === 'POST' ? 'PUT' : asked;
    for (const route of routes) {
      const rest = restOf(route.path, path);
      if (route.method === method && rest !== undefined) return { route, rest };
    }
    return undefined;
  };

  return {
    name: 'v1',
    routes,
    loopback: {
      tokenIn,
      refused: failed(403, 'permission denied'),
      open: (request) => routeOf(request)?.route.isOpen === true,
    },
    async answer(request, broker) {
      const found = routeOf(request);
      if (!found) return failed(404, `no handler for route "${request.path.join('/').slice(0, 200)}"`);
      const { route, rest } = found;
      if (isRevoked && !route.isOpen) return failed(403, 'permission denied');
      // Who asks what a path is for, or for something to be kept in a token of its own, is not handed a credential.
      if (request.query.has('help'))
        return { status: 200, body: { help: `${route.path}: ${route.what}`, see_also: null } };
      if (request.query.get('list') === 'true') return failed(404);
      if (request.headers['x-vault-wrap-ttl'] !== undefined) return failed(400, 'responses are not wrapped here');
      return route.answer(request, broker, rest);
    },
    failed: (detail) => failed(503, detail),
  };
}

/** What stands in the place of the last word of the pattern; undefined where it is another path. */
function restOf(pattern: string, path: readonly string[]): string | undefined {
  const words = pattern.split('/');
  const last = words.at(-1) ?? '';
  if (!/^[A-Z]+…?$/.test(last)) return pattern === path.join('/') ? '' : undefined;
  const before = words.length - 1;
  const isThere = words.slice(0, before).every((word, at) => word === path[at]);
  const rest = path.slice(before);
  if (!isThere || rest.length === 0 || rest[0] === '') return undefined;
  return last.endsWith('…') || rest.length === 1 ? rest.join('/') : undefined;
}

function tokenIn({ headers, path, body }: LocalRequest): string | undefined {
  if (path.join('/') === 'auth/jwt/login') return memberOf(body, 'jwt');
  const own = headers['x-vault-token'];
  return typeof own === 'string' ? own : /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

function memberOf(body: string, name: string): string | undefined {
  try {
    const value: unknown = (JSON.parse(body) as Record<string, unknown>)[name];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
