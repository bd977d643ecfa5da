import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { AgentTask } from './task.ts';

/** An MCP transport that carries the task's token, for the official SDK's v2 client. For v1 give its transport `{ fetch: task.fetch }`. */
export function createMcpTransport(task: AgentTask, options: { server?: string } = {}): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(task.mcpUrl(options.server), { fetch: task.fetch });
}
