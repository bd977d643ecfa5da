export { type AgentClient, type AgentClock, type AgentOptions, createAgent, type TaskRequest } from './agent.ts';
export { type AgentKey, agentKeyFromJwk, generateAgentKey, readAgentKey } from './agent-key.ts';
export type { AgentSvid } from './client-certificate.ts';
export * from './credentials/index.ts';
export { type EnrolmentProof, enrolAgent } from './enrol.ts';
export { ApprovalPending, GatehouseRefusal, GatehouseRequestError, OutcomeUncertain } from './errors.ts';
export type { CredentialRequest, HandedOutCredential } from './handed-out.ts';
export { createMcpTransport } from './mcp.ts';
export {
  type ApiCall,
  createOperator,
  type ItemOf,
  type Operator,
  type OperatorOptions,
  type PagedRoute,
  type TerminalSession,
} from './operator.ts';
export { type Stopped, stoppedError, stoppedResult, type ToolResultLike, unlessStopped } from './outcome.ts';
export type { ServerTrust } from './server-fetch.ts';
export { beginSignIn, type SignInUnderWay } from './sign-in.ts';
export { createSvidSource, type SvidOptions, type SvidSource, type X509Svid } from './svid.ts';
export type { AgentTask } from './task.ts';
export { createTokenCache, defaultCacheDirectory, type TokenCache } from './token-cache.ts';
export { type WaitOptions, waitForApproval } from './wait-for-approval.ts';
