import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject } from '../../platform/index.ts';
import { as, postModern, startGate } from './testing/gate.ts';
import { startRawServer } from './testing/raw-server.ts';

/** @proves law-4.nothing-beside */
for (const era of ['2025-11-25', '2026-07-28'] as const)
  test(`a ${era} server gets what was decided on, and nothing that stood beside it`, async () => {
    const server = await startRawServer({ era, answer: () => ({ result: { content: [], resultType: 'complete' } }) });
    const gate = await startGate({ peer: { url: server.url } });
    try {
      const params = { name: 'tool', arguments: { a: 1 }, amount: '400.00', cursor: 'x', arguments2: { a: 2 } };
      const meta = {
        progressToken: 7,
        'example.com/amount': '400.00',
        baggage: 'card=4111',
        'io.modelcontextprotocol/related-task': { taskId: 'of somebody else' },
      };
      await postModern(gate.url('peer'), 'tools/call', params, { headers: as(), meta });
      const sent = server.requests.find(({ method }) => method === 'tools/call')?.params;
      assert.ok(isJsonObject(sent));
      const { _meta, ...rest } = sent;
      assert.deepEqual(rest, { name: 'tool', arguments: { a: 1 } });
      const own = Object.keys(isJsonObject(_meta) ? _meta : {}).filter(
        (key) => !key.startsWith('io.modelcontextprotocol/') || key.endsWith('related-task'),
      );
      assert.deepEqual(own, ['progressToken']);
    } finally {
      await gate.close();
      await server.close();
    }
  });
