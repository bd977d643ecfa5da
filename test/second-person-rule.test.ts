import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndorsedValue, ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** What a person says yes or no to, by whatever way it came to wait: one rule for all of it. */
const shop = manifests().find(({ kind }) => kind === 'ToolServer') as Extract<ManifestInput, { kind: 'ToolServer' }>;

/** A shop whose orders are held, and whose messages wait for where their recipient comes from. */
const labelled: ManifestInput = {
  ...shop,
  tools: {
    ...shop.tools,
    get_order: { tier: 1, effects: ['read'], hold: { bytes: 1 } },
    get_ticket: { tier: 1, effects: ['read'], returns: { trust: 'untrusted', sensitive: ['personal'] } },
    post_message: {
      tier: 2,
      effects: ['send'],
      arguments: { channel: { role: 'recipient' }, text: { role: 'content' } },
    },
  },
};

const asker = 'approver@example.test';

async function waiting(workspace: Workspace, requestedBy: string, tool: string, args: Record<string, unknown>) {
  const agent = await workspace.agent('agent-a');
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'test', requestedBy })));
  if (tool === 'post_message') await client.callTool({ name: 'shop__get_ticket', arguments: { ticket: 304 } });
  const answer = await client.callTool({ name: `shop__${tool}`, arguments: args });
  await client.close();
  const { items } = await workspace.operator('GET /approvals', { query: { state: 'pending' } });
  assert.ok(items[0], JSON.stringify(answer));
  return items[0];
}

/** @proves law-4.person */
test('who asked neither approves, nor releases what is held, nor endorses a value; nor does a machine', async () => {
  const workspace = await startWorkspace();
  try {
    await workspace.apply([...manifests().filter((each) => each !== shop && each.kind !== 'ToolServer'), labelled]);
    const person = await workspace.person(asker);
    const calls: [string, Record<string, unknown>][] = [
      ['refund_order', { order: 1042, amount_cents: 10, currency: 'EUR', reason: 'test' }],
      ['get_order', { order: 1042 }],
      ['post_message', { channel: 'finance', text: 'done' }],
    ];
    const codes: string[] = [];
    for (const [tool, args] of calls) {
      const approval = await waiting(workspace, asker, tool, args);
      codes.push(approval.decision.code);
      const held: EndorsedValue[] = approval.origins.flatMap((origin) => origin.held).slice(0, 1);
      if (tool === 'post_message') assert.equal(held.length, 1);
      for (const endorse of held.length > 0 ? [[], held] : [[]])
        await assert.rejects(person.approve(approval.id, endorse), /approval\.requester/, tool);
      const params = { id: approval.id };
      const body = { assertion: {}, endorse: [] };
      await assert.rejects(workspace.operator('POST /approvals/:id/approve', { params, body }), { status: 403 });
      await assert.rejects(workspace.operator('POST /approvals/:id/options', { params, body: { endorse: held } }), {
        status: 403,
      });
      // An agent's token is no person's, on whatever route.
      for (const path of ['options', 'approve', 'deny'])
        assert.ok(
          [401, 403].includes(
            (
              await fetch(`${workspace.url}/api/v1/approvals/${approval.id}/${path}`, {
                method: 'POST',
                headers: { authorization: 'Bearer made-up', 'content-type': 'application/json' },
                body: JSON.stringify({ ...body, reason: '' }),
              })
            ).status,
          ),
        );
      await person.api('POST /approvals/:id/deny', { params, body: { reason: 'a no is anybody’s' } });
    }
    assert.equal(new Set(codes).size, 3, codes.join());
  } finally {
    await workspace.close();
  }
});
