import type { Approval, Decision } from '@gatehouse/protocol';
import type { RequestOptions, SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
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

/** A house in which somebody has approvals to give: an agent, its owner, an approver and an auditor, each with a passkey. */
export async function openDesk(options: HouseOptions = {}) {
  const house = await openHouse(options);
  house.declare(OWNER, 'owner');
  house.declare(APPROVER, 'approver');
  house.declare(AUDITOR, 'auditor', 'developer');
  const approvals = await approvalsOf(house);
  return { house, approvals, addAgent: (name = AGENT) => addAgent(house, name) };
}

export const approvalsOf = (house: House) => createApprovals(house);

export async function addAgent(house: House, name: string): Promise<void> {
  const now = house.clock.now();
  const agent = { name, environment: 'prod', owner: OWNER, blueprint: 'support', state: 'active', epoch: 1 };
  const values = { ...agent, killed_at: null, body: '{}', updated_at: now };
  await house.storage.db.insertInto('agents').values(values).execute();
}

/** What kill does to the agent itself. */
export async function stopAgent(house: House, name = AGENT): Promise<void> {
  await house.storage.db
    .updateTable('agents')
    .set(({ eb }) => ({ state: 'suspended', epoch: eb('epoch', '+', 1) }))
    .where('name', '=', name)
    .execute();
}

export async function resumeAgent(house: House, name = AGENT): Promise<void> {
  await house.storage.db.updateTable('agents').set({ state: 'active' }).where('name', '=', name).execute();
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
