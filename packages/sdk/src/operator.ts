import type { Api, LiveEvent, Page } from '@gatehouse/protocol';
import { CONFIRMATION_HEADER } from '@gatehouse/protocol/command-line';
import type { AgentKey } from './agent-key.ts';
import { GatehouseRequestError } from './errors.ts';
import { readEventStream } from './event-stream.ts';
import { type ServerTrust, serverFetch } from './server-fetch.ts';

export interface OperatorOptions extends ServerTrust {
  /** Base address of the server, as it was printed at its start. */
  url: string;
  /** The operator's token, or what finds it. Without one only public routes answer. */
  token?: string | (() => Promise<string>);
  /** A person's session of the command line, where there is one: it goes before the token. */
  session?: () => Promise<TerminalSession | undefined>;
  /** The server's data directory, to take the token from; only who may read it there is an operator. */
  dataDir?: string;
}

/** What `gatehouse login` got: restricted, and good only beside a proof by its key (RFC 9449). */
export interface TerminalSession {
  token: string;
  key: AgentKey;
}

/** The headers that say who calls; `learn` takes what an answer teaches, and is true when it is worth one more try. */
interface Credentials {
  headers(method: string, target: URL): Promise<Record<string, string>>;
  learn(target: URL, response: Response): boolean;
}

export interface ApiCall {
  /** Path parameters: `{ name }` for `/agents/:name`. */
  params?: Record<string, string>;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  /** Of a session: the confirmation that `confirmation.needed` named, once its person has given it. Good for this very request, once. */
  confirmation?: string;
  signal?: AbortSignal;
}

/** Routes that answer in pages, and what is on them. */
export type PagedRoute = { [Name in keyof Api]: Api[Name] extends Page<unknown> ? Name : never }[keyof Api];
export type ItemOf<Name extends PagedRoute> = Api[Name]['items'][number];

/** The control API, as the operator of the server's host or as a person at the command line: neither can approve anything. */
export interface Operator {
  readonly url: string;
  /** One request. Throws GatehouseRequestError. */
  call<Name extends keyof Api>(route: Name, call?: ApiCall): Promise<Api[Name]>;
  /** Items of all pages, one after the other, read as they are asked for. */
  list<Name extends PagedRoute>(route: Name, call?: ApiCall): AsyncGenerator<ItemOf<Name>>;
  /** Of a route that answers line by line while it works; ends it on the server when the signal ends the reading. */
  lines<Name extends keyof Api>(route: Name, call?: ApiCall): AsyncGenerator<Api[Name]>;
  /** What stands beside the API at this path: the tiles of a log. Undefined where there is nothing. */
  bytes(path: string): Promise<Uint8Array | undefined>;
  /** Records as they become durable, and approvals as they change, until the signal or the server ends it. */
  events(options?: { signal?: AbortSignal; onOpen?: () => void }): AsyncGenerator<LiveEvent>;
}

const API_BASE = '/api/v1';

export function createOperator(options: OperatorOptions): Operator {
  const url = options.url.replace(/\/+$/, '');
  const web = serverFetch(options);
  let known: Promise<Credentials> | undefined;
  const credentials = async (): Promise<Credentials> => {
    if (!isProtected(url) && (options.token ?? options.dataDir ?? options.session) !== undefined)
      throw new GatehouseRequestError(
        0,
        'server.insecure',
        `${url} is not protected, and what signs you in does not travel in the clear: use https, or a loopback address.`,
      );
    known ??= credentialsOf(options);
    return known.catch((error: unknown) => {
      known = undefined;
      throw error;
    });
  };

  async function send(method: string, target: URL, call: ApiCall, headers: Record<string, string>): Promise<Response> {
    const body = method === 'GET' ? undefined : JSON.stringify(call.body ?? {});
    const who = await credentials();
    const once = async () =>
      web(target, {
        method,
        redirect: 'error',
        headers: {
          ...(await who.headers(method, target)),
          ...headers,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body }),
        ...(call.signal && { signal: call.signal }),
      }).catch((cause: unknown) => {
        if (call.signal?.aborted || cause instanceof GatehouseRequestError) throw cause;
        throw unreachable(url, cause);
      });
    let response = await once();
    // Refused before anything was done, for want of a nonce or the right time.
    if (response.status === 401 && who.learn(target, response)) response = await once();
    if (!response.ok) throw await problemOf(response, url);
    return response;
  }

  async function call<Name extends keyof Api>(route: Name, given: ApiCall = {}): Promise<Api[Name]> {
    const response = await ask(route, given, 'application/json');
    return (await response.json().catch((cause: unknown) => {
      throw notGatehouse(url, cause);
    })) as Api[Name];
  }

  async function ask(route: keyof Api, given: ApiCall, accept: string): Promise<Response> {
    const [method = 'GET', template = ''] = route.split(' ');
    const path = template.replaceAll(/:(\w+)/g, (_, name: string) => {
      const value = given.params?.[name];
      if (value === undefined) throw new TypeError(`${route} needs the parameter "${name}"`);
      return encodeURIComponent(value);
    });
    const target = new URL(`${url}${API_BASE}${path}`);
    for (const [name, value] of Object.entries(given.query ?? {}))
      if (value !== undefined) target.searchParams.set(name, String(value));
    return send(method, target, given, {
      accept,
      ...(given.confirmation !== undefined && { [CONFIRMATION_HEADER]: given.confirmation }),
    });
  }

  return {
    url,
    call,
    async bytes(path) {
      try {
        const response = await send('GET', new URL(`${url}${path}`), {}, { accept: '*/*' });
        return new Uint8Array(await response.arrayBuffer());
      } catch (error) {
        if (error instanceof GatehouseRequestError && error.status === 404) return undefined;
        throw error;
      }
    },
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
    async *lines(route, given = {}) {
      const response = await ask(route, given, 'application/x-ndjson');
      if (!response.body) return;
      let rest = '';
      try {
        for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
          const lines = (rest + text).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) if (line !== '') yield JSON.parse(line) as Api[typeof route];
        }
      } catch (cause) {
        if (given.signal?.aborted) throw cause;
        throw unreachable(url, cause);
      }
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

async function credentialsOf(options: OperatorOptions): Promise<Credentials> {
  const session = await options.session?.();
  if (session) return sessionCredentials(session);
  const token = await readToken(options);
  return {
    headers: async (): Promise<Record<string, string>> => (token === '' ? {} : { authorization: `Operator ${token}` }),
    learn: () => false,
  };
}

async function sessionCredentials({ token, key }: TerminalSession): Promise<Credentials> {
  const [{ createProver }, { createServerClock }, { publicKeyOf }] = await Promise.all([
    import('./proofs.ts'),
    import('./server-clock.ts'),
    import('./agent-key.ts'),
  ]);
  const clock = createServerClock();
  const keys = { privateKey: key.privateKey, publicKey: await publicKeyOf(key) };
  const prover = await createProver(keys, clock.nowSeconds);
  return {
    headers: async (method, target) => ({
      authorization: `Session ${token}`,
      dpop: await prover.proof(target.href, method, token),
    }),
    learn(target, response) {
      const isClockMoved = clock.learn(response);
      return prover.learn(target.href, response) || isClockMoved;
    },
  };
}

async function readToken({ url, token, dataDir }: OperatorOptions): Promise<string> {
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
      `The operator token ${path} ${why}. Name the data directory that the server printed at its start, with --data-dir or GATEHOUSE_DATA_DIR, or sign in as yourself: gatehouse login --url ${url}`,
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
