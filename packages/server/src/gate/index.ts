export { createAuthzenDoor } from './authzen/door.ts';
export { createCredentialDoor } from './credentials/door.ts';
export { listenExtAuthz } from './ext-authz/grpc-door.ts';
export { createExtAuthzDoor } from './ext-authz/http-door.ts';
export * from './mcp/index.ts';
export * from './upstream/index.ts';
