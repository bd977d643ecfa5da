import { type Approval, type Decision, type ManifestInput, manifest, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import type { RequestOptions, SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { createPushSubscriptions } from '../../identity/index.ts';
import { type House, type HouseOptions, ORIGIN, openHouse } from '../../identity/people/testing/house.ts';
import { createApprovals } from '../approvals.ts';
import type { ApprovalRequest, ApprovalSubject, Approvals } from '../types.ts';

export const OWNER = 'owner@example.test';
export const APPROVER = 'approver@example.test';
export const AUDITOR = 'auditor@example.test';
export const AGENT = 'agent-support-prod';

const decision: Decision = {
  effect: 'needs-approval',
  tier: 3,
  code: 'tier.needs-approval',
  reason: 'A person approves refunds.',
  policies: [],
  policyVersion: 'policy-1',
};

export const subject: ApprovalSubject = {
  agent: AGENT,
  agentEpoch: 1,
  task: 'tsk_1',
  operation: 'tools/call',
  tool: 'shop/refund',
  toolDefinition: `sha256-${'0'.repeat(64)}`,
  arguments: { order: 1042, amount: '40.00', currency: 'EUR' },
  policyVersion: 'policy-1',
  delegated: null,
};

let actions = 0;
export function requestOf(change: Partial<ApprovalSubject> = {}, more: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return {
    subject: { ...subject, ...change },
    actionId: `act_${++actions}`,
    owner: OWNER,
    intent: 'refund order 1042',
    template: 'refund',
    environment: 'prod',
    requestedBy: null,
    onBehalfOf: null,
    decision: { ...decision, policyVersion: change.policyVersion ?? decision.policyVersion },
    ...more,
  };
}

/** The action that an approval is of. */
export const asAsked = (approval: Approval): ApprovalSubject => ({
  ...(approval as Approval & { arguments: ApprovalSubject['arguments'] }),
  policyVersion: approval.decision.policyVersion,
});

/** What channels need of people's browsers; without the key that messages to them are signed with. */
export const pushOf = (house: House) => ({
  ...createPushSubscriptions(house),
  key: () => Promise.reject(new Error('no key here')),
});

/** A house in which somebody has approvals to give: an agent, its owner, an approver and an auditor, each with a passkey. */
export async function openDesk(options: HouseOptions = {}) {
  const house = await openHouse(options);
  await house.declare(OWNER, 'owner');
  await house.declare(APPROVER, 'approver');
  await house.declare(AUDITOR, 'auditor', 'developer');
  const approvals = await approvalsOf(house);
  const workspace: ManifestInput[] = [
    { kind: 'Environment', name: 'prod', production: true },
    { kind: 'Template', name: 'refund', allow: [] },
    { kind: 'Blueprint', name: 'support', templates: ['refund'] },
  ];
  await apply(house, workspace);
  return { house, approvals };
}

export async function apply(house: House, inputs: ManifestInput[]): Promise<void> {
  const manifests = inputs.map((input) => manifest.parse(input));
  await house.registry.apply(manifests, { prune: false, by: 'gatehouse' });
}

export const approvalsOf = (house: House) => createApprovals(house);

/** An agent at work on a task: the parts of a subject that name both. */
export async function addAgent(house: House, name = AGENT) {
  const agent = { name, environment: 'prod', owner: OWNER, blueprint: 'support', purpose: 'Answers tickets.' };
  await apply(house, [{ kind: 'Agent', ...agent }]);
  const details = { type: TASK_DETAILS_TYPE, template: 'refund', parameters: {}, intent: 'refund order 1042' } as const;
  const task = await house.registry.startTask(name, details);
  return { agent: name, agentEpoch: house.registry.snapshot().agents.get(name)?.epoch ?? 0, task: task.id };
}

/** What kill does to the agent itself. */
export async function stopAgent(house: House, name: string): Promise<void> {
  await house.registry.setAgentState(name, 'suspended', 'person:security@example.test', { killed: true });
}

export async function resumeAgent(house: House, name: string): Promise<void> {
  await house.registry.setAgentState(name, 'active', 'person:security@example.test');
}

export async function signed(approvals: Approvals, approval: Approval, person: string, passkey: SoftwarePasskey) {
  const options = (await approvals.approvalOptions(approval.id, person)) as unknown as RequestOptions;
  return { ...passkey.assert(options, ORIGIN) };
}

export async function approve(approvals: Approvals, approval: Approval, person: string, passkey: SoftwarePasskey) {
  return approvals.approve(approval.id, person, await signed(approvals, approval, person, passkey));
}

/** What a dispatch writes, as far as approvals go. */
export function consume(house: House, approval: { id: string }, actionId: string) {
  return house.storage.append({
    guards: [],
    consumeApproval: { id: approval.id, actionId, now: house.clock.now() },
    records: [],
    bodies: [],
  });
}
