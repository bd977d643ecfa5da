import type { IncomingMessage, ServerResponse } from 'node:http';
import SCIMMY from 'scimmy';
import { GatehouseError, type Log, parseStrictJson } from '../../../platform/index.ts';
import { AGENT_SCHEMA, AgentSchema } from './agent-schema.ts';
import type { AgentDirectory } from './agents.ts';
import type { Directory } from './directory.ts';
import { refuseCostlyPaths } from './expressions.ts';
import { scimLimits as limits } from './limits.ts';
import { projectionAsked } from './projection.ts';
import { plain, type Resource, refuseNul, scimError } from './resources.ts';
import type { ScimTokens } from './tokens.ts';

const BASE = '/scim/v2';
const LIST = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';

/** The SCIM 2.0 service provider at `/scim/v2` (RFC 7644): users, groups and, where let, agents; no bulk, no sorting, no passwords. */
export function createScimDoor({
  directory,
  agents,
  tokens,
  log,
  publicUrl,
}: {
  directory: Directory;
  /** Only where the operator has let directories provision agents. */
  agents?: AgentDirectory | undefined;
  tokens: ScimTokens;
  log: Log;
  publicUrl: string;
}) {
  async function answer(request: IncomingMessage): Promise<{ status: number; body?: unknown; shown?: unknown }> {
    const client = await tokens.authenticate(request.headers.authorization);
    if (!client)
      throw scimError(
        401,
        '',
        'A bearer token of a directory is needed. An admin makes one: gatehouse scim token create.',
      );
    const by = `scim/${client.id}`;
    const url = new URL(request.url ?? '/', publicUrl);
    const [kind = '', id, more] = partsOf(url.pathname);
    if (more !== undefined) throw scimError(404, '', 'There is no such resource.');
    const { method = 'GET' } = request;
    if (method === 'GET') {
      const fixed = discovery(kind, id, publicUrl, agents !== undefined);
      if (fixed) return { status: 200, body: fixed };
    }
    const of = { Users: directory.users, Groups: directory.groups, Agents: agents }[kind];
    if (!of) throw scimError(kind === 'Bulk' ? 501 : 404, '', 'There is no such resource.');
    // Before anything is changed: a request that asks for what is no attribute has changed nothing.
    const project = projectionAsked(url.searchParams);
    const one = (status: number, body: Resource) => ({ status, body, ...(project && { shown: project(body) }) });
    const ifMatch = request.headers['if-match'];
    const version = ifMatch === undefined ? [] : ([ifMatch] as const);
    if (id === undefined || id === '') {
      if (method === 'GET') {
        const page = await of.list(pageAsked(url.searchParams));
        return {
          status: 200,
          body: listed({ ...page, resources: project ? page.resources.map(project) : page.resources }),
        };
      }
      if (method === 'POST') return one(201, await of.create(await readJson(request), by));
    } else {
      if (method === 'GET') return one(200, await of.get(id));
      if (method === 'PUT') return one(200, await of.replace(id, await readJson(request), by, ...version));
      if (method === 'PATCH') {
        const body = await readJson(request);
        const { Operations } = body as { Operations?: unknown };
        if (Array.isArray(Operations) && Operations.length > limits.patchOperations)
          throw scimError(413, 'tooMany', `One PATCH has ${limits.patchOperations} operations at most.`);
        refuseCostlyPaths(body);
        return one(200, await of.patch(id, body, by, ...version));
      }
      if (method === 'DELETE') {
        await of.remove(id, by, ...version);
        return { status: 204 };
      }
    }
    throw scimError(405, '', `${method} is not for this resource.`);
  }

  return {
    /** True when the request was for this door. */
    async handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
      const [path = ''] = (request.url ?? '').split('?');
      if (path !== BASE && !path.startsWith(`${BASE}/`)) return false;
      const headers: Record<string, string> = {
        'content-type': 'application/scim+json',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      };
      try {
        const { status, body, shown = body } = await answer(request);
        const { meta } = (body ?? {}) as { meta?: { version?: string; location?: string } };
        if (meta?.version !== undefined) headers.etag = meta.version;
        if (status === 201 && meta?.location !== undefined) headers.location = meta.location;
        response.writeHead(status, headers).end(shown === undefined ? undefined : JSON.stringify(shown));
      } catch (error) {
        const { status, type, detail } = told(error);
        if (status === 500) log.error('a request of a directory failed', { method: request.method, path, error });
        if (status === 401) headers['www-authenticate'] = 'Bearer';
        const body = {
          schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
          status: String(status),
          ...(type && { scimType: type }),
          detail,
        };
        response.writeHead(status, headers).end(JSON.stringify(body));
      }
      return true;
    },
  };
}

