/**
 * The server's side of the tasks extension (SEP-2663) on an SDK that does not serve it: `tasks/*` are custom methods of
 * the SDK's server, and what its `tools/call` cannot express is done around it, in `withTaskResults`.
 */
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type McpServer,
  MissingRequiredClientCapabilityError,
} from '@modelcontextprotocol/server';
import * as z from 'zod';
import type { Task, TaskStore } from './task-store.ts';

export const tasksExtension = 'io.modelcontextprotocol/tasks';

export function registerTaskMethods(server: McpServer, tasks: TaskStore): void {
  const taskId = z.string();
  const demandTasks = () => {
    if (!offersTasks(server)) throw new MissingRequiredClientCapabilityError(missingTasks);
  };
  server.server.setRequestHandler('tasks/get', { params: z.looseObject({ taskId }) }, (params) => {
    demandTasks();
    return tasks.get(params.taskId);
  });
  // The SDK takes inputResponses out of the params of every request.
  server.server.setRequestHandler('tasks/update', { params: z.looseObject({ taskId }) }, (params, { mcpReq }) => {
    demandTasks();
    tasks.update(params.taskId, mcpReq.inputResponses ?? {});
    return {};
  });
  server.server.setRequestHandler('tasks/cancel', { params: z.looseObject({ taskId }) }, (params) => {
    demandTasks();
    tasks.cancel(params.taskId);
    return {};
  });
}

const missingTasks = { requiredCapabilities: { extensions: { [tasksExtension]: {} } } };

/** Whether the client of this request declared the extension. */
export function offersTasks(server: McpServer): boolean {
  return server.server.getClientCapabilities()?.extensions?.[tasksExtension] !== undefined;
}

/** A task as the result of `tools/call`: flat, marked by its resultType. The SDK insists on `content`. */
export function created(task: Task): CallToolResult {
  return { ...task, resultType: 'task', content: [] };
}

const callMessage = z.looseObject({
  id: z.union([z.string(), z.number()]),
  method: z.literal('tools/call'),
  params: z.looseObject({
    name: z.string(),
    _meta: z.looseObject({
      [CLIENT_CAPABILITIES_META_KEY]: z.looseObject({ extensions: z.record(z.string(), z.unknown()).optional() }),
    }),
  }),
});
const taskMessage = z.looseObject({ result: z.looseObject({ resultType: z.literal('task') }) });

/**
 * Refuses a tool that needs a task to a client without tasks, since the SDK turns an error thrown by a tool into a
 * result; and takes the empty `content` out of the results that are tasks.
 */
export async function withTaskResults(
  taskOnlyTools: string[],
  request: Request,
  forward: (request: Request) => Promise<Response>,
): Promise<Response> {
  const body = request.method === 'POST' ? await request.clone().text() : '';
  // Anything else, malformed or not, is for the SDK to judge.
  if (!body.includes('"tools/call"')) return forward(request);
  const call = callMessage.safeParse(JSON.parse(body)).data;
  if (call === undefined) return forward(request);
  const { extensions } = call.params._meta[CLIENT_CAPABILITIES_META_KEY];
  if (extensions?.[tasksExtension] === undefined) {
    if (!taskOnlyTools.includes(call.params.name)) return forward(request);
    const { code, message, data } = new MissingRequiredClientCapabilityError(missingTasks);
    return Response.json({ jsonrpc: '2.0', id: call.id, error: { code, message, data } }, { status: 400 });
  }
  const response = await forward(request);
  if (!response.headers.get('content-type')?.startsWith('application/json')) return response;
  const answer = taskMessage.safeParse(await response.clone().json()).data;
  if (answer === undefined) return response;
  const { content: _, ...result } = answer.result;
  return Response.json({ ...answer, result });
}
