import assert from 'node:assert/strict';
import { once } from 'node:events';
import { LOG, onEachBackend, upTo } from './suite.ts';
import { type Acknowledged, startAppender } from './suite-processes.ts';

/** After how many acknowledged units each process is killed. All but the first start on what a killed one left. */
const KILL_AFTER = [1, 150, 700, 1_500];

onEachBackend(
  'after kill -9 under load every acknowledged unit is there, whole, and no place is empty',
  async ({ open, options }, t) => {
    const acknowledged: Acknowledged[] = [];
    for (const count of KILL_AFTER) {
      const appender = await startAppender(t, options, { appends: true });
      await appender.reached(count);
      appender.process.kill('SIGKILL');
      await once(appender.process, 'close');
      acknowledged.push(...appender.acknowledged);
    }

    const storage = await open();
    const { size } = await storage.openLog(LOG);
    const rows = await storage.db
      .selectFrom('records')
      .select(['sequence', 'action_id'])
      .where('log', '=', LOG.id)
      .orderBy('sequence')
      .execute();
    assert.deepEqual(
      rows.map((row) => row.sequence),
      upTo(size),
    );
    const placesOf = new Map<string, number[]>();
    for (const { action_id, sequence } of rows) placesOf.set(action_id, [...(placesOf.get(action_id) ?? []), sequence]);
    assert.ok(acknowledged.length >= KILL_AFTER.reduce((sum, count) => sum + count));
    for (const { actionId, sequences } of acknowledged) assert.deepEqual(placesOf.get(actionId), sequences);
  },
);
