import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { checkSameOrigin, type People } from '../identity/index.ts';
import { type ErrorKind, GatehouseError, isUnavailable, toProblem } from '../platform/index.ts';
import { groupsOf, type Snapshot } from '../registry/index.ts';
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
import { openApi } from './openapi.ts';
import { check, checkParam, readBody, readQuery } from './read-request.ts';
import type { ApiCaller, ResourceOf, Route, RouteContext } from './route.ts';
import { accountRoutes } from './routes/accounts.ts';
import { actionRoutes } from './routes/actions.ts';
import { agentIdentityRoutes } from './routes/agent-identity.ts';
import { agentRoutes } from './routes/agents.ts';
import { approvalReviewRoutes } from './routes/approval-review.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { backupRoutes } from './routes/backup.ts';
import { breakGlassRoutes } from './routes/break-glass.ts';
import { budgetRoutes } from './routes/budgets.ts';
import { bulkRoutes } from './routes/bulk.ts';
import { channelRoutes } from './routes/channels.ts';
import { companySignInRoutes } from './routes/company-sign-in.ts';
import { confirmationRoutes } from './routes/confirmations.ts';
import { consentRoutes } from './routes/consents.ts';
import { decideRoutes } from './routes/decide.ts';
import { deciderRoutes } from './routes/deciders.ts';
import { delegationRoutes } from './routes/delegations.ts';
import { evidenceRoutes } from './routes/evidence.ts';
import { explainRoutes } from './routes/explain.ts';
import { federationRoutes } from './routes/federation.ts';
import { heldResultRoutes } from './routes/held-results.ts';
import { keepingRoutes } from './routes/keeping.ts';
import { keyRoutes } from './routes/keys.ts';
import { leaseRoutes } from './routes/leases.ts';
import { peopleRoutes } from './routes/people.ts';
import { policyRoutes } from './routes/policy.ts';
import { policyFileRoutes } from './routes/policy-files.ts';
import { pushRoutes } from './routes/push.ts';
import { recordExportRoutes } from './routes/record-export.ts';
import { secondYesRoutes } from './routes/second-yes.ts';
import { sessionRoutes } from './routes/session.ts';
import { sinkRoutes } from './routes/sinks.ts';
import { standingGrantRoutes } from './routes/standing-grants.ts';
import { statusRoutes } from './routes/status.ts';
import { traceRoutes } from './routes/trace.ts';
import { trustDomainRoutes } from './routes/trust-domain.ts';
import { upstreamAuthorizationRoutes } from './routes/upstream-authorization.ts';
import { workspaceRoutes } from './routes/workspace.ts';
import { securityHeaders, serveConsole } from './static.ts';

export const API_BASE = '/api/v1';

/** What is answered beside the route table, as streams and files. */
const streams: GuardedRoute[] = [
  { name: 'GET /events', group: 'read' },
  { name: 'GET /log', group: 'read' },
];

export function apiRoutes(deps: ApiDependencies): Route[] {
  const routes: Route[] = [
    ...[
      statusRoutes,
      sessionRoutes,
      companySignInRoutes,
      consentRoutes,
      confirmationRoutes,
      agentRoutes,
      agentIdentityRoutes,
      budgetRoutes,
      sinkRoutes,
      heldResultRoutes,
      bulkRoutes,
      federationRoutes,
      workspaceRoutes,
      policyRoutes,
      approvalRoutes,
      standingGrantRoutes,
      breakGlassRoutes,
      channelRoutes,
      leaseRoutes,
      pushRoutes,
      approvalReviewRoutes,
      deciderRoutes,
      actionRoutes,
      delegationRoutes,
      accountRoutes,
      keepingRoutes,
      secondYesRoutes,
      recordExportRoutes,
      traceRoutes,
      trustDomainRoutes,
      upstreamAuthorizationRoutes,
      keyRoutes,
      decideRoutes,
      evidenceRoutes,
      explainRoutes,
      policyFileRoutes,
      backupRoutes,
    ].flatMap((of) => of(deps)),
    ...peopleRoutes(deps, () => routes),
  ];
  return routes;
}

