import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { checkSameOrigin } from '../identity/index.ts';
import { type ErrorKind, GatehouseError, isUnavailable } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import {
  atTerminal,
  authorize,
  compileControlPolicies,
  controlPoliciesOf,
  type GuardedRoute,
  guardedRoutes,
  isAllowed,
  isOpenByMail,
  requireOperable,
} from './authorization/index.ts';
import { confirmAtTerminal } from './confirm.ts';
import type { ApiDependencies } from './dependencies.ts';
import { streamEvents } from './events.ts';
import { serveLog } from './log-resources.ts';
import { openApi } from './openapi.ts';
import { answerProblem, problemOf } from './problem-answer.ts';
import { check, checkParam, readBody, readQuery } from './read-request.ts';
import type { ApiCaller, ResourceOf, Route, RouteContext } from './route.ts';
import { apiRoutes } from './route-table.ts';
import { securityHeaders, serveConsole } from './static.ts';
import { createCallers } from './who-calls.ts';

export const API_BASE = '/api/v1';

/** What is answered beside the route table, as streams and files. */
const streams: GuardedRoute[] = [
  { name: 'GET /events', group: 'read' },
  { name: 'GET /log', group: 'read' },
];

/** The control API and the console. Agents have no business here: an `Authorization` header that is neither the operator's nor of a person's session of the command line is refused. */
export function createApi(deps: ApiDependencies) {
  const app = new Hono();
  const routes = apiRoutes(deps);
  const guarded = guardedRoutes(routes);
  const { operatorOf, personOf, personIfAny } = createCallers(deps);
  const policies = controlPoliciesOf(deps.registry, [...guarded, ...streams]);
  app.use(async (http, next) => {
    await next();
    for (const [name, value] of Object.entries(securityHeaders)) http.res.headers.set(name, value);
  });
  app.get(`${API_BASE}/openapi.json`, (http) => http.json(openApi(routes, deps.config.publicUrl)));
  for (const route of routes) {
    const [method = '', path = ''] = route.name.split(' ');
    app.on(method, API_BASE + path, (http) => run(route, http));
  }
  app.get('/log/:log/:path{.+}', (http) =>
    serveLog(deps, http, () => callerFor({ name: 'GET /log', access: 'read' }, http)),
  );
  app.notFound(() => {
    throw new GatehouseError(
      'not-found',
      'route.unknown',
      `There is no such route. ${deps.config.publicUrl}${API_BASE}/openapi.json lists them.`,
    );
  });
  app.onError((error) => answerProblem(error, deps.log));

  /** For `validate`: refuses control policies that don't fit, and those after which nobody could put them right. */
  const checkPolicies = ({ controlPolicies }: Pick<Snapshot, 'controlPolicies'>): void => {
    if (controlPolicies === deps.registry.snapshot().controlPolicies) return;
    requireOperable(compileControlPolicies([...guardedRoutes(routes), ...streams], controlPolicies));
  };

  async function run(route: Route, http: Context): Promise<Response> {
    const caller = await callerFor(route, http);
    const query = route.query ? check(route.query, readQuery(http), 'query') : undefined;
    const given = route.body ? await readBody(http) : undefined;
    const body = route.body ? check(route.body, given, 'body') : undefined;
    const context: RouteContext = {
      caller,
      query,
      body,
      http,
      confirmed: undefined,
      may: (name) => guarded.some((each) => each.name === name && isAllowed(policies(), caller, each)),
      require: (name, resource) => {
        const other = guarded.find((each) => each.name === name);
        if (!other) throw new GatehouseError('internal', 'route.unknown', `No policy decides about "${name}".`);
        authorize(policies(), caller, other, resource);
      },
      param: (name) => checkParam(http.req.param(name) ?? ''),
    };
    // A public route does nothing in anybody's name.
    if (route.access !== 'public' && caller.restricted) {
      if (!caller.person) throw terminalRefused();
      try {
        context.confirmed = await confirmAtTerminal(deps, route, context, caller.person, given);
      } catch (error) {
        // What is asked for is on record as such.
        if ((error as GatehouseError).code !== 'confirmation.needed')
          await recordRefusal(caller, http, error, 'forbidden');
        throw error;
      }
    }
    const answer = await route.handle(context as never);
    if (answer instanceof Response) return answer;
    http.header('cache-control', 'no-store');
    return http.json(answer as object);
  }

  async function callerFor(
    route: { name: string; access: Route['access']; on?: ResourceOf },
    http: Context,
  ): Promise<ApiCaller> {
    const headers = Object.fromEntries(http.req.raw.headers);
    const operator = operatorOf(headers.authorization);
    // No page of another origin can send this header, and beside a cookie it is refused.
    const isTerminal = headers.authorization?.startsWith('Session ') ?? false;
    if (!operator && !isTerminal && http.req.method !== 'GET') checkSameOrigin(headers, deps.config.publicUrl);
    const how = {
      enrolling: route.access === 'public' || route.access === 'enrolling',
      isOpenByMail: isOpenByMail(route.name, http.req.param('id')),
      prove: deps.sessionProof({
        dpop: headers.dpop,
        method: http.req.method,
        path: new URL(http.req.raw.url).pathname,
      }),
    };
    // Whether the server is well is answered while nobody can be looked up, as to a stranger.
    const nobody = (error: unknown) => {
      if (!isUnavailable(error)) throw error;
      return undefined;
    };
    if (route.access === 'public') return (operator ?? (await personIfAny(headers, how).catch(nobody))) as ApiCaller;
    const caller = operator ?? (await personOf(headers, how));
    if (route.access === 'enrolling') {
      if (caller.restricted && atTerminal(route, undefined) === 'refused') throw terminalRefused();
      return caller;
    }
    const resource = route.on
      ? await route.on((name) => checkParam(http.req.param(name) ?? ''))
      : ({ type: 'Workspace' } as const);
    try {
      authorize(policies(), caller, { name: route.name, group: route.access }, resource);
      if (caller.restricted && atTerminal(route, undefined) === 'refused') throw terminalRefused();
    } catch (error) {
      if (http.req.method !== 'GET') await recordRefusal(caller, http, error);
      throw error;
    }
    return caller;
  }

  /** Law 1: who tried to change what they may not is on record as well. */
  async function recordRefusal(caller: ApiCaller, http: Context, error: unknown, only?: ErrorKind): Promise<void> {
    if (!(error instanceof GatehouseError) || (only !== undefined && error.kind !== only)) return;
    await deps.storage.transaction((transaction) =>
      deps.recordChange(transaction, {
        operation: 'control.refuse',
        by: caller.by,
        changes: [`${http.req.method} ${http.req.path.slice(API_BASE.length, 400)}`],
        detail: `${error.code}: ${error.message}`.slice(0, 1_000),
      }),
    );
  }

  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });

  return {
    checkPolicies,
    async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const path = (request.url ?? '/').split('?')[0] ?? '/';
      if (path === `${API_BASE}/events` && request.method === 'GET') return events(request, response);
      const isApi = path.startsWith('/api/') || path.startsWith('/log/');
      const isPage = !isApi && deps.consoleDir !== undefined && (request.method === 'GET' || request.method === 'HEAD');
      if (isPage) return serveConsole(deps.consoleDir as string, request, response, path);
      await listener(request, response);
    },
  };

  async function events(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { cookie, authorization } = request.headers;
    const headers = { ...(cookie !== undefined && { cookie }), ...(authorization !== undefined && { authorization }) };
    const signIn = async (how: Parameters<typeof personOf>[1]) => {
      const caller = operatorOf(authorization) ?? (await personOf(headers, how));
      authorize(policies(), caller, { name: 'GET /events', group: 'read' }, { type: 'Workspace' });
      return caller;
    };
    try {
      const dpop = typeof request.headers.dpop === 'string' ? request.headers.dpop : undefined;
      const { by } = await signIn({
        prove: deps.sessionProof({ dpop, method: 'GET', path: `${API_BASE}/events` }),
      });
      await deps.reads.searched({ by, what: 'records as they come', items: 0 });
    } catch (error) {
      const { status, body, nonce } = problemOf(error);
      response
        .writeHead(status, {
          ...securityHeaders,
          ...nonce,
          'content-type': 'application/problem+json',
          'cache-control': 'no-store',
        })
        .end(JSON.stringify(body));
      return;
    }
    // The stream was opened with a proof, and is looked at again by its own server only.
    streamEvents(deps, response, async () => Boolean(await signIn({ passive: true, prove: async () => undefined })));
  }
}

const terminalRefused = () =>
  new GatehouseError(
    'forbidden',
    'session.restricted',
    'A session of the command line has nothing to do with passkeys. Sign in to the console in a browser.',
  );
