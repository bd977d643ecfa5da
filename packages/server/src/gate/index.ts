export * from './mcp/index.ts';
export * from './upstream/index.ts';
