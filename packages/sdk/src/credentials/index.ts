export type { AgentCredential } from './credential.ts';
export { keyCredential } from './key.ts';
export {
  azureToken,
  gcpToken,
  githubToken,
  gitlabToken,
  KUBERNETES_TOKEN_FILE,
  kubernetesToken,
  type OutsideTokenSource,
  outsideTokenCredential,
  tokenCommand,
  tokenFile,
  tokenVariable,
} from './outside-token.ts';
export { svidCredential } from './svid.ts';
