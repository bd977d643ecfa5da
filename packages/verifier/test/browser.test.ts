/** The verifier as it runs on an auditor's page: no Node, only what a browser has. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { build } from 'esbuild';
import { launchChromium } from '../../../test/support/chromium.ts';
import type * as verifier from '../src/index.ts';
import { checkpointOf, newSigner, proofFileOf, recordsOf } from './support.ts';

const browser = await launchChromium();
after(() => browser?.close());

it('verifies receipts and logs in a browser, and finds what was changed', {
  skip: !browser && 'no Chromium',
}, async () => {
  const bundle = await build({
    entryPoints: [join(import.meta.dirname, '../src/index.ts')],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  const server = createServer((request, response) => {
    const isScript = request.url === '/verifier.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? bundle.outputFiles[0]?.text : '<!doctype html><title>verify</title>');
  }).listen(0, 'localhost');
  await once(server, 'listening');

  const log = newSigner('log.example');
  const records = recordsOf(300);
  const checkpoint = checkpointOf(records, 300, log);
  const given = {
    script: '/verifier.js',
    records: records.map((record) => new TextDecoder().decode(record)),
    checkpoint,
    proof: await proofFileOf(records, 77, checkpoint),
    vkey: log.vkey,
  };
  const page = await browser?.newPage();
  await page?.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
  const outcome = await page?.evaluate(async ({ script, records, checkpoint, proof, vkey }) => {
    const { leafHash, verifyLog, verifyReceipt } = (await import(script)) as typeof verifier;
    const bytes = (text: string) => new TextEncoder().encode(text);
    const entries = records.map(bytes);
    const edited = entries.with(200, bytes('edited'));
    const leafHashAt = (index: number) => leafHash(entries[index] ?? bytes(''));
    const found = await verifyLog({ entries: edited, checkpoints: [checkpoint], vkey, leafHashAt });
    return {
      receipt: (await verifyReceipt({ entry: bytes(records[77] ?? ''), proof, vkey })).ok,
      wrongReceipt: (await verifyReceipt({ entry: bytes(records[78] ?? ''), proof, vkey })).ok,
      log: (await verifyLog({ entries, checkpoints: [checkpoint], vkey })).ok,
      found: found.ok ? undefined : [found.fault.kind, found.fault.from],
    };
  }, given);
  assert.deepEqual(outcome, { receipt: true, wrongReceipt: false, log: true, found: ['edited', 200] });
  server.closeAllConnections();
  server.close();
});
