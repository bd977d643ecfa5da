import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActionRecord, Decision, SequencedRecord } from '@gatehouse/protocol';
import fc from 'fast-check';
import { summarise } from '../../../server/src/ledger/summary.ts';
import { addRecord, addRecords, fromSummary, type LiveAction } from './activity.ts';

const decision = (effect: Decision['effect']): Decision => ({
  effect,
  tier: effect === 'needs-approval' ? 3 : 1,
  code: 'policy.test',
  reason: `reason of ${effect}`,
  policies: [],
  policyVersion: 'sha256-aa',
});

function record(sequence: number, change: Partial<ActionRecord>): SequencedRecord {
  const entry = {
    v: 1,
    kind: 'request',
    action_id: 'act_1',
    time: new Date(Date.UTC(2026, 0, 1) + sequence).toISOString(),
    operation: 'tools/call',
    agent: 'agent-a',
    task: 'tsk_1',
    tool: 'shop/get_order',
    resource: '1042',
    decision: null,
    approval: null,
    result: null,
    changes: [],
    detail: null,
    ...change,
  } as unknown as ActionRecord;
  return { log: 'one', sequence, leafHash: '', record: entry };
}

const needs = decision('needs-approval');
const request: Partial<ActionRecord> = { kind: 'request', decision: needs };
const asked: Partial<ActionRecord> = {
  kind: 'change',
  operation: 'approval.request',
  approval: 'apr_1',
  changes: ['approval pending'],
};
const yes: Partial<ActionRecord> = {
  kind: 'change',
  operation: 'approval.approve',
  approval: 'apr_1',
  changes: ['approval approved'],
};
const dispatch: Partial<ActionRecord> = { kind: 'dispatch', decision: needs, approval: 'apr_1' };
const outcome = (result: ActionRecord['result'], detail: string | null = null): Partial<ActionRecord> => ({
  kind: 'outcome',
  decision: needs,
  approval: 'apr_1',
  result,
  detail,
});

const lives: Record<string, Partial<ActionRecord>[]> = {
  'allowed at once': [{ kind: 'dispatch', decision: decision('allow') }, outcome('success')],
  refused: [{ kind: 'request', decision: decision('deny') }],
  'approved and done': [request, asked, yes, dispatch, outcome('success')],
  'approved after the agent asked again': [
    request,
    asked,
    request,
    yes,
    request,
    dispatch,
    outcome('failure', 'no stock'),
  ],
  denied: [request, asked, { ...asked, operation: 'approval.deny', detail: 'no' }],
  'run out': [request, asked, { ...asked, operation: 'approval.expire' }],
  'cancelled by a kill': [request, asked, { ...asked, operation: 'approval.cancel' }],
  'a refused attempt to approve': [request, asked, { ...asked, operation: 'approval.approve.refuse' }],
  'crashed in between': [request, asked, yes, dispatch, outcome('unknown', 'the server stopped')],
  'an administrative change': [
    { kind: 'change', operation: 'agent.kill', tool: null, changes: ['killed; 2 pending approvals cancelled'] },
  ],
};

const withoutInner = ({ speaks: _, ...summary }: LiveAction) => summary;

test('after each record the live page says what the ledger says of the action', () => {
  for (const [name, life] of Object.entries(lives)) {
    const records = life.map((change, index) => record(index, change));
    let live: LiveAction | undefined;
    for (const [index, each] of records.entries()) {
      live = addRecord(live, each);
      assert.deepEqual(withoutInner(live), summarise(records.slice(0, index + 1)), `${name}, record ${index}`);
    }
  }
});

test('a page that was loaded in the middle of an action, and hears some records twice, ends with the same summary', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(lives)), fc.nat(), fc.nat(), (life, loadedAt, heardFrom) => {
      const records = life.map((change, index) => record(index, change));
      const loaded = (loadedAt % records.length) + 1;
      const from = heardFrom % (loaded + 1);
      const first = [fromSummary(summarise(records.slice(0, loaded)))];
      const [last] = addRecords(first, records.slice(from), 10);
      assert.deepEqual(last && withoutInner(last), summarise(records));
    }),
  );
});

test('a page that is left open keeps the newest actions and no more', () => {
  const records = Array.from({ length: 50 }, (_, index) => record(index, { action_id: `act_${index}` }));
  const kept = addRecords([], records, 20);
  assert.equal(kept.length, 20);
  assert.equal(kept[0]?.actionId, 'act_49');
});
