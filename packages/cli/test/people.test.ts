import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { OffboardResult } from '@gatehouse/protocol';
import { startV2Http } from '../../../test/peers/v2-server.ts';
import { startTown, townManifests } from './support.ts';

const cleanups: (() => unknown)[] = [];
let town: Awaited<ReturnType<typeof startTown>>;

before(async () => {
  const peer = await startV2Http();
  cleanups.push(() => peer.close());
  town = await startTown({ after: (cleanup: () => unknown) => void cleanups.push(cleanup) } as never, peer.url);
  const manifests = townManifests(peer.url);
  const agent = manifests.find(({ kind }) => kind === 'Agent');
  await town.workspace.apply(
    ['dana', 'kim'].flatMap((name) => [
      { kind: 'Person' as const, email: `${name}@example.test`, displayName: name, roles: ['owner' as const] },
      { ...agent, name: `agent-of-${name}`, owner: `${name}@example.test` } as never,
    ]),
  );
});
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** @proves people.hand-over */
test('offboarding drops the keys and says what to do next; with --keep-keys they stay, and the answer says so', async () => {
  for (const name of ['dana', 'kim']) {
    assert.equal((await town.run('agent', 'enroll', `agent-of-${name}`)).code, 0);
    assert.equal((await town.run('agent', 'join-token', `agent-of-${name}`)).code, 0);
  }
  const left = await town.run('people', 'offboard', 'dana@example.test', '--successor', 'owner@example.test');
  assert.equal(left.code, 0, left.stderr);
  assert.match(left.stdout, /Agents to owner@example\.test +agent-of-dana/);
  assert.match(left.stdout, /Join tokens revoked +1\n.*Keys of the agents +1 dropped/);
  assert.match(left.stderr, /enrol again: `gatehouse agent join-token NAME`/);
  const start = ['token', '--template', 'try-out', '--intent', 'again'];
  const refused = await town.run(...start, '--agent', 'agent-of-dana');
  assert.equal(refused.code, 2, refused.stderr);

  const kept = await town.run(
    'people',
    'offboard',
    'kim@example.test',
    '--successor',
    'owner@example.test',
    '--keep-keys',
    '--json',
  );
  const { keepKeys, droppedKeys, revokedJoinTokens } = kept.json<OffboardResult>();
  assert.deepEqual([keepKeys, droppedKeys, revokedJoinTokens], [true, 0, 1]);
  const works = await town.run(...start, '--agent', 'agent-of-kim');
  assert.equal(works.code, 0, works.stderr);
});

test('a proposed deputy is confirmed on a page, which the command line opens and does not replace', async () => {
  const { workspace, run } = town;
  await workspace.apply(
    ['lee', 'max'].map((name) => ({
      kind: 'Person' as const,
      email: `${name}@example.test`,
      displayName: name,
      roles: ['approver' as const],
    })),
  );
  const admin = await workspace.person('owner@example.test');
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const { id } = await admin.api('POST /people/:email/deputies', {
    params: { email: 'lee@example.test' },
    body: { deputy: 'max@example.test', until, reason: 'away' },
  });
  const shown = await run('deputies', 'confirm', id, '--no-browser');
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /owner@example\.test proposes that max@example\.test says yes in the place of lee/);
  assert.ok(shown.stdout.includes(`${workspace.url}/identity/people/lee%40example.test`), shown.stdout);
  const json = await run('deputies', 'confirm', id, '--no-browser', '--json');
  assert.equal(json.json<{ url: string; state: string }>().state, 'proposed');
  assert.equal((await run('deputies', 'withdraw', id)).code, 0);
  const over = await run('deputies', 'confirm', id, '--no-browser');
  assert.notEqual(over.code, 0);
  assert.match(over.stderr, /nothing is to be confirmed/);
  assert.match((await run('deputies', 'confirm', 'dep_none', '--no-browser')).stderr, /There is no deputy/);
});
