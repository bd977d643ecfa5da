import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { openHouse } from '../identity/people/testing/house.ts';

onEachDatabase('what is hard to store', (database) => {
  test('a refusal with U+0000 and half a surrogate pair in its names is recorded like any other', async (context) => {
    const house = await openHouse({ database: await database() });
    context.after(() => house.close());
    const odd = 'a\0b\ud800';
    const written = await house.ledger.append({
      record: {
        kind: 'request',
        action_id: 'act_1',
        operation: 'tools/call',
        agent: 'agent-a',
        actor_chain: [],
        requested_by: odd,
        on_behalf_of: null,
        task: 'tsk_1',
        intent: odd,
        model_provider: odd,
        model: null,
        environment: 'prod',
        template: 'all',
        tool: `shop/${odd}`,
        tool_definition: null,
        resource: odd,
        decision: { effect: 'deny', tier: 4, code: 'tool.unknown', reason: odd, policies: [], policyVersion: 'v' },
        labels: [],
        approval: null,
        credentials: [],
        ticket: odd,
        change_request: null,
        result: null,
        changes: [odd],
        detail: odd,
      },
      arguments: { [odd]: odd },
    });
    assert.ok(written.ok);
    const action = await house.ledger.action('act_1');
    assert.equal(action?.records[0]?.record.resource, 'a\0b\ufffd');
    assert.deepEqual(action?.arguments, { 'a\0b\ufffd': 'a\0b\ufffd' });
    const [log] = await house.ledger.logs();
    assert.deepEqual((await house.ledger.verify(log?.id ?? '')).problem, null);
  });
});
