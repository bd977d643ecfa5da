import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createCli } from '../packages/cli/test/support.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
let owner: SignedInPerson;
let second: SignedInPerson;
let cli: ReturnType<typeof createCli>;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply([
    ...manifests(),
    { kind: 'Person', email: 'security@example.test', displayName: 'Security', roles: ['security'] },
  ]);
  owner = await workspace.person('owner@example.test');
  second = await workspace.person('security@example.test');
  cli = createCli(workspace.dataDir, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
});
after(() => workspace.close());

/** What was recorded so far stands in a checkpoint, which is what is verified. */
async function untilSigned(): Promise<void> {
  const logOf = async () => (await workspace.operator('GET /logs')).items[0];
  const recorded = (await logOf())?.size ?? 0;
  while (Number((await logOf())?.checkpoint?.split('\n')[1] ?? 0) < recorded) await delay(50);
}

/** @proves second-yes.verify */
test('what two people did is proven from the log alone, by receipt and as a whole; a changed one is found', async () => {
  const { id } = await owner.api('POST /holds', { body: { scope: { ticket: 'T-1' }, reason: 'litigation' } });
  const early = await cli.run('log', 'agree', id, '--no-browser');
  assert.deepEqual([early.code, /Nobody waits for a second person’s yes/.test(early.stderr)], [1, true], early.stderr);
  await owner.api('POST /holds/:id/end', { params: { id } });
  const shown = await cli.run('log', 'agree', id, '--no-browser', '--json');
  assert.equal(shown.code, 3, shown.stderr);
  const { statement, url } = shown.json<{ statement: { askedBy: string; scope: object }; url: string }>();
  assert.deepEqual([statement.askedBy, statement.scope], ['person:owner@example.test', { ticket: 'T-1' }]);
  assert.equal(url, `${workspace.url}/log`);
  const body = await second.secondYes('hold.end', id);
  await second.api('POST /holds/:id/agree', { params: { id }, body });

  await untilSigned();
  const whole = await cli.run('log', 'verify');
  assert.equal(whole.code, 0, whole.stdout + whole.stderr);
  assert.match(whole.stdout, /1 time a second person agreed: each yes is signed by a passkey that the log gives/);
  const said = await cli.run('log', 'show', id);
  assert.match(said.stdout, /agreed to by security@example\.test, whose passkey \S+ signed exactly this/);
  assert.doesNotMatch(said.stdout, /clientDataJSON/);

  const vkey = (await workspace.operator('GET /logs')).items[0]?.vkey ?? '';
  const offline = createCli(workspace.dataDir, { GATEHOUSE_URL: 'http://127.0.0.1:9' });
  const verify = (file: string) => offline.run('log', 'verify', '--receipt', file, '--key', vkey);
  assert.equal((await cli.run('log', 'receipt', id, '-o', 'receipt.json')).code, 0);
  const proven = await verify('receipt.json');
  assert.equal(proven.code, 0, proven.stdout + proven.stderr);
  assert.match(
    proven.stdout,
    /^Agreed .* the second yes to hold\.end of hld_\S+: security@example\.test at .* for exactly what person:owner@/m,
  );
  const file = JSON.parse(readFileSync(join(workspace.dataDir, 'receipt.json'), 'utf8'));
  writeFileSync(join(workspace.dataDir, 'less.json'), JSON.stringify({ ...file, enrolments: [] }));
  const without = await verify('less.json');
  assert.equal(without.code, 1);
  assert.match(without.stdout, /no record says that the passkey is security@example\.test’s/);
});

/** @proves second-yes.asked */
test('who writes to the database asks in nobody’s name', async () => {
  const { id } = await second.api('POST /erasures', { body: { scope: { ticket: 'T-2' }, reason: 'they want it' } });
  const database = new DatabaseSync(join(workspace.dataDir, 'gatehouse.db'));
  database.prepare('update erasures set asked_by = ? where id = ?').run('person:owner@example.test', id);
  database.close();
  const body = await second.secondYes('erasure.agree', id);
  const agreed = second.api('POST /erasures/:id/agree', { params: { id }, body });
  await assert.rejects(agreed, /409 second-yes\.not-as-asked/);
  assert.equal((await workspace.operator('GET /erasures')).items[0]?.state, 'waiting');
});
