import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLineAgent } from '@gatehouse/protocol';
import { beginSignIn, createOperator } from '@gatehouse/sdk';
import { manifests } from './support/fixtures.ts';
import { createTerminalKey, letIn, requestOf } from './support/terminal.ts';
import { startWorkspace } from './support/workspace.ts';

test('where every proof needs a nonce, a person signs in at a terminal and works there all the same', async (t) => {
  const workspace = await startWorkspace({ requireProofNonce: true });
  t.after(() => workspace.close());
  await workspace.apply(manifests());
  const owner = await workspace.person('owner@example.test');
  const key = await createTerminalKey();
  const begun = await beginSignIn({ url: workspace.url, key, name: commandLineAgent('0.1.0', 'laptop') });
  const waiting = begun.finish();
  await letIn(owner, workspace.url, requestOf(begun.userCode));
  const { token } = await waiting;
  const terminal = createOperator({ url: workspace.url, session: async () => ({ token, key }) });
  assert.equal((await terminal.call('GET /session')).person.email, 'owner@example.test');
  assert.equal((await terminal.call('POST /signout')).ok, true);
});
