import { randomUUID } from 'node:crypto';
import { loginOf } from '../parts.ts';
import type { Broker, Given, LocalAnswer, LocalClient, LocalRequest } from '../types.ts';

type Held = Extract<Given, { kind: 'given' }>;

/**
 * The part of Vault's HTTP API that gets dynamic database credentials: a role of `database/creds` is a provider. Nothing is renewed (a credential is
 * let out for its time), nothing is wrapped, and nothing else of Vault is here.
 */
export function createVault(now: () => number = Date.now): LocalClient {
  let isRevoked = false;
  const times = new Map<string, number>();

  const tokenIn = ({ headers, path, body }: LocalRequest): string | undefined => {
    if (path.join('/') === 'auth/jwt/login') return memberOf(body, 'jwt');
    const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    const own = headers['x-vault-token'];
    return typeof own === 'string' ? own : bearer;
  };
  const idOf = ({ provider, lease }: Held) => `database/creds/${provider}/${lease}`;
  const left = ({ expiresAt }: Held) => Math.max(0, Math.floor((expiresAt - now()) / 1_000));

  async function credentials(provider: string, broker: Broker): Promise<LocalAnswer> {
    const given = await broker.ask({ provider }, 0);
    if (given.kind === 'waiting') return failed(403, given.detail);
    if (given.kind === 'refused') return failed(given.status === 401 ? 403 : given.status, given.detail);
    if (!times.has(given.lease)) times.set(given.lease, now());
    return ok({ lease_id: idOf(given), lease_duration: left(given), data: loginOf(given, 'Vault clients') });
  }

  async function leases(verb: string, { body, path }: LocalRequest, broker: Broker): Promise<LocalAnswer> {
    const id = memberOf(body, 'lease_id') ?? path.slice(3).join('/');
    const held = broker.held().find((each) => idOf(each) === id);
    if (!held) return failed(400, 'invalid lease');
    if (verb === 'renew') return failed(400, 'lease is not renewable');
    if (verb === 'revoke') {
      await broker.end(held.lease);
      return { status: 204, body: '' };
    }
    const issued = new Date(times.get(held.lease) ?? now()).toISOString();
    const expires = new Date(held.expiresAt).toISOString();
    const data = { id, path: `database/creds/${held.provider}`, issue_time: issued, expire_time: expires };
    return ok({ data: { ...data, last_renewal: null, renewable: false, ttl: left(held) } });
  }

  async function ofToken(verb: string, token: string, broker: Broker): Promise<LocalAnswer> {
    if (verb === 'revoke-self') {
      isRevoked = true;
      for (const { lease } of broker.held()) await broker.end(lease);
      return { status: 204, body: '' };
    }
    const task = await broker.task();
    if (verb === 'renew-self') return ok({ auth: authOf(token, task) });
    const data = {
      accessor: task,
      display_name: task,
      policies: ['default'],
      renewable: false,
      ttl: 0,
      type: 'service',
    };
    return ok({ data: { ...data, meta: { task }, orphan: true, num_uses: 0, path: 'auth/jwt/login' } });
  }

  return {
    name: 'v1',
    loopback: {
      tokenIn,
      refused: failed(403, 'permission denied'),
      open: ({ path }) => path.join('/') === 'sys/health',
    },
    async answer(request, broker) {
      const { path, method, token, headers } = request;
      const [first, second, third] = path;
      const route = path.join('/');
      if (route === 'sys/health')
        return {
          status: 200,
          body: {
            initialized: true,
            sealed: false,
            standby: false,
            version: '1.0.0+gatehouse',
            server_time_utc: Math.floor(now() / 1_000),
          },
        };
      if (isRevoked) return failed(403, 'permission denied');
      if (headers['x-vault-wrap-ttl'] !== undefined) return failed(400, 'responses are not wrapped here');
      const writes = method === 'POST' || method === 'PUT';
      if (route === 'auth/jwt/login' && writes) return ok({ auth: authOf(token, await broker.task()) });
      if (first === 'database' && second === 'creds' && third && path.length === 3 && method === 'GET')
        return credentials(third, broker);
      if (first === 'sys' && second === 'leases' && writes && ['lookup', 'renew', 'revoke'].includes(third ?? ''))
        return leases(third as string, request, broker);
      if (first === 'auth' && second === 'token') {
        if (third === 'lookup-self' && method === 'GET') return ofToken(third, token, broker);
        if ((third === 'renew-self' || third === 'revoke-self') && writes) return ofToken(third, token, broker);
      }
      return failed(404, `no handler for route "${route.slice(0, 200)}"`);
    },
  };
}

const authOf = (token: string, task: string) => ({
  client_token: token,
  accessor: task,
  policies: ['default'],
  token_policies: ['default'],
  metadata: { task },
  lease_duration: 0,
  renewable: false,
  entity_id: '',
  token_type: 'service',
  orphan: true,
  num_uses: 0,
});

function ok(more: object): LocalAnswer {
  const nothing = {
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: null,
    warnings: null,
    auth: null,
  };
  return { status: 200, body: { request_id: randomUUID(), ...nothing, ...more } };
}

function failed(status: number, ...errors: string[]): LocalAnswer {
  return { status, body: { errors } };
}

function memberOf(body: string, name: string): string | undefined {
  try {
    const value: unknown = (JSON.parse(body) as Record<string, unknown>)[name];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
