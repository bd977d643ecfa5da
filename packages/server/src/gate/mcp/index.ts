export { createMcpDoor, type McpDoor, type McpDoorDependencies, type McpDoorStats } from './door.ts';
export { codes } from './rpc.ts';
export { createWaitingRows, type WaitingRows } from './waiting/rows.ts';
