export { createApprovals } from './approvals.ts';
export { fenceOf as fenceOfBreakGlass, type HeldBreakGlass } from './break-glass/index.ts';
export { type Channels, createChannels } from './channels/channels.ts';
export { evidenceProblem } from './evidence.ts';

export { counterOf as counterOfGrant, fenceOf as fenceOfGrant, type HeldGrant } from './grants/index.ts';
export { inboxOf } from './inbox.ts';
export { deputyLimits } from './limits.ts';
export { canBeMet } from './rule/meetable.ts';
export { onCallAt, shiftsFrom } from './rule/on-call.ts';
export { approvedLast, decidedSoFar, statisticsOf } from './statistics.ts';
export { approvalChallenge, listChallenge, sameAction } from './subject.ts';
export type * from './types.ts';
