import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentView, Approval, Role, SessionView } from '@gatehouse/protocol';
import { mayApprove, mayDeny, mayEndLease, mayKill, mayOperate } from './session.ts';

const ME = 'me@example.test';
const as = (...roles: Role[]): SessionView => ({
  person: { email: ME, displayName: 'Me', roles },
  enrolled: true,
  via: 'browser',
});
const agentOf = (owner: string) => ({ name: 'agent-a', manifest: { owner } }) as AgentView;
const approvalOf = (owner: string, more: Partial<Approval> = {}) =>
  ({ owner, requestedBy: null, onBehalfOf: null, delegated: null, ...more }) as Approval;

test('whoever answers for an agent is not kept from its kill switch, whichever of the roles of owners they have', () => {
  for (const role of ['owner', 'developer', 'approver'] as const)
    for (const may of [mayKill, mayOperate]) {
      assert.equal(may(as(role), agentOf(ME)), null, role);
      assert.match(may(as(role), agentOf('other@example.test')) ?? '', /Only other@example\.test/);
    }
  assert.match(mayKill(as('auditor'), agentOf(ME)) ?? '', /security or an admin/);
  for (const [role, agentOwner, may] of [
    ...[['owner', ME, true] as const, ['owner', 'other@example.test', false] as const, ['owner', null, false] as const],
    ...[['auditor', ME, false] as const, ['security', null, true] as const],
  ])
    assert.equal(mayEndLease(as(role), { agent: 'agent-a', agentOwner }) === null, may, `${role} ${agentOwner}`);
  assert.equal(mayKill(as('security'), agentOf('other@example.test')), null);
});

test('who may approve and deny is told as the server decides it', () => {
  for (const role of ['owner', 'developer'] as const) {
    assert.equal(mayApprove(as(role), approvalOf(ME)), null, role);
    assert.equal(mayDeny(as(role), approvalOf(ME)), null, role);
    assert.match(mayApprove(as(role), approvalOf('other@example.test')) ?? '', /Only approvers/);
  }
  assert.match(mayApprove(as('auditor'), approvalOf(ME)) ?? '', /Only approvers/);
  assert.match(mayApprove(as('admin'), approvalOf('other@example.test')) ?? '', /Only approvers/);
  for (const wish of [
    { requestedBy: `person:${ME}` },
    { onBehalfOf: ME.toUpperCase() },
    { delegated: { user: ME, chain: [], narrowing: [] } },
  ])
    assert.match(mayApprove(as('approver'), approvalOf('other@example.test', wish)) ?? '', /asked for by you/);
});
