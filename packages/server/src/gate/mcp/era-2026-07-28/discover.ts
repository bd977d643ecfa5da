import type { Caller } from '../../../identity/index.ts';
import { isJsonObject, type JsonObject } from '../../../platform/index.ts';
import { modernVersions } from '../classify.ts';
import { type Door, gateInfo } from '../door-parts.ts';
import { tasksExtension } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import type { View } from '../view.ts';

/** What the gate can do in this view. Lists are its own; the tasks extension is there when a server has it. */
export async function discover(
  door: Door,
  caller: Caller,
  view: View,
  clientCapabilities: JsonObject,
): Promise<JsonObject> {
  const instructions = await door.catalogue.instructions(caller, view);
  const runsTasks =
    (await door.catalogue.hasGraveTools(caller, view)) || (await hasTasks(door, caller, view, clientCapabilities));
  return withServerInfo({
    resultType: 'complete',
    supportedVersions: modernVersions,
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
      completions: {},
      ...(runsTasks && { extensions: { [tasksExtension]: {} } }),
    },
    ...(instructions !== undefined && { instructions }),
    ttlMs: doorLimits.listTtlMs,
    cacheScope: 'private',
  });
}

/** The one server of a plain view is asked if nobody knows; in the aggregate view servers count once they were used. */
async function hasTasks(door: Door, caller: Caller, view: View, capabilities: JsonObject): Promise<boolean> {
  if (view.server !== null && door.connections.lastCapabilities(view.server) === undefined) {
    try {
      await door.connections.get({ caller, capabilities, session: undefined }, view.server);
    } catch (error) {
      door.log.info('a server that was to be discovered cannot be had', { server: view.server, error });
    }
  }
  return door.catalogue.servers(caller, view).some(({ name }) => {
    const extensions = door.connections.lastCapabilities(name)?.extensions;
    return isJsonObject(extensions) && isJsonObject(extensions[tasksExtension]);
  });
}

export function withServerInfo(result: JsonObject): JsonObject {
  return { ...result, _meta: { 'io.modelcontextprotocol/serverInfo': gateInfo } };
}
