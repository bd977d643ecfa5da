export { createMcpDoor, type McpDoor, type McpDoorDependencies, type McpDoorStats } from './door.ts';
export { codes } from './rpc.ts';
export { createWaitingRows } from './waiting/rows.ts';
export type { WaitingRows } from './waiting/types.ts';
