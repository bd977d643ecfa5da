import type { Api, LiveEvent, Page } from '@gatehouse/protocol';
import { GatehouseRequestError } from './errors.ts';
import { readEventStream } from './event-stream.ts';
import { type ServerTrust, serverFetch } from './server-fetch.ts';

export interface OperatorOptions extends ServerTrust {
  /** Base address of the server, as it was printed at its start. */
  url: string;
  /** The operator's token, or what finds it. Without one only public routes answer. */
  token?: string | (() => Promise<string>);
  /** The server's data directory, to take the token from; only who may read it there is an operator. */
  dataDir?: string;
}

export interface ApiCall {
  /** Path parameters: `{ name }` for `/agents/:name`. */
  params?: Record<string, string>;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  signal?: AbortSignal;
}

/** Routes that answer in pages, and what is on them. */
export type PagedRoute = { [Name in keyof Api]: Api[Name] extends Page<unknown> ? Name : never }[keyof Api];
export type ItemOf<Name extends PagedRoute> = Api[Name]['items'][number];

/** The control API, as the operator of the server's host: may administer everything, and approve nothing. */
export interface Operator {
  readonly url: string;
  /** One request. Throws GatehouseRequestError. */
  call<Name extends keyof Api>(route: Name, call?: ApiCall): Promise<Api[Name]>;
  /** Items of all pages, one after the other, read as they are asked for. */
  list<Name extends PagedRoute>(route: Name, call?: ApiCall): AsyncGenerator<ItemOf<Name>>;
  /** Records as they become durable, and approvals as they change, until the signal or the server ends it. */
  events(options?: { signal?: AbortSignal; onOpen?: () => void }): AsyncGenerator<LiveEvent>;
}

const API_BASE = '/api/v1';

export function createOperator(options: OperatorOptions): Operator {
  const url = options.url.replace(/\/+$/, '');
  const web = serverFetch(options);
  let known: Promise<string> | undefined;
  const authorization = async (): Promise<Record<string, string>> => {
    if (!isProtected(url) && (options.token !== undefined || options.dataDir !== undefined))
      throw new GatehouseRequestError(
        0,
        'server.insecure',
        `${url} is not protected, and an operator token does not travel in the clear: use https, or a loopback address.`,
      );
    known ??= readToken(options);
    const token = await known.catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return token === '' ? {} : { authorization: `Operator ${token}` };
  };

  async function send(method: string, target: URL, call: ApiCall, headers: Record<string, string>): Promise<Response> {
    const body = method === 'GET' ? undefined : JSON.stringify(call.body ?? {});
    const response = await web(target, {
      method,
      redirect: 'error',
      headers: {
        ...(await authorization()),
        ...headers,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body }),
      ...(call.signal && { signal: call.signal }),
    }).catch((cause: unknown) => {
      if (call.signal?.aborted || cause instanceof GatehouseRequestError) throw cause;
      throw unreachable(url, cause);
    });
    if (!response.ok) throw await problemOf(response, url);
    return response;
  }

  async function call<Name extends keyof Api>(route: Name, given: ApiCall = {}): Promise<Api[Name]> {
    const [method = 'GET', template = ''] = route.split(' ');
    const path = template.replaceAll(/:(\w+)/g, (_, name: string) => {
      const value = given.params?.[name];
      if (value === undefined) throw new TypeError(`${route} needs the parameter "${name}"`);
      return encodeURIComponent(value);
    });
    const target = new URL(`${url}${API_BASE}${path}`);
    for (const [name, value] of Object.entries(given.query ?? {}))
      if (value !== undefined) target.searchParams.set(name, String(value));
    const response = await send(method, target, given, { accept: 'application/json' });
    return (await response.json().catch((cause: unknown) => {
      throw notGatehouse(url, cause);
    })) as Api[Name];
  }

  return {
    url,
    call,
    async *list(route, given = {}) {
      let cursor: string | null | undefined;
      do {
        const page: Page<unknown> = await call(route, {
          ...given,
          query: { limit: 200, ...given.query, ...(cursor != null && { cursor }) },
        });
        yield* page.items as ItemOf<typeof route>[];
        cursor = page.cursor;
      } while (cursor !== null);
    },
    async *events({ signal, onOpen } = {}) {
      const target = new URL(`${url}${API_BASE}/events`);
      const response = await send('GET', target, signal ? { signal } : {}, { accept: 'text/event-stream' });
      onOpen?.();
      if (!response.body) return;
      try {
        for await (const { data } of readEventStream(response.body))
          if (data !== '') yield JSON.parse(data) as LiveEvent;
      } catch (cause) {
        if (signal?.aborted) return;
        throw unreachable(url, cause);
      }
    },
  };
}

async function readToken({ token, dataDir }: OperatorOptions): Promise<string> {
  if (typeof token === 'string') return token;
  if (token) return token();
  if (dataDir === undefined) return '';
  const [{ readFile }, { join }] = await Promise.all([import('node:fs/promises'), import('node:path')]);
  const path = join(dataDir, 'keys', 'operator.token');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'is not there' : `cannot be read (${code})`;
    throw new GatehouseRequestError(
      0,
      'operator.no-token',
      `The operator token ${path} ${why}. Name the data directory that the server printed at its start, with --data-dir or GATEHOUSE_DATA_DIR.`,
      { cause },
    );
  }
}

async function problemOf(response: Response, url: string): Promise<GatehouseRequestError> {
  const { status } = response;
  const text = await response.text();
  if (/^application\/(problem\+)?json\b/.test(response.headers.get('content-type') ?? '')) {
    const problem: unknown = JSON.parse(text);
    if (typeof problem === 'object' && problem !== null && 'title' in problem && 'detail' in problem)
      return new GatehouseRequestError(status, String(problem.title), String(problem.detail), { cause: problem });
  }
  return notGatehouse(url, undefined, status);
}

/** Plain HTTP only where nobody else can listen. */
export function isProtected(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || isLoopback(hostname);
}

export function isLoopback(hostname: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

export function unreachable(url: string, cause: unknown): GatehouseRequestError {
  if (cause instanceof GatehouseRequestError) return cause;
  const code = certificateProblem(cause);
  if (code !== undefined)
    return new GatehouseRequestError(
      0,
      'server.certificate',
      `The certificate of ${url} is not accepted (${code}). Where its authority is your own, name that: ca in the SDK, --cacert or GATEHOUSE_CACERT on the command line.`,
      { cause },
    );
  return new GatehouseRequestError(
    0,
    'server.unreachable',
    `No Gatehouse server answers at ${url}. Start it, or correct the address.`,
    { cause },
  );
}

/** What TLS found wrong with the server's certificate, wherever in the chain of causes that stands. */
function certificateProblem(cause: unknown): string | undefined {
  for (let at = cause, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && /CERT|VERIFY|ALTNAME/.test(code)) return code;
  }
  return undefined;
}

function notGatehouse(url: string, cause: unknown, status = 0): GatehouseRequestError {
  return new GatehouseRequestError(
    status,
    'server.not-gatehouse',
    `What answers at ${url} is no Gatehouse server${status ? ` (HTTP ${status})` : ''}. Correct the address.`,
    { cause },
  );
}
