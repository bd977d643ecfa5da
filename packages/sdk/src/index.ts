export { type AgentClient, type AgentOptions, createAgent, type TaskRequest } from './agent.ts';
export { type AgentKey, agentKeyFromJwk, generateAgentKey, readAgentKey } from './agent-key.ts';
export { GatehouseRefusal, GatehouseRequestError } from './errors.ts';
export { createMcpTransport } from './mcp.ts';
export type { AgentTask } from './task.ts';
