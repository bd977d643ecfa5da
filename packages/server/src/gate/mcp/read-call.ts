import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { JsonRpcFailure } from '../upstream/types.ts';
import type { Call } from './agent-side.ts';
import { codes } from './rpc.ts';
import type { Named, View } from './view.ts';

/** Methods that are actions at one server. Both eras know the first four; what is left of the rest depends on the era. */
export const actionMethods = {
  '2025-11-25': [
    'tools/call',
    'resources/read',
    'prompts/get',
    'completion/complete',
    'tasks/get',
    'tasks/result',
    'tasks/cancel',
  ],
  '2026-07-28': [
    'tools/call',
    'resources/read',
    'prompts/get',
    'completion/complete',
    'tasks/get',
    'tasks/update',
    'tasks/cancel',
  ],
} as const;

/**
 * An agent's request as an action at one server, in the server's names. Throws JsonRpcFailure (-32602) when a member is missing or of
 * the wrong type. A name that no server can have leads to the server `` and is refused there, on record.
 */
export function readCall(view: View, method: string, params: JsonObject): Call {
  switch (method) {
    case 'tools/call': {
      const { server, name } = named(view.nameIn(text(params, 'name')), params.name);
      return { method, server, name, arguments: optionalObject(params, 'arguments'), params: { ...params, name } };
    }
    case 'prompts/get': {
      const { server, name } = named(view.nameIn(text(params, 'name')), params.name);
      const args = optionalObject(params, 'arguments');
      return { method, server, name, arguments: { name, arguments: args }, params: { ...params, name } };
    }
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe': {
      const { server, name: uri } = named(view.uriIn(text(params, 'uri')), params.uri);
      return { method, server, name: uri, arguments: { uri }, params: { ...params, uri } };
    }
    case 'completion/complete':
      return completion(view, params);
    default: {
      const { server, name: taskId } = named(view.uriIn(text(params, 'taskId')), params.taskId);
      const { _meta, ...rest } = params;
      return { method, server, name: taskId, arguments: { ...rest, taskId }, params: { ...params, taskId } };
    }
  }
}

function completion(view: View, params: JsonObject): Call {
  const ref = optionalObject(params, 'ref');
  const prompt = ref.type === 'ref/prompt';
  if (!prompt && ref.type !== 'ref/resource') throw invalid('"ref" must be a ref/prompt or a ref/resource.');
  if (!isJsonObject(params.argument)) throw invalid('"argument" must be an object with name and value.');
  const member = prompt ? 'name' : 'uri';
  const { server, name } = named(prompt ? view.nameIn(text(ref, 'name')) : view.uriIn(text(ref, 'uri')), ref[member]);
  const inner = { ...ref, [member]: name };
  const { _meta, ...rest } = params;
  return {
    method: 'completion/complete',
    server,
    name,
    arguments: { ...rest, ref: inner, [member]: name },
    params: { ...params, ref: inner },
  };
}

function named(found: Named | undefined, given: Json | undefined): Named {
  return found ?? { server: '', name: String(given) };
}

const maxNameChars = 4_096;

function text(params: JsonObject, member: string): string {
  const value = params[member];
  if (typeof value !== 'string') throw invalid(`"${member}" must be a string.`);
  if (value.length > maxNameChars) throw invalid(`"${member}" is longer than ${maxNameChars} characters.`);
  return value;
}

function optionalObject(params: JsonObject, member: string): JsonObject {
  const value = params[member] ?? {};
  if (!isJsonObject(value)) throw invalid(`"${member}" must be an object.`);
  return value;
}

function invalid(message: string): JsonRpcFailure {
  return new JsonRpcFailure({ code: codes.invalidParams, message });
}
