import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRoom } from '../../enforcement/testing/room.ts';
import { createLog } from '../../platform/index.ts';
import { historyPlace } from '../../storage/index.ts';
import { decidingParts } from './decider.ts';
import { createReplayThreads } from './thread.ts';

/** @proves policy.replay */
test('a replay keeps nobody from seeing what was observed, and a second replay waits its turn', async () => {
  const room = await openRoom({ follow: false });
  const place = historyPlace('sqlite', room.house.dataDir);
  const threads = createReplayThreads({ place, trustDomain: 'example.test', log: createLog('error') });
  const range = { since: 0, until: room.house.clock.now() + 1, limit: 20 };
  const never = new AbortController().signal;
  const before = decidingParts(room.registry.snapshot());
  const replay = () => threads.run({ kind: 'replay', range, before, after: null }, () => undefined, never);
  try {
    const first = replay();
    await assert.rejects(replay(), { code: 'replay.busy' });
    assert.deepEqual((await threads.observed({ kind: 'observed', range }, never)).items, []);
    await first;
    await replay();
  } finally {
    await threads.close();
    await room.close();
  }
});
