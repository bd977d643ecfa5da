import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectV1, connectV2 } from '../../../../../test/peers/clients.ts';
import { prepareV1Stdio } from '../../../../../test/peers/v1-server.ts';
import { prepareV2Stdio } from '../../../../../test/peers/v2-server.ts';
import { as, startGate } from './testing/gate.ts';

for (const [serverName, prepare] of Object.entries({ 'SDK v1': prepareV1Stdio, 'SDK v2': prepareV2Stdio })) {
  for (const [clientName, connect] of Object.entries({ 'SDK v1': connectV1, 'SDK v2': connectV2 })) {
    test(`a client on ${clientName} reaches a stdio server on ${serverName}, which asks it something`, async () => {
      const peer = prepare();
      // Without its log file, which is not among what the server may see.
      const { command, args } = peer;
      const root = new URL('../../../../../', import.meta.url).pathname;
      const gate = await startGate({
        peer: {
          transport: { type: 'stdio', command, args: args.slice(0, 1), directories: [{ path: root, access: 'ro' }] },
        },
      });
      try {
        const client = await connect({ url: gate.url('peer'), headers: as() });
        assert.equal((await client.call('echo', { text: 'over stdio' })).content[0]?.text, 'over stdio');
        assert.match((await client.call('ask_form', { message: 'Who?' })).content[0]?.text ?? '', /accept/);
        const seen: number[] = [];
        await client.call('progress', { steps: 2 }, { onProgress: (progress) => seen.push(progress) });
        assert.deepEqual(seen, [1, 2]);
        await client.close();
      } finally {
        await gate.close();
        await peer.close();
      }
    });
  }
}
