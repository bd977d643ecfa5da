export { createMcpDoor, type McpDoor, type McpDoorDependencies, type McpDoorStats } from './door.ts';
export { codes } from './rpc.ts';
