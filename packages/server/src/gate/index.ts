export { createAuthzenDoor } from './authzen/door.ts';
export * from './mcp/index.ts';
export * from './upstream/index.ts';
