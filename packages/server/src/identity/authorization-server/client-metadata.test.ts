import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createOutbound } from '../../platform/index.ts';
import { fetchThrough } from './client-metadata.ts';
import { authorizationLimits } from './limits.ts';

/** @proves cimd.busy */
test('whoever has slow documents looked up keeps no other client out once that is over, and none is asked twice in a row', async () => {
  const waiting: ServerResponse[] = [];
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    if (url.startsWith('/slow')) waiting.push(response);
    else response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const outbound = createOutbound();
  let now = 0;
  const look = fetchThrough(outbound, { hosts: null, allowPrivateAddress: true }, { now: () => now });
  try {
    const most = authorizationLimits.clientDocumentsAtOnce;
    const slow = Array.from({ length: most }, (_, at) => look(`${host}/slow/${at}`));
    await assert.rejects(look(`${host}/honest`), { code: 'client-metadata.busy' });
    while (waiting.length > 0 || asked.length < most) {
      for (const response of waiting.splice(0)) response.end('{}');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(slow);
    assert.equal((await look(`${host}/honest`)).status, 200);
    assert.equal((await look(`${host}/honest`)).status, 200);
    assert.equal(asked.filter((url) => url === '/honest').length, 1);
    now += authorizationLimits.clientDocumentRestSeconds * 1000;
    await look(`${host}/honest`);
    assert.equal(asked.filter((url) => url === '/honest').length, 2);
  } finally {
    await outbound.close();
    server.closeAllConnections();
    server.close();
  }
});
