/** Names the action to what stands behind the gateway; whatever an agent sends under this name is replaced. */
export const actionHeader = 'x-gatehouse-action';

/** Law 3, and MCP's rule against passing tokens on: what proves the agent to Gatehouse goes no further. */
export const removedHeaders = ['authorization', 'dpop'] as const;
