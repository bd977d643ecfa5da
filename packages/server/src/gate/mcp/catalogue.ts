import type { Enforcement } from '../../enforcement/index.ts';
import type { Caller } from '../../identity/index.ts';
import { digestJson, isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { DefinitionKind, RegisteredServer, RegisteredTool, Registry } from '../../registry/index.ts';
import { JsonRpcFailure } from '../upstream/types.ts';
import { taskSupportOf } from './grants.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';
import type { View } from './view.ts';

/**
 * What an agent may see: definitions as a person approved them, never as a server serves them now (law 8), of servers in its
 * environment, in an order that is the same every time.
 */
export interface Catalogue {
  /** The servers of the caller's environment that this view covers, by name. */
  servers(caller: Caller, view: View): RegisteredServer[];
  server(caller: Caller, name: string): RegisteredServer | undefined;
  /** Throws JsonRpcFailure (-32602) for a cursor that is not ours. */
  list(method: ListMethod, caller: Caller, view: View, cursor: Json | undefined): Promise<JsonObject>;
  instructions(caller: Caller, view: View): Promise<string | undefined>;
  /** True when a tool that this task may use can run as an MCP task (2025-11-25). */
  hasTaskTools(caller: Caller, view: View): Promise<boolean>;
  /** True when a tool that this task may use always needs a person, so that calls of it can be tasks of the gate's own. */
  hasGraveTools(caller: Caller, view: View): Promise<boolean>;
  /** Changes exactly when what agents see of this server changes; by kind of list. */
  fingerprint(server: string): Fingerprint;
}

export type ListMethod = keyof typeof lists;

export interface Fingerprint {
  tools: string;
  prompts: string;
  resources: string;
}

const lists = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
} as const;

export const isListMethod = (method: string): method is ListMethod => Object.hasOwn(lists, method);

/** Whatever else policy says: its tier does. */
export const needsPerson = (tool: Pick<RegisteredTool, 'tier'> | undefined): boolean => (tool?.tier ?? 1) >= 3;

interface Entry {
  key: string;
  body: JsonObject;
}

