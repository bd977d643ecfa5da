export { type AgentDirectory, createAgentDirectory } from './agents.ts';
export { createDirectory, type Directory, type DirectoryDependencies } from './directory.ts';
export { createScimDoor } from './handle.ts';
export { createScimTokens, type ScimTokens } from './tokens.ts';
