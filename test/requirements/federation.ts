import type { Requirement } from './requirement.ts';

/** Outside issuers, enrolment and workloads. */
export const federation: Requirement[] = [
  {
    id: 'enrol.join-token',
    promise:
      'A join token enrols one key of one agent, once, until it expires, from the addresses that it was made for',
    source: 'SECURITY.md',
  },
  {
    id: 'enrol.possession',
    promise: 'A key is enrolled only with a DPoP proof by it that is bound to the credential beside it',
    source: 'RFC 9449 §4.2, §4.3',
  },
  {
    id: 'enrol.recorded',
    promise: 'Every enrolment is recorded with how it came about; no enrolment is made that cannot be recorded',
    source: 'Law 1',
  },
  {
    id: 'federation.jwt-bearer',
    promise:
      'A token of an outside issuer becomes a task token of the one agent that a trust rule names, bound to a key',
    source: 'RFC 7523 §2.1; MCP SEP-1933',
  },
  {
    id: 'federation.single-use',
    promise: 'An outside token is taken once, or with the key of its first use only',
    source: 'RFC 7523 §3',
  },
  {
    id: 'federation.deny-by-default',
    promise: 'An outside token that no trust rule names is refused and recorded',
    source: 'Law 2',
  },
  {
    id: 'federation.algorithms',
    promise: 'An outside token is signed with an asymmetric algorithm by a fitting key; none and HMAC are refused',
    source: 'RFC 8725 §3.1, §3.2',
  },
  {
    id: 'federation.keys-from-issuer',
    promise: 'Keys come from the issuer that a rule names, and from nothing in the token',
    source: 'RFC 8725 §3.10',
  },
  {
    id: 'federation.audience',
    promise: 'An outside token has exactly one audience, which is this server or the one that its rule names',
    source: 'RFC 7519 §4.1.3; RFC 8725 §3.9',
  },
  {
    id: 'federation.size',
    promise: 'An outside token of more than 16 KiB is refused before it is parsed',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.hostile-issuer',
    promise:
      'An issuer that redirects, points at metadata addresses, claims to be another or floods vouches for nobody',
    source: 'OpenID Connect Discovery 1.0 §4.3; SECURITY.md',
  },
  {
    id: 'federation.outage',
    promise: 'Known keys of an issuer that is away are taken for a day, also after a restart, and no longer',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.unavailable',
    promise:
      'Where nobody can say whether a proof is genuine, the answer is 503 and never a refusal, and it is recorded',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.sts-turns',
    promise: 'Noise of one source keeps no signed AWS request of another from being checked',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.refetch',
    promise: 'Key ids that nobody knows make an issuer be asked no more than once in half a minute',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'federation.exclusive',
    promise:
      'Two trust rules that one token can satisfy, and that stand for different principals, are never both applied',
    source: 'SECURITY.md',
  },
  {
    id: 'federation.patterns',
    promise: 'In a pattern * stops at : and /, ** does not, and everything else stands for itself',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.presets',
    promise:
      'Claims as GitHub Actions, GitLab, Kubernetes, Google and Entra publish them stand for the agent of their rule alone',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.lint',
    promise: 'What is unwise in a trust rule is found and said',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'federation.aws',
    promise:
      'A signed GetCallerIdentity stands for the agent of its rule, and only where it was signed for this server, freshly, once',
    source: 'SECURITY.md',
  },
  {
    id: 'federation.manifests',
    promise: 'Every manifest of the guide to federation can be applied as it stands',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'scim-agents.off',
    promise: 'A directory names no agents unless the operator has let it',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim-agents.mapped',
    promise:
      'Environment, blueprint and risk of a directory’s agent come from a manifest alone; it takes over no agent that is there',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim-agents.not-back',
    promise: 'A directory brings back no agent that was suspended or killed in Gatehouse',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'workload.tasks',
    promise: 'A workload starts tasks only of agents that its manifest names, and one proof starts one task',
    source: 'Law 9',
  },
  {
    id: 'workload.moved-agent',
    promise: 'No apply moves an agent out of the environment of a workload that starts its tasks',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
  {
    id: 'workload.svids',
    promise:
      'A workload gets SVIDs of an hour at most for what its rule takes or its SVID, one for each proof, recorded before they leave, and is no agent with them',
    source: 'docs/how-to/let-agents-in-without-secrets.md',
  },
];
