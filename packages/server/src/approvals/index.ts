export { type ApprovalsDependencies, createApprovals } from './approvals.ts';
export { type Channels, createChannels } from './channels/channels.ts';
export { evidenceProblem } from './evidence.ts';
export { counterOf as counterOfGrant, fenceOf as fenceOfGrant, type HeldGrant } from './grants/index.ts';
export { deputyLimits } from './limits.ts';
export { onCallAt, shiftsFrom } from './rule/on-call.ts';
export { approvedLast, decidedSoFar, statisticsOf } from './statistics.ts';
export { approvalChallenge } from './subject.ts';
export type * from './types.ts';