export function createCatalogue({
  registry,
  enforcement,
}: {
  registry: Registry;
  enforcement: Enforcement;
}): Catalogue {
  const serversOf = (caller: Caller, view: View) =>
    [...registry.snapshot().servers.values()]
      .filter(({ name }) => view.server === null || name === view.server)
      .filter(({ manifest }) => manifest.environments.includes(caller.task.environment))
      .sort((a, b) => compare(a.name, b.name));

  /** A server of which a task may use nothing has no say in what its agent reads. */
  const offering = (caller: Caller, view: View, feature: 'prompts' | 'resources') =>
    serversOf(caller, view).filter(({ name }) => enforcement.usesFeature(caller, name, feature));

  async function tools(caller: Caller, view: View): Promise<Entry[]> {
    const usable = await enforcement.usableTools(caller, view.server ?? undefined);
    return usable.flatMap(({ server, name, state, definition }) =>
      state === 'approved' && definition
        ? [{ key: `${server}/${name}`, body: { ...definition, name: view.nameOut(server, name) } }]
        : [],
    );
  }

  function prompts(caller: Caller, view: View): Entry[] {
    return approved(offering(caller, view, 'prompts'), 'prompt').map(({ server, name, body }) => ({
      key: `${server}/${name}`,
      body: { ...body, name: view.nameOut(server, name) },
    }));
  }

  function resources(caller: Caller, view: View, kind: 'resource' | 'resource-template'): Entry[] {
    const member = kind === 'resource' ? 'uri' : 'uriTemplate';
    return approved(offering(caller, view, 'resources'), kind).map(({ server, name, body }) => ({
      key: `${server}/${name}`,
      body: { ...body, [member]: view.uriOut(server, name) },
    }));
  }

  async function entries(method: ListMethod, caller: Caller, view: View): Promise<Entry[]> {
    switch (method) {
      case 'tools/list':
        return tools(caller, view);
      case 'prompts/list':
        return prompts(caller, view);
      case 'resources/list':
        return resources(caller, view, 'resource');
      case 'resources/templates/list':
        return resources(caller, view, 'resource-template');
    }
  }

  return {
    servers: serversOf,
    server(caller, name) {
      const server = registry.snapshot().servers.get(name);
      return server?.manifest.environments.includes(caller.task.environment) ? server : undefined;
    },

    async list(method, caller, view, cursor) {
      const after = readCursor(cursor);
      const all = (await entries(method, caller, view)).sort((a, b) => compare(a.key, b.key));
      const start = after === undefined ? 0 : all.findIndex(({ key }) => compare(key, after) > 0);
      const page = start < 0 ? [] : all.slice(start, start + doorLimits.listPageSize);
      const last = start >= 0 && start + page.length < all.length ? page.at(-1) : undefined;
      return {
        [lists[method]]: page.map(({ body }) => body),
        ...(last && { nextCursor: Buffer.from(last.key).toString('base64url') }),
      };
    },

    async instructions(caller, view) {
      const tools = await enforcement.usableTools(caller, view.server ?? undefined);
      const used = new Set([
        ...tools.map(({ server }) => server),
        ...(['prompts', 'resources'] as const).flatMap((each) => offering(caller, view, each).map(({ name }) => name)),
      ]);
      const servers = serversOf(caller, view).filter(({ name }) => used.has(name));
      const parts = pinned(servers, 'instructions').flatMap(({ server, body }) => {
        if (typeof body !== 'string' || body === '') return [];
        return view.server === null ? `${server}: ${body}` : body;
      });
      return parts.length > 0 ? parts.join('\n\n') : undefined;
    },

    async hasGraveTools(caller, view) {
      return (await enforcement.usableTools(caller, view.server ?? undefined)).some(needsPerson);
    },

    async hasTaskTools(caller, view) {
      const usable = await enforcement.usableTools(caller, view.server ?? undefined);
      return usable.some((tool) => needsPerson(tool) || taskSupportOf(tool.definition) !== undefined);
    },

    fingerprint(name) {
      const server = registry.snapshot().servers.get(name);
      if (!server) return { tools: '', prompts: '', resources: '' };
      const of = (...kinds: DefinitionKind[]) =>
        digestJson(
          server.definitions
            .filter(({ kind, state }) => kinds.includes(kind) && state === 'approved')
            .map(({ kind, name: entry, approved: body }) => [kind, entry, body?.digest ?? null])
            .sort((a, b) => compare(`${a[0]}/${a[1]}`, `${b[0]}/${b[1]}`)),
        );
      const toolList = [...server.tools.values()]
        .map(({ name: tool, state, tier, digest }) => [tool, state, tier, digest])
        .sort((a, b) => compare(String(a[0]), String(b[0])));
      return { tools: digestJson(toolList), prompts: of('prompt'), resources: of('resource', 'resource-template') };
    },
  };
}

function approved(
  servers: RegisteredServer[],
  kind: 'prompt' | 'resource' | 'resource-template',
): { server: string; name: string; body: JsonObject }[] {
  return pinned(servers, kind).flatMap(({ server, name, body }) =>
    isJsonObject(body) ? [{ server, name, body }] : [],
  );
}

function pinned(servers: RegisteredServer[], wanted: DefinitionKind): { server: string; name: string; body: Json }[] {
  return servers.flatMap(({ name: server, definitions }) =>
    definitions
      .filter(({ kind, state, approved: pin }) => kind === wanted && state === 'approved' && pin !== null)
      .map(({ name, approved: pin }) => ({ server, name, body: pin?.body ?? null })),
  );
}

function readCursor(cursor: Json | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  if (typeof cursor === 'string' && cursor.length <= 4_096) {
    const key = Buffer.from(cursor, 'base64url').toString('utf8');
    if (key.includes('/') && Buffer.from(key).toString('base64url') === cursor) return key;
  }
  throw new JsonRpcFailure({ code: codes.invalidParams, message: 'The cursor is not one of this list. Start again.' });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
