import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ApprovalPending, GatehouseRefusal, OutcomeUncertain } from './errors.ts';
import { stoppedError, stoppedResult, unlessStopped } from './outcome.ts';

const content = [{ type: 'text', text: 'why' }];

it('tells a refusal, a pending approval and an unknown outcome from what the tool says', () => {
  const refused = stoppedResult({
    content,
    isError: true,
    _meta: { 'gatehouse/decision': { code: 'policy.no-permit', action_id: 'act_1', policies: [], tier: 1 } },
  });
  assert.ok(refused instanceof GatehouseRefusal);
  assert.deepEqual([refused.code, refused.actionId, refused.message], ['policy.no-permit', 'act_1', 'why']);
  const approval = { id: 'apr_1', url: 'http://localhost/approvals/apr_1', state: 'pending', retryAfterSeconds: 7 };
  const pending = stoppedResult({ content, isError: true, _meta: { 'gatehouse/approval': approval } });
  assert.ok(pending instanceof ApprovalPending);
  assert.deepEqual([pending.approval, pending.url, pending.retryAfterSeconds], [approval.id, approval.url, 7]);
  const unknown = stoppedResult({ content, _meta: { 'gatehouse/outcome': { state: 'unknown', action_id: 'act_2' } } });
  assert.ok(unknown instanceof OutcomeUncertain);
  assert.equal(unknown.state, 'unknown');
  assert.equal(stoppedResult({ content, isError: true, _meta: { 'gatehouse/decision': 'odd' } }), undefined);
  assert.equal(stoppedResult({ content, isError: true }), undefined);
});

it('reads JSON-RPC errors of the gate, and leaves others as they are', async () => {
  const rpc = (code: number, data: unknown) => Object.assign(new Error('why'), { code, data });
  assert.ok(stoppedError(rpc(1001, { code: 'agent.killed', action_id: 'act_1' })) instanceof GatehouseRefusal);
  assert.ok(stoppedError(rpc(1002, { id: 'apr_1', url: 'http://x' })) instanceof ApprovalPending);
  assert.ok(stoppedError(rpc(1004, { state: 'not-sent' })) instanceof OutcomeUncertain);
  const other = rpc(-32602, {});
  await assert.rejects(unlessStopped(Promise.reject(other)), (error) => error === other);
  const result = { content };
  assert.equal(await unlessStopped(Promise.resolve(result)), result);
});
