import type { ToolServerManifest } from '@gatehouse/protocol';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';

/** What a server may ask of a client, and what a client declares. Off unless both the operator and the client say so (law 8). */

export const tasksExtension = 'io.modelcontextprotocol/tasks';

/** Elicitation modes that a client declared; `{}` means form only (2025-11-25, client/elicitation). */
export function elicitationModes(capabilities: JsonObject): { form: boolean; url: boolean } {
  const declared = capabilities.elicitation;
  if (!isJsonObject(declared)) return { form: false, url: false };
  const url = isJsonObject(declared.url);
  return { form: isJsonObject(declared.form) || !url, url };
}

/** The client's capabilities ∩ the operator's grants: all that the server hears of. */
export function grantedCapabilities(capabilities: JsonObject, manifest: ToolServerManifest): JsonObject {
  const { clientRequests } = manifest;
  const modes = elicitationModes(capabilities);
  const form = modes.form && clientRequests.elicitation;
  const url = modes.url && clientRequests.urlElicitation;
  const extensions = isJsonObject(capabilities.extensions) ? capabilities.extensions : {};
  return {
    ...(isJsonObject(capabilities.sampling) && clientRequests.sampling && { sampling: capabilities.sampling }),
    ...((form || url) && { elicitation: { ...(form && { form: {} }), ...(url && { url: {} }) } }),
    ...(isJsonObject(capabilities.roots) && clientRequests.roots && { roots: capabilities.roots }),
    ...(isJsonObject(extensions[tasksExtension]) && { extensions: { [tasksExtension]: {} } }),
  };
}

/** Operations that a server may ask for, as actions are called; undefined for everything else. */
export function askedOperation(method: string, params: JsonObject): string | undefined {
  switch (method) {
    case 'elicitation/create':
      return params.mode === 'url' ? 'elicitation/create:url' : 'elicitation/create';
    case 'sampling/createMessage':
    case 'roots/list':
      return method;
    default:
      return undefined;
  }
}

/** Whether the client said that it can answer this. */
export function clientCan(capabilities: JsonObject, operation: string): boolean {
  switch (operation) {
    case 'elicitation/create':
      return elicitationModes(capabilities).form;
    case 'elicitation/create:url':
      return elicitationModes(capabilities).url;
    case 'sampling/createMessage':
      return isJsonObject(capabilities.sampling);
    case 'roots/list':
      return isJsonObject(capabilities.roots);
    default:
      return false;
  }
}

/** Whether a tool runs as an MCP task at its own server (2025-11-25). */
export function taskSupportOf(definition: JsonObject | null | undefined): 'required' | 'optional' | undefined {
  const { taskSupport } = asObject(definition?.execution);
  return taskSupport === 'required' || taskSupport === 'optional' ? taskSupport : undefined;
}

export function asObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