/** The control API and the console. Agents have no business here: an `Authorization` header that is neither the operator's nor of a person's session of the command line is refused. */
export function createApi(deps: ApiDependencies) {
  const app = new Hono();
  const routes = apiRoutes(deps);
  const guarded = guardedRoutes(routes);
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
  app.get('/log/:log/:path{.+}', async (http) => {
    const { publicLog = false, publicUrl } = deps.config;
    const caller = publicLog ? undefined : await callerFor({ name: 'GET /log', access: 'read' }, http);
    const log = checkParam(http.req.param('log'));
    // A log is named after where it is served: `HOST/log/REPLICA`.
    const id = log.includes('/') ? log : `${new URL(publicUrl).host}/log/${log}`;
    const path = checkParam(http.req.param('path'));
    const found = await deps.ledger.resource(id, path);
    if (!found) throw new GatehouseError('not-found', 'log.resource-unknown', 'There is no such tile or checkpoint.');
    // The records themselves are in these; hashes say nothing of anybody.
    const isRead = caller !== undefined && path.startsWith('tile/entries/');
    if (isRead)
      await deps.reads.took({ by: caller.by, what: `entries of ${id}: ${path}`, items: 1, subject: `entries ${id}` });
    // What needs a session stays out of caches that others share.
    const whose = publicLog ? 'public' : 'private';
    const lasting = found.immutable ? `${whose}, max-age=31536000, immutable` : 'no-cache';
    // Each look at records is recorded, so that none comes from a cache, or stays on a machine after its person has left.
    const cacheControl = isRead ? 'no-store' : lasting;
    return new Response(Buffer.from(found.body), {
      headers: {
        'content-type': found.contentType,
        'cache-control': cacheControl,
        ...(publicLog && { 'access-control-allow-origin': '*' }),
      },
    });
  });
  app.notFound(() => {
    throw new GatehouseError(
      'not-found',
      'route.unknown',
      `There is no such route. ${deps.config.publicUrl}${API_BASE}/openapi.json lists them.`,
    );
  });
  app.onError((error) => {
    const { status: usual, body, nonce } = problemOf(error);
    // A slow body is the client's doing, unlike whatever else takes too long here.
    const status = error instanceof GatehouseError && error.code === 'body.slow' ? 408 : usual;
    // What somebody else's server did is their failure: an alert on errors must mean ours.
    if (error instanceof GatehouseError && error.kind === 'upstream')
      deps.log.warn('what an API request needs from elsewhere could not be had', { error });
    else if (status >= 500) deps.log.error('an API request failed', { error });
    return new Response(JSON.stringify({ ...body, status }), {
      status,
      headers: {
        ...securityHeaders,
        ...nonce,
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
      },
    });
  });

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

  function operatorOf(authorization: string | undefined): ApiCaller | undefined {
    const token = /^Operator (.+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    if (!deps.operatorToken.equals(token))
      throw new GatehouseError(
        'unauthenticated',
        'operator.token',
        'The operator token is not that of this server. Give the data directory that it printed at start.',
      );
    return {
      email: 'operator',
      displayName: 'Operator',
      roles: ['admin', 'security', 'auditor', 'developer'],
      groups: [],
      via: 'operator',
      restricted: false,
      person: null,
      by: 'operator',
    };
  }

  async function personOf(
    { cookie, authorization }: { cookie?: string; authorization?: string },
    how: Parameters<People['authenticatePerson']>[1],
  ): Promise<ApiCaller> {
    const person = await deps.people.authenticatePerson(
      { ...(cookie !== undefined && { cookie }), ...(authorization !== undefined && { authorization }) },
      how,
    );
    return {
      email: person.email,
      displayName: person.displayName,
      roles: person.roles,
      groups: groupsAt(deps.registry.snapshot(), person.email),
      via: person.via,
      restricted: person.restricted,
      person,
      by: `person:${person.email}`,
    };
  }

  async function personIfAny(...of: Parameters<typeof personOf>): Promise<ApiCaller | undefined> {
    try {
      return await personOf(...of);
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error;
      // Whoever has opened one approval by a mail is nobody in particular elsewhere, and may sign in.
      if (error.kind === 'unauthenticated' || error.code === 'session.by-mail') return undefined;
      throw error;
    }
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

/** RFC 9449 §9: a nonce goes in a header. */
function problemOf(error: unknown): {
  status: number;
  body: Record<string, unknown>;
  nonce: Record<string, string>;
} {
  const { status, body } = toProblem(error);
  const { dpopNonce, ...rest } = body;
  return { status, body: rest, nonce: typeof dpopNonce === 'string' ? { 'dpop-nonce': dpopNonce } : {} };
}

/** Groups of manifests and of the directory, by name. Who is in one that a manifest declares, the manifest alone says. */
function groupsAt(snapshot: Pick<Snapshot, 'groups' | 'directory'>, email: string): string[] {
  const given = snapshot.directory.get(email)?.groups ?? [];
  return [...groupsOf(snapshot, email), ...given.filter((name) => !snapshot.groups.has(name))];
}
