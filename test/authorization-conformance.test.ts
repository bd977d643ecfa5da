import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { authorize } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { freePort, startWorkspace } from './support/workspace.ts';

/** The official MCP suite's authorization scenarios (C2) against our authorization server, with a person who consents. */
const suite = join(import.meta.dirname, '..', 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

/** @proves conformance.authorization */
test('the MCP suite finds nothing wrong with the authorization server', async (t) => {
  const workspace = await startWorkspace();
  const output = mkdtempSync(join(tmpdir(), 'authorization-conformance-'));
  t.after(async () => {
    await workspace.close();
    rmSync(output, { recursive: true, force: true });
  });
  await workspace.apply([
    ...manifests(),
    { kind: 'Client', name: 'suite', displayName: 'Suite', redirectUris: ['http://127.0.0.1/callback'] },
  ]);
  const owner = await workspace.person('owner@example.test');
  const port = await freePort();
  const args = [
    '--url',
    workspace.url,
    '--client-id',
    'suite',
    '--resource',
    `${workspace.url}/mcp`,
    '-p',
    String(port),
  ];
  const run = spawn(process.execPath, [suite, 'authorization', ...args, '-o', output]);
  let said = '';
  let answering: Promise<unknown> | undefined;
  const hear = (chunk: Buffer) => {
    said += chunk.toString();
    const url = /http\S+\/oauth\/authorize\?\S+/.exec(said)?.[0];
    if (url === undefined || answering) return;
    answering = authorize(url, owner, {
      choose: (choices) => choices.find(({ agent }) => agent === 'agent-bearer'),
    }).then((back) => fetch(back));
  };
  run.stdout.on('data', hear);
  run.stderr.on('data', hear);
  await new Promise((resolve) => run.once('close', resolve));
  await answering;
  const checks = globSync('**/checks.json', { cwd: output }).flatMap(
    (file) =>
      JSON.parse(readFileSync(join(output, file), 'utf8')) as { id: string; status: string; errorMessage?: string }[],
  );
  assert.ok(answering, said);
  assert.ok(checks.filter(({ status }) => status === 'SUCCESS').length >= 3, said);
  assert.deepEqual(
    checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING'),
    [],
  );
});
