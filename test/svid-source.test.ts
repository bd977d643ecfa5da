import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createSvidSource } from '@gatehouse/sdk';
import { BUNDLE_POLL_MS, type X509Svid } from '@gatehouse/sdk/svid';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
});
after(() => workspace.close());

const rootsOf = (bundle: Record<string, unknown> | undefined) =>
  ((bundle?.keys ?? []) as { use: string; x5c?: string[] }[])
    .filter(({ use }) => use === 'x509-svid')
    .flatMap(({ x5c = [] }) => x5c.map((each) => new X509Certificate(Buffer.from(each, 'base64'))));

/** @proves spiffe.compromise */
test('an SVID goes with its authorities: once the new bundle is known, so is an SVID of the new ones', async (t) => {
  const { key } = await workspace.agent('agent-a');
  let ahead = 0;
  const source = createSvidSource({
    ...{ url: workspace.url, agent: 'agent-a', key },
    clock: { now: () => Date.now() + ahead },
  });
  t.after(() => source.close());
  const first = await source.x509();
  await workspace.operator('POST /trust-domain/rotate');
  ahead += BUNDLE_POLL_MS;
  await source.bundles();
  assert.equal(await source.x509(), first, 'a planned rotation leaves it to its time');

  const told: X509Svid[] = [];
  await workspace.operator('POST /trust-domain/rotate', { body: { compromised: true } });
  const stop = source.follow({ svid: (svid) => told.push(svid) });
  t.after(stop);
  ahead += BUNDLE_POLL_MS;
  const bundles = await source.bundles();
  const second = await source.x509();
  assert.notEqual(second.certificates[0], first.certificates[0]);
  assert.equal(told.at(-1), second);
  const last = new X509Certificate(Buffer.from(second.certificates.at(-1) ?? '', 'base64'));
  assert.ok(rootsOf(bundles.bundles['example.test']).some((root) => last.verify(root.publicKey)));
});
