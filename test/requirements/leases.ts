import type { Requirement } from './requirement.ts';

/** Just-in-time credentials. */
const clouds = 'docs/how-to/give-tools-cloud-credentials.md';
const source = 'docs/how-to/give-tools-just-in-time-credentials.md';
export const leases: Requirement[] = [
  {
    id: 'lease.issued',
    promise:
      'A task’s tools get a credential of their own when they first need it, as narrow as asked, which the dispatch names',
    source,
  },
  {
    id: 'lease.never-reached',
    promise:
      'A credential whose provider was surely never reached counts as not made, at once; one that a cut connection was asked for is looked for',
    source,
  },
  { id: 'lease.ends', promise: 'After the task its credential is verified to be gone', source },
  {
    id: 'lease.stuck',
    promise: 'Ending a credential is tried for ever; what fails for long is an alarm that says since when',
    source,
  },
  {
    id: 'lease.apart',
    promise:
      'A provider that hangs, or what one agent has made so that it can’t be ended, keeps no other credential from being ended',
    source,
  },
  {
    id: 'lease.suspended',
    promise: 'A credential ends when its task, or a task or agent that it was handed on from, is suspended',
    source,
  },
  {
    id: 'lease.withdrawn',
    promise:
      'A permission that is withdrawn ends what was issued by it with its open sessions, on record with why, whichever replica is told',
    source,
  },
  {
    id: 'lease.unrelated',
    promise:
      'A credential that would be issued again just so, or of which more would be, is ended by no change of the workspace',
    source,
  },
  { id: 'lease.shortened', promise: 'Where less time is given, what is out ends earlier and says so', source },
  { id: 'lease.token', promise: 'A revoked token takes with it what its task was handed', source },
  {
    id: 'lease.place',
    promise: 'A credential is ended where it was made, also when its provider has come to be declared elsewhere since',
    source,
  },
  {
    id: 'lease.alarm',
    promise:
      'Those who look after credentials are told where they are of each that is stuck, and of its end, in words without a secret',
    source,
  },
  {
    id: 'lease.dropped',
    promise: 'A stuck credential is given up by two people only, who are on record with what may remain',
    source,
  },
  {
    id: 'lease.residual',
    promise: 'What a kill says of what is left is true also where what was opened outlives its credential',
    source,
  },
  {
    id: 'lease.restored',
    promise: 'A restored copy ends no credential of the original before it is told that it replaces it',
    source: 'docs/how-to/back-up-and-restore.md',
  },
  {
    id: 'lease.owners',
    promise: 'Who is neither admin, security nor auditor sees and ends leases of their own agents only',
    source,
  },
  {
    id: 'lease.renewed',
    promise:
      'A renewal counts from now and never goes beyond the bounds that the lease was issued with; what kept it shorter is said',
    source,
  },
  {
    id: 'lease.kill',
    promise: 'A kill ends credentials with the sessions that are open, and says what is left',
    source,
  },
  {
    id: 'lease.unseen',
    promise: 'A credential is in no answer, error, record, lease or file of the house, also where the tool shows it',
    source,
  },
  {
    id: 'lease.sealed',
    promise:
      'No edit of a lease in the database gives its credential to another task, or lets it do more or live longer: it is ended, on record',
    source,
  },
  {
    id: 'lease.hidden',
    promise:
      'A credential whose row is removed, called ended or put off in the database is found by the record, ended, and on record; where a person has to end it they are told what to do',
    source,
  },
  {
    id: 'lease.destination',
    promise: 'A long-lived secret is sent to no server but those it is for, as they are dialled when it is sent',
    source,
  },
  {
    id: 'lease.required',
    promise: 'A tool that needs a credential is not called without it; the refusal is recorded',
    source,
  },
  {
    id: 's5.watched',
    promise:
      'What tests store as a secret, and every canary, is searched for in all that they print, in every answer, log line and file of their servers',
    source: 'CONTRIBUTING.md',
  },
  { id: 'lease.per-call', promise: 'A credential for one call is ended when the call is answered', source },
  {
    id: 'lease.idempotent',
    promise:
      'Asked for again with its idempotency key a credential is the same, at every replica; another request with that key is an error',
    source,
  },
  {
    id: 'lease.clamped',
    promise:
      'No credential lives longer than provider, task, agent’s owner and what it is handed out under allow, and what makes it shorter is said',
    source,
  },
  {
    id: 'lease.remains',
    promise:
      'What a provider can neither find nor end is not called ended: it is counted as what remains until its own time is over',
    source,
  },
  {
    id: 'lease.template',
    promise:
      'A template narrows what its tasks are given of a provider, and what is handed on from them; people see it before they decide',
    source,
  },
  {
    id: 'lease.github',
    promise:
      'A GitHub token reaches the repositories that were asked for, does there what was asked for, and GitHub refuses it after the task',
    source: 'docs/how-to/issue-github-and-gitlab-tokens.md',
  },
  {
    id: 'lease.gitlab',
    promise:
      'A GitLab token does what was asked for in its project, is found by its name after a crash, and is gone after the task',
    source: 'docs/how-to/issue-github-and-gitlab-tokens.md',
  },
  {
    id: 'injection.query',
    promise: 'A parameter of the address is added by the gate, and stands in no answer, record or file of the house',
    source,
  },
  {
    id: 'injection.argument',
    promise:
      'An argument that only the gate fills is neither shown to agents nor taken from them, and stands in no record',
    source,
  },
  {
    id: 'injection.signature',
    promise: 'Each request is signed (AWS Signature Version 4), and an answer that holds the signature is cut off',
    source,
  },
  { id: 'injection.certificate', promise: 'A connection shows the certificate of the task’s own credential', source },
  {
    id: 'injection.file',
    promise: 'A program finds its credential in a file that it alone can read, which is gone with its process',
    source,
  },
  {
    id: 'lease.describe',
    promise:
      'A tool server cannot have credentials made by saying that its tools changed: one is lent to it in an hour',
    source,
  },
  {
    id: 'injection.hidden',
    promise:
      'What is injected is taken out of all that a tool says, in each way that JSON, URLs, HTML, base64 and hexadecimal write it, and nothing of it is left',
    source,
  },
  {
    id: 'secrets.bounded',
    promise: 'Of the machine only files of one directory and variables of one prefix can be named as secrets',
    source,
  },
  {
    id: 'secrets.kept-elsewhere',
    promise:
      'Long-lived secrets are read where somebody else keeps them, when a task needs them, and no error says what they are',
    source,
  },
  {
    id: 'secrets.cared-for',
    promise:
      'People see how old a long-lived secret is, its last use and owner, and when a new one is due; status tells when it is',
    source,
  },
  {
    id: 'secrets.rotated',
    promise:
      'The password that a provider signs in with is changed by one command: wherever that ends, one that works is in use, and leases go on',
    source,
  },
  {
    id: 'secrets.gate-only',
    promise:
      'A long-lived secret goes to the servers that it was stored for, and to nobody who plans or applies another one',
    source,
  },
  { id: 'lease.crash', promise: 'Whenever a server is killed, no credential is left behind once it is back', source },
  {
    id: 'identity-token.verified',
    promise: 'What tells a cloud who an agent is verifies with the documents of its issuer, and lives for five minutes',
    source: clouds,
  },
  {
    id: 'identity-token.one-audience',
    promise: 'What tells a cloud who an agent is is good at no other audience, and never made for Gatehouse itself',
    source: clouds,
  },
  {
    id: 'identity-token.no-credential',
    promise:
      'What tells a cloud who an agent is gets nothing at any door of Gatehouse, also where its issuer is trusted',
    source: clouds,
  },
  {
    id: 'identity-token.own-issuer',
    promise: 'A cloud that trusts the issuer of identity tokens trusts no token that an agent can have',
    source: clouds,
  },
  {
    id: 'lease.aws',
    promise: 'A session of AWS is a task’s own, narrowed by a session policy, and says in CloudTrail whose it is',
    source: clouds,
  },
  {
    id: 'lease.aws-remains',
    promise: 'What a cloud lets nobody end is said by the lease, by kill and in the record, until its time is over',
    source: clouds,
  },
  {
    id: 'lease.narrow-aws',
    promise:
      'A session policy allows nothing beyond what was asked for, and that nothing beyond what the provider allows',
    source: clouds,
  },
  {
    id: 'lease.openbao',
    promise:
      'What an engine of OpenBao makes is a task’s own, has its end there too, and is looked up until it is gone',
    source: clouds,
  },
  {
    id: 'lease.openbao-token',
    promise:
      'A token of OpenBao has the policies that were asked for, within those declared, and ends with its task or a kill',
    source: clouds,
  },
  {
    id: 'lease.google-cloud',
    promise:
      'A token of Google Cloud is got with the agent’s identity, and reaches the buckets and prefixes that were asked for',
    source: clouds,
  },
  {
    id: 'lease.azure',
    promise:
      'A token of Azure is for one resource, got with the agent’s identity, and what it has beyond its lease is counted',
    source: clouds,
  },
  {
    id: 'lease.narrow-clouds',
    promise: 'What Google Cloud and Azure issue is within what was asked for, and that within what the provider allows',
    source: clouds,
  },
  {
    id: 'clouds.own-authority',
    promise:
      'What clouds trust signs Gatehouse’s own certificate alone: they take none that an agent, a workload or a tool has',
    source: clouds,
  },
  {
    id: 'lease.aws-certificate',
    promise:
      'Where AWS can’t fetch from Gatehouse, its own certificate gets sessions there, as narrow and as plainly a task’s',
    source: clouds,
  },
];