function told(error: unknown): { status: number; type: string; detail: string } {
  if (error instanceof GatehouseError) return { status: error.status, type: '', detail: error.message };
  if (error instanceof SCIMMY.Types.Error) {
    const { status, scimType, message } = error as Error & { status: number; scimType?: string };
    return { status, type: scimType ?? '', detail: message };
  }
  // scimmy throws TypeErrors for values that don't fit a schema.
  if (error instanceof TypeError) return { status: 400, type: 'invalidValue', detail: error.message.slice(0, 500) };
  return { status: 500, type: '', detail: 'Something failed inside Gatehouse; the server log has the cause.' };
}

/** Ids as they were made: what cannot be decoded, or stored, is nobody's. */
function partsOf(path: string): string[] {
  try {
    const parts = path
      .slice(BASE.length + 1)
      .split('/')
      .map(decodeURIComponent);
    if (parts.every((part) => !part.includes('\0'))) return parts;
  } catch {
    // Not decodable: below.
  }
  throw scimError(404, '', 'There is no such resource.');
}

function pageAsked(query: URLSearchParams) {
  const number = (name: string, fallback: number) => {
    const value = Number(query.get(name) ?? fallback);
    return Number.isSafeInteger(value) ? value : fallback;
  };
  const filter = query.get('filter');
  if (filter !== null && filter.length > limits.filterChars)
    throw scimError(400, 'invalidFilter', `A filter has at most ${limits.filterChars} characters.`);
  return {
    startIndex: Math.max(1, number('startIndex', 1)),
    count: Math.min(limits.pageSize, Math.max(0, number('count', limits.pageSize))),
    ...(filter !== null && { filter }),
  };
}

const listed = ({
  totalResults,
  startIndex,
  resources,
}: {
  totalResults: number;
  startIndex: number;
  resources: unknown[];
}) => ({
  schemas: [LIST],
  totalResults,
  startIndex,
  itemsPerPage: resources.length,
  Resources: resources,
});

async function readJson(request: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  let size = 0;
  request.setTimeout(15_000, () => request.destroy());
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > limits.bodyBytes) throw scimError(413, 'tooMany', `A body has at most ${limits.bodyBytes} bytes.`);
    chunks.push(chunk);
  }
  const value = parseStrictJson(Buffer.concat(chunks));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw scimError(400, 'invalidSyntax', 'The body is no JSON object.');
  refuseNul(value);
  return value;
}

/** RFC 7644 §4. */
function discovery(kind: string, id: string | undefined, publicUrl: string, withAgents: boolean): unknown {
  const known = [SCIMMY.Schemas.User, SCIMMY.Schemas.EnterpriseUser, SCIMMY.Schemas.Group];
  const schemas = [...known, ...(withAgents ? [AgentSchema] : [])].map((each) =>
    plain(
      (each as unknown as { definition: { describe(base: string): unknown } }).definition.describe(
        `${publicUrl}${BASE}/Schemas`,
      ),
    ),
  );
  const types = [
    {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
      id: 'User',
      name: 'User',
      endpoint: '/Users',
      schema: 'urn:ietf:params:scim:schemas:core:2.0:User',
      schemaExtensions: [{ schema: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User', required: false }],
    },
    {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
      id: 'Group',
      name: 'Group',
      endpoint: '/Groups',
      schema: 'urn:ietf:params:scim:schemas:core:2.0:Group',
    },
    ...(withAgents
      ? [
          {
            schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
            id: 'Agent',
            name: 'Agent',
            endpoint: '/Agents',
            schema: AGENT_SCHEMA,
          },
        ]
      : []),
  ];
  const pick = (all: { id?: unknown }[]) => {
    if (id === undefined) return listed({ totalResults: all.length, startIndex: 1, resources: all });
    const one = all.find((each) => each.id === id);
    if (!one) throw scimError(404, '', 'There is no such resource.');
    return one;
  };
  if (kind === 'Schemas') return pick(schemas as { id?: unknown }[]);
  if (kind === 'ResourceTypes') return pick(types);
  if (kind !== 'ServiceProviderConfig') return undefined;
  const no = { supported: false };
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: true },
    bulk: { ...no, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: limits.pageSize },
    changePassword: no,
    sort: no,
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token that an admin of Gatehouse made for this directory',
      },
    ],
  };
}
